//! The full states that a shard has encoded lately: once for all who need the same one.
//!
//! Who joins a busy room gets one that is a moment old, and the frames of what happened since: ten thousand who come back
//! together, while seats change hands, would otherwise need an encoding and a copy of megabytes each.
//! Invariants: the frames kept behind a state are all events since then, in order; what is kept here is dropped soon after
//! nobody needs it any more. Never here: who needs one.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::audience::full_state::{Alive, FullState};
use crate::engine::command::Change;
use crate::engine::ids::{ClientId, Epoch, RoomId};
use crate::engine::time::Millis;
use crate::limits::{
    FULL_STATE_KEPT_MS, FULL_STATE_TURN_MS, FULL_STATES_AT_ONCE, FULL_STATES_BYTES_MAX, FULL_STATES_KEPT_MAX,
    JOIN_SINCE_BYTES_MAX,
};

/// What was captured of a room for one connection.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    /// Frames of its own.
    pub(crate) frames: Vec<u8>,
    /// The full state behind them, when others may want the same one.
    pub(crate) state: Option<Arc<FullState>>,
    /// Frames of what happened since that full state.
    pub(crate) since: Vec<u8>,
}

impl Captured {
    /// Frames, and nothing that others share.
    pub(crate) fn alone(frames: Vec<u8>) -> Self {
        Self { frames, ..Self::default() }
    }
}

/// A full state and the moment it tells.
#[derive(Debug)]
struct Kept {
    room: RoomId,
    epoch: Epoch,
    seq: u64,
    state: Arc<FullState>,
    /// The frames of the events after `seq`.
    since: Vec<u8>,
    /// Whom those events are about.
    about: Vec<ClientId>,
    /// The last of those events.
    upto: u64,
    /// When it was last needed.
    used: Millis,
}

/// A full state that is a moment old, and what happened since.
#[derive(Debug)]
pub(crate) struct Recent<'a> {
    pub(crate) state: Arc<FullState>,
    /// The moment that it tells.
    pub(crate) seq: u64,
    pub(crate) since: &'a [u8],
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

    /// A full state from which the kept frames lead to `seq`. None of them is about `client`: it would be told again, as of
    /// another, what it did before it left and came back.
    pub(crate) fn recent(
        &mut self,
        room: &RoomId,
        epoch: Epoch,
        seq: u64,
        client: &ClientId,
        now: Millis,
    ) -> Option<Recent<'_>> {
        let kept = self.kept.iter_mut().find(|kept| kept.upto == seq && kept.epoch == epoch && kept.room == *room)?;
        if kept.about.contains(client) {
            return None;
        }
        kept.used = now;
        Some(Recent { state: Arc::clone(&kept.state), seq: kept.seq, since: &kept.since })
    }

    /// Something happened in a room, and this is what its members are told of it.
    pub(crate) fn note(&mut self, change: &Change, frame: &[u8]) {
        let Some(index) = self.kept.iter().position(|kept| kept.room == change.room) else { return };
        let kept = &mut self.kept[index];
        let bytes_max = JOIN_SINCE_BYTES_MAX.min(kept.state.frame().len() / 4);
        let follows = kept.epoch == change.epoch && kept.upto + 1 == change.seq;
        if follows && kept.since.len() + frame.len() <= bytes_max {
            kept.since.extend_from_slice(frame);
            kept.about.push(change.client.clone());
            kept.upto = change.seq;
        } else {
            self.kept.swap_remove(index);
        }
    }

    pub(crate) fn keep(
        &mut self,
        room: &RoomId,
        epoch: Epoch,
        seq: u64,
        frame: Vec<u8>,
        now: Millis,
    ) -> Arc<FullState> {
        let state = FullState::new(frame, &self.alive);
        self.kept.retain(|kept| kept.room != *room);
        if self.kept.len() == FULL_STATES_KEPT_MAX {
            self.kept.remove(0);
        }
        let (room, since, about) = (room.clone(), Vec::new(), Vec::new());
        self.kept.push(Kept { room, epoch, seq, state: Arc::clone(&state), since, about, upto: seq, used: now });
        state
    }

    /// Forgets the states that nobody waits for and nobody has asked for lately.
    pub(crate) fn tidy(&mut self, now: Millis) {
        let is_fresh = |kept: &Kept| now.0.saturating_sub(kept.used.0) < FULL_STATE_KEPT_MS;
        self.kept.retain(|kept| Arc::strong_count(&kept.state) > 1 || is_fresh(kept));
    }
}

#[cfg(test)]
mod tests {
    use super::{Alive, FullStates};
    use crate::engine::command::{Change, ChangeKind, ReleaseReason};
    use crate::engine::ids::{ClientId, Epoch, RoomId, SeatId, ShardSet};
    use crate::engine::time::Millis;
    use crate::limits::{FULL_STATE_KEPT_MS, JOIN_SINCE_BYTES_MAX};

    const EPOCH: Epoch = Epoch(1);

    fn room() -> RoomId {
        RoomId::new("arena").expect("a name")
    }

    fn client(name: &str) -> ClientId {
        ClientId::new(name).expect("a name")
    }

    fn kept(bytes: usize) -> FullStates {
        let mut states = FullStates::new(Alive::default());
        drop(states.keep(&room(), EPOCH, 5, vec![b's'; bytes], Millis(0)));
        states
    }

    fn note(states: &mut FullStates, epoch: Epoch, seq: u64, frame: &[u8]) {
        let change = Change {
            room: room(),
            seat: SeatId::new("A1").expect("a name"),
            client: client("ana"),
            seq,
            epoch,
            actor: None,
            audience: ShardSet::EMPTY,
            kind: ChangeKind::Released { reason: ReleaseReason::Expired },
        };
        states.note(&change, frame);
    }

    fn told(states: &mut FullStates, epoch: Epoch, seq: u64) -> Option<(u64, Vec<u8>)> {
        let recent = states.recent(&room(), epoch, seq, &client("eva"), Millis(1));
        recent.map(|recent| (recent.seq, recent.since.to_vec()))
    }

    #[test]
    fn who_joins_gets_an_older_state_and_all_that_happened_since() {
        let mut states = kept(1_000);
        assert_eq!(told(&mut states, EPOCH, 5), Some((5, Vec::new())));
        note(&mut states, EPOCH, 6, b"six");
        note(&mut states, EPOCH, 7, b"seven");
        assert_eq!(told(&mut states, EPOCH, 7), Some((5, b"sixseven".to_vec())));
        assert_eq!(told(&mut states, EPOCH, 6), None, "it cannot be taken back");
        assert_eq!(told(&mut states, Epoch(2), 7), None, "another life of the room");
        assert!(states.find(&room(), EPOCH, 7).is_none(), "who lags needs the present one");
        assert!(states.recent(&room(), EPOCH, 7, &client("ana"), Millis(1)).is_none(), "she knows that already");
    }

    #[test]
    fn a_hole_another_epoch_and_the_bound_end_it() {
        let noted: [(Epoch, u64, usize); 4] =
            [(EPOCH, 7, 1), (EPOCH, 5, 1), (Epoch(2), 6, 1), (EPOCH, 6, JOIN_SINCE_BYTES_MAX + 1)];
        for (epoch, seq, len) in noted {
            let mut states = kept(8 * JOIN_SINCE_BYTES_MAX);
            note(&mut states, epoch, seq, &vec![b'x'; len]);
            assert_eq!(told(&mut states, epoch, seq), None, "{seq}, {len} bytes");
            assert_eq!(told(&mut states, EPOCH, 5), None, "the old one is forgotten");
        }
        let mut states = kept(400);
        note(&mut states, EPOCH, 6, &[b'x'; 101]);
        assert_eq!(told(&mut states, EPOCH, 6), None, "more than a quarter of the state");
    }

    #[test]
    fn a_state_is_kept_for_a_while_after_it_was_needed() {
        let mut states = kept(1_000);
        let ask = |states: &mut FullStates, now| states.recent(&room(), EPOCH, 5, &client("eva"), now).is_some();
        states.tidy(Millis(FULL_STATE_KEPT_MS - 1));
        assert!(ask(&mut states, Millis(FULL_STATE_KEPT_MS - 1)));
        states.tidy(Millis(2 * FULL_STATE_KEPT_MS - 2));
        assert!(ask(&mut states, Millis(2 * FULL_STATE_KEPT_MS - 2)), "needed a moment ago");
        states.tidy(Millis(4 * FULL_STATE_KEPT_MS));
        assert!(!ask(&mut states, Millis(4 * FULL_STATE_KEPT_MS)));
    }
}
