//! What the tests stand on: the server as a process, a client of our own on plain sockets, dialogues as data.
//!
//! Invariants: every wait is for an event (a frame, the end of a stream, a figure of `/stats`), and its bound only turns
//! a hang into a failure; nothing is ended but what this process started.
//! Never here: code of the server, except who owns a room (`shard_of`), so that a test can choose a room by its owner.

pub(crate) mod client;
pub(crate) mod dialogue;
pub(crate) mod expect;
pub(crate) mod http;
pub(crate) mod pipe;
pub(crate) mod rooms;
pub(crate) mod server;
pub(crate) mod stopwatch;
pub(crate) mod train;
pub(crate) mod wait;
pub(crate) mod watcher;

pub(crate) use client::{Client, Got};
pub(crate) use dialogue::{VARIANTS, check};
pub(crate) use rooms::{room_on, unique};
pub(crate) use server::Server;
pub(crate) use stopwatch::Stopwatch;
pub(crate) use wait::{BOUND, eventually};
pub(crate) use watcher::Watcher;
