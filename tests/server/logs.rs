//! What the log says, and what it never says.

use rustix::process::Signal;

use crate::harness::client::{frame, upgrade};
use crate::harness::http::Http;
use crate::harness::server::command;
use crate::harness::{Client, Got, Server};

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
        for request in
            [format!("GET /{SECRET} HTTP/1.1\r\n\r\n"), format!("{SECRET}\r\n\r\n"), upgrade("\u{0}4929-1234", "")]
        {
            let mut http = Http::new(server.dial());
            http.send(&request);
            assert!(http.response(false).status >= 400, "{request}");
        }
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

/// A collector that has gone costs the lines of the log, and nothing else: not the drain, not its close frames.
#[test]
fn a_log_that_cannot_be_written_ends_nothing() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = command(&[("SHARDS", "2")]);
    command.stderr(writer);
    let server = Server::run(command);
    let mut client = Client::join(&server, "a", "r");
    drop(reader);
    server.signal(Signal::TERM);
    client.expect_close(1001);
    drop(client);
    assert_eq!(server.ended().0.code(), Some(0));
}

/// A file system that is full from the start.
#[test]
fn a_log_on_a_full_disk_ends_nothing() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let mut command = command(&[]);
    command.stderr(full);
    let server = Server::run(command);
    drop(Client::join(&server, "a", "r"));
    server.signal(Signal::TERM);
    assert_eq!(server.ended().0.code(), Some(0));
}
