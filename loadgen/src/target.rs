//! Where the load goes: a `ws://` URL on a loopback address, and nothing else.
//!
//! Invariant: a [`Target`] is loopback. A load generator that can be pointed at strangers is a weapon.
//! Never here: sockets.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

/// A server under load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where it listens.
    pub addr: SocketAddrV4,
    /// What stands in the `Host` header.
    pub host: String,
    /// The path of the upgrade, with `{client_id}` where the id goes.
    pub path: String,
}

impl Target {
    /// Reads `ws://127.0.0.1:8001`, with or without a path such as `/ws/{client_id}`.
    ///
    /// # Errors
    /// One line that says what is wrong with the URL.
    pub fn parse(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("ws://").ok_or_else(|| format!("--url {url}: must begin with ws://"))?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) => (name, port.parse().map_err(|_| format!("--url {url}: {port} is no port number"))?),
            None => (host, 80),
        };
        let ip = if name == "localhost" { Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)) } else { name.parse() };
        let ip = match ip {
            Ok(IpAddr::V4(ip)) if ip.is_loopback() => ip,
            Ok(ip) => {
                return Err(format!(
                    "--url {url}: {ip} is refused; only IPv4 loopback addresses (127.0.0.0/8) may be loaded"
                ));
            }
            Err(_) => return Err(format!("--url {url}: {name} is not an IPv4 loopback address")),
        };
        let path = match path.trim_end_matches('/') {
            "" => "/ws/{client_id}".to_owned(),
            path if path.contains("{client_id}") => path.to_owned(),
            path => format!("{path}/{{client_id}}"),
        };
        Ok(Self { addr: SocketAddrV4::new(ip, port), host: host.to_owned(), path })
    }

    /// The path for one client. Ids of this program need no percent-encoding.
    #[must_use]
    pub fn path_of(&self, client_id: &str) -> String {
        self.path.replace("{client_id}", client_id)
    }

    /// The same server by the second protocol.
    #[must_use]
    pub fn second(mut self) -> Self {
        self.path.push_str(if self.path.contains('?') { "&v=2" } else { "?v=2" });
        self
    }
}

/// Nodes of one cluster, each of which serves everybody. There is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets(Vec<Target>);

impl Targets {
    /// Reads one URL a node.
    ///
    /// # Errors
    /// One line that says what is wrong with one of them.
    pub fn parse(urls: &[String]) -> Result<Self, String> {
        let all: Vec<Target> = urls.iter().map(|url| Target::parse(url)).collect::<Result<_, _>>()?;
        if all.is_empty() { Err("--url: at least one".to_owned()) } else { Ok(Self(all)) }
    }

    /// The node for this turn: one after the other, and then the first again.
    #[must_use]
    pub fn of(&self, turn: usize) -> &Target {
        &self.0[turn % self.0.len()]
    }

    /// The first node.
    #[must_use]
    pub fn first(&self) -> &Target {
        self.of(0)
    }

    /// All nodes.
    pub fn iter(&self) -> impl Iterator<Item = &Target> {
        self.0.iter()
    }

    /// The same nodes by the second protocol.
    #[must_use]
    pub fn second(self) -> Self {
        Self(self.0.into_iter().map(Target::second).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, Targets};

    #[test]
    fn nodes_take_turns() {
        let urls = ["ws://127.0.0.1:1", "ws://127.0.0.1:2"].map(str::to_owned);
        let all = Targets::parse(&urls).expect("two URLs").second();
        let ports: Vec<u16> = (0..3).map(|turn| all.of(turn).addr.port()).collect();
        assert_eq!((ports, all.iter().count()), (vec![1, 2, 1], 2));
        assert!(all.iter().all(|target| target.path.ends_with("?v=2")));
        assert!(Targets::parse(&[]).is_err() && Targets::parse(&["ws://10.0.0.1".to_owned()]).is_err());
    }

    #[test]
    fn urls() {
        let plain = Target::parse("ws://127.0.0.1:8001").expect("a plain URL");
        assert_eq!((plain.addr.port(), plain.path.as_str()), (8001, "/ws/{client_id}"));
        assert_eq!(Target::parse("ws://localhost:9/ws").expect("a path").path_of("a"), "/ws/a");
        assert_eq!(Target::parse("ws://127.0.0.9:9/x/{client_id}?v=1").expect("a template").path_of("a"), "/x/a?v=1");
        for wrong in
            ["http://127.0.0.1", "ws://10.0.0.1:80", "ws://example.com:80", "ws://127.0.0.1:x", "ws://[::1]:80"]
        {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
    }
}
