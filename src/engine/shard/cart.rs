//! A cart: its clock, what becomes of it when its seats go, and how it is told.
//!
//! Invariants: all seats of a cart end together, at its clock; who lets go of all and takes again goes on with the
//! clock of before; a cart with nothing in it is forgotten. Never here: what somebody asks for.

use std::sync::Arc;

use super::Shard;
use crate::engine::command::{
    CartTold, CartView, CartWhy, Effect, Effects, Kept, KeptCart, KeptEntry, OrderView, Position, Reject, Told,
};
use crate::engine::deadlines::{Deadline, Due};
use crate::engine::ids::ConnId;
use crate::engine::owners::Clock;
use crate::engine::slab::Slot;
use crate::engine::time::Now;
use crate::planted::{Bug, has};

impl Shard {
    /// The clock with which an empty cart of this party begins, in this room.
    ///
    /// # Errors
    /// While the time of the last one is over and its owner had the seats until a moment ago.
    pub(super) fn new_clock(&self, now: Now, party: Slot, room: (&str, Option<Slot>)) -> Result<Clock, Reject> {
        let of = &self.owners.parties[party];
        let owner = of.owner().expect("who comes back from before a restart takes no seats");
        let kept = if of.is_holder() { None } else { self.clocks.find(self.clock, owner, room.0) };
        if let Some((clock, until)) = kept {
            if clock.ends <= self.clock {
                let retry_after_ms = u32::try_from(until.since(self.clock)).unwrap_or(u32::MAX);
                return Err(Reject::HoldExpired { retry_after_ms });
            }
            return Ok(clock);
        }
        let hold_ms = self.hold_ms(room.1);
        let (ends, expires_at) = (self.clock.after(hold_ms), now.wall.after(hold_ms));
        let warns = self.warns(hold_ms);
        Ok(Clock { first: self.clock, first_at: now.wall, ends, expires_at, extends: 0, warns })
    }

    /// When the owner of a cart that lives for so long from now on is warned.
    pub(super) fn warns(&self, hold_ms: u64) -> Option<crate::engine::time::Millis> {
        let warn_ms = self.carts.warn_ms;
        (warn_ms > 0 && hold_ms > warn_ms).then(|| self.clock.after(hold_ms - warn_ms))
    }

    /// The cart, which has none, gets this clock.
    pub(super) fn start_clock(&mut self, cart: Slot, clock: Clock, effects: &mut Effects) {
        let room = self.rooms[self.owners.carts[cart].room].id.clone();
        if let Some(owner) = self.owners.party_of(cart).owner() {
            self.clocks.forget(owner, room.as_str());
        }
        self.owners.carts[cart].clock = Some(clock);
        self.set_alarm(cart);
        self.keep_cart(cart, true, effects);
    }

    /// The cart's clock has changed: its deadline is this one from now on.
    pub(super) fn set_alarm(&mut self, cart: Slot) {
        self.stop_alarm(cart);
        let number = self.next_number();
        let of = &mut self.owners.carts[cart];
        let clock = of.clock.as_mut().expect("who has a deadline has a clock");
        // What came too late to be told is not told.
        clock.warns = clock.warns.filter(|&warns| warns > self.clock && warns < clock.ends);
        of.alarm = number;
        let at = clock.warns.unwrap_or(clock.ends);
        self.deadlines.push(Deadline { at, due: Due::Cart(cart), number });
    }

    fn stop_alarm(&mut self, cart: Slot) {
        if std::mem::take(&mut self.owners.carts[cart].alarm) != 0 {
            self.forget_deadline();
        }
    }

    /// Looks after a cart that may have lost its last seat. `let_go`: its owner gave it back. Afterwards the cart and
    /// its party may be gone.
    pub(super) fn settle(&mut self, cart: Slot, let_go: bool, effects: &mut Effects) {
        if !self.owners.carts[cart].seats.is_empty() {
            return;
        }
        self.stop_alarm(cart);
        let of = &self.owners.carts[cart];
        let (party, room, clock, has_orders) = (of.party, of.room, of.clock, !of.orders.is_empty());
        if let Some(clock) = clock {
            let owner = self.owners.parties[party].owner().expect("who has a clock has a name");
            if let_go && !self.owners.parties[party].is_holder() && !has(Bug::NewLife) {
                let until = self.clock.after(self.hold_ms(Some(room)));
                self.clocks.keep(owner, self.rooms[room].id.as_str(), clock, until);
            }
            self.keep_cart(cart, false, effects);
        }
        if !has_orders {
            self.owners.remove_cart(cart);
            self.forget_party(party);
        }
    }

    /// What a store keeps of a cart with seats.
    pub(super) fn kept_cart(&self, cart: Slot) -> Option<KeptEntry> {
        let owner = self.owners.party_of(cart).stored_owner()?;
        let of = &self.owners.carts[cart];
        let Clock { first_at, expires_at, extends, .. } = of.clock.filter(|_| !of.seats.is_empty())?;
        Some(KeptEntry::Cart(owner.clone(), Some(KeptCart { first_at, expires_at, extends })))
    }

    /// A store is to keep the cart's clock, or to forget it.
    pub(super) fn keep_cart(&self, cart: Slot, is_there: bool, effects: &mut Effects) {
        let Some(owner) = self.owners.party_of(cart).stored_owner() else { return };
        let of = &self.owners.carts[cart];
        let clock = of.clock.filter(|_| is_there);
        let kept = clock.map(|Clock { first_at, expires_at, extends, .. }| KeptCart { first_at, expires_at, extends });
        let entry = KeptEntry::Cart(owner.clone(), kept);
        effects.push(Effect::Keep(Box::new(Kept { room: self.rooms[of.room].id.clone(), entry })));
    }

    /// How often a new cart of the party in this room may be extended: one that was let go is remembered.
    pub(super) fn extends_left(&self, party: Slot, room: &str) -> u8 {
        let of = &self.owners.parties[party];
        let owner = of.owner().filter(|_| !of.is_holder());
        let kept = owner.and_then(|owner| self.clocks.find(self.clock, owner, room));
        self.carts.extends_max.saturating_sub(kept.map_or(0, |(clock, _)| clock.extends))
    }

    /// How the cart of the party in this room is told.
    pub(super) fn view(&self, party: Slot, room: Option<Slot>) -> CartView {
        let extends_max = self.carts.extends_max;
        let Some(slot) = room else { return CartView { extends_left: extends_max, ..CartView::default() } };
        let room = &self.rooms[slot];
        let extends_left = || self.extends_left(party, room.id.as_str());
        let Some(cart) = self.owners.cart_in(party, slot) else {
            return CartView { extends_left: extends_left(), ..CartView::default() };
        };
        let cart = &self.owners.carts[cart];
        let seats: Vec<_> = cart.seats.iter().map(|&seat| room.seat_at(seat).id.clone()).collect();
        let clock = cart.clock.filter(|_| !seats.is_empty());
        let order = |&order: &Slot| {
            let (order, id) = (room.order(order), room.order(order).id.clone());
            let seats = order.standing();
            OrderView { order: id, status: order.seat_status(), seats, expires_at: order.ends_at() }
        };
        CartView {
            seats,
            expires_at: clock.map(|clock| clock.expires_at),
            extends_left: clock.map_or_else(extends_left, |clock| extends_max.saturating_sub(clock.extends)),
            orders: cart.orders.iter().map(order).collect(),
        }
    }

    /// Where the room stands.
    pub(super) fn position(&self, room: Slot) -> Position {
        let room = &self.rooms[room];
        Position { epoch: room.epoch, seq: room.seq }
    }

    /// Tells the cart to all connections of its owner but one.
    pub(super) fn tell_owner(&self, cart: Slot, but: Option<ConnId>, why: CartWhy, effects: &mut Effects) {
        let of = &self.owners.carts[cart];
        self.tell_party(of.party, of.room, but, why, effects);
    }

    /// Tells what a party has in a room to all its connections but one.
    pub(super) fn tell_party(&self, party: Slot, room: Slot, but: Option<ConnId>, why: CartWhy, effects: &mut Effects) {
        let conns = &self.owners.parties[party].conns;
        if conns.iter().all(|&conn| Some(conn) == but) {
            return;
        }
        let view = Arc::new(self.view(party, Some(room)));
        for &conn in conns.iter().filter(|&&conn| Some(conn) != but) {
            effects.push(self.cart_effect(Told::Conn(conn), room, why.clone(), &view));
        }
    }

    /// The cart, told to one connection.
    pub(super) fn cart_effect(&self, to: Told, room: Slot, why: CartWhy, cart: &Arc<CartView>) -> Effect {
        let Position { epoch, seq } = self.position(room);
        let room = self.rooms[room].id.clone();
        Effect::Cart(Box::new(CartTold { to, room, seq, epoch, why, cart: Arc::clone(cart) }))
    }
}
