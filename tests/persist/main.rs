//! The persistence layer against real stores and real failures: a `redis-server` of our own on a unix socket, a proxy
//! that makes the network go wrong, an embedded store in a directory of its own.

#![allow(clippy::disallowed_methods, reason = "these tests measure how long a failure takes to be noticed")]

mod rig;

mod batch;
mod damage;
mod embedded;
mod faults;
mod group_commit;
mod lapsed;
mod lease;
mod log;
mod parts;
mod peers;
mod queue;
mod redis_damage;
mod redis_store;
mod restore;
mod sync_behind;

use kit::{proxy, redis_server, small_disk, stopwatch};
