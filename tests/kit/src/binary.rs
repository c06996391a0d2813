//! Where the binaries are: a variable names one, or it lies where cargo put it, beside the test that asks.

use std::path::PathBuf;

/// The server: `BUTACA_BINARY`, or the one of the same build.
pub fn butaca() -> PathBuf {
    of("BUTACA_BINARY", "butaca")
}

/// The relay: `RELAY_BINARY`, or the one of the same build.
pub fn relay() -> PathBuf {
    of("RELAY_BINARY", "butaca-relay")
}

fn of(variable: &str, name: &str) -> PathBuf {
    let beside = || {
        let test = std::env::current_exe().expect("a test knows where it is");
        let deps = test.parent().expect("it lies in a folder");
        deps.parent().expect("which lies in that of the build").join(name)
    };
    let path = std::env::var_os(variable).map_or_else(beside, PathBuf::from);
    assert!(path.is_file(), "{} is missing: run `cargo build --bin {name}` first, or set {variable}", path.display());
    path
}
