//! What a store makes necessary: holds from before a restart, and selects that are undone.
//!
//! Never here: stores.

use std::sync::Arc;

use super::{RestoreBy, Shard, is_live};
use crate::engine::absent::Waiting;
use crate::engine::command::{Caller, Effect, Effects, ReleaseReason, RestoredHold};
use crate::engine::deadlines::{Deadline, Due, HoldNumber};
use crate::engine::ids::{Epoch, Origin, SeatId};
use crate::engine::room::{Hold, Owner, SeatState};
use crate::engine::slab::Slot;
use crate::limits::SEQ_RESTORED_MAX;

impl Shard {
    /// Gives a seat back to a hold from before a restart. What is over by now, or has no place, is left out.
    pub(super) fn restore(&mut self, room: &str, seat: &str, hold: RestoredHold<'_>) {
        let known = self.find(room);
        let has_place =
            known.map_or(self.may_open(), |slot| self.rooms[slot].may_grant() && self.rooms[slot].seat(seat).is_none());
        if !has_place || hold.ends <= self.clock || !self.may_hold_one_more() {
            return;
        }
        let number = HoldNumber(self.holds_made.next());
        let client = hold.client.clone();
        let is_default = **hold.user_info == *self.no_user_info;
        let held = Hold {
            number,
            owner: Owner::Absent,
            client: client.clone(),
            origin: hold.origin,
            user_info: Arc::clone(if is_default { &self.no_user_info } else { hold.user_info }),
            at: hold.at,
            expires_at: hold.expires_at,
            // The epoch is a new one, in which the numbers need not go on where they were.
            seq: hold.seq.min(SEQ_RESTORED_MAX),
        };
        self.shares.add(hold.origin);
        let room = known.unwrap_or_else(|| self.open(room));
        let seat = self.rooms[room].restore(SeatId::new(seat).expect("the ids of an input are valid"), held);
        self.deadlines.push(Deadline { at: hold.ends, due: Due::Seat { room, seat }, number: number.0 });
        self.absent.add(client, Waiting { hold: number, room, seat, origin: hold.origin }, hold.waits_until);
    }

    /// A client that was absent is in the room again: its holds there are this connection's from now on. A name is no proof of
    /// who it is, so it must come from the same place; of a hold without one nothing but the name is known.
    pub(super) fn adopt(&mut self, Caller { conn, client, origin, .. }: Caller<'_>, room: Slot) {
        if self.absent.len() == 0 {
            return;
        }
        let rule = self.fairness.restore_by;
        let its = |of: Origin| match rule {
            RestoreBy::ClientId => true,
            RestoreBy::Address => of.address == 0 || of.is_neighbour_of(origin) || origin.is_owner_of(of),
            RestoreBy::Proof => origin.is_owner_of(of),
        };
        for waiting in self.absent.adopt(client, room, its) {
            self.rooms[room].adopt(waiting.seat, conn);
            self.presences.hold(conn, waiting.hold, room, waiting.seat);
        }
    }

    /// The grace is over: what nobody came back for is free.
    pub(super) fn give_up_absent(&mut self, effects: &mut Effects) {
        if self.absent.until().is_none_or(|until| until > self.clock) {
            return;
        }
        for waiting in self.absent.give_up() {
            let (hold, change) = self.rooms[waiting.room].free(waiting.seat, ReleaseReason::Disconnected, None);
            effects.push(Effect::Change(change));
            self.shares.remove(hold.origin);
            self.deadlines.forget_one(|entry| is_live(&self.rooms, entry));
            self.drop_if_empty(waiting.room);
        }
    }

    /// Undoes selects that nobody was told of.
    pub(super) fn retract(&mut self, room: &str, epoch: Epoch, selects: &[(SeatId, u64)], seq: u64) {
        let Some(slot) = self.find(room).filter(|&slot| self.rooms[slot].epoch == epoch) else { return };
        for (seat, select) in selects {
            let Some((seat, held)) = self.rooms[slot].seat(seat.as_str()) else { continue };
            let SeatState::Held(hold) = &held.state;
            let Some(conn) = hold.owner.conn().filter(|_| hold.seq == *select) else { continue };
            let hold = self.rooms[slot].retract(seat);
            self.shares.remove(hold.origin);
            self.presences.release(conn, hold.number, slot);
            self.deadlines.forget_one(|entry| is_live(&self.rooms, entry));
        }
        self.rooms[slot].seq = seq;
        self.drop_if_empty(slot);
    }
}
