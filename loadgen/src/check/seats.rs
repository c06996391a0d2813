//! Rooms and seats: joining, selecting, releasing, and what the others are told.

use serde_json::{Value, json};

use super::peer::is_time;
use super::{Context, Outcome, Step, ensure};

pub(super) const STEPS: &[Step] = &[
    ("nothing is sent until the client asks; ping is answered", ping),
    ("joining an empty room: room_joined alone, with seq, epoch and now", join_empty),
    ("joining a room with held seats: a full state follows", join_held),
    ("a select is answered without user_info and told to the others with it", select),
    ("user_info comes back as the same JSON value", user_info),
    ("selecting one's own seat again: the same answer, no broadcast", again),
    ("a release is answered and told to the others", release),
    ("seq grows by one with every change and agrees between members", sequence),
    ("leaving keeps the holds and ends the broadcasts", leave),
    ("selecting works without joining, without broadcasts", without_joining),
    ("when a connection ends its holds are released as disconnected", disconnect),
    ("two connections with one client_id are two owners", same_name),
    ("room x:y seat z is not room x seat y:z", colons),
    ("200 requests in one write are answered in their order", pipelined),
];

fn ping(context: &Context<'_>) -> Outcome {
    let mut peer = context.connect(&context.name("ping"))?;
    let pong = peer.ask(&json!({"type": "ping"}), "pong")?;
    ensure(is_time(&pong["timestamp"]), || pong.to_string())
}

fn join_empty(context: &Context<'_>) -> Outcome {
    let room = context.name("empty");
    let (mut peer, joined) = context.member("a", &room)?;
    let named = joined["room_id"] == room.as_str() && joined["client_id"] == peer.id.as_str();
    ensure(named && joined["seq"].is_u64() && joined["epoch"].is_string() && is_time(&joined["now"]), || {
        joined.to_string()
    })?;
    peer.quiet()
}

fn join_held(context: &Context<'_>) -> Outcome {
    let room = context.name("held");
    let (mut first, _) = context.member("a", &room)?;
    let selected = first.select(&room, "A1")?;
    let (mut second, joined) = context.member("b", &room)?;
    let state = second.expect("current_selections")?;
    let one = &state["selections"][0];
    let right = one["client_id"] == first.id.as_str()
        && one["seat_id"] == "A1"
        && one["room_id"] == room.as_str()
        && one["user_info"] == json!({"name": "Eva"});
    ensure(right && is_time(&one["timestamp"]) && one["expires_at"] == selected["expires_at"], || state.to_string())?;
    ensure(state["seq"] == joined["seq"] && state["seq"] == selected["seq"], || {
        format!("seq differs: {joined} {state} {selected}")
    })?;
    second.quiet()
}

fn select(context: &Context<'_>) -> Outcome {
    let room = context.name("select");
    let (mut first, _) = context.member("a", &room)?;
    let (mut second, _) = context.member("b", &room)?;
    let own = first.select(&room, "A1")?;
    ensure(own.get("user_info").is_none() && is_time(&own["expires_at"]), || own.to_string())?;
    let told = second.expect("seat_selected")?;
    let same = ["seat_id", "room_id", "client_id", "seq", "expires_at"].iter().all(|key| own[key] == told[key]);
    ensure(same && told["user_info"] == json!({"name": "Eva"}), || format!("{own} and {told}"))?;
    first.quiet()
}

fn user_info(context: &Context<'_>) -> Outcome {
    let room = context.name("info");
    let (mut first, _) = context.member("a", &room)?;
    let (mut second, _) = context.member("b", &room)?;
    let info = r#"{"name":"Jos\u00e9 \"x\"","n":1.50,"big":12345678901234567890123,"list":[null,true,{"type":"error"}],"seq":7}"#;
    first.send_text(&format!(r#"{{"type":"select_seat","user_info":{info},"seat_id":"A1","room_id":"{room}"}}"#))?;
    first.expect("seat_selected")?;
    let told = second.expect("seat_selected")?;
    let wanted: Value = serde_json::from_str(info).map_err(|error| error.to_string())?;
    ensure(told["user_info"] == wanted, || told.to_string())?;
    let mut third = context.connect(&context.name("c"))?;
    third.ask(&json!({"type": "select_seat", "room_id": room, "seat_id": "A2"}), "seat_selected")?;
    let told = second.expect("seat_selected")?;
    ensure(told["user_info"] == json!({}), || format!("missing user_info means {{}}: {told}"))
}

fn again(context: &Context<'_>) -> Outcome {
    let room = context.name("again");
    let (mut first, _) = context.member("a", &room)?;
    let (mut second, _) = context.member("b", &room)?;
    let once = first.select(&room, "A1")?;
    let twice = first.select(&room, "A1")?;
    ensure(once["expires_at"] == twice["expires_at"], || format!("{once} and {twice}"))?;
    second.expect("seat_selected")?;
    second.quiet()
}

fn release(context: &Context<'_>) -> Outcome {
    let room = context.name("release");
    let (mut first, _) = context.member("a", &room)?;
    let (mut second, _) = context.member("b", &room)?;
    first.select(&room, "A1")?;
    second.expect("seat_selected")?;
    let own = first.release(&room, "A1")?;
    let told = second.expect("seat_released")?;
    ensure(
        own["client_id"] == first.id.as_str() && own["reason"] == "released" && told["reason"] == "released",
        || format!("{own} and {told}"),
    )?;
    second.select(&room, "A1")?;
    first.expect("seat_selected").map(|_| ())
}

fn sequence(context: &Context<'_>) -> Outcome {
    let room = context.name("sequence");
    let (mut first, joined) = context.member("a", &room)?;
    let (mut second, _) = context.member("b", &room)?;
    let mut seq = joined["seq"].as_u64().ok_or_else(|| joined.to_string())?;
    for seat in ["A1", "A2", "A3"] {
        for request in ["select", "release"] {
            let own = if request == "select" { first.select(&room, seat)? } else { first.release(&room, seat)? };
            let told = second.next()?;
            seq += 1;
            ensure(own["seq"] == seq && told["seq"] == seq, || format!("expected seq {seq}: {own} and {told}"))?;
        }
    }
    Ok(())
}

fn leave(context: &Context<'_>) -> Outcome {
    let room = context.name("leave");
    let (mut first, _) = context.member("a", &room)?;
    let (mut second, _) = context.member("b", &room)?;
    first.select(&room, "A1")?;
    second.expect("seat_selected")?;
    let request = json!({"type": "leave_room", "room_id": room});
    let left = first.ask(&request, "room_left")?;
    ensure(left["room_id"] == room.as_str() && left["client_id"] == first.id.as_str(), || left.to_string())?;
    first.ask(&request, "room_left")?;
    second.refused(&json!({"type": "select_seat", "room_id": room, "seat_id": "A1"}), "seat_taken")?;
    second.select(&room, "A2")?;
    first.quiet()?;
    first.release(&room, "A1").map(|_| ())
}

fn without_joining(context: &Context<'_>) -> Outcome {
    let room = context.name("outside");
    let (mut member, _) = context.member("a", &room)?;
    let mut outside = context.connect(&context.name("b"))?;
    outside.select(&room, "A1")?;
    member.expect("seat_selected")?;
    member.select(&room, "A2")?;
    outside.quiet()?;
    outside.release(&room, "A1")?;
    member.expect("seat_released").map(|_| ())
}

fn disconnect(context: &Context<'_>) -> Outcome {
    let room = context.name("disconnect");
    let (mut first, _) = context.member("a", &room)?;
    let (mut second, _) = context.member("b", &room)?;
    first.select(&room, "A1")?;
    second.expect("seat_selected")?;
    drop(first);
    let told = second.expect("seat_released")?;
    ensure(told["reason"] == "disconnected" && told["seat_id"] == "A1", || told.to_string())?;
    second.select(&room, "A1").map(|_| ())
}

fn same_name(context: &Context<'_>) -> Outcome {
    let room = context.name("twins");
    let (mut first, _) = context.member("twin", &room)?;
    first.select(&room, "A1")?;
    let (mut second, _) = context.member("twin", &room)?;
    second.expect("current_selections")?;
    second.refused(&json!({"type": "select_seat", "room_id": room, "seat_id": "A1"}), "seat_taken")?;
    second.refused(&json!({"type": "release_seat", "room_id": room, "seat_id": "A1"}), "not_owner")?;
    drop(second);
    let mut third = context.connect(&context.name("third"))?;
    third.refused(&json!({"type": "select_seat", "room_id": room, "seat_id": "A1"}), "seat_taken")?;
    first.release(&room, "A1").map(|_| ())
}

fn colons(context: &Context<'_>) -> Outcome {
    let (wide, narrow) = (context.name("x:y"), context.name("x"));
    let mut first = context.connect(&context.name("a"))?;
    let mut second = context.connect(&context.name("b"))?;
    first.select(&wide, "z")?;
    second.select(&narrow, "y:z").map(|_| ())
}

fn pipelined(context: &Context<'_>) -> Outcome {
    let room = context.name("pipe");
    let (mut peer, _) = context.member("a", &room)?;
    let mut bytes = Vec::new();
    for _ in 0..100 {
        for kind in ["select_seat", "release_seat"] {
            let text = json!({"type": kind, "room_id": room, "seat_id": "A1"}).to_string();
            crate::ws::push_frame(&mut bytes, crate::ws::TEXT, text.as_bytes());
        }
    }
    peer.send_raw(&bytes)?;
    for _ in 0..100 {
        peer.expect("seat_selected")?;
        peer.expect("seat_released")?;
    }
    peer.quiet()
}
