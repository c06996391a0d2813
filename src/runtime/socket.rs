//! One socket: what a shard remembers of it. Its node knows by the same slot whose session it is.
//!
//! An idle connection is one entry of this table and one of the node's, and nothing else: no buffer, no task, no timer.
//! What it needs only at times (the rest of a partial frame) is boxed. Never here: what messages mean; who is owed
//! what.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::figures::shard::Refusal;
use crate::slots::{Entry, Slots};
use crate::wire::frame::Assembly;

/// A tenth of a second since the shard began: fine enough for heartbeats and half the size.
pub(crate) type Tenths = u32;

/// The sockets of one shard.
pub(crate) type Sockets = Slots<Socket>;

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// A trusted proxy names the client first, by a PROXY protocol header.
    Preamble,
    /// It sends HTTP request heads.
    Http,
    /// It is a WebSocket.
    Open,
    /// Our last word has been queued: nothing it sends counts, and it ends when it hangs up or its time is over.
    Closing,
}

/// What the epoll set reports of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Watched {
    /// Nothing: it is not in the set yet.
    Not,
    /// That it can be read.
    Reads,
    /// That it can be read or written: it was full once.
    Writes,
}

/// One socket.
#[derive(Debug)]
pub(crate) struct Socket {
    /// How many had its slot before it.
    generation: u32,
    pub(crate) fd: OwnedFd,
    pub(crate) phase: Phase,
    /// The kernel may have bytes that were not read: the last read was not short, or reading was put off.
    pub(crate) readable: bool,
    /// The peer has hung up its side: read until the end.
    pub(crate) hung_up: bool,
    /// It is in the list of sockets to be read.
    pub(crate) read_queued: bool,
    /// It was full and has not said since that it is writable.
    pub(crate) full: bool,
    /// What the epoll set reports of it.
    pub(crate) watched: Watched,
    /// Reading was put off with messages unread in `unread`: they are looked at before the socket is.
    pub(crate) stalled: bool,
    /// A ping is out and nothing has come since.
    pub(crate) pinged: bool,
    /// An HTTP answer is being collected from other shards; requests behind it wait.
    pub(crate) awaits_answer: bool,
    /// Accepted beyond this limit: it may ask for `/health` but not stay.
    pub(crate) surplus: Option<Refusal>,
    /// HTTP requests answered.
    pub(crate) requests: u16,
    /// When something last came from it.
    pub(crate) heard: Tenths,
    /// When it has to be looked at; an older entry of the wheel is stale.
    pub(crate) check_at: Tenths,
    pub(crate) assembly: Assembly,
    #[allow(clippy::box_collection, reason = "one word in an entry that nearly always holds nothing here")]
    pub(crate) unread: Option<Box<Vec<u8>>>,
    /// Where it comes from; kept only when connections are counted by address.
    pub(crate) peer: Option<Box<IpAddr>>,
}

impl Entry for Socket {
    fn generation(&self) -> u32 {
        self.generation
    }

    fn set_generation(&mut self, generation: u32) {
        self.generation = generation;
    }
}

impl Socket {
    pub(crate) fn new(fd: OwnedFd, now: Tenths) -> Self {
        Self {
            generation: 0,
            fd,
            phase: Phase::Http,
            readable: false,
            hung_up: false,
            read_queued: false,
            full: false,
            watched: Watched::Not,
            stalled: false,
            pinged: false,
            awaits_answer: false,
            surplus: None,
            requests: 0,
            heard: now,
            check_at: 0,
            assembly: Assembly::default(),
            unread: None,
            peer: None,
        }
    }

    /// Sends what the socket takes now. 0 means that it is full. Errors: the connection is broken.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match send(&self.fd, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(sent) => Ok(sent),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Receives what has come; `None` when nothing has, `Some(0)` at the end. Errors: the connection is broken.
    pub(crate) fn receive(&self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match recv(&self.fd, into, RecvFlags::DONTWAIT) {
            Ok((received, _)) => Ok(Some(received)),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Socket;
    use crate::node::SESSION_BYTES;
    use crate::slots::Place;

    #[test]
    fn an_idle_connection_is_small() {
        let socket = size_of::<Place<Socket>>();
        assert!(socket + SESSION_BYTES <= 128, "{socket} + {SESSION_BYTES} bytes");
    }
}
