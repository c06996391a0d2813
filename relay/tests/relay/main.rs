//! The real relay between a log that the test writes and sinks that fail on purpose: MongoDB, killed and started again,
//! and a receiver of webhooks that checks every message.
//!
//! MongoDB here is `nx-27017`: its wire protocol over SQLite, from PyPI. It has no transactions, so what is shown is
//! the order of writes; that repeats are harmless holds for both.

mod database;
mod ends;
mod log;
mod mongo;
mod process;
mod real;
mod receiver;
mod site;
mod webhooks;
