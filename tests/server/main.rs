//! Proofs with the real binary: its protocol as dialogues, its limits, its faults, its end.
//!
//! Each test starts servers of its own on ports that the system chooses. With `--features echo` there is one test more,
//! of what a panic does.

mod dialogues;
mod harness;
