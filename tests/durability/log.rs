//! The log of acts outlives the server, however that ends: the same events under the same cursors, counted on.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::http::Http;
use crate::harness::{Server, eventually};
use crate::home::{Home, kill, stop};

pub(crate) fn ask(server: &Server, line: &str, body: &Value) -> (u16, String) {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let fields = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", text.len());
    let fields = if body.is_null() { String::new() } else { fields };
    let mut http = Http::new(server.dial_api());
    http.send(&format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{text}"));
    let answer = http.response(false);
    (answer.status, String::from_utf8(answer.body).expect("JSON is UTF-8"))
}

pub(crate) fn events(server: &Server, after: &str) -> Vec<Value> {
    let (status, text) = ask(server, &format!("GET /v1/events{after}"), &Value::Null);
    assert_eq!(status, 200, "{text}");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// Orders of `from..to`, every third of which is cancelled; each answer is waited for.
pub(crate) fn sell(server: &Server, (from, to): (usize, usize)) {
    for n in from..to {
        let (order, seats) = (format!("/v1/rooms/hall/orders/o{n}"), json!([format!("{n}a"), format!("{n}b")]));
        for (line, body) in [
            ("POST /v1/rooms/hall/hold".to_owned(), json!({"holder": "kiosk", "seats": seats})),
            (format!("PUT {order}"), json!({"owner": {"holder": "kiosk"}})),
            if n % 3 == 0 {
                (format!("POST {order}/cancel"), json!({"to": "free"}))
            } else {
                (format!("POST {order}/book"), Value::Null)
            },
        ] {
            let (status, text) = ask(server, &line, &body);
            assert!(status < 300, "{line} {status} {text}");
        }
    }
}

/// What the seats are when the log is replayed, but for the free ones.
fn replayed(events: &[Value]) -> BTreeMap<String, &'static str> {
    let mut seats = BTreeMap::new();
    for event in events {
        for seat in event["seats"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            match event["type"].as_str().expect("a text") {
                "seat.held" => _ = seats.insert(seat.to_owned(), "held"),
                "order.checkout" => _ = seats.insert(seat.to_owned(), "checkout"),
                "order.booked" => _ = seats.insert(seat.to_owned(), "booked"),
                "order.cancelled" | "order.expired" | "seat.released" => _ = seats.remove(seat),
                other => panic!("{other}"),
            }
        }
    }
    seats
}

fn check(server: &Server, before: &[Value]) -> Vec<Value> {
    let all = events(server, "");
    assert_eq!(all[..before.len()], *before, "what was there is there");
    for (at, event) in all.iter().enumerate() {
        assert_eq!(event["n"], at + 1, "{event}");
    }
    let (_, text) = ask(server, "GET /v1/rooms/hall/seats?limit=1000", &Value::Null);
    let told: Value = serde_json::from_str(&text).expect("an answer is JSON");
    let told = told["seats"].as_array().expect("a list").iter();
    let word = |seat: &Value, name: &str| seat[name].as_str().expect("a text").to_owned();
    let told: BTreeMap<String, String> = told.map(|seat| (word(seat, "seat"), word(seat, "state"))).collect();
    let replayed: BTreeMap<String, String> =
        replayed(&all).into_iter().map(|(seat, state)| (seat, state.to_owned())).collect();
    assert_eq!(replayed, told, "the log replayed gives the state");
    if let Some(last) = before.last() {
        let rest = events(server, &format!("?after={}", last["cursor"].as_str().expect("a text")));
        assert_eq!(rest, all[before.len()..], "a cursor from before is read on from");
    }
    all
}

#[test]
fn the_log_outlives_every_end_and_gives_the_state() {
    for home in Home::all() {
        let server = home.start();
        assert_eq!(ask(&server, "PUT /v1/rooms/hall", &json!({"hold_ms": 600_000})).0, 201);
        sell(&server, (0, 6));
        let before = check(&server, &[]);
        kill(server);
        let server = home.start();
        let same = check(&server, &before);
        assert_eq!(same, before);
        sell(&server, (6, 9));
        let before = check(&server, &same);
        stop(server);
        let server = home.start();
        sell(&server, (9, 10));
        check(&server, &before);
        stop(server);
    }
}

/// The number of a room is kept when the log has nothing of it any more.
#[test]
fn a_room_counts_on_when_its_events_have_gone() {
    for mut home in Home::all() {
        home.set("LOG_EVENTS_MAX", "2");
        let server = home.start();
        assert_eq!(ask(&server, "PUT /v1/rooms/hall", &json!({})).0, 201);
        sell(&server, (1, 2));
        for n in 0..3 {
            assert_eq!(ask(&server, &format!("PUT /v1/rooms/other{n}"), &json!({})).0, 201);
        }
        kill(server);
        let server = home.start();
        sell(&server, (2, 3));
        let last = events(&server, "");
        assert_eq!(last.iter().map(|event| &event["n"]).collect::<Vec<_>>(), [&json!(6), &json!(7)]);
        stop(server);
    }
}

/// An act on more seats than were one call of Redis is one event, and there with all its seats.
#[test]
fn a_large_act_is_one_event() {
    for home in [Home::embedded("durable"), Home::redis("durable")] {
        let server = home.start();
        let seats: Vec<String> = (0..2_000).map(|n| format!("{n}")).collect();
        let (status, text) = ask(&server, "POST /v1/rooms/hall/block", &json!({"seats": seats, "label": "house"}));
        assert_eq!(status, 200, "{text}");
        kill(server);
        let server = home.start();
        let all = events(&server, "");
        assert_eq!((all.len(), all[0]["seats"].as_array().map(Vec::len)), (1, Some(2_000)));
        let (_, counts) = ask(&server, "GET /v1/rooms/hall/counts", &Value::Null);
        let counts: Value = serde_json::from_str(&counts).expect("an answer is JSON");
        assert_eq!(counts["total"]["blocked"], 2_000, "{counts}");
        stop(server);
    }
}

/// What ends while no server looks is told by the next one.
#[test]
fn what_ends_meanwhile_is_told_at_the_start() {
    for home in Home::all() {
        let server = home.start();
        for (line, body) in [
            ("PUT /v1/rooms/hall", json!({"hold_ms": 1_000})),
            ("POST /v1/rooms/hall/hold", json!({"holder": "paying", "seats": ["1", "2"]})),
            ("PUT /v1/rooms/hall/orders/o", json!({"owner": {"holder": "paying"}, "ttl_s": 1})),
            ("POST /v1/rooms/hall/hold", json!({"holder": "kiosk", "seats": ["3"]})),
        ] {
            assert!(ask(&server, line, &body).0 < 300, "{line}");
        }
        kill(server);
        let began = std::time::Instant::now();
        eventually("their time is over", || (began.elapsed().as_millis() > 1_100).then_some(()));
        let server = home.start();
        let all = eventually("all is told", || Some(events(&server, "")).filter(|all| all.len() >= 6));
        let told: Vec<_> = all[4..].iter().map(|event| (event["type"].clone(), event["seats"].clone())).collect();
        assert!(told.contains(&(json!("order.expired"), json!(["1", "2"]))), "{told:?}");
        assert!(told.contains(&(json!("seat.released"), json!(["3"]))), "{told:?}");
        check(&server, &all[..4]);
        stop(server);
    }
}
