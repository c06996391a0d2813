//! Names of nodes, of their lives and of parts.
//!
//! Invariant: a node that starts again has a higher incarnation, which Redis gives out. Never here: who owns what.

use std::sync::Arc;

use crate::limits::cluster::NODE_NAME_BYTES_MAX;

/// A node: by default its host name and port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// The node with this name of 1 to [`NODE_NAME_BYTES_MAX`] bytes that can be seen and are ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_seen = |byte: u8| matches!(byte, b'!'..=b'~');
        let fits = (1..=NODE_NAME_BYTES_MAX).contains(&text.len());
        (fits && text.bytes().all(is_seen)).then(|| Self(text.into()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One life of a node, from a start to its end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Life {
    /// The node.
    pub node: NodeName,
    /// Higher for each start.
    pub incarnation: u64,
}

/// A part of the rooms: a hash tag in Redis.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PartId(pub u16);

impl PartId {
    /// Its number, to index with.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}
