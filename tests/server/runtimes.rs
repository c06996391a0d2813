//! What the shards run on: glommio, or plain threads where io_uring is refused. The same clients find the same server.
//!
//! All other tests run on what `BUTACA_TEST_RUNTIME` says, and `scripts/test.sh` runs a part of them on threads as
//! well.

use std::process::Command;

use rustix::process::Signal;

use crate::harness::server::{
    IO_URING_ENTER, IO_URING_REGISTER, IO_URING_SETUP, NO_MEMORY, NO_SUCH_CALL, NOT_ALLOWED, Refused, command, limited,
    refused,
};
use crate::harness::{Client, Server, room_on};

type Settings = &'static [(&'static str, &'static str)];

/// How the server is started, and what it says.
type Refusal = (fn(Settings) -> Command, &'static str);

/// Every way in which io_uring is refused, and what the line about it says. A sandbox may grant some of the calls.
const REFUSALS: &[Refusal] = &[
    (|settings| limited("ulimit -l 64", settings), "locked memory is limited to 64 KiB"),
    (|settings| refused(Refused { call: IO_URING_SETUP, errno: NOT_ALLOWED }, settings), "seccomp"),
    (|settings| refused(Refused { call: IO_URING_SETUP, errno: NO_SUCH_CALL }, settings), "io_uring is missing"),
    (|settings| refused(Refused { call: IO_URING_SETUP, errno: NO_MEMORY }, settings), "io_uring got no memory"),
    (|settings| refused(Refused { call: IO_URING_ENTER, errno: NOT_ALLOWED }, settings), "seccomp"),
    (|settings| refused(Refused { call: IO_URING_REGISTER, errno: NO_SUCH_CALL }, settings), "io_uring is missing"),
];

#[test]
fn whoever_demands_glommio_is_told_why_it_cannot_be() {
    for (command, why) in REFUSALS {
        let output = command(&[("RUNTIME", "glommio")]).output().expect("it ends");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(71), "{text}");
        assert!(text.starts_with("butaca: ") && text.contains(why), "{why}: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[test]
fn where_io_uring_is_refused_threads_serve() {
    for (command, why) in REFUSALS {
        let log = serves_on(Server::run(command(&[("RUNTIME", "auto"), ("SHARDS", "2")])), "threads");
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("plain threads")).collect();
        assert!(lines.len() == 1 && lines[0].contains(why) && lines[0].contains("WARN"), "{why}: {log}");
    }
}

/// Then io_uring is not even asked for, and nothing is said.
#[test]
fn threads_can_be_demanded() {
    let log = serves_on(Server::run(command(&[("RUNTIME", "threads"), ("SHARDS", "2")])), "threads");
    assert!(!log.contains("plain threads"), "{log}");
}

#[test]
fn where_io_uring_is_granted_glommio_serves() {
    for runtime in ["auto", "glommio"] {
        serves_on(Server::run(command(&[("RUNTIME", runtime), ("SHARDS", "2")])), "glommio");
    }
}

/// It serves both shards, says everywhere what it runs on, and ends as it should. Returns its log.
fn serves_on(server: Server, runtime: &str) -> String {
    assert!(server.banner.contains(&format!("runtime  {runtime}\n")), "{}", server.banner);
    assert_eq!(server.get("/health").json()["runtime"], runtime);
    assert_eq!(server.stats()["runtime"], runtime);
    let metrics = String::from_utf8_lossy(&server.get("/metrics").body).into_owned();
    assert!(metrics.contains(&format!("butaca_runtime{{runtime=\"{runtime}\"}} 1.0\n")), "{metrics}");
    let rooms = [room_on(0, 2), room_on(1, 2)];
    for room in &rooms {
        let mut owner = Client::join(&server, "a", room);
        let mut other = Client::join(&server, "b", room);
        for seat in ["A1", "A2"] {
            owner.select(room, seat);
            for client in [&mut owner, &mut other] {
                let told = client.json();
                assert_eq!((&told["type"], &told["seat_id"]), (&"seat_selected".into(), &seat.into()));
            }
        }
    }
    server.signal(Signal::TERM);
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    log
}
