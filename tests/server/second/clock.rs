//! The one clock of a cart: what sets it, what does not, and how far it may be put off.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::script::{Line, SHARDS, api, check, play};
use crate::harness::client::{Client, text_frame};
use crate::harness::server::Server;

fn select(id: u32, seats: &Value) -> Value {
    json!({"type": "select_seats", "id": id, "room_id": "r", "seats": seats})
}

fn extend(id: u32) -> Value {
    json!({"type": "extend_hold", "id": id, "room_id": "r"})
}

fn left(kind: &str, id: u32, left: u32) -> Value {
    json!({"type": kind, "id": id, "room_id": "r", "cart": {"extends_left": left}})
}

fn limit(id: u32) -> Value {
    json!({"type": "error", "id": id, "code": "extend_limit", "request_type": "extend_hold", "room_id": "r"})
}

/// Plays lines and returns the deadlines that the last connection was told in its carts.
fn deadlines(settings: &[(&str, &str)], requests: &[Value]) -> Vec<Vec<String>> {
    SHARDS
        .iter()
        .map(|shards| {
            let all: Vec<(&str, &str)> = shards.iter().chain(settings).copied().collect();
            let server = Server::start(&all);
            let mut client = Client::connect_on(server.dial(), "a", "?v=2");
            client.json();
            requests
                .iter()
                .map(|request| {
                    client.write(&text_frame(&request.to_string()));
                    let reply = client.json();
                    reply["cart"]["expires_at"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
                })
                .collect()
        })
        .collect()
}

#[test]
fn further_seats_do_not_move_it_and_letting_go_of_some_neither() {
    let swap = json!({"type": "select_seats", "room_id": "r", "seats": ["A3"], "release": ["A1", "A2"]});
    let some = json!({"type": "release_seats", "room_id": "r", "seats": ["A4"]});
    let requests = [select(1, &json!(["A1"])), select(2, &json!(["A2"])), swap, select(3, &json!(["A4"])), some];
    for told in deadlines(&[], &requests) {
        assert!(told.iter().all(|at| *at == told[0]), "{told:?}");
    }
}

#[test]
fn an_extension_begins_anew_as_often_as_is_allowed() {
    check(
        &[("HOLD_EXTENDS_MAX", "2")],
        &[
            ("a", select(1, &json!(["A1"])), left("seats_held", 1, 2)),
            ("a", extend(2), left("hold_extended", 2, 1)),
            ("a", extend(3), left("hold_extended", 3, 0)),
            ("a", extend(4), limit(4)),
            // More seats are no new life either.
            ("a", select(5, &json!(["A2"])), left("seats_held", 5, 0)),
            ("a", extend(6), limit(6)),
        ],
    );
    check(
        &[("HOLD_EXTENDS_MAX", "0")],
        &[("a", select(1, &json!(["A1"])), left("seats_held", 1, 0)), ("a", extend(2), limit(2))],
    );
}

#[test]
fn no_extension_goes_beyond_the_longest_life() {
    // The first hold lives as long as any may: there is nothing to add.
    check(
        &[("HOLD_TTL_MS", "60000"), ("HOLD_LIFE_MAX_MS", "60000"), ("HOLD_EXTENDS_MAX", "9")],
        &[("a", select(1, &json!(["A1"])), left("seats_held", 1, 9)), ("a", extend(2), limit(2))],
    );
    // A part of an extension: however often, all end at one time, one life after the first seat.
    let settings = [("HOLD_TTL_MS", "60000"), ("HOLD_LIFE_MAX_MS", "60001"), ("HOLD_EXTENDS_MAX", "9")];
    for shards in SHARDS {
        let all: Vec<(&str, &str)> = shards.iter().chain(&settings).copied().collect();
        let server = Server::start(&all);
        let mut client = Client::connect_on(server.dial(), "a", "?v=2");
        client.json();
        client.write(&text_frame(&select(1, &json!(["A1"])).to_string()));
        let first = client.json()["cart"]["expires_at"].as_str().expect("a time").to_owned();
        // Until the clock has moved on by what is missing.
        let last = std::iter::repeat_with(|| {
            client.write(&text_frame(&extend(2).to_string()));
            client.json()
        })
        .find(|reply| reply["cart"]["expires_at"].as_str().is_none_or(|at| at > first.as_str()))
        .expect("it does not end");
        if last["type"] == "error" {
            assert_eq!(last["code"], "extend_limit");
        } else {
            let at = last["cart"]["expires_at"].as_str().expect("a time");
            let ms = |text: &str| text[text.len() - 4..text.len() - 1].parse::<i32>().expect("milliseconds");
            assert!((ms(at) - ms(&first)).rem_euclid(1_000) <= 2, "{at} is one life after the first seat: {first}");
        }
    }
}

#[test]
fn a_room_has_its_own_length_for_both_protocols() {
    let freed = |seat: &str| json!({"type": "seat_released", "seat_id": seat, "reason": "expired"});
    let settings = json!({"hold_ms": 1_000});
    let selects: [(&str, Value, Value); 2] = [
        ("v1", json!({"type": "select_seat", "room_id": "r", "seat_id": "A1"}), json!({"type": "seat_selected"})),
        ("a", select(1, &json!(["A1"])), json!({"type": "seats_held"})),
    ];
    for select in selects {
        let mut lines: Vec<Line> = vec![
            ("api", api("PUT /rooms/r", &settings), json!({"status": 201, "hold_ms": 1_000})),
            ("v1b", json!({"type": "join_room", "room_id": "r"}), json!({"type": "room_joined"})),
        ];
        lines.push(select);
        lines.extend([
            ("v1b", json!(null), json!({"type": "seat_selected", "seat_id": "A1"})),
            ("v1b", json!(null), freed("A1")),
        ]);
        check(&[], &lines);
    }
}

#[test]
fn who_lets_go_after_the_end_of_a_life_does_not_begin_a_new_one() {
    // The clock of a cart that was let go is over before the memory of it: the seats may not be had again at once.
    let settings = [("HOLD_TTL_MS", "1000"), ("HOLD_WARN_MS", "0")];
    let lines: [Line; 6] = [
        ("a", select(1, &json!(["A1"])), json!({"type": "seats_held"})),
        ("b", select(1, &json!(["B1"])), json!({"type": "seats_held"})),
        (
            "a",
            json!({"type": "release_seats", "room_id": "r", "all": true}),
            json!({"type": "seats_released", "cart": {"expires_at": null}}),
        ),
        // By then the clock of `a` is over, too.
        ("b", json!(null), json!({"type": "cart", "reason": "expired", "gone": ["B1"]})),
        ("a", extend(2), json!({"type": "error", "code": "hold_expired", "id": 2})),
        // What ended by itself is a new life.
        ("b", select(3, &json!(["B2"])), json!({"type": "seats_held", "id": 3, "cart": {"extends_left": 1}})),
    ];
    for shards in SHARDS {
        let all: Vec<(&str, &str)> = shards.iter().chain(&settings).copied().collect();
        play(&Server::start(&all), &mut BTreeMap::new(), &lines);
    }
}
