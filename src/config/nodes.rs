//! Whether this server is one of several that share a Redis, and which one.
//!
//! Invariant: several share Redis and nothing else. Never here: who owns what.

use super::store::{Store, StoreSettings};
use super::values::Values;
use crate::cluster::names::NodeName;

/// How this server is one of several.
#[derive(Clone, Debug)]
pub struct Nodes {
    /// Its name; `None`: host name and port.
    pub name: Option<NodeName>,
    /// Parts of the rooms, the same for all.
    pub parts: u16,
    /// How long a part stays with a node that does not reach Redis.
    pub lease_ms: u64,
}

impl Nodes {
    /// `None`: it is the only one.
    pub(super) fn read(values: &Values, store: &StoreSettings) -> Result<Option<Self>, String> {
        let nodes = Self {
            name: values.read("NODE_ID", NodeName::new)?,
            parts: values.u16("PARTS")?,
            lease_ms: values.u64("CLUSTER_LEASE_MS")?,
        };
        if !values.switch("CLUSTER")? {
            return Ok(None);
        }
        if store.promise.store != Store::Redis {
            let why = format!("needs STORE=redis, and it is {}", store.promise.store.name());
            return Err(values.refusal_because("CLUSTER", &why));
        }
        if store.redis.compat_keys {
            return Err(values.refusal_because("REDIS_COMPAT_KEYS", "not with CLUSTER=1"));
        }
        if store.start_without_store {
            let why = "not with CLUSTER=1, others may have what this one would overwrite";
            return Err(values.refusal_because("START_WITHOUT_STORE", why));
        }
        Ok(Some(nodes))
    }
}
