//! One seat at a time, by a connection that acts for itself: protocol v1.
//!
//! Invariant: each seat has a clock of its own. Never here: carts.

use std::sync::Arc;

use super::Shard;
use crate::engine::command::{Act, Asker, Caller, Effect, Effects, Reject, ReleaseReason, RequestType, SeatStatus};
use crate::engine::deadlines::HoldNumber;
use crate::engine::ids::{ConnId, SeatId};
use crate::engine::room::{Hold, Holder, Room, Seat};
use crate::engine::slab::Slot;
use crate::engine::time::Now;

impl Shard {
    pub(super) fn select(
        &mut self,
        now: Now,
        caller: Caller<'_>,
        at: (&str, &str),
        user_info: &str,
        effects: &mut Effects,
    ) {
        if caller.identity.is_some() {
            return self.select_as_owner(now, caller, at, user_info, effects);
        }
        let (room, seat) = at;
        let conn = caller.conn;
        #[cfg(debug_assertions)]
        self.grant_twice(conn, room, seat);
        let known = self.find(room);
        self.know_again(caller, known);
        if let Some((slot, held)) = known.and_then(|slot| Some((slot, self.rooms[slot].seat(seat)?.1))) {
            return effects.push(Self::select_taken(caller, &self.rooms[slot], held));
        }
        if let Some(reject) = self.select_limit(caller, known, user_info).or_else(|| self.too_soon(caller, at)) {
            return self.refuse(caller.asker(), reject, RequestType::Select, (room, Some(seat)), effects);
        }
        let id = SeatId::checked(seat);
        if known.is_some_and(|slot| !self.rooms[slot].has_place(&id)) {
            let at = (room, Some(seat));
            return self.refuse(caller.asker(), Reject::UnknownSeat, RequestType::Select, at, effects);
        }
        let hold_ms = self.hold_ms(known);
        let room = known.unwrap_or_else(|| self.open(room));
        let place = self.rooms[room].place_of(&id);
        let is_default = user_info == &*self.no_user_info;
        let hold = Hold {
            number: HoldNumber(self.holds_made.next()),
            status: SeatStatus::Held,
            holder: Holder::Conn(conn),
            client: caller.client.clone(),
            origin: caller.origin,
            user_info: if is_default { Arc::clone(&self.no_user_info) } else { user_info.into() },
            at: now.wall,
            expires_at: now.wall.after(hold_ms),
            seq: 0,
        };
        let told = (Some(conn), Some(caller.ticket));
        self.give(room, Seat { id, place, hold }, self.clock.after(hold_ms), told, effects);
    }

    /// The answer to a select of a seat that is not free.
    fn select_taken(caller: Caller<'_>, room: &Room, seat: &Seat) -> Effect {
        if seat.hold.holder.conn() == Some(caller.conn) {
            return Self::again(caller, room, seat);
        }
        let (to, room, seat) = (caller.asker(), room.id.clone(), seat.id.clone());
        let (reject, request) = (Reject::SeatTaken, RequestType::Select);
        Effect::Refused { to, reject, request, room, seat: Some(seat), details: None }
    }

    /// The answer to a select of a seat that the caller holds.
    pub(super) fn again(caller: Caller<'_>, room: &Room, seat: &Seat) -> Effect {
        let (to, client, epoch) = (caller.asker(), caller.client.clone(), room.epoch);
        let (seq, expires_at) = (seat.hold.seq, seat.hold.expires_at);
        Effect::Again { to, client, room: room.id.clone(), seat: seat.id.clone(), seq, epoch, expires_at }
    }

    /// Why the caller may not have a free seat of this room; `None` stands for a room that does not exist yet.
    fn select_limit(&self, caller: Caller<'_>, room: Option<Slot>, user_info: &str) -> Option<Reject> {
        let Caller { conn, origin, .. } = caller;
        if let Some(reject) = self.sale_forbids(room).or_else(|| self.room_forbids(room)) {
            return Some(reject);
        }
        let own = room.map_or(0, |slot| self.presences.holds_in(conn, slot) + self.paying(conn, slot));
        let most = self.max_seats(room);
        if most != 0 && own >= most {
            return Some(Reject::LimitExceeded);
        }
        if !self.shares.has_room(origin) {
            return Some(Reject::AddressLimit);
        }
        let has_place = room.map_or(self.may_open(), |slot| self.rooms[slot].may_take(1));
        let is_free = has_place && self.may_take(1) && self.presences.may_enter(conn, room);
        let fits = is_free && self.conn_has_memory(conn, user_info);
        (!fits).then_some(Reject::Overloaded)
    }

    /// How many seats of the room a v1 connection has in checkout.
    fn paying(&self, conn: ConnId, room: Slot) -> u32 {
        let cart = self.owners.of_conn(conn).and_then(|party| self.owners.cart_in(party, room));
        cart.map_or(0, |cart| self.owners.carts[cart].paying)
    }

    /// Whether the caller had this seat until a moment ago.
    fn too_soon(&self, caller: Caller<'_>, (room, seat): (&str, &str)) -> Option<Reject> {
        let until = self.barred.until((Some(caller.conn), caller.client, caller.origin), room, seat)?;
        let retry_after_ms = u32::try_from(until.0 - self.clock.0).expect("RESELECT_AFTER_MS_MAX fits");
        Some(Reject::TooSoon { retry_after_ms })
    }

    pub(super) fn release(&mut self, caller: Caller<'_>, room: &str, seat: &str, effects: &mut Effects) {
        if caller.identity.is_some() {
            return self.release_as_owner(caller, (room, seat), effects);
        }
        let conn = caller.conn;
        self.know_again(caller, self.find(room));
        let found = self.find(room).and_then(|slot| Some((slot, self.rooms[slot].seat(seat)?)));
        let reject = match found {
            None => Reject::NotHeld,
            Some((room, (slot, seat))) if seat.hold.holder.conn() == Some(conn) => {
                return self.release_own(caller.asker(), room, slot, effects);
            }
            Some((room, (_, seat))) if self.is_paying_for(conn, room, &seat.hold) => Reject::InCheckout,
            Some(_) => Reject::NotOwner,
        };
        self.refuse(caller.asker(), reject, RequestType::Release, (room, Some(seat)), effects);
    }

    /// Whether the seat is in an order in checkout of this v1 connection.
    fn is_paying_for(&self, conn: ConnId, room: Slot, hold: &Hold) -> bool {
        let cart = self.owners.of_conn(conn).and_then(|party| self.owners.cart_in(party, room));
        hold.status == SeatStatus::Checkout && self.is_own_order(cart, &hold.holder)
    }

    fn release_own(&mut self, asker: Asker, room: Slot, seat: Slot, effects: &mut Effects) {
        let (why, told) = ((Act::EndHold, ReleaseReason::Released), (Some(asker.conn), Some(asker.ticket)));
        let hold = self.end((room, seat), why, told, effects);
        self.drop_if_empty(room);
        #[cfg(debug_assertions)]
        self.use_number_again(hold.number);
        #[cfg(not(debug_assertions))]
        drop(hold);
    }
}
