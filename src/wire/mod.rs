//! The wire: pure functions between bytes and the vocabulary of the engine.
//!
//! Bytes come in through `proxy` (who is behind a proxy), `http` (request heads) and `frame` (WebSocket frames), whose
//! texts `message` reads as requests. They go out through `respond` (HTTP), `frame` and `message`, which
//! hands on what `reply` writes. `v2` reads and writes the messages of the second protocol.
//!
//! Invariants: nothing here reads a clock, a socket or a setting; what a client sends can be refused but never panics
//! and never makes anything grow beyond the limits. Never here: what a message does.

pub mod code;
pub mod dear;
pub mod frame;
pub mod http;
pub mod message;
pub mod proxy;
pub mod respond;
pub mod v2;

mod json_object;
mod json_read;
mod json_text;
mod mask;
mod raw_member;
mod reply;
mod utf8;
