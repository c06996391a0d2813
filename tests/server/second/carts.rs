//! Carts: all or nothing, swaps, one clock, what is refused and what an owner is told unasked.

use serde_json::{Value, json};

use super::script::{Line, api, check};

fn select(id: u32, seats: &Value, release: &Value) -> Value {
    json!({"type": "select_seats", "id": id, "room_id": "r", "seats": seats, "release": release})
}

fn release(id: u32, seats: &Value) -> Value {
    json!({"type": "release_seats", "id": id, "room_id": "r", "seats": seats})
}

fn error(id: u32, code: &str) -> Value {
    json!({"type": "error", "id": id, "code": code, "room_id": "r"})
}

fn conflicts(id: u32, code: &str, seats: &Value) -> Value {
    json!({"type": "error", "id": id, "code": code, "room_id": "r", "conflicts": seats})
}

const EXTEND: &str = r#"{"type":"extend_hold","id":50,"room_id":"r"}"#;
const ALL: &str = r#"{"type":"release_seats","id":51,"room_id":"r","all":true}"#;

#[test]
fn all_or_nothing_with_the_releases_in_the_same_step() {
    let none = json!([]);
    check(
        &[],
        &[
            ("v1", json!({"type": "join_room", "room_id": "r"}), json!({"type": "room_joined", "seq": 0})),
            (
                "a",
                select(1, &json!(["A1", "A2"]), &none),
                json!({"type": "seats_held", "id": 1, "seq": 2,
            "cart": {"seats": ["A1", "A2"], "expires_at": null, "extends_left": 1, "orders": []}}),
            ),
            (
                "b",
                select(2, &json!(["B1", "A2", "A1"]), &none),
                conflicts(
                    2,
                    "seats_unavailable",
                    &json!([{"seat_id": "A2", "state": 1}, {"seat_id": "A1", "state": 1}]),
                ),
            ),
            (
                "b",
                select(3, &json!(["B1"]), &json!(["A1"])),
                conflicts(3, "not_owner", &json!([{"seat_id": "A1", "state": 1}])),
            ),
            (
                "b",
                select(4, &json!(["B1"]), &json!(["Z9"])),
                conflicts(4, "not_held", &json!([{"seat_id": "Z9", "state": 0}])),
            ),
            ("b", release(5, &json!(["A1"])), conflicts(5, "not_owner", &json!([{"seat_id": "A1", "state": 1}]))),
            ("b", release(6, &json!(["Z9"])), conflicts(6, "not_held", &json!([{"seat_id": "Z9", "state": 0}]))),
            ("a", release(7, &json!(["A1", "Z9"])), error(7, "not_held")),
            // One that one holds already is no error, and moves nothing.
            (
                "a",
                select(8, &json!(["A2", "A1"]), &none),
                json!({"type": "seats_held", "id": 8, "seq": 2, "seats": ["A2", "A1"]}),
            ),
            (
                "a",
                select(9, &json!(["A2", "C1"]), &json!(["A1"])),
                json!({"type": "seats_held", "id": 9, "seq": 4,
            "seats": ["A2", "C1"], "cart": {"seats": ["A2", "C1"]}}),
            ),
            ("b", select(10, &json!(["A1"]), &none), json!({"type": "seats_held", "id": 10, "seq": 5})),
            // A swap that cannot be lets nothing go.
            (
                "a",
                select(11, &json!(["A1"]), &json!(["A2"])),
                conflicts(11, "seats_unavailable", &json!([{"seat_id": "A1", "state": 1}])),
            ),
            (
                "a",
                release(12, &json!(["A2"])),
                json!({"type": "seats_released", "id": 12, "seq": 6, "seats": ["A2"], "cart": {"seats": ["C1"]}}),
            ),
            // The one-seat forms.
            (
                "a",
                json!({"type": "select_seat", "id": 13, "room_id": "r", "seat_id": "D1"}),
                json!({"type": "seats_held", "id": 13, "seq": 7, "seats": ["D1"], "cart": {"seats": ["C1", "D1"]}}),
            ),
            (
                "b",
                json!({"type": "select_seat", "id": 14, "room_id": "r", "seat_id": "D1"}),
                json!({"type": "error", "id": 14, "code": "seats_unavailable", "request_type": "select_seat", "conflicts": [{"seat_id": "D1", "state": 1}]}),
            ),
            (
                "b",
                json!({"type": "release_seat", "id": 15, "room_id": "r", "seat_id": "D1"}),
                json!({"type": "error", "id": 15, "code": "not_owner", "request_type": "release_seat"}),
            ),
            (
                "a",
                json!({"type": "release_seat", "id": 16, "room_id": "r", "seat_id": "D1"}),
                json!({"type": "seats_released", "id": 16, "seq": 8, "seats": ["D1"]}),
            ),
            (
                "a",
                json!(ALL),
                json!({"type": "seats_released", "id": 51, "seq": 9, "seats": ["C1"],
            "cart": {"seats": [], "expires_at": null}}),
            ),
            ("a", json!(ALL), json!({"type": "seats_released", "id": 51, "seq": 9, "seats": []})),
            // The first protocol has heard of each change, in order.
            (
                "v1",
                json!(null),
                json!({"type": "seat_selected", "seq": 1, "seat_id": "A1", "client_id": "a", "_without": ["status"]}),
            ),
            ("v1", json!(null), json!({"type": "seat_selected", "seq": 2, "seat_id": "A2", "client_id": "a"})),
            (
                "v1",
                json!(null),
                json!({"type": "seat_released", "seq": 3, "seat_id": "A1", "client_id": "a", "reason": "released"}),
            ),
            ("v1", json!(null), json!({"type": "seat_selected", "seq": 4, "seat_id": "C1"})),
            ("v1", json!(null), json!({"type": "seat_selected", "seq": 5, "seat_id": "A1", "client_id": "b"})),
            ("v1", json!(null), json!({"type": "seat_released", "seq": 6, "seat_id": "A2"})),
        ],
    );
}

#[test]
fn letting_go_and_taking_again_is_no_new_life() {
    check(
        &[],
        &[
            ("a", json!(EXTEND), error(50, "hold_expired")),
            ("a", select(1, &json!(["A1"]), &json!([])), json!({"type": "seats_held", "cart": {"extends_left": 1}})),
            (
                "a",
                json!(EXTEND),
                json!({"type": "hold_extended", "id": 50, "room_id": "r", "cart": {"seats": ["A1"], "extends_left": 0}}),
            ),
            ("a", json!(EXTEND), error(50, "extend_limit")),
            (
                "a",
                json!(ALL),
                json!({"type": "seats_released", "cart": {"seats": [], "expires_at": null, "extends_left": 0}}),
            ),
            ("a", json!({"type": "join_room", "room_id": "r"}), json!({"type": "room_joined"})),
            ("a", json!(null), json!({"type": "snapshot", "cart": {"seats": [], "extends_left": 0}})),
            ("a", select(2, &json!(["A2"]), &json!([])), json!({"type": "seats_held", "cart": {"extends_left": 0}})),
            ("a", json!(EXTEND), error(50, "extend_limit")),
            ("b", select(2, &json!(["A3"]), &json!([])), json!({"type": "seats_held", "cart": {"extends_left": 1}})),
        ],
    );
}

#[test]
fn a_hold_ends_as_a_whole_and_its_owner_hears_of_it_before() {
    let ended = json!({"type": "cart", "room_id": "r", "reason": "expired", "gone": ["A1", "A2"], "cart": {"seats": [], "expires_at": null}});
    let lines: [Line; 3] = [
        ("a", select(1, &json!(["A1", "A2"]), &json!([])), json!({"type": "seats_held"})),
        (
            "a",
            json!(null),
            json!({"type": "hold_expiring", "room_id": "r", "left_ms": null, "cart": {"seats": ["A1", "A2"]}}),
        ),
        ("a", json!(null), ended),
    ];
    check(&[("HOLD_TTL_MS", "1000"), ("HOLD_WARN_MS", "200")], &lines);
    // The whole hold is shorter than the warning: nobody is warned.
    check(&[("HOLD_TTL_MS", "1000"), ("HOLD_WARN_MS", "1000")], &[lines[0].clone(), lines[2].clone()]);
    // After an extension once more.
    let (warned, ended) = (lines[1].clone(), lines[2].clone());
    let extend =
        ("a", json!(EXTEND), json!({"type": "hold_extended", "cart": {"seats": ["A1", "A2"], "extends_left": 0}}));
    check(
        &[("HOLD_TTL_MS", "2000"), ("HOLD_WARN_MS", "1900")],
        &[lines[0].clone(), warned.clone(), extend, warned, ended],
    );
}

#[test]
fn what_is_in_checkout_counts_and_an_owner_is_told_of_every_step() {
    let room = json!({"max_seats": 2});
    let owner = json!({"owner": {"session_id": "$a"}, "seats": ["A1"]});
    let cart = |reason: &str, gone: &Value, seats: &Value, orders: &Value| json!({"type": "cart", "room_id": "r", "reason": reason, "gone": gone, "cart": {"seats": seats, "orders": orders}});
    let order = |status: &str| json!([{"order": "o", "status": status, "seats": ["A1"]}]);
    check(
        &[],
        &[
            ("api", api("PUT /rooms/r", &room), json!({"status": 201, "max_seats": 2})),
            ("v1", json!({"type": "join_room", "room_id": "r"}), json!({"type": "room_joined"})),
            ("a", json!({"type": "join_room", "room_id": "r"}), json!({"type": "room_joined", "max_seats": 2})),
            ("a", json!(null), json!({"type": "snapshot"})),
            ("a", select(1, &json!(["A1", "A2", "A3"]), &json!([])), error(1, "limit_exceeded")),
            ("a", select(1, &json!(["A1", "A2"]), &json!([])), json!({"type": "seats_held", "seq": 2})),
            ("api", api("PUT /rooms/r/orders/o", &owner), json!({"status": 201, "state": "checkout"})),
            ("a", json!(null), cart("checkout", &json!(["A1"]), &json!(["A2"]), &order("checkout"))),
            ("a", select(2, &json!(["A3"]), &json!([])), error(2, "limit_exceeded")),
            (
                "a",
                select(2, &json!(["A3"]), &json!(["A1"])),
                conflicts(2, "in_checkout", &json!([{"seat_id": "A1", "state": 1}])),
            ),
            ("a", release(3, &json!(["A1"])), conflicts(3, "in_checkout", &json!([{"seat_id": "A1", "state": 1}]))),
            (
                "api",
                api("POST /rooms/r/orders/o/cancel", &json!({"to": "cart"})),
                json!({"status": 200, "state": "cancelled"}),
            ),
            ("a", json!(null), cart("payment_failed", &json!([]), &json!(["A2", "A1"]), &json!([]))),
            ("api", api("PUT /rooms/r/orders/p", &owner), json!({"status": 201})),
            ("a", json!(null), json!({"type": "cart", "reason": "checkout", "order": "p"})),
            ("api", api("POST /rooms/r/orders/p/book", &json!({})), json!({"status": 200, "state": "booked"})),
            (
                "a",
                json!(null),
                json!({"type": "cart", "reason": "booked", "order": "p", "gone": [], "cart": {"seats": ["A2"], "orders": [{"status": "booked"}]}}),
            ),
            // What is booked does not count.
            ("a", select(4, &json!(["A3"]), &json!([])), json!({"type": "seats_held", "seq": 7})),
            ("api", api("POST /rooms/r/release", &json!({"seats": ["A2"], "reason": "x"})), json!({"status": 200})),
            ("a", json!(null), cart("released_by_operator", &json!(["A2"]), &json!(["A3"]), &json!(null))),
            ("api", api("POST /rooms/r/block", &json!({"seats": ["B1"], "label": "x"})), json!({"status": 200})),
            (
                "b",
                select(5, &json!(["A1", "B1", "A3", "C1"]), &json!([])),
                conflicts(5, "seats_unavailable", &json!(null)),
            ),
            (
                "b",
                select(5, &json!(["A1", "B1"]), &json!([])),
                conflicts(
                    5,
                    "seats_unavailable",
                    &json!([{"seat_id": "A1", "state": 2}, {"seat_id": "B1", "state": 3}]),
                ),
            ),
            (
                "api",
                api("POST /rooms/r/hold", &json!({"holder": "kiosk", "seats": ["K1", "K2", "K3"]})),
                json!({"status": 200}),
            ),
            ("a", json!({"type": "sync", "id": 7, "room_id": "r"}), json!({"type": "snapshot", "id": 7, "seq": 12})),
            // The first protocol: every change is one frame, also to the owner.
            ("v1", json!(null), json!({"type": "seat_selected", "seq": 1, "seat_id": "A1", "client_id": "a"})),
            ("v1", json!(null), json!({"type": "seat_selected", "seq": 2, "seat_id": "A2"})),
            (
                "v1",
                json!(null),
                json!({"type": "seat_selected", "seq": 3, "seat_id": "A1", "client_id": "a", "status": "checkout"}),
            ),
            (
                "v1",
                json!(null),
                json!({"type": "seat_selected", "seq": 4, "seat_id": "A1", "client_id": "a", "status": "held"}),
            ),
            ("v1", json!(null), json!({"type": "seat_selected", "seq": 5, "seat_id": "A1", "status": "checkout"})),
            (
                "v1",
                json!(null),
                json!({"type": "seat_selected", "seq": 6, "seat_id": "A1", "client_id": "a", "status": "booked", "expires_at": null}),
            ),
            ("v1", json!(null), json!({"type": "seat_selected", "seq": 7, "seat_id": "A3"})),
            (
                "v1",
                json!(null),
                json!({"type": "seat_released", "seq": 8, "seat_id": "A2", "reason": "released_by_operator"}),
            ),
            (
                "v1",
                json!(null),
                json!({"type": "seat_selected", "seq": 9, "seat_id": "B1", "client_id": "system", "status": "blocked"}),
            ),
            (
                "v1",
                json!(null),
                json!({"type": "seat_selected", "seq": 10, "seat_id": "K1", "client_id": "holder:kiosk"}),
            ),
        ],
    );
}
