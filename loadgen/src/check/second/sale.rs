//! The sale: what carts and maps are told of what the shop's backend does.

use serde_json::{Value, json};

use super::super::{Context, Outcome, Step, ensure};
use super::member::{Member, names};

pub(super) const STEPS: &[Step] = &[
    ("checkout takes the cart, and its seats cannot be released", checkout),
    ("book: the cart is told, the map says 2, v1 members see the status", book),
    ("a failed payment gives the cart back", back),
    ("a paused sale refuses holds and extensions, and members are told", paused),
    ("an operator's release is told to its owner", operator),
    ("a disconnect by the operator closes with 4503", disconnect),
];

/// A member with two seats, and its owner's name for the API.
fn buyer(context: &Context<'_>, room: &str) -> Result<(Member, Value, u64), String> {
    let (mut member, joined, _) = context.second_in("buyer", room)?;
    member.hold(room, &["A1", "A2"])?;
    let owner = json!({"owner": {"session_id": member.hello["session_id"]}});
    let start = joined["seq"].as_u64().unwrap_or(0);
    Ok((member, owner, start))
}

fn order(context: &Context<'_>, room: &str, what: &str, method: &str, body: &Value) -> Outcome {
    context.api().ask(method, &format!("/v1/rooms/{room}/orders/o-1{what}"), &body.to_string()).map(|_| ())
}

fn checkout(context: &Context<'_>) -> Outcome {
    let room = context.laid_out("checkout", "")?;
    let (mut member, owner, start) = buyer(context, &room)?;
    order(context, &room, "", "PUT", &owner)?;
    let told = member.get("cart")?;
    let right = told["reason"] == "checkout"
        && names(&told["gone"]) == ["A1", "A2"]
        && told["order"] == "o-1"
        && told["cart"]["seats"] == json!([])
        && told["cart"]["orders"][0]["order"] == "o-1"
        && told["cart"]["orders"][0]["status"] == "checkout";
    ensure(right && told["seq"] == start + 4, || told.to_string())?;
    member.refused("release_seats", &room, json!({"seats": ["A1"]}), "in_checkout")?;
    // The map does not show it, but it is two numbers.
    let all = member.follow(start, start + 4)?;
    let shown = all.iter().flat_map(|delta| delta["changes"].as_array().into_iter().flatten());
    ensure(shown.into_iter().all(|change| change[1] == 1), || format!("{all:?}"))
}

fn book(context: &Context<'_>) -> Outcome {
    let room = context.laid_out("book", "")?;
    let (mut watcher, _) = context.first().member("w", &room)?;
    let (mut member, owner, start) = buyer(context, &room)?;
    order(context, &room, "", "PUT", &owner)?;
    member.get("cart")?;
    order(context, &room, "/book", "POST", &json!({}))?;
    let told = member.get("cart")?;
    let right = told["reason"] == "booked" && told["cart"]["orders"][0]["status"] == "booked";
    ensure(right, || told.to_string())?;
    let all = member.follow(start, start + 6)?;
    let last = all.last().map_or(Value::Null, |delta| delta["changes"].clone());
    ensure(last.to_string().contains("[0,2]") && last.to_string().contains("[1,2]"), || format!("{all:?}"))?;
    for (seq, status) in
        (start + 1..).zip([None, None, Some("checkout"), Some("checkout"), Some("booked"), Some("booked")])
    {
        let event = watcher.expect("seat_selected")?;
        ensure(event["seq"] == seq && event["status"].as_str() == status, || format!("{status:?}: {event}"))?;
    }
    Ok(())
}

fn back(context: &Context<'_>) -> Outcome {
    let room = context.laid_out("back", "")?;
    let (mut member, owner, _) = buyer(context, &room)?;
    order(context, &room, "", "PUT", &owner)?;
    member.get("cart")?;
    order(context, &room, "/cancel", "POST", &json!({"to": "cart"}))?;
    let told = member.get("cart")?;
    let right = told["reason"] == "payment_failed" && names(&told["cart"]["seats"]) == ["A1", "A2"];
    ensure(right, || told.to_string())
}

fn paused(context: &Context<'_>) -> Outcome {
    let room = context.laid_out("paused", "")?;
    let (mut member, ..) = buyer(context, &room)?;
    context.api().ask("PATCH", &format!("/v1/rooms/{room}"), r#"{"sale":"paused","message":"soon"}"#)?;
    let told = member.get("room_state")?;
    ensure(told["sale"] == "paused" && told["message"] == "soon", || told.to_string())?;
    member.refused("select_seats", &room, json!({"seats": ["B1"]}), "sale_paused")?;
    member.refused("extend_hold", &room, json!({}), "sale_paused")?;
    let mut first = context.first().connect(&context.name("v1"))?;
    first.refused(&json!({"type": "select_seat", "room_id": room, "seat_id": "B1"}), "sale_paused")?;
    context.api().ask("PATCH", &format!("/v1/rooms/{room}"), r#"{"sale":"closed"}"#)?;
    member.get("room_state")?;
    member.refused("select_seats", &room, json!({"seats": ["B1"]}), "sale_closed").map(|_| ())
}

fn operator(context: &Context<'_>) -> Outcome {
    let room = context.laid_out("operator", "")?;
    let (mut member, ..) = buyer(context, &room)?;
    let body = r#"{"seats":["A1"],"reason":"released_by_operator"}"#;
    context.api().ask("POST", &format!("/v1/rooms/{room}/release"), body)?;
    let told = member.get("cart")?;
    let right = told["reason"] == "released_by_operator" && names(&told["gone"]) == ["A1"];
    ensure(right && names(&told["cart"]["seats"]) == ["A2"], || told.to_string())
}

fn disconnect(context: &Context<'_>) -> Outcome {
    let mut member = context.second("banned")?;
    let body = json!({"session_id": member.hello["session_id"]});
    context.api().ask("POST", "/v1/clients/disconnect", &body.to_string())?;
    let code = member.peer.close_code()?;
    ensure(code == 4503, || format!("closed with {code}"))
}
