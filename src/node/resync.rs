//! What happens when everything that was queued for a connection has left: a connection that was behind is served by
//! passes again, and one that lags asks for full states.
//!
//! Invariant: while as many full states are on their way as there may be, lagging connections wait in order, no longer
//! than a bound, and get no events until then. Never here: how frames leave, what a full state says.

use super::full_state::Got;
use super::letters::Letter;
use super::session::{Membership, Stage};
use super::{Node, Order};
use crate::engine::command::Input;
use crate::engine::ids::{RoomId, ShardId};
use crate::limits::FULL_STATE_AGAIN_MS;

impl Node {
    /// Nothing is queued for the connection any more: what waited for that goes on.
    pub(super) fn drained(&mut self, slot: u32) {
        if !self.catch_up(slot) {
            return self.queue_flush(slot);
        }
        let generation = self.sessions.generation(slot);
        let Some(session) = self.sessions.get(slot) else { return };
        let lagging = session.out.as_ref().is_some_and(|out| out.is_lagging());
        match session.stage {
            Stage::Closing => {
                self.orders.push(Order::Drained(slot));
                self.sessions.put_outbox_away(slot);
            }
            Stage::Http | Stage::Open => {
                if self.full_states.finish(slot, generation) {
                    self.begin_waiting();
                }
                if lagging {
                    self.resynchronise(slot);
                }
                self.second_drained(slot);
                self.sessions.put_outbox_away(slot);
                self.read_on(slot);
            }
        }
    }

    /// Who was behind has caught up, and is served by passes again. Returns whether that is so in all its rooms.
    fn catch_up(&mut self, slot: u32) -> bool {
        let (mut index, mut all) = (0, true);
        while let Some(Membership { feed, at }) = self.sessions.get(slot).and_then(|s| s.memberships.nth(index)) {
            index += 1;
            let view = &mut self.feeds.get_mut(feed).view;
            if view.is_behind(at) {
                all &= view.catch_up(at);
                // Nobody may be behind any more: a pass cuts the log.
                self.feeds.schedule(feed, self.at.ns);
            }
        }
        all
    }

    /// Asks for the full state of each room that the connection looks at.
    fn resynchronise(&mut self, slot: u32) {
        let generation = self.sessions.generation(slot);
        // It has asked again for what was queued a moment ago.
        let now = self.at.now.mono;
        let is_early = |got: &Got| got.is_asked_again && now.since(got.at) < FULL_STATE_AGAIN_MS;
        let is_early = self.got.get(&slot).is_some_and(is_early);
        if is_early || !self.full_states.may_begin(slot, generation) {
            if self.sessions.outbox(slot).is_some_and(|out| !out.set_waiting(true)) {
                self.full_states.wait(slot, generation, self.at.now.mono);
            }
            return;
        }
        debug_assert!(self.sessions.get(slot).is_some_and(|session| !session.blocked), "its socket has drained");
        crate::marks::hit("a resynchronisation");
        self.full_states.begin(slot, generation, self.at.now.mono);
        if let Some(out) = self.sessions.outbox(slot) {
            out.caught_up();
        }
        if self.parted.is_some() {
            return self.ask_to_return(slot);
        }
        let conn = self.sessions.id(slot);
        let Some(session) = self.sessions.get(slot) else { return };
        debug_assert!(session.unsent_len() == 0, "only who has drained is brought up to date");
        let feeds = session.memberships.iter().map(|membership| self.feeds.get(membership.feed));
        let rooms: Vec<(RoomId, ShardId)> = feeds.map(|feed| (feed.room.clone(), feed.owner)).collect();
        for (room, owner) in rooms {
            self.figures.resyncs += 1;
            if owner == self.id {
                self.decide(Input::Resync { conn, room: room.as_str() });
            } else {
                self.post.letter(owner, Letter::Resync { conn, room });
            }
        }
    }

    /// Connections that wait for a full state because others are being sent theirs.
    #[must_use]
    pub fn waiting_for_full_states(&self) -> usize {
        self.full_states.waiting_len()
    }

    /// How long the one of them that waits longest has waited, in milliseconds.
    #[must_use]
    pub fn full_state_wait_ms(&self) -> u64 {
        self.full_states.longest_wait_ms(self.at.now.mono)
    }

    /// Once a tick: gives memory back, and those who waited for it another chance.
    pub(super) fn tidy_full_states(&mut self) {
        let now = self.at.now.mono;
        for room in self.full_states.tidy(now) {
            self.feeds.drop_ring(room.as_str());
        }
        self.full_states.expire(now);
        self.tidy_deltas();
        self.begin_waiting();
    }

    /// Lets as many of those who wait begin as may.
    fn begin_waiting(&mut self) {
        while let Some((slot, generation)) = self.full_states.next_begun(self.at.now.mono) {
            if let Some(out) = self.sessions.live(slot, generation).and_then(|session| session.out.as_mut()) {
                out.set_waiting(false);
                self.queue_flush(slot);
            } else {
                self.full_states.forget_connection(slot, generation);
            }
        }
    }
}
