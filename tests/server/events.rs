//! The log over HTTP: what has become of seats, orders and rooms, in order, without a hole, and read on from any place.

use std::io::{Read as _, Write as _};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::api::ask;
use crate::harness::Server;

fn call(server: &Server, line: &str, body: &Value) -> u16 {
    let (fields, text) =
        if body.is_null() { ("", String::new()) } else { ("Content-Type: application/json\r\n", body.to_string()) };
    ask(server, line, fields, &text).status
}

/// The events that a path has, which are `NDJSON`.
pub(crate) fn events(server: &Server, path: &str) -> Vec<Value> {
    let answer = ask(server, &format!("GET {path}"), "", "");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")), "{path}");
    let text = String::from_utf8(answer.body.clone()).expect("JSON is UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn sell(server: &Server, room: &str) {
    for (line, body, status) in [
        ("PUT /v1/rooms/ROOM", json!({"hold_ms": 60_000}), 201),
        ("PUT /v1/rooms/ROOM", json!({"hold_ms": 60_000}), 200),
        ("PATCH /v1/rooms/ROOM", json!({"sale": "paused"}), 200),
        ("PATCH /v1/rooms/ROOM", json!({"sale": "paused"}), 200),
        ("POST /v1/rooms/ROOM/hold", json!({"holder": "k", "seats": ["1", "2", "3"]}), 200),
        ("PUT /v1/rooms/ROOM/orders/o%2F1", json!({"owner": {"holder": "k"}}), 201),
        ("POST /v1/rooms/ROOM/orders/o%2F1/book", Value::Null, 200),
        ("POST /v1/rooms/ROOM/orders/o%2F1/book", Value::Null, 200),
        ("POST /v1/rooms/ROOM/orders/o%2F1/refund", json!({"seats": ["2"]}), 200),
        ("POST /v1/rooms/ROOM/block", json!({"seats": ["2", "9"], "label": "sound"}), 200),
        ("POST /v1/rooms/ROOM/unblock", json!({"seats": ["2"], "label": "sound"}), 200),
        ("POST /v1/rooms/ROOM/hold", json!({"holder": "k", "seats": ["4"]}), 200),
        ("POST /v1/rooms/ROOM/release", json!({"holder": "k", "reason": "mistake"}), 200),
        ("DELETE /v1/rooms/ROOM", Value::Null, 200),
    ] {
        assert_eq!(call(server, &line.replace("ROOM", room), &body), status, "{line} {body}");
    }
}

fn check_sold(events: &[Value], room: &str, id: &str) {
    let types: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    let expected = [
        "room.created",
        "room.changed",
        "seat.held",
        "order.checkout",
        "order.booked",
        "order.refunded",
        "seat.blocked",
        "seat.unblocked",
        "seat.held",
        "seat.released",
        "room.deleted",
    ];
    assert_eq!(types, expected);
    for (at, event) in events.iter().enumerate() {
        assert_eq!((&event["n"], &event["room"]), (&json!(at + 1), &json!(room)), "{event}");
        let epoch = event["epoch"].as_str().expect("a text");
        assert_eq!(event["id"], format!("{id}/{epoch}/{}", at + 1), "{event}");
    }
    let booked = &events[4];
    assert_eq!((&booked["order"], &booked["seats"]), (&json!("o/1"), &json!(["1", "2", "3"])), "{booked}");
    assert_eq!(
        (&booked["owner"], &booked["first_seq"], &booked["seq"]),
        (&json!({"holder": "k"}), &json!(7), &json!(9))
    );
    assert_eq!((&events[6]["label"], &events[6]["seats"]), (&json!("sound"), &json!(["2", "9"])));
    assert_eq!((&events[7]["label"], &events[9]["reason"]), (&json!("sound"), &json!("mistake")));
    assert!(events[0].get("seq").is_none() && events[10].get("seq").is_none());
}

#[test]
fn every_act_is_one_event_and_reading_goes_on_anywhere() {
    for shards in ["1", "2"] {
        let server = Server::start(&[("SHARDS", shards)]);
        sell(&server, "sala%20%C3%B1%2F7");
        let all = events(&server, "/v1/events");
        check_sold(&all, "sala ñ/7", "sala%20%C3%B1%2F7");
        assert_eq!(call(&server, "PUT /v1/rooms/other", &json!({})), 201);
        assert_eq!(events(&server, "/v1/rooms/sala%20%C3%B1%2F7/events"), all);
        for (at, event) in all.iter().enumerate() {
            let cursor = event["cursor"].as_str().expect("a text");
            let rest = events(&server, &format!("/v1/events?after={cursor}&wait_s=1"));
            assert_eq!(rest[..all.len() - at - 1], all[at + 1..]);
            assert_eq!(rest.len(), all.len() - at, "{rest:?}");
            let one = events(&server, &format!("/v1/events?after={cursor}&limit=1"));
            assert_eq!(one, rest[..1]);
        }
    }
}

#[test]
fn places_that_are_none_or_too_old_are_refused() {
    let server = Server::start(&[("LOG_EVENTS_MAX", "2"), ("LOG_HOLDS", "0")]);
    for bad in ["x", "", "e1", "1", "-1"] {
        assert_eq!(call(&server, &format!("GET /v1/events?after={bad}"), &Value::Null), 422, "{bad}");
    }
    for bad in ["wait_s=61", "wait_s=x", "limit=0", "since=1"] {
        assert_eq!(call(&server, &format!("GET /v1/events?{bad}"), &Value::Null), 422, "{bad}");
    }
    assert_eq!(call(&server, "PUT /v1/rooms/r", &json!({})), 201);
    let first = events(&server, "/v1/events").remove(0)["cursor"].as_str().expect("a text").to_owned();
    assert_eq!(call(&server, "POST /v1/rooms/r/hold", &json!({"holder": "k", "seats": ["1"]})), 200);
    assert_eq!(events(&server, &format!("/v1/events?after={first}")), [] as [Value; 0], "holds are left out");
    for pause in ["open", "paused", "open"] {
        call(&server, "PATCH /v1/rooms/r", &json!({"sale": pause, "max_seats": pause.len()}));
    }
    let old = ask(&server, &format!("GET /v1/events?after={first}"), "", "");
    assert_eq!((old.status, &old.json()["code"]), (410, &json!("cursor_too_old")));
    assert!(old.json()["detail"].as_str().expect("a text").contains("read the state"));
    let numbers: Vec<_> = events(&server, "/v1/events").iter().map(|event| event["n"].as_u64()).collect();
    assert_eq!(numbers, [Some(3), Some(4)]);
}

#[test]
fn a_stream_tells_as_it_goes_and_ends_with_the_server() {
    let server = Server::start(&[]);
    let mut stream = server.dial_api();
    let request =
        "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("the server reads");
    assert_eq!(call(&server, "PUT /v1/rooms/r", &json!({})), 201);
    assert_eq!(call(&server, "POST /v1/rooms/r/hold", &json!({"holder": "k", "seats": ["1"]})), 200);
    server.signal(Signal::TERM);
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("the stream ends with the server");
    assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("content-type: text/event-stream"), "{text}");
    for kind in ["room.created", "seat.held"] {
        assert!(text.contains(&format!("\"type\":\"{kind}\"")), "{kind}: {text}");
    }
    assert_eq!((text.matches("id: e").count(), text.matches("data: {").count()), (2, 2), "{text}");
    assert!(text.ends_with("0\r\n\r\n"), "the last chunk: {text}");
}

#[test]
fn a_layout_stays_while_a_room_has_it() {
    for shards in ["1", "2"] {
        let server = Server::start(&[("SHARDS", shards)]);
        let seat = json!({"id": "A1", "section": "s", "row": "1", "number": 1, "category": "c", "x": 0, "y": 0});
        let plan = json!({"categories": [{"id": "c"}], "seats": [seat]});
        for (line, body, status) in [
            ("DELETE /v1/layouts/hall", Value::Null, 404),
            ("PUT /v1/layouts/hall", plan, 201),
            ("PUT /v1/rooms/a", json!({"layout": "hall"}), 201),
            ("PUT /v1/rooms/b", json!({"layout": "hall"}), 201),
            ("DELETE /v1/layouts/hall", Value::Null, 409),
            ("DELETE /v1/rooms/a", Value::Null, 200),
            ("DELETE /v1/layouts/hall", Value::Null, 409),
            ("PATCH /v1/rooms/b", json!({"layout": null}), 200),
            ("DELETE /v1/layouts/hall", Value::Null, 200),
            ("PUT /v1/rooms/c", json!({"layout": "hall"}), 422),
        ] {
            assert_eq!(call(&server, line, &body), status, "{line} {body}");
        }
    }
}
