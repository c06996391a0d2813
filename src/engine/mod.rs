//! The seat engine: pure state machines that decide who holds which seat.
//!
//! The purity contract: `std` only; no clock, no randomness, no I/O, no async, no JSON. Time and seeds come in as
//! arguments, so that a whole cluster can be run in one thread from one seed and replayed.
//!
//! Who owns what: a [`shard::Shard`] owns its rooms, the rooms own their seats and holds, and nobody else may change
//! them. There is one door, `Shard::handle`, and no second path to the state.

pub mod command;
pub mod ids;
pub mod time;
