//! Hand-over: which shard serves a socket, and how it gets there.
//!
//! A socket goes to the owner of the room that it joins first, so that a small room's traffic never crosses a core; the
//! members of a hot room stay where they were accepted. Invariants: only a connection that no engine knows moves; what
//! it has sent and what it is owed travel with it. Never here: what a request does.

use crate::audience::outbox::Kind;
use crate::engine::ids::{ClientId, RoomId, ShardId};
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

    /// Sends the connection to another shard, with the room that it asked to join and what it has sent behind that.
    pub(crate) fn hand_over(&mut self, slot: u32, to: ShardId, join: Option<RoomId>, unread: Vec<u8>) {
        self.send_queued(slot);
        if self.conns.get(slot).is_none() {
            return;
        }
        self.gathers.forget(slot);
        let unsent = self.conns.get(slot).and_then(|conn| conn.out.as_ref()).map(|out| out.unsent().to_vec());
        let conn = self.conns.remove(slot);
        if let Err(error) = self.readiness.remove(&conn.fd) {
            tracing::error!(%error, "a connection could not leave its shard");
            self.board.disconnected();
            return;
        }
        let client = conn.client.expect("only a WebSocket is handed over");
        self.stats.handovers_out += 1;
        let unsent = unsent.unwrap_or_default();
        let letter = HandOver { from: self.id, fd: conn.fd, client, peer: conn.peer, join, unread, unsent };
        self.lanes.post(to, Mail::HandOver(Box::new(letter)));
    }

    /// A connection came over from another shard.
    pub(crate) fn arrive(&mut self, letter: HandOver) {
        let HandOver { from, fd, client, peer, join, unread, unsent } = letter;
        self.stats.handovers_in += 1;
        let Some(slot) = self.admit(fd, peer) else { return };
        self.open(slot, client);
        if self.board.is_draining() {
            return self.say_goodbye(slot);
        }
        if !unsent.is_empty() {
            self.write(slot, Kind::Reply, |out| out.extend_from_slice(&unsent));
        }
        if let Some(room) = join {
            // The room has become hot while the connection was on its way: it goes back, once, and stays there.
            if self.owner(room.as_str()) == self.id && self.board.is_hot(room.as_str()) {
                return self.hand_over(slot, from, Some(room), unread);
            }
            self.settle(slot);
            self.request(slot, Request::Join { room: room.as_str() });
        }
        self.settle(slot);
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

    /// The connection is a WebSocket of this client now.
    pub(crate) fn open(&mut self, slot: u32, client: ClientId) {
        let now = self.tenths();
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.phase = crate::runtime::connection::Phase::Open;
            conn.client = Some(client);
            conn.heard = now;
        }
        // It is looked at when its time for the handshake would have been over, and from then on as its silence asks for.
        if self.config.ping_after_ms < self.config.handshake_ms {
            self.check_after(slot, self.config.ping_after_ms);
        }
    }
}
