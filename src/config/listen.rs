//! Where the server listens, and whose word about a client's address it takes.
//!
//! Invariant: `proxy_protocol` is on only with trusted proxies, or anybody could forge an address. Never here: sockets.

use std::net::IpAddr;

use super::network::Network;
use super::texts::{address, list};
use super::values::Values;

/// Where the server listens.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 takes any free one.
    pub port: u16,
    /// Proxies whose word about a client's address is taken.
    pub trusted_proxies: Vec<Network>,
    /// Whether trusted proxies begin with a PROXY protocol header. Then there is at least one trusted proxy.
    pub proxy_protocol: bool,
}

impl Listen {
    pub(super) fn read(values: &Values) -> Result<Self, String> {
        let listen = Self {
            host: values.read("WEBSOCKET_HOST", address)?.expect("it has a default"),
            port: values.u16("WEBSOCKET_PORT")?,
            trusted_proxies: values.read("TRUSTED_PROXIES", |text| list(text, Network::parse))?.unwrap_or_default(),
            proxy_protocol: values.switch("PROXY_PROTOCOL")?,
        };
        if listen.proxy_protocol && listen.trusted_proxies.is_empty() {
            let why = "needs TRUSTED_PROXIES, or anybody could forge an address";
            return Err(values.refusal_because("PROXY_PROTOCOL", why));
        }
        Ok(listen)
    }

    /// Whether a peer's word about its client's address is taken.
    #[must_use]
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        peer.is_some_and(|peer| self.trusted_proxies.iter().any(|network| network.contains(peer)))
    }
}
