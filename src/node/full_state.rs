//! Full states: for connections that join, and for those that lag, once their socket has drained.
//!
//! Invariant: a connection that joins does not wait, because its full state stands behind `room_joined`; it takes
//! nobody's place. Never here: who lags, how frames leave.

use std::sync::Arc;

use super::Node;
use super::session::Membership;
use crate::audience::full_state::FullState;
use crate::audience::full_states::Captured;
use crate::audience::outbox::Kind;
use crate::engine::command::Effect;
use crate::engine::ids::{ClientId, Epoch, RoomId};
use crate::planted::{self, Bug};
use crate::wire::message;

impl Node {
    /// The full state that an effect is told with, as the room is now.
    pub(super) fn capture(&mut self, effect: &Effect) -> Option<Captured> {
        match effect {
            Effect::Joined { client, room, seq, epoch, .. } => {
                Some(self.state_for_joiner(room, (*epoch, *seq), client))
            }
            Effect::Snapshot { room, seq, .. } => {
                Some(Captured { seq: *seq, state: self.full_state(room, false), since: Vec::new() })
            }
            Effect::Left { .. }
            | Effect::Change(_)
            | Effect::Again { .. }
            | Effect::Refused { .. }
            | Effect::Entered(_)
            | Effect::Synced(_)
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
        Captured { seq, state: self.full_state(room, true), since: Vec::new() }
    }

    /// The full state of a room as it is now; nothing for an empty one that need not be said.
    pub(super) fn full_state(&mut self, room: &RoomId, unless_empty: bool) -> Option<Arc<FullState>> {
        let state = self.seats.selections(room.as_str()).filter(|state| !(unless_empty && state.is_empty()))?;
        let at = (state.epoch, state.seq);
        if let Some(same) = self.full_states.find(room, at.0, at.1) {
            crate::marks::hit("a full state for several");
            return Some(same);
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
        Some(state)
    }

    /// Changes of the room are undone: what was encoded of it is not true.
    pub(super) fn forget_full_states(&mut self, room: &RoomId) {
        if planted::has(Bug::StateOutlivesUndo) {
            return;
        }
        self.full_states.forget(room);
        self.feeds.drop_ring(room.as_str());
    }

    /// Queues a full state and what has happened since. A large one is not copied.
    pub(super) fn write_state(&mut self, slot: u32, kind: Kind, captured: Option<Captured>) {
        let Some(Captured { state: Some(state), since, .. }) = captured else { return };
        if state.frame().len() < self.bounds.shared_state_bytes {
            return self.write(slot, kind, |out| {
                out.extend_from_slice(state.frame());
                out.extend_from_slice(&since);
            });
        }
        let Some(out) = self.sessions.outbox(slot) else { return };
        out.share(kind, state);
        out.write(kind, |out| out.extend_from_slice(&since));
        self.queue_flush(slot);
    }

    /// A member that skipped events gets the full state in their place, and is served again.
    pub(super) fn caught_up(&mut self, slot: u32, room: &RoomId, captured: Option<Captured>) {
        let Some(feed) = self.feeds.find(room.as_str()) else { return };
        let session = self.sessions.get(slot).expect("the caller found it");
        let Some(Membership { at, .. }) = session.memberships.find(feed) else { return };
        self.feeds.get_mut(feed).view.resume(at);
        let now = self.tenths();
        if let Some(out) = self.sessions.outbox(slot) {
            out.set_resynced(now);
        }
        self.write_state(slot, Kind::Resync, captured);
    }
}
