//! Where a connection comes from, when connections are counted by address, and which proxies are believed.
//!
//! Invariants: only a peer within `TRUSTED_PROXIES` may name an address other than its own; a connection counts for one
//! address at most, and once; connections beyond an address's limit are few and live no longer than a handshake. Never
//! here: how a header is read (`wire/proxy.rs`).

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::getpeername;

use crate::engine::ids::Origin;
use crate::figures::shard::Refusal;
use crate::limits::SURPLUS_PER_IP_MAX;
use crate::node::Event;
use crate::runtime::core::Core;
use crate::runtime::site::exchange::Exchange;
use crate::runtime::socket::Phase;
use crate::wire::proxy::{forwarded_client, parse_proxy_header};

impl Core {
    /// A connection has been accepted: counts it for its address, unless a trusted proxy will name another.
    pub(crate) fn find_origin(&mut self, slot: u32) {
        if self.connections.per_ip_max == 0 && !self.listen.proxy_protocol {
            return;
        }
        let Some(socket) = self.sockets.get_mut(slot) else { return };
        let ip = peer_ip(&socket.fd);
        if !self.listen.trusts(ip) {
            self.count_origin(slot, ip);
        } else if self.listen.proxy_protocol {
            socket.phase = Phase::Preamble;
        }
    }

    /// Reads the PROXY protocol header that a trusted proxy begins with. 0: it is not whole, or the connection has ended.
    /// `None`: there is none, and the connection ends.
    pub(crate) fn read_proxy_header(&mut self, slot: u32, bytes: &[u8]) -> Option<usize> {
        match parse_proxy_header(bytes) {
            Ok(None) => Some(0),
            Ok(Some(header)) => {
                if let Some(socket) = self.sockets.get_mut(slot) {
                    socket.phase = Phase::Http;
                }
                self.count_origin(slot, header.client);
                Some(header.length)
            }
            Err(_) => {
                let message = "a PROXY protocol header is expected from this address";
                self.respond_message(Exchange::last(slot), 400, message, &[]);
                self.handle(Event::Finish { slot });
                None
            }
        }
    }

    /// An upgrade is asked for: takes the word of a trusted proxy about the client. False: the connection has ended.
    pub(crate) fn believe_forwarded(&mut self, slot: u32, forwarded_for: Option<&[u8]>) -> bool {
        if self.connections.per_ip_max == 0 || self.listen.proxy_protocol {
            return true;
        }
        let Some(socket) = self.sockets.get(slot) else { return false };
        // What was counted when it was accepted came from nobody's proxy.
        if socket.peer.is_none() && self.listen.trusts(peer_ip(&socket.fd)) {
            self.count_origin(slot, forwarded_for.and_then(forwarded_client));
        }
        self.sockets.get(slot).is_some()
    }

    /// Counts a connection for an address. Beyond the limit it may not stay, and far beyond it is closed at once: an
    /// address must not fill the server with connections that say nothing. Without an address it counts for none.
    fn count_origin(&mut self, slot: u32, ip: Option<IpAddr>) {
        let max = self.connections.per_ip_max;
        let (Some(socket), Some(ip)) = (self.sockets.get_mut(slot), ip) else { return };
        socket.peer = Some(Box::new(ip));
        if max == 0 {
            return;
        }
        let over = self.board.connected_from(ip).saturating_sub(max);
        if over > 0 {
            socket.surplus.get_or_insert(Refusal::PerIp);
        }
        if over > SURPLUS_PER_IP_MAX {
            self.node.figures.refuse(Refusal::PerIp);
            self.end(slot);
        }
    }
}

impl Core {
    /// The connection becomes a WebSocket: its node is told where it comes from.
    pub(crate) fn note_origin(&mut self, slot: u32, forwarded_for: Option<&[u8]>) {
        let Some(socket) = self.sockets.get(slot) else { return };
        let counted = socket.peer.as_deref().copied();
        let ip = counted.or_else(|| {
            let peer = peer_ip(&socket.fd);
            let named = forwarded_for.filter(|_| self.listen.trusts(peer)).and_then(forwarded_client);
            // A proxy that names nobody is where they all come from.
            named.or(peer)
        });
        let origin = ip.map_or(Origin::UNKNOWN, |ip| self.origins.of(ip));
        self.node.comes_from(slot, origin);
    }
}

fn peer_ip(fd: &OwnedFd) -> Option<IpAddr> {
    let address = getpeername(fd).ok().flatten()?;
    SocketAddr::try_from(address).ok().map(|address| address.ip().to_canonical())
}
