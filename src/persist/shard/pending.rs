//! A shard's side of persistence: the changes that it has not handed over yet.
//!
//! Invariants: what waits here is bounded; when it overflows it gives way to a full state, which is sent room by room
//! once the store takes batches again; a change made after its room was sent is sent after it. Never here: waiting,
//! I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::acts::event::{Event, Lapsed, Number};
use crate::engine::command::{Change, Kept, KeptEntry};
use crate::engine::ids::{RoomId, SeatId, ShardId};
use crate::engine::shard::Shard;
use crate::engine::time::Millis;
use crate::limits::acts::LOG_WAITING_BYTES_MAX;
use crate::limits::store::STORE_FULL_STATE_SEATS_PER_TURN;
use crate::planted::{Bug, has};

use crate::persist::batch::{Batch, Logged};
use crate::persist::queue::{Offer, Queue};
use crate::persist::status::StoreStatus;

/// The changes of one shard on their way to the store.
#[derive(Debug)]
pub struct Pending {
    shard: ShardId,
    queue: Arc<Queue>,
    status: Arc<StoreStatus>,
    batch: Batch,
    /// The number of the batch that is being filled.
    number: u64,
    since: Option<Millis>,
    owed: Owed,
    /// While a full state is on its way: the last batch before it, and the last batch of it once that is known.
    unsure: Option<(u64, Option<u64>)>,
    /// Events for the log, which go when the store has, or gets with them, everything that they tell.
    log: Logged,
    log_bytes: usize,
    /// The numbers of events that rooms keep, of what was handed over.
    numbers: BTreeMap<RoomId, u64>,
    /// The same of the events that wait: a number is never there without its event.
    coming: BTreeMap<RoomId, Option<u64>>,
}

/// What of the rooms must be sent anew, beside the changes.
#[derive(Debug)]
enum Owed {
    /// The store has, or will have, every change.
    Nothing,
    /// Every room. That begins when the place in the queue is free; until then no change needs to be kept.
    All,
    /// These rooms, and no others any more.
    Rooms(Vec<RoomId>),
}

impl Pending {
    /// Nothing is pending of this shard.
    #[must_use]
    pub fn new(shard: ShardId, queue: Arc<Queue>, status: Arc<StoreStatus>) -> Self {
        Self {
            shard,
            queue,
            status,
            batch: Batch::default(),
            number: 1,
            since: None,
            owed: Owed::Nothing,
            unsure: None,
            log: Logged::default(),
            log_bytes: 0,
            numbers: BTreeMap::new(),
            coming: BTreeMap::new(),
        }
    }

    /// A room keeps this number of events from before the restart.
    pub fn keep_number(&mut self, room: &RoomId, n: u64) {
        self.numbers.insert(room.clone(), n);
    }

    /// Whether the room keeps a number, or is about to.
    fn has_number(&self, room: &RoomId) -> bool {
        self.coming.get(room).map_or(self.numbers.contains_key(room), Option::is_some)
    }

    /// Takes events of the log in: they go to the store in one commit with the changes of the same input. Beyond
    /// [`LOG_WAITING_BYTES_MAX`] they are lost, and the log says so.
    pub fn log(&mut self, now: Millis, events: Vec<Event>) {
        self.since.get_or_insert(now);
        for event in events {
            match event.number {
                // One that is kept already is never behind the log, which may be trimmed.
                Number::Passing if self.has_number(&event.room) => {
                    self.coming.insert(event.room.clone(), Some(event.n));
                }
                Number::Passing => {}
                Number::Kept => _ = self.coming.insert(event.room.clone(), Some(event.n)),
                Number::Forgotten => _ = self.coming.insert(event.room.clone(), None),
            }
            self.log_bytes += event.cost();
            if self.log_bytes <= LOG_WAITING_BYTES_MAX {
                self.log.events.push(event);
            } else {
                self.log.has_gap = true;
            }
        }
    }

    /// Takes in what ended while no server looked: its records go with its event.
    pub fn lapse(&mut self, now: Millis, lapsed: &Lapsed) {
        lapsed.records.iter().for_each(|seat| self.record_free(now, &lapsed.room, seat.clone()));
        if let Some(entry) = lapsed.kept.clone() {
            self.keep(now, &Kept { room: lapsed.room.clone(), entry });
        }
    }

    /// Takes a change in: it goes to the store with the batch that is being filled.
    pub fn record(&mut self, now: Millis, change: &Change) {
        self.since.get_or_insert(now);
        if !matches!(self.owed, Owed::All) {
            self.batch.record(change);
            if self.batch.is_over() {
                self.owe_full_state();
            }
        }
    }

    /// Takes in what changed beside the seats: it goes to the store with the changes of the same input.
    pub fn keep(&mut self, now: Millis, kept: &Kept) {
        self.since.get_or_insert(now);
        if !matches!(self.owed, Owed::All) {
            self.batch.keep(kept);
            if self.batch.is_over() {
                self.owe_full_state();
            }
        }
    }

    /// An answer to the backend waits for the batch that is being filled.
    pub fn expect(&mut self) {
        self.batch.expect();
    }

    /// The number of the batch that is being filled.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The seat is free after all: its select was undone.
    pub fn record_free(&mut self, now: Millis, room: &RoomId, seat: SeatId) {
        if has(Bug::GhostOfRefusal) {
            return;
        }
        self.since.get_or_insert(now);
        if !matches!(self.owed, Owed::All) {
            self.batch.put(room, seat, None);
        }
    }

    /// Up to which batch the store has everything, when it says that it has committed `number`. While a full state is
    /// on its way that is not known of what came after its beginning was owed.
    pub fn committed(&mut self, number: u64) -> u64 {
        assert!(number < self.number, "only what was handed over is committed");
        match self.unsure {
            Some((floor, Some(last))) if number >= last => {
                assert!(floor < last, "a full state ends behind what came before it");
                self.unsure = None;
                number
            }
            Some((floor, _)) => number.min(floor),
            None => number,
        }
    }

    /// The store is to get everything anew.
    pub fn owe_full_state(&mut self) {
        let is_awaited = self.batch.is_awaited();
        let mut log = std::mem::take(&mut self.batch).take_log();
        log.merge(std::mem::take(&mut self.log));
        self.log = log;
        if is_awaited {
            self.batch.expect();
        }
        let floor = self.unsure.map_or(self.number - 1, |(floor, _)| floor);
        assert!(floor < self.number, "what came before was handed over");
        self.unsure = Some((floor, None));
        debug_assert!(self.batch.is_empty(), "a full state holds every change");
        self.owed = Owed::All;
        self.status.count_full_state();
    }

    /// Once a turn: hands over what there is, if the store thread has taken the last batch.
    pub fn flush(&mut self, now: Millis, shard: &Shard) {
        if self.is_idle() {
            return;
        }
        if !self.queue.is_free(self.shard) {
            if self.batch.is_awaited() {
                self.queue.hurry();
            }
            return;
        }
        self.add_full_state(now, shard);
        if let Some(offer) = self.next_offer(now)
            && let Err(offer) = self.queue.offer(self.shard, offer)
        {
            assert_eq!(offer.number + 1, self.number, "what comes back is what was handed over last");
            debug_assert!(self.batch.is_empty(), "nothing was taken in meanwhile");
            self.number = offer.number;
            self.batch = offer.batch;
            self.since = Some(offer.since);
        }
    }

    /// The last flush before the process ends: everything there is, on top of what may still wait.
    pub fn flush_last(&mut self, now: Millis, shard: &Shard) {
        loop {
            self.add_full_state(now, shard);
            let Some(offer) = self.next_offer(now) else { break };
            self.queue.offer_last(self.shard, offer);
        }
        assert!(self.batch.is_empty(), "nothing stays behind");
    }

    /// These rooms are another node's: what waits of them is forgotten, and their events are numbered there. What was
    /// handed over the store thread leaves out.
    pub fn forget(&mut self, is_gone: impl Fn(&str) -> bool) {
        let is_gone = |room: &RoomId| is_gone(room.as_str());
        self.batch.forget_rooms(is_gone);
        if let Owed::Rooms(rooms) = &mut self.owed {
            rooms.retain(|room| !is_gone(room));
        }
        self.log.events.retain(|event| !is_gone(&event.room));
        self.numbers.retain(|room, _| !is_gone(room));
        self.coming.retain(|room, _| !is_gone(room));
    }

    /// Whether no full state is on its way.
    #[must_use]
    pub fn is_sure(&self) -> bool {
        self.unsure.is_none()
    }

    /// Whether everything was handed over.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.batch.is_empty() && self.log.is_empty() && matches!(self.owed, Owed::Nothing)
    }

    fn next_offer(&mut self, now: Millis) -> Option<Offer> {
        let is_late = has(Bug::LoggedLater) && !self.batch.is_empty();
        if matches!(self.owed, Owed::Nothing) && !is_late {
            self.log_bytes = 0;
            self.batch.log(std::mem::take(&mut self.log));
            for (room, n) in std::mem::take(&mut self.coming) {
                match n {
                    Some(n) => _ = self.numbers.insert(room.clone(), n),
                    None => _ = self.numbers.remove(&room),
                }
                self.batch.keep(&Kept { room, entry: KeptEntry::Events(n) });
            }
        }
        if self.batch.is_empty() {
            return None;
        }
        let (batch, since) = (std::mem::take(&mut self.batch), self.since.take().unwrap_or(now));
        let number = self.number;
        debug_assert!(!batch.is_empty() && number > 0, "batches are counted from 1");
        self.number += 1;
        Some(Offer { number, batch, since })
    }

    fn add_full_state(&mut self, now: Millis, shard: &Shard) {
        if matches!(self.owed, Owed::All) {
            let rooms: BTreeSet<RoomId> = shard.rooms().cloned().collect();
            self.owed = Owed::Rooms(rooms.iter().cloned().collect());
            self.batch.begin_full(rooms);
        }
        assert!(
            matches!(self.owed, Owed::Nothing) || self.unsure.is_some(),
            "who owes a full state is unsure until then"
        );
        let Owed::Rooms(rooms) = &mut self.owed else { return };
        self.since.get_or_insert(now);
        let enough = self.batch.entries() + STORE_FULL_STATE_SEATS_PER_TURN;
        while self.batch.entries() < enough {
            let Some(room) = rooms.pop() else {
                self.owed = Owed::Nothing;
                self.unsure = self.unsure.map(|(floor, _)| (floor, Some(self.number)));
                return;
            };
            if let Some(state) = shard.selections(room.as_str()) {
                self.batch.replace(&room, state.seq, state.claims(), shard.beside(room.as_str()).into_iter());
                if let Some(&n) = self.numbers.get(&room) {
                    self.batch.keep(&Kept { room, entry: KeptEntry::Events(Some(n)) });
                }
            }
        }
    }
}
