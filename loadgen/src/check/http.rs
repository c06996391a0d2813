//! The HTTP side: health, stats, a room's selections, what is not there.

use std::time::Duration;

use serde_json::Value;

use super::peer::is_time;
use super::{Context, Outcome, Step, ensure};
use crate::http::{Answer, request};

pub(super) const STEPS: &[Step] = &[
    ("/health answers 200 and says how it is", health),
    ("/ready answers like /health", ready),
    ("/stats counts connections, rooms and selections", stats),
    ("/room/{id}/selections of an unknown room is an empty list", empty_room),
    ("/room/{id}/selections shows what is held", held_room),
    ("HEAD is answered without a body", head),
    ("an unknown path is 404, a wrong method 405, both as JSON", not_there),
    ("a client id that is none is refused before the upgrade", bad_client_ids),
    ("a client id is percent-decoded", encoded_client_id),
];

const WITHIN: Duration = Duration::from_secs(5);

fn ask(context: &Context<'_>, method: &str, path: &str) -> Result<Answer, String> {
    request(context.target.addr, method, path, WITHIN).map_err(|error| format!("{method} {path}: {error}"))
}

fn json(answer: &Answer) -> Result<Value, String> {
    serde_json::from_slice(&answer.body)
        .map_err(|error| format!("the body is not JSON: {error}: {}", String::from_utf8_lossy(&answer.body)))
}

fn healthy(answer: &Answer) -> Outcome {
    let body = json(answer)?;
    ensure(answer.status == 200, || format!("status {}: {body}", answer.status))?;
    let complete = body["status"].is_string()
        && body["active_connections"].is_u64()
        && body["active_rooms"].is_u64()
        && body["redis_connected"].is_boolean();
    ensure(complete && body["service"] == "websocket", || format!("a field is missing: {body}"))
}

fn health(context: &Context<'_>) -> Outcome {
    healthy(&ask(context, "GET", "/health")?)
}

fn ready(context: &Context<'_>) -> Outcome {
    healthy(&ask(context, "GET", "/ready")?)
}

fn stats(context: &Context<'_>) -> Outcome {
    let answer = ask(context, "GET", "/stats")?;
    let body = json(&answer)?;
    let counts = ["active_connections", "active_rooms", "temporary_selections"].iter().all(|key| body[key].is_u64());
    let lists = ["clients", "rooms", "shards"].iter().all(|key| body[key].is_array());
    ensure(answer.status == 200 && counts && lists, || format!("status {}: {body}", answer.status))
}

fn empty_room(context: &Context<'_>) -> Outcome {
    let body = json(&ask(context, "GET", &format!("/room/{}/selections", context.name("never")))?)?;
    ensure(body["count"] == 0 && body["selections"].as_array().is_some_and(Vec::is_empty), || body.to_string())
}

fn held_room(context: &Context<'_>) -> Outcome {
    let room = context.name("http");
    let (mut peer, _) = context.member("http-a", &room)?;
    peer.select(&room, "A1")?;
    let body = json(&ask(context, "GET", &format!("/room/{room}/selections"))?)?;
    let selection = &body["selections"][0];
    let right = body["count"] == 1
        && body["room_id"] == room.as_str()
        && selection["seat_id"] == "A1"
        && selection["client_id"] == peer.id.as_str();
    ensure(right && is_time(&selection["expires_at"]), || body.to_string())
}

fn head(context: &Context<'_>) -> Outcome {
    let answer = ask(context, "HEAD", "/health")?;
    ensure(answer.status == 200 && answer.body.is_empty(), || {
        format!("status {}, {} bytes of body", answer.status, answer.body.len())
    })
}

fn not_there(context: &Context<'_>) -> Outcome {
    let answer = ask(context, "GET", "/no/such/path")?;
    ensure(answer.status == 404 && json(&answer)?["error"].is_string(), || {
        format!("GET of nothing: status {}", answer.status)
    })?;
    let answer = ask(context, "DELETE", "/health")?;
    ensure(answer.status == 405 && json(&answer)?["error"].is_string(), || format!("DELETE: status {}", answer.status))
}

fn bad_client_ids(context: &Context<'_>) -> Outcome {
    for id in ["x".repeat(129), "%00".to_owned(), "%ff".to_owned(), "a%0Ab".to_owned()] {
        match context.connect(&id) {
            Ok(_) => return Err(format!("{id} was accepted")),
            Err(error) => ensure(error.contains("400"), || format!("{id}: {error}"))?,
        }
    }
    Ok(())
}

fn encoded_client_id(context: &Context<'_>) -> Outcome {
    let mut peer = context.connect("Jos%C3%A9%20%2F1")?;
    let room = context.name("encoded");
    let joined = peer.ask(&serde_json::json!({"type": "join_room", "room_id": room}), "room_joined")?;
    ensure(joined["client_id"] == "José /1", || joined.to_string())
}
