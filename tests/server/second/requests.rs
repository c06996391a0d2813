//! What every request has in common: its `id`, its refusals, and the forms that it may have.

use serde_json::{Value, json};

use super::script::{Line, check};

fn bad(code: &str) -> Value {
    json!({"type": "error", "code": code, "_without": ["id"]})
}

#[test]
fn an_id_comes_back_and_what_is_none_does_not() {
    let mut lines: Vec<Line> = Vec::new();
    let long = "é".repeat(32);
    for id in [json!(0), json!(-7), json!(9_007_199_254_740_993_i64), json!(""), json!("x"), json!(long)] {
        lines.push(("a", json!({"type": "ping", "id": id}), json!({"type": "pong", "id": id, "now": null})));
        let refused = json!({"type": "error", "id": id, "code": "bad_request", "request_type": "sync"});
        lines.push(("a", json!({"type": "sync", "id": id}), refused));
        let unknown = json!({"type": "error", "id": id, "code": "unknown_type"});
        lines.push(("a", json!({"type": "no such type", "id": id}), unknown));
    }
    for id in [json!(1.5), json!(true), json!(null), json!([1]), json!({"a": 1}), json!(format!("{long}x"))] {
        lines.push(("a", json!({"type": "ping", "id": id}), bad("bad_request")));
        let select = json!({"type": "select_seats", "id": id, "room_id": "r", "seats": ["A1"]});
        lines.push(("a", select, bad("bad_request")));
    }
    // None of these held anything.
    let join = json!({"type": "join_room", "room_id": "r"});
    lines.push(("a", join, json!({"type": "room_joined", "room_id": "r", "seq": 0, "_without": ["id"]})));
    lines.push(("a", json!(null), json!({"type": "snapshot", "seats": []})));
    check(&[], &lines);
}

#[test]
fn what_is_no_request_changes_nothing() {
    let room = |more: Value| {
        let mut request = json!({"room_id": "r", "id": 1});
        request.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        request
    };
    let seats: Vec<String> = (0..51).map(|seat| format!("A{seat}")).collect();
    let long = "x".repeat(129);
    let mut lines: Vec<Line> = ["", "[]", "1", "nothing", "{", r#"{"type":"ping"} x"#]
        .into_iter()
        .map(|text| ("a", json!(text), bad("bad_json")))
        .collect();
    lines.extend([
        ("a", json!({"id": 1}), json!({"type": "error", "id": 1, "code": "bad_request"})),
        ("a", json!({"id": 1, "type": 7}), json!({"type": "error", "id": 1, "code": "bad_request"})),
    ]);
    for request in [
        json!({"type": "select_seats", "seats": []}),
        json!({"type": "select_seats"}),
        json!({"type": "select_seats", "seats": "A1"}),
        json!({"type": "select_seats", "seats": ["A1", 2]}),
        json!({"type": "select_seats", "seats": ["A1", ""]}),
        json!({"type": "select_seats", "seats": [long]}),
        json!({"type": "select_seats", "seats": ["A1", "A1"]}),
        json!({"type": "select_seats", "seats": seats}),
        json!({"type": "select_seats", "seats": ["A1"], "release": ["A1"]}),
        json!({"type": "select_seats", "seats": ["A1"], "release": ["A2", "A2"]}),
        json!({"type": "select_seats", "seats": ["A1"], "user_info": 7}),
        json!({"type": "release_seats"}),
        json!({"type": "release_seats", "seats": []}),
        json!({"type": "release_seats", "seats": ["A1", "A1"]}),
        json!({"type": "release_seats", "all": "yes"}),
        json!({"type": "select_best"}),
        json!({"type": "select_best", "quantity": 0}),
        json!({"type": "select_best", "quantity": 51}),
        json!({"type": "select_best", "quantity": 1.5}),
        json!({"type": "select_best", "quantity": "2"}),
        json!({"type": "select_best", "quantity": 2, "adjacent": 1}),
        json!({"type": "select_best", "quantity": 2, "accessible": -1}),
        json!({"type": "select_seat"}),
        json!({"type": "release_seat", "seat_id": 7}),
        json!({"type": "sync"}),
        json!({"type": "extend_hold", "room_id": ""}),
        json!({"type": "join_room", "room_id": 7}),
    ] {
        let kind = request["type"].clone();
        let refused = json!({"type": "error", "id": 1, "code": "bad_request", "request_type": kind,
                             "retry_after_ms": 0, "message": null, "timestamp": null});
        let request = room(request);
        lines.push(("a", request, refused));
    }
    lines.push((
        "a",
        json!({"type": "join_room", "room_id": "r", "id": 2, "what": [1, {"is": "not known"}]}),
        json!({"type": "room_joined", "id": 2, "seq": 0}),
    ));
    lines.push(("a", json!(null), json!({"type": "snapshot", "seats": [], "cart": {"seats": [], "expires_at": null}})));
    check(&[], &lines);
}

#[test]
fn a_ping_says_what_it_was_given_and_auth_is_refused_without_authentication() {
    check(
        &[],
        &[
            ("a", json!({"type": "ping", "t": 12.5}), json!({"type": "pong", "t": 12.5, "now": null})),
            ("a", json!({"type": "ping", "t": "then"}), json!({"type": "pong", "t": "then"})),
            ("a", json!({"type": "ping"}), json!({"type": "pong", "_without": ["t", "id"]})),
            (
                "a",
                json!({"type": "auth", "id": 8, "token": "x"}),
                json!({"type": "error", "id": 8, "code": "unauthorized"}),
            ),
            (
                "a",
                json!({"type": "sync", "id": 9, "room_id": "r"}),
                json!({"type": "error", "id": 9, "code": "bad_request"}),
            ),
            (
                "a",
                json!({"type": "leave_room", "id": 9, "room_id": "r"}),
                json!({"type": "room_left", "id": 9, "room_id": "r"}),
            ),
        ],
    );
}
