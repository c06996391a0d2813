//! Where Redis is: one server, a server that Sentinels know, or a cluster.
//!
//! `redis://`, `rediss://` and `unix://` are what the client library understands. Two more forms name several nodes:
//! `redis+sentinel://[user:password@]host:port[,host:port…]/master[/db][?sentinel_password=…]` and
//! `redis+cluster://[user:password@]host:port[,host:port…]`, both also with `rediss`.
//! Invariant: no text made here contains a password. Never here: connections.

use ::redis::{ConnectionInfo, IntoConnectionInfo};

use super::RedisConfig;

/// What to connect to.
#[derive(Clone, Debug)]
pub(super) enum Address {
    /// One server.
    Single(Box<ConnectionInfo>),
    /// The master of this name, wherever the Sentinels say it is. `node` is how to speak to it, with their place in it.
    Sentinel { sentinels: Vec<ConnectionInfo>, master: String, node: Box<ConnectionInfo> },
    /// A cluster that these nodes belong to.
    Cluster(Vec<ConnectionInfo>),
}

impl Address {
    /// The address that the configuration names.
    pub(super) fn new(config: &RedisConfig) -> Result<Self, String> {
        let Some(url) = &config.url else {
            let host = if config.host.contains(':') { format!("[{}]", config.host) } else { config.host.clone() };
            return Ok(Self::Single(Box::new(with_defaults(parse(&format!("redis://{host}:{}", config.port))?, config))));
        };
        let (scheme, rest) = url.split_once("://").ok_or("REDIS_URL has no scheme")?;
        match scheme {
            "redis+sentinel" | "rediss+sentinel" => Self::sentinel(scheme, rest, config),
            "redis+cluster" | "rediss+cluster" => {
                let (nodes, _) = split_path(rest);
                let (user, hosts) = split_user(nodes);
                let nodes = hosts.split(',').map(|host| parse(&format!("{}://{user}{host}", base(scheme))));
                let nodes: Result<Vec<_>, _> = nodes.map(|node| Ok(with_defaults(node?, config))).collect();
                nodes.map(Self::Cluster)
            }
            _ => Ok(Self::Single(Box::new(with_defaults(parse(url)?, config)))),
        }
    }

    fn sentinel(scheme: &str, rest: &str, config: &RedisConfig) -> Result<Self, String> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (nodes, path) = split_path(rest);
        let (user, hosts) = split_user(nodes);
        let (master, db) = path.split_once('/').unwrap_or((path, ""));
        if master.is_empty() {
            return Err("REDIS_URL with Sentinels needs the master's name: redis+sentinel://host:port/master".into());
        }
        let password = query.strip_prefix("sentinel_password=").map_or(String::new(), |pw| format!(":{pw}@"));
        let sentinels = hosts.split(',').map(|host| parse(&format!("{}://{password}{host}", base(scheme))));
        let sentinels = sentinels.collect::<Result<Vec<_>, _>>()?;
        let node = with_defaults(parse(&format!("{}://{user}localhost/{db}", base(scheme)))?, config);
        Ok(Self::Sentinel { sentinels, master: master.to_owned(), node: Box::new(node) })
    }
}

fn base(scheme: &str) -> &str {
    scheme.split('+').next().expect("split gives at least one part")
}

fn split_path(rest: &str) -> (&str, &str) {
    rest.split_once('/').unwrap_or((rest, ""))
}

/// The part with the user, with its `@`, and the rest.
fn split_user(nodes: &str) -> (&str, &str) {
    nodes.split_at(nodes.rfind('@').map_or(0, |at| at + 1))
}

fn parse(url: &str) -> Result<ConnectionInfo, String> {
    url.into_connection_info().map_err(|error| format!("REDIS_URL cannot be used: {error}"))
}

/// What the address leaves open comes from `REDIS_PASSWORD` and `REDIS_DB`.
fn with_defaults(info: ConnectionInfo, config: &RedisConfig) -> ConnectionInfo {
    let mut redis = info.redis_settings().clone();
    if let (None, Some(password)) = (redis.password(), &config.password) {
        redis = redis.set_password(password);
    }
    if redis.db() == 0 {
        redis = redis.set_db(config.db);
    }
    info.set_redis_settings(redis)
}
