//! Starts that fail: one line that says why, an exit code, no panic and no port.

use std::process::Command;

use crate::harness::Server;
use crate::harness::server::{command, limited};

/// It ends with this code and says one line with this in it.
fn check(mut command: Command, code: i32, what: &str) {
    let output = command.output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(what) && !text.contains("panicked"), "{what}: {text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("butaca: "), "{text}");
}

#[test]
fn wrong_settings_end_with_64() {
    check(command(&[("HOLD_TTL_MS", "soon")]), 64, "HOLD_TTL_MS=soon: allowed is a whole number from 1 to 86400000");
    check(command(&[("SHARDS", "0")]), 64, "SHARDS=0: allowed is");
    check(command(&[("WEBSOCKET_PORT", "65536")]), 64, "WEBSOCKET_PORT=65536");
    let mut flag = command(&[("HOLD_TTL_MS", "soon")]);
    flag.args(["--hold-ttl-ms", "never"]);
    check(flag, 64, "--hold-ttl-ms=never");
    let mut unknown = command(&[]);
    unknown.arg("--sell-everything");
    check(unknown, 64, "--sell-everything");
    // Before a port is bound: one that is taken does not matter yet.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    check(command(&[("WEBSOCKET_PORT", &port), ("SHARDS", "many")]), 64, "SHARDS=many: allowed is");
}

/// A shard for each CPU that the process may use, not for each that there is.
#[test]
fn the_affinity_mask_is_respected() {
    let mask = limited("first=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//') && taskset -cp $first $$ >/dev/null", &[]);
    let server = Server::run(mask);
    assert!(server.banner.contains("shards   1\n"), "{}", server.banner);
}

#[test]
fn an_address_that_cannot_be_had_ends_with_69() {
    let server = Server::start(&[]);
    let port = server.address.port().to_string();
    check(command(&[("WEBSOCKET_PORT", &port)]), 69, "WEBSOCKET_PORT");
    check(command(&[("WEBSOCKET_HOST", "192.0.2.1")]), 69, "WEBSOCKET_HOST");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    check(command(&[("WEBSOCKET_PORT", &port)]), 69, "is in use");
}

#[test]
fn a_machine_that_grants_too_little_ends_with_71() {
    check(limited("ulimit -n 4", &[("SHARDS", "1")]), 71, "cannot open what a shard needs");
}

/// It says where it listens and with what, and `--print-config` shows every setting.
#[test]
fn the_banner_and_the_configuration() {
    let server = Server::start(&[("SHARDS", "2"), ("HOLD_TTL_MS", "60000")]);
    for part in
        ["ws://127.0.0.1:", "/health", "shards   2", "runtime  ", "holds of 60 s", "store    memory, durability memory"]
    {
        assert!(server.banner.contains(part), "{part} in {}", server.banner);
    }
    let mut print = command(&[("HOLD_TTL_MS", "60000")]);
    print.args(["--print-config", "--shards", "2"]);
    let output = print.output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    let line = |name: &str| -> Vec<&str> {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
        line.split_whitespace().collect()
    };
    assert_eq!(line("HOLD_TTL_MS"), ["HOLD_TTL_MS", "60000", "environment"]);
    assert_eq!(line("SHARDS"), ["SHARDS", "2", "flag"]);
    assert_eq!(line("WEBSOCKET_HOST"), ["WEBSOCKET_HOST", "127.0.0.1", "environment"]);
    assert_eq!(line("PING_AFTER_MS"), ["PING_AFTER_MS", "25000", "default"]);
}

/// Whoever asked may read no further, as `head` does: no panic, no failure.
#[test]
fn an_answer_that_nobody_reads_is_no_failure() {
    for flag in ["--help", "--print-config", "--version"] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut ask = command(&[]);
        let output = ask.arg(flag).stdout(writer).output().expect("it ends");
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{flag}: {:?}", output.stderr);
    }
}

/// `--help` has a line for every setting that `--print-config` shows, and both need no port.
#[test]
fn help_tells_of_every_setting() {
    let ask = |flag: &str| {
        let mut command = command(&[]);
        let output = command.arg(flag).output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{flag}");
        String::from_utf8(output.stdout).expect("text")
    };
    let (help, config) = (ask("--help"), ask("--print-config"));
    let names: Vec<&str> = config.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 30, "{config}");
    for name in names {
        let flag = format!("--{}", name.to_ascii_lowercase().replace('_', "-"));
        assert!(help.contains(&flag), "{flag} in {help}");
    }
}
