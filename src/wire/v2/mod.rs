//! The second protocol: what its clients ask, and what they are told.
//!
//! `request` is the vocabulary of what comes in, `read` reads it; `write` and `map` write what goes out. A v1
//! connection never gets a frame from here. Never here: what a request does, who is told what.

pub mod map;
pub mod read;
pub mod request;
pub mod write;
