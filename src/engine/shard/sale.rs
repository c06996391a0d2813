//! What the shop's backend asks of a room: one request in, one answer out, behind the changes that belong to it.
//!
//! Invariant: a request that is refused has changed nothing. Never here: what clients ask.

use std::sync::Arc;

use super::Shard;
use super::plan::{Buyer, Refusal};
use crate::engine::command::{
    Act, ApiAnswer, ApiTicket, CartReason, CartWhy, Effect, Effects, Kept, KeptEntry, Owner, OwnerName, Reject,
    ReleaseReason, SaleAnswer, SaleRequest, SeatStatus, Wanted, Whose,
};
use crate::engine::ids::{ClientId, Origin, SeatId};
use crate::engine::room::Holder;
use crate::engine::slab::Slot;
use crate::engine::time::Now;

/// What is answered, or why it is refused.
pub(super) type Sold = Result<SaleAnswer, Refusal>;

impl Shard {
    pub(super) fn sale_request(
        &mut self,
        now: Now,
        room: &str,
        request: &SaleRequest,
        to: ApiTicket,
        effects: &mut Effects,
    ) {
        let id = self.room_id(room);
        let answer = match self.sell(now, room, request, effects) {
            Ok(answer) => answer,
            Err(Refusal { reject, details, .. }) => SaleAnswer::Refused { reject, details },
        };
        effects.push(Effect::Api(Box::new(ApiAnswer { to, room: id, answer })));
        if let Some(slot) = self.find(room) {
            self.drop_if_empty(slot);
        }
    }

    fn sell(&mut self, now: Now, room: &str, request: &SaleRequest, effects: &mut Effects) -> Sold {
        // Where rooms are declared, a name that is written wrong makes none.
        if !matches!(request, SaleRequest::PutRoom { .. })
            && let Some(reject) = self.room_forbids(self.find(room))
        {
            return Err(reject.into());
        }
        match request {
            SaleRequest::Hold { holder, wanted, ttl_ms } => {
                self.hold_for(now, room, holder, (wanted, *ttl_ms), effects)
            }
            SaleRequest::PutRoom { settings, plan } => self.put_room(now, room, (settings, plan.as_ref()), effects),
            SaleRequest::Block { what, label, release_held } => {
                self.block(now, room, what, (label, *release_held), effects)
            }
            SaleRequest::Reconcile { booked, blocked, dry_run } => {
                self.reconcile(now, room, (booked.as_deref(), blocked.as_deref()), *dry_run, effects)
            }
            SaleRequest::Release { .. }
            | SaleRequest::Checkout { .. }
            | SaleRequest::Book { .. }
            | SaleRequest::Cancel { .. }
            | SaleRequest::Refund { .. }
            | SaleRequest::Unblock { .. }
            | SaleRequest::PatchRoom { .. }
            | SaleRequest::DeleteRoom { .. }
            | SaleRequest::GetRoom
            | SaleRequest::GetOrder { .. }
            | SaleRequest::Counts
            | SaleRequest::Seats { .. } => {
                let slot = self.find(room).ok_or(Reject::UnknownRoom)?;
                self.sell_in(now, slot, request, effects)
            }
        }
    }

    /// What can only be asked of a room that is there.
    fn sell_in(&mut self, now: Now, room: Slot, request: &SaleRequest, effects: &mut Effects) -> Sold {
        match request {
            SaleRequest::Release { whose, .. } => self.release_for(room, whose, effects),
            SaleRequest::Checkout { order, owner, seats, ttl_ms } => {
                self.checkout(now, room, (order, owner), (seats.as_deref(), *ttl_ms), effects)
            }
            SaleRequest::Book { order, mode } => self.book(now, room, order, *mode, effects),
            SaleRequest::Cancel { order, to } => self.cancel(now, room, order, *to, effects),
            SaleRequest::Refund { order, seats } => self.refund(room, order, seats.as_deref(), effects),
            SaleRequest::Unblock { what, .. } => self.unblock(room, what, effects),
            SaleRequest::PatchRoom { patch, plan } => self.patch_room(now, room, (patch, plan.as_ref()), effects),
            SaleRequest::DeleteRoom { force } => self.delete_room(room, *force, effects),
            SaleRequest::GetRoom => Ok(SaleAnswer::Room { room: self.room_told(room), is_new: false }),
            SaleRequest::GetOrder { order } => {
                let slot = self.find_order(room, order)?;
                Ok(SaleAnswer::Order { order: self.rooms[room].order(slot).told(), is_new: false })
            }
            SaleRequest::Counts => Ok(self.tally(room)),
            SaleRequest::Seats { query } => self.list_seats(room, query),
            SaleRequest::Hold { .. }
            | SaleRequest::PutRoom { .. }
            | SaleRequest::Block { .. }
            | SaleRequest::Reconcile { .. } => unreachable!("they make the room"),
        }
    }

    /// Seats for somebody whom the backend names, in addition to what it has.
    fn hold_for(
        &mut self,
        now: Now,
        room: &str,
        holder: &Arc<str>,
        (wanted, ttl_ms): (&Wanted, Option<u64>),
        effects: &mut Effects,
    ) -> Sold {
        let client = ClientId::new(&format!("holder:{holder}")).ok_or(Reject::BadRequest)?;
        let party = self.owners.find_or_add(&Owner::Holder(Arc::clone(holder)));
        let buyer = Buyer { party, client: &client, origin: Origin::UNKNOWN, conn: None };
        let known = self.find(room);
        let planned = match wanted {
            Wanted::Seats(seats) => {
                self.plan_select(&buyer, (room, known), seats, &[]).map(|plan| (plan, seats.clone()))
            }
            Wanted::Best(query) => self.plan_best(&buyer, (room, known), query, &[]),
        };
        let clocked = planned.and_then(|planned| {
            let clock = self.clock_of_plan(now, party, (room, known), &planned.0, &self.no_user_info)?;
            Ok((planned, clock))
        });
        let ((plan, seats), mut clock) = match clocked {
            Ok(clocked) => clocked,
            Err(refusal) => {
                self.forget_party(party);
                return Err(refusal);
            }
        };
        let slot = known.unwrap_or_else(|| self.open(room));
        let had = self.owners.cart_in(party, slot).is_some_and(|cart| !self.owners.carts[cart].seats.is_empty());
        if let (Some(clock), Some(ttl_ms), false) = (&mut clock, ttl_ms, had) {
            (clock.ends, clock.expires_at) = (self.clock.after(ttl_ms), now.wall.after(ttl_ms));
        }
        self.carry_out(now.wall, &buyer, slot, plan, clock, &Arc::clone(&self.no_user_info), effects);
        if let Some(cart) = self.owners.cart_in(party, slot).filter(|_| had)
            && let Some((clock, ttl_ms)) = self.owners.carts[cart].clock.zip(ttl_ms)
            && clock.ends < self.clock.after(ttl_ms)
        {
            let (ends, expires_at) = (self.clock.after(ttl_ms), now.wall.after(ttl_ms));
            self.put_off(cart, crate::engine::owners::Clock { ends, expires_at, ..clock }, effects);
        }
        Ok(SaleAnswer::Held { seats, cart: self.view(party, Some(slot)) })
    }

    /// An operator frees held seats.
    fn release_for(&mut self, room: Slot, whose: &Whose, effects: &mut Effects) -> Sold {
        let seats = match whose {
            Whose::Seats(seats) => self.held_slots(room, seats, |_| true)?,
            Whose::Owner(owner) => self.held_by(room, owner),
        };
        Ok(SaleAnswer::Released { seats: self.release_held(room, seats, effects) })
    }

    /// Takes held seats away from whoever has them, and tells them. Returns the seats.
    pub(super) fn release_held(&mut self, room: Slot, seats: Vec<Slot>, effects: &mut Effects) -> Vec<SeatId> {
        let (mut gone, mut carts): (Vec<SeatId>, Vec<(Slot, Vec<SeatId>)>) = Default::default();
        for seat in seats {
            let of = self.rooms[room].seat_at(seat);
            let (id, conn, cart) = (of.id.clone(), of.hold.holder.conn(), of.hold.holder.cart());
            let why = (Act::EndHold, ReleaseReason::ReleasedByOperator);
            self.end((room, seat), why, (conn, None), effects);
            gone.push(id.clone());
            if let Some(cart) = cart {
                match carts.iter_mut().find(|(of, _)| *of == cart) {
                    Some((_, gone)) => gone.push(id),
                    None => carts.push((cart, vec![id])),
                }
            }
        }
        for (cart, gone) in carts {
            let why = CartWhy::Changed { reason: CartReason::ReleasedByOperator, gone, order: None };
            self.tell_owner(cart, None, why, effects);
            self.settle(cart, false, effects);
        }
        gone
    }

    /// The slots of seats that are held by those of whom it is true.
    ///
    /// # Errors
    /// When one is not.
    pub(super) fn held_slots(
        &self,
        room: Slot,
        seats: &[SeatId],
        is_meant: impl Fn(&Holder) -> bool,
    ) -> Result<Vec<Slot>, Refusal> {
        let (mut found, mut conflicts, mut worst) = (Vec::with_capacity(seats.len()), Vec::new(), Reject::NotHeld);
        let is_once = seats.iter().enumerate().all(|(at, seat)| !seats[at + 1..].contains(seat));
        if seats.is_empty() || !is_once {
            return Err(Reject::BadRequest.into());
        }
        for seat in seats {
            match self.rooms[room].seat(seat.as_str()) {
                Some((slot, of)) if of.hold.status == SeatStatus::Held && is_meant(&of.hold.holder) => found.push(slot),
                None => conflicts.push((seat.clone(), SeatStatus::Free)),
                Some((_, of)) => {
                    let is_paid_for = of.hold.status == SeatStatus::Checkout;
                    worst = if is_paid_for { Reject::InCheckout } else { Reject::NotOwner };
                    conflicts.push((of.id.clone(), of.hold.status));
                }
            }
        }
        if conflicts.is_empty() { Ok(found) } else { Err(Refusal::of_seats(worst, conflicts)) }
    }

    /// The held seats of an owner in the room, in the order of selecting.
    pub(super) fn held_by(&self, room: Slot, owner: &OwnerName) -> Vec<Slot> {
        let owner = match owner {
            OwnerName::Session(session) => Owner::Session(*session),
            OwnerName::Subject(subject) => Owner::Subject(Arc::clone(subject)),
            OwnerName::Holder(holder) => Owner::Holder(Arc::clone(holder)),
            OwnerName::Client(client) => {
                let is_its = |holder: &Holder| match holder {
                    Holder::Conn(_) => true,
                    Holder::Cart(cart) => self.owners.party_of(*cart).has_clock_a_seat(),
                    Holder::Order(_) | Holder::Block(_) => false,
                };
                let seats = self.rooms[room].seats();
                let mut own: Vec<_> = seats
                    .filter(|(_, seat)| seat.hold.client == *client && is_its(&seat.hold.holder))
                    .map(|(slot, seat)| (seat.hold.number, slot))
                    .collect();
                own.sort_unstable();
                return own.into_iter().map(|(_, slot)| slot).collect();
            }
        };
        let cart = self.owners.find(&owner).and_then(|party| self.owners.cart_in(party, room));
        cart.map_or(Vec::new(), |cart| self.owners.carts[cart].seats.clone())
    }

    /// A store is to keep an order as it is now.
    pub(super) fn keep_order(&self, room: Slot, order: Slot, effects: &mut Effects) {
        let (room, of) = (self.rooms[room].id.clone(), self.rooms[room].order(order));
        let entry = KeptEntry::Order(of.id.clone(), Some(Arc::new(of.kept())));
        effects.push(Effect::Keep(Box::new(Kept { room, entry })));
    }
}
