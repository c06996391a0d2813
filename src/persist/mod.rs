//! Persistence: what is acknowledged survives.
//!
//! The way of a change: a shard's [`outbox`] merges it into its [`batch`]; once a pass the batch goes into the shard's
//! place in the [`queue`]; the store thread ([`writer`]) takes what is there, commits it as one group to a [`store`]
//! (Redis or the embedded one), and reports. At a start [`restore`] decides what of the stored holds is still true.
//!
//! Invariants: no shard ever waits for a store; every backlog is bounded, and what overflows is made good by a full state;
//! nothing that is read from a store is trusted; one server at a time writes to a store.
//! Never here: decisions about seats, sockets.

pub mod batch;
pub mod embedded;
pub mod gate;
pub mod identity;
pub mod outbox;
#[cfg(feature = "planted-bugs")]
pub mod planted;
pub mod pump;
pub mod queue;
pub mod record;
pub mod redis;
pub mod restore;
pub mod status;
pub mod store;
pub mod sync_behind;
pub mod undo;
pub mod writer;
