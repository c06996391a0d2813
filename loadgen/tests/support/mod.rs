//! Shared by the tests: a stub server with switchable defects, and a way to run `loadgen`.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod stub;
pub(crate) mod world;

use std::path::PathBuf;
use std::process::{Command, Output};

/// Runs the binary under test to its end.
pub(crate) fn loadgen(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadgen")).args(args).output().expect("the binary is built with the tests")
}

/// What a run printed, for a failing assertion.
pub(crate) fn printed(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The server's binary: `BUTACA_BINARY`, or beside `loadgen` in the same target folder.
pub(crate) fn server_binary() -> PathBuf {
    let beside = || PathBuf::from(env!("CARGO_BIN_EXE_loadgen")).with_file_name("butaca");
    let path =
        std::env::vars_os().find(|(name, _)| name == "BUTACA_BINARY").map_or_else(beside, |(_, value)| value.into());
    assert!(path.is_file(), "{} is missing: run `cargo build -p butaca` first, or set BUTACA_BINARY", path.display());
    path
}
