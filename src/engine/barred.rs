//! Seats whose hold has just run out, and the clients that may not take them again at once.
//!
//! Without this rule a client could keep a seat for ever: only the holder is told the deadline, and a select that
//! arrives at that very moment finds the seat free before anybody else knows. Invariants: a seat is barred for the same
//! time after each expiry, so the seats noted first are free first; at most [`BARRED_SEATS_MAX`] are remembered. Never
//! here: what a seat is.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use super::ids::{ClientId, ConnId, Origin, RoomId, SeatId};
use super::keyed::{Keyed, KeyedMap};
use super::time::Millis;
use crate::limits::BARRED_SEATS_MAX;

/// A seat, as the hash of its room and its name under the shard's key: two share one by accident only.
type SeatKey = u64;

/// Whose hold it was: the connection, if there was one, its name, and where it came from.
pub(super) type Whose<'a> = (Option<ConnId>, &'a ClientId, Origin);

/// Who may not have a seat, and until when.
#[derive(Debug)]
struct Bar {
    until: Millis,
    conn: Option<ConnId>,
    client: ClientId,
    origin: Origin,
}

/// Who may not take which seats again yet.
#[derive(Debug)]
pub(super) struct Barred {
    keyed: Keyed,
    bars: KeyedMap<SeatKey, Bar>,
    /// In the order in which they end, and some that were replaced.
    ends: VecDeque<(Millis, SeatKey)>,
}

impl Barred {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { keyed, bars: KeyedMap::with_hasher(keyed), ends: VecDeque::new() }
    }

    fn key(&self, room: &str, seat: &str) -> SeatKey {
        self.keyed.hash_one((room, seat))
    }

    /// The hold of this seat has run out: its owner may have the seat again at `until`, which never goes back. At the
    /// bound the one that would be free first is.
    pub(super) fn note(&mut self, until: Millis, room: &RoomId, seat: &SeatId, whose: Whose<'_>) {
        debug_assert!(self.ends.back().is_none_or(|(last, _)| *last <= until), "time goes on");
        if self.ends.len() == BARRED_SEATS_MAX {
            self.forget_first();
        }
        let key = self.key(room.as_str(), seat.as_str());
        let (conn, client, origin) = whose;
        self.bars.insert(key, Bar { until, conn, client: client.clone(), origin });
        self.ends.push_back((until, key));
    }

    fn forget_first(&mut self) {
        let Some((until, key)) = self.ends.pop_front() else { return };
        if self.bars.get(&key).is_some_and(|bar| bar.until == until) {
            self.bars.remove(&key);
        }
    }

    /// Forgets what is over.
    pub(super) fn forget_due(&mut self, now: Millis) {
        while self.ends.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_first();
        }
    }

    /// When the caller may have the seat; nothing if it may have it now. Its other connections may not have it either,
    /// as far as they go by the same name and come from the same place.
    pub(super) fn until(&self, (conn, client, origin): Whose<'_>, room: &str, seat: &str) -> Option<Millis> {
        if self.bars.is_empty() {
            return None;
        }
        let bar = self.bars.get(&self.key(room, seat))?;
        let is_same = bar.client == *client && bar.origin.address == origin.address;
        (is_same || conn.is_some() && bar.conn == conn).then_some(bar.until)
    }

    /// Panics when an invariant does not hold.
    pub(super) fn check_invariants(&self) {
        assert!(self.ends.len() <= BARRED_SEATS_MAX && self.bars.len() <= self.ends.len());
        assert!(self.ends.iter().is_sorted_by_key(|(until, _)| *until));
    }
}
