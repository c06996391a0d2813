//! What clients ask for with their carts: protocol v2, and v1 with a token.
//!
//! Invariant: the changes of a request stand together, before its one answer. Never here: whether it may (`plan`).

use std::sync::Arc;

use super::Shard;
use super::meeting::{Met, Unmet};
use super::plan::{Buyer, Plan, Refusal};
use crate::engine::command::{
    Act, Asker, Caller, CartReason, CartRequest, CartView, CartWhy, Effect, Effects, Entered, Position, Reject,
    ReleaseReason, RequestType, Resumed, ResumedCart, RoomLayout, SeatStatus, Synced, Told,
};
use crate::engine::deadlines::HoldNumber;
use crate::engine::ids::{RoomId, SeatId};
use crate::engine::owners::Clock;
use crate::engine::room::{Hold, Holder, Seat};
use crate::engine::slab::Slot;
use crate::engine::time::{Now, WallMillis};
use crate::planted::{Bug, has};

/// How a request is answered: the plan that was carried out, and the cart afterwards.
type Answer = Result<(), Refusal>;

impl Shard {
    /// A request of protocol v2.
    pub(super) fn cart_request(
        &mut self,
        now: Now,
        caller: Caller<'_>,
        room: &str,
        request: &CartRequest,
        effects: &mut Effects,
    ) {
        if let CartRequest::Leave = request {
            return self.leave(caller, room, effects);
        }
        let met = match self.meet(caller, effects) {
            Ok(met) => met,
            Err(Unmet::Superseded) => return,
            Err(Unmet::Refused(reject)) => {
                return self.refuse(caller.asker(), reject, request.kind(), (room, None), effects);
            }
        };
        let answer = match request {
            CartRequest::Join { since } => self.enter(caller, met, room, *since, effects),
            CartRequest::Sync => self.sync(caller, met, room, effects),
            CartRequest::Select { seats, release, user_info } => {
                let plan = |shard: &Self, buyer: &Buyer<'_>, at: (&str, Option<Slot>)| {
                    Ok((shard.plan_select(buyer, at, seats, release)?, seats.clone()))
                };
                self.select_seats(now, (caller, met.party), (room, request.kind()), plan, user_info, effects)
            }
            CartRequest::SelectBest { query, release, user_info } => {
                let plan = |shard: &Self, buyer: &Buyer<'_>, at: (&str, Option<Slot>)| {
                    shard.plan_best(buyer, at, query, release)
                };
                self.select_seats(now, (caller, met.party), (room, request.kind()), plan, user_info, effects)
            }
            CartRequest::Release { seats } => self.release_seats(caller, met.party, room, Some(seats), effects),
            CartRequest::ReleaseAll => self.release_seats(caller, met.party, room, None, effects),
            CartRequest::Extend => self.extend(now, caller, met.party, room, effects),
            CartRequest::Leave => unreachable!("it was looked at first"),
        };
        if let Err(refusal) = answer {
            self.refuse_cart(caller.asker(), refusal, request.kind(), room, effects);
        }
    }

    pub(super) fn refuse_cart(
        &self,
        to: Asker,
        refusal: Refusal,
        request: RequestType,
        room: &str,
        effects: &mut Effects,
    ) {
        let Refusal { reject, seat, details } = refusal;
        let details = (!details.conflicts.is_empty() || !details.alternatives.is_empty()).then(|| Box::new(details));
        effects.push(Effect::Refused { to, reject, request, room: self.room_id(room), seat, details });
    }

    fn enter(
        &mut self,
        caller: Caller<'_>,
        met: Met,
        room: &str,
        since: Option<Position>,
        effects: &mut Effects,
    ) -> Answer {
        let (slot, _) = self.become_member(caller.conn, room)?;
        let view = Arc::new(self.view(met.party, Some(slot)));
        let is_restored = met.is_new && since.is_some() && (view.expires_at.is_some() || !view.orders.is_empty());
        let of = &self.rooms[slot];
        effects.push(Effect::Entered(Box::new(Entered {
            to: caller.asker(),
            room: of.id.clone(),
            at: self.position(slot),
            since,
            members: of.member_count(),
            layout: of.hall().map(|hall| RoomLayout::of(hall.layout())),
            sale: of.settings().map(|settings| settings.sale).unwrap_or_default(),
            hold_ms: self.hold_ms(Some(slot)),
            max_seats: self.owners.parties[met.party].max_seats.unwrap_or_else(|| self.max_seats(Some(slot))),
            cart: Arc::clone(&view),
        })));
        if is_restored {
            // Who gets what happened since it was here is not told its cart with it.
            let why = CartWhy::Changed { reason: CartReason::Restored, gone: Vec::new(), order: None };
            effects.push(self.cart_effect(Told::Conn(caller.conn), slot, why, &view));
        }
        Ok(())
    }

    fn sync(&mut self, caller: Caller<'_>, met: Met, room: &str, effects: &mut Effects) -> Answer {
        let slot = self.find(room).filter(|&slot| self.presences.is_member(caller.conn, slot));
        let slot = slot.ok_or(Reject::BadRequest)?;
        let (room, at) = (self.rooms[slot].id.clone(), self.position(slot));
        let cart = Arc::new(self.view(met.party, Some(slot)));
        effects.push(Effect::Synced(Box::new(Synced { to: caller.asker(), room, at, cart })));
        Ok(())
    }

    /// Which carts of these rooms are the caller's?
    pub(super) fn resume(&mut self, caller: Caller<'_>, rooms: &[RoomId], effects: &mut Effects) {
        let party = match self.meet(caller, effects) {
            Ok(met) => met.party,
            Err(Unmet::Superseded) => return,
            Err(Unmet::Refused(_)) => {
                return effects.push(Effect::Resumed(Box::new(Resumed { to: caller.asker(), carts: Vec::new() })));
            }
        };
        let cart = |room: &RoomId| {
            let slot = self.find(room.as_str()).filter(|&slot| self.owners.cart_in(party, slot).is_some());
            let view = match slot {
                Some(slot) => self.view(party, Some(slot)),
                None => CartView { extends_left: self.extends_left(party, room.as_str()), ..CartView::default() },
            };
            let is_told = slot.is_some() || view.extends_left < self.carts.extends_max;
            is_told.then(|| ResumedCart { room: room.clone(), cart: Arc::new(view) })
        };
        let carts = rooms.iter().filter_map(cart).collect();
        effects.push(Effect::Resumed(Box::new(Resumed { to: caller.asker(), carts })));
    }

    fn select_seats(
        &mut self,
        now: Now,
        (caller, party): (Caller<'_>, Slot),
        (room, request): (&str, RequestType),
        plan: impl Fn(&Self, &Buyer<'_>, (&str, Option<Slot>)) -> Result<(Plan, Vec<SeatId>), Refusal>,
        user_info: &Arc<str>,
        effects: &mut Effects,
    ) -> Answer {
        let buyer = Buyer::of(party, caller);
        let known = self.find(room);
        let (plan, seats) = plan(self, &buyer, (room, known))?;
        let clock = self.clock_of_plan(now, party, (room, known), &plan, user_info)?;
        let slot = known.unwrap_or_else(|| self.open(room));
        let gone = self.carry_out(now.wall, &buyer, slot, plan, clock, user_info, effects);
        let view = Arc::new(self.view(party, Some(slot)));
        let told = Told::Asker(caller.asker(), request);
        effects.push(self.cart_effect(told, slot, CartWhy::Held { seats }, &view));
        let why = CartWhy::Changed { reason: CartReason::OtherConnection, gone, order: None };
        self.tell_party(party, slot, Some(caller.conn), why, effects);
        self.drop_if_empty(slot);
        Ok(())
    }

    /// The clock with which the seats of the plan are held: that of the cart, or a new one.
    pub(super) fn clock_of_plan(
        &self,
        now: Now,
        party: Slot,
        (name, room): (&str, Option<Slot>),
        plan: &Plan,
        user_info: &str,
    ) -> Result<Option<Clock>, Reject> {
        if plan.take.is_empty() {
            return Ok(None);
        }
        if !self.party_has_memory(party, plan.take.len(), user_info) {
            return Err(Reject::Overloaded);
        }
        let cart = room.and_then(|room| self.owners.cart_in(party, room)).map(|cart| &self.owners.carts[cart]);
        match cart.filter(|cart| !cart.seats.is_empty()).and_then(|cart| cart.clock) {
            Some(clock) => Ok(Some(clock)),
            None => self.new_clock(now, party, (name, room)).map(Some),
        }
    }

    /// Does what was planned. Returns the seats that the cart has lost.
    #[expect(clippy::too_many_arguments, reason = "each is another thing, and two callers have them all at hand")]
    pub(super) fn carry_out(
        &mut self,
        at: WallMillis,
        buyer: &Buyer<'_>,
        room: Slot,
        plan: Plan,
        clock: Option<Clock>,
        user_info: &Arc<str>,
        effects: &mut Effects,
    ) -> Vec<SeatId> {
        let cart = self.owners.cart_for(buyer.party, room);
        let was_empty = self.owners.carts[cart].seats.is_empty();
        let mut gone = Vec::with_capacity(plan.release.len());
        for seat in plan.release {
            gone.push(self.rooms[room].seat_at(seat).id.clone());
            let why = (Act::EndHold, ReleaseReason::Released);
            self.end((room, seat), why, (None, None), effects);
        }
        if let Some(clock) = clock {
            for (id, place) in plan.take {
                let hold = self.new_hold(at, buyer, Holder::Cart(cart), clock.expires_at, user_info);
                self.give(room, Seat { id, place, hold }, clock.ends, (None, None), effects);
            }
            if was_empty {
                self.start_clock(cart, clock, effects);
            }
        }
        self.settle(cart, true, effects);
        gone
    }

    pub(super) fn new_hold(
        &mut self,
        at: WallMillis,
        buyer: &Buyer<'_>,
        holder: Holder,
        expires_at: WallMillis,
        user_info: &Arc<str>,
    ) -> Hold {
        let is_default = **user_info == *self.no_user_info;
        Hold {
            number: HoldNumber(self.holds_made.next()),
            status: SeatStatus::Held,
            holder,
            client: buyer.client.clone(),
            origin: buyer.origin,
            user_info: Arc::clone(if is_default { &self.no_user_info } else { user_info }),
            at,
            expires_at,
            seq: 0,
        }
    }

    /// These seats of the cart, or all.
    fn release_seats(
        &mut self,
        caller: Caller<'_>,
        party: Slot,
        room: &str,
        seats: Option<&Vec<SeatId>>,
        effects: &mut Effects,
    ) -> Answer {
        let known = self.find(room);
        let release = match seats {
            Some(seats) => {
                let is_once = seats.iter().enumerate().all(|(at, seat)| !seats[at + 1..].contains(seat));
                if seats.is_empty() || !is_once || seats.len() > crate::limits::SEATS_PER_REQUEST_MAX {
                    return Err(Reject::BadRequest.into());
                }
                self.plan_release(party, known, seats)?
            }
            None => {
                let cart = known.and_then(|room| self.owners.cart_in(party, room));
                cart.map_or(Vec::new(), |cart| self.owners.carts[cart].seats.clone())
            }
        };
        // A room that nobody needs is made for the answer alone.
        let slot = known.unwrap_or_else(|| self.open(room));
        let mut gone = Vec::with_capacity(release.len());
        let cart = self.owners.cart_in(party, slot);
        for seat in release {
            gone.push(self.rooms[slot].seat_at(seat).id.clone());
            let why = (Act::EndHold, ReleaseReason::Released);
            self.end((slot, seat), why, (None, None), effects);
        }
        if let Some(cart) = cart.filter(|_| !gone.is_empty()) {
            self.settle(cart, true, effects);
        }
        let view = Arc::new(self.view(party, Some(slot)));
        let told = Told::Asker(caller.asker(), RequestType::ReleaseSeats);
        effects.push(self.cart_effect(told, slot, CartWhy::Released { seats: gone.clone() }, &view));
        if !gone.is_empty() {
            let why = CartWhy::Changed { reason: CartReason::OtherConnection, gone, order: None };
            self.tell_party(party, slot, Some(caller.conn), why, effects);
        }
        self.drop_if_empty(slot);
        Ok(())
    }

    fn extend(&mut self, now: Now, caller: Caller<'_>, party: Slot, room: &str, effects: &mut Effects) -> Answer {
        let room = self.find(room).ok_or(Reject::HoldExpired { retry_after_ms: 0 })?;
        let cart = self.owners.cart_in(party, room).filter(|&cart| !self.owners.carts[cart].seats.is_empty());
        let cart = cart.ok_or(Reject::HoldExpired { retry_after_ms: 0 })?;
        if let Some(reject) = self.sale_forbids(Some(room)) {
            return Err(reject.into());
        }
        let clock = self.owners.carts[cart].clock.expect("a cart with seats has a clock");
        let last = clock.first.after(self.carts.life_max_ms);
        if clock.extends >= self.carts.extends_max || clock.ends >= last {
            return Err(Reject::ExtendLimit.into());
        }
        let hold_ms = self.hold_ms(Some(room)).min(last.since(self.clock));
        let (ends, expires_at) = (self.clock.after(hold_ms), now.wall.after(hold_ms));
        let (warns, extends) = (self.warns(hold_ms), clock.extends + u8::from(!has(Bug::EndlessExtension)));
        self.put_off(cart, Clock { ends, expires_at, warns, extends, ..clock }, effects);
        let view = Arc::new(self.view(party, Some(room)));
        let told = Told::Asker(caller.asker(), RequestType::Extend);
        effects.push(self.cart_effect(told, room, CartWhy::Extended, &view));
        let why = CartWhy::Changed { reason: CartReason::OtherConnection, gone: Vec::new(), order: None };
        self.tell_party(party, room, Some(caller.conn), why, effects);
        Ok(())
    }

    /// All seats of the cart end at another time.
    pub(super) fn put_off(&mut self, cart: Slot, clock: Clock, effects: &mut Effects) {
        let of = &mut self.owners.carts[cart];
        of.clock = Some(clock);
        for &seat in &of.seats {
            self.rooms[of.room].put_off(seat, clock.expires_at);
        }
        self.set_alarm(cart);
        self.keep_cart(cart, true, effects);
    }

    /// `select_seat` of protocol v1 by somebody with a token.
    pub(super) fn select_as_owner(
        &mut self,
        now: Now,
        caller: Caller<'_>,
        (room, seat): (&str, &str),
        user_info: &str,
        effects: &mut Effects,
    ) {
        let id = SeatId::checked(seat);
        let Some(party) = self.party_of(caller, (room, RequestType::Select), effects) else { return };
        let known = self.find(room);
        if let Some((slot, cart)) = known.and_then(|slot| Some((slot, self.owners.cart_in(party, slot)?)))
            && let Some((_, of)) = self.rooms[slot].seat(seat)
            && of.hold.holder.cart() == Some(cart)
        {
            return effects.push(Self::again(caller, &self.rooms[slot], of));
        }
        let buyer = Buyer::of(party, caller);
        let plan = self.plan_select(&buyer, (room, known), std::slice::from_ref(&id), &[]);
        let planned =
            plan.and_then(|plan| Ok((self.clock_of_plan(now, party, (room, known), &plan, user_info)?, plan)));
        let (clock, plan) = match planned {
            Ok(planned) => planned,
            Err(refusal) => {
                let reject =
                    if refusal.reject == Reject::SeatsUnavailable { Reject::SeatTaken } else { refusal.reject };
                return self.refuse(caller.asker(), reject, RequestType::Select, (room, Some(seat)), effects);
            }
        };
        let slot = known.unwrap_or_else(|| self.open(room));
        let from = effects.len();
        self.carry_out(now.wall, &buyer, slot, plan, clock, &user_info.into(), effects);
        answer_v1(&mut effects[from..], caller.asker());
        let why = CartWhy::Changed { reason: CartReason::OtherConnection, gone: Vec::new(), order: None };
        self.tell_party(party, slot, Some(caller.conn), why, effects);
    }

    /// `release_seat` of protocol v1 by somebody with a token.
    pub(super) fn release_as_owner(&mut self, caller: Caller<'_>, (room, seat): (&str, &str), effects: &mut Effects) {
        let id = SeatId::checked(seat);
        let Some(party) = self.party_of(caller, (room, RequestType::Release), effects) else { return };
        let known = self.find(room);
        let found = self.plan_release(party, known, std::slice::from_ref(&id));
        let (slot, seats) = match (found, known) {
            (Ok(seats), Some(slot)) => (slot, seats),
            (Ok(_), None) => unreachable!("a seat that is found has a room"),
            (Err(refusal), _) => {
                let (to, at) = (caller.asker(), (room, Some(seat)));
                return self.refuse(to, refusal.reject, RequestType::Release, at, effects);
            }
        };
        let cart = self.owners.cart_in(party, slot).expect("it has the seat");
        for seat in seats {
            let (why, told) = ((Act::EndHold, ReleaseReason::Released), (Some(caller.conn), Some(caller.ticket)));
            self.end((slot, seat), why, told, effects);
        }
        self.settle(cart, true, effects);
        let why = CartWhy::Changed { reason: CartReason::OtherConnection, gone: vec![id], order: None };
        self.tell_party(party, slot, Some(caller.conn), why, effects);
        self.drop_if_empty(slot);
    }

    /// For whom a v1 caller acts; nobody once it was told why not.
    pub(super) fn party_of(
        &mut self,
        caller: Caller<'_>,
        at: (&str, RequestType),
        effects: &mut Effects,
    ) -> Option<Slot> {
        match self.meet(caller, effects) {
            Ok(met) => Some(met.party),
            Err(Unmet::Superseded) => None,
            Err(Unmet::Refused(reject)) => {
                self.refuse(caller.asker(), reject, at.1, (at.0, None), effects);
                None
            }
        }
    }
}

/// The change among these answers a request of protocol v1.
fn answer_v1(effects: &mut [Effect], asker: Asker) {
    for effect in effects {
        if let Effect::Change(change) = effect {
            let change = Arc::make_mut(change);
            (change.actor, change.answers) = (Some(asker.conn), Some(asker.ticket));
        }
    }
}
