//! Ending well: SIGTERM, SIGINT, a second signal.

use std::io::Write;

use rustix::process::Signal;

use crate::harness::client::{join, text_frame, upgrade};
use crate::harness::http::Http;
use crate::harness::wait::{now, parse_time, size};
use crate::harness::{Client, Got, Server, VARIANTS, at_once, eventually, room_on};

/// Connections that do not answer hold the end up for as long as it may take, so that there is time to look at it.
const SLOW_END: (&str, &str) = ("CLOSE_WITHIN_MS", "60000");

/// When this line was logged, in milliseconds; the log writes microseconds.
fn logged_at(log: &str, what: &str) -> u64 {
    let line = log.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("no {what} in\n{log}"));
    let time = line.split_whitespace().next().expect("a time comes first");
    parse_time(&format!("{}Z", &time[..23]))
}

#[test]
fn a_signal_closes_all_with_1001_and_ends_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        for variant in VARIANTS {
            let server = Server::start(variant);
            let mut clients: Vec<Client> =
                (0..50).map(|number| Client::join(&server, &format!("c{number}"), "r")).collect();
            clients[0].select("r", "A1");
            clients[0].json();
            let mut bare = Client::connect(&server, "in no room");
            let mut http = Http::new(server.dial());
            http.send("GET /health HTTP/1.1\r\nHost: test\r\n\r\n");
            assert_eq!(http.response(false).status, 200);
            server.signal(signal);
            for client in &mut clients[1..] {
                assert_eq!(client.json()["type"], "seat_selected", "what was queued is flushed");
            }
            clients.iter_mut().for_each(|client| client.expect_close(1001));
            bare.expect_close(1001);
            assert!(http.try_response(false).is_none());
            drop((clients, bare, http));
            let (status, log) = server.ended();
            assert_eq!(status.code(), Some(0), "{log}");
        }
    }
}

/// While connections that do not answer hold the drain up, the server says so to those who ask.
#[test]
fn health_says_draining_and_nobody_new_may_stay() {
    at_once(["1", "2"], |shards| {
        let server = Server::start(&[("SHARDS", shards), SLOW_END]);
        let mut stubborn: Vec<Client> =
            (0..8).map(|number| Client::join(&server, &format!("c{number}"), "r")).collect();
        server.signal(Signal::TERM);
        eventually("it drains", || server.log().contains("draining").then_some(()));
        let ask = |request: &str| Http::new(server.dial()).ask(request);
        let health = eventually("an answer that says so", || {
            ask("GET /health HTTP/1.1\r\nHost: test\r\n\r\n").filter(|answer| answer.status != 200)
        });
        assert_eq!((health.status, &health.json()["status"]), (503, &"draining".into()));
        let ready = ask("GET /ready HTTP/1.1\r\nHost: test\r\n\r\n");
        assert!(ready.is_none_or(|answer| answer.status == 503));
        let upgrade = ask(&crate::harness::client::upgrade("late", ""));
        assert!(upgrade.is_none_or(|answer| answer.status == 503 && answer.header("retry-after").is_some()));
        for client in &mut stubborn {
            assert_eq!(client.got(), Got::Close(Some(1001), "the server is shutting down".into()));
        }
        let (status, log) = server.ended();
        assert_eq!(status.code(), Some(0), "{log}");
        let took = logged_at(&log, "stopped") - logged_at(&log, "draining");
        assert!(took < 5_000, "{took} ms");
    });
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let server = Server::start(&[("SHARDS", "2"), SLOW_END]);
    let clients: Vec<Client> = (0..8).map(|number| Client::join(&server, &format!("c{number}"), "r")).collect();
    server.signal(Signal::TERM);
    eventually("it drains", || server.log().contains("draining").then_some(()));
    server.signal(Signal::INT);
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(130), "{log}");
    assert!(!log.contains("stopped"));
    drop(clients);
}

/// Whoever was let in is told, also one that is on its way to another shard when the end begins.
#[test]
fn who_is_on_its_way_between_shards_is_told_too() {
    let rooms = [room_on(0, 2), room_on(1, 2)];
    for round in 0..20 {
        let server = Server::start(&[("SHARDS", "2")]);
        let mut clients: Vec<Client> =
            (0..40).map(|number| Client::unanswered(server.dial(), &format!("c{number}"))).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            if number == round {
                server.signal(Signal::TERM);
            }
            let request = [upgrade(&client.id, "").into_bytes(), text_frame(&join(&rooms[number % 2]))].concat();
            // The server may have hung up already.
            client.stream.write_all(&request).ok();
        }
        for client in &mut clients {
            if !client.is_let_in() {
                continue;
            }
            let end = loop {
                match client.got() {
                    Got::Text(_) => {}
                    end => break end,
                }
            };
            assert_eq!(end, Got::Close(Some(1001), "the server is shutting down".into()), "{}", client.id);
        }
        drop(clients);
        let (status, log) = server.ended();
        assert_eq!(status.code(), Some(0), "{log}");
    }
}

/// Many connections: all are told, and the end comes within 5 s.
#[test]
fn a_crowd_is_dismissed_in_time_alone() {
    let count = size("DRAIN_CONNECTIONS", 2_000);
    let server = Server::start(&[("SHARDS", "2")]);
    let mut clients: Vec<Client> = (0..count)
        .map(|number| {
            let mut client = Client::connect_on(server.dial_in_a_crowd(number), &format!("c{number}"), "");
            client.enter(&format!("room-{}", number % 100));
            client
        })
        .collect();
    let began = now();
    server.signal(Signal::TERM);
    clients.iter_mut().for_each(|client| client.expect_close(1001));
    let told = began.elapsed();
    drop(clients);
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    let took = logged_at(&log, "stopped") - logged_at(&log, "draining");
    println!(
        "{count} connections: all told after {told:?}, ended after {:?}, {took} ms by its own log",
        began.elapsed()
    );
    assert!(took < 5_000, "{took} ms for {count} connections");
}
