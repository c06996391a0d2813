//! Sockets and mail as plain data: what is on its way between clients and shards, and between shards.

use std::collections::VecDeque;

use butaca::engine::ids::{ClientId, ConnId};

use super::frames::{Request, Room};

/// Letters that a mailbox takes from one shard. At the bound they wait at the sender.
pub(crate) const MAILBOX_MAX: usize = 16;
/// Letters that wait at a sender, above which it reads no sockets.
pub(crate) const BACKLOG_MAX: usize = 8;

/// How the client's side of a socket is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Peer {
    There,
    /// The client has gone and the server has not noticed.
    Silent,
    /// The client has gone, and whoever reads or writes notices.
    Gone,
}

/// A socket.
pub(crate) struct Pipe {
    pub(crate) up: VecDeque<Request>,
    pub(crate) down: Vec<u8>,
    pub(crate) capacity: usize,
    pub(crate) peer: Peer,
    /// The server has closed it.
    pub(crate) is_closed: bool,
    /// Room events of this connection were dropped at least once.
    pub(crate) lagged: bool,
}

impl Pipe {
    pub(crate) fn new(capacity: usize) -> Self {
        let (up, down) = (VecDeque::new(), Vec::new());
        Self { up, down, capacity, peer: Peer::There, is_closed: false, lagged: false }
    }

    /// Takes as much as fits and says how much.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> usize {
        let fits = bytes.len().min(self.capacity - self.down.len());
        self.down.extend_from_slice(&bytes[..fits]);
        fits
    }
}

/// What an answer changes besides bringing frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    Same,
    Joined,
    Left,
    CaughtUp,
}

/// A frame for one connection in the place of the public one.
pub(crate) struct Own {
    pub(crate) to: ConnId,
    pub(crate) frame: Vec<u8>,
    /// Whether it answers a request (an expiry does not).
    pub(crate) answers: bool,
}

/// A connection on its way to another shard.
pub(crate) struct HandOver {
    pub(crate) pipe: usize,
    pub(crate) client: ClientId,
    pub(crate) unread: VecDeque<Request>,
}

/// A letter from one shard to another.
pub(crate) enum Letter {
    HandOver(HandOver),
    Command { conn: ConnId, client: ClientId, request: Request },
    Resync { conn: ConnId, room: Room },
    Gone { conn: ConnId },
    Answer { to: ConnId, room: Room, standing: Standing, frames: Vec<u8> },
    News { room: Room, public: Vec<u8>, own: Option<Own> },
}
