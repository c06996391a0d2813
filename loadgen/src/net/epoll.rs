//! One edge-triggered epoll set.
//!
//! Invariant: every socket is registered once, for both directions, so nothing is ever modified.
//! Never here: what a readiness means.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;

use crate::limits::EPOLL_EVENTS_MAX;

/// What became ready.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// The token given at registration.
    pub token: u64,
    /// There are bytes to read, or the end of the stream, or an error.
    pub read: bool,
    /// There is room to write.
    pub write: bool,
    /// The peer has ended the stream, perhaps behind bytes that are not yet read. It is said once.
    pub ended: bool,
}

/// The set.
pub struct Epoll {
    fd: OwnedFd,
    events: Vec<Event>,
}

impl std::fmt::Debug for Epoll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Epoll").field("fd", &self.fd).finish_non_exhaustive()
    }
}

impl Epoll {
    /// An empty set.
    ///
    /// # Errors
    /// What the kernel says, for example that no file is left.
    pub fn new() -> io::Result<Self> {
        Ok(Self { fd: epoll::create(CreateFlags::CLOEXEC)?, events: Vec::with_capacity(EPOLL_EVENTS_MAX) })
    }

    /// Adds a socket. Closing it removes it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn add(&self, socket: impl AsFd, token: u64) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.fd, socket, EventData::new_u64(token), flags)?;
        Ok(())
    }

    /// Waits at most `timeout_ns` (0: only looks). Returns how many sockets are ready.
    pub fn wait(&mut self, timeout_ns: u64) -> usize {
        self.events.clear();
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout_ns / 1_000_000_000).expect("a run is shorter than an age"),
            tv_nsec: i64::try_from(timeout_ns % 1_000_000_000).expect("below 2^30"),
        };
        // An interrupted wait is an early return; the loop above it comes back.
        epoll::wait(&self.fd, rustix::buffer::spare_capacity(&mut self.events), Some(&timeout)).unwrap_or_default()
    }

    /// The `index`-th ready socket of the last [`Epoll::wait`].
    #[must_use]
    pub fn ready(&self, index: usize) -> Ready {
        let event = self.events[index];
        let flags = event.flags;
        let ended = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let (read, write) = (flags != EventFlags::OUT, flags.contains(EventFlags::OUT));
        Ready { token: event.data.u64(), read, write, ended }
    }
}
