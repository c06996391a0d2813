//! The backend sells: every call against the real binary, as data. A line is a call, its body, the status, and what the
//! answer has to have: the rest of it may be anything.

use serde_json::{Value, json};

use crate::api::ask;
use crate::harness::client::upgrade;
use crate::harness::{Client, Server, eventually};

const MEMORY: [&[(&str, &str)]; 2] = [&[("SHARDS", "1")], &[("SHARDS", "2")]];

/// One call and its answer: `METHOD PATH`, body or null, status, what is in the answer.
pub(crate) type Line = (&'static str, Value, u16, Value);

pub(crate) fn call(server: &Server, line: &str, body: &Value) -> (u16, Value) {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let fields = if body.is_null() { "" } else { "Content-Type: application/json\r\n" };
    let answer = ask(server, line, fields, &text);
    (answer.status, answer.json())
}

/// Whether `found` has everything that `expected` has; lists are compared as a whole.
pub(crate) fn has(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            expected.iter().all(|(name, value)| found.get(name).is_some_and(|found| has(found, value)))
        }
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(found, expected)| has(found, expected))
        }
        (found, expected) => found == expected,
    }
}

pub(crate) fn check(server: &Server, lines: &[Line]) {
    for (number, (line, body, status, expected)) in lines.iter().enumerate() {
        let (found, answer) = call(server, &line.replacen(" /", " /v1/rooms/", 1), body);
        assert_eq!(found, *status, "line {number}: {line} {body}: {answer}");
        assert!(has(&answer, expected), "line {number}: {line} {body}: {answer}\n  has not {expected}");
    }
}

fn each(lines: &[Line]) {
    for settings in MEMORY {
        check(&Server::start(settings), lines);
    }
}

pub(crate) fn code(code: &str) -> Value {
    json!({ "code": code })
}

#[test]
fn an_order_from_hold_to_refund() {
    each(&[
        ("GET /hall", Value::Null, 404, code("unknown_room")),
        (
            "PUT /hall",
            json!({"hold_ms": 60_000}),
            201,
            json!({"room": "hall", "sale": "open", "hold_ms": 60_000, "durable": false}),
        ),
        ("PUT /hall", json!({"hold_ms": 60_000}), 200, json!({"declared": true})),
        ("PUT /hall", json!({"hold_ms": 50_000}), 409, code("room_differs")),
        ("PATCH /hall", json!({"hold_ms": 50_000}), 200, json!({"hold_ms": 50_000})),
        ("GET /hall/orders/o", Value::Null, 404, code("unknown_order")),
        (
            "POST /hall/hold",
            json!({"holder": "kiosk", "seats": ["A1", "A2"]}),
            200,
            json!({"seats": ["A1", "A2"], "cart": {"seats": ["A1", "A2"]}}),
        ),
        (
            "POST /hall/hold",
            json!({"holder": "kiosk", "seats": ["A3"]}),
            200,
            json!({"seats": ["A3"], "cart": {"seats": ["A1", "A2", "A3"]}}),
        ),
        (
            "POST /hall/hold",
            json!({"holder": "other", "seats": ["A4", "A3"]}),
            409,
            json!({"code": "seats_unavailable", "conflicts": [{"seat": "A3", "state": "held"}]}),
        ),
        (
            "PUT /hall/orders/o",
            json!({"owner": {"holder": "kiosk"}, "seats": ["A1", "A2"]}),
            201,
            json!({"order": "o", "state": "checkout", "seats": ["A1", "A2"], "owner": {"holder": "kiosk"}, "durable": false}),
        ),
        (
            "PUT /hall/orders/o",
            json!({"owner": {"holder": "kiosk"}, "seats": ["A1", "A2"]}),
            200,
            json!({"state": "checkout"}),
        ),
        ("PUT /hall/orders/o", json!({"owner": {"holder": "kiosk"}, "seats": ["A3"]}), 409, code("order_exists")),
        ("PUT /hall/orders/o", json!({"owner": {"holder": "other"}, "seats": ["A1", "A2"]}), 409, code("order_exists")),
        (
            "GET /hall/counts",
            Value::Null,
            200,
            json!({"total": {"free": null, "held": 1, "checkout": 2, "booked": 0, "blocked": 0}}),
        ),
        ("POST /hall/release", json!({"seats": ["A1"], "reason": "x"}), 409, code("in_checkout")),
        ("POST /hall/orders/o/book", json!({}), 200, json!({"state": "booked", "expires_at": null})),
        ("POST /hall/orders/o/book", Value::Null, 200, json!({"state": "booked"})),
        ("POST /hall/orders/o/cancel", json!({"to": "free"}), 409, code("order_ended")),
        (
            "GET /hall/seats",
            Value::Null,
            200,
            json!({"seats": [{"seat": "A1", "state": "booked", "order": "o"}, {"seat": "A2", "state": "booked"}, {"seat": "A3", "state": "held", "owner": {"holder": "kiosk"}}], "next": null}),
        ),
        ("GET /hall/seats?state=booked&limit=1", Value::Null, 200, json!({"seats": [{"seat": "A1"}], "next": "A1"})),
        ("GET /hall/seats?state=booked&after=A1", Value::Null, 200, json!({"seats": [{"seat": "A2"}], "next": null})),
        ("GET /hall/seats?owner=holder:kiosk&state=held", Value::Null, 200, json!({"seats": [{"seat": "A3"}]})),
        ("GET /hall/seats?order=o&seat=A2", Value::Null, 200, json!({"seats": [{"seat": "A2"}]})),
        ("POST /hall/orders/o/refund", json!({"seats": ["A1"]}), 200, json!({"state": "booked", "refunded": ["A1"]})),
        ("POST /hall/orders/o/refund", Value::Null, 200, json!({"state": "refunded", "refunded": ["A1", "A2"]})),
        ("POST /hall/orders/o/refund", Value::Null, 200, json!({"state": "refunded"})),
        ("POST /hall/orders/o/book", json!({"mode": "held_or_free"}), 409, code("order_ended")),
        ("PUT /hall/orders/o", json!({"owner": {"holder": "kiosk"}, "seats": ["A1", "A2"]}), 409, code("order_exists")),
        ("GET /hall/counts", Value::Null, 200, json!({"total": {"held": 1, "checkout": 0, "booked": 0}})),
        ("POST /hall/release", json!({"holder": "kiosk"}), 200, json!({"seats": ["A3"]})),
        ("GET /hall/orders/o", Value::Null, 200, json!({"state": "refunded", "seats": ["A1", "A2"]})),
    ]);
}

#[test]
fn a_late_booking_takes_nothing_from_others() {
    each(&[
        ("POST /r/hold", json!({"holder": "a", "seats": ["1", "2"]}), 200, json!({})),
        ("PUT /r/orders/o", json!({"owner": {"holder": "a"}}), 201, json!({"seats": ["1", "2"]})),
        ("POST /r/orders/o/cancel", json!({"to": "cart"}), 200, json!({"state": "cancelled"})),
        ("POST /r/orders/o/cancel", json!({"to": "free"}), 200, json!({"state": "cancelled"})),
        ("GET /r/counts", Value::Null, 200, json!({"total": {"held": 2, "checkout": 0}})),
        ("POST /r/orders/o/book", json!({"mode": "held"}), 409, code("order_ended")),
        ("POST /r/orders/o/book", json!({"mode": "held_or_free"}), 200, json!({"state": "booked"})),
        ("POST /r/hold", json!({"holder": "a", "seats": ["3", "4"]}), 200, json!({})),
        ("PUT /r/orders/late", json!({"owner": {"holder": "a"}}), 201, json!({"seats": ["3", "4"]})),
        ("POST /r/orders/late/cancel", json!({"to": "free"}), 200, json!({"state": "cancelled"})),
        ("POST /r/hold", json!({"holder": "b", "seats": ["4"]}), 200, json!({})),
        (
            "POST /r/orders/late/book",
            json!({"mode": "held_or_free"}),
            409,
            json!({"code": "seats_lost", "conflicts": [{"seat": "4", "state": "held"}]}),
        ),
        ("GET /r/counts", Value::Null, 200, json!({"total": {"held": 1, "booked": 2}})),
        ("GET /r/orders/late", Value::Null, 200, json!({"state": "cancelled"})),
        ("PUT /r/orders/empty", json!({"owner": {"holder": "nobody"}}), 409, code("not_held")),
    ]);
}

#[test]
fn blocks_and_what_the_shop_says() {
    let word = json!({"booked": [{"seat": "1", "order": "x"}, {"seat": "2", "order": "x"}], "blocked": [{"seat": "9", "label": "camera"}]});
    let mut only_said = word.clone();
    only_said["dry_run"] = true.into();
    each(&[
        (
            "POST /r/block",
            json!({"seats": ["7", "8"], "label": "stage"}),
            200,
            json!({"changed": ["7", "8"], "released": []}),
        ),
        ("POST /r/block", json!({"seats": ["8"], "label": "stage"}), 200, json!({"changed": []})),
        (
            "POST /r/hold",
            json!({"holder": "a", "seats": ["8"]}),
            409,
            json!({"conflicts": [{"seat": "8", "state": "blocked"}]}),
        ),
        ("POST /r/hold", json!({"holder": "a", "seats": ["1"]}), 200, json!({})),
        (
            "POST /r/block",
            json!({"seats": ["1"], "label": "x"}),
            409,
            json!({"code": "seats_unavailable", "conflicts": [{"seat": "1", "state": "held"}]}),
        ),
        (
            "POST /r/block",
            json!({"seats": ["1"], "label": "x", "held": "release"}),
            200,
            json!({"changed": ["1"], "released": ["1"]}),
        ),
        ("POST /r/unblock", json!({"seats": ["1", "2", "8"]}), 200, json!({"changed": ["1", "8"]})),
        ("POST /r/block", json!({"sections": ["s"], "label": "x"}), 409, code("no_layout")),
        ("POST /r/reconcile", only_said, 200, json!({"booked": ["1", "2"], "blocked": ["9"], "freed": ["7"]})),
        ("GET /r/counts", Value::Null, 200, json!({"total": {"booked": 0, "blocked": 1}})),
        ("POST /r/reconcile", word.clone(), 200, json!({"booked": ["1", "2"], "blocked": ["9"], "freed": ["7"]})),
        ("POST /r/reconcile", word, 200, json!({"booked": [], "blocked": [], "freed": []})),
        ("GET /r/orders/x", Value::Null, 200, json!({"state": "booked", "seats": ["1", "2"]})),
        ("POST /r/hold", json!({"holder": "a", "seats": ["3"]}), 200, json!({})),
        ("PUT /r/orders/y", json!({"owner": {"holder": "a"}}), 201, json!({})),
        (
            "POST /r/reconcile",
            json!({"booked": [{"seat": "3", "order": "z"}]}),
            409,
            json!({"conflicts": [{"seat": "3", "state": "checkout"}]}),
        ),
        ("DELETE /r", Value::Null, 409, code("orders_in_checkout")),
        ("DELETE /r?force=1", Value::Null, 200, json!({"deleted": true})),
        ("GET /r", Value::Null, 404, code("unknown_room")),
    ]);
}

/// What it is told next that is about this.
pub(crate) fn told(client: &mut Client, kind: &str, seat: &str) -> Value {
    loop {
        let message = client.json();
        if message["type"] == kind && message["seat_id"] == seat {
            return message;
        }
    }
}

#[test]
fn the_cart_of_a_connection_is_sold_and_outlives_it() {
    for settings in MEMORY {
        let server = Server::start(settings);
        let (mut ana, mut bob) = (Client::join(&server, "ana", "r"), Client::join(&server, "bob", "r"));
        ana.select("r", "A1");
        told(&mut ana, "seat_selected", "A1");
        check(
            &server,
            &[
                ("PUT /r/orders/o", json!({"owner": {"client_id": "nobody"}}), 409, code("not_held")),
                (
                    "PUT /r/orders/o",
                    json!({"owner": {"client_id": "ana"}, "ttl_s": 60}),
                    201,
                    json!({"state": "checkout", "seats": ["A1"]}),
                ),
            ],
        );
        assert_eq!(told(&mut ana, "seat_selected", "A1")["status"], "checkout");
        assert_eq!(told(&mut bob, "seat_selected", "A1")["client_id"], "ana");
        assert_eq!(told(&mut bob, "seat_selected", "A1")["status"], "checkout");
        drop(ana);
        eventually("she has gone", || (server.figure("connections") == 2).then_some(()));
        check(
            &server,
            &[
                ("POST /r/orders/o/book", Value::Null, 200, json!({"state": "booked"})),
                (
                    "GET /r/seats",
                    Value::Null,
                    200,
                    json!({"seats": [{"seat": "A1", "state": "booked", "client_id": "ana"}]}),
                ),
            ],
        );
        assert_eq!(told(&mut bob, "seat_selected", "A1")["status"], "booked");
        bob.select("r", "A1");
        assert_eq!(told(&mut bob, "error", "A1")["code"], "seat_taken");
    }
}

#[test]
fn of_two_connections_with_one_name_the_seats_say_which() {
    let server = Server::start(&[("SHARDS", "2")]);
    let (mut one, mut other) = (Client::join(&server, "ana", "r"), Client::join(&server, "ana", "r"));
    one.select("r", "A1");
    told(&mut one, "seat_selected", "A1");
    other.select("r", "A2");
    told(&mut other, "seat_selected", "A2");
    check(
        &server,
        &[
            ("PUT /r/orders/o", json!({"owner": {"client_id": "ana"}}), 409, code("ambiguous_owner")),
            ("PUT /r/orders/o", json!({"owner": {"client_id": "ana"}, "seats": ["A2"]}), 201, json!({"seats": ["A2"]})),
        ],
    );
}

#[test]
fn rooms_of_all_shards_are_listed_in_order() {
    let server = Server::start(&[("SHARDS", "2")]);
    let mut names: Vec<String> = (0..25).map(|number| format!("sala {number:02}/ñ")).collect();
    for name in &names {
        let path: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let (status, answer) = call(&server, &format!("PUT /v1/rooms/{path}"), &Value::Null);
        assert_eq!((status, &answer["room"]), (201, &Value::from(name.as_str())), "{answer}");
    }
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let (status, answer) = call(&server, &format!("GET /v1/rooms?limit=10{after}"), &Value::Null);
        assert_eq!(status, 200, "{answer}");
        let rooms = answer["rooms"].as_array().expect("a list");
        found.extend(rooms.iter().map(|room| room["room"].as_str().expect("a name").to_owned()));
        let Some(next) = answer["next"].as_str() else { break };
        let next: String = next.bytes().map(|byte| format!("%{byte:02X}")).collect();
        after = format!("&after={next}");
    }
    names.sort();
    assert_eq!(found, names);
}

#[test]
fn an_operator_removes_a_client_and_keeps_it_away() {
    let server = Server::start(&[("SHARDS", "2")]);
    let mut all = ["r", "s", "t"].map(|room| Client::join(&server, "ana", room));
    let mut bob = Client::join(&server, "bob", "r");
    all[0].select("r", "A1");
    told(&mut bob, "seat_selected", "A1");
    let (status, answer) = call(&server, "POST /v1/clients/disconnect", &json!({"client_id": "ana", "ban_s": 600}));
    assert_eq!((status, &answer["closed"]), (200, &3.into()), "{answer}");
    assert_eq!(told(&mut bob, "seat_released", "A1")["reason"], "disconnected");
    all[1].expect_close(4503);
    let mut again = Client::unanswered(server.dial(), "ana");
    again.write(upgrade("ana", "").as_bytes());
    assert!(!again.is_let_in(), "she is kept away");
    let (status, answer) = call(&server, "POST /v1/clients/disconnect", &json!({"client_id": "ana"}));
    assert_eq!((status, &answer["closed"]), (200, &0.into()), "{answer}");
    let refused = call(&server, "POST /v1/clients/disconnect", &json!({"holder": "ana"}));
    assert_eq!((refused.0, &refused.1["code"]), (422, &"invalid".into()));
    Client::join(&server, "ana", "r");
}

#[test]
fn plans_of_halls_are_put_read_and_taken_away() {
    let server = Server::start(&[]);
    let seat = |id: &str| json!({"id": id, "section": "s", "row": "A", "number": 1, "category": "c", "x": 0, "y": 0});
    let (one, two) = (json!({"seats": [seat("A1")]}), json!({"seats": [seat("A1"), seat("A2")]}));
    let layout = |line: &str, body: &Value, status: u16| {
        let (found, answer) = call(&server, &line.replacen(" /", " /v1/layouts/", 1), body);
        assert_eq!(found, status, "{line} {body}: {answer}");
        answer
    };
    assert_eq!(layout("GET /hall", &Value::Null, 404)["code"], "unknown_layout");
    let first = layout("PUT /hall", &one, 201);
    assert_eq!((&first["id"], &first["seats"]), (&"hall".into(), &1.into()));
    assert_eq!(layout("PUT /hall", &one, 200)["version"], first["version"]);
    let second = layout("PUT /hall", &two, 201);
    assert_ne!(second["version"], first["version"]);
    let found = layout("GET /hall", &Value::Null, 200);
    assert_eq!((&found["version"], found["versions"].as_array().map(Vec::len)), (&second["version"], Some(2)));
    assert!(has(&found["plan"], &json!({"seats": [{"id": "A1"}, {"id": "A2"}]})), "{found}");
    let (status, all) = call(&server, "GET /v1/layouts", &Value::Null);
    assert!(status == 200 && has(&all, &json!({"layouts": [{"id": "hall", "seats": 2}]})), "{all}");
    assert_eq!(layout("PUT /hall", &json!({"seats": [seat("A1"), seat("A1")]}), 422)["code"], "invalid");
    assert_eq!(layout("PUT /hall", &json!({"seatz": []}), 422)["code"], "invalid");
    let broken = ask(&server, "PUT /v1/layouts/hall", "Content-Type: application/json\r\n", "{\"seats\": [");
    assert_eq!((broken.status, &broken.json()["code"]), (400, &"not_json".into()));
    // More than other calls take, and still no layout.
    let long = json!({"seats": [], "name": "x".repeat(2 * 1024 * 1024)});
    assert_eq!(layout("PUT /hall", &long, 422)["code"], "invalid");
    assert_eq!(layout("DELETE /hall", &Value::Null, 200)["deleted"], true);
    assert_eq!(layout("DELETE /hall", &Value::Null, 404)["code"], "unknown_layout");
}
