//! Proofs with the real binary: its protocol as dialogues, its limits, its faults, its end.
//!
//! Each test starts servers of its own on ports that the system chooses. Tests whose name ends with `alone` load every
//! core or open many files; the full sizes of two of them are asked for by `scripts/long.sh server`.

#![allow(clippy::too_many_lines, reason = "a dialogue is data")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test fails on everything that it did not expect")]
#![allow(clippy::needless_range_loop, clippy::single_element_loop, reason = "tables of cases that grow")]

mod api;
mod arriving;
mod balance;
mod churn;
mod closing;
mod contract;
mod cpu_hogs;
mod dialogues;
mod ending;
mod events;
mod expiry;
mod files;
mod floods;
mod handover;
mod heartbeat;
mod hogs;
mod hot_room;
mod http_answers;
mod idle;
mod layouts;
mod limits;
mod logs;
mod opinion;
mod order;
#[cfg(feature = "echo")]
mod panics;
mod proxies;
mod rates;
mod refusals;
mod runtimes;
mod second;
mod selling;
mod slow;
mod starting;
mod tokens;
mod trains;

use kit as harness;
