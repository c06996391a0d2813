//! Hand-over: which shard serves a socket, and how it gets there.
//!
//! A socket goes to the owner of the room that it joins first, so that a small room's traffic never crosses a core; the
//! members of a hot room stay where they were accepted. Invariants: only a connection that no engine knows moves; what
//! it has sent and is not answered travels with it. Never here: what a request does.

use crate::engine::ids::{ClientId, RoomId, ShardId};
use crate::runtime::connection::{Conn, Phase, Watched};
use crate::runtime::core::Core;
use crate::runtime::mesh::{HandOver, Mail};
use crate::wire::message::Request;

impl Core {
    /// Where a connection that has not touched any room should be served for this one: at the room's owner, so that a
    /// small room's traffic never crosses a core. The members of a hot room stay on the shards that accepted them, over
    /// which the kernel spreads them evenly.
    pub(crate) fn better_place(&self, slot: u32, room: &str) -> Option<ShardId> {
        let conn = self.conns.get(slot)?;
        let owner = self.owner(room);
        let may_move = self.shards > 1 && !conn.settled && conn.touched.is_empty() && owner != self.id;
        (may_move && !self.board.is_hot(room)).then_some(owner)
    }

    /// Sends the connection to another shard, with the room that it asked to join and what it has sent behind that. One
    /// whose socket is full stays: what it is owed begins within a frame, and only here it is known where that ends.
    pub(crate) fn hand_over(&mut self, slot: u32, to: ShardId, join: Option<RoomId>, unread: Vec<u8>) {
        self.send_queued(slot);
        let Some(conn) = self.conns.get(slot) else { return };
        if conn.unsent_len() > 0 {
            return self.go_on(slot, join, unread);
        }
        self.gathers.forget(slot);
        let conn = self.conns.remove(slot);
        if conn.watched != Watched::Not
            && let Err(error) = self.readiness.remove(&conn.fd)
        {
            tracing::error!(%error, "a connection could not leave its shard");
            self.uncount(conn.phase, conn.peer.as_deref().copied());
            return;
        }
        let client = conn.client.expect("only a WebSocket is handed over");
        self.stats.handovers_out += 1;
        let letter = HandOver { from: self.id, fd: conn.fd, client, peer: conn.peer, join, unread };
        self.lanes.post(to, Mail::HandOver(Box::new(letter)));
    }

    /// A connection came over from another shard.
    pub(crate) fn arrive(&mut self, letter: HandOver) {
        let HandOver { from, fd, client, peer, join, unread } = letter;
        self.stats.handovers_in += 1;
        let mut conn = Conn::new(fd, self.tenths());
        conn.peer = peer;
        // It has been a WebSocket all the time: whatever ends it here takes it off the count.
        conn.phase = Phase::Open;
        let Some(slot) = self.admit(conn) else { return };
        self.open(slot, client);
        self.watch(slot, self.conns.generation(slot));
        if self.board.is_draining() {
            return self.say_goodbye(slot);
        }
        // The room has become hot while the connection was on its way: it goes back, once, and stays there.
        if let Some(room) = &join
            && self.owner(room.as_str()) == self.id
            && self.board.is_hot(room.as_str())
        {
            return self.hand_over(slot, from, join, unread);
        }
        self.go_on(slot, join, unread);
    }

    /// The connection stays here: it joins the room that it asked for, and what is behind that is looked at.
    fn go_on(&mut self, slot: u32, join: Option<RoomId>, unread: Vec<u8>) {
        self.settle(slot);
        if let Some(room) = join {
            self.request(slot, Request::Join { room: room.as_str() });
        }
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.readable = true;
            conn.stalled = !unread.is_empty();
            conn.unread = (!unread.is_empty()).then(|| Box::new(unread));
        }
        self.resume_reading(slot);
    }

    /// The connection will not be handed over again.
    fn settle(&mut self, slot: u32) {
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.settled = true;
        }
    }

    /// The connection is a WebSocket of this client now. (It is counted once, at its upgrade.)
    pub(crate) fn open(&mut self, slot: u32, client: ClientId) {
        let now = self.tenths();
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.phase = Phase::Open;
            conn.client = Some(client);
            conn.heard = now;
        }
        // It is looked at when its time for the handshake would have been over, and from then on as its silence asks for.
        if self.config.ping_after_ms < self.config.handshake_ms {
            self.check_after(slot, self.config.ping_after_ms);
        }
    }
}
