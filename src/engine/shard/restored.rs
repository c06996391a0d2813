//! What a store makes necessary: holds from before a restart, and selects that are undone.
//!
//! Never here: stores.

use std::sync::Arc;

use super::{RestoreBy, Shard};
use crate::engine::command::{Caller, Effects, RestoredHold, SeatStatus};
use crate::engine::deadlines::{Deadline, Due, HoldNumber};
use crate::engine::ids::{Epoch, Origin, SeatId};
use crate::engine::owners::Who;
use crate::engine::room::{Hold, Holder, Seat};
use crate::engine::slab::Slot;
use crate::limits::SEQ_RESTORED_MAX;

impl Shard {
    /// Gives a seat back to a hold from before a restart. What is over by now, or has no place, is left out.
    pub(super) fn restore(&mut self, room: &str, seat: &str, hold: RestoredHold<'_>) {
        let known = self.find(room);
        let has_place =
            known.map_or(self.may_open(), |slot| self.rooms[slot].may_take(1) && self.rooms[slot].seat(seat).is_none());
        if !has_place || hold.ends <= self.clock || !self.may_take(1) {
            return;
        }
        let number = HoldNumber(self.holds_made.next());
        let is_default = **hold.user_info == *self.no_user_info;
        let room = known.unwrap_or_else(|| self.open(room));
        let party = self.owners.former(hold.client, hold.origin);
        let cart = self.owners.cart_for(party, room);
        let id = SeatId::checked(seat);
        let held = Hold {
            number,
            status: SeatStatus::Held,
            holder: Holder::Cart(cart),
            client: hold.client.clone(),
            origin: hold.origin,
            user_info: Arc::clone(if is_default { &self.no_user_info } else { hold.user_info }),
            at: hold.at,
            expires_at: hold.expires_at,
            // The epoch is a new one, in which the numbers need not go on where they were.
            seq: hold.seq.min(SEQ_RESTORED_MAX),
        };
        self.shares.add(hold.origin);
        (self.taken, self.held) = (self.taken + 1, self.held + 1);
        self.user_info_bytes += held.user_info.len();
        let place = self.rooms[room].place_of(&id);
        let seat = self.rooms[room].restore(Seat { id, place, hold: held });
        self.owners.carts[cart].seats.push(seat);
        self.deadlines.push(Deadline { at: hold.ends, due: Due::Seat { room, seat }, number: number.0 });
        if self.owners.parties[party].grace == 0 {
            self.wait_for(party, hold.waits_until);
        }
    }

    /// A client that was absent is in the room again: its holds there are this connection's from now on. A name is no
    /// proof of who it is, so it must come from the same place; of a hold without one nothing but the name is known.
    pub(super) fn adopt(&mut self, caller: Caller<'_>, room: Slot) {
        let (rule, origin) = (self.fairness.restore_by, caller.origin);
        self.adopt_those(caller, room, |of| match rule {
            RestoreBy::ClientId => true,
            RestoreBy::Address => of.address == 0 || of.is_neighbour_of(origin) || origin.is_owner_of(of),
            RestoreBy::Proof => origin.is_owner_of(of),
        });
    }

    /// The same of those from there.
    pub(super) fn adopt_those(
        &mut self,
        Caller { conn, client, .. }: Caller<'_>,
        room: Slot,
        its: impl Fn(Origin) -> bool,
    ) {
        for party in self.owners.formers(client).to_vec() {
            let Who::Former(former) = &self.owners.parties[party].who else { unreachable!("it is listed as one") };
            let from = former.1;
            let Some(cart) = self.owners.cart_in(party, room).filter(|_| its(from)) else { continue };
            for seat in std::mem::take(&mut self.owners.carts[cart].seats) {
                self.rooms[room].adopt(seat, conn);
                self.presences.hold(conn, self.rooms[room].seat_at(seat).hold.number, room, seat);
            }
            self.owners.remove_cart(cart);
            self.forget_party(party);
        }
    }

    /// Undoes selects that nobody was told of.
    pub(super) fn retract(
        &mut self,
        room: &str,
        epoch: Epoch,
        selects: &[(SeatId, u64)],
        seq: u64,
        effects: &mut Effects,
    ) {
        let Some(slot) = self.find(room).filter(|&slot| self.rooms[slot].epoch == epoch) else { return };
        for (seat, select) in selects {
            let Some((seat, held)) = self.rooms[slot].seat(seat.as_str()) else { continue };
            if held.hold.seq != *select || held.hold.status != SeatStatus::Held {
                continue;
            }
            let (cart, conn) = (held.hold.holder.cart(), held.hold.holder.conn());
            // Who has not come back since a restart has made no select.
            if conn.is_none() && cart.is_none_or(|cart| self.owners.party_of(cart).has_clock_a_seat()) {
                continue;
            }
            let hold = self.rooms[slot].retract(seat);
            if self.let_loose((slot, seat), &hold).is_some() {
                self.forget_deadline();
            }
            if let Some(cart) = cart {
                self.settle(cart, false, effects);
            }
        }
        self.rooms[slot].go_back_to(seq);
        self.drop_if_empty(slot);
    }
}
