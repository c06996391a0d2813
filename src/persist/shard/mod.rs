//! A shard's side of persistence: what it hands over ([`pending`]), what it withholds until the store has it
//! ([`gate`]), and what it undoes when the store does not answer ([`undo`]).
//!
//! Pure. Never here: threads, stores, encodings.

pub mod gate;
pub mod pending;
pub mod undo;
