//! Sessions: carts that outlive their connections, and proofs.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Context, Outcome, Step, ensure};
use super::member::{Member, is_empty, names};

pub(super) const STEPS: &[Step] = &[
    ("a token goes on with the session and the carts of the rooms that it names", resume),
    ("the older connection is closed with 4505", takeover),
    ("a wrong proof is session_unknown, and the fresh session stays", unknown),
    ("resume comes before anything was joined or held", late),
    ("a cart stays when its connection ends, and after the grace it does not", grace),
    ("nobody else is shown the session", secret),
];

/// A connection that goes on as the session of this greeting.
fn go_on(context: &Context<'_>, hello: &Value, room: &str) -> Result<(Member, Value), String> {
    let mut member = context.second("again")?;
    let more = json!({"session_token": hello["session_token"], "rooms": [room, "nothing here"]});
    let resumed = member.ask("resume", "", more, "hello")?;
    Ok((member, resumed))
}

fn resume(context: &Context<'_>) -> Outcome {
    let room = context.name("resume");
    let mut first = context.second("a")?;
    let held = first.hold(&room, &["A1"])?;
    let (_second, resumed) = go_on(context, &first.hello, &room)?;
    let same = resumed["resumed"] == true && resumed["session_id"] == first.hello["session_id"];
    ensure(same && resumed["session_token"].is_string(), || resumed.to_string())?;
    let (cart, nothing) = (&resumed["carts"][0], &resumed["carts"][1]);
    ensure(cart["room_id"] == room.as_str() && cart["cart"] == held["cart"], || format!("{resumed} {held}"))?;
    is_empty(&nothing["cart"])
}

fn takeover(context: &Context<'_>) -> Outcome {
    let room = context.name("takeover");
    let (mut first, ..) = context.second_in("a", &room)?;
    first.hold(&room, &["A1"])?;
    let (mut second, _) = go_on(context, &first.hello, &room)?;
    second.hold(&room, &["A2"])?;
    let code = first.peer.close_code()?;
    ensure(code == 4505, || format!("closed with {code}"))
}

fn unknown(context: &Context<'_>) -> Outcome {
    let room = context.name("unknown");
    let mut member = context.second("a")?;
    let token = member.hello["session_token"].as_str().unwrap_or_default().to_owned();
    for wrong in ["", "x", &token[1..], &format!("{token}A")] {
        member.refused("resume", "", json!({"session_token": wrong, "rooms": []}), "session_unknown")?;
    }
    member.hold(&room, &["A1"]).map(|_| ())
}

fn late(context: &Context<'_>) -> Outcome {
    let room = context.name("late");
    let first = context.second("a")?;
    let mut second = context.second("b")?;
    second.hold(&room, &["A1"])?;
    let refusal = second.ask("resume", "", json!({"session_token": first.hello["session_token"]}), "error")?;
    ensure(refusal["code"].is_string(), || refusal.to_string())
}

fn grace(context: &Context<'_>) -> Outcome {
    let room = context.name("grace");
    let mut first = context.second("a")?;
    first.hold(&room, &["A1"])?;
    let (hello, grace_ms) = (first.hello.clone(), first.hello["grace_ms"].as_u64().unwrap_or(0));
    drop(first);
    let mut other = context.second("b")?;
    if grace_ms > 500 {
        other.refused("select_seats", &room, json!({"seats": ["A1"]}), "seats_unavailable")?;
    }
    if grace_ms > 5_000 {
        let (second, resumed) = go_on(context, &hello, &room)?;
        drop(second);
        return ensure(names(&resumed["carts"][0]["cart"]["seats"]) == ["A1"], || resumed.to_string());
    }
    // Short enough to wait for its end.
    let give_up = crate::clock::now_ns() + (grace_ms + 2_000) * 1_000_000;
    loop {
        other.send("select_seats", &room, json!({"seats": ["A1"]}))?;
        let answer = other.peer.next()?;
        if answer["type"] == "seats_held" {
            return Ok(());
        }
        ensure(crate::clock::now_ns() < give_up, || format!("still held: {answer}"))?;
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn secret(context: &Context<'_>) -> Outcome {
    let room = context.name("secret");
    let (mut watcher, _) = context.first().member("w", &room)?;
    let mut buyer = context.second("buyer")?;
    buyer.hold(&room, &["A1"])?;
    let session = buyer.hello["session_id"].as_str().unwrap_or("?").to_owned();
    let event = watcher.expect("seat_selected")?.to_string();
    let path = format!("/room/{room}/selections");
    let answer = crate::http::get(context.target.addr, &path, Duration::from_secs(5));
    let list = String::from_utf8_lossy(&answer.map_err(|error| error.to_string())?.body).into_owned();
    ensure(!event.contains(&session) && !list.contains(&session), || format!("{event} {list}"))
}
