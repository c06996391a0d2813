//! What others see of a change, whoever made it: members of the first protocol with its status and reason, members of
//! the second as a delta, and those who come back later.

use serde_json::{Value, json};

use super::script::{api, check};

fn select(seats: &Value) -> Value {
    json!({"type": "select_seats", "room_id": "r", "seats": seats})
}

#[test]
fn every_reason_reaches_the_first_protocol_in_order() {
    let owner = json!({"owner": {"session_id": "$a"}, "seats": ["A1"]});
    let taken = |seq: u32, seat: &str, status: &str| json!({"type": "seat_selected", "seq": seq, "seat_id": seat, "status": status});
    let freed = |seq: u32, seat: &str, reason: &str| json!({"type": "seat_released", "seq": seq, "seat_id": seat, "reason": reason});
    check(
        &[("SESSION_GRACE_MS", "0")],
        &[
            ("v1", json!({"type": "join_room", "room_id": "r"}), json!({"type": "room_joined", "seq": 0})),
            ("a", json!({"type": "join_room", "room_id": "r"}), json!({"type": "room_joined"})),
            ("a", select(&json!(["A1"])), json!({"type": "snapshot"})),
            ("a", json!(null), json!({"type": "seats_held"})),
            ("v1", json!(null), json!({"type": "seat_selected", "seq": 1, "client_id": "a", "_without": ["status"]})),
            ("api", api("PUT /rooms/r/orders/o", &owner), json!({"status": 201})),
            ("v1", json!(null), taken(2, "A1", "checkout")),
            ("api", api("POST /rooms/r/orders/o/cancel", &json!({"to": "free"})), json!({"status": 200})),
            ("v1", json!(null), freed(3, "A1", "cancelled")),
            ("a", json!(null), json!({"type": "cart", "reason": "checkout", "order": "o"})),
            ("a", json!(null), json!({"type": "cart", "reason": "cancelled", "order": "o", "cart": {"seats": []}})),
            ("api", api("POST /rooms/r/hold", &json!({"holder": "k", "seats": ["K1"]})), json!({"status": 200})),
            ("v1", json!(null), json!({"type": "seat_selected", "seq": 4, "seat_id": "K1", "client_id": "holder:k"})),
            ("api", api("PUT /rooms/r/orders/p", &json!({"owner": {"holder": "k"}})), json!({"status": 201})),
            ("v1", json!(null), taken(5, "K1", "checkout")),
            ("api", api("POST /rooms/r/orders/p/book", &json!({})), json!({"status": 200})),
            (
                "v1",
                json!(null),
                json!({"type": "seat_selected", "seq": 6, "seat_id": "K1", "status": "booked", "client_id": "holder:k", "expires_at": null}),
            ),
            ("api", api("POST /rooms/r/orders/p/refund", &json!({})), json!({"status": 200})),
            ("v1", json!(null), freed(7, "K1", "refunded")),
            ("api", api("POST /rooms/r/block", &json!({"seats": ["B1"], "label": "x"})), json!({"status": 200})),
            (
                "v1",
                json!(null),
                json!({"type": "seat_selected", "seq": 8, "seat_id": "B1", "status": "blocked", "client_id": "system", "expires_at": null}),
            ),
            ("v1late", json!({"type": "join_room", "room_id": "r"}), json!({"type": "room_joined", "seq": 8})),
            (
                "v1late",
                json!(null),
                json!({"type": "current_selections", "seq": 8,
            "selections": [{"seat_id": "B1", "status": "blocked", "client_id": "system", "expires_at": null}]}),
            ),
            ("api", api("POST /rooms/r/unblock", &json!({"seats": ["B1"]})), json!({"status": 200})),
            ("v1", json!(null), freed(9, "B1", "unblocked")),
            (
                "a",
                json!({"type": "select_seats", "room_id": "r", "seats": ["A2"], "user_info": {"name": "Ana"}}),
                json!({"type": "seats_held", "seq": 10}),
            ),
            ("v1", json!(null), json!({"type": "seat_selected", "seq": 10, "user_info": {"name": "Ana"}})),
            ("api", api("POST /rooms/r/release", &json!({"seats": ["A2"], "reason": "x"})), json!({"status": 200})),
            ("v1", json!(null), freed(11, "A2", "released_by_operator")),
            ("a", json!(null), json!({"type": "cart", "reason": "released_by_operator", "gone": ["A2"]})),
            ("b", select(&json!(["D1"])), json!({"type": "seats_held", "seq": 12})),
            ("v1", json!(null), json!({"type": "seat_selected", "seq": 12, "client_id": "b"})),
            ("api", api("POST /clients/disconnect", &json!({"client_id": "b"})), json!({"status": 200, "closed": 1})),
            ("v1", json!(null), freed(13, "D1", "disconnected")),
            // A member of the second protocol has seen all that as states of seats, each once and as it is in the end.
            ("a", json!(null), json!({"type": "delta", "to": 13, "changes": null})),
            (
                "a",
                json!({"type": "sync", "id": 1, "room_id": "r"}),
                json!({"type": "snapshot", "seq": 13, "seats": []}),
            ),
        ],
    );
}

#[test]
fn only_declared_rooms_are_there_when_that_is_asked_for() {
    let unknown = json!({"type": "error", "code": "unknown_room", "room_id": "r"});
    check(
        &[("ROOMS", "declared")],
        &[
            ("a", json!({"type": "join_room", "room_id": "r"}), unknown.clone()),
            ("a", select(&json!(["A1"])), unknown.clone()),
            ("v1", json!({"type": "select_seat", "room_id": "r", "seat_id": "A1"}), unknown),
            ("api", api("POST /rooms/r/hold", &json!({"holder": "k", "seats": ["A1"]})), json!({"status": 404})),
            ("api", api("POST /rooms/r/block", &json!({"label": "k", "seats": ["A1"]})), json!({"status": 404})),
            ("api", api("POST /rooms/r/reconcile", &json!({"booked": []})), json!({"status": 404})),
            ("api", api("GET /rooms/r", &json!(null)), json!({"status": 404})),
            ("api", api("PUT /rooms/r", &json!({"hold_ms": 60_000})), json!({"status": 201})),
            (
                "a",
                json!({"type": "join_room", "room_id": "r"}),
                json!({"type": "room_joined", "hold_ms": 60_000, "sale": "open"}),
            ),
            ("a", json!(null), json!({"type": "snapshot"})),
            ("a", select(&json!(["A1"])), json!({"type": "seats_held", "seq": 1})),
        ],
    );
}

#[test]
fn a_room_that_is_deleted_ends_for_everybody() {
    let (deleted, join) = (
        json!({"type": "room_state", "room_id": "r", "sale": "deleted"}),
        json!({"type": "join_room", "room_id": "r"}),
    );
    let freed =
        |seq: u32, seat: &str| json!({"type": "seat_released", "seq": seq, "seat_id": seat, "reason": "room_deleted"});
    check(
        &[],
        &[
            ("api", api("PUT /rooms/r", &json!({"hold_ms": 60_000})), json!({"status": 201})),
            ("v1", join.clone(), json!({"type": "room_joined", "seq": 0})),
            ("a", join.clone(), json!({"type": "room_joined"})),
            ("a", json!(null), json!({"type": "snapshot"})),
            ("a", select(&json!(["A2", "A1"])), json!({"type": "seats_held", "seq": 2})),
            (
                "api",
                api("PUT /rooms/r/orders/o", &json!({"owner": {"session_id": "$a"}, "seats": ["A1"]})),
                json!({"status": 201}),
            ),
            ("a", json!(null), json!({"type": "cart", "reason": "checkout", "gone": ["A1"]})),
            ("api", api("DELETE /rooms/r", &json!(null)), json!({"status": 409})),
            ("api", api("DELETE /rooms/r?force=1", &json!(null)), json!({"status": 200})),
            (
                "a",
                json!(null),
                json!({"type": "cart", "room_id": "r", "reason": "released_by_operator", "gone": ["A2"],
                       "cart": {"seats": [], "expires_at": null, "orders": []}}),
            ),
            ("a", json!(null), deleted),
            ("v1", json!(null), json!({"type": "seat_selected", "seq": 1, "seat_id": "A2"})),
            ("v1", json!(null), json!({"type": "seat_selected", "seq": 2, "seat_id": "A1"})),
            ("v1", json!(null), json!({"type": "seat_selected", "seq": 3, "status": "checkout"})),
            ("v1", json!(null), freed(4, "A1")),
            ("v1", json!(null), freed(5, "A2")),
            // It is no member any more, and may be one of the room that is made anew.
            ("a", json!({"type": "sync", "room_id": "r"}), json!({"type": "error", "code": "bad_request"})),
            (
                "a",
                json!({"type": "join_room", "room_id": "r", "since": {"epoch": "~a", "seq": 0}}),
                json!({"type": "room_joined", "seq": 0}),
            ),
            ("a", json!(null), json!({"type": "snapshot", "seats": [], "cart": {"seats": []}})),
        ],
    );
}
