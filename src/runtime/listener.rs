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
    AddressFamily, SocketFlags, SocketType, accept_with, bind, getsockname, listen, socket_with, sockopt,
};

use crate::audience::outbox::Kind;
use crate::limits::{ACCEPTS_PER_TURN_MAX, SOCKET_SEND_BYTES};
use crate::runtime::connection::Conn;
use crate::runtime::core::Core;
use crate::stats::Refusal;
use crate::wire::respond;

/// How long accepting pauses when the process is out of file descriptors, in nanoseconds.
pub(crate) const ACCEPT_PAUSE_NS: u64 = 100_000_000;
/// Connections waiting to be accepted by one shard. The kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;
/// Connections beyond the limit that are open just to be told so.
const SURPLUS_MAX: usize = 128;

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
    listen(&fd, BACKLOG)?;
    Ok(fd)
}

/// Accepting, by one shard.
#[derive(Debug)]
pub(crate) struct Listener {
    fd: OwnedFd,
    /// The kernel may have more than was taken.
    pub(crate) more: bool,
    /// Out of file descriptors: not before this time.
    pub(crate) paused_until_ns: Option<u64>,
}

impl Listener {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd, more: true, paused_until_ns: None }
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Accepts what has come, at most [`ACCEPTS_PER_TURN_MAX`].
    pub(crate) fn accept(&mut self, core: &mut Core) {
        if self.paused_until_ns.is_some_and(|until| core.now_ns < until) {
            return;
        }
        self.paused_until_ns = None;
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            match accept_with(&self.fd, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(fd) => core.accepted(fd),
                Err(Errno::AGAIN) => {
                    self.more = false;
                    return;
                }
                // The peer has gone already, or a signal came.
                Err(Errno::CONNABORTED | Errno::INTR | Errno::PROTO) => {}
                Err(error) => {
                    core.stats.refuse(Refusal::Files);
                    tracing::debug!(%error, "accepting pauses");
                    self.more = true;
                    self.paused_until_ns = Some(core.now_ns + ACCEPT_PAUSE_NS);
                    return;
                }
            }
        }
        self.more = true;
    }
}

impl Core {
    fn accepted(&mut self, fd: OwnedFd) {
        self.stats.accepts += 1;
        let connections = self.board.connected();
        let over = connections.saturating_sub(self.connections_max);
        if over > SURPLUS_MAX {
            self.stats.refuse(Refusal::Limit);
            self.board.disconnected();
            return;
        }
        let Some(slot) = self.admit(fd, None) else { return };
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.surplus = (over > 0).then_some(Refusal::Limit);
            // The request is usually there already: reading it now saves an event.
            conn.readable = true;
            self.resume_reading(slot);
        }
        self.find_origin(slot);
    }

    /// Takes a socket in that has been counted. On failure it is closed.
    pub(crate) fn admit(&mut self, fd: OwnedFd, peer: Option<Box<IpAddr>>) -> Option<u32> {
        let mut conn = Conn::new(fd, self.tenths());
        let ip = peer.as_deref().copied();
        conn.peer = peer;
        let Some(slot) = self.conns.insert(conn) else {
            self.uncount(ip);
            return None;
        };
        let generation = self.conns.generation(slot);
        let added = self.conns.get(slot).map(|conn| self.readiness.add(&conn.fd, slot, generation));
        if let Some(Err(error)) = added {
            tracing::error!(%error, "a connection could not be watched");
            self.end(slot);
            return None;
        }
        self.check_after(slot, self.config.handshake_ms);
        Some(slot)
    }

    /// A connection that had been counted has ended.
    pub(crate) fn uncount(&self, peer: Option<IpAddr>) {
        self.board.disconnected();
        if let Some(ip) = peer {
            self.board.disconnected_from(ip);
        }
    }

    /// Whether the connection may become a WebSocket; otherwise it is told why not and ends.
    pub(crate) fn may_stay(&mut self, slot: u32) -> bool {
        let surplus = self.conns.get(slot).and_then(|conn| conn.surplus);
        let draining = self.board.is_draining();
        let starting = self.saving.is_some() && !self.board.is_serving();
        if surplus.is_none() && !draining && !starting {
            return true;
        }
        self.stats.refuse(surplus.filter(|_| !draining && !starting).unwrap_or(Refusal::Draining));
        let message = if draining {
            "the server is shutting down"
        } else if starting {
            "the server is starting: it has not read its store yet"
        } else if surplus == Some(Refusal::PerIp) {
            "this address has all the connections it may have"
        } else {
            "the server has all the connections it may have"
        };
        self.write(slot, Kind::Reply, |out| {
            respond::respond_message(out, 503, message, false, false, &[("Retry-After", "2")]);
        });
        self.begin_closing(slot);
        false
    }
}
