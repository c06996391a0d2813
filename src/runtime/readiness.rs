//! What a shard waits for: sockets, alarms of other threads, time. One edge-triggered epoll set a shard.
//!
//! A poll in glommio's ring for each connection made every command dearer than the command itself (5.5 `io_uring_enter`
//! and a membarrier); one epoll set takes all ready sockets at once. While there is traffic the driver waits here;
//! when it is quiet it parks as its `executor` does.
//!
//! Invariants: every descriptor is in the set once, at most from the moment it is owned until it is closed or handed
//! over. Never here: what a connection is.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};

use crate::limits::EPOLL_EVENTS_MAX;

/// Wakes a shard from any thread. Clones ring the same shard.
#[derive(Clone, Debug)]
pub(crate) struct Alarm(Arc<OwnedFd>);

impl Alarm {
    /// A silent alarm. Errors: no descriptor is left.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// Rings. An alarm that rings already goes on ringing.
    pub(crate) fn ring(&self) {
        // The one possible error is a counter that is full, and then the alarm rings.
        rustix::io::write(&*self.0, &1_u64.to_ne_bytes()).ok();
    }

    /// Makes it silent again.
    fn silence(&self) {
        let mut counter = [0; 8];
        rustix::io::read(&*self.0, &mut counter).ok();
    }

    #[cfg(test)]
    pub(crate) fn wait_for_test(&self) {
        let mut fds = [rustix::event::PollFd::new(&*self.0, rustix::event::PollFlags::IN)];
        let bound = Timespec { tv_sec: 20, tv_nsec: 0 };
        assert_eq!(rustix::event::poll(&mut fds, Some(&bound)), Ok(1), "nobody rings");
        self.silence();
    }
}

/// Whose descriptor is ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ready {
    /// Somebody wants to connect.
    Listener,
    /// The alarm rang; it is silent again.
    Alarm,
    /// The timer that [`Readiness::wake_after`] set.
    Timer,
    /// A connection: its slot and generation, and what it is ready for.
    Connection { slot: u32, generation: u32, readable: bool, writable: bool, hung_up: bool },
}

const LISTENER: u64 = u64::MAX;
const ALARM: u64 = u64::MAX - 1;
const TIMER: u64 = u64::MAX - 2;

/// The set of descriptors of one shard.
#[derive(Debug)]
pub(crate) struct Readiness {
    epoll: OwnedFd,
    timer: OwnedFd,
    alarm: Alarm,
}

/// What the kernel reports into; it belongs to the thread that waits.
pub(crate) struct Events(Vec<epoll::Event>);

impl Events {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(EPOLL_EVENTS_MAX))
    }
}

impl Readiness {
    /// A set with an alarm in it. Errors: no descriptor is left.
    pub(crate) fn new(alarm: Alarm) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let edge = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, &*alarm.0, EventData::new_u64(ALARM), edge)?;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), edge)?;
        Ok(Self { epoll, timer, alarm })
    }

    /// The set itself, which is readable when something in it is ready.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Adds the listening socket. It is reported once: see [`Readiness::watch_listener`].
    pub(crate) fn add_listener(&self, listener: &OwnedFd) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, listener, EventData::new_u64(LISTENER), EventFlags::IN | EventFlags::ONESHOT)?)
    }

    /// Reports once more when somebody wants to connect, or does so already.
    pub(crate) fn watch_listener(&self, listener: &OwnedFd) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, listener, EventData::new_u64(LISTENER), EventFlags::IN | EventFlags::ONESHOT)?)
    }

    /// Adds a connection, for reading: a fresh socket is writable, and being told so would cost an event a connection.
    /// Writing is watched if it must be.
    pub(crate) fn add(&self, fd: &OwnedFd, slot: u32, generation: u32, writes: bool) -> io::Result<()> {
        let flags = if writes { reading() | EventFlags::OUT } else { reading() };
        Ok(epoll::add(&self.epoll, fd, connection_token(slot, generation), flags)?)
    }

    /// From now on also reports when the connection becomes writable, because a send found its socket full.
    pub(crate) fn watch_writes(&self, fd: &OwnedFd, slot: u32, generation: u32) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, connection_token(slot, generation), reading() | EventFlags::OUT)?)
    }

    /// Takes a descriptor out that is about to be handed over. (Closing the last copy of one takes it out by itself.)
    pub(crate) fn remove(&self, fd: &OwnedFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Waits until something is ready or the time is over and appends what is ready to `ready`.
    pub(crate) fn wait(&self, timeout: Duration, events: &mut Events, ready: &mut Vec<Ready>) -> io::Result<()> {
        let timeout = Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        events.0.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events.0), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events.0 {
            let flags = event.flags;
            ready.push(match event.data.u64() {
                LISTENER => Ready::Listener,
                ALARM => Ready::Alarm,
                TIMER => Ready::Timer,
                token => Ready::Connection {
                    slot: u32::try_from(token & 0xffff_ffff).expect("32 bits"),
                    generation: u32::try_from(token >> 32).expect("32 bits"),
                    readable: flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR),
                    writable: flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR),
                    hung_up: flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR),
                },
            });
        }
        if ready.contains(&Ready::Alarm) {
            self.alarm.silence();
        }
        Ok(())
    }

    /// Makes the set ready after `delay`, once. Only needed before parking; while the driver waits here it has a
    /// timeout.
    pub(crate) fn wake_after(&self, delay: Duration) -> io::Result<()> {
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        // A value of zero would disarm the timer.
        let delay = delay.max(Duration::from_micros(1));
        let it_value = Timespec::try_from(delay).map_err(|_| io::ErrorKind::InvalidInput)?;
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: zero, it_value })?;
        Ok(())
    }
}

fn reading() -> EventFlags {
    EventFlags::IN | EventFlags::RDHUP | EventFlags::ET
}

fn connection_token(slot: u32, generation: u32) -> EventData {
    EventData::new_u64(u64::from(generation) << 32 | u64::from(slot))
}
