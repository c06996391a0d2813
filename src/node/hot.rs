//! Which rooms are hot: their members stay on the shards that accepted them. All shards share the table.
//!
//! Invariant: a stale answer costs a detour and nothing else. Never here: what follows from an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::limits::HOT_SLOTS;

/// The table. Rooms whose names share a slot are hot together.
#[derive(Clone, Debug)]
pub struct HotRooms {
    slots: Arc<[AtomicBool]>,
}

impl Default for HotRooms {
    fn default() -> Self {
        Self { slots: (0..HOT_SLOTS).map(|_| AtomicBool::new(false)).collect() }
    }
}

impl HotRooms {
    fn slot(&self, room: &str) -> &AtomicBool {
        let hash = room.bytes().fold(5_381_usize, |hash, byte| hash.wrapping_mul(33) ^ usize::from(byte));
        &self.slots[hash % HOT_SLOTS]
    }

    /// Whether the room has so many members that new ones are served where they are.
    #[must_use]
    pub fn is_hot(&self, room: &str) -> bool {
        self.slot(room).load(Ordering::Relaxed)
    }

    /// The owner says whether the room is hot.
    pub fn set_hot(&self, room: &str, hot: bool) {
        let slot = self.slot(room);
        if slot.load(Ordering::Relaxed) != hot {
            slot.store(hot, Ordering::Relaxed);
        }
    }
}
