//! The log by long poll and as a stream: waiting, going on, places that are too old, and the end of the server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{call, play};
use crate::api::ask;
use crate::events::events;
use crate::harness::Server;
use crate::harness::wait::at_once;
use crate::selling::has;

const NONE: Value = Value::Null;

/// A stream of events, as a browser reads it.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(server: &Server, path: &str, fields: &str) -> Self {
        let mut stream = server.dial_api();
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{fields}\r\n");
        stream.write_all(head.as_bytes()).expect("the server reads");
        Self(BufReader::new(stream))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    /// The next event, whose place is its id.
    fn event(&mut self) -> Value {
        let id = std::iter::repeat_with(|| self.line()).find_map(|line| line.strip_prefix("id: ").map(str::to_owned));
        let data = self.line();
        let event: Value = serde_json::from_str(data.strip_prefix("data: ").expect("its data")).expect("JSON");
        assert_eq!(event["cursor"], id.expect("it does not end"), "the id of an event is its cursor");
        event
    }
}

#[test]
fn who_waits_gets_the_first_event_at_once_or_nothing_in_time() {
    at_once(["1", "2"], |shards| {
        let server = Server::start(&[("SHARDS", shards)]);
        let began = crate::harness::wait::now();
        assert_eq!(events(&server, "/v1/events?wait_s=1"), [NONE; 0]);
        assert!(began.elapsed().as_millis() >= 1_000, "it waits as long as it was asked to");
        assert_eq!(events(&server, "/v1/events?wait_s=0"), [NONE; 0]);
        for path in ["/v1/events?wait_s=60", "/v1/rooms/r/events?wait_s=60"] {
            let last = events(&server, "/v1/events").pop().map(|event| event["cursor"].clone());
            let after = last.map_or(String::new(), |last| format!("&after={}", last.as_str().expect("a text")));
            std::thread::scope(|scope| {
                let waits = scope.spawn(|| events(&server, &format!("{path}{after}")));
                // What happens in another room is nothing to who waits for one.
                let other = if path.contains("/r/") { "s" } else { "r" };
                for room in [other, "r"] {
                    let hold = json!({"holder": "k", "seats": [format!("{}", path.len())]});
                    call(&server, &format!("POST /v1/rooms/{room}/hold"), &hold);
                }
                let told = waits.join().expect("an answer");
                assert!(has(&told[0], &json!({"type": "seat.held", "room": "r"})), "{told:?}");
            });
        }
    });
}

#[test]
fn a_stream_begins_anywhere_and_goes_on() {
    for shards in ["1", "2"] {
        let server = Server::start(&[("SHARDS", shards)]);
        for room in ["a", "b", "c"] {
            call(&server, &format!("PUT /v1/rooms/{room}"), &NONE);
        }
        let all = events(&server, "/v1/events");
        let cursor = |at: usize| all[at]["cursor"].as_str().expect("a text");
        let mut from_start = Stream::open(&server, "/v1/events", "");
        assert_eq!([0, 1, 2].map(|_| from_start.event())[..], all[..]);
        let mut by_query = Stream::open(&server, &format!("/v1/events?after={}", cursor(0)), "");
        // What the browser has seen last counts for more than where it began.
        let last = format!("Last-Event-ID: {}\r\n", cursor(1));
        let mut by_head = Stream::open(&server, &format!("/v1/events?after={}", cursor(0)), &last);
        let mut of_room = Stream::open(&server, "/v1/rooms/b/events", "");
        assert_eq!([0, 1].map(|_| by_query.event())[..], all[1..]);
        assert_eq!(by_head.event(), all[2]);
        assert_eq!(of_room.event(), all[1]);
        call(&server, "PATCH /v1/rooms/c", &json!({"sale": "paused"}));
        call(&server, "PATCH /v1/rooms/b", &json!({"sale": "paused"}));
        for stream in [&mut from_start, &mut by_query, &mut by_head] {
            assert_eq!(["c", "b"].map(|_| stream.event()["room"].clone()), ["c", "b"].map(Value::from));
        }
        assert!(has(&of_room.event(), &json!({"room": "b", "type": "room.changed", "n": 2})));
    }
}

/// A place that was never told is refused, as one that is too old; both before a stream begins.
#[test]
fn a_stream_from_nowhere_is_refused() {
    let server = Server::start(&[("LOG_EVENTS_MAX", "1")]);
    for room in ["a", "b", "c"] {
        call(&server, &format!("PUT /v1/rooms/{room}"), &NONE);
    }
    let last = events(&server, "/v1/events").pop().expect("it is there")["cursor"].clone();
    let stream = "Accept: text/event-stream\r\n";
    let check = |query: &str, fields: &str, status: u16, code: &str| {
        let answer = ask(&server, &format!("GET /v1/events{query}"), &format!("{stream}{fields}"), "");
        assert_eq!((answer.status, &answer.json()["code"]), (status, &code.into()), "{query} {fields}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    };
    check("?after=e0000000000000001", "", 410, "cursor_too_old");
    check("?after=effffffffffffffff", "", 410, "cursor_too_old");
    check("", "Last-Event-ID: e0000000000000001\r\n", 410, "cursor_too_old");
    check("", "Last-Event-ID: x\r\n", 422, "invalid");
    check("?after=x", "", 422, "invalid");
    let cursor = last.as_str().expect("a text");
    assert_eq!(events(&server, &format!("/v1/events?after={cursor}")), [NONE; 0], "the last one is no place too old");
}

/// The types and words of all acts that no other dialogue has.
#[test]
fn every_act_has_its_event() {
    for shards in ["1", "2"] {
        let server = Server::start(&[("SHARDS", shards)]);
        let order = |line: &'static str, body: Value, status| (line, body, status, json!({}));
        play(
            &server,
            &[
                order("POST /v1/rooms/r/hold", json!({"holder": "k", "seats": ["1", "2"]}), 200),
                order("PUT /v1/rooms/r/orders/a", json!({"owner": {"holder": "k"}}), 201),
                order("POST /v1/rooms/r/orders/a/cancel", json!({"to": "cart"}), 200),
                order("PUT /v1/rooms/r/orders/b", json!({"owner": {"holder": "k"}}), 201),
                order("POST /v1/rooms/r/orders/b/cancel", json!({"to": "free"}), 200),
                order("POST /v1/rooms/r/orders/b/book", json!({"mode": "held_or_free"}), 200),
                order("POST /v1/rooms/r/orders/b/refund", json!({}), 200),
                order("POST /v1/rooms/r/hold", json!({"holder": "k", "seats": ["3"]}), 200),
                order("PUT /v1/rooms/r/orders/c", json!({"owner": {"holder": "k"}, "ttl_s": 1}), 201),
            ],
        );
        let all = crate::harness::eventually("it expires", || {
            Some(events(&server, "/v1/rooms/r/events")).filter(|all| all.len() == 10)
        });
        let told: Vec<_> = all.iter().map(|event| (event["type"].as_str(), event["order"].as_str())).collect();
        let expected = [
            ("seat.held", None),
            ("order.checkout", Some("a")),
            ("order.cancelled", Some("a")),
            ("order.checkout", Some("b")),
            ("order.cancelled", Some("b")),
            ("order.booked", Some("b")),
            ("order.refunded", Some("b")),
            ("seat.held", None),
            ("order.checkout", Some("c")),
            ("order.expired", Some("c")),
        ];
        assert_eq!(told, expected.map(|(kind, order)| (Some(kind), order)));
        let mut seq = 0;
        for (at, event) in all.iter().enumerate() {
            assert_eq!(event["n"], at + 1, "{event}");
            assert_eq!(event["first_seq"], seq + 1, "{event}");
            seq = event["seq"].as_u64().expect("a number");
            assert_eq!(
                seq + 1 - event["first_seq"].as_u64().expect("a number"),
                event["seats"].as_array().unwrap().len() as u64
            );
            assert_eq!(event["owner"], json!({"holder": "k"}), "{event}");
            let time = crate::harness::wait::parse_time(event["time"].as_str().expect("a text"));
            assert!(crate::harness::wait::wall_ms().abs_diff(time) < 60_000, "{event}");
        }
    }
}

#[test]
fn a_drain_refuses_calls_and_answers_who_waits() {
    let server = Server::start(&[]);
    call(&server, "PUT /v1/rooms/r", &NONE);
    let cursor = events(&server, "/v1/events")[0]["cursor"].as_str().expect("a text").to_owned();
    let mut waits = server.dial_api();
    let head =
        format!("GET /v1/events?after={cursor}&wait_s=60 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    waits.write_all(head.as_bytes()).expect("the server reads");
    // A client that does not close keeps the drain waiting.
    let _slow = crate::harness::Client::connect(&server, "slow");
    // Who asks later is answered later: by then the reader waits.
    for _ in 0..2 {
        assert_eq!(ask(&server, "GET /v1/rooms", "", "").status, 200);
    }
    server.signal(Signal::TERM);
    crate::harness::eventually("it drains", || {
        let answer = ask(&server, "GET /v1/rooms", "", "");
        (answer.status == 503).then(|| {
            assert_eq!((&answer.json()["code"], answer.header("retry-after")), (&"draining".into(), Some("5")));
        })
    });
    for line in ["GET /docs", "GET /openapi.json", "GET /"] {
        assert_eq!(ask(&server, line, "", "").status, 200, "{line}");
    }
    let mut line = String::new();
    BufReader::new(waits).read_line(&mut line).expect("an answer");
    assert!(line.starts_with("HTTP/1.1 200 "), "{line}");
}

/// A seat that one order lost long ago and another one loses now, while the shop takes other seats from the first one.
#[test]
fn of_two_orders_that_lose_seats_at_once_each_is_named() {
    let booked = |order: &str, seats: &[&str]| {
        [
            ("POST /v1/rooms/r/hold".to_owned(), json!({"holder": "k", "seats": seats}), 200, json!({})),
            (format!("PUT /v1/rooms/r/orders/{order}"), json!({"owner": {"holder": "k"}}), 201, json!({})),
            (format!("POST /v1/rooms/r/orders/{order}/book"), NONE, 200, json!({"state": "booked"})),
        ]
    };
    // Which of them has the first place among orders must not matter, nor how the seats are ordered.
    for (first, second) in [("o", "p"), ("p", "o")] {
        for (shared, other) in [("A", "B"), ("B", "A")] {
            let server = Server::start(&[]);
            let refund = format!("POST /v1/rooms/r/orders/{first}/refund");
            let mut lines: Vec<_> = booked(first, &[shared, other]).into();
            lines.push((refund, json!({"seats": [shared]}), 200, json!({"refunded": [shared]})));
            lines.extend(booked(second, &[shared]));
            lines.push(("POST /v1/rooms/r/reconcile".into(), json!({"booked": []}), 200, json!({"freed": ["A", "B"]})));
            for (line, body, status, expected) in lines {
                let (found, answer) = call(&server, &line, &body);
                assert!(found == status && has(&answer, &expected), "{line}: {found} {answer}");
            }
            let mut told: Vec<_> = events(&server, "/v1/rooms/r/events").into_iter().rev().take(2).collect();
            told.sort_by_key(|event| event["order"] == second);
            let refunded = |order: &str, seat: &str| json!({"type": "order.refunded", "order": order, "seats": [seat], "owner": {"holder": "k"}});
            assert!(has(&told[0], &refunded(first, other)), "{told:?}");
            assert!(has(&told[1], &refunded(second, shared)), "{told:?}");
        }
    }
}
