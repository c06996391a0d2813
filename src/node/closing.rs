//! Who is connected, how a connection ends, and how the server ends.
//!
//! Invariants: once a connection has ended, no feed and no engine knows it; nothing newer is sent behind frames that
//! were dropped; the end of the server does not end a hold. Never here: sockets.

use super::letters::Letter;
use super::session::{Membership, Session, Stage};
use super::{Node, Order};
use crate::engine::command::{Owner, OwnerName};
use crate::engine::ids::{ClientId, ConnId};
use crate::limits::{COME_BACK_MS, DRAIN_MS};
use crate::planted::{Bug, has};
use crate::wire::frame;
use crate::wire::v2::write;

/// How far the end of the server has come.
#[derive(Debug, Default)]
pub(super) struct Drain {
    /// When it must be over, in nanoseconds.
    until_ns: Option<u64>,
    /// The connections have been told to go.
    is_closing: bool,
}

impl Drain {
    pub(super) fn begin(&mut self, now_ns: u64) {
        self.until_ns.get_or_insert(now_ns + DRAIN_MS * 1_000_000);
    }

    pub(super) fn has_begun(&self) -> bool {
        self.until_ns.is_some()
    }
}

impl Node {
    /// Ends the WebSocket with our close frame: its holds are released now.
    pub(super) fn close(&mut self, slot: u32, code: u16, reason: &str) {
        if self.sessions.get(slot).is_none_or(|session| session.stage == Stage::Closing) {
            return;
        }
        self.answer(slot, |out| frame::close(out, code, reason));
        self.begin_closing(slot);
    }

    /// The clients of its WebSockets.
    pub fn clients(&self) -> impl Iterator<Item = &ClientId> {
        let open = self.sessions.iter().filter(|(_, session)| session.stage == Stage::Open);
        open.filter_map(|(_, session)| session.client())
    }

    /// The client of one WebSocket.
    #[must_use]
    pub fn client(&self, slot: u32) -> Option<&ClientId> {
        self.sessions.get(slot)?.client()
    }

    /// Whether the connection speaks the second protocol.
    #[must_use]
    pub fn speaks_second(&self, slot: u32) -> bool {
        self.sessions.get(slot).is_some_and(|session| session.second().is_some())
    }

    /// The name of a connection in letters.
    #[must_use]
    pub fn conn_id(&self, slot: u32) -> ConnId {
        self.sessions.id(slot)
    }

    /// The slot of a connection that has not ended and is not ending.
    #[must_use]
    pub fn find(&self, conn: ConnId) -> Option<u32> {
        self.sessions.find(conn)
    }

    /// Ends every WebSocket of this owner, which an operator removes. How many there were.
    pub fn remove(&mut self, whom: &OwnerName) -> usize {
        let is_its = |session: &Session| match whom {
            OwnerName::Client(client) => session.client() == Some(client),
            OwnerName::Session(name) => session.second().is_some_and(|second| second.session == *name),
            OwnerName::Subject(name) => {
                let owner = session.identity().map(|identity| &identity.owner);
                matches!(owner, Some(Owner::Subject(subject)) if subject == name)
            }
            // Nobody connects as one of these.
            OwnerName::Holder(_) => false,
        };
        let open = self.sessions.iter().filter(|(_, session)| session.stage == Stage::Open && is_its(session));
        let slots: Vec<u32> = open.map(|(slot, _)| slot).collect();
        for &slot in &slots {
            self.close(slot, frame::CLOSE_REMOVED, "removed by an operator");
        }
        slots.len()
    }

    /// Ends a WebSocket that does not take what is queued for it: that is dropped. Nothing newer may follow it, or the
    /// client would see a hole in its rooms before it sees our close frame.
    pub(super) fn cut_off(&mut self, slot: u32, code: u16, reason: &str) {
        self.skip_rooms(slot);
        if let Some(out) = self.sessions.get_mut(slot).and_then(|session| session.out.as_mut()) {
            out.abandon();
        }
        self.close(slot, code, reason);
        self.sessions.weigh(slot);
    }

    /// One that dropped events again while the full state for the last time was on its way. It may have drained in the
    /// meantime: then it is not too slow.
    pub(super) fn close_too_slow(&mut self, slot: u32, generation: u32) {
        let out = self.sessions.live(slot, generation).and_then(|session| session.out.as_ref());
        if out.is_some_and(|out| out.is_lagging()) {
            crate::marks::hit("too slow even for a full state");
            self.cut_off(slot, frame::CLOSE_SLOW, "too slow");
        }
    }

    /// Everything that will be sent has been queued: from now on the connection is no participant.
    pub(super) fn begin_closing(&mut self, slot: u32) {
        self.keep_all_owed(slot);
        self.retire(slot);
        let Some(session) = self.sessions.get_mut(slot) else { return };
        assert!(session.touched.is_empty(), "every shard that knew it has been told");
        session.stage = Stage::Closing;
        session.parked = None;
        self.orders.push(Order::Closing(slot));
        self.queue_flush(slot);
    }

    /// The peer will send nothing more.
    pub(super) fn hung_up(&mut self, slot: u32) {
        if self.sessions.get(slot).is_some_and(|session| session.blocked) {
            self.take_owed(slot);
        }
        let out = self.sessions.get(slot).and_then(|session| session.out.as_ref());
        if out.is_some_and(|out| !out.is_empty()) {
            self.begin_closing(slot);
        } else {
            self.orders.push(Order::End(slot));
        }
    }

    /// The socket is closed or broken.
    pub(super) fn ended(&mut self, slot: u32) {
        self.retire(slot);
        self.full_states.forget_connection(slot, self.sessions.generation(slot));
        self.memory.stalled.remove(&slot);
        self.got.remove(&slot);
        let session = self.sessions.remove(slot);
        assert!(session.memberships.iter().next().is_none(), "a session that has ended is in no feed");
    }

    /// Takes the connection out of its rooms and tells the owners. Doing it twice does nothing.
    fn retire(&mut self, slot: u32) {
        let conn = self.sessions.id(slot);
        debug_assert_eq!(conn.shard(), self.id, "a connection ends where it lives");
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let touched = std::mem::take(&mut session.touched);
        assert!(session.stage == Stage::Open || touched.is_empty(), "only a WebSocket asks");
        self.waits_no_more(slot);
        let Some(session) = self.sessions.get_mut(slot) else { return };
        for Membership { feed, at } in std::mem::take(&mut session.memberships).iter() {
            self.leave_feed(feed, at);
        }
        self.leave_all_second(slot);
        // With a store the next start gives back what it holds, and without one there is nobody left to be told.
        if self.drain.has_begun() {
            // Other nodes sell on: what it holds there waits for it.
            let others = touched.iter().filter(|shard| shard.index() >= self.shards);
            others.for_each(|shard| self.post.letter(shard, Letter::Away { conn }));
            return;
        }
        for shard in touched.iter() {
            if shard == self.id {
                self.gone(conn);
            } else {
                self.post.letter(shard, Letter::Gone { conn });
            }
        }
    }

    fn say_goodbye(&mut self, slot: u32) {
        let is_second = self.sessions.get(slot).is_some_and(|session| session.second().is_some());
        if is_second && !has(Bug::GoesInSilence) {
            self.answer(slot, |out| write::goaway(out, "drain", COME_BACK_MS));
        }
        self.close(slot, frame::CLOSE_GOING_AWAY, "the server is shutting down");
    }

    /// A connection that came from another shard while the server goes away.
    pub(super) fn goes_at_once(&mut self, slot: u32) -> bool {
        let goes = self.drain.has_begun();
        if goes {
            self.say_goodbye(slot);
        }
        goes
    }

    /// Once a tick: when everything that was decided has been told, every connection is told to go.
    pub(super) fn go_on_with_drain(&mut self) {
        let has_told_all = self.saving.as_ref().is_none_or(super::saving::Saving::has_told_all);
        if self.drain.has_begun() && !has_told_all {
            crate::marks::hit("a drain that waits for the store");
        }
        if !self.drain.has_begun() || self.drain.is_closing || !has_told_all {
            return;
        }
        crate::marks::hit("a drain");
        assert!(!self.is_performing, "a goodbye stands behind what was decided");
        self.drain.is_closing = true;
        let open: Vec<u32> =
            self.sessions.iter().filter(|(_, session)| session.stage == Stage::Open).map(|(slot, _)| slot).collect();
        open.into_iter().for_each(|slot| self.say_goodbye(slot));
        self.orders.push(Order::Goodbye);
    }

    /// Whether the drain is over: nobody is connected to any shard, or its time is.
    #[must_use]
    pub fn is_drained(&self, connections: usize) -> bool {
        let has_written_all = self.post.is_empty();
        let all_gone = self.drain.is_closing && connections == 0 && has_written_all;
        self.drain.until_ns.is_some_and(|until_ns| all_gone || self.at.ns >= until_ns)
    }

    /// Whether the server goes away.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.has_begun()
    }
}
