//! Sessions: who goes on as whom, what waits for how long, and which of two connections is closed.

use serde_json::{Value, json};

use super::script::{Line, check};

fn join(room: &str) -> Value {
    json!({"type": "join_room", "room_id": room})
}

fn select(id: u32, room: &str, seats: &Value) -> Value {
    json!({"type": "select_seats", "id": id, "room_id": room, "seats": seats})
}

fn resume(token: &str, rooms: &Value) -> Value {
    json!({"type": "resume", "id": 1, "session_token": token, "rooms": rooms})
}

fn hello(who: &str, carts: &Value) -> Value {
    json!({"type": "hello", "id": 1, "resumed": true, "session_id": who, "auth": "off", "carts": carts})
}

fn cart(room: &str, seats: &Value) -> Value {
    json!({"room_id": room, "cart": {"seats": seats, "orders": []}})
}

fn held(id: u32) -> Value {
    json!({"type": "seats_held", "id": id})
}

fn error(id: u32, code: &str, request: &str) -> Value {
    json!({"type": "error", "id": id, "code": code, "request_type": request})
}

#[test]
fn a_connection_that_breaks_loses_nothing_within_the_grace() {
    let both = json!([cart("r", &json!(["A1", "A2"])), cart("q", &json!(["B1"]))]);
    check(
        &[],
        &[
            ("v1", join("r"), json!({"type": "room_joined"})),
            ("a", select(1, "r", &json!(["A1", "A2"])), held(1)),
            ("a", select(2, "q", &json!(["B1"])), held(2)),
            ("a", json!("drop"), json!(null)),
            ("a2", resume("@a", &json!(["r", "q"])), hello("$a", &both)),
            // Nobody heard of it, and the cart is its own.
            ("v1", json!({"type": "ping"}), json!({"type": "seat_selected", "seat_id": "A1"})),
            ("v1", json!(null), json!({"type": "seat_selected", "seat_id": "A2"})),
            ("v1", json!(null), json!({"type": "pong"})),
            ("b", select(3, "r", &json!(["A1"])), error(3, "seats_unavailable", "select_seats")),
            (
                "a2",
                json!({"type": "release_seats", "id": 4, "room_id": "r", "seats": ["A1"]}),
                json!({"type": "seats_released", "id": 4, "cart": {"seats": ["A2"]}}),
            ),
            // The token of the second `hello` does the same.
            ("a2", json!("drop"), json!(null)),
            ("a3", resume("@a2", &json!(["r"])), hello("$a", &json!([cart("r", &json!(["A2"]))]))),
        ],
    );
}

#[test]
fn a_room_that_is_not_named_learns_of_the_newer_connection_at_its_first_request() {
    check(
        &[],
        &[
            ("a", select(1, "r", &json!(["A1"])), held(1)),
            ("a2", resume("@a", &json!([])), hello("$a", &json!([]))),
            (
                "a2",
                select(2, "r", &json!(["A2"])),
                json!({"type": "seats_held", "id": 2, "cart": {"seats": ["A1", "A2"]}}),
            ),
            ("a", json!(null), json!({"close": 4505})),
            ("a2", json!({"type": "ping", "id": 3}), json!({"type": "pong", "id": 3})),
        ],
    );
    // The older one asks after the newer: it is the one that goes.
    check(
        &[],
        &[
            ("a", json!({"type": "ping"}), json!({"type": "pong"})),
            ("a2", resume("@a", &json!(["r"])), hello("$a", &json!([cart("r", &json!([]))]))),
            ("a2", select(2, "r", &json!(["A1"])), held(2)),
            ("a", select(3, "r", &json!(["A2"])), json!({"close": 4505})),
            (
                "a2",
                select(4, "r", &json!(["A2"])),
                json!({"type": "seats_held", "id": 4, "cart": {"seats": ["A1", "A2"]}}),
            ),
        ],
    );
    // Of three the newest stays, whichever the rooms are that they were in.
    check(
        &[],
        &[
            ("a", select(1, "r", &json!(["A1"])), held(1)),
            ("a2", resume("@a", &json!(["r"])), hello("$a", &json!([cart("r", &json!(["A1"]))]))),
            ("a", json!(null), json!({"close": 4505})),
            (
                "a3",
                resume("@a2", &json!(["q", "r"])),
                hello("$a", &json!([cart("q", &json!([])), cart("r", &json!(["A1"]))])),
            ),
            ("a2", json!(null), json!({"close": 4505})),
            ("a3", select(2, "q", &json!(["B1"])), held(2)),
        ],
    );
}

#[test]
fn who_proves_nothing_stays_who_it_is() {
    let unknown = error(1, "session_unknown", "resume");
    let many: Vec<String> = (0..65).map(|room| format!("r{room}")).collect();
    let mut lines: Vec<Line> = vec![("a", select(1, "r", &json!(["A1"])), held(1))];
    for token in ["", "x", "AAAA.BBBB", "@"] {
        let token = if token == "@" { "$a" } else { token };
        lines.push(("b", resume(token, &json!(["r"])), unknown.clone()));
    }
    lines.extend([
        ("b", json!({"type": "resume", "id": 1}), error(1, "bad_request", "resume")),
        ("b", json!({"type": "resume", "id": 1, "session_token": 7}), error(1, "bad_request", "resume")),
        ("b", resume("@a", &json!(many)), error(1, "bad_request", "resume")),
        ("b", resume("@a", &json!([""])), error(1, "bad_request", "resume")),
        ("b", resume("@a", &json!("r")), error(1, "bad_request", "resume")),
        // It is still the fresh session of its own, which may hold.
        ("b", select(2, "r", &json!(["B1"])), json!({"type": "seats_held", "id": 2, "cart": {"seats": ["B1"]}})),
        // Too late: it holds something.
        ("b", resume("@a", &json!(["r"])), error(1, "bad_request", "resume")),
        ("c", join("r"), json!({"type": "room_joined"})),
        ("c", json!(null), json!({"type": "snapshot"})),
        ("c", resume("@a", &json!(["r"])), error(1, "bad_request", "resume")),
        // Up to 64 rooms, and a room twice is told once.
        ("d", resume("@a", &json!(many[..64])), json!({"type": "hello", "resumed": true})),
        ("d", resume("@a", &json!(["r"])), error(1, "bad_request", "resume")),
        ("e", json!({"type": "resume", "id": 1, "session_token": "@d"}), hello("$a", &json!([]))),
        ("f", resume("@e", &json!(["r", "r"])), hello("$a", &json!([cart("r", &json!(["A1"]))]))),
    ]);
    check(&[], &lines);
}

#[test]
fn after_the_grace_carts_are_given_up_and_the_token_is_still_good() {
    let freed = |seat: &str| json!({"type": "seat_released", "seat_id": seat, "reason": "disconnected"});
    let lines: [Line; 8] = [
        ("v1", join("r"), json!({"type": "room_joined"})),
        ("a", select(1, "r", &json!(["A1", "A2"])), held(1)),
        ("a", json!("drop"), json!(null)),
        ("v1", json!(null), json!({"type": "seat_selected"})),
        ("v1", json!(null), json!({"type": "seat_selected"})),
        ("v1", json!(null), freed("A1")),
        ("v1", json!(null), freed("A2")),
        ("a2", resume("@a", &json!(["r"])), hello("$a", &json!([cart("r", &json!([]))]))),
    ];
    check(&[("SESSION_GRACE_MS", "200")], &lines);
    check(&[("SESSION_GRACE_MS", "0")], &lines);
}

#[test]
fn leaving_a_room_keeps_the_cart_and_its_owner_hears_of_it() {
    check(
        &[("HOLD_TTL_MS", "1000"), ("HOLD_WARN_MS", "0")],
        &[
            ("a", join("r"), json!({"type": "room_joined"})),
            ("a", json!(null), json!({"type": "snapshot"})),
            ("a", select(1, "r", &json!(["A1"])), held(1)),
            ("a", json!({"type": "leave_room", "id": 2, "room_id": "r"}), json!({"type": "room_left", "id": 2})),
            (
                "a",
                json!(null),
                json!({"type": "cart", "room_id": "r", "reason": "expired", "gone": ["A1"], "cart": {"seats": []}}),
            ),
        ],
    );
}

#[test]
fn who_comes_back_to_a_room_with_since_is_told_its_cart() {
    check(
        &[],
        &[
            ("a", join("r"), json!({"type": "room_joined"})),
            ("a", json!(null), json!({"type": "snapshot"})),
            ("a", select(1, "r", &json!(["A1"])), held(1)),
            ("a", json!("drop"), json!(null)),
            ("a2", resume("@a", &json!(["r"])), hello("$a", &json!([cart("r", &json!(["A1"]))]))),
            ("a2", join("r"), json!({"type": "room_joined", "seq": 1})),
            ("a2", json!(null), json!({"type": "snapshot", "seats": [["A1", 1]], "cart": {"seats": ["A1"]}})),
            ("a2", json!("drop"), json!(null)),
            // The room is not named: it tells the cart beside what has changed, since no `snapshot` does.
            ("a3", resume("@a2", &json!([])), hello("$a", &json!([]))),
            (
                "a3",
                json!({"type": "join_room", "id": 2, "room_id": "r", "since": {"epoch": "~a2", "seq": 0}}),
                json!({"type": "room_joined", "id": 2, "seq": 1}),
            ),
            ("a3", json!(null), json!({"type": "delta", "from": 1, "to": 1, "changes": [["A1", 1]]})),
            (
                "a3",
                json!({"type": "sync", "id": 3, "room_id": "r"}),
                json!({"type": "cart", "reason": "restored", "gone": [], "cart": {"seats": ["A1"]}}),
            ),
            ("a3", json!(null), json!({"type": "snapshot", "id": 3, "cart": {"seats": ["A1"]}})),
        ],
    );
}

#[test]
fn what_is_in_checkout_does_not_depend_on_a_connection() {
    let owner = json!({"owner": {"session_id": "$a"}, "seats": ["A1"]});
    let order = |status: &str| json!([{"order": "o", "status": status, "seats": ["A1"]}]);
    check(
        &[("SESSION_GRACE_MS", "0")],
        &[
            ("v1", join("r"), json!({"type": "room_joined"})),
            ("a", select(1, "r", &json!(["A1", "A2"])), held(1)),
            ("api", super::script::api("PUT /rooms/r/orders/o", &owner), json!({"status": 201})),
            (
                "a",
                json!(null),
                json!({"type": "cart", "reason": "checkout", "gone": ["A1"], "cart": {"seats": ["A2"]}}),
            ),
            ("a", json!("drop"), json!(null)),
            ("v1", json!(null), json!({"type": "seat_selected", "seq": 1})),
            ("v1", json!(null), json!({"type": "seat_selected", "seq": 2})),
            ("v1", json!(null), json!({"type": "seat_selected", "seq": 3, "status": "checkout"})),
            ("v1", json!(null), json!({"type": "seat_released", "seq": 4, "seat_id": "A2", "reason": "disconnected"})),
            (
                "a2",
                resume("@a", &json!(["r"])),
                hello("$a", &json!([{"room_id": "r", "cart": {"seats": [], "orders": order("checkout")}}])),
            ),
            ("api", super::script::api("POST /rooms/r/orders/o/book", &json!({})), json!({"status": 200})),
            (
                "a2",
                json!(null),
                json!({"type": "cart", "reason": "booked", "order": "o",
                       "cart": {"seats": [], "orders": order("booked")}}),
            ),
            ("a2", json!("drop"), json!(null)),
            ("v1", json!(null), json!({"type": "seat_selected", "seq": 5, "status": "booked"})),
            (
                "api",
                super::script::api("GET /rooms/r/orders/o", &json!(null)),
                json!({"status": 200, "state": "booked"}),
            ),
        ],
    );
}
