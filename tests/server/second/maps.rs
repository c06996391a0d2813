//! Who speaks the second protocol, and how maps and what changes of them look on the wire.

use std::collections::BTreeMap;
use std::io::Read as _;

use serde_json::{Value, json};

use super::script::{Line, SHARDS, api, check, play};
use crate::harness::client::{Client, Got, upgrade};
use crate::harness::server::Server;

fn select(id: u32, seats: &Value) -> Value {
    json!({"type": "select_seats", "id": id, "room_id": "r", "seats": seats})
}

fn hall(seats: u32) -> Value {
    let seat = |number: u32| {
        let (row, place) = (number / 500, number % 500);
        json!({"id": format!("A{number}"), "section": "s", "row": row.to_string(), "number": place, "category": "c",
               "x": place, "y": row})
    };
    json!({ "seats": (0..seats).map(seat).collect::<Vec<_>>() })
}

fn furnished(seats: u32) -> Vec<Line> {
    vec![
        ("api", api("PUT /layouts/hall", &hall(seats)), json!({"status": 201})),
        ("api", api("PUT /rooms/r", &json!({"layout": "hall", "max_seats": 0})), json!({"status": 201})),
    ]
}

#[test]
fn it_is_spoken_by_who_asks_for_it() {
    let server = Server::start(&[]);
    for (query, protocols, speaks, echoed) in [
        ("", "", false, false),
        ("?v=2", "", true, false),
        ("?v=1", "", false, false),
        ("?x=1&v=2", "", true, false),
        ("", "seats.v2.json", true, true),
        ("?v=2", "seats.v2.json", true, true),
        ("", "other, seats.v2.json", true, true),
        ("", "seats.v2.json,other", true, true),
        ("", "other", false, false),
        ("", "seats.v2", false, false),
    ] {
        let mut client = Client::unanswered(server.dial(), "a");
        let field = format!("Host: test\r\nSec-WebSocket-Protocol: {protocols}\r\n");
        let request = upgrade("a", query);
        let request = if protocols.is_empty() { request } else { request.replace("Host: test\r\n", &field) };
        client.write(request.as_bytes());
        let head = client.answer_to_upgrade();
        let has_echo = head.contains("\r\nSec-WebSocket-Protocol: seats.v2.json\r\n");
        assert_eq!((head.starts_with("HTTP/1.1 101 "), has_echo), (true, echoed), "{query} {protocols}: {head}");
        client.send(r#"{"type":"ping"}"#);
        let first = if speaks { "hello" } else { "pong" };
        assert_eq!(client.json()["type"], first, "{query} {protocols}");
    }
}

#[test]
fn a_map_is_two_bits_a_seat_and_names_nobody() {
    let hold = json!({"holder": "k", "seats": ["A5"]});
    let mut lines = furnished(9);
    lines.extend([
        ("c", json!({"type": "join_room", "room_id": "r"}), json!({"type": "room_joined"})),
        ("c", json!(null), json!({"type": "snapshot"})),
        (
            "a",
            json!({"type": "join_room", "id": 1, "room_id": "r"}),
            json!({"type": "room_joined", "id": 1, "seq": 0, "layout": {"id": "hall", "version": null, "seats": 9},
                   "sale": "open", "hold_ms": 300_000, "max_seats": 0, "tick_ms": 100, "now": null, "epoch": null}),
        ),
        ("a", json!(null), json!({"type": "snapshot", "seq": 0, "states": "AAAA", "_without": ["seats", "id"]})),
        ("api", api("POST /rooms/r/block", &json!({"seats": ["A0"], "label": "x"})), json!({"status": 200})),
        ("a", select(2, &json!(["A3"])), json!({"type": "seats_held", "seq": 2})),
        ("api", api("POST /rooms/r/hold", &hold), json!({"status": 200})),
        ("api", api("PUT /rooms/r/orders/o", &json!({"owner": {"holder": "k"}})), json!({"status": 201})),
        ("b", json!({"type": "join_room", "room_id": "r"}), json!({"type": "room_joined", "seq": 4})),
        // A checkout is a hold on the map.
        ("b", json!(null), json!({"type": "snapshot", "seq": 4, "states": "QwQA"})),
        ("api", api("POST /rooms/r/orders/o/book", &json!({})), json!({"status": 200})),
        (
            "b",
            json!({"type": "sync", "room_id": "r"}),
            json!({"type": "snapshot", "seq": 5, "states": "QwgA", "_without": ["id"]}),
        ),
        // By their numbers, the last state of each; what the map does not show moves `to` alone.
        ("c", json!(null), json!({"type": "delta", "from": 1, "to": 5, "changes": [[0, 3], [3, 1], [5, 2]]})),
    ]);
    check(&[], &lines);
}

#[test]
fn the_join_of_a_stadium_is_small_and_smaller_when_it_may_be_packed() {
    use base64::Engine as _;
    let mut lines = furnished(50_000);
    // Every second seat, without any order.
    let is_taken = |seat: u32| (seat.wrapping_mul(2_654_435_761) >> 16) % 2 == 1;
    let taken: Vec<String> = (0..50_000).filter(|&seat| is_taken(seat)).map(|seat| format!("A{seat}")).collect();
    for some in taken.chunks(500) {
        let body = json!({"seats": some, "label": "x"});
        lines.push(("api", api("POST /rooms/r/block", &body), json!({"status": 200})));
    }
    let server = Server::start(&[("SHARDS", "2"), ("PING_AFTER_MS", "60000")]);
    play(&server, &mut BTreeMap::new(), &lines);
    let mut maps = Vec::new();
    for (wish, most) in [("", 17_100), (r#","packed":true"#, 9_500)] {
        let mut client = Client::connect_on(server.dial(), "a", "?v=2");
        client.json();
        client.send(&format!(r#"{{"type":"join_room","id":1,"room_id":"r"{wish}}}"#));
        let (joined, snapshot) = (client.text(), client.text());
        assert!(joined.len() + snapshot.len() + 8 <= most, "{} and {} bytes", joined.len(), snapshot.len());
        let found: Value = serde_json::from_str(&snapshot).expect("JSON");
        assert_eq!((&found["type"], found["seq"].as_u64()), (&"snapshot".into(), Some(taken.len() as u64)));
        let name = if wish.is_empty() { "states" } else { "packed" };
        let other = if wish.is_empty() { "packed" } else { "states" };
        assert!(found.get(other).is_none() && found["cart"]["seats"] == json!([]));
        let bytes = base64::prelude::BASE64_STANDARD.decode(found[name].as_str().expect("a text")).expect("base64");
        let mut states = Vec::new();
        if wish.is_empty() {
            states = bytes;
        } else {
            flate2::read::DeflateDecoder::new(&*bytes).read_to_end(&mut states).expect("it is unpacked");
        }
        assert_eq!(states.len(), 12_500);
        maps.push(states);
        // As wished from then on, also when it is asked for again.
        client.send(&format!(r#"{{"type":"sync","room_id":"r"{wish}}}"#));
        assert!(client.json().get(name).is_some());
    }
    assert_eq!(maps[0], maps[1]);
}

#[test]
fn a_change_that_the_map_does_not_show_moves_its_number() {
    let owner = json!({"owner": {"session_id": "$a"}, "seats": ["A1"]});
    let mut lines = furnished(4);
    lines.extend([
        ("b", json!({"type": "join_room", "room_id": "r"}), json!({"type": "room_joined", "seq": 0})),
        ("b", json!(null), json!({"type": "snapshot", "seq": 0, "states": "AA=="})),
        ("a", select(1, &json!(["A1"])), json!({"type": "seats_held", "seq": 1})),
        ("b", json!(null), json!({"type": "delta", "from": 1, "to": 1, "changes": [[1, 1]]})),
        ("api", api("PUT /rooms/r/orders/o", &owner), json!({"status": 201})),
        ("b", json!(null), json!({"type": "delta", "from": 2, "to": 2})),
        ("a", json!(null), json!({"type": "cart", "reason": "checkout", "seq": 2})),
        ("api", api("POST /rooms/r/orders/o/cancel", &json!({"to": "cart"})), json!({"status": 200})),
        ("b", json!(null), json!({"type": "delta", "from": 3, "to": 3})),
        (
            "a",
            json!({"type": "release_seats", "room_id": "r", "all": true}),
            json!({"type": "cart", "reason": "payment_failed"}),
        ),
        ("a", json!(null), json!({"type": "seats_released", "seq": 4})),
        ("b", json!(null), json!({"type": "delta", "from": 4, "to": 4, "changes": [[1, 0]]})),
    ]);
    check(&[], &lines);
}

#[test]
fn all_members_of_a_shard_get_the_same_bytes() {
    for settings in SHARDS {
        let (server, mut clients) = (Server::start(settings), BTreeMap::new());
        let join = json!({"type": "join_room", "room_id": "r"});
        let mut lines = furnished(50);
        for who in ["a", "b", "c"] {
            lines.push((who, join.clone(), json!({"type": "room_joined", "seq": 0})));
            lines.push((who, json!(null), json!({"type": "snapshot", "seq": 0})));
        }
        let user_info = json!({"name": "not for others"});
        lines.extend([
            (
                "a",
                json!({"type": "select_seats", "room_id": "r", "seats": ["A7", "A3"], "user_info": user_info}),
                json!({"type": "seats_held", "seq": 2}),
            ),
            (
                "a",
                json!({"type": "release_seats", "room_id": "r", "all": true}),
                json!({"type": "seats_released", "seq": 4}),
            ),
            ("a", select(3, &json!(["A40", "A3"])), json!({"type": "seats_held", "seq": 6})),
        ]);
        play(&server, &mut clients, &lines);
        let mut told = |who: &str| {
            let client = clients.get_mut(who).expect("it is there");
            let mut all = String::new();
            while !all.contains(r#""to":6,"#) {
                let Got::Text(text) = client.got() else { panic!("a text") };
                all.push_str(&text);
            }
            all
        };
        let (b, c) = (told("b"), told("c"));
        if settings[0] == ("SHARDS", "1") {
            assert_eq!(b, c);
        }
        assert!(!b.contains("not for others") && !b.contains("client_id") && !b.contains("A3"), "{b}");
    }
}

#[test]
fn a_tick_is_as_long_as_is_set_and_own_frames_do_not_wait_for_it() {
    check(
        &[("TICK_V2_MS", "10000")],
        &[
            ("a", json!({"type": "join_room", "room_id": "r"}), json!({"type": "room_joined", "tick_ms": 10_000})),
            ("a", json!(null), json!({"type": "snapshot", "seq": 0})),
            ("a", select(1, &json!(["A1"])), json!({"type": "seats_held", "seq": 1})),
            ("a", select(2, &json!(["A2"])), json!({"type": "seats_held", "seq": 2})),
            // Who joins within a tick knows all of it.
            ("b", json!({"type": "join_room", "room_id": "r"}), json!({"type": "room_joined", "seq": 2})),
            ("b", json!(null), json!({"type": "snapshot", "seq": 2, "seats": [["A1", 1], ["A2", 1]]})),
            ("api", api("POST /rooms/r/release", &json!({"seats": ["A1"], "reason": "x"})), json!({"status": 200})),
            ("a", json!(null), json!({"type": "cart", "reason": "released_by_operator", "seq": 3, "gone": ["A1"]})),
        ],
    );
}
