//! Persistence: what is acknowledged survives.
//!
//! The way of a change: a shard ([`shard::pending`]) merges it into its [`batch`]; once a turn the batch goes into the
//! shard's place in the [`queue`]; the store thread ([`thread::writer`]) takes what is there, commits it as one group
//! to a store ([`stores`]: Redis or the embedded one), and reports through the [`link`]. At a start [`thread::restore`]
//! decides what of the stored holds is still true.
//!
//! Invariants: no shard ever waits for a store; every backlog is bounded, and what overflows is made good by a full
//! state; nothing that is read from a store is trusted; one server at a time writes to a store. Never here: decisions
//! about seats, sockets.

pub mod batch;
pub mod queue;
pub mod record;
pub mod status;

pub mod link;
pub mod nodes;
pub mod parts;
pub mod shard;
pub mod stores;
pub mod thread;
