//! The seat engine: pure state machines that decide who holds which seat.
//!
//! The purity contract: `std`, its hash table and a hash function only; no clock, no randomness, no I/O, no async, no
//! JSON. Time and seeds come in as arguments, so that a whole cluster can be run in one thread from one seed and
//! replayed.
//!
//! Who owns what: a [`shard::Shard`] owns its rooms, the rooms own their seats and holds, and nobody else may change
//! them. There is one door, [`shard::Shard::handle`], and no second path to the state. Beside the rooms a shard keeps
//! which connection is in which room (`presence`) and when the holds end (`deadlines`); it keeps the three in step.

pub mod command;
pub mod ids;
pub mod time;

mod counter;
mod few;
pub mod keyed;
mod slab;

mod barred;
mod clocks;
mod deadlines;
mod orders;
mod owners;
mod presence;
pub mod room;
pub mod shard;
mod shares;
