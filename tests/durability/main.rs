//! Proofs with the real binary that what is acknowledged survives: restarts, `kill -9`, stores that fail, two servers.
//!
//! `scripts/long.sh durability` repeats the crashes more often.

#![allow(clippy::disallowed_methods, reason = "these tests measure how long a failure takes to be noticed")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test fails on everything that it did not expect")]

mod access;
mod booked;
mod damage;
mod deaf_log;
mod failing;
mod full_disk;
mod home;
mod identity;
mod kill;
mod log;
mod recovery;
mod redis_nodes;
mod restart;
mod rivals;
mod second;
mod sick_redis;
mod topologies;
mod trains;
mod versions;

use kit as harness;
use kit::{proxy, redis_server, small_disk};
