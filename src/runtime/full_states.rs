//! The full states that a shard has encoded lately: once for all who need the same one.
//!
//! Invariant: what is kept here is dropped when nobody waits for it any more. Never here: who needs one.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::audience::full_state::{Alive, FullState};
use crate::engine::ids::{Epoch, RoomId};
use crate::engine::time::Millis;
use crate::limits::{FULL_STATE_TURN_MS, FULL_STATES_AT_ONCE, FULL_STATES_BYTES_MAX, FULL_STATES_KEPT_MAX};

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
    /// Connections that lag, have drained, and wait for their turn.
    waiting: VecDeque<(u32, u32)>,
    /// Connections that are being sent one, and since when.
    sending: VecDeque<(u32, u32, Millis)>,
}

impl FullStates {
    pub(crate) fn new(alive: Alive) -> Self {
        Self { kept: Vec::new(), alive, waiting: VecDeque::new(), sending: VecDeque::new() }
    }

    /// Whether the next one may begin.
    pub(crate) fn may_begin(&self) -> bool {
        self.sending.len() < FULL_STATES_AT_ONCE && !self.is_at_bound()
    }

    /// Puts a connection behind the others that wait.
    pub(crate) fn wait(&mut self, slot: u32, generation: u32) {
        self.waiting.push_back((slot, generation));
    }

    /// A connection is going to be sent one.
    pub(crate) fn begin(&mut self, slot: u32, generation: u32, now: Millis) {
        if !self.sending.iter().any(|&(at, of, _)| (at, of) == (slot, generation)) {
            self.sending.push_back((slot, generation, now));
        }
    }

    /// The connection has been sent everything, or has ended. Says whether others waited for that.
    pub(crate) fn finish(&mut self, slot: u32, generation: u32) -> bool {
        let before = self.sending.len();
        if before > 0 {
            self.sending.retain(|&(at, of, _)| (at, of) != (slot, generation));
        }
        self.sending.len() < before
    }

    /// Those who have had their turn no longer count.
    pub(crate) fn expire(&mut self, now: Millis) {
        while self.sending.front().is_some_and(|(_, _, since)| now.0.saturating_sub(since.0) >= FULL_STATE_TURN_MS) {
            self.sending.pop_front();
        }
    }

    /// As many of those who wait as may begin.
    pub(crate) fn next(&mut self) -> Vec<(u32, u32)> {
        if self.is_at_bound() {
            return Vec::new();
        }
        let free = FULL_STATES_AT_ONCE.saturating_sub(self.sending.len());
        self.waiting.drain(..free.min(self.waiting.len())).collect()
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
