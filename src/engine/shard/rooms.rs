//! Rooms as a whole: what the backend decides about them, when their sale opens, and their end.
//!
//! Invariants: what is decided again changes nothing; a room with an order in checkout ends by force alone. Never here:
//! seats.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Shard;
use super::plan::Refusal;
use super::sale::Sold;
use crate::engine::command::{
    Act, CartReason, CartWhy, Effect, Effects, Kept, KeptEntry, Reject, ReleaseReason, RoomChanged, RoomNews,
    RoomPatch, RoomSettings, RoomTold, Sale, SaleAnswer, SeatStatus,
};
use crate::engine::command::{LayoutName, RoomPlan};
use crate::engine::deadlines::{Deadline, Due};
use crate::engine::ids::{ConnId, SeatId};
use crate::engine::slab::Slot;
use crate::engine::time::{Now, WallMillis};
use crate::limits::{HOLD_TTL_MS_MAX, ROOM_HOLD_MS_MIN};
use crate::planted::{Bug, has};

impl Shard {
    /// How a room is told to the backend.
    pub(super) fn room_told(&self, room: Slot) -> RoomTold {
        let of = &self.rooms[room];
        let (room, settings) = (of.id.clone(), of.settings().cloned());
        RoomTold { room, epoch: of.epoch, seq: of.seq, settings, members: of.member_count() }
    }

    pub(super) fn put_room(
        &mut self,
        now: Now,
        room: &str,
        (settings, plan): (&RoomSettings, Option<&RoomPlan>),
        effects: &mut Effects,
    ) -> Sold {
        let known = self.find(room);
        if let Some(room) = known
            && let Some(before) = self.rooms[room].settings()
        {
            // A sale that opened by itself is as it was decided.
            if before != settings && opened(settings, now.wall).as_ref() != Some(before) {
                return Err(Reject::RoomDiffers.into());
            }
            if self.rooms[room].hall().is_none() && plan.is_some() {
                // The layout was not at hand when the room was given back.
                self.may_furnish(room, plan)?;
                self.furnish(room, plan, false, effects);
            }
            return Ok(SaleAnswer::Room { room: self.room_told(room), is_new: false });
        }
        is_possible(settings, plan)?;
        if known.is_none() && !self.may_open() {
            return Err(Reject::Overloaded.into());
        }
        if let Some(room) = known {
            self.may_furnish(room, plan)?;
        }
        let slot = known.unwrap_or_else(|| self.open(room));
        self.furnish(slot, plan, known.is_none(), effects);
        self.decide_room(now, slot, settings.clone(), effects);
        Ok(SaleAnswer::Room { room: self.room_told(slot), is_new: true })
    }

    pub(super) fn patch_room(
        &mut self,
        now: Now,
        room: Slot,
        (patch, plan): (&RoomPatch, Option<&RoomPlan>),
        effects: &mut Effects,
    ) -> Sold {
        // A room that a client has made is as the server has it.
        let before = self.rooms[room].settings().cloned().unwrap_or_default();
        let RoomPatch { sale, hold_ms, max_seats, no_orphans, ends_at, message, layout } = patch.clone();
        let settings = RoomSettings {
            sale: sale.unwrap_or(before.sale),
            hold_ms: hold_ms.unwrap_or(before.hold_ms),
            max_seats: max_seats.unwrap_or(before.max_seats),
            no_orphans: no_orphans.unwrap_or(before.no_orphans),
            ends_at: ends_at.unwrap_or(before.ends_at),
            message: message.unwrap_or_else(|| before.message.clone()),
            layout: layout.unwrap_or_else(|| before.layout.clone()),
        };
        if settings == before {
            return Ok(SaleAnswer::Room { room: self.room_told(room), is_new: false });
        }
        let own = self.rooms[room].hall().map(|hall| RoomPlan(Arc::clone(hall.layout())));
        let plan = if settings.layout == before.layout { own.as_ref() } else { plan };
        if settings.layout == before.layout && plan.is_none() {
            // Without a layout, or with one that is not at hand.
            if settings.no_orphans && settings.layout.is_none() {
                return Err(Reject::NoLayout.into());
            }
            is_length(&settings)?;
        } else {
            is_possible(&settings, plan)?;
            self.may_furnish(room, plan)?;
            self.furnish(room, plan, false, effects);
        }
        self.decide_room(now, room, settings, effects);
        Ok(SaleAnswer::Room { room: self.room_told(room), is_new: false })
    }

    /// Whether all seats that are taken are in the layout.
    fn may_furnish(&self, room: Slot, plan: Option<&RoomPlan>) -> Result<(), Refusal> {
        let Some(RoomPlan(layout)) = plan else { return Ok(()) };
        let strange = self.rooms[room].seats().filter(|(_, seat)| layout.index_of(seat.id.as_str()).is_none());
        let mut conflicts: Vec<_> = strange.map(|(_, seat)| (seat.id.clone(), seat.hold.status)).collect();
        conflicts.sort_unstable();
        if !conflicts.is_empty() {
            return Err(Refusal::of_seats(Reject::LayoutMismatch, conflicts));
        }
        if self.rooms_made.has_next() { Ok(()) } else { Err(Reject::Overloaded.into()) }
    }

    /// The room has this layout from now on. One that somebody may have looked at lives anew, though nothing has
    /// changed in it yet: maps of it are about, and who has one comes back with its position.
    fn furnish(&mut self, room: Slot, plan: Option<&RoomPlan>, is_new: bool, effects: &mut Effects) {
        let of = &self.rooms[room];
        let before = of.hall().map(|hall| LayoutName::of(hall.layout()));
        if before == plan.map(|plan| LayoutName::of(&plan.0)) {
            return;
        }
        let epoch = (!is_new && !has(Bug::IndexShift)).then(|| self.epochs.epoch(self.rooms_made.next()));
        self.rooms[room].furnish(plan.map(|plan| Arc::clone(&plan.0)), epoch);
        if epoch.is_some() {
            let (id, audience) = (self.rooms[room].id.clone(), self.rooms[room].audience());
            let what = RoomChanged::Renewed { at: self.position(room) };
            effects.push(Effect::Room(Box::new(RoomNews { room: id, audience, what })));
        }
    }

    /// This is decided about the room from now on.
    pub(super) fn decide_room(&mut self, now: Now, room: Slot, settings: RoomSettings, effects: &mut Effects) {
        let settings = opened(&settings, now.wall).unwrap_or(settings);
        self.keep_settings(now, room, settings, effects);
    }

    /// This is decided about the room, as it is.
    pub(super) fn keep_settings(&mut self, now: Now, room: Slot, settings: RoomSettings, effects: &mut Effects) {
        let before = self.rooms[room].settings().map(|before| (before.sale, before.message.clone()));
        let news = (settings.sale, settings.message.clone());
        let kept = Arc::new(settings.clone());
        self.rooms[room].sale_mut().settings = Some(settings);
        self.set_room_alarm(now, room);
        let id = self.rooms[room].id.clone();
        let entry = KeptEntry::Settings(Some(kept));
        effects.push(Effect::Keep(Box::new(Kept { room: id.clone(), entry })));
        if before.unwrap_or_default() != news {
            let (sale, message) = news;
            let (what, audience) = (RoomChanged::Sale { sale, message }, self.rooms[room].audience());
            effects.push(Effect::Room(Box::new(RoomNews { room: id, audience, what })));
        }
    }

    /// The next moment at which something happens to the room by itself.
    pub(super) fn set_room_alarm(&mut self, now: Now, room: Slot) {
        if std::mem::take(&mut self.rooms[room].sale_mut().alarm) != 0 {
            self.forget_deadline();
        }
        let Some(settings) = self.rooms[room].settings() else { return };
        let opens_at = if let Sale::Scheduled { opens_at } = settings.sale { opens_at } else { None };
        let goes_at = settings.ends_at.map(|ends_at| ends_at.after(self.carts.room_keep_ms));
        let Some(next) = opens_at.into_iter().chain(goes_at).min() else { return };
        let number = self.next_number();
        self.rooms[room].sale_mut().alarm = number;
        // Looked at again at the latest after a day: the wall clock may have been set.
        let ms = next.0.saturating_sub(now.wall.0).clamp(1, HOLD_TTL_MS_MAX);
        self.deadlines.push(Deadline { at: self.clock.after(ms), due: Due::Room(room), number });
    }

    /// The sale of the room opens, or the room goes.
    pub(super) fn room_due(&mut self, now: Now, room: Slot, effects: &mut Effects) {
        self.rooms[room].sale_mut().alarm = 0;
        let settings = self.rooms[room].settings().expect("only what is decided has a time");
        if settings.ends_at.is_some_and(|ends_at| ends_at.after(self.carts.room_keep_ms) <= now.wall) {
            self.clear_room(room, effects);
            return self.drop_if_empty(room);
        }
        match opened(settings, now.wall) {
            Some(open) => self.decide_room(now, room, open, effects),
            None => self.set_room_alarm(now, room),
        }
    }

    pub(super) fn delete_room(&mut self, room: Slot, force: bool, effects: &mut Effects) -> Sold {
        let open = self.rooms[room].sale().map_or(0, |sale| sale.orders.open);
        if open > 0 && !force {
            return Err(Reject::OrdersInCheckout.into());
        }
        self.clear_room(room, effects);
        Ok(SaleAnswer::Deleted)
    }

    /// Everything in the room ends: its seats, its orders, what was decided about it, and the memberships.
    pub(super) fn clear_room(&mut self, room: Slot, effects: &mut Effects) {
        let mut seats: Vec<_> = self.rooms[room].seats().map(|(slot, seat)| (seat.id.clone(), slot)).collect();
        seats.sort_unstable();
        let carts: Vec<Slot> = self.carts_of(room);
        let held = |cart: &Slot| -> Vec<_> {
            self.owners.carts[*cart].seats.iter().map(|&seat| self.rooms[room].seat_at(seat).id.clone()).collect()
        };
        let gone: Vec<Vec<SeatId>> = carts.iter().map(held).collect();
        for &cart in &carts {
            self.owners.carts[cart].orders.clear();
            self.owners.carts[cart].paying = 0;
        }
        for (_, seat) in seats {
            let conn = self.rooms[room].seat_at(seat).hold.holder.conn();
            debug_assert_ne!(self.rooms[room].seat_at(seat).hold.status, SeatStatus::Free);
            self.end((room, seat), (Act::Clear, ReleaseReason::RoomDeleted), (conn, None), effects);
        }
        for (cart, gone) in carts.into_iter().zip(gone) {
            let why = CartWhy::Changed { reason: CartReason::ReleasedByOperator, gone, order: None };
            self.tell_owner(cart, None, why, effects);
            self.settle(cart, false, effects);
        }
        self.forget_sale(room, effects);
        let (id, audience) = (self.rooms[room].id.clone(), self.rooms[room].audience());
        effects.push(Effect::Room(Box::new(RoomNews { room: id, audience, what: RoomChanged::Deleted })));
        let members: Vec<ConnId> =
            self.presences.memberships().filter(|&(_, of)| of == room).map(|(conn, _)| conn).collect();
        for conn in members {
            self.presences.leave(conn, room);
            self.end_membership(conn, room);
        }
    }

    /// Every cart in the room, in an order that follows from the history alone.
    pub(super) fn carts_of(&self, room: Slot) -> Vec<Slot> {
        let carts = self.owners.parties.iter().flat_map(|party| party.carts.iter().copied());
        carts.filter(|&cart| self.owners.carts[cart].room == room).collect()
    }

    /// What a store keeps of the room beside its seats.
    pub(super) fn kept_beside(&self, room: Slot) -> Vec<Kept> {
        let of = &self.rooms[room];
        let mut entries = Vec::new();
        if let Some(sale) = of.sale() {
            entries
                .extend(sale.settings.as_ref().map(|settings| KeptEntry::Settings(Some(Arc::new(settings.clone())))));
            let orders = sale.orders.iter();
            entries.extend(orders.map(|order| KeptEntry::Order(order.id.clone(), Some(Arc::new(order.kept())))));
        }
        let carts: BTreeSet<Slot> = of.seats().filter_map(|(_, seat)| seat.hold.holder.cart()).collect();
        entries.extend(carts.into_iter().filter_map(|cart| self.kept_cart(cart)));
        entries.into_iter().map(|entry| Kept { room: of.id.clone(), entry }).collect()
    }

    /// What the backend had in the room is forgotten, by a store, too.
    fn forget_sale(&mut self, room: Slot, effects: &mut Effects) {
        let id = self.rooms[room].id.clone();
        let Some(sale) = self.rooms[room].take_sale() else { return };
        let open = sale.orders.open + usize::from(sale.alarm != 0);
        (0..open).for_each(|_| self.forget_deadline());
        let mut orders: Vec<_> = sale.orders.iter().map(|order| order.id.clone()).collect();
        orders.sort_unstable();
        let gone = orders.into_iter().map(|order| KeptEntry::Order(order, None));
        let settings = sale.settings.map(|_| KeptEntry::Settings(None));
        for entry in gone.chain(settings) {
            effects.push(Effect::Keep(Box::new(Kept { room: id.clone(), entry })));
        }
    }
}

/// The same with its sale open, if its time has come.
fn opened(settings: &RoomSettings, now: WallMillis) -> Option<RoomSettings> {
    let Sale::Scheduled { opens_at: Some(opens_at) } = settings.sale else { return None };
    (opens_at <= now).then(|| RoomSettings { sale: Sale::Open, ..settings.clone() })
}

/// Whether that can be decided about a room.
fn is_possible(settings: &RoomSettings, plan: Option<&RoomPlan>) -> Result<(), Reject> {
    if settings.layout != plan.map(|plan| LayoutName::of(&plan.0)) || settings.no_orphans && plan.is_none() {
        return Err(Reject::NoLayout);
    }
    is_length(settings)
}

/// Whether a hold may live so long.
fn is_length(settings: &RoomSettings) -> Result<(), Reject> {
    let fits = settings.hold_ms.is_none_or(|ms| (ROOM_HOLD_MS_MIN..=HOLD_TTL_MS_MAX).contains(&ms));
    if fits { Ok(()) } else { Err(Reject::BadRequest) }
}
