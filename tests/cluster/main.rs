//! Proofs with real servers that share a Redis: one sale over several nodes, nodes that die, stand still or end.
//!
//! `scripts/long.sh cluster` repeats them.

#![allow(clippy::disallowed_methods, reason = "these tests measure how long a room is without an owner")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test fails on everything that it did not expect")]

mod access;
mod accidents;
mod api;
mod carts;
mod damage;
mod fan;
mod layouts;
mod nodes;
mod one_sale;
