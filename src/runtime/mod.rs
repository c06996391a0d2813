//! Threads and sockets: moves bytes, and decides nothing that a client could notice.
//!
//! A shard is one thread, pinned to its core, on which one `driver` owns a `core`: the shard's node, its sockets, and
//! the lanes to the other shards. The thread is a glommio executor, or a plain one where io_uring is refused
//! (`executor`). `preflight` is used before any of it.

pub mod preflight;
pub mod process;

pub(crate) mod board;
pub(crate) mod desk;
pub(crate) mod executor;
pub(crate) mod mail;
pub(crate) mod mailbox;
pub(crate) mod readiness;

pub(crate) mod doorstep;
pub(crate) mod memory;
pub(crate) mod random;
pub(crate) mod send_ring;
pub(crate) mod socket;
pub(crate) mod wheel;

pub(crate) mod core;

pub(crate) mod abroad;
pub(crate) mod admission;
pub(crate) mod counter;
pub(crate) mod declaring;
pub(crate) mod handover;
pub(crate) mod heartbeat;
pub(crate) mod intake;
pub(crate) mod listener;
pub(crate) mod origin;
pub(crate) mod origins;
pub(crate) mod site;
pub(crate) mod slices;

pub(crate) mod outcomes;

pub(crate) mod driver;
