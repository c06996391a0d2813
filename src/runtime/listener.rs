//! New connections: the listening sockets, accepting, and who may stay.
//!
//! Every shard listens on the same port by `SO_REUSEPORT`, and the kernel spreads connections over them. Invariants: at
//! a limit the connections that are open are not touched; out of file descriptors, accepting pauses for
//! [`ACCEPT_PAUSE_NS`] instead of spinning. Never here: what a connection says.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, acceptfrom_with, bind, getsockname, listen, socket_with, sockopt,
};

use crate::figures::shard::Refusal;
use crate::limits::{
    ACCEPT_BACKLOG, ACCEPT_CROWD_MIN, ACCEPT_PAUSE_NS, ACCEPT_REST_NS, ACCEPTS_PER_TURN_MAX, DOORSTEP_TENTHS,
    SOCKET_SEND_BYTES, SURPLUS_MAX,
};
use crate::node::Event;
use crate::runtime::core::Core;
use crate::runtime::intake::Intake;
use crate::runtime::origin::ip_of;
use crate::runtime::readiness::Readiness;
use crate::runtime::socket::{Phase, Socket, Sockets, Tenths};

/// Listening sockets on one address, one for each shard.
///
/// # Errors
/// The address cannot be bound: in use, not ours, or not allowed.
pub(crate) fn bind_all(address: SocketAddr, shards: usize) -> io::Result<(SocketAddr, Vec<OwnedFd>)> {
    // Without SO_REUSEPORT first: the port must not be in use by anybody, another server of ours included.
    drop(bind_one(address, false)?);
    let first = bind_one(address, true)?;
    let bound = SocketAddr::try_from(getsockname(&first)?)?;
    let mut listeners = vec![first];
    for _ in 1..shards {
        listeners.push(bind_one(bound, true)?);
    }
    Ok((bound, listeners))
}

fn bind_one(address: SocketAddr, shared: bool) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&fd, true)?;
    if shared {
        sockopt::set_socket_reuseport(&fd, true)?;
    }
    // Accepted sockets inherit both.
    sockopt::set_tcp_nodelay(&fd, true)?;
    sockopt::set_socket_send_buffer_size(&fd, SOCKET_SEND_BYTES)?;
    bind(&fd, &address)?;
    listen(&fd, ACCEPT_BACKLOG)?;
    Ok(fd)
}

/// Accepting, by one shard.
#[derive(Debug)]
pub(crate) struct Listener {
    fd: OwnedFd,
    /// When to accept; `None` while the kernel will say that somebody has come.
    next_ns: Option<u64>,
    /// Who has come this turn: slot and generation.
    arrivals: Vec<(u32, u32)>,
}

impl Listener {
    /// Accepting from `fd`. Errors: the epoll set does not take it.
    pub(crate) fn new(fd: OwnedFd, readiness: &Readiness) -> io::Result<Self> {
        readiness.add_listener(&fd)?;
        Ok(Self { fd, next_ns: None, arrivals: Vec::new() })
    }

    /// The kernel says that somebody has come.
    pub(crate) fn called(&mut self) {
        self.next_ns = Some(0);
    }

    /// When to accept, unless the kernel will say.
    pub(crate) fn next_ns(&self) -> Option<u64> {
        self.next_ns
    }

    /// Accepts what has come, at most [`ACCEPTS_PER_TURN_MAX`], if it is time to, and reads what they ask for.
    pub(crate) fn accept(&mut self, core: &mut Core, intake: &mut Intake) {
        if self.next_ns.is_none_or(|next| core.now_ns < next) {
            return;
        }
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            match acceptfrom_with(&self.fd, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok((fd, peer)) => self.arrivals.extend(core.accepted(fd, ip_of(peer))),
                Err(Errno::AGAIN) => {
                    self.rest(core);
                    break;
                }
                // The peer has gone already, or a signal came.
                Err(Errno::CONNABORTED | Errno::INTR | Errno::PROTO) => {}
                Err(error) => {
                    core.node.figures.refuse(Refusal::Files);
                    tracing::debug!(%error, "accepting pauses");
                    self.next_ns = Some(core.now_ns + ACCEPT_PAUSE_NS);
                    break;
                }
            }
        }
        // In the order in which they came: behind one whose request is not there yet, no request is, probably.
        let mut asks = !core.lanes.is_congested();
        for (slot, generation) in self.arrivals.drain(..) {
            asks = asks && !core.has_read_enough() && core.read_first(intake, slot, generation);
            core.watch(slot, generation);
        }
    }

    /// Nobody is left to be accepted: the kernel says when somebody has come, unless more of a crowd will come anyway.
    fn rest(&mut self, core: &Core) {
        self.next_ns = None;
        if self.arrivals.len() >= ACCEPT_CROWD_MIN {
            self.next_ns = Some(core.now_ns + ACCEPT_REST_NS);
        } else if core.readiness.watch_listener(&self.fd).is_err() {
            self.next_ns = Some(core.now_ns + ACCEPT_PAUSE_NS);
        }
    }
}

impl Core {
    /// Takes a socket in that was accepted; its slot and generation, unless it is closed at once.
    fn accepted(&mut self, fd: OwnedFd, ip: Option<IpAddr>) -> Option<(u32, u32)> {
        self.node.figures.accepts += 1;
        let connections = self.board.connected();
        let mut over = connections.saturating_sub(self.connections_max);
        while over > 0 && self.make_room(DOORSTEP_TENTHS) {
            over -= 1;
        }
        if over > SURPLUS_MAX && self.make_room(0) {
            over -= 1;
        }
        if over > SURPLUS_MAX {
            self.node.figures.refuse(Refusal::Limit);
            self.board.disconnected();
            return None;
        }
        let mut socket = Socket::new(fd, self.tenths());
        socket.surplus = (over > 0).then_some(Refusal::Limit);
        let slot = self.admit(socket)?;
        let generation = self.sockets.generation(slot);
        self.handle(Event::Opened { slot, generation });
        let (now, sockets) = (self.tenths(), &self.sockets);
        self.doorstep.came((slot, generation, now), |slot, generation| stands_there(sockets, slot, generation));
        self.find_origin(slot, ip);
        Some((slot, generation))
    }

    /// Every place is taken: the connection that has asked for nothing for longest gives its own up, if it had the time
    /// for that.
    fn make_room(&mut self, patience: Tenths) -> bool {
        let (until, sockets) = (self.tenths().checked_sub(patience), &self.sockets);
        let oldest = until.and_then(|until| {
            self.doorstep.take_oldest(until, |slot, generation| stands_there(sockets, slot, generation))
        });
        if let Some(slot) = oldest {
            self.node.figures.refuse(Refusal::Limit);
            self.end(slot);
        }
        oldest.is_some()
    }

    /// Reads and answers a request before its socket is watched: then it costs no event. Says whether one was there.
    fn read_first(&mut self, intake: &mut Intake, slot: u32, generation: u32) -> bool {
        let before = self.node.figures.bytes_received;
        self.read(intake, slot, generation);
        self.flush(slot);
        self.node.figures.bytes_received > before
    }
}

/// Whether the connection is still there and has asked for nothing, or for nothing more.
fn stands_there(sockets: &Sockets, slot: u32, generation: u32) -> bool {
    let socket = sockets.get(slot).filter(|_| sockets.generation(slot) == generation);
    socket.is_some_and(|socket| matches!(socket.phase, Phase::Preamble | Phase::Http) && socket.requests == 0)
}
