//! Nodes of a cluster on a Redis of their own.

use std::path::Path;

use kit::redis_server::RedisServer;
use kit::server::Server;
use kit::{eventually, server};

/// What every node of these tests is started with.
const SETTINGS: &[(&str, &str)] = &[
    ("CLUSTER", "1"),
    ("STORE", "redis"),
    ("PARTS", "16"),
    ("CLUSTER_LEASE_MS", LEASE),
    ("RESTORE_BY", "proof"),
    ("SHARDS", "1"),
];
/// The number of parts.
pub(crate) const PARTS: usize = 16;
/// The length of a lease, as a setting.
const LEASE: &str = "2000";
/// The same in milliseconds.
pub(crate) const LEASE_MS: u64 = 2_000;

/// Nodes and their Redis.
pub(crate) struct Cluster {
    pub(crate) redis: RedisServer,
    dir: tempfile::TempDir,
    user: String,
    more: Vec<(String, String)>,
}

impl Cluster {
    /// A Redis without nodes. What is kept there outlives it.
    pub(crate) fn new(more: &[(&str, &str)]) -> Self {
        let redis = RedisServer::start_with(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { redis, dir: tempfile::tempdir().expect("a directory"), user: String::new(), more }
    }

    /// All nodes from now on are this user of Redis.
    pub(crate) fn as_user(&mut self, name: &str, password: &str) {
        self.user = format!("?user={name}&pass={password}");
    }

    /// A node of this name, once it serves.
    pub(crate) fn node(&self, name: &str) -> Server {
        self.node_with(name, &[])
    }

    /// The same, with settings of its own.
    pub(crate) fn node_with(&self, name: &str, more: &[(&str, &str)]) -> Server {
        let url = self.redis.url() + &self.user;
        let data = self.dir.path().join(name);
        let data = Path::new(&data).to_str().expect("a plain path").to_owned();
        let own = [("NODE_ID", name), ("REDIS_URL", url.as_str()), ("DATA_DIR", data.as_str())];
        let of_all = self.more.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let settings: Vec<(&str, &str)> =
            SETTINGS.iter().copied().chain(own).chain(of_all).chain(more.iter().copied()).collect();
        Server::run(server::command(&settings))
    }

    /// Nodes of these names, once each has parts.
    pub(crate) fn nodes<const N: usize>(&self, names: [&str; N]) -> [Server; N] {
        let nodes = names.map(|name| self.node(name));
        eventually("all have parts", || names.iter().all(|name| self.parts_of(name) > 0).then_some(()));
        nodes
    }

    /// How many parts a node has, as Redis knows it.
    pub(crate) fn parts_of(&self, name: &str) -> usize {
        let owner = |part: usize| self.redis.ask::<Option<String>>(&["HGET", &format!("{{butaca}}:part:{part}"), "o"]);
        (0..PARTS).filter(|&part| owner(part).as_deref() == Some(name)).count()
    }
}

/// Rooms enough that every node owns some of them.
pub(crate) fn rooms() -> Vec<String> {
    (0..12).map(|number| format!("room-{number}")).collect()
}
