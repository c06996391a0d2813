//! glommio and sockets: moves bytes and effects, decides nothing about seats.
//!
//! A shard is one glommio executor, pinned to its core, in which one `driver` owns a `core`: connections, views, the
//! engine of the rooms it owns, and the lanes to the other shards. `preflight` is used before any of it.

pub mod preflight;
pub mod process;

pub(crate) mod board;
pub(crate) mod mesh;
pub(crate) mod readiness;

pub(crate) mod connection;
pub(crate) mod fanout;
pub(crate) mod full_states;
pub(crate) mod memory;
pub(crate) mod wheel;

pub(crate) mod core;

pub(crate) mod commands;
pub(crate) mod delivery;
pub(crate) mod handover;
pub(crate) mod intake;
pub(crate) mod listener;
pub(crate) mod origin;
pub(crate) mod post;
pub(crate) mod resync;
pub(crate) mod saving;
pub(crate) mod status;

pub(crate) mod driver;
