//! Carts: all or nothing, swaps, releases, and the one clock.

use serde_json::{Value, json};

use super::super::peer::is_time;
use super::super::{Context, Outcome, Step, ensure};
use super::member::{is_empty, names};

pub(super) const STEPS: &[Step] = &[
    ("select_seats holds all of its seats or none, and names those in the way", all_or_nothing),
    ("seats that one holds already are no error, and no change", again),
    ("select_seats with release swaps in one step", swap),
    ("release of what is not one's own is not_held or not_owner, with conflicts", foreign_release),
    ("release_seats with a seat of somebody else releases nothing", release),
    ("release_seats with all empties the cart", release_all),
    ("select_seat and release_seat are taken as the one-seat forms", one_seat),
    ("more seats do not move the deadline", deadline),
    ("extend_hold moves it as often as it says, then it is extend_limit", extend),
    ("letting go and taking again is no new life", no_new_life),
    ("v1 members see one event a seat, in one order with all others", first_protocol),
    ("a select of v1 is a change on the maps of v2", both_see),
];

fn all_or_nothing(context: &Context<'_>) -> Outcome {
    let room = context.name("all");
    let (mut one, mut two) = (context.second("a")?, context.second("b")?);
    let held = one.hold(&room, &["A1", "A2"])?;
    let cart = &held["cart"];
    let whole = names(&held["seats"]) == ["A1", "A2"] && names(&cart["seats"]) == ["A1", "A2"];
    ensure(
        whole && is_time(&cart["expires_at"]) && cart["extends_left"].is_u64() && cart["orders"] == json!([]),
        || held.to_string(),
    )?;
    let refusal = two.refused("select_seats", &room, json!({"seats": ["B1", "A2", "B2"]}), "seats_unavailable")?;
    ensure(refusal["conflicts"] == json!([{"seat_id": "A2", "state": 1}]), || refusal.to_string())?;
    ensure(refusal["request_type"] == "select_seats" && refusal["room_id"] == room.as_str(), || refusal.to_string())?;
    one.hold(&room, &["B1", "B2"]).map(|_| ())
}

fn again(context: &Context<'_>) -> Outcome {
    let room = context.name("again");
    let mut member = context.second("a")?;
    let first = member.hold(&room, &["A1", "A2"])?;
    let second = member.hold(&room, &["A1", "A2"])?;
    ensure(first["seq"] == second["seq"] && first["cart"] == second["cart"], || format!("{first} {second}"))?;
    let third = member.hold(&room, &["A2", "A3"])?;
    ensure(names(&third["cart"]["seats"]) == ["A1", "A2", "A3"], || third.to_string())
}

fn swap(context: &Context<'_>) -> Outcome {
    let room = context.name("swap");
    let (mut one, mut two) = (context.second("a")?, context.second("b")?);
    one.hold(&room, &["A1", "A2"])?;
    two.hold(&room, &["C1"])?;
    let more = json!({"seats": ["B1"], "release": ["A1"]});
    let swapped = one.ask("select_seats", &room, more, "seats_held")?;
    let mut seats = names(&swapped["cart"]["seats"]);
    seats.sort_unstable();
    ensure(seats == ["A2", "B1"], || swapped.to_string())?;
    // When it cannot be, nothing is let go.
    let more = json!({"seats": ["C1"], "release": ["A2"]});
    one.refused("select_seats", &room, more, "seats_unavailable")?;
    let taken = two.refused("select_seats", &room, json!({"seats": ["A2"]}), "seats_unavailable")?;
    ensure(taken["conflicts"][0]["seat_id"] == "A2", || taken.to_string())
}

fn foreign_release(context: &Context<'_>) -> Outcome {
    let room = context.name("foreign");
    let (mut one, mut two) = (context.second("a")?, context.second("b")?);
    one.hold(&room, &["A1"])?;
    for (kind, more, code, seat) in [
        ("release_seats", json!({"seats": ["A1"]}), "not_owner", "A1"),
        ("release_seats", json!({"seats": ["A9"]}), "not_held", "A9"),
        ("select_seats", json!({"seats": ["B1"], "release": ["A1"]}), "not_owner", "A1"),
        ("select_seats", json!({"seats": ["B1"], "release": ["A9"]}), "not_held", "A9"),
    ] {
        let refusal = two.refused(kind, &room, more, code)?;
        let found = refusal["conflicts"].as_array().and_then(|list| list.first()).map(|one| &one["seat_id"]);
        ensure(found == Some(&Value::from(seat)), || refusal.to_string())?;
    }
    one.hold(&room, &["B1"]).map(|_| ())
}

fn release(context: &Context<'_>) -> Outcome {
    let room = context.name("release");
    let (mut one, mut two) = (context.second("a")?, context.second("b")?);
    one.hold(&room, &["A1", "A2"])?;
    two.hold(&room, &["B1"])?;
    one.refused("release_seats", &room, json!({"seats": ["A1", "B1"]}), "not_owner")?;
    two.refused("select_seats", &room, json!({"seats": ["A1"]}), "seats_unavailable")?;
    let released = one.ask("release_seats", &room, json!({"seats": ["A1"]}), "seats_released")?;
    let right = names(&released["seats"]) == ["A1"] && names(&released["cart"]["seats"]) == ["A2"];
    ensure(right && released["seq"].is_u64(), || released.to_string())?;
    two.hold(&room, &["A1"]).map(|_| ())
}

fn release_all(context: &Context<'_>) -> Outcome {
    let room = context.name("all");
    let mut member = context.second("a")?;
    member.hold(&room, &["Z1", "Z2"])?;
    let released = member.ask("release_seats", &room, json!({"all": true}), "seats_released")?;
    let mut seats = names(&released["seats"]);
    seats.sort_unstable();
    ensure(seats == ["Z1", "Z2"], || released.to_string())?;
    is_empty(&released["cart"])
}

fn one_seat(context: &Context<'_>) -> Outcome {
    let room = context.name("one");
    let mut member = context.second("a")?;
    let held = member.ask("select_seat", &room, json!({"seat_id": "A1"}), "seats_held")?;
    ensure(names(&held["seats"]) == ["A1"], || held.to_string())?;
    let released = member.ask("release_seat", &room, json!({"seat_id": "A1"}), "seats_released")?;
    is_empty(&released["cart"])
}

fn deadline(context: &Context<'_>) -> Outcome {
    let room = context.name("deadline");
    let mut member = context.second("a")?;
    let first = member.hold(&room, &["A1"])?;
    std::thread::park_timeout(std::time::Duration::from_millis(20));
    let second = member.hold(&room, &["A2"])?;
    let same = first["cart"]["expires_at"] == second["cart"]["expires_at"];
    ensure(same, || format!("{first} {second}"))
}

/// A time of the wire in milliseconds.
fn ms(value: &Value) -> u64 {
    value.as_str().and_then(|text| crate::clock::parse_wire_time(text.as_bytes())).unwrap_or(0)
}

fn extend(context: &Context<'_>) -> Outcome {
    let room = context.name("extend");
    let mut member = context.second("a")?;
    let held = member.hold(&room, &["A1"])?;
    let left = held["cart"]["extends_left"].as_u64().unwrap_or(0);
    let mut before = ms(&held["cart"]["expires_at"]);
    for rest in (0..left).rev() {
        std::thread::park_timeout(std::time::Duration::from_millis(5));
        let extended = member.ask("extend_hold", &room, json!({}), "hold_extended")?;
        let cart = &extended["cart"];
        let after = ms(&cart["expires_at"]);
        ensure(after >= before && cart["extends_left"] == rest, || format!("after {before}: {extended}"))?;
        before = after;
    }
    member.refused("extend_hold", &room, json!({}), "extend_limit").map(|_| ())
}

fn no_new_life(context: &Context<'_>) -> Outcome {
    let room = context.name("life");
    let mut member = context.second("a")?;
    let first = member.hold(&room, &["A1"])?;
    member.ask("release_seats", &room, json!({"all": true}), "seats_released")?;
    std::thread::park_timeout(std::time::Duration::from_millis(20));
    let second = member.hold(&room, &["A2"])?;
    let same = first["cart"]["expires_at"] == second["cart"]["expires_at"];
    ensure(same, || format!("{first} {second}"))
}

fn first_protocol(context: &Context<'_>) -> Outcome {
    let room = context.name("v1");
    let (mut watcher, joined) = context.first().member("w", &room)?;
    let mut buyer = context.second("buyer")?;
    buyer.hold(&room, &["A1", "A2"])?;
    let more = json!({"seats": ["B1"], "release": ["A1"]});
    buyer.ask("select_seats", &room, more, "seats_held")?;
    buyer.ask("release_seats", &room, json!({"all": true}), "seats_released")?;
    let start = joined["seq"].as_u64().unwrap_or(0);
    let mut held = std::collections::BTreeSet::new();
    for seq in start + 1..=start + 6 {
        let event = watcher.next()?;
        let seat = event["seat_id"].as_str().unwrap_or("?").to_owned();
        let known = event["seq"] == seq && event["client_id"] == context.name("buyer").as_str();
        let fits = match event["type"].as_str() {
            Some("seat_selected") => held.insert(seat),
            Some("seat_released") => event["reason"] == "released" && held.remove(&seat),
            _ => false,
        };
        ensure(known && fits, || format!("as number {seq}: {event}"))?;
    }
    ensure(held.is_empty(), || format!("{held:?} are left"))
}

fn both_see(context: &Context<'_>) -> Outcome {
    let room = context.name("both");
    let (mut member, joined, _) = context.second_in("a", &room)?;
    let mut first = context.first().connect(&context.name("v1"))?;
    first.select(&room, "A1")?;
    let start = joined["seq"].as_u64().unwrap_or(0);
    let all = member.follow(start, start + 1)?;
    ensure(all[0]["changes"] == json!([["A1", 1]]), || format!("{all:?}"))?;
    drop(first);
    let all = member.follow(start + 1, start + 2)?;
    ensure(all[0]["changes"] == json!([["A1", 0]]), || format!("{all:?}"))
}
