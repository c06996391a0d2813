//! Rooms with a layout: numbers instead of names, and the best seats.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::super::{Context, Outcome, Step, ensure};
use super::member::names;
use crate::second::map::Map;

pub(super) const STEPS: &[Step] = &[
    ("room_joined names the layout, which is served for ever under its version", layout),
    ("a map is two bits a seat, a change a number, in the order of numbers", numbers),
    ("select_best: next to each other, the best row first, the middle first", best),
    ("select_best leaves nobody alone while it can", nobody_alone),
    ("select_best with adjacent false comes in pieces", pieces),
    ("not_enough_seats says how many are free, no_adjacent_seats how many together", refusals),
    ("a seat that is not in the layout is unknown_seat", unknown),
    ("no_orphans: a seat left alone is orphan_seat, with alternatives", orphans),
    ("max_seats of the room is limit_exceeded", limit),
];

fn layout(context: &Context<'_>) -> Outcome {
    let room = context.laid_out("layout", "")?;
    let (_member, joined, _) = context.second_in("a", &room)?;
    let layout = &joined["layout"];
    let (Some(id), Some(version)) = (layout["id"].as_str(), layout["version"].as_str()) else {
        return Err(joined.to_string());
    };
    ensure(layout["seats"] == 10, || joined.to_string())?;
    let path = format!("/layouts/{id}/{version}");
    let answer = crate::http::get(context.target.addr, &path, std::time::Duration::from_secs(5));
    let answer = answer.map_err(|error| error.to_string())?;
    let immutable = answer.head.to_ascii_lowercase().contains("immutable");
    ensure(answer.status == 200 && immutable, || format!("{path}: {} {}", answer.status, answer.head))
}

/// The states of the ten seats.
fn states(snapshot: &Value) -> Result<Vec<u8>, String> {
    let bytes =
        BASE64_STANDARD.decode(snapshot["states"].as_str().unwrap_or("?")).map_err(|error| error.to_string())?;
    ensure(bytes.len() == 3, || snapshot.to_string())?;
    Ok((0..10).map(|seat| bytes[seat / 4] >> (2 * (seat % 4)) & 3).collect())
}

fn numbers(context: &Context<'_>) -> Outcome {
    let room = context.laid_out("numbers", "")?;
    let (mut member, joined, snapshot) = context.second_in("a", &room)?;
    ensure(states(&snapshot)? == [0; 10], || snapshot.to_string())?;
    context.api().ask("POST", &format!("/v1/rooms/{room}/block"), r#"{"seats":["B5"],"label":"x"}"#)?;
    member.hold(&room, &["B1", "A2"])?;
    let start = joined["seq"].as_u64().unwrap_or(0);
    let all = member.follow(start, start + 3)?;
    let changes: Vec<&Value> = all.iter().flat_map(|delta| delta["changes"].as_array().into_iter().flatten()).collect();
    for delta in &all {
        let places: Vec<u64> =
            delta["changes"].as_array().into_iter().flatten().filter_map(|change| change[0].as_u64()).collect();
        ensure(places.is_sorted(), || delta.to_string())?;
    }
    let expected = [json!([1, 1]), json!([5, 1]), json!([9, 3])];
    ensure(changes.len() == 3 && expected.iter().all(|change| changes.contains(&change)), || format!("{all:?}"))?;
    let snapshot = member.ask("sync", &room, json!({}), "snapshot")?;
    ensure(states(&snapshot)? == [0, 1, 0, 0, 0, 1, 0, 0, 0, 3], || snapshot.to_string())?;
    let packed = member.ask("sync", &room, json!({"packed": true}), "snapshot")?;
    // A server of before does not pack.
    let Some(text) = packed["packed"].as_str() else { return ensure(states(&packed).is_ok(), || packed.to_string()) };
    let same = Map::of_packed(text, 10) == Map::of_states(snapshot["states"].as_str().unwrap_or("?"), 10);
    ensure(same && packed["states"].is_null(), || packed.to_string())
}

fn best(context: &Context<'_>) -> Outcome {
    let room = context.laid_out("best", "")?;
    let mut member = context.second("a")?;
    let held = member.ask("select_best", &room, json!({"quantity": 3}), "seats_held")?;
    ensure(names(&held["seats"]) == ["A1", "A2", "A3"] || names(&held["seats"]) == ["A3", "A4", "A5"], || {
        held.to_string()
    })?;
    let held = member.ask("select_best", &room, json!({"quantity": 5}), "seats_held")?;
    ensure(names(&held["seats"]) == ["B1", "B2", "B3", "B4", "B5"], || held.to_string())
}

fn nobody_alone(context: &Context<'_>) -> Outcome {
    let room = context.laid_out("alone", "")?;
    let mut member = context.second("a")?;
    // Four of five would leave one: the rows are of five, so the two of one row, then the three.
    let held = member.ask("select_best", &room, json!({"quantity": 2}), "seats_held")?;
    let alone = [["A2", "A3"], ["A3", "A4"]].iter().any(|pair| names(&held["seats"]) == *pair);
    ensure(!alone, || held.to_string())
}

fn pieces(context: &Context<'_>) -> Outcome {
    let room = context.laid_out("pieces", "")?;
    let mut member = context.second("a")?;
    let held = member.ask("select_best", &room, json!({"quantity": 7, "adjacent": false}), "seats_held")?;
    let seats = names(&held["seats"]);
    let rows = |row: &str| seats.iter().filter(|seat| seat.starts_with(row)).count();
    ensure(seats.len() == 7 && rows("A") != 1 && rows("B") != 1, || held.to_string())
}

fn refusals(context: &Context<'_>) -> Outcome {
    let room = context.laid_out("refusals", "")?;
    let mut member = context.second("a")?;
    let refusal = member.refused("select_best", &room, json!({"quantity": 6}), "no_adjacent_seats")?;
    ensure(refusal["largest_adjacent"] == 5, || refusal.to_string())?;
    member.hold(&room, &["A3", "B3"])?;
    let mut other = context.second("b")?;
    let refusal = other.refused("select_best", &room, json!({"quantity": 3}), "no_adjacent_seats")?;
    ensure(refusal["largest_adjacent"] == 2, || refusal.to_string())?;
    let refusal = other.refused("select_best", &room, json!({"quantity": 9}), "not_enough_seats")?;
    ensure(refusal["free"] == 8, || refusal.to_string())?;
    let more = json!({"quantity": 1, "sections": ["nowhere"]});
    let refusal = other.refused("select_best", &room, more, "not_enough_seats")?;
    ensure(refusal["free"] == 0, || refusal.to_string())
}

fn unknown(context: &Context<'_>) -> Outcome {
    let room = context.laid_out("seats", "")?;
    let mut member = context.second("a")?;
    member.refused("select_seats", &room, json!({"seats": ["A1", "C1"]}), "unknown_seat")?;
    let mut first = context.first().connect(&context.name("v1"))?;
    first.refused(&json!({"type": "select_seat", "room_id": room, "seat_id": "C1"}), "unknown_seat").map(|_| ())
}

fn orphans(context: &Context<'_>) -> Outcome {
    let room = context.laid_out("orphans", r#","no_orphans":true"#)?;
    let mut member = context.second("a")?;
    let refusal = member.refused("select_seats", &room, json!({"seats": ["A2", "A3"]}), "orphan_seat")?;
    let list = refusal["alternatives"].as_array().map_or(0, Vec::len);
    ensure(list > 0 && refusal["alternatives"][0].as_array().map(Vec::len) == Some(2), || refusal.to_string())?;
    member.hold(&room, &["A1", "A2"]).map(|_| ())
}

fn limit(context: &Context<'_>) -> Outcome {
    let room = context.laid_out("limit", r#","max_seats":2"#)?;
    let (mut member, joined, _) = context.second_in("a", &room)?;
    ensure(joined["max_seats"] == 2, || joined.to_string())?;
    member.refused("select_seats", &room, json!({"seats": ["A1", "A2", "A3"]}), "limit_exceeded")?;
    member.hold(&room, &["A1", "A2"])?;
    member.refused("select_best", &room, json!({"quantity": 1}), "limit_exceeded").map(|_| ())
}
