//! How a socket gets to another shard. The node decides whether it goes.
//!
//! Invariant: what a client has sent and is not answered travels with its socket. Never here: what a request does.

use crate::node::{Event, Next};
use crate::runtime::core::Core;
use crate::runtime::mail::{Mail, Travelling};
use crate::runtime::socket::{Phase, Socket, Watched};

impl Core {
    /// The connection is to move. One whose socket is full stays. `unread` is what it has sent behind the request that
    /// moves it.
    pub(crate) fn hand_over(&mut self, slot: u32, unread: Vec<u8>) {
        self.flush(slot);
        if self.sockets.get(slot).is_none() {
            return;
        }
        let Some((to, moving)) = self.node.depart(slot) else {
            self.take_orders();
            return self.go_on(slot, unread);
        };
        self.gathers.forget(slot);
        let socket = self.sockets.remove(slot);
        if socket.watched != Watched::Not
            && let Err(error) = self.readiness.remove(&socket.fd)
        {
            tracing::error!(%error, "a connection could not leave its shard");
            return self.uncount(socket.phase, socket.peer.as_deref().copied());
        }
        let Socket { fd, peer, .. } = socket;
        self.lanes.post(to, Mail::Socket(Box::new(Travelling { fd, peer, moving, unread })));
    }

    /// A connection came over from another shard.
    pub(crate) fn arrive(&mut self, travelling: Travelling) {
        let Travelling { fd, peer, moving, unread } = travelling;
        let mut socket = Socket::new(fd, self.tenths());
        socket.peer = peer;
        // It has been a WebSocket all the time: whatever ends it here takes it off the count.
        socket.phase = Phase::Open;
        let Some(slot) = self.admit(socket) else { return };
        let generation = self.sockets.generation(slot);
        let next = self.handle(Event::Arrived { slot, generation, moving });
        self.becomes_open(slot);
        match next {
            Next::ReadOn => self.go_on(slot, unread),
            Next::Move => self.hand_over(slot, unread),
        }
        self.watch(slot, generation);
    }

    /// The connection stays here, and what it has sent is looked at.
    fn go_on(&mut self, slot: u32, unread: Vec<u8>) {
        let Some(socket) = self.sockets.get_mut(slot).filter(|socket| socket.phase == Phase::Open) else { return };
        socket.readable = true;
        socket.stalled = !unread.is_empty();
        socket.unread = (!unread.is_empty()).then(|| Box::new(unread));
        self.resume_reading(slot);
    }

    /// The connection is a WebSocket now. (It is counted once, at its upgrade.)
    pub(crate) fn becomes_open(&mut self, slot: u32) {
        let now = self.tenths();
        let Some(socket) = self.sockets.get_mut(slot).filter(|socket| socket.phase != Phase::Closing) else { return };
        socket.phase = Phase::Open;
        socket.heard = now;
        // It is looked at when its time for the handshake would have been over, and from then on as its silence asks
        // for.
        if self.connections.ping_after_ms < self.connections.handshake_ms {
            self.check_after(slot, self.connections.ping_after_ms);
        }
    }
}
