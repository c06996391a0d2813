//! The persistence layer against real stores and real failures: a `redis-server` of our own on a unix socket, a proxy
//! that makes the network go wrong, an embedded store in a directory of its own.

#![allow(clippy::disallowed_methods, reason = "these tests measure how long a failure takes to be noticed")]

mod proxy;
#[allow(dead_code, reason = "shared with the tests of durability")]
mod redis_server;
mod rig;
mod small_disk;
#[path = "../server/harness/stopwatch.rs"]
mod stopwatch;

mod batch;
mod damage;
mod embedded;
mod faults;
mod lease;
mod redis_damage;
mod redis_store;
mod restore;
mod sync_behind;
