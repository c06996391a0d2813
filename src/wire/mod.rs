//! The wire: pure functions between bytes and the vocabulary of the engine.
//!
//! Invariants: nothing here reads a clock, a socket or a setting; what a client sends can be refused but never panics
//! and never makes anything grow beyond the limits. Never here: what a message does.

mod json_read;
mod json_text;
mod mask;
mod raw_member;
mod utf8;

pub mod assets;
pub mod frame;
pub mod http;
pub mod message;
mod reply;
pub mod respond;
