//! What the store thread and the shards share: the queue, the status, and a slip a shard.
//!
//! Invariants: a thread waits here for moments at most; the number of committed batches on a slip only grows; what the
//! start has restored is taken once. Never here: what a shard does with what it finds, how a store works.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::acts::event::Resumed;
use crate::engine::command::RestoredRoom;
use crate::engine::ids::{RoomId, ShardId};

use super::queue::Queue;
use super::record::StoredHold;
use super::status::StoreStatus;

/// What the store thread and the shards share.
#[derive(Debug)]
pub struct StoreLink {
    /// Batches on their way to the store thread.
    pub queue: Arc<Queue>,
    /// How the store is doing.
    pub status: Arc<StoreStatus>,
    slips: Box<[Slip]>,
}

/// What the store thread leaves for one shard. Ring the shard after writing.
#[derive(Debug, Default)]
struct Slip {
    /// The last batch that is committed.
    committed: AtomicU64,
    owes_full_state: AtomicBool,
    restored: Mutex<Option<Vec<StoredHold>>>,
    rooms: Mutex<BTreeMap<RoomId, RestoredRoom>>,
    log: Mutex<Resumed>,
}

impl StoreLink {
    /// For this many shards.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        Self {
            queue: Arc::new(Queue::new(shards)),
            status: Arc::new(StoreStatus::default()),
            slips: std::iter::repeat_with(Slip::default).take(shards).collect(),
        }
    }

    /// The shard's batches up to this one are committed.
    pub fn note_committed(&self, shard: ShardId, batch: u64) {
        let before = self.slip(shard).committed.fetch_max(batch, Ordering::Release);
        assert!(before < batch, "a batch is committed once, after those before it");
    }

    /// The store has lost something: every shard is to send everything anew.
    pub fn note_full_state_owed(&self) {
        self.slips.iter().for_each(|slip| slip.owes_full_state.store(true, Ordering::Release));
    }

    /// Gives each shard its rooms, before its holds.
    pub fn note_restored_rooms(&self, shards: Vec<BTreeMap<RoomId, RestoredRoom>>) {
        assert_eq!(shards.len(), self.slips.len(), "each shard gets its own");
        for (slip, rooms) in self.slips.iter().zip(shards) {
            *slip.rooms.lock().unwrap_or_else(PoisonError::into_inner) = rooms;
        }
    }

    /// The rooms that the start has restored for this shard. They are given once.
    #[must_use]
    pub fn take_restored_rooms(&self, shard: ShardId) -> BTreeMap<RoomId, RestoredRoom> {
        std::mem::take(&mut *self.slip(shard).rooms.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells each shard what concerns the log, before it gets its rooms.
    pub fn note_restored_log(&self, shards: Vec<Resumed>) {
        assert_eq!(shards.len(), self.slips.len(), "each shard gets its own");
        for (slip, log) in self.slips.iter().zip(shards) {
            *slip.log.lock().unwrap_or_else(PoisonError::into_inner) = log;
        }
    }

    /// What this shard has to know of the log. It is told once.
    #[must_use]
    pub fn take_restored_log(&self, shard: ShardId) -> Resumed {
        std::mem::take(&mut *self.slip(shard).log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives each shard its holds, so that it can begin to serve.
    pub fn note_restored(&self, shards: Vec<Vec<StoredHold>>) {
        assert_eq!(shards.len(), self.slips.len(), "each shard gets its own");
        for (slip, holds) in self.slips.iter().zip(shards) {
            debug_assert!(slip.restored.lock().is_ok_and(|restored| restored.is_none()), "a start restores once");
            *slip.restored.lock().unwrap_or_else(PoisonError::into_inner) = Some(holds);
        }
    }

    /// The last batch of this shard that is committed.
    #[must_use]
    pub fn committed(&self, shard: ShardId) -> u64 {
        self.slip(shard).committed.load(Ordering::Acquire)
    }

    /// Whether the shard is to send everything anew. It is asked for once.
    #[must_use]
    pub fn take_full_state_owed(&self, shard: ShardId) -> bool {
        self.slip(shard).owes_full_state.swap(false, Ordering::AcqRel)
    }

    /// What the start has restored for this shard, as soon as that is known. It is given once.
    #[must_use]
    pub fn take_restored(&self, shard: ShardId) -> Option<Vec<StoredHold>> {
        self.slip(shard).restored.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn slip(&self, shard: ShardId) -> &Slip {
        debug_assert!(shard.index() < self.slips.len(), "each shard of this server has a slip");
        &self.slips[shard.index()]
    }
}
