//! How to reach Redis, and under which names to write.
//!
//! Invariant: there are sentinels or nodes of a cluster, never both. Never here: a connection.

use super::texts::{host_and_port, host_name, list, namespace, redis_url};
use super::values::Values;

/// How to reach Redis, and under which names to write.
#[derive(Clone)]
pub struct RedisSettings {
    /// Replaces host, port and database.
    pub url: Option<String>,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Used with a URL too, when the URL has none.
    pub password: Option<String>,
    /// Database number.
    pub db: u32,
    /// Begins every key.
    pub namespace: String,
    /// How long this server stays the one writer without reaching Redis.
    pub lease_ms: u64,
    /// Whether the old service's keys are written as well.
    pub compat_keys: bool,
    /// `host:port` of the sentinels; empty: none.
    pub sentinels: Vec<String>,
    /// Name of the master at the sentinels.
    pub sentinel_master: String,
    /// `host:port` of the first nodes of a cluster; empty: none.
    pub cluster_nodes: Vec<String>,
}

impl RedisSettings {
    pub(super) fn read(values: &Values) -> Result<Self, String> {
        let redis = Self {
            url: values.read("REDIS_URL", |text| redis_url(text.trim()))?,
            host: values.read("REDIS_HOST", host_name)?.unwrap_or_else(|| "localhost".into()),
            port: values.u16("REDIS_PORT")?,
            password: values.read("REDIS_PASSWORD", |text| Some(text.to_owned()))?,
            db: values.u32("REDIS_DB")?,
            namespace: values.read("REDIS_NAMESPACE", namespace)?.expect("it has a default"),
            lease_ms: values.u64("REDIS_LEASE_MS")?,
            compat_keys: values.switch("REDIS_COMPAT_KEYS")?,
            sentinels: values.read("REDIS_SENTINELS", |text| list(text, host_and_port))?.unwrap_or_default(),
            sentinel_master: values.read("REDIS_SENTINEL_MASTER", host_name)?.expect("it has a default"),
            cluster_nodes: values.read("REDIS_CLUSTER_NODES", |text| list(text, host_and_port))?.unwrap_or_default(),
        };
        if !redis.sentinels.is_empty() && !redis.cluster_nodes.is_empty() {
            return Err(values.refusal_because("REDIS_SENTINELS", "cannot be combined with REDIS_CLUSTER_NODES"));
        }
        if !redis.cluster_nodes.is_empty() && redis.db != 0 {
            return Err(values.refusal_because("REDIS_DB", "a Redis Cluster has only database 0"));
        }
        Ok(redis)
    }
}
