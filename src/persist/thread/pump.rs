//! What the store thread does with the batches that it took: it groups them, commits the group, and says what the
//! commit was worth.
//!
//! Invariants: batches of a shard are committed in their order; nothing is forgotten before it is committed; a group
//! that failed is offered to the store again as it is. Never here: threads, waiting, clocks, so that a simulation can
//! drive it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::acts::event::Placed;
use crate::acts::ring::Ring;
use crate::engine::ids::ShardId;
use crate::engine::time::{Millis, WallMillis};

use crate::persist::batch::{Batch, Group};
use crate::persist::queue::Offer;
use crate::persist::record::{StoredHold, beside};
use crate::persist::stores::store::{Continuity, LogShare, Store, StoreError};

use super::restore::Restored;

/// What was taken and is not committed.
#[derive(Debug)]
pub struct Pump {
    shards: usize,
    group: Group,
    /// The last batch taken of each shard; 0 when none is in the group.
    numbers: Vec<u64>,
    /// When the group's oldest change was made.
    since: Option<Millis>,
    /// What goes to the log with the group, where there is one.
    log: Option<Log>,
}

/// The log that the store keeps, and what waits for it.
#[derive(Debug)]
struct Log {
    ring: Arc<Ring>,
    coming: Vec<Placed>,
    has_gap: bool,
}

/// A group that was committed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committed {
    /// Changes in it.
    pub entries: usize,
    /// When the oldest of them was made.
    pub since: Option<Millis>,
    /// The last batch of each shard that was in it.
    pub batches: Vec<(ShardId, u64)>,
    /// Whether the store still has what was committed before.
    pub continuity: Continuity,
}

impl Log {
    /// What comes and what goes with the next commit. At a gap that is all: who starts with what the store has would
    /// read on over it.
    fn share(&self) -> (&[Placed], Vec<u64>) {
        if self.has_gap {
            let mut going = self.ring.places();
            going.extend(self.coming.iter().map(|(place, _)| *place));
            return (&[], going);
        }
        (&self.coming, self.ring.going(&self.coming))
    }

    /// What waited is committed.
    fn show(&mut self, wall: WallMillis) {
        self.ring.append(std::mem::take(&mut self.coming));
        if std::mem::take(&mut self.has_gap) {
            tracing::error!("events are missing in the log: the store was away for too long; readers are told 410");
            self.ring.note_gap(wall);
        }
    }
}

impl Pump {
    /// A pump for this many shards.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        Self { shards, group: Group::default(), numbers: vec![0; shards], since: None, log: None }
    }

    /// The same with a log, which shows what is committed.
    #[must_use]
    pub fn with_log(mut self, ring: Option<Arc<Ring>>) -> Self {
        self.log = ring.map(|ring| Log { ring, coming: Vec::new(), has_gap: false });
        self
    }

    /// Takes batches in.
    pub fn add(&mut self, offers: Vec<(ShardId, Offer)>, wall: WallMillis) {
        for (shard, mut offer) in offers {
            let logged = offer.batch.take_log();
            if let Some(log) = self.log.as_mut().filter(|_| !logged.is_empty()) {
                log.coming.extend(log.ring.place(logged.events, wall));
                log.has_gap |= logged.has_gap;
            }
            let number = &mut self.numbers[shard.index()];
            assert!(offer.number > *number, "a shard's batches are taken in the order of their numbers");
            *number = offer.number;
            self.since = Some(self.since.map_or(offer.since, |since| since.min(offer.since)));
            self.group.add(shard, self.shards, offer.batch);
            debug_assert!(!self.is_idle(), "what was taken is to be committed");
        }
    }

    /// What the start made of the stored holds goes to the store with the first group.
    pub fn begin(&mut self, restored: &Restored) {
        assert!(self.is_idle(), "the start comes before everything else");
        assert_eq!(restored.shards.len(), self.shards, "what was read is sorted for these shards");
        let mut batch = Batch::default();
        // What the log tells goes with its event, from the shard that tells it.
        let lapsed = restored.log.iter().flat_map(|log| &log.lapsed).filter(|_| self.log.is_some());
        let (mut seats, mut kept) = (BTreeSet::new(), BTreeSet::new());
        for lapsed in lapsed {
            seats.extend(lapsed.records.iter().map(|seat| (&lapsed.room, seat)));
            kept.extend(lapsed.kept.iter().map(|entry| (&lapsed.room, beside::name(entry))));
        }
        let expired = restored.expired.iter().filter(|(room, seat)| !seats.contains(&(room, seat)));
        expired.for_each(|(room, seat)| batch.put(room, seat.clone(), None));
        for StoredHold { room, seat, held } in &restored.shortened {
            batch.put(room, seat.clone(), Some(held.clone()));
        }
        let ended = restored.ended.iter().filter(|of| !kept.contains(&(&of.room, beside::name(&of.entry))));
        ended.for_each(|kept| batch.keep(kept));
        self.group.add(ShardId::new(0), self.shards, batch);
    }

    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.group.is_empty() && self.numbers.iter().all(|&number| number == 0)
    }

    /// Changes that are not committed, the memory they take, and when the oldest was made.
    #[must_use]
    pub fn backlog(&self) -> (usize, usize, Option<Millis>) {
        (self.group.entries(), self.group.bytes(), self.since)
    }

    /// Tries to commit what there is.
    ///
    /// # Errors
    /// Those of the store. What there is stays, to be tried again.
    pub fn commit(&mut self, store: &mut dyn Store, wall: WallMillis) -> Result<Committed, StoreError> {
        if self.group.has_resets() {
            let stored = store.rooms()?;
            self.group.resolve(&stored, self.shards);
        }
        assert!(!self.group.has_resets(), "full states are resolved before they are committed");
        let (coming, going) = self.log.as_ref().map_or((&[][..], Vec::new()), Log::share);
        let continuity = store.commit_logged(
            self.group.deltas(),
            LogShare { coming, going: &going, is_awaited: self.group.is_awaited() },
            wall,
        )?;
        if let Some(log) = &mut self.log {
            log.show(wall);
        }
        let group = std::mem::take(&mut self.group);
        let numbers = self.numbers.iter_mut().enumerate().filter(|(_, number)| **number > 0);
        let batches = numbers.map(|(shard, number)| (ShardId::new(shard), std::mem::take(number))).collect();
        debug_assert!(self.is_idle(), "everything that was taken is committed");
        Ok(Committed { entries: group.entries(), since: self.since.take(), batches, continuity })
    }
}
