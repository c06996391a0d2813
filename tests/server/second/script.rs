//! Dialogues with several connections of both protocols and the shop's backend, as data: one line is who, what is sent,
//! and what comes back.
//!
//! Who: a name is a connection of the second protocol, one with `v1` in front of the first, `api` the backend
//! (`"METHOD /PATH"`, `body`, and `status` in the answer). Sent: `null` waits for the next frame, `"drop"` breaks the
//! connection, and a text that begins with `$` is the session of a connection (`$NAME`), with `@` the token of its last
//! `hello`, with `~` the epoch of the room that it joined last. What comes back has at least these fields; `null` is
//! whatever is there; `{"close": CODE}` is the end. Deltas are left out unless one is expected, and then as many are
//! added up as it takes to get to its `to`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::client::{Client, Got, text_frame};
use crate::harness::server::Server;
use crate::selling::call;

/// Who, what is sent, what comes back.
pub(crate) type Line = (&'static str, Value, Value);

/// One shard, two, and a room that is on both.
pub(crate) const SHARDS: [&[(&str, &str)]; 3] =
    [&[("SHARDS", "1")], &[("SHARDS", "2")], &[("SHARDS", "2"), ("HOT_ROOM_MEMBERS", "1")]];

/// Whether everything that is expected is found, in lists item by item. `null` is whatever is there.
pub(crate) fn has(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Null, _) => true,
        (Value::Object(expected), Value::Object(found)) => {
            let mut all = expected.iter().filter(|(name, _)| *name != "_without");
            all.all(|(name, value)| found.get(name).is_some_and(|found| has(value, found)))
        }
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(one, other)| has(one, other))
        }
        _ => expected == found,
    }
}

/// Deltas up to this one as if they were one.
fn folded(mut next: impl FnMut() -> Value, to: &Value) -> Value {
    let mut changes: BTreeMap<String, Value> = BTreeMap::new();
    let (mut first, mut last) = (Value::Null, 0);
    loop {
        let delta = next();
        assert_eq!(delta["type"], "delta", "up to {to}: {delta}");
        let from = delta["from"].as_u64().expect("a number");
        assert!(first.is_null() || from <= last + 1, "there is a hole behind {last}: {delta}");
        if first.is_null() {
            first = delta["from"].clone();
        }
        last = delta["to"].as_u64().expect("a number");
        for change in delta["changes"].as_array().expect("a list") {
            changes.insert(change[0].to_string(), change.clone());
        }
        if delta["to"] == *to {
            let changes: Vec<Value> = changes.into_values().collect();
            return json!({"type": "delta", "room_id": delta["room_id"], "from": first, "to": to, "changes": changes});
        }
    }
}

/// Plays a dialogue on a fresh server with these settings, and with each number of shards.
pub(crate) fn check(settings: &[(&str, &str)], lines: &[Line]) {
    // No heartbeat takes along what should have left by itself, or keeps alive who waits for what does not come.
    let silent = [("PING_AFTER_MS", "60000")];
    for shards in SHARDS {
        let all: Vec<(&str, &str)> = shards.iter().chain(&silent).chain(settings).copied().collect();
        play(&Server::start(&all), &mut BTreeMap::new(), lines);
    }
}

/// The last `hello` of each connection.
type Hellos = BTreeMap<&'static str, Value>;

/// What this text stands for: `$NAME` is the session of a connection, `@NAME` its token, `~NAME` the epoch of its room.
fn with_sessions(hellos: &Hellos, value: &Value) -> Value {
    match value {
        Value::String(text) if text.starts_with('$') => hellos[&text[1..]]["session_id"].clone(),
        Value::String(text) if text.starts_with('@') => hellos[&text[1..]]["session_token"].clone(),
        Value::String(text) if text.starts_with('~') => hellos[&text[1..]]["epoch"].clone(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), with_sessions(hellos, value))).collect()
        }
        other => other.clone(),
    }
}

/// The connection is closed with this code; deltas, and what else was on its way, may come before.
fn closes(client: &mut Client, code: &Value) {
    let closed = std::iter::repeat_with(|| client.got()).find(|got| !matches!(got, Got::Text(_)));
    let Some(Got::Close(Some(found), _)) = closed else { panic!("no close frame: {closed:?}") };
    assert_eq!(Value::from(found), *code);
}

/// Plays a dialogue with these connections, and those that it opens.
pub(crate) fn play(server: &Server, clients: &mut BTreeMap<&'static str, Client>, lines: &[Line]) {
    let mut hellos = Hellos::new();
    for (number, (who, send, expected)) in lines.iter().enumerate() {
        let case = || format!("line {number}: {who} {send}\n  expected {expected}");
        if *who == "api" {
            let line = send["call"].as_str().expect("a call").replacen(" /", " /v1/", 1);
            let (status, mut answer) = call(server, &line, &with_sessions(&hellos, &send["body"]));
            answer["status"] = status.into();
            assert!(has(expected, &answer), "{}\n     found {answer}", case());
            continue;
        }
        let client = clients.entry(who).or_insert_with(|| {
            let (client, hello) = connect(server, who);
            hellos.insert(*who, hello);
            client
        });
        if send == "drop" {
            clients.remove(who);
            continue;
        }
        if !send.is_null() {
            let send = with_sessions(&hellos, send);
            client.write(&text_frame(send.as_str().map_or_else(|| send.to_string(), str::to_owned).as_str()));
        }
        if let Some(code) = expected.get("close") {
            closes(client, code);
            continue;
        }
        if expected.is_null() {
            continue;
        }
        let found = if expected["type"] == "delta" {
            let kinds = |found: &Value| found["type"] == "delta";
            let mut next = || std::iter::repeat_with(|| client.json()).find(kinds).expect("it does not end");
            folded(&mut next, &expected["to"])
        } else {
            let is_frame = |found: &Value| found["type"] != "delta";
            std::iter::repeat_with(|| client.json()).find(is_frame).expect("it does not end")
        };
        assert!(has(&with_sessions(&hellos, expected), &found), "{}\n     found {found}", case());
        match found["type"].as_str() {
            Some("hello") => _ = hellos.insert(*who, found.clone()),
            Some("room_joined") => hellos.entry(who).or_default()["epoch"] = found["epoch"].clone(),
            _ => {}
        }
        for absent in expected["_without"].as_array().into_iter().flatten() {
            let absent = absent.as_str().expect("a name");
            assert!(found.get(absent).is_none(), "{absent} in {found}\n{}", case());
        }
    }
}

fn connect(server: &Server, who: &str) -> (Client, Value) {
    if who.starts_with("v1") {
        return (Client::connect(server, who), Value::Null);
    }
    let mut client = Client::connect_on(server.dial(), who, "?v=2");
    let hello = client.json();
    let fresh = json!({"type":"hello","resumed":false,"auth":"off","carts":[]});
    assert!(has(&fresh, &hello), "{hello}");
    (client, hello)
}

/// A call of the backend.
pub(crate) fn api(line: &str, body: &Value) -> Value {
    json!({ "call": line, "body": body })
}
