//! Where Redis is: one server, a server that Sentinels know, or a cluster.
//!
//! Invariants: user, password, database and TLS are those of `REDIS_URL`, also for a master or a node that was found
//! elsewhere; what the URL leaves open comes from the other settings. No text made here contains a password.
//! Never here: connections.

use ::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use crate::config::RedisSettings;

/// What to connect to.
#[derive(Clone, Debug)]
pub(super) enum Address {
    /// One server.
    Single(Box<ConnectionInfo>),
    /// The master of this name, wherever the Sentinels say it is. `node` is how to speak to it, with another place in
    /// it.
    Sentinel { sentinels: Vec<ConnectionInfo>, master: String, node: Box<ConnectionInfo> },
    /// A cluster that these nodes belong to.
    Cluster(Vec<ConnectionInfo>),
}

impl Address {
    /// The address that the settings name.
    pub(super) fn new(settings: &RedisSettings) -> Result<Self, String> {
        let node = node(settings)?;
        if !settings.sentinels.is_empty() {
            let scheme = if matches!(node.addr(), ConnectionAddr::TcpTls { .. }) { "rediss" } else { "redis" };
            let sentinels = settings.sentinels.iter().map(|place| parse(&format!("{scheme}://{place}")));
            let (sentinels, master) = (sentinels.collect::<Result<_, _>>()?, settings.sentinel_master.clone());
            return Ok(Self::Sentinel { sentinels, master, node: Box::new(node) });
        }
        if settings.cluster_nodes.is_empty() {
            return Ok(Self::Single(Box::new(node)));
        }
        let places = settings.cluster_nodes.iter().map(|place| {
            let (host, port) = place.rsplit_once(':').ok_or("a node of a cluster is host:port")?;
            let port = port.parse().map_err(|_| "a port is a number")?;
            Ok(moved(&node, host.trim_matches(['[', ']']).to_owned(), port))
        });
        places.collect::<Result<_, String>>().map(Self::Cluster)
    }
}

/// The same way of speaking to another place, over TLS if it was.
pub(super) fn moved(node: &ConnectionInfo, host: String, port: u16) -> ConnectionInfo {
    let addr = if let ConnectionAddr::TcpTls { insecure, tls_params, .. } = node.addr() {
        ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
    } else {
        ConnectionAddr::Tcp(host, port)
    };
    node.clone().set_addr(addr)
}

fn node(settings: &RedisSettings) -> Result<ConnectionInfo, String> {
    let info = match &settings.url {
        Some(url) => parse(url)?,
        None => {
            let is_v6 = settings.host.contains(':') && !settings.host.starts_with('[');
            let host = if is_v6 { format!("[{}]", settings.host) } else { settings.host.clone() };
            parse(&format!("redis://{host}:{}", settings.port))?
        }
    };
    let mut redis = info.redis_settings().clone();
    if let (None, Some(password)) = (redis.password(), &settings.password) {
        redis = redis.set_password(password);
    }
    if redis.db() == 0 {
        redis = redis.set_db(settings.db.into());
    }
    Ok(info.set_redis_settings(redis))
}

fn parse(url: &str) -> Result<ConnectionInfo, String> {
    url.into_connection_info().map_err(|error| format!("the address of Redis cannot be used: {error}"))
}
