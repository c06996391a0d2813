//! Butaca: a real-time seat-selection server for ticket on-sales.
//!
//! Promises: no seat is ever held by two owners, and every refusal says why; every member sees a room's events in one
//! order, without a hole, or is told and gets a full state; what is acknowledged survives as its mode says; one client
//! cannot hurt another; health tells the truth; bad input gets a clear error and changes nothing.
//!
//! The modules in reading order, which is the order in which they may use each other:
//!
//! * [`limits`]: every bound. [`files`]: the files of the page. [`marks`] and [`planted`]: what simulations see and
//!   break, in debug builds.
//! * [`engine`]: rooms, seats, holds. Pure. The one door is [`engine::shard::Shard::handle`].
//! * [`cluster`]: who owns which rooms when several nodes share a Redis. Pure.
//! * [`layout`]: plans of halls and which seats are the best. Pure. It stands below the engine, of which it knows the
//!   ids.
//! * [`wire`]: bytes to vocabulary and back. Pure.
//! * [`audience`]: what those who look at a room are owed. Pure.
//! * [`figures`], [`config`], [`clock`], [`log`]: what is counted, the environment, the clocks, the log.
//! * [`acts`]: the log that the shop's backend reads. [`persist`]: what is acknowledged survives.
//! * [`auth`]: who somebody is, by proof. Pure.
//! * [`peers`]: the threads between Redis and the shards of a node of a cluster.
//! * [`node`]: one shard of the service, without sockets. Pure. The one door is [`node::Node::handle`].
//! * [`runtime`]: sockets and threads around nodes. It decides nothing that a client could notice.
//! * [`api`]: the API of the shop's backend, on a thread of its own. Its [`api::keys`] stand before [`config`].
//! * [`opening`]: what is read from files before the doors open.
//! * [`server`]: all threads and queues on one screen.
//!
//! `docs/ARCHITECTURE.md` has the picture, the code map and five walks. Never here: code.

pub mod files;
pub mod limits;
pub mod marks;
pub mod planted;

pub mod engine;

pub mod cluster;
pub mod layout;
pub mod wire;

pub mod audience;

pub mod figures;

pub mod config;

pub mod clock;

pub mod log;

pub mod acts;

pub mod persist;

pub mod auth;

pub mod peers;

mod slots;

pub mod node;

pub mod runtime;

pub mod api;

mod keyring;
mod neighbours;
mod opening;
mod signals;
mod storage;

pub mod server;
