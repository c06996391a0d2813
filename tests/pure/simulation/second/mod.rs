//! Clients of the second protocol: what they ask, what they read, and what they believe.
//!
//! Never here: what is true (the oracle).

mod acting;
pub(crate) mod client;
pub(crate) mod frames;
pub(crate) mod requests;
pub(crate) mod truth;
#[cfg(test)]
mod waiting;
