//! Rooms: where a member goes on, states of a sale, another layout, the server's end, and names that nobody may have.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::script::{SHARDS, api, check, play};
use crate::harness::client::{Client, Got, upgrade};
use crate::harness::server::Server;

fn select(id: u32, seat: &str) -> Value {
    json!({"type": "select_seats", "id": id, "room_id": "r", "seats": [seat]})
}

#[test]
fn since_in_all_its_forms() {
    for settings in SHARDS {
        let (server, mut clients) = (Server::start(settings), BTreeMap::new());
        let join = json!({"type": "join_room", "room_id": "r"});
        play(
            &server,
            &mut clients,
            &[
                ("b", join, json!({"type": "room_joined"})),
                ("b", json!(null), json!({"type": "snapshot", "seq": 0})),
                ("b", select(1, "A1"), json!({"type": "seats_held", "seq": 1})),
                ("b", select(2, "A2"), json!({"type": "seats_held", "seq": 2})),
                (
                    "b",
                    json!({"type": "release_seats", "room_id": "r", "seats": ["A1"]}),
                    json!({"type": "seats_released", "seq": 3}),
                ),
            ],
        );
        let mut asker = Client::connect_on(server.dial(), "c", "?v=2");
        asker.json();
        asker.send(r#"{"type":"sync","room_id":"r"}"#);
        let refused = asker.json();
        let said = (refused["code"].as_str(), refused["message"].as_str());
        assert_eq!(said, (Some("bad_request"), Some("join the room first")), "who is not in a room has no map of it");
        asker.send(r#"{"type":"join_room","room_id":"r"}"#);
        let epoch = asker.json()["epoch"].clone();
        let snapshot = json!({"type": "snapshot", "seq": 3, "seats": [["A2", 1]]});
        for (since, expected) in [
            (json!({"epoch": epoch, "seq": 0}), json!({"type": "delta", "from": 1, "to": 3})),
            (json!({"epoch": epoch, "seq": 2}), json!({"type": "delta", "from": 3, "to": 3, "changes": [["A1", 0]]})),
            (json!({"epoch": epoch, "seq": 3}), json!({"type": "delta", "from": 4, "to": 3, "changes": []})),
            (json!({"epoch": epoch, "seq": 4}), snapshot.clone()),
            (json!({"epoch": epoch, "seq": u64::MAX}), snapshot.clone()),
            (json!({"epoch": epoch, "seq": -1}), snapshot.clone()),
            (json!({"epoch": epoch, "seq": 1.5}), snapshot.clone()),
            (json!({"epoch": epoch, "seq": "1"}), snapshot.clone()),
            (json!({"epoch": epoch}), snapshot.clone()),
            (json!({"seq": 1}), snapshot.clone()),
            (json!({"epoch": "another", "seq": 1}), snapshot.clone()),
            (json!({"epoch": 7, "seq": 1}), snapshot.clone()),
            (json!({}), snapshot.clone()),
            (json!("now"), snapshot.clone()),
            (json!([1]), snapshot.clone()),
            (json!(null), snapshot.clone()),
        ] {
            let mut client = Client::connect_on(server.dial(), "d", "?v=2");
            client.json();
            client.send(&json!({"type": "join_room", "id": 1, "room_id": "r", "since": since}).to_string());
            let joined = client.json();
            assert_eq!((&joined["type"], &joined["seq"]), (&"room_joined".into(), &3.into()), "{since}: {joined}");
            let found = client.json();
            assert!(super::script::has(&expected, &found), "since {since}\n  expected {expected}\n     found {found}");
        }
    }
}

#[test]
fn a_sale_that_is_not_open_refuses_new_holds_of_both_protocols() {
    let none = json!([]);
    let mut lines = vec![
        ("v1", json!({"type": "join_room", "room_id": "r"}), json!({"type": "room_joined"})),
        (
            "v1",
            json!({"type": "select_seat", "room_id": "r", "seat_id": "V1"}),
            json!({"type": "seat_selected", "seq": 1}),
        ),
        ("a", json!({"type": "join_room", "room_id": "r"}), json!({"type": "room_joined", "sale": "open"})),
        ("a", json!(null), json!({"type": "snapshot"})),
        ("a", select(1, "A1"), json!({"type": "seats_held", "seq": 2})),
        ("v1", json!(null), json!({"type": "seat_selected", "seat_id": "A1"})),
        ("api", api("PUT /rooms/r", &json!({})), json!({"status": null})),
    ];
    for (late, patch, sale, code) in [
        ("b1", json!({"sale": "paused", "message": "one moment"}), "paused", "sale_paused"),
        ("b2", json!({"sale": "closed"}), "closed", "sale_closed"),
        ("b3", json!({"sale": "scheduled"}), "scheduled", "sale_not_open"),
    ] {
        lines.extend([
            ("api", api("PATCH /rooms/r", &patch), json!({"status": 200, "sale": sale})),
            ("a", json!(null), json!({"type": "room_state", "room_id": "r", "sale": sale, "message": "one moment"})),
            ("a", select(2, "A2"), json!({"type": "error", "id": 2, "code": code})),
            (
                "a",
                json!({"type": "extend_hold", "id": 3, "room_id": "r"}),
                json!({"type": "error", "id": 3, "code": code}),
            ),
            (
                "a",
                json!({"type": "select_seats", "id": 4, "room_id": "r", "seats": ["A2"], "release": ["A1"]}),
                json!({"type": "error", "id": 4, "code": code}),
            ),
            (
                "v1",
                json!({"type": "select_seat", "room_id": "r", "seat_id": "V2"}),
                json!({"type": "error", "code": code}),
            ),
            (late, json!({"type": "join_room", "room_id": "r"}), json!({"type": "room_joined", "sale": sale})),
            (late, json!(null), json!({"type": "snapshot"})),
        ]);
    }
    lines.extend([
        ("api", api("PATCH /rooms/r", &json!({"message": null})), json!({"status": 200})),
        ("a", json!(null), json!({"type": "room_state", "sale": "scheduled", "_without": ["message"]})),
        // Letting go, checkout and operators go on.
        (
            "a",
            json!({"type": "release_seats", "id": 5, "room_id": "r", "all": true}),
            json!({"type": "seats_released", "seq": 3, "seats": ["A1"]}),
        ),
        ("v1", json!(null), json!({"type": "seat_released", "seq": 3})),
        (
            "api",
            api("PUT /rooms/r/orders/o", &json!({"owner": {"client_id": "v1"}})),
            json!({"status": 201, "seats": ["V1"]}),
        ),
        ("v1", json!(null), json!({"type": "seat_selected", "seq": 4, "seat_id": "V1", "status": "checkout"})),
        ("api", api("POST /rooms/r/hold", &json!({"holder": "k", "seats": ["K1"]})), json!({"status": 200})),
        ("v1", json!(null), json!({"type": "seat_selected", "seq": 5, "client_id": "holder:k"})),
        ("api", api("PATCH /rooms/r", &json!({"sale": "open"})), json!({"status": 200})),
        ("a", json!(null), json!({"type": "room_state", "sale": "open"})),
        ("a", select(6, "A2"), json!({"type": "seats_held", "seq": 6, "cart": {"orders": none}})),
    ]);
    check(&[], &lines);
}

#[test]
fn another_layout_is_another_epoch_and_everybody_begins_anew() {
    let seat = |id: &str| json!({"id": id, "section": "s", "row": "A", "number": 1, "category": "c", "x": 0, "y": 0});
    let plan = json!({"seats": [seat("A1"), seat("A2"), seat("A3"), seat("A4"), seat("A5")]});
    check(
        &[],
        &[
            ("api", api("PUT /layouts/hall", &plan), json!({"status": 201})),
            ("api", api("PUT /rooms/r", &json!({})), json!({"status": 201})),
            ("v1", json!({"type": "join_room", "room_id": "r"}), json!({"type": "room_joined"})),
            (
                "a",
                json!({"type": "join_room", "room_id": "r", "id": 1}),
                json!({"type": "room_joined", "layout": null}),
            ),
            ("a", json!(null), json!({"type": "snapshot", "seats": []})),
            ("api", api("PATCH /rooms/r", &json!({"layout": "hall"})), json!({"status": 200})),
            (
                "a",
                json!(null),
                json!({"type": "room_joined", "room_id": "r", "layout": {"id": "hall", "seats": 5}, "_without": ["id"]}),
            ),
            (
                "a",
                json!(null),
                json!({"type": "snapshot", "room_id": "r", "states": "AAA=", "_without": ["id", "seats"]}),
            ),
            ("v1", json!(null), json!({"type": "current_selections", "room_id": "r", "selections": []})),
            ("a", select(1, "A2"), json!({"type": "seats_held", "seats": ["A2"]})),
            (
                "a",
                json!({"type": "sync", "id": 5, "room_id": "r"}),
                json!({"type": "snapshot", "id": 5, "states": "BAA=", "cart": {"seats": ["A2"]}}),
            ),
            ("a", select(2, "Z9"), json!({"type": "error", "id": 2, "code": "unknown_seat"})),
            (
                "a",
                json!({"type": "select_seats", "id": 3, "room_id": "r", "seats": ["A1", "Z9", "Z8"]}),
                json!({"type": "error", "id": 3, "code": "unknown_seat"}),
            ),
            (
                "a",
                json!({"type": "release_seats", "id": 3, "room_id": "r", "seats": ["Z9"]}),
                json!({"type": "error", "id": 3, "code": "not_held"}),
            ),
            (
                "v1",
                json!({"type": "select_seat", "room_id": "r", "seat_id": "Z9"}),
                json!({"type": "seat_selected", "seat_id": "A2"}),
            ),
            ("v1", json!(null), json!({"type": "error", "code": "unknown_seat"})),
            (
                "b",
                json!({"type": "select_best", "id": 4, "room_id": "r", "quantity": 3}),
                json!({"type": "seats_held", "id": 4, "seats": ["A3", "A4", "A5"]}),
            ),
            (
                "b",
                json!({"type": "select_best", "id": 4, "room_id": "r", "quantity": 2}),
                json!({"type": "error", "id": 4, "code": "not_enough_seats", "free": 1}),
            ),
            (
                "b",
                json!({"type": "select_best", "id": 4, "room_id": "r", "quantity": 3, "release": ["A3"]}),
                json!({"type": "error", "id": 4, "code": "not_enough_seats", "free": 2}),
            ),
        ],
    );
}

#[test]
fn a_drain_says_when_to_come_back() {
    for settings in SHARDS {
        let server = Server::start(settings);
        let mut client = Client::connect_on(server.dial(), "a", "?v=2");
        client.json();
        server.signal(Signal::TERM);
        let goaway = json!({"type": "goaway", "reason": "drain", "reconnect_after_ms": [500, 8000]});
        assert_eq!(client.json(), goaway);
        client.expect_close(1001);
    }
}

#[test]
fn names_of_the_server_are_refused() {
    let server = Server::start(&[]);
    for query in ["", "?v=2"] {
        for (id, is_let_in) in [
            ("system", false),
            ("holder:", false),
            ("holder:x", false),
            ("holder%3Ax", false),
            ("System", true),
            ("holder", true),
            ("systems", true),
        ] {
            let mut client = Client::unanswered(server.dial(), "x");
            client.write(upgrade("x", query).replacen("/ws/x", &format!("/ws/{id}"), 1).as_bytes());
            assert_eq!(client.is_let_in(), is_let_in, "{id}{query}");
        }
    }
}

#[test]
fn who_sends_too_much_is_refused_and_then_closed() {
    let server = Server::start(&[("SHARDS", "1"), ("RATE_MESSAGES_PER_S", "50"), ("RATE_BURST", "20")]);
    let mut client = Client::connect_on(server.dial(), "a", "?v=2");
    client.json();
    let ping = crate::harness::client::text_frame(r#"{"type":"ping","id":5}"#);
    client.write(&ping.repeat(1_000));
    let (mut refused, mut closed) = (0, None);
    while closed.is_none() {
        match client.got() {
            Got::Text(text) => {
                let found: Value = serde_json::from_str(&text).expect("JSON");
                if found["type"] == "error" {
                    assert_eq!((&found["code"], &found["id"]), (&"rate_limited".into(), &5.into()), "{found}");
                    assert!(found["retry_after_ms"].as_u64() > Some(0), "{found}");
                    refused += 1;
                }
            }
            Got::Close(code, _) => closed = Some(code),
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > 0 && closed == Some(Some(4013)), "{refused} {closed:?}");
}
