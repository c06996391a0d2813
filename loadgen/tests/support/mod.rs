//! Shared by the tests: a stub server with switchable defects, and a way to run `loadgen`.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod stub;
pub(crate) mod world;

use std::process::{Command, Output};

/// Runs the binary under test to its end.
pub(crate) fn loadgen(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadgen")).args(args).output().expect("the binary is built with the tests")
}

/// What a run printed, for a failing assertion.
pub(crate) fn printed(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
