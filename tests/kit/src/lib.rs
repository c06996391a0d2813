//! What the tests stand on: the server as a process, a client of our own on plain sockets, dialogues as data, a Redis,
//! a network and a disk that fail when they are told to.
//!
//! Compiled once for all tests, and beside the server: it uses no code of it. Invariants: every wait is for an event (a
//! frame, the end of a stream, a figure of `/stats`), and its bound only turns a hang into a failure; nothing is ended
//! but what this process started. Never here: a test, a promise of the server.

#![allow(clippy::disallowed_methods, reason = "tests that measure need a clock, and are told of binaries and sizes")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test fails on everything that it did not expect")]

pub mod binary;
pub mod chance;
pub mod client;
pub mod dialogue;
pub mod expect;
pub mod gate;
pub mod http;
pub mod pipe;
pub mod proxy;
pub mod redis_server;
pub mod rooms;
pub mod server;
pub mod small_disk;
pub mod stopwatch;
pub mod train;
pub mod wait;
pub mod watcher;

pub use chance::Chance;
pub use client::{Client, Got};
pub use dialogue::{VARIANTS, check};
pub use rooms::{room_on, unique};
pub use server::Server;
pub use stopwatch::Stopwatch;
pub use wait::{BOUND, at_once, eventually};
pub use watcher::Watcher;
