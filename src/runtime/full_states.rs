//! The full states that a shard has encoded lately: once for all who need the same one.
//!
//! Invariant: what is kept here is dropped when nobody waits for it any more. Never here: who needs one.

use std::sync::Arc;

use crate::audience::full_state::{Alive, FullState};
use crate::engine::ids::{Epoch, RoomId};
use crate::limits::{FULL_STATES_BYTES_MAX, FULL_STATES_KEPT_MAX};

/// What was captured of a room for one connection.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    /// Frames of its own.
    pub(crate) frames: Vec<u8>,
    /// The full state behind them, when others may want the same one.
    pub(crate) state: Option<Arc<FullState>>,
}

/// A full state and the moment it tells.
#[derive(Debug)]
struct Kept {
    room: RoomId,
    epoch: Epoch,
    seq: u64,
    state: Arc<FullState>,
}

/// The full states that were encoded last, and who waits for his.
#[derive(Debug)]
pub(crate) struct FullStates {
    kept: Vec<Kept>,
    alive: Alive,
    /// Connections that have drained and found [`FULL_STATES_BYTES_MAX`] reached.
    pub(crate) waiting: Vec<(u32, u32)>,
}

impl FullStates {
    pub(crate) fn new(alive: Alive) -> Self {
        Self { kept: Vec::new(), alive, waiting: Vec::new() }
    }

    pub(crate) fn is_at_bound(&self) -> bool {
        self.alive.bytes() > FULL_STATES_BYTES_MAX
    }

    pub(crate) fn find(&self, room: &RoomId, epoch: Epoch, seq: u64) -> Option<Arc<FullState>> {
        let kept = self.kept.iter().find(|kept| kept.seq == seq && kept.epoch == epoch && kept.room == *room)?;
        Some(Arc::clone(&kept.state))
    }

    pub(crate) fn keep(&mut self, room: &RoomId, epoch: Epoch, seq: u64, frame: Vec<u8>) -> Arc<FullState> {
        let state = FullState::new(frame, &self.alive);
        self.kept.retain(|kept| kept.room != *room);
        if self.kept.len() == FULL_STATES_KEPT_MAX {
            self.kept.remove(0);
        }
        self.kept.push(Kept { room: room.clone(), epoch, seq, state: Arc::clone(&state) });
        state
    }

    /// Forgets the states that nobody waits for.
    pub(crate) fn tidy(&mut self) {
        self.kept.retain(|kept| Arc::strong_count(&kept.state) > 1);
    }
}
