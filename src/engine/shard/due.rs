//! What ends by itself: holds, carts, orders, the wait for somebody.
//!
//! Invariant: everything happens in the order of its moments, whatever it is. Never here: when something is to end.

use super::{Shard, is_live};
use crate::engine::command::{Act, CartReason, CartWhy, Effects, ReleaseReason};
use crate::engine::deadlines::{Deadline, Due};
use crate::engine::slab::Slot;
use crate::engine::time::Now;
use crate::limits::cluster::FROZEN_RETRY_MS;

impl Shard {
    /// Ends what is due.
    pub(super) fn end_due_things(&mut self, now: Now, effects: &mut Effects) {
        self.barred.forget_due(self.clock);
        self.clocks.forget_due(self.clock);
        while let Some(due) = self.deadlines.pop_due(self.clock, |entry| is_live(&self.rooms, &self.owners, entry)) {
            if !self.frozen.is_empty() && self.must_wait(due.due) {
                self.deadlines.push(Deadline { at: self.clock.after(FROZEN_RETRY_MS), ..due });
                continue;
            }
            match due.due {
                Due::Seat { room, seat } => self.seat_due(room, seat, effects),
                Due::Cart(cart) => self.cart_due(cart, effects),
                Due::Order { room, order } => self.order_due(room, order, effects),
                Due::Grace(party) => self.grace_due(party, effects),
                Due::Room(room) => self.room_due(now, room, effects),
            }
        }
    }

    fn seat_due(&mut self, room: Slot, seat: Slot, effects: &mut Effects) {
        let holder = &self.rooms[room].seat_at(seat).hold.holder;
        let (conn, cart) = (holder.conn(), holder.cart());
        let why = (Act::EndHold, ReleaseReason::Expired);
        let hold = self.end_due((room, seat), why, (conn, None), effects);
        self.bar(conn, &hold, effects);
        if let Some(cart) = cart {
            self.settle(cart, false, effects);
        }
        self.drop_if_empty(room);
    }

    /// The cart's owner is warned, or all its seats end together.
    fn cart_due(&mut self, cart: Slot, effects: &mut Effects) {
        let of = &mut self.owners.carts[cart];
        of.alarm = 0;
        let (room, clock) = (of.room, of.clock.as_mut().expect("a cart with a deadline has a clock"));
        if clock.warns.take().is_some() {
            let left_ms = u32::try_from(clock.ends.since(self.clock)).unwrap_or(u32::MAX);
            self.set_alarm(cart);
            return self.tell_owner(cart, None, CartWhy::Expiring { left_ms }, effects);
        }
        let gone = self.end_cart(cart, ReleaseReason::Expired, effects);
        let why = CartWhy::Changed { reason: CartReason::Expired, gone, order: None };
        self.tell_owner(cart, None, why, effects);
        self.settle(cart, false, effects);
        self.drop_if_empty(room);
    }

    /// The time to come back is over.
    fn grace_due(&mut self, party: Slot, effects: &mut Effects) {
        self.owners.parties[party].grace = 0;
        self.give_up(party, effects);
    }
}
