//! The wire: pure functions between bytes and the vocabulary of the engine.
//!
//! Invariants: nothing here reads a clock, a socket or a setting; what a client sends can be refused but never panics
//! and never makes anything grow beyond the limits. Never here: what a message does.

pub mod frame;
mod mask;
mod utf8;
