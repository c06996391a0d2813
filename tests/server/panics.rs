//! A panic in a shard ends the whole process: nothing stays half served. Only in builds with the echo, where a message
//! can bring a panic about.

use crate::harness::{Client, Got, Server};

#[test]
fn a_panic_ends_the_process() {
    let server = Server::start(&[("SHARDS", "2")]);
    let mut other = Client::connect(&server, "a");
    let mut client = Client::connect(&server, "echo-panic");
    client.send("panic");
    let (status, log) = server.ended();
    assert!(!status.success(), "{status}");
    assert!(log.contains("panicked"), "{log}");
    assert!(matches!(other.got(), Got::End { .. }));
}
