//! Full states: for connections that join, and for those that lag, once their socket has drained.
//!
//! Invariant: a connection that joins does not wait, because its full state stands behind `room_joined`; it takes
//! nobody's place. When there is no memory for one more it waits like one that lags. Never here: who lags, how frames
//! leave.

use super::Node;
use super::session::Membership;
use crate::audience::full_states::Captured;
use crate::audience::outbox::Kind;
use crate::engine::command::Effect;
use crate::engine::ids::{ClientId, Epoch, RoomId};
use crate::engine::time::Millis;
use crate::limits::FULL_STATE_AGAIN_MS;
use crate::planted::{self, Bug};
use crate::wire::message;

/// A moment of a room whose full state, a large one, a connection has got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Got {
    /// The room's feed.
    pub(super) feed: u32,
    /// The life of the room.
    pub(super) epoch: Epoch,
    /// The number of the last change.
    pub(super) seq: u64,
    /// When it was queued.
    pub(super) at: Millis,
    /// It was asked for again since, while nothing had happened.
    pub(super) is_asked_again: bool,
}

impl Node {
    /// The full state that an effect is told with, as the room is now.
    pub(super) fn capture(&mut self, effect: &Effect) -> Option<Captured> {
        match effect {
            Effect::Joined { client, room, seq, epoch, .. } => {
                Some(self.state_for_joiner(room, (*epoch, *seq), client))
            }
            Effect::Entered(entered) => Some(self.capture_entered(entered)),
            Effect::Snapshot { .. }
            | Effect::Left { .. }
            | Effect::Change(_)
            | Effect::Again { .. }
            | Effect::Refused { .. }
            | Effect::Synced(_)
            | Effect::Resumed(_)
            | Effect::Cart(_)
            | Effect::Superseded { .. }
            | Effect::Api(_)
            | Effect::Keep(_)
            | Effect::Room(_) => self.capture_now(effect),
        }
    }

    /// The same of exactly this moment.
    pub(super) fn capture_now(&mut self, effect: &Effect) -> Option<Captured> {
        match effect {
            Effect::Joined { room, seq, .. } => Some(self.state_now(room, *seq, true)),
            Effect::Snapshot { room, seq, .. } => Some(self.state_now(room, *seq, false)),
            Effect::Entered(entered) => Some(self.capture_map(&entered.room, entered.at)),
            Effect::Synced(synced) => Some(self.capture_map(&synced.room, synced.at)),
            Effect::Left { .. }
            | Effect::Change(_)
            | Effect::Again { .. }
            | Effect::Refused { .. }
            | Effect::Resumed(_)
            | Effect::Cart(_)
            | Effect::Superseded { .. }
            | Effect::Api(_)
            | Effect::Keep(_)
            | Effect::Room(_) => None,
        }
    }

    fn state_for_joiner(&mut self, room: &RoomId, (epoch, seq): (Epoch, u64), client: &ClientId) -> Captured {
        let ring = self.feeds.find(room.as_str()).and_then(|feed| self.feeds.get(feed).ring.as_ref());
        if let Some(ring) = ring.filter(|ring| ring.stands_at(epoch, seq)) {
            let share = self.rules.share;
            let encode = |out: &mut Vec<u8>, change: &_| message::change_for_members(out, change, share);
            if let Some(captured) = self.full_states.recent(room, ring, client, self.at.now.mono, encode) {
                return captured;
            }
        }
        self.state_now(room, seq, true)
    }

    /// The full state of a room as it is now; nothing for an empty one that need not be said.
    fn state_now(&mut self, room: &RoomId, seq: u64, unless_empty: bool) -> Captured {
        let state = self.seats.selections(room.as_str()).filter(|state| !(unless_empty && state.is_empty()));
        let Some(state) = state else { return Captured::now(seq, None) };
        let at = (state.epoch, state.seq);
        if let Some(same) = self.full_states.find(room, at.0, at.1) {
            crate::marks::hit("a full state for several");
            return Captured::now(seq, Some(same));
        }
        if !state.is_empty() && self.full_states.is_at_bound() {
            self.figures.states_deferred += 1;
            return Captured::deferred(seq);
        }
        let mut frame = Vec::new();
        message::current_selections(&mut frame, room.as_str(), at.1, at.0, state.iter(), self.rules.share);
        let is_shared = frame.len() >= self.bounds.shared_state_bytes;
        let state = self.full_states.share(frame);
        if is_shared {
            let least = self.full_states.keep(room, at, &state, self.at.now.mono);
            least.into_iter().for_each(|room| self.feeds.drop_ring(room.as_str()));
            self.feeds.keep_ring(room, self.id, at);
        } else if !self.full_states.keeps(room) {
            self.feeds.drop_ring(room.as_str());
        }
        Captured::now(seq, Some(state))
    }

    /// Changes of the room are undone: what was encoded of it is not true.
    pub(super) fn forget_full_states(&mut self, room: &RoomId) {
        if planted::has(Bug::StateOutlivesUndo) {
            return;
        }
        self.full_states.forget(room);
        self.maps.forget(room);
        self.feeds.drop_ring(room.as_str());
    }

    /// Queues a full state and what has happened since. A large one is not copied.
    pub(super) fn write_state(&mut self, slot: u32, kind: Kind, captured: Option<Captured>) {
        let Some(Captured { state, since, is_deferred, .. }) = captured else { return };
        if is_deferred {
            return self.await_states(slot);
        }
        let Some(state) = state else { return };
        if state.bytes().len() < self.bounds.shared_state_bytes {
            return self.write(slot, kind, |out| {
                out.extend_from_slice(state.bytes());
                out.extend_from_slice(&since);
            });
        }
        let Some(out) = self.sessions.outbox(slot) else { return };
        out.share(kind, state);
        out.write(kind, |out| out.extend_from_slice(&since));
        self.queue_flush(slot);
    }

    /// There was no memory for a full state that the connection needs: it gets one of each of its rooms when it is its
    /// turn, and no events until then.
    fn await_states(&mut self, slot: u32) {
        crate::marks::hit("a full state that waits for memory");
        self.shown_later(slot);
        self.note_dropped(slot);
        self.skip_rooms(slot);
        if let Some(out) = self.sessions.outbox(slot) {
            out.lag();
        }
        self.queue_flush(slot);
    }

    /// A member that skipped events gets the full state in their place, and is served again.
    pub(super) fn caught_up(&mut self, slot: u32, room: &RoomId, at: (Epoch, u64), captured: Option<Captured>) {
        let (epoch, seq) = at;
        let Some(feed) = self.feeds.find(room.as_str()) else { return };
        let session = self.sessions.get(slot).expect("the caller found it");
        let Some(Membership { at, .. }) = session.memberships.find(feed) else { return };
        if captured.as_ref().is_some_and(|captured| captured.is_deferred) {
            return self.await_states(slot);
        }
        self.shown_at(room.as_str(), (epoch, seq));
        self.asks_on(slot);
        let view = &mut self.feeds.get_mut(feed).view;
        if self.parted.is_some() && !view.is_skipping(at) {
            return crate::marks::hit("a room that goes on where it was under another owner");
        }
        debug_assert_eq!(view.slot_at(at), slot, "they name each other");
        view.resume(at);
        let now = self.tenths();
        if let Some(out) = self.sessions.outbox(slot) {
            out.set_resynced(now);
        }
        self.note_state(slot, Got { feed, epoch, seq, at: self.at.now.mono, is_asked_again: false }, captured.as_ref());
        self.write_state(slot, Kind::Resync, captured);
    }

    /// What a connection that joins is told with. One that asks again while nothing has happened has got the state of
    /// this very moment: it is not sent everything again at once, however often it asks.
    pub(super) fn unless_known(&mut self, slot: u32, got: Got, captured: Option<Captured>) -> Option<Captured> {
        let is_known = |last: &&mut Got| {
            let is_same = (last.feed, last.epoch, last.seq) == (got.feed, got.epoch, got.seq);
            is_same && got.at.since(last.at) < FULL_STATE_AGAIN_MS
        };
        if let Some(last) = self.got.get_mut(&slot).filter(is_known) {
            crate::marks::hit("a full state that is known");
            last.is_asked_again = true;
            return Some(Captured::deferred(got.seq));
        }
        self.note_state(slot, got, captured.as_ref());
        captured
    }

    /// The connection is going to get this full state. A small one is sent as often as it is asked for.
    fn note_state(&mut self, slot: u32, got: Got, captured: Option<&Captured>) {
        let state = captured.and_then(|captured| captured.state.as_ref());
        if state.is_some_and(|state| state.bytes().len() >= self.bounds.shared_state_bytes) {
            self.got.insert(slot, got);
        } else {
            self.got.remove(&slot);
        }
    }
}
