//! How a seat changes hands: in its room, in what its holder has, in the counts and in the deadlines, all in one step.
//!
//! Invariant: nobody else takes a seat out of a room or puts one in, but for what a store makes necessary (`restored`).
//! Never here: whether it may.

use super::{Shard, is_live};
use crate::engine::command::{Act, Claim, Effect, Effects, ReleaseReason, SeatStatus};
use crate::engine::deadlines::{Deadline, Due, HoldNumber};
use crate::engine::room::{Claimed, Hold, Holder, Seat, Told, Turned};
use crate::engine::slab::Slot;
use crate::engine::time::Millis;

impl Shard {
    /// A free seat becomes what `seat` says. `ends`: when that ends by itself if it has a clock of its own. Returns its
    /// slot.
    pub(super) fn give(&mut self, room: Slot, seat: Seat, ends: Millis, told: Told, effects: &mut Effects) -> Slot {
        let (number, origin, is_held) = (seat.hold.number, seat.hold.origin, seat.hold.status == SeatStatus::Held);
        let (holder, user_info_bytes) = (seat.hold.holder.clone(), seat.hold.user_info.len());
        let claim = self.claim(room, &holder);
        let (slot, change) = self.rooms[room].take(seat, told, claim);
        effects.push(Effect::Change(change));
        self.taken += 1;
        if is_held {
            self.held += 1;
            self.user_info_bytes += user_info_bytes;
            self.shares.add(origin);
        }
        match holder {
            Holder::Conn(conn) => {
                self.presences.hold(conn, number, room, slot);
                let due = Due::Seat { room, seat: slot };
                self.deadlines.push(Deadline { at: ends, due, number: number.0 });
            }
            Holder::Cart(cart) => self.owners.carts[cart].seats.push(slot),
            Holder::Order(_) | Holder::Block(_) => {}
        }
        slot
    }

    /// By what right this holder has a seat, for the store.
    #[inline]
    pub(super) fn claim(&self, room: Slot, holder: &Holder) -> Claimed {
        let claim = match holder {
            Holder::Conn(_) => return None,
            Holder::Cart(cart) => Claim::Cart(self.owners.party_of(*cart).stored_owner()?.clone()),
            Holder::Order(order) => Claim::Order(self.rooms[room].order(*order).id.clone()),
            Holder::Block(label) => Claim::Block((**label).clone()),
        };
        Some(Box::new(claim))
    }

    /// A seat that is not free becomes free. What its holder has is to be looked after by the caller, unless that is a
    /// v1 connection.
    pub(super) fn end(
        &mut self,
        (room, seat): (Slot, Slot),
        (act, reason): (Act, ReleaseReason),
        told: Told,
        effects: &mut Effects,
    ) -> Hold {
        let (hold, change) = self.rooms[room].free(seat, act, reason, told);
        effects.push(Effect::Change(change));
        if let Some(clock) = self.let_loose((room, seat), &hold) {
            debug_assert_eq!(clock, hold.number);
            self.forget_deadline();
        }
        hold
    }

    /// The same for one whose deadline has just been taken out.
    pub(super) fn end_due(
        &mut self,
        (room, seat): (Slot, Slot),
        (act, reason): (Act, ReleaseReason),
        told: Told,
        effects: &mut Effects,
    ) -> Hold {
        let (hold, change) = self.rooms[room].free(seat, act, reason, told);
        effects.push(Effect::Change(change));
        self.let_loose((room, seat), &hold);
        hold
    }

    /// Takes a seat that is not in its room any more, or not held, out of all else. Returns the number of its own
    /// deadline, if it had one.
    pub(super) fn let_loose(&mut self, (room, seat): (Slot, Slot), hold: &Hold) -> Option<HoldNumber> {
        self.taken -= 1;
        if hold.status != SeatStatus::Held {
            return None;
        }
        self.held -= 1;
        self.user_info_bytes -= hold.user_info.len();
        self.shares.remove(hold.origin);
        self.unhand((room, seat), &hold.holder, hold.number)
    }

    /// The holder has this held seat no longer. Returns the number of the seat's own deadline, if it had one.
    fn unhand(&mut self, (room, seat): (Slot, Slot), holder: &Holder, number: HoldNumber) -> Option<HoldNumber> {
        match holder {
            Holder::Conn(conn) => {
                self.presences.release(*conn, number, room);
                Some(number)
            }
            Holder::Cart(cart) => {
                self.owners.carts[*cart].seats.retain(|&of| of != seat);
                self.owners.party_of(*cart).has_clock_a_seat().then_some(number)
            }
            Holder::Order(_) | Holder::Block(_) => unreachable!("what is held is in a cart or a connection's"),
        }
    }

    /// A held seat goes into an order.
    pub(super) fn check_out(&mut self, (room, seat): (Slot, Slot), to: Turned, effects: &mut Effects) {
        let hold = &self.rooms[room].seat_at(seat).hold;
        let (holder, number, origin) = (hold.holder.clone(), hold.number, hold.origin);
        let claim = self.claim(room, &to.holder);
        let change = self.rooms[room].turn(seat, Act::Checkout, to, claim);
        effects.push(Effect::Change(change));
        self.held -= 1;
        self.user_info_bytes -= self.rooms[room].seat_at(seat).hold.user_info.len();
        self.shares.remove(origin);
        if self.unhand((room, seat), &holder, number).is_some() {
            self.forget_deadline();
        }
    }

    /// A seat in checkout is held again, by a cart or a v1 connection. `ends`: as with [`Shard::give`].
    pub(super) fn take_back(&mut self, (room, seat): (Slot, Slot), to: Turned, ends: Millis, effects: &mut Effects) {
        let (holder, number) = (to.holder.clone(), to.number);
        let claim = self.claim(room, &to.holder);
        let change = self.rooms[room].turn(seat, Act::BackToCart, to, claim);
        effects.push(Effect::Change(change));
        self.held += 1;
        let hold = &self.rooms[room].seat_at(seat).hold;
        self.user_info_bytes += hold.user_info.len();
        self.shares.add(hold.origin);
        match holder {
            Holder::Conn(conn) => {
                self.presences.hold(conn, number, room, seat);
                let due = Due::Seat { room, seat };
                self.deadlines.push(Deadline { at: ends, due, number: number.0 });
            }
            Holder::Cart(cart) => self.owners.carts[cart].seats.push(seat),
            Holder::Order(_) | Holder::Block(_) => unreachable!("what is held is in a cart or a connection's"),
        }
    }

    /// A seat in checkout is sold to its order.
    pub(super) fn book_seat(&mut self, (room, seat): (Slot, Slot), to: Turned, effects: &mut Effects) {
        let claim = self.claim(room, &to.holder);
        effects.push(Effect::Change(self.rooms[room].turn(seat, Act::Book, to, claim)));
    }

    /// A seat that is held, or blocked, is sold to an order that did not have it.
    pub(super) fn turn_unasked(&mut self, (room, seat): (Slot, Slot), to: Turned, effects: &mut Effects) {
        let hold = &self.rooms[room].seat_at(seat).hold;
        let (holder, number, origin) = (hold.holder.clone(), hold.number, hold.origin);
        let (was_held, user_info_bytes) = (hold.status == SeatStatus::Held, hold.user_info.len());
        let claim = self.claim(room, &to.holder);
        effects.push(Effect::Change(self.rooms[room].turn(seat, Act::BookUnasked, to, claim)));
        if was_held {
            self.held -= 1;
            self.user_info_bytes -= user_info_bytes;
            self.shares.remove(origin);
            if self.unhand((room, seat), &holder, number).is_some() {
                self.forget_deadline();
            }
        }
    }

    /// Something has ended before its time.
    pub(super) fn forget_deadline(&mut self) {
        self.deadlines.forget_one(|entry| is_live(&self.rooms, &self.owners, entry));
    }
}
