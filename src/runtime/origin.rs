//! Where a connection comes from, when connections are counted by address, and which proxies are believed.
//!
//! Invariants: only a peer within `TRUSTED_PROXIES` may name an address other than its own; a connection counts for one
//! address at most, and once; connections beyond an address's limit are few and live no longer than a handshake. Never
//! here: how a header is read (`wire/proxy.rs`).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

use rustix::net::{SocketAddrAny, getpeername};

use crate::engine::ids::Origin;
use crate::figures::shard::Refusal;
use crate::limits::{NEARLY_EVERYBODY_PERCENT, SURPLUS_PER_IP_MAX};
use crate::node::Event;
use crate::runtime::core::Core;
use crate::runtime::site::exchange::Exchange;
use crate::runtime::socket::Phase;
use crate::wire::proxy::{forwarded_client, parse_proxy_header};

impl Core {
    /// A connection has been accepted from this address: notes it, and counts the connection for it unless a trusted
    /// proxy will name another. Accepting tells the address anyway; asking for it later is a call more for each
    /// connection.
    pub(crate) fn find_origin(&mut self, slot: u32, ip: Option<IpAddr>) {
        self.comes_from(slot, ip);
        if self.connections.per_ip_max == 0 && !self.listen.proxy_protocol {
            return;
        }
        let Some(socket) = self.sockets.get_mut(slot) else { return };
        if !self.listen.trusts(ip) {
            self.count_origin(slot, ip);
        } else if self.listen.proxy_protocol {
            socket.phase = Phase::Preamble;
        }
    }

    /// Reads the PROXY protocol header that a trusted proxy begins with. 0: it is not whole, or the connection has
    /// ended. `None`: there is none, and the connection ends.
    pub(crate) fn read_proxy_header(&mut self, slot: u32, bytes: &[u8]) -> Option<usize> {
        match parse_proxy_header(bytes) {
            Ok(None) => Some(0),
            Ok(Some(header)) => {
                let socket = self.sockets.get_mut(slot)?;
                socket.phase = Phase::Http;
                let peer = peer_ip(&socket.fd);
                self.count_origin(slot, header.client.or(peer));
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
        if self.connections.per_ip_max == 0 || self.listen.proxy_protocol || self.listen.trusted_proxies.is_empty() {
            return true;
        }
        let Some(socket) = self.sockets.get(slot) else { return false };
        let peer = peer_ip(&socket.fd);
        // What was counted when it was accepted came from nobody's proxy.
        if socket.peer.is_none() && self.listen.trusts(peer) {
            self.count_origin(slot, forwarded_for.and_then(forwarded_client).or(peer));
        }
        self.sockets.get(slot).is_some()
    }

    /// Counts a connection for an address; of an IPv6 address its network counts. Beyond the limit it may not stay, and
    /// far beyond it is closed at once: an address must not fill the server with connections that say nothing.
    fn count_origin(&mut self, slot: u32, ip: Option<IpAddr>) {
        let max = self.connections.per_ip_max;
        let (Some(socket), Some(ip)) = (self.sockets.get_mut(slot), ip) else { return };
        let counts = counted_as(ip);
        socket.peer = Some(Box::new(counts));
        if max == 0 {
            return;
        }
        let connections = self.board.connected_from(counts);
        let over = connections.saturating_sub(max);
        if over > 0 {
            socket.surplus.get_or_insert(Refusal::PerIp);
            self.look_for_proxy(ip, connections);
        }
        if over > SURPLUS_PER_IP_MAX {
            self.node.figures.refuse(Refusal::PerIp);
            self.end(slot);
        }
    }
}

impl Core {
    /// An address is at its limit. When nearly everybody comes from it and it is a private one, it is a proxy that
    /// nobody has declared: that is said, once in the log, and from then on by `/health` and `/metrics`.
    fn look_for_proxy(&self, ip: IpAddr, connections: usize) {
        let is_nearly_all = connections * 100 >= self.board.connections() * NEARLY_EVERYBODY_PERCENT;
        let is_undeclared = is_private(ip) && !self.listen.trusts(Some(ip));
        if is_nearly_all && is_undeclared && !self.board.undeclared_proxy.swap(true, Ordering::Relaxed) {
            tracing::warn!(%ip, connections, "nearly everybody comes from one private address: set TRUSTED_PROXIES");
        }
    }

    /// The connection becomes a WebSocket: its node is told what a trusted proxy says of where it comes from.
    pub(crate) fn note_origin(&mut self, slot: u32, forwarded_for: Option<&[u8]>) {
        if self.listen.trusted_proxies.is_empty() {
            return;
        }
        let Some(socket) = self.sockets.get(slot) else { return };
        let counted = socket.peer.as_deref().copied();
        let ip = counted.or_else(|| {
            let peer = peer_ip(&socket.fd);
            let named = forwarded_for.filter(|_| self.listen.trusts(peer)).and_then(forwarded_client);
            // A proxy that names nobody is where they all come from.
            named.or(peer)
        });
        self.comes_from(slot, ip);
    }

    fn comes_from(&mut self, slot: u32, ip: Option<IpAddr>) {
        let origin = ip.map_or(Origin::UNKNOWN, |ip| self.origins.of(ip));
        self.node.comes_from(slot, origin);
    }
}

/// What an address is counted as: one line has 2^64 IPv6 addresses, so their network counts.
fn counted_as(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

/// Whether an address is one that the internet does not know: of this machine, of a network behind a router, of a
/// carrier.
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let is_shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || is_shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn peer_ip(fd: &OwnedFd) -> Option<IpAddr> {
    ip_of(getpeername(fd).ok().flatten())
}

/// The address of a peer; an IPv4 address that arrived in IPv6 clothes is the IPv4 address.
pub(crate) fn ip_of(peer: Option<SocketAddrAny>) -> Option<IpAddr> {
    SocketAddr::try_from(peer?).ok().map(|address| address.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    use super::{counted_as, is_private};

    #[test]
    fn of_an_ipv6_address_its_network_counts() {
        let of = |text: &str| counted_as(text.parse().expect("an address"));
        for (a, b, is_same) in [
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:2:3", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ] {
            assert_eq!(of(a) == of(b), is_same, "{a} {b}");
        }
    }

    #[test]
    fn an_address_that_the_internet_does_not_know_is_private() {
        for (text, expected) in [
            ("127.0.0.1", true),
            ("10.1.2.3", true),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
            ("192.168.7.7", true),
            ("169.254.0.1", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("192.0.2.1", false),
            ("8.8.8.8", false),
            ("::1", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("2001:db8::1", false),
            ("::ffff:10.0.0.1", true),
            ("::ffff:8.8.8.8", false),
        ] {
            assert_eq!(is_private(text.parse().expect("an address")), expected, "{text}");
        }
    }
}
