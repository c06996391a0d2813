//! The key with which a server hashes addresses, and numbers connections so that each can prove later which one it was.
//!
//! A server by itself has its own. Nodes of a cluster have one, which the store tells them: who was connected to one of
//! them proves that to any other. Never here: what is made of it.

use std::sync::{Arc, OnceLock};

/// The key. Clones share what they learn.
#[derive(Clone)]
pub struct OwnerKey {
    own: [u64; 2],
    shared: Option<Arc<OnceLock<[u64; 2]>>>,
}

impl std::fmt::Debug for OwnerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OwnerKey(secret)")
    }
}

impl OwnerKey {
    /// Of this server alone.
    #[must_use]
    pub fn new(own: [u64; 2]) -> Self {
        Self { own, shared: None }
    }

    /// Of all nodes, as soon as the store has told it; until then this one's.
    #[must_use]
    pub fn of_nodes(own: [u64; 2], shared: Arc<OnceLock<[u64; 2]>>) -> Self {
        Self { own, shared: Some(shared) }
    }

    /// As it is now.
    #[must_use]
    pub fn get(&self) -> [u64; 2] {
        self.shared.as_ref().and_then(|shared| shared.get().copied()).unwrap_or(self.own)
    }
}
