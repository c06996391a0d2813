//! The full states that a shard has encoded lately, one for everybody who needs the same; and which connections are
//! being sent one.
//!
//! A client that joins a busy room gets a full state that is a moment old, and the frames of what has happened since.
//! Otherwise ten thousand clients that come back together, while seats change hands, would each need megabytes encoded
//! and copied. Invariants: the frames kept behind a state are all events since then, in order; a state is dropped soon
//! after nobody needs it any more; nobody waits for a place for ever. Never here: who needs one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::budget::{Budget, Kind};
use super::ring::Ring;
use super::shared::Shared;
use crate::engine::command::Change;
use crate::engine::ids::{ClientId, Epoch, RoomId};
use crate::engine::time::Millis;
use crate::limits::{
    FULL_STATE_KEPT_MS, FULL_STATE_TURN_MS, FULL_STATE_WAIT_MS, FULL_STATES_AT_ONCE, FULL_STATES_BYTES_MAX,
    FULL_STATES_KEPT_MAX, JOIN_SINCE_BYTES_MAX,
};
use crate::planted::{self, Bug};

/// The full state of a room as one connection gets it.
#[derive(Clone, Debug)]
pub struct Captured {
    /// The number of the change after which it is true.
    pub seq: u64,
    /// The state, unless it need not be said because no seat is held.
    pub state: Option<Arc<Shared>>,
    /// Frames of what has happened since.
    pub since: Vec<u8>,
    /// There was no memory for the state: the connection waits for its turn, like one that lags.
    pub is_deferred: bool,
}

impl Captured {
    /// The state of exactly this moment.
    #[must_use]
    pub fn now(seq: u64, state: Option<Arc<Shared>>) -> Self {
        Self { seq, state, since: Vec::new(), is_deferred: false }
    }

    /// A state that there is no memory for.
    #[must_use]
    pub fn deferred(seq: u64) -> Self {
        Self { seq, state: None, since: Vec::new(), is_deferred: true }
    }
}

/// How many full states may be on their way.
#[derive(Clone, Copy, Debug)]
pub struct FullStateBounds {
    /// Connections that lag and are sent one at the same time.
    pub at_once: usize,
    /// Bytes of all that are alive.
    pub bytes_max: usize,
    /// Bytes of events behind one.
    pub since_bytes_max: usize,
}

impl Default for FullStateBounds {
    fn default() -> Self {
        Self { at_once: FULL_STATES_AT_ONCE, bytes_max: FULL_STATES_BYTES_MAX, since_bytes_max: JOIN_SINCE_BYTES_MAX }
    }
}

/// A full state and the moment it tells.
#[derive(Debug)]
struct Kept {
    room: RoomId,
    epoch: Epoch,
    seq: u64,
    state: Arc<Shared>,
    /// The frames of the events after `seq`, up to `upto`: written when somebody joins.
    since: Vec<u8>,
    upto: u64,
    /// When it was last needed.
    used: Millis,
}

/// The full states that were encoded last, and who waits for one.
#[derive(Debug)]
pub struct FullStates {
    kept: Vec<Kept>,
    budget: Budget,
    bounds: FullStateBounds,
    /// Connections that lag, have drained, and wait for their turn, and since when.
    waiting: VecDeque<(Name, Millis)>,
    /// Connections that lagged, and whose turn it is.
    places: BTreeMap<Name, Place>,
    /// The same in the order in which they got their places, and some that have given theirs back.
    given: VecDeque<(Name, Millis)>,
}

/// A connection: slot and generation.
type Name = (u32, u32);

/// A turn to be sent a full state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    since: Millis,
    /// It has waited, and has not asked yet.
    is_granted: bool,
}

impl FullStates {
    /// None yet. `budget` counts those of all shards.
    #[must_use]
    pub fn new(budget: &Budget, bounds: FullStateBounds) -> Self {
        let (waiting, places, given) = (VecDeque::new(), BTreeMap::new(), VecDeque::new());
        Self { kept: Vec::new(), budget: budget.clone(), bounds, waiting, places, given }
    }

    /// Whether this connection, which lags, may be sent one now: it has waited for that, or there is a place.
    #[must_use]
    pub fn may_begin(&self, slot: u32, generation: u32) -> bool {
        self.places.get(&(slot, generation)).is_some_and(|place| place.is_granted) || self.has_place()
    }

    fn has_place(&self) -> bool {
        self.places.len() < self.bounds.at_once && !self.is_at_bound()
    }

    /// Puts a connection behind the others that wait.
    pub fn wait(&mut self, slot: u32, generation: u32, now: Millis) {
        crate::marks::hit("somebody who waits for a full state");
        self.waiting.push_back(((slot, generation), now));
    }

    /// A connection that lagged is going to be sent one.
    pub fn begin(&mut self, slot: u32, generation: u32, now: Millis) {
        self.give_place((slot, generation), Place { since: now, is_granted: false });
    }

    fn give_place(&mut self, name: Name, place: Place) {
        self.places.insert(name, place);
        self.given.push_back((name, place.since));
    }

    /// The connection has been sent everything that was queued. Says whether others may have waited for that.
    pub fn finish(&mut self, slot: u32, generation: u32) -> bool {
        let name = (slot, generation);
        let has_been_sent = self.places.get(&name).is_some_and(|place| !place.is_granted);
        if has_been_sent {
            self.places.remove(&name);
        }
        has_been_sent
    }

    /// The connection has ended.
    pub fn forget_connection(&mut self, slot: u32, generation: u32) {
        self.places.remove(&(slot, generation));
    }

    /// Those who have had their turn no longer count.
    pub fn expire(&mut self, now: Millis) {
        while let Some(&(name, since)) = self.given.front()
            && now.0.saturating_sub(since.0) >= FULL_STATE_TURN_MS
        {
            self.given.pop_front();
            if self.places.get(&name).is_some_and(|place| place.since == since) {
                self.places.remove(&name);
            }
        }
    }

    /// The next of those who wait, when there is a place or it has waited for long enough.
    pub fn next_begun(&mut self, now: Millis) -> Option<(u32, u32)> {
        let &(name, since) = self.waiting.front()?;
        let has_waited = now.0.saturating_sub(since.0) >= FULL_STATE_WAIT_MS;
        if !has_waited && !self.has_place() {
            return None;
        }
        self.waiting.pop_front();
        self.give_place(name, Place { since: now, is_granted: true });
        Some(name)
    }

    /// How many wait.
    #[must_use]
    pub fn waiting_len(&self) -> usize {
        self.waiting.len()
    }

    /// How long the one that waits longest has waited.
    #[must_use]
    pub fn longest_wait_ms(&self, now: Millis) -> u64 {
        self.waiting.front().map_or(0, |(_, since)| now.0.saturating_sub(since.0))
    }

    /// Whether there is no memory for one more.
    #[must_use]
    pub fn is_at_bound(&self) -> bool {
        let share = self.budget.max(Kind::FullStates);
        self.budget.used(Kind::FullStates) > self.bounds.bytes_max.min(share)
    }

    /// The one of exactly this moment.
    #[must_use]
    pub fn find(&self, room: &RoomId, epoch: Epoch, seq: u64) -> Option<Arc<Shared>> {
        let is_seq = |kept: &Kept| kept.seq == seq || planted::has(Bug::StateOfAnotherMoment);
        let kept = self.kept.iter().find(|kept| is_seq(kept) && kept.epoch == epoch && kept.room == *room)?;
        Some(Arc::clone(&kept.state))
    }

    /// An older one from which the changes in `ring` lead to the present. None of them is about `client`: it would be
    /// told again, as of another, what it did before it left and came back.
    pub fn recent(
        &mut self,
        room: &RoomId,
        ring: &Ring,
        client: &ClientId,
        now: Millis,
        encode: impl Fn(&mut Vec<u8>, &Change),
    ) -> Option<Captured> {
        let index = self.kept.iter().position(|kept| kept.room == *room)?;
        let kept = &mut self.kept[index];
        if ring.seq() < kept.seq {
            return None;
        }
        let Some(since) = ring.since(kept.epoch, kept.seq) else {
            self.kept.swap_remove(index);
            return None;
        };
        let bytes_max = self.bounds.since_bytes_max.min(kept.state.bytes().len() / 4);
        for change in since {
            if change.client == *client {
                return None;
            }
            if change.seq > kept.upto {
                encode(&mut kept.since, change);
                kept.upto = change.seq;
            }
            if kept.since.len() > bytes_max {
                self.kept.swap_remove(index);
                return None;
            }
        }
        kept.used = now;
        crate::marks::hit(if kept.since.is_empty() { "a shared full state" } else { "an older full state" });
        let state = Some(Arc::clone(&kept.state));
        Some(Captured { seq: kept.seq, state, since: kept.since.clone(), is_deferred: false })
    }

    /// Keeps a full state for the next who needs one. Returns the room that has to give way, if one has.
    #[must_use]
    pub fn keep(&mut self, room: &RoomId, at: (Epoch, u64), state: &Arc<Shared>, now: Millis) -> Option<RoomId> {
        self.kept.retain(|kept| kept.room != *room);
        let least = (self.kept.len() == FULL_STATES_KEPT_MAX).then(|| self.kept.remove(0).room);
        let (room, state, (epoch, seq)) = (room.clone(), Arc::clone(state), at);
        self.kept.push(Kept { room, epoch, seq, state, since: Vec::new(), upto: seq, used: now });
        least
    }

    /// Whether one of the room is kept.
    #[must_use]
    pub fn keeps(&self, room: &RoomId) -> bool {
        self.kept.iter().any(|kept| kept.room == *room)
    }

    /// Counts a new one that is not kept.
    #[must_use]
    pub fn share(&self, frame: Vec<u8>) -> Arc<Shared> {
        Shared::new(frame, Kind::FullStates, &self.budget)
    }

    /// Changes of the room are undone: what was encoded of it is not true.
    pub fn forget(&mut self, room: &RoomId) {
        self.kept.retain(|kept| kept.room != *room);
    }

    /// Forgets the states that nobody waits for and nobody has asked for lately, and returns their rooms.
    #[must_use]
    pub fn tidy(&mut self, now: Millis) -> Vec<RoomId> {
        let is_old = |kept: &mut Kept| {
            Arc::strong_count(&kept.state) == 1 && now.0.saturating_sub(kept.used.0) >= FULL_STATE_KEPT_MS
        };
        self.kept.extract_if(.., is_old).map(|kept| kept.room).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Captured, FullStateBounds, FullStates};
    use crate::audience::budget::Budget;
    use crate::audience::ring::Ring;
    use crate::engine::command::{Change, ChangeKind, ReleaseReason};
    use crate::engine::ids::{ClientId, Epoch, RoomId, SeatId, ShardSet};
    use crate::engine::time::Millis;
    use crate::limits::{
        FULL_STATE_KEPT_MS, FULL_STATE_TURN_MS, FULL_STATE_WAIT_MS, JOIN_SINCE_BYTES_MAX, RING_BYTES_MAX,
    };

    const EPOCH: Epoch = Epoch(1);

    fn room() -> RoomId {
        RoomId::new("arena").expect("a name")
    }

    fn client(name: &str) -> ClientId {
        ClientId::new(name).expect("a name")
    }

    fn kept(bytes: usize) -> (FullStates, Ring) {
        let mut states = FullStates::new(&Budget::default(), FullStateBounds::default());
        let state = states.share(vec![b's'; bytes]);
        assert_eq!(states.keep(&room(), (EPOCH, 5), &state, Millis(0)), None);
        (states, Ring::new(EPOCH, 5, RING_BYTES_MAX))
    }

    fn note(ring: &mut Ring, epoch: Epoch, seq: u64) {
        ring.push(&Arc::new(Change {
            room: room(),
            seat: SeatId::new("A1").expect("a name"),
            index: None,
            client: client("ana"),
            seq,
            epoch,
            actor: None,
            answers: None,
            held: 0,
            audience: ShardSet::EMPTY,
            kind: ChangeKind::Released { reason: ReleaseReason::Expired },
        }));
    }

    /// What `name` is told, when an event takes so many bytes.
    fn told(states: &mut FullStates, ring: &Ring, name: &str, len: usize) -> Option<(u64, String)> {
        let encode = |out: &mut Vec<u8>, change: &Change| {
            out.extend_from_slice(change.seq.to_string().as_bytes());
            out.resize(out.len() + len - 1, b'.');
        };
        let captured = states.recent(&room(), ring, &client(name), Millis(1), encode)?;
        let Captured { seq, since, .. } = captured;
        Some((seq, String::from_utf8(since).expect("digits and dots")))
    }

    #[test]
    fn who_joins_gets_an_older_state_and_all_that_happened_since() {
        let (mut states, mut ring) = kept(1_000);
        assert_eq!(told(&mut states, &ring, "eva", 1), Some((5, String::new())));
        note(&mut ring, EPOCH, 6);
        note(&mut ring, EPOCH, 7);
        assert_eq!(told(&mut states, &ring, "eva", 1), Some((5, "67".into())));
        note(&mut ring, EPOCH, 8);
        assert_eq!(told(&mut states, &ring, "eva", 1), Some((5, "678".into())));
        assert!(states.find(&room(), EPOCH, 8).is_none(), "who lags needs the present one");
        assert!(states.find(&room(), EPOCH, 5).is_some());
        assert_eq!(told(&mut states, &ring, "ana", 1), None, "she knows that already");
    }

    #[test]
    fn a_hole_another_epoch_and_the_bound_end_it() {
        let noted: [(Epoch, u64, usize); 3] = [(EPOCH, 7, 1), (Epoch(2), 6, 1), (EPOCH, 6, JOIN_SINCE_BYTES_MAX + 1)];
        for (epoch, seq, len) in noted {
            let (mut states, mut ring) = kept(8 * JOIN_SINCE_BYTES_MAX);
            note(&mut ring, epoch, seq);
            assert_eq!(told(&mut states, &ring, "eva", len), None, "{seq}, {len} bytes");
            assert!(states.find(&room(), EPOCH, 5).is_none(), "the old one is forgotten");
        }
        let (mut states, mut ring) = kept(400);
        note(&mut ring, EPOCH, 6);
        assert_eq!(told(&mut states, &ring, "eva", 101), None, "more than a quarter of the state");
    }

    #[test]
    fn a_state_is_kept_for_a_while_after_it_was_needed() {
        let (mut states, ring) = kept(1_000);
        let ask =
            |states: &mut FullStates, now| states.recent(&room(), &ring, &client("eva"), now, |_, _| {}).is_some();
        assert!(states.tidy(Millis(FULL_STATE_KEPT_MS - 1)).is_empty());
        assert!(ask(&mut states, Millis(FULL_STATE_KEPT_MS - 1)));
        assert!(states.tidy(Millis(2 * FULL_STATE_KEPT_MS - 2)).is_empty(), "needed a moment ago");
        assert_eq!(states.tidy(Millis(4 * FULL_STATE_KEPT_MS)), [room()]);
        assert!(!ask(&mut states, Millis(4 * FULL_STATE_KEPT_MS)));
    }

    /// Who lags gets one although others take all places and do not read, and one after the other when nobody hinders
    /// them.
    #[test]
    fn nobody_waits_for_ever() {
        let bounds = FullStateBounds { at_once: 2, ..FullStateBounds::default() };
        let mut states = FullStates::new(&Budget::default(), bounds);
        for slot in 0..2 {
            assert!(states.may_begin(slot, 0));
            states.begin(slot, 0, Millis(10));
        }
        for slot in 2..5 {
            assert!(!states.may_begin(slot, 0));
            states.wait(slot, 0, Millis(20));
        }
        assert_eq!((states.waiting_len(), states.longest_wait_ms(Millis(50))), (3, 30));
        assert_eq!(states.next_begun(Millis(50)), None);
        assert!(states.finish(0, 0), "it has got everything");
        assert_eq!(states.next_begun(Millis(60)), Some((2, 0)));
        assert!(!states.finish(2, 0) && states.may_begin(2, 0), "its turn is its own until it asks");
        states.begin(2, 0, Millis(60));
        assert_eq!(states.next_begun(Millis(60)), None);
        // All places stay taken, by whomever: after the longest wait the others begin in any case.
        let late = Millis(20 + FULL_STATE_WAIT_MS);
        assert_eq!((states.next_begun(late), states.next_begun(late)), (Some((3, 0)), Some((4, 0))));
        assert!(states.may_begin(3, 0) && states.may_begin(4, 0) && !states.may_begin(5, 0));
        states.forget_connection(4, 0);
        states.expire(Millis(late.0 + FULL_STATE_TURN_MS));
        assert!(states.may_begin(5, 0), "nobody keeps a place for longer than a turn");
        assert_eq!((states.waiting_len(), states.given.len(), states.places.len()), (0, 0, 0));
    }
}
