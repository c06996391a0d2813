//! Refusals: each has its code, none closes the connection, none changes anything.

use serde_json::json;

use super::{Context, Outcome, Step, ensure};

pub(super) const STEPS: &[Step] = &[
    ("a taken seat is refused with its room, seat and request", taken),
    ("a release of a free seat is not_held, of another's not_owner", not_mine),
    ("what is not a JSON object is bad_json", bad_json),
    ("a missing, wrong or oversized field is bad_request", bad_request),
    ("an unknown type is unknown_type", unknown_type),
    ("user_info beyond its limit is refused", big_user_info),
    ("unknown fields are ignored", unknown_fields),
    ("more seats than one client may hold are refused", limit),
];

fn taken(context: &Context<'_>) -> Outcome {
    let room = context.name("taken");
    let (mut first, _) = context.member("a", &room)?;
    let (mut second, _) = context.member("b", &room)?;
    first.select(&room, "A1")?;
    second.expect("seat_selected")?;
    let refusal = second.refused(&json!({"type": "select_seat", "room_id": room, "seat_id": "A1"}), "seat_taken")?;
    let named =
        refusal["room_id"] == room.as_str() && refusal["seat_id"] == "A1" && refusal["request_type"] == "select_seat";
    ensure(named, || refusal.to_string())?;
    first.quiet()
}

fn not_mine(context: &Context<'_>) -> Outcome {
    let room = context.name("not-mine");
    let (mut first, _) = context.member("a", &room)?;
    let (mut second, _) = context.member("b", &room)?;
    let release = json!({"type": "release_seat", "room_id": room, "seat_id": "A1"});
    second.refused(&release, "not_held")?;
    first.select(&room, "A1")?;
    second.expect("seat_selected")?;
    second.refused(&release, "not_owner")?;
    first.quiet()
}

fn bad_json(context: &Context<'_>) -> Outcome {
    let mut peer = context.connect(&context.name("bad"))?;
    for text in ["", "nonsense", "{", "[1,2]", "\"x\"", "7", "{\"type\":\"ping\"", "{\"type\":\"ping\"} x"] {
        peer.send_text(text)?;
        let message = peer.expect("error")?;
        ensure(message["code"] == "bad_json", || format!("{text}: {message}"))?;
    }
    peer.quiet()
}

fn bad_request(context: &Context<'_>) -> Outcome {
    let mut peer = context.connect(&context.name("bad"))?;
    let long = "x".repeat(129);
    let requests = [
        json!({}),
        json!({"type": 7}),
        json!({"type": "join_room"}),
        json!({"type": "join_room", "room_id": 7}),
        json!({"type": "join_room", "room_id": ""}),
        json!({"type": "join_room", "room_id": long}),
        json!({"type": "join_room", "room_id": "a\u{7}b"}),
        json!({"type": "select_seat", "room_id": "r"}),
        json!({"type": "select_seat", "room_id": "r", "seat_id": null}),
        json!({"type": "select_seat", "room_id": "r", "seat_id": "s", "user_info": "text"}),
        json!({"type": "release_seat", "seat_id": "s"}),
    ];
    for request in requests {
        peer.refused(&request, "bad_request")?;
    }
    peer.quiet()
}

fn unknown_type(context: &Context<'_>) -> Outcome {
    let mut peer = context.connect(&context.name("bad"))?;
    peer.refused(&json!({"type": "dance", "room_id": "r"}), "unknown_type")?;
    peer.quiet()
}

fn big_user_info(context: &Context<'_>) -> Outcome {
    let room = context.name("big");
    let (mut first, _) = context.member("a", &room)?;
    let (mut second, _) = context.member("b", &room)?;
    let request =
        json!({"type": "select_seat", "room_id": room, "seat_id": "A1", "user_info": {"x": "y".repeat(60_000)}});
    first.refused(&request, "bad_request")?;
    second.quiet()
}

fn unknown_fields(context: &Context<'_>) -> Outcome {
    let room = context.name("fields");
    let (mut peer, _) = context.member("a", &room)?;
    let request = json!({"x": [1], "type": "select_seat", "room_id": room, "seat_id": "A1", "nested": {"type": "ping", "seat_id": "B2"}});
    let own = peer.ask(&request, "seat_selected")?;
    ensure(own["seat_id"] == "A1", || own.to_string())
}

/// A server may have no limit; then 20 seats are simply granted.
fn limit(context: &Context<'_>) -> Outcome {
    let room = context.name("limit");
    let (mut peer, _) = context.member("a", &room)?;
    for seat in 0..20 {
        peer.send(&json!({"type": "select_seat", "room_id": room, "seat_id": format!("A{seat}")}))?;
        let reply = peer.next()?;
        if reply["type"] == "error" {
            ensure(reply["code"] == "limit_exceeded", || reply.to_string())?;
            ensure(seat > 0, || "not even one seat".to_owned())?;
            peer.release(&room, "A0")?;
            return peer.select(&room, "B1").map(|_| ());
        }
        ensure(reply["type"] == "seat_selected", || reply.to_string())?;
    }
    Ok(())
}
