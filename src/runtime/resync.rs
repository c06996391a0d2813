//! Full states: for those who join, and for those who lag once their socket has drained.
//!
//! Invariant: while [`crate::limits::FULL_STATES_AT_ONCE`] are on their way, those who lag wait in order, and get no
//! events until then. Those who join do not wait: their full state stands behind `room_joined`.
//! Never here: who lags, how frames leave.

use std::sync::Arc;

use crate::audience::full_state::FullState;
use crate::engine::command::{Effect, Input};
use crate::engine::ids::{RoomId, ShardId};
use crate::limits::SHARED_STATE_SEATS_MIN;
use crate::runtime::core::Core;
use crate::runtime::full_states::Captured;
use crate::runtime::mesh::Mail;
use crate::wire::message;

impl Core {
    /// What tells the present state of a room, for an effect that does so. `alone`: nobody shares it.
    pub(crate) fn capture(&mut self, effect: &Effect, alone: bool) -> Captured {
        match effect {
            Effect::Joined { client, room, seq, epoch, .. } => {
                let mut frames = std::mem::take(&mut self.frame);
                let (id, who, wall) = (room.as_str(), client.as_str(), self.now.wall);
                if !alone && let Some(recent) = self.full_states.recent(room, *epoch, *seq, client, self.now.mono) {
                    message::room_joined(&mut frames, id, who, recent.seq, *epoch, wall);
                    return Captured { frames, state: Some(recent.state), since: recent.since.into() };
                }
                message::room_joined(&mut frames, id, who, *seq, *epoch, wall);
                let state = self.write_state(&mut frames, room, true, alone);
                Captured { frames, state, since: Vec::new() }
            }
            Effect::Snapshot { room, .. } => {
                let mut frames = std::mem::take(&mut self.frame);
                let state = self.write_state(&mut frames, room, false, alone);
                Captured { frames, state, since: Vec::new() }
            }
            Effect::Left { .. } | Effect::Change(_) | Effect::Again { .. } | Effect::Refused { .. } => {
                Captured::default()
            }
        }
    }

    /// Appends the full state of a room, or returns it when it is large; an empty one only when it has to be said.
    fn write_state(
        &mut self,
        out: &mut Vec<u8>,
        room: &RoomId,
        unless_empty: bool,
        alone: bool,
    ) -> Option<Arc<FullState>> {
        let state = self.seats.selections(room.as_str()).filter(|state| !(unless_empty && state.is_empty()))?;
        let (id, share) = (room.as_str(), self.share);
        if alone || state.len() < SHARED_STATE_SEATS_MIN {
            message::current_selections(out, id, state.seq, state.epoch, state.iter(), share);
            return None;
        }
        let (epoch, seq) = (state.epoch, state.seq);
        if let Some(same) = self.full_states.find(room, epoch, seq) {
            return Some(same);
        }
        let mut frame = Vec::new();
        message::current_selections(&mut frame, id, seq, epoch, state.iter(), share);
        Some(self.full_states.keep(room, epoch, seq, frame, self.now.mono))
    }

    /// Asks for the full state of each room that the connection looks at.
    pub(crate) fn resynchronise(&mut self, slot: u32) {
        let generation = self.conns.generation(slot);
        if !self.full_states.may_begin() {
            if self.conns.outbox(slot).is_some_and(|out| !out.set_waiting(true)) {
                self.full_states.wait(slot, generation);
            }
            return;
        }
        self.full_states.begin(slot, generation, self.now.mono);
        if let Some(out) = self.conns.outbox(slot) {
            out.caught_up();
        }
        let conn = self.conns.id(slot);
        let Some(entry) = self.conns.get(slot) else { return };
        let rooms: Vec<(RoomId, ShardId)> = entry
            .memberships
            .iter()
            .map(|membership| self.views.get(membership.view))
            .map(|view| (view.room.clone(), view.owner))
            .collect();
        for (room, owner) in rooms {
            self.stats.resyncs += 1;
            if owner == self.id {
                self.decide(Input::Resync { conn, room: room.as_str() });
            } else {
                self.lanes.post(owner, Mail::Resync { conn, room });
            }
        }
    }

    /// Once a tick: gives memory back, and those who waited for it another chance.
    pub(crate) fn tidy_full_states(&mut self) {
        self.full_states.tidy(self.now.mono);
        self.full_states.expire(self.now.mono);
        self.begin_waiting();
    }

    /// Lets as many of those who wait begin as may.
    pub(crate) fn begin_waiting(&mut self) {
        for (slot, generation) in self.full_states.next() {
            if let Some(out) = self.conns.live(slot, generation).and_then(|conn| conn.out.as_mut()) {
                out.set_waiting(false);
                self.queue_flush(slot);
            }
        }
    }
}
