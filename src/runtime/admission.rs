//! Which connections are let in, and which may become WebSockets.
//!
//! Invariant: a client that is refused is told why, and when to come back. Never here: accepting.

use crate::engine::command::OwnerName;
use crate::engine::ids::ClientId;
use crate::figures::shard::Refusal;
use crate::node::Event;
use crate::runtime::core::Core;
use crate::runtime::site::exchange::Exchange;
use crate::runtime::socket::{Socket, Watched};

impl Core {
    /// Takes a connection in that has been counted. On failure it is closed.
    pub(crate) fn admit(&mut self, socket: Socket) -> Option<u32> {
        let (peer, phase) = (socket.peer.as_deref().copied(), socket.phase);
        let Some(slot) = self.sockets.insert(socket) else {
            self.uncount(phase, peer);
            return None;
        };
        self.check_after(slot, self.connections.handshake_ms);
        Some(slot)
    }

    /// From now on what happens to the connection's socket is reported; what has come already is too. A connection that
    /// has ended, or gone to another shard, is left alone.
    pub(crate) fn watch(&mut self, slot: u32, generation: u32) {
        let Some(socket) = self.sockets.live(slot, generation) else { return };
        socket.watched = if socket.full { Watched::Writes } else { Watched::Reads };
        if let Err(error) = self.readiness.add(&socket.fd, slot, generation, socket.full) {
            tracing::error!(%error, "a connection could not be watched");
            self.end(slot);
        }
    }

    /// Whether an operator has removed this client and does not want it back yet: then it is told so and its connection
    /// ends.
    pub(crate) fn is_banned(&mut self, slot: u32, client: &ClientId) -> bool {
        let bans = &self.board.bans;
        let is_banned = bans.are_any() && bans.has(&OwnerName::Client(client.clone()), self.now.mono.0);
        if is_banned {
            self.respond_message(Exchange::last(slot), 403, "removed by an operator", &[]);
            self.handle(Event::Finish { slot });
        }
        is_banned
    }

    /// Whether tokens are asked for and there is no key yet to check them by: then the client is told to come back.
    pub(crate) fn lacks_keys(&mut self, slot: u32) -> bool {
        let lacks = self.board.authority.as_ref().is_some_and(|authority| !authority.has_keys());
        if lacks {
            let message = "the server has no key yet to check tokens by";
            self.respond_message(Exchange::last(slot), 503, message, &[("Retry-After", "2")]);
            self.handle(Event::Finish { slot });
        }
        lacks
    }

    /// Whether the connection may become a WebSocket of a page of this origin; otherwise it is told why not and ends.
    pub(crate) fn may_stay(&mut self, slot: u32, origin: Option<&[u8]>) -> bool {
        if !self.site.admits(origin) {
            self.node.figures.refuse(Refusal::Origin);
            let message = "pages of this origin may not open a WebSocket here";
            self.respond_message(Exchange::last(slot), 403, message, &[]);
            self.handle(Event::Finish { slot });
            return false;
        }
        let surplus = self.sockets.get(slot).and_then(|socket| socket.surplus);
        let draining = self.board.is_draining();
        let starting = !self.board.is_serving();
        if surplus.is_none() && !draining && !starting {
            return true;
        }
        self.node.figures.refuse(surplus.filter(|_| !draining && !starting).unwrap_or(Refusal::Draining));
        let message = if draining {
            "the server is shutting down"
        } else if starting {
            "the server is starting: it has not read its store yet"
        } else if surplus == Some(Refusal::PerIp) {
            "this address has all the connections it may have"
        } else {
            "the server has all the connections it may have"
        };
        self.respond_message(Exchange::last(slot), 503, message, &[("Retry-After", "2")]);
        self.handle(Event::Finish { slot });
        false
    }
}
