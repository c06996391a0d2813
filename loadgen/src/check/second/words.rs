//! Messages: greetings, numbers of requests, what is no request.

use serde_json::json;

use super::super::peer::is_time;
use super::super::{Context, Outcome, Step, ensure};

pub(super) const STEPS: &[Step] = &[
    ("hello comes first, unasked, with a session and its proof", hello),
    ("the subprotocol seats.v2.json is echoed, and speaks v2 without ?v=2", subprotocol),
    ("an id comes back: a whole number or a text of up to 64 bytes", ids),
    ("an id of another kind is bad_request without an id", wrong_ids),
    ("an unknown type is unknown_type, unknown fields are ignored", unknown),
    ("pong has the t of its ping, and the time", ping),
    ("requests of one write are answered in their order", in_order),
    ("auth is unauthorized where nobody needs a token", auth),
    ("a missing or wrong field is bad_request", bad_requests),
];

fn hello(context: &Context<'_>) -> Outcome {
    let member = context.second("hello")?;
    let hello = &member.hello;
    let known = hello["session_id"].is_string()
        && hello["session_token"].is_string()
        && hello["resumed"] == false
        && hello["carts"] == json!([])
        && hello["grace_ms"].is_u64()
        && hello["ping_ms"].is_u64();
    ensure(known && is_time(&hello["now"]) && hello.get("id").is_none(), || hello.to_string())?;
    let other = context.second("hello")?;
    ensure(other.hello["session_id"] != hello["session_id"], || "two sessions of one name are one".to_owned())
}

fn subprotocol(context: &Context<'_>) -> Outcome {
    let mut peer = context.connect_with(&context.name("sub"), "seats.v2.json")?;
    peer.expect("hello").map(|_| ())
}

fn ids(context: &Context<'_>) -> Outcome {
    let mut peer = context.second("ids")?.peer;
    for id in [json!(0), json!(-7), json!(9_007_199_254_740_991_u64), json!("x"), json!("é\"\\"), json!("i".repeat(64))]
    {
        let pong = peer.ask(&json!({"type": "ping", "id": id}), "pong")?;
        ensure(pong["id"] == id, || format!("{id}: {pong}"))?;
    }
    let pong = peer.ask(&json!({"type": "ping"}), "pong")?;
    ensure(pong.get("id").is_none(), || pong.to_string())
}

fn wrong_ids(context: &Context<'_>) -> Outcome {
    let mut peer = context.second("ids")?.peer;
    for id in [json!(1.5), json!(true), json!([1]), json!({}), json!("i".repeat(65))] {
        let refusal = peer.refused(&json!({"type": "ping", "id": id}), "bad_request")?;
        ensure(refusal.get("id").is_none(), || format!("{id}: {refusal}"))?;
    }
    Ok(())
}

fn unknown(context: &Context<'_>) -> Outcome {
    let mut member = context.second("unknown")?;
    member.refused("dance", "", json!({}), "unknown_type")?;
    member.ask("ping", "", json!({"seats": 7, "more": {"type": "dance"}}), "pong").map(|_| ())
}

fn ping(context: &Context<'_>) -> Outcome {
    let mut member = context.second("ping")?;
    for t in [json!(1), json!(1.5), json!("a")] {
        let pong = member.ask("ping", "", json!({"t": t}), "pong")?;
        ensure(pong["t"] == t && is_time(&pong["now"]), || pong.to_string())?;
    }
    Ok(())
}

fn in_order(context: &Context<'_>) -> Outcome {
    let room = context.name("order");
    let mut member = context.second("order")?;
    let mut bytes = Vec::new();
    for id in 0..60 {
        let request = match id % 3 {
            0 => json!({"type": "select_seats", "id": id, "room_id": room, "seats": ["A1"]}),
            1 => json!({"type": "release_seats", "id": id, "room_id": room, "all": true}),
            _ => json!({"type": "ping", "id": id}),
        };
        crate::ws::push_frame(&mut bytes, crate::ws::TEXT, request.to_string().as_bytes());
    }
    member.peer.send_raw(&bytes)?;
    for id in 0..60 {
        let answer = member.get(["seats_held", "seats_released", "pong"][id % 3])?;
        ensure(answer["id"] == id, || format!("{id}: {answer}"))?;
    }
    Ok(())
}

fn auth(context: &Context<'_>) -> Outcome {
    let mut member = context.second("auth")?;
    if member.hello["auth"] != "off" {
        return Ok(());
    }
    member.refused("auth", "", json!({"token": "x"}), "unauthorized").map(|_| ())
}

fn bad_requests(context: &Context<'_>) -> Outcome {
    let mut member = context.second("bad")?;
    let many: Vec<String> = (0..51).map(|seat| format!("A{seat}")).collect();
    for (kind, more) in [
        ("join_room", json!({"room_id": 7})),
        ("select_seats", json!({"room_id": "r"})),
        ("select_seats", json!({"room_id": "r", "seats": []})),
        ("select_seats", json!({"room_id": "r", "seats": "A1"})),
        ("select_seats", json!({"room_id": "r", "seats": many})),
        ("select_seats", json!({"room_id": "r", "seats": ["A1", "A1"]})),
        ("select_seats", json!({"room_id": "r", "seats": ["A1"], "release": ["A1"]})),
        ("select_seats", json!({"room_id": "r", "seats": ["A1"], "user_info": "text"})),
        ("select_best", json!({"room_id": "r", "quantity": 0})),
        ("select_best", json!({"room_id": "r", "quantity": 51})),
        ("release_seats", json!({"room_id": "r"})),
        ("extend_hold", json!({})),
        ("sync", json!({})),
    ] {
        member.refused(kind, "", more, "bad_request")?;
    }
    Ok(())
}
