//! Orders: every state against every call, their time, their owners, and what comes too late.

use serde_json::{Value, json};

use super::{call, each, play};
use crate::harness::client::Client;
use crate::harness::wait::parse_time;
use crate::harness::{Server, eventually};
use crate::selling::{Line, code, has};

const NONE: Value = Value::Null;

/// Brings the order `o` of these seats into a state.
fn bring(server: &Server, room: &str, state: &str) {
    let order = format!("/v1/rooms/{room}/orders/o");
    let hold = json!({"holder": "k", "seats": ["A1", "A2"]});
    let mut calls = vec![
        (format!("POST /v1/rooms/{room}/hold"), hold),
        (format!("PUT {order}"), json!({"owner": {"holder": "k"}, "ttl_s": if state == "expired" { 1 } else { 900 }})),
    ];
    match state {
        "booked" | "refunded" => calls.push((format!("POST {order}/book"), json!({}))),
        "cancelled" => calls.push((format!("POST {order}/cancel"), json!({"to": "free"}))),
        _ => {}
    }
    if state == "refunded" {
        calls.push((format!("POST {order}/refund"), json!({})));
    }
    for (line, body) in calls {
        let (status, answer) = call(server, &line, &body);
        assert!(status < 300, "{line}: {answer}");
    }
    eventually("it is so", || {
        let (_, answer) = call(server, &format!("GET {order}"), &NONE);
        (answer["state"] == state).then_some(())
    });
}

#[test]
fn every_state_against_every_call() {
    let server = Server::start(&[("SHARDS", "2")]);
    let calls = [
        ("PUT ", json!({"owner": {"holder": "k"}, "seats": ["A1", "A2"]})),
        ("PUT ", json!({"owner": {"holder": "k"}})),
        ("POST /book", json!({})),
        ("POST /book", json!({"mode": "held_or_free"})),
        ("POST /cancel", json!({"to": "cart"})),
        ("POST /cancel", json!({"to": "free"})),
        ("POST /refund", json!({})),
        ("POST /refund", json!({"seats": ["A1"]})),
    ];
    // The state that is answered, or the code of the refusal.
    let table: [(&str, [&str; 8]); 5] = [
        (
            "checkout",
            ["checkout", "checkout", "booked", "booked", "cancelled", "cancelled", "order_ended", "order_ended"],
        ),
        ("booked", ["booked", "booked", "booked", "booked", "order_ended", "order_ended", "refunded", "booked"]),
        (
            "cancelled",
            [
                "order_exists",
                "order_exists",
                "order_ended",
                "booked",
                "cancelled",
                "cancelled",
                "order_ended",
                "order_ended",
            ],
        ),
        (
            "expired",
            [
                "order_exists",
                "order_exists",
                "order_ended",
                "booked",
                "expired",
                "expired",
                "order_ended",
                "order_ended",
            ],
        ),
        (
            "refunded",
            [
                "order_exists",
                "order_exists",
                "order_ended",
                "order_ended",
                "order_ended",
                "order_ended",
                "refunded",
                "refunded",
            ],
        ),
    ];
    for (state, row) in table {
        for (at, ((line, body), expected)) in calls.iter().zip(row).enumerate() {
            let room = format!("{state}-{at}");
            bring(&server, &room, state);
            let (method, act) = line.split_once(' ').expect("two words");
            let line = format!("{method} /v1/rooms/{room}/orders/o{act}");
            let before = call(&server, &format!("GET /v1/rooms/{room}"), &NONE).1["seq"].clone();
            // Twice: the second answer is the first one's, unless the first made another state of it.
            for time in 0..2 {
                let (status, answer) = call(&server, &line, body);
                let case = format!("{state} {line} {body} ({time}): {status} {answer}");
                if expected.contains("order_") {
                    assert_eq!((status, &answer["code"]), (409, &expected.into()), "{case}");
                    let now = call(&server, &format!("GET /v1/rooms/{room}"), &NONE).1["seq"].clone();
                    assert_eq!(now, before, "what is refused changes nothing: {case}");
                } else {
                    assert_eq!((status, &answer["state"]), (200, &expected.into()), "{case}");
                    assert_eq!(answer["seats"], json!(["A1", "A2"]), "{case}");
                }
            }
            let seats = call(&server, &format!("GET /v1/rooms/{room}/counts"), &NONE).1["total"].clone();
            let order = call(&server, &format!("GET /v1/rooms/{room}/orders/o"), &NONE).1;
            let refunded = order["refunded"].as_array().map_or(0, Vec::len);
            let (checkout, booked) = match order["state"].as_str() {
                Some("checkout") => (2, 0),
                Some("booked") => (0, 2 - refunded),
                _ => (0, 0),
            };
            assert_eq!((&seats["checkout"], &seats["booked"]), (&checkout.into(), &booked.into()), "{room}: {seats}");
        }
    }
}

#[test]
fn an_order_says_when_it_ends() {
    let server = Server::start(&[]);
    let now = crate::harness::wait::wall_ms();
    for (order, ttl, expected) in
        [("a", NONE, 900), ("b", json!(7_200), 7_200), ("c", json!(1), 1), ("d", json!(60), 60)]
    {
        let seat = json!([order]);
        call(&server, "POST /v1/rooms/r/hold", &json!({"holder": order, "seats": seat}));
        let mut body = json!({"owner": {"holder": order}});
        if !ttl.is_null() {
            body["ttl_s"] = ttl;
        }
        let (status, answer) = call(&server, &format!("PUT /v1/rooms/r/orders/{order}"), &body);
        assert_eq!(status, 201, "{answer}");
        let at = parse_time(answer["expires_at"].as_str().expect("a moment"));
        let left = at - now;
        assert!((expected * 1_000..expected * 1_000 + 60_000).contains(&left), "{order}: {left}");
        let list = call(&server, &format!("GET /v1/rooms/r/seats?order={order}"), &NONE).1;
        if order != "c" {
            assert!(
                has(&list, &json!({"seats": [{"state": "checkout", "expires_at": answer["expires_at"]}]})),
                "{list}"
            );
        }
    }
    eventually("its time is over", || {
        let order = call(&server, "GET /v1/rooms/r/orders/c", &NONE).1;
        (order["state"] == "expired" && order["expires_at"].is_null()).then_some(())
    });
    let seats = call(&server, "GET /v1/rooms/r/seats?seat=c", &NONE).1;
    assert_eq!(seats["seats"], json!([]), "its seats are free");
}

#[test]
fn a_part_of_a_cart_and_of_a_booking() {
    each(&[
        ("POST /r/hold", json!({"holder": "k", "seats": ["1", "2", "3", "4"]}), 200, json!({})),
        ("PUT /r/orders/a", json!({"owner": {"holder": "k"}, "seats": ["2", "1"]}), 201, json!({"seats": ["2", "1"]})),
        ("PUT /r/orders/a", json!({"owner": {"holder": "k"}, "seats": ["1", "2"]}), 200, json!({"state": "checkout"})),
        ("PUT /r/orders/b", json!({"owner": {"holder": "k"}, "seats": ["1"]}), 409, code("in_checkout")),
        ("PUT /r/orders/b", json!({"owner": {"holder": "k"}, "seats": ["9"]}), 409, code("not_held")),
        ("POST /r/hold", json!({"holder": "m", "seats": ["8"]}), 200, json!({})),
        (
            "PUT /r/orders/b",
            json!({"owner": {"holder": "k"}, "seats": ["3", "8"]}),
            409,
            json!({"code": "not_owner", "conflicts": [{"seat": "8", "state": "held"}]}),
        ),
        ("PUT /r/orders/b", json!({"owner": {"holder": "k"}}), 201, json!({"seats": ["3", "4"]})),
        ("POST /r/orders/a/book", NONE, 200, json!({"state": "booked"})),
        ("POST /r/orders/a/refund", json!({"seats": ["3"]}), 409, json!({"conflicts": [{"seat": "3"}]})),
        ("POST /r/orders/a/refund", json!({"seats": ["1"]}), 200, json!({"state": "booked", "refunded": ["1"]})),
        ("POST /r/orders/a/refund", json!({"seats": ["1"]}), 200, json!({"state": "booked", "refunded": ["1"]})),
        // What was given back is for sale.
        ("POST /r/hold", json!({"holder": "m", "seats": ["1"]}), 200, json!({"cart": {"seats": ["8", "1"]}})),
        ("POST /r/orders/a/refund", json!({"seats": ["1", "2"]}), 200, json!({"state": "refunded"})),
        ("GET /r/seats?seat=1", NONE, 200, json!({"seats": [{"state": "held", "owner": {"holder": "m"}}]})),
        ("POST /r/orders/a/book", json!({"mode": "held_or_free"}), 409, code("order_ended")),
    ]);
}

/// The payment failed: back to the cart, for at least a minute.
#[test]
fn a_holder_has_its_seats_back() {
    for shards in ["1", "2"] {
        let server = Server::start(&[("SHARDS", shards), ("HOLD_TTL_MS", "2000")]);
        play(
            &server,
            &[
                ("POST /v1/rooms/r/hold", json!({"holder": "k", "seats": ["1"]}), 200, json!({})),
                ("PUT /v1/rooms/r/orders/o", json!({"owner": {"holder": "k"}}), 201, json!({})),
            ],
        );
        let now = crate::harness::wait::wall_ms();
        play(
            &server,
            &[
                (
                    "POST /v1/rooms/r/orders/o/cancel",
                    json!({"to": "cart"}),
                    200,
                    json!({"state": "cancelled", "expires_at": null}),
                ),
                ("GET /v1/rooms/r/counts", NONE, 200, json!({"total": {"held": 1, "checkout": 0}})),
            ],
        );
        let seats = call(&server, "GET /v1/rooms/r/seats", &NONE).1;
        let at = parse_time(seats["seats"][0]["expires_at"].as_str().expect("a moment"));
        assert!(at >= now + 60_000, "at least 60 s: {seats}");
        assert_eq!(seats["seats"][0]["owner"], json!({"holder": "k"}));
    }
}

/// Who has gone for good has no cart: then the seats are free.
#[test]
fn a_cart_without_an_owner_is_free() {
    for shards in ["1", "2"] {
        let server = Server::start(&[("SHARDS", shards)]);
        let mut ana = Client::join(&server, "ana", "r");
        ana.select("r", "A1");
        assert_eq!(ana.json()["type"], "seat_selected");
        let order: Line = ("PUT /v1/rooms/r/orders/o", json!({"owner": {"client_id": "ana"}}), 201, json!({}));
        play(&server, &[order]);
        drop(ana);
        eventually("she has gone", || (server.stats()["active_connections"] == 0).then_some(()));
        play(
            &server,
            &[
                ("GET /v1/rooms/r/orders/o", NONE, 200, json!({"state": "checkout", "owner": {"client_id": "ana"}})),
                ("PUT /v1/rooms/r/orders/o", json!({"owner": {"client_id": "ana"}}), 200, json!({"state": "checkout"})),
                ("POST /v1/rooms/r/orders/o/cancel", json!({"to": "cart"}), 200, json!({"state": "cancelled"})),
                ("GET /v1/rooms/r/counts", NONE, 200, json!({"total": {"held": 0, "checkout": 0}})),
                ("POST /v1/rooms/r/orders/o/book", json!({"mode": "held_or_free"}), 200, json!({"state": "booked"})),
            ],
        );
    }
}

/// A late booking takes the owner's own cart, and nothing of anybody else, all or nothing.
#[test]
fn a_late_booking_in_all_its_cases() {
    let held = |holder: &str, seats: Value| ("POST /r/hold", json!({"holder": holder, "seats": seats}), 200, json!({}));
    let late = json!({"mode": "held_or_free"});
    each(&[
        // After a cancel, when its own cart has one seat, and one is free.
        held("k", json!(["1", "2"])),
        ("PUT /r/orders/o", json!({"owner": {"holder": "k"}}), 201, json!({})),
        ("POST /r/orders/o/cancel", json!({"to": "free"}), 200, json!({})),
        held("k", json!(["2"])),
        ("POST /r/orders/o/book", late.clone(), 200, json!({"state": "booked", "seats": ["1", "2"]})),
        ("POST /r/orders/o/book", late.clone(), 200, json!({"state": "booked"})),
        ("GET /r/counts", NONE, 200, json!({"total": {"held": 0, "booked": 2}})),
        // A seat that is blocked, in another order, booked by another, or in another cart is lost.
        held("k", json!(["a", "b", "c", "d", "e"])),
        ("PUT /r/orders/p", json!({"owner": {"holder": "k"}}), 201, json!({})),
        ("POST /r/orders/p/cancel", json!({"to": "free"}), 200, json!({})),
        ("POST /r/block", json!({"seats": ["a"], "label": "x"}), 200, json!({})),
        held("m", json!(["b", "c", "d"])),
        ("PUT /r/orders/q", json!({"owner": {"holder": "m"}, "seats": ["b"]}), 201, json!({})),
        ("PUT /r/orders/s", json!({"owner": {"holder": "m"}, "seats": ["c"]}), 201, json!({})),
        ("POST /r/orders/s/book", NONE, 200, json!({})),
        (
            "POST /r/orders/p/book",
            late.clone(),
            409,
            json!({"code": "seats_lost", "conflicts": [
                {"seat": "a", "state": "blocked"}, {"seat": "b", "state": "checkout"}, {"seat": "c", "state": "booked"},
                {"seat": "d", "state": "held"}
            ]}),
        ),
        ("GET /r/seats?seat=e", NONE, 200, json!({"seats": []})),
        ("GET /r/orders/p", NONE, 200, json!({"state": "cancelled"})),
        // In checkout of the same owner it is another order's.
        held("k", json!(["z"])),
        ("PUT /r/orders/t", json!({"owner": {"holder": "k"}}), 201, json!({})),
        ("POST /r/orders/t/cancel", json!({"to": "cart"}), 200, json!({})),
        ("PUT /r/orders/u", json!({"owner": {"holder": "k"}}), 201, json!({"seats": ["z"]})),
        ("POST /r/orders/t/book", late, 409, json!({"conflicts": [{"seat": "z", "state": "checkout"}]})),
        ("POST /r/orders/u/book", NONE, 200, json!({"state": "booked"})),
    ]);
}

/// Names of any bytes, percent-encoded.
#[test]
fn rooms_seats_and_orders_have_any_name() {
    let server = Server::start(&[("SHARDS", "2")]);
    let (room, order) = ("Sal%C3%B3n%20%2F%3F%231", "2026%2F%C3%B1%25");
    let name = "Salón /?#1";
    let lines = [
        (format!("POST /v1/rooms/{room}/hold"), json!({"holder": "caja ñ", "seats": ["Fila 1/ñ"]}), 200),
        (format!("PUT /v1/rooms/{room}/orders/{order}"), json!({"owner": {"holder": "caja ñ"}}), 201),
        (format!("POST /v1/rooms/{room}/orders/{order}/book"), NONE, 200),
    ];
    for (line, body, status) in lines {
        let (found, answer) = call(&server, &line, &body);
        assert_eq!((found, &answer["room"]), (status, &name.into()), "{line}: {answer}");
    }
    let order = call(&server, &format!("GET /v1/rooms/{room}/orders/{order}"), &NONE).1;
    assert!(has(&order, &json!({"order": "2026/ñ%", "room": name, "seats": ["Fila 1/ñ"]})), "{order}");
    let seats = call(&server, &format!("GET /v1/rooms/{room}/seats?order=2026%2F%C3%B1%25"), &NONE).1;
    assert!(has(&seats, &json!({"seats": [{"seat": "Fila 1/ñ", "state": "booked"}]})), "{seats}");
    let longest = "x".repeat(128);
    let (status, answer) = call(&server, &format!("PUT /v1/rooms/{longest}"), &NONE);
    assert_eq!((status, &answer["room"]), (201, &longest.into()));
}
