//! The store thread: takes what the shards hand over and commits it ([`writer`], [`pump`]), and decides at a start what
//! of the stored holds is still true ([`restore`]).
//!
//! Never here: what a store is, decisions about seats.

pub mod pump;
pub mod restore;
pub mod writer;
