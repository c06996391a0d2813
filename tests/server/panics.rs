//! A panic in a shard ends the whole process: nothing stays half served. Only in builds with the echo, where a message
//! can bring a panic about.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::pipe::full_pipe;
use crate::harness::server::command;
use crate::harness::{Client, Got, Server, Stopwatch};

#[test]
fn a_panic_ends_the_process() {
    for format in ["text", "json"] {
        let server = Server::start(&[("SHARDS", "2"), ("LOG_FORMAT", format), ("LOG_LEVEL", "off")]);
        let mut other = Client::connect(&server, "a");
        let mut client = Client::connect(&server, "echo-panic");
        client.send("panic");
        let (status, log) = server.ended();
        assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{status}");
        assert!(log.contains("thread 'shard-") && log.contains("' panicked at "), "{log}");
        let last = log.lines().last().expect("it said something");
        assert!(format == "text" || serde_json::from_str::<serde_json::Value>(last).is_ok(), "{log}");
        assert!(matches!(other.got(), Got::End { .. }));
    }
}

/// The same when nobody reads what it has to say.
#[test]
fn a_panic_ends_a_process_whose_log_hangs() {
    let (reader, writer) = full_pipe();
    let mut command = command(&[]);
    command.stderr(writer);
    let server = Server::run(command);
    let mut client = Client::connect(&server, "echo-panic");
    let began = Stopwatch::start();
    client.send("panic");
    let (status, _) = server.ended();
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{status}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    drop(reader);
}
