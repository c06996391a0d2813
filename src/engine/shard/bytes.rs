//! What holds take in memory, and how much more they may.
//!
//! Invariant: what the backend has sold or blocked is not counted, since no client makes it grow. Never here: what
//! other shards take.

use std::sync::Arc;

use super::Shard;
use crate::engine::ids::ConnId;
use crate::engine::slab::Slot;
use crate::limits::{HOLD_BYTES, USER_INFO_BYTES_PER_CONNECTION_MAX, USER_INFO_BYTES_UNCOUNTED};

impl Shard {
    /// Holds may take so many bytes from now on, see [`Shard::hold_bytes`]. At the bound a select is `overloaded`; what
    /// was held before a restart is held again in any case.
    pub fn limit_hold_bytes(&mut self, hold_bytes_max: usize) {
        self.hold_bytes_max = hold_bytes_max;
    }

    /// Bytes of memory that all holds take, about, with their `user_info`.
    #[must_use]
    pub fn hold_bytes(&self) -> usize {
        self.held * HOLD_BYTES + self.user_info_bytes
    }

    /// Whether there is memory for one hold more of this connection.
    pub(super) fn conn_has_memory(&self, conn: ConnId, user_info: &str) -> bool {
        self.has_memory(1, user_info, || self.bytes_of(self.presences.holds_of(conn)))
    }

    /// Whether there is memory for so many holds more in the carts of this party.
    pub(super) fn party_has_memory(&self, party: Slot, seats: usize, user_info: &str) -> bool {
        let party = &self.owners.parties[party];
        let carts = party.carts.iter().map(|&cart| &self.owners.carts[cart]);
        let own = carts.flat_map(|cart| cart.seats.iter().map(|&seat| (cart.room, seat)));
        party.is_holder() || self.has_memory(seats, user_info, || self.bytes_of(own))
    }

    /// Where the seats of a client are not limited its bytes are not; its first ones are never too many for it.
    fn has_memory(&self, seats: usize, user_info: &str, own: impl FnOnce() -> usize) -> bool {
        let is_counted = self.rules.seats_per_client_max != 0 && user_info.len() > USER_INFO_BYTES_UNCOUNTED;
        let own = if is_counted { own() } else { 0 };
        let has_own = own == 0 || own + user_info.len() <= USER_INFO_BYTES_PER_CONNECTION_MAX;
        has_own && self.hold_bytes() + seats * (HOLD_BYTES + user_info.len()) <= self.hold_bytes_max
    }

    /// Bytes of `user_info` of these seats. What several have got in one request is there once.
    fn bytes_of(&self, seats: impl Iterator<Item = (Slot, Slot)>) -> usize {
        let mut last: Option<&Arc<str>> = None;
        let mut bytes = 0;
        for (room, seat) in seats {
            let user_info = &self.rooms[room].seat_at(seat).hold.user_info;
            if !last.is_some_and(|last| Arc::ptr_eq(last, user_info)) {
                bytes += user_info.len();
            }
            last = Some(user_info);
        }
        bytes
    }
}
