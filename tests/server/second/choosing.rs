//! The best seats for a group, on a small hall of which everything can be seen.

use serde_json::{Value, json};

use super::script::{Line, api, check};

fn seat(id: &str, section: &str, row: &str, number: u32, more: &Value) -> Value {
    let category = if section == "s" { "c" } else { "d" };
    let mut seat =
        json!({"id": id, "section": section, "row": row, "number": number, "category": category, "x": number, "y": 0});
    seat.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    seat
}

/// Section `s`, category `c`: rows A and B of 6, a gap behind A3. Section `t`, category `d`: row A of 4, of which T3 is
/// accessible and T4 its companion.
fn hall() -> Value {
    let none = json!({});
    let mut seats = Vec::new();
    for row in ["A", "B"] {
        for number in 1..=6 {
            let gap = json!({"gap_after": true});
            let more = if row == "A" && number == 3 { &gap } else { &none };
            seats.push(seat(&format!("{row}{number}"), "s", row, number, more));
        }
    }
    let (accessible, companion) = (json!({"accessible": true}), json!({"companion_of": "T3"}));
    for (number, more) in [(1, &none), (2, &none), (3, &accessible), (4, &companion)] {
        seats.push(seat(&format!("T{number}"), "t", "A", number, more));
    }
    json!({ "seats": seats })
}

fn rooms(settings: &Value) -> Vec<Line> {
    let mut settings = settings.clone();
    settings["layout"] = "hall".into();
    settings["max_seats"] = 0.into();
    vec![
        ("api", api("PUT /layouts/hall", &hall()), json!({"status": 201})),
        ("api", api("PUT /rooms/r", &settings), json!({"status": 201})),
    ]
}

fn best(id: u32, more: &Value) -> Value {
    let mut request = json!({"type": "select_best", "id": id, "room_id": "r"});
    request.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    request
}

fn held(id: u32, seats: &Value) -> Value {
    json!({"type": "seats_held", "id": id, "room_id": "r", "seats": seats})
}

fn fewer(id: u32, free: u32) -> Value {
    json!({"type": "error", "id": id, "code": "not_enough_seats", "free": free, "request_type": "select_best",
           "_without": ["largest_adjacent", "conflicts"]})
}

fn apart(id: u32, largest: u32) -> Value {
    json!({"type": "error", "id": id, "code": "no_adjacent_seats", "largest_adjacent": largest, "_without": ["free"]})
}

fn block(seats: &Value) -> Line {
    ("api", api("POST /rooms/r/block", &json!({"seats": seats, "label": "x"})), json!({"status": 200}))
}

fn unblock(seats: &Value) -> Line {
    ("api", api("POST /rooms/r/unblock", &json!({ "seats": seats })), json!({"status": 200}))
}

const ALL: &str = r#"{"type":"release_seats","id":90,"room_id":"r","all":true}"#;

fn let_go() -> Line {
    ("a", json!(ALL), json!({"type": "seats_released", "id": 90, "cart": {"seats": []}}))
}

#[test]
fn adjacent_in_the_best_row_with_nobody_left_alone() {
    let mut lines = rooms(&json!({}));
    lines.extend([
        // Three fill the part of row A before its gap, or behind it, and leave nobody alone; two would leave one alone.
        ("a", best(1, &json!({"quantity": 3})), held(1, &json!(["A1", "A2", "A3"]))),
        let_go(),
        ("a", best(2, &json!({"quantity": 2})), held(2, &json!(["B3", "B4"]))),
        // Another group of two: the pairs at both ends of row B.
        ("a", best(3, &json!({"quantity": 2})), held(3, &json!(["B1", "B2"]))),
        let_go(),
        // Four are together in row B only, not across the gap; from its middle they would leave two alone.
        ("a", best(4, &json!({"quantity": 4, "sections": ["s"]})), held(4, &json!(["B1", "B2", "B3", "B4"]))),
        let_go(),
        // What is released counts as free.
        ("a", best(5, &json!({"quantity": 6})), held(5, &json!(["B1", "B2", "B3", "B4", "B5", "B6"]))),
        ("a", best(6, &json!({"quantity": 5, "release": ["B1", "B2", "B3", "B4", "B5", "B6"]})), held(6, &json!(null))),
        let_go(),
        // With an orphan where there is no other way.
        block(&json!(["B1", "B2", "B3", "B4", "B5", "B6", "T1", "T2", "T3", "T4"])),
        ("a", best(7, &json!({"quantity": 2})), held(7, &json!(["A2", "A3"]))),
        let_go(),
        ("a", best(8, &json!({"quantity": 7})), fewer(8, 6)),
        ("a", best(9, &json!({"quantity": 4})), apart(9, 3)),
        // In pieces with nobody alone.
        ("a", best(10, &json!({"quantity": 4, "adjacent": false})), held(10, &json!(null))),
        ("a", json!({"type": "sync", "id": 11, "room_id": "r"}), json!({"type": "error", "code": "bad_request"})),
        let_go(),
        (
            "a",
            best(12, &json!({"quantity": 6, "adjacent": false})),
            held(12, &json!(["A1", "A2", "A3", "A4", "A5", "A6"])),
        ),
    ]);
    check(&[], &lines);
}

#[test]
fn filters_and_who_needs_an_accessible_seat() {
    let mut lines = rooms(&json!({}));
    lines.extend([
        ("a", best(1, &json!({"quantity": 2, "categories": ["d"]})), held(1, &json!(["T1", "T2"]))),
        // Accessible and companion seats: only when nothing else is left.
        ("a", best(2, &json!({"quantity": 2, "sections": ["t"]})), held(2, &json!(["T3", "T4"]))),
        ("a", best(3, &json!({"quantity": 1, "sections": ["t"]})), fewer(3, 0)),
        let_go(),
        ("a", best(4, &json!({"quantity": 2, "accessible": 1})), held(4, &json!(["T3", "T4"]))),
        (
            "a",
            best(5, &json!({"quantity": 1, "accessible": 1})),
            json!({"type": "error", "code": "not_enough_seats", "free": 0}),
        ),
        let_go(),
        (
            "a",
            best(6, &json!({"quantity": 2, "accessible": 2})),
            json!({"type": "error", "code": "not_enough_seats", "free": 1}),
        ),
        ("a", best(7, &json!({"quantity": 2, "sections": ["s"], "categories": ["d"]})), fewer(7, 0)),
        ("a", best(8, &json!({"quantity": 2, "sections": ["nowhere"]})), fewer(8, 0)),
        ("a", best(9, &json!({"quantity": 7, "categories": ["c"]})), apart(9, 6)),
        ("a", best(10, &json!({"quantity": 5, "sections": ["t"]})), fewer(10, 4)),
        // A room without a layout has no best seats, and no room at all neither.
        (
            "a",
            json!({"type": "select_best", "id": 11, "room_id": "q", "quantity": 2}),
            json!({"type": "error", "id": 11, "code": "bad_request", "request_type": "select_best",
                "message": "the room has no layout, so nobody knows its best seats"}),
        ),
        // The same question in the same state has the same answer.
        ("a", best(12, &json!({"quantity": 2})), held(12, &json!(["B3", "B4"]))),
        let_go(),
        ("b", best(12, &json!({"quantity": 2})), held(12, &json!(["B3", "B4"]))),
    ]);
    check(&[], &lines);
}

#[test]
fn a_single_seat_is_not_left_alone_where_that_is_the_rule() {
    let select = |id: u32, seats: &Value| json!({"type": "select_seats", "id": id, "room_id": "r", "seats": seats});
    let orphan = |id: u32| {
        json!({"type": "error", "id": id, "code": "orphan_seat", "alternatives": null,
               "request_type": "select_seats"})
    };
    let mut lines = rooms(&json!({"no_orphans": true}));
    lines.extend([
        ("a", select(1, &json!(["B2"])), orphan(1)),
        ("a", select(2, &json!(["B2", "B3"])), orphan(2)),
        ("a", select(3, &json!(["B1", "B2"])), held(3, &json!(["B1", "B2"]))),
        // Four are left in row B: one of them in the middle would leave one alone.
        ("a", select(4, &json!(["B4"])), orphan(4)),
        block(&json!(["A1", "A2", "A3", "A4", "A5", "A6", "B5", "B6"])),
        // Two are left: who wants one has no other choice.
        ("a", select(5, &json!(["B3"])), held(5, &json!(["B3"]))),
        unblock(&json!(["A1", "A2", "A3"])),
        // The backend is not bound by it.
        ("api", api("POST /rooms/r/hold", &json!({"holder": "k", "seats": ["A2"]})), json!({"status": 200})),
    ]);
    check(&[], &lines);
}
