//! What the log says, and what it never says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::client::{frame, upgrade};
use crate::harness::http::Http;
use crate::harness::pipe::{full_pipe, set_blocking};
use crate::harness::server::{command, limited};
use crate::harness::{Client, Got, Server, Stopwatch, eventually};

/// A JSON log is one object a line.
#[test]
fn the_log_can_be_json() {
    let server = Server::start(&[("LOG_FORMAT", "json")]);
    server.signal(Signal::TERM);
    let (_, log) = server.ended();
    let words: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for word in ["serving", "draining", "stopped"] {
        assert!(words.iter().any(|line| line["message"] == word), "{word} in {log}");
    }
}

/// Whatever is set, what clients write stays out of it: bodies, `user_info`, ids, paths, reasons, rubbish.
#[test]
fn what_clients_write_is_never_logged() {
    const SECRET: &str = "4929-1234";
    for format in ["text", "json"] {
        let server = Server::start(&[("LOG_FORMAT", format), ("LOG_LEVEL", "debug"), ("SHARDS", "2")]);
        let mut client = Client::connect(&server, &format!("client {SECRET}"));
        for number in 0..4 {
            let room = format!("room {number} {SECRET}");
            client.enter(&room);
            client.send(&format!(
                r#"{{"type":"select_seat","room_id":"{room}","seat_id":"A1","user_info":{{"card":"{SECRET}"}}}}"#
            ));
            assert_eq!(client.json()["type"], "seat_selected");
            client.release(&room, SECRET);
            assert_eq!(client.json()["code"], "not_held");
        }
        for wrong in [SECRET.into(), format!(r#"{{"type":"{SECRET}"}}"#), format!(r#"{{"type":"ping","x":{SECRET}"#)] {
            client.send(&wrong);
            assert_eq!(client.json()["type"], "error");
        }
        client.write(&frame(0x82, SECRET.as_bytes()));
        client.expect_close(1003);
        let mut leaves = Client::connect(&server, SECRET);
        leaves.write(&frame(0x88, &[&1000_u16.to_be_bytes(), SECRET.as_bytes()].concat()));
        assert!(matches!(leaves.got(), Got::Close(Some(1000), _)));
        for request in [
            format!("GET /{SECRET} HTTP/1.1\r\nHost: test\r\n\r\n"),
            format!("{SECRET}\r\n\r\n"),
            upgrade("\u{0}4929-1234", ""),
        ] {
            let mut http = Http::new(server.dial());
            http.send(&request);
            assert!(http.response(false).status >= 400, "{request}");
        }
        // Who stays would be waited for.
        drop((client, leaves));
        server.signal(Signal::TERM);
        let (_, log) = server.ended();
        assert!(log.contains("serving") && log.contains("stopped") && !log.contains(SECRET), "{log}");
    }
}

/// Who is refused is counted; a crowd of them writes no line each.
#[test]
fn refusals_are_counted_and_not_logged_one_by_one() {
    let server = Server::start(&[("MAX_CONNECTIONS", "1"), ("SHARDS", "1"), ("LOG_LEVEL", "info")]);
    let _inside = Client::connect_when_free(&server, "a");
    for _ in 0..100 {
        let mut http = Http::new(server.dial());
        http.send(&upgrade("late", ""));
        assert_eq!(http.response(false).status, 503);
    }
    assert!(server.figure("refused_connections") >= 100);
    server.signal(Signal::TERM);
    let (_, log) = server.ended();
    assert!(log.lines().count() < 10, "{log}");
}

/// What the log of a server may be written to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Collector {
    /// A pipe whose reader goes away while the server runs.
    Goes,
    /// A file system that is full from the start.
    FullDisk,
    /// A pipe that is full, and that nobody reads.
    Hangs,
    /// The same, but writes to it fail at once: whoever made the pipe wants it so.
    HangsNonBlocking,
}

/// A sale, its `/health` and its end, whatever becomes of the log; how many lines were lost.
fn sell_and_end(collector: Collector, format: &str) -> u64 {
    let mut command = command(&[("SHARDS", "2"), ("LOG_FORMAT", format)]);
    let reader = match collector {
        Collector::Goes => {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            command.stderr(writer);
            Some(reader)
        }
        Collector::FullDisk => {
            let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
            command.stderr(full);
            None
        }
        Collector::Hangs | Collector::HangsNonBlocking => {
            let (reader, writer) = full_pipe();
            set_blocking(&writer, collector == Collector::Hangs);
            command.stderr(writer);
            Some(reader)
        }
    };
    let server = Server::run(command);
    let mut client = Client::join(&server, "a", "r");
    let reader = reader.filter(|_| collector != Collector::Goes);
    server.signal(Signal::HUP);
    client.select("r", "A1");
    assert_eq!(client.json()["type"], "seat_selected");
    assert_eq!(server.get("/health").json()["status"], "healthy");
    let lost = match collector {
        // Its answer to SIGHUP.
        Collector::Goes => eventually("a line is lost", || Some(lost(&server)).filter(|&lost| lost > 0)),
        Collector::FullDisk => eventually("lines are lost", || Some(lost(&server)).filter(|&lost| lost > 1)),
        Collector::Hangs | Collector::HangsNonBlocking => lost(&server),
    };
    let began = Stopwatch::start();
    server.signal(Signal::TERM);
    client.expect_close(1001);
    drop(client);
    assert_eq!(server.ended().0.code(), Some(0), "{collector:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "{collector:?}: {:?}", began.elapsed());
    drop(reader);
    lost
}

fn lost(server: &Server) -> u64 {
    let lost = server.stats()["log_lines_dropped"].as_u64().expect("it is counted");
    let metrics = server.get("/metrics");
    let text = String::from_utf8(metrics.body).expect("text");
    assert!(text.contains("\nbutaca_log_lines_dropped_total "), "{text}");
    lost
}

/// The log costs its own lines, and nothing else: not the sale, not the drain, not its close frames.
#[test]
fn whatever_becomes_of_the_log_ends_nothing() {
    for format in ["text", "json"] {
        assert!(sell_and_end(Collector::Goes, format) >= 1);
        assert!(sell_and_end(Collector::FullDisk, format) >= 2);
        // They wait, since nobody says that they cannot be written.
        assert_eq!(sell_and_end(Collector::Hangs, format), 0);
        assert_eq!(sell_and_end(Collector::HangsNonBlocking, format), 0);
    }
}

/// Who reads again after a while gets every line, also from a pipe that does not block.
#[test]
fn a_log_that_is_read_late_is_whole() {
    for blocking in [true, false] {
        let (mut reader, writer) = full_pipe();
        set_blocking(&writer, blocking);
        let mut command = command(&[]);
        command.stderr(writer);
        let server = Server::run(command);
        server.signal(Signal::HUP);
        assert_eq!(server.get("/health").status, 200);
        let log = std::thread::spawn(move || {
            set_blocking(&reader, true);
            let mut log = String::new();
            reader.read_to_string(&mut log).expect("text");
            log
        });
        eventually("it is written", || (server.get("/health").status == 200).then_some(()));
        server.signal(Signal::TERM);
        assert_eq!(server.ended().0.code(), Some(0));
        let log = log.join().expect("it was read");
        for word in ["serving", "a signal that changes nothing", "draining", "stopped"] {
            assert!(log.contains(word), "{word} in {}", log.trim_start_matches('x'));
        }
    }
}

/// The second signal ends the process at once although its log hangs.
#[test]
fn a_second_signal_ends_a_server_whose_log_hangs() {
    let (reader, writer) = full_pipe();
    let mut command = command(&[("CLOSE_WITHIN_MS", "60000")]);
    command.stderr(writer);
    let server = Server::run(command);
    let mut stubborn = Client::join(&server, "a", "r");
    server.signal(Signal::TERM);
    assert!(matches!(stubborn.got(), Got::Close(Some(1001), _)));
    server.signal(Signal::TERM);
    assert_eq!(server.ended().0.code(), Some(130));
    drop((stubborn, reader));
}

/// A server that cannot start ends, whether anybody reads why or not.
#[test]
fn a_start_that_fails_ends_although_the_log_hangs() {
    let first = Server::start(&[]);
    let (reader, writer) = full_pipe();
    let mut command = command(&[("WEBSOCKET_PORT", &first.address.port().to_string())]);
    command.stderr(writer);
    let mut second = command.spawn().expect("the binary starts");
    let status = eventually("it ends", || second.try_wait().expect("it is ours"));
    assert_eq!(status.code(), Some(69));
    drop(reader);
}

/// The banner is for who reads it: nobody has to.
#[test]
fn a_banner_that_nobody_reads_neither_stops_nor_ends_a_server() {
    for hangs in [true, false] {
        let (reader, writer) = full_pipe();
        let reader = hangs.then_some(reader);
        let mut command = command(&[("LOG_FORMAT", "json")]);
        command.stdout(writer);
        let mut child = command.spawn().expect("the binary starts");
        drop(command);
        let mut log = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let serving = log.find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line.expect("text")).expect("JSON");
            (line["message"] == "serving").then(|| line["bound"].as_str().expect("an address").to_owned())
        });
        let mut http = Http::new(TcpStream::connect(serving.expect("it serves")).expect("it listens"));
        http.send("GET /health HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(http.response(false).status, 200);
        drop(http);
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a child has a pid");
        kill_process(pid, Signal::TERM).expect("it is ours");
        assert_eq!(eventually("it ends", || child.try_wait().expect("it is ours")).code(), Some(0));
        drop(reader);
    }
}

/// Calls of terminals, log rotation and pipes change nothing: who is inside stays, who comes is served.
#[test]
fn signals_that_mean_nothing_here_end_nothing() {
    let server = Server::start(&[]);
    let mut client = Client::join(&server, "a", "r");
    for signal in [Signal::HUP, Signal::USR1, Signal::USR2, Signal::PIPE, Signal::XFSZ] {
        server.signal(signal);
        client.send(r#"{"type":"ping"}"#);
        assert_eq!(client.json()["type"], "pong", "{signal:?}");
        assert_eq!(server.get("/health").json()["status"], "healthy", "{signal:?}");
    }
    let says = |log: &str| log.lines().filter(|line| line.contains("a signal that changes nothing")).count();
    eventually("it says so", || (says(&server.log()) == 3).then_some(()));
    server.signal(Signal::TERM);
    client.expect_close(1001);
    drop(client);
    assert_eq!(server.ended().0.code(), Some(0));
}

/// A log file that may not grow any more costs lines: the kernel also sends a signal for each, which ends who does not
/// expect it.
#[test]
fn a_log_file_that_is_too_long_ends_nothing() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    file.as_file().write_all(&[b'x'; 8 * 512]).expect("there is room");
    // In blocks of 512 bytes.
    let mut command = limited("ulimit -f 8", &[]);
    command.stderr(std::fs::OpenOptions::new().append(true).open(file.path()).expect("it is ours"));
    let server = Server::run(command);
    drop(Client::join(&server, "a", "r"));
    assert!(lost(&server) > 0);
    server.signal(Signal::TERM);
    assert_eq!(server.ended().0.code(), Some(0));
}
