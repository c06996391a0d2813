//! Proofs with the real binary: its protocol as dialogues, its limits, its faults, its end.
//!
//! Each test starts servers of its own on ports that the system chooses. Tests whose name ends with `alone` load every
//! core or open many files; the full sizes of two of them are asked for by `scripts/server_full.sh`.

mod churn;
mod closing;
mod dialogues;
mod ending;
mod expiry;
mod files;
mod handover;
mod harness;
mod heartbeat;
mod hogs;
mod hot_room;
mod http_answers;
mod limits;
mod opinion;
mod order;
#[cfg(feature = "echo")]
mod panics;
mod refusals;
mod slow;
mod starting;
