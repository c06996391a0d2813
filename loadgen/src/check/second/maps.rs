//! Maps: snapshots, deltas, and going on from a number.

use serde_json::{Value, json};

use super::super::peer::is_time;
use super::super::{Context, Outcome, Step, ensure};
use super::member::{is_empty, names};

pub(super) const STEPS: &[Step] = &[
    ("room_joined says where the room stands, then comes one snapshot with an empty cart", join),
    ("a delta begins where the last one ended, and has the last state of each seat", deltas),
    ("a delta is the same for all members, with nobody's name in it", shared),
    ("a fresh snapshot is what the deltas add up to, and what HTTP lists", sync),
    ("since: what happened is one delta with each seat once", since),
    ("since now: an empty delta", since_now),
    ("since another epoch, a later number, or what is none: a snapshot", since_unknown),
    ("leave_room: the cart stays, no delta comes any more", leave),
];

fn join(context: &Context<'_>) -> Outcome {
    let room = context.name("join");
    let (mut member, joined, snapshot) = context.second_in("a", &room)?;
    let known = joined["epoch"].is_string()
        && joined["seq"].is_u64()
        && is_time(&joined["now"])
        && joined["layout"].is_null()
        && joined["sale"] == "open"
        && joined["hold_ms"].is_u64()
        && joined["max_seats"].is_u64()
        && joined["tick_ms"].is_u64();
    ensure(known, || joined.to_string())?;
    let same = snapshot["epoch"] == joined["epoch"] && snapshot["seq"] == joined["seq"];
    ensure(same && snapshot["seats"] == json!([]) && snapshot.get("id").is_none(), || snapshot.to_string())?;
    is_empty(&snapshot["cart"])?;
    member.ask("ping", "", json!({}), "pong").map(|_| ())
}

/// The last state of each seat in these deltas.
fn fold(deltas: &[Value]) -> std::collections::BTreeMap<String, u64> {
    let changes = deltas.iter().flat_map(|delta| delta["changes"].as_array().into_iter().flatten());
    let pair = |change: &Value| Some((change[0].as_str()?.to_owned(), change[1].as_u64()?));
    changes.filter_map(pair).collect()
}

fn deltas(context: &Context<'_>) -> Outcome {
    let room = context.name("deltas");
    let (mut watcher, joined, _) = context.second_in("w", &room)?;
    let mut buyer = context.second("b")?;
    buyer.hold(&room, &["A1", "A2"])?;
    buyer.ask("release_seats", &room, json!({"seats": ["A1"]}), "seats_released")?;
    let last = buyer.hold(&room, &["B1"])?;
    let seq = last["seq"].as_u64().unwrap_or(0);
    let start = joined["seq"].as_u64().unwrap_or(0);
    ensure(seq == start + 4, || format!("four changes after {start}: {last}"))?;
    let all = watcher.follow(start, seq)?;
    for delta in &all {
        let changes = delta["changes"].as_array().map_or(0, Vec::len);
        ensure(fold(std::slice::from_ref(delta)).len() == changes, || format!("a seat twice: {delta}"))?;
    }
    let expected = [("A1", 0), ("A2", 1), ("B1", 1)].map(|(seat, state)| (seat.to_owned(), state));
    ensure(fold(&all) == expected.into_iter().collect(), || format!("{all:?}"))
}

fn shared(context: &Context<'_>) -> Outcome {
    let room = context.name("shared");
    let (mut one, joined, _) = context.second_in("one", &room)?;
    let (mut two, ..) = context.second_in("two", &room)?;
    let mut buyer = context.second("secretive")?;
    let more = json!({"seats": ["A1"], "user_info": {"name": "Eva"}});
    let held = buyer.ask("select_seats", &room, more, "seats_held")?;
    let (from, to) = (joined["seq"].as_u64().unwrap_or(0), held["seq"].as_u64().unwrap_or(0));
    let (first, second) = (one.follow(from, to)?, two.follow(from, to)?);
    let text = format!("{first:?}");
    let session = buyer.hello["session_id"].as_str().unwrap_or("?");
    ensure(!["Eva", "secretive", session].iter().any(|name| text.contains(name)), || text.clone())?;
    ensure(fold(&first) == fold(&second), || format!("{first:?} and {second:?}"))
}

fn sync(context: &Context<'_>) -> Outcome {
    let room = context.name("sync");
    let (mut member, joined, _) = context.second_in("a", &room)?;
    let held = member.hold(&room, &["A1", "A2"])?;
    member.ask("release_seats", &room, json!({"seats": ["A2"]}), "seats_released")?;
    let all = member.follow(joined["seq"].as_u64().unwrap_or(0), held["seq"].as_u64().unwrap_or(0) + 1)?;
    let snapshot = member.ask("sync", &room, json!({}), "snapshot")?;
    let right = snapshot["seats"] == json!([["A1", 1]]) && names(&snapshot["cart"]["seats"]) == ["A1"];
    ensure(right, || snapshot.to_string())?;
    let taken: Vec<String> = fold(&all).into_iter().filter(|(_, state)| *state > 0).map(|(seat, _)| seat).collect();
    ensure(taken == ["A1"], || format!("{taken:?}"))?;
    let path = format!("/room/{room}/selections");
    let answer = crate::http::get(context.target.addr, &path, std::time::Duration::from_secs(5));
    let body = answer.map_err(|error| error.to_string())?.body;
    let list: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    let one = &list["selections"][0];
    let right = one["seat_id"] == "A1" && one["status"] == "held" && list["selections"][1].is_null();
    ensure(right, || list.to_string())
}

fn since(context: &Context<'_>) -> Outcome {
    let room = context.name("since");
    let (mut member, joined, _) = context.second_in("a", &room)?;
    // Somebody stays, so that the room does.
    let (mut buyer, ..) = context.second_in("b", &room)?;
    member.ask("leave_room", &room, json!({}), "room_left")?;
    buyer.hold(&room, &["A1", "A2"])?;
    buyer.ask("release_seats", &room, json!({"all": true}), "seats_released")?;
    let last = buyer.hold(&room, &["A2"])?;
    let start = joined["seq"].as_u64().unwrap_or(0);
    let position = json!({"epoch": joined["epoch"], "seq": start});
    let again = member.ask("join_room", &room, json!({"since": position}), "room_joined")?;
    let delta = member.get("delta")?;
    let numbers = delta["from"] == start + 1 && delta["to"] == again["seq"] && again["seq"] == last["seq"];
    let changes =
        delta["changes"] == json!([["A1", 0], ["A2", 1]]) || delta["changes"] == json!([["A2", 1], ["A1", 0]]);
    ensure(numbers && changes, || format!("{again} {delta}"))
}

fn since_now(context: &Context<'_>) -> Outcome {
    let room = context.name("now");
    let (mut member, joined, _) = context.second_in("a", &room)?;
    let position = json!({"epoch": joined["epoch"], "seq": joined["seq"]});
    member.ask("join_room", &room, json!({"since": position}), "room_joined")?;
    let delta = member.get("delta")?;
    let (from, to) = (delta["from"].as_u64().unwrap_or(0), delta["to"].as_u64().unwrap_or(u64::MAX));
    ensure(from == to.wrapping_add(1) && delta["changes"] == json!([]), || delta.to_string())
}

fn since_unknown(context: &Context<'_>) -> Outcome {
    let room = context.name("unknown");
    let (mut member, joined, _) = context.second_in("a", &room)?;
    let epoch = &joined["epoch"];
    for position in [
        json!({"epoch": "0", "seq": 0}),
        json!({"epoch": epoch, "seq": 1_000_000}),
        json!({"epoch": epoch, "seq": -1}),
        json!({"epoch": epoch, "seq": "0"}),
        json!({"epoch": 7, "seq": 0}),
        json!({"seq": 0}),
        json!(7),
        json!(null),
    ] {
        member.ask("join_room", &room, json!({"since": position}), "room_joined")?;
        member.get("snapshot").map_err(|error| format!("{position}: {error}"))?;
    }
    Ok(())
}

fn leave(context: &Context<'_>) -> Outcome {
    let room = context.name("leave");
    let (mut member, ..) = context.second_in("a", &room)?;
    member.hold(&room, &["A1"])?;
    member.ask("leave_room", &room, json!({}), "room_left")?;
    let mut other = context.second("b")?;
    let taken = other.refused("select_seats", &room, json!({"seats": ["A1", "A2"]}), "seats_unavailable")?;
    ensure(taken["conflicts"] == json!([{"seat_id": "A1", "state": 1}]), || taken.to_string())?;
    let held = member.hold(&room, &["A2"])?;
    ensure(names(&held["cart"]["seats"]) == ["A1", "A2"], || held.to_string())
}
