//! A store in memory: records as a real one keeps them, and the log, written together. It is both real stores: one
//! whose answer means that all is safe, and one that in `window` mode syncs only what somebody waits for.
//!
//! After each commit it is read like after a crash: its records and its log say the same.

use std::collections::{BTreeMap, BTreeSet};

use butaca::acts::event::Placed;
use butaca::engine::command::{Claim, KeptEntry, OrderState};
use butaca::engine::ids::{RoomId, SeatId};
use butaca::engine::time::WallMillis;
use butaca::persist::batch::Deltas;
use butaca::persist::record::StoredBeside;
use butaca::persist::stores::store::{Continuity, Loaded, LogShare, Store, StoreError};

use super::log::{LogReader, Logged, Seats};

/// What the next commit does.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Mood {
    #[default]
    Well,
    /// Nothing happens, and it says so.
    Fails,
    /// It happens, and the answer is lost.
    AnswerLost,
}

/// What is written.
#[derive(Clone, Default)]
struct Written {
    records: BTreeMap<(RoomId, String), Vec<u8>>,
    log: BTreeMap<u64, Placed>,
}

#[derive(Default)]
pub(crate) struct Disk {
    written: Written,
    /// What survives a power failure.
    synced: Written,
    /// Whether each commit is synced before it returns.
    syncs_first: bool,
    pub(crate) mood: Mood,
    /// Whether records may be ahead of the log, since a full state is on its way.
    pub(crate) is_ahead: bool,
    log: LogReader,
    /// The same up to what survives a power failure.
    synced_log: LogReader,
}

impl Disk {
    pub(crate) fn new(syncs_first: bool) -> Self {
        Self { syncs_first, ..Self::default() }
    }

    /// The power fails. Returns whether something is lost.
    pub(crate) fn lose_power(&mut self) -> bool {
        let is_lost = self.written.log.keys().ne(self.synced.log.keys()) || self.written.records != self.synced.records;
        self.written = self.synced.clone();
        self.log = self.synced_log.clone();
        is_lost
    }

    /// Where the events are that it keeps.
    pub(crate) fn places(&self) -> Vec<u64> {
        self.written.log.keys().copied().collect()
    }

    /// What the log says.
    pub(crate) fn logged(&self) -> &Seats {
        &self.log.seats
    }

    fn read(&self) -> Loaded {
        let mut loaded = Loaded { log: self.written.log.values().cloned().collect(), ..Loaded::default() };
        self.written.records.iter().for_each(|((room, name), bytes)| loaded.take_in(room, name, bytes));
        assert_eq!(loaded.skipped, 0, "every record is read");
        loaded
    }

    /// The records and the log say the same of every seat, and an order that lives has its seats.
    fn check(&self) {
        let loaded = self.read();
        let seats: Seats = loaded
            .holds
            .iter()
            .map(|of| ((of.room.clone(), of.seat.clone()), Logged::new(of.held.status, of.held.claim.as_ref())))
            .collect();
        assert_eq!(seats, self.log.seats, "what is stored is not what the log says");
        let is_declared = |of: &&StoredBeside| matches!(of.entry, KeptEntry::Settings(Some(_)));
        let declared: BTreeSet<RoomId> = loaded.beside.iter().filter(is_declared).map(|of| of.room.clone()).collect();
        assert_eq!(declared, self.log.declared, "the rooms that are stored are not those of the log");
        for stored in &loaded.beside {
            let KeptEntry::Order(id, Some(order)) = &stored.entry else { continue };
            if !matches!(order.state, OrderState::Checkout | OrderState::Booked) {
                continue;
            }
            let is_there = |seat: &SeatId| {
                let found = loaded.holds.iter().find(|of| of.room == stored.room && of.seat == *seat);
                found.is_some_and(|of| of.held.claim == Some(Claim::Order(id.clone())))
            };
            let mut standing = order.seats.iter().filter(|seat| !order.refunded.contains(seat));
            assert!(standing.all(is_there), "{id} is stored as {order:?} without all its seats");
        }
    }
}

impl Store for Disk {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        Ok(self.read())
    }

    fn rooms(&mut self) -> Result<Vec<RoomId>, StoreError> {
        let rooms: BTreeSet<RoomId> = self.written.records.keys().map(|(room, _)| room.clone()).collect();
        Ok(rooms.into_iter().collect())
    }

    fn commit_logged(&mut self, deltas: &Deltas, log: LogShare<'_>, _: WallMillis) -> Result<Continuity, StoreError> {
        let away = || Err(StoreError::Away("a fault".into()));
        if self.mood == Mood::Fails {
            return away();
        }
        let written = &mut self.written;
        for (room, delta) in deltas {
            if delta.replace {
                written.records.retain(|(of, _), _| of != room);
            }
            for (name, bytes) in delta.records(room) {
                let key = (room.clone(), name.to_owned());
                match bytes {
                    Some(bytes) => _ = written.records.insert(key, bytes),
                    None => _ = written.records.remove(&key),
                }
            }
        }
        written.log.extend(log.coming.iter().map(|placed| (placed.0, placed.clone())));
        // Before some of it may go at once.
        self.log.read(&written.log);
        if let Some(last) = log.going.last() {
            written.log = written.log.split_off(&(last + 1));
        }
        if !self.is_ahead {
            self.check();
        }
        if self.syncs_first || log.is_awaited {
            self.synced = self.written.clone();
            self.synced_log = self.log.clone();
        }
        if self.mood == Mood::AnswerLost { away() } else { Ok(Continuity::Kept) }
    }

    fn renew(&mut self, _: WallMillis) -> Result<Continuity, StoreError> {
        Ok(Continuity::Kept)
    }

    fn lease_ms(&self) -> u64 {
        1_000_000
    }

    fn close(&mut self) {}
}
