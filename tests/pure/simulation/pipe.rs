//! Sockets as plain data: what is on its way between clients and shards.

use std::collections::VecDeque;

use super::frames::Request;
use super::second::requests::Asked;

/// A request on its way.
#[derive(Clone, Debug)]
pub(crate) enum Up {
    /// Of the first protocol.
    First(Request),
    /// Of the second, with what its client calls it.
    Second(u64, Asked),
}

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
    pub(crate) up: VecDeque<Up>,
    pub(crate) down: Vec<u8>,
    pub(crate) capacity: usize,
    pub(crate) peer: Peer,
    /// The server has closed it.
    pub(crate) is_closed: bool,
}

impl Pipe {
    pub(crate) fn new(capacity: usize) -> Self {
        let (up, down) = (VecDeque::new(), Vec::new());
        Self { up, down, capacity, peer: Peer::There, is_closed: false }
    }

    /// Takes as much as fits and says how much.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> usize {
        let fits = bytes.len().min(self.capacity.saturating_sub(self.down.len()));
        self.down.extend_from_slice(&bytes[..fits]);
        fits
    }

    pub(crate) fn is_full(&self) -> bool {
        self.down.len() >= self.capacity
    }
}
