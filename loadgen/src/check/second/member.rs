//! One client of the walk through the second protocol: numbers its requests, and keeps the deltas that come in between.
//!
//! Invariant: nothing but deltas is skipped. Never here: what must be in a message.

use serde_json::{Value, json};

use super::super::peer::Peer;
use super::super::{Context, Outcome, ensure};
use crate::hall::Api;

/// A client.
pub(super) struct Member {
    pub(super) peer: Peer,
    /// What it was greeted with.
    pub(super) hello: Value,
    /// Deltas that came and were not looked at.
    pub(super) deltas: Vec<Value>,
    last_id: u64,
}

impl Context<'_> {
    /// Connects by the second protocol.
    pub(super) fn second(&self, id: &str) -> Result<Member, String> {
        let mut peer = self.connect(&self.name(id))?;
        let hello = peer.expect("hello")?;
        Ok(Member { peer, hello, deltas: Vec::new(), last_id: 0 })
    }

    /// Connects and joins; returns `room_joined` and the snapshot, too.
    pub(super) fn second_in(&self, id: &str, room: &str) -> Result<(Member, Value, Value), String> {
        let mut member = self.second(id)?;
        let joined = member.ask("join_room", room, json!({}), "room_joined")?;
        let snapshot = member.get("snapshot")?;
        Ok((member, joined, snapshot))
    }

    /// The API of the shop's backend.
    pub(super) fn api(&self) -> &Api {
        self.api.as_ref().expect("steps that need it are walked only with it")
    }

    /// A room with two rows of five seats, `A1` to `B5`.
    pub(super) fn laid_out(&self, name: &str, more: &str) -> Result<String, String> {
        let (layout, room) = (self.name("hall"), self.name(name));
        let seat = |at: u32| {
            let (row, number) = (if at < 5 { "A" } else { "B" }, at % 5 + 1);
            let place = format!(r#""x":{number},"y":{}"#, at / 5);
            format!(
                r#"{{"id":"{row}{number}","section":"stalls","row":"{row}","number":{number},"category":"a",{place}}}"#
            )
        };
        let seats: Vec<String> = (0..10).map(seat).collect();
        self.api().ask("PUT", &format!("/v1/layouts/{layout}"), &format!(r#"{{"seats":[{}]}}"#, seats.join(",")))?;
        self.api().ask("PUT", &format!("/v1/rooms/{room}"), &format!(r#"{{"layout":"{layout}"{more}}}"#))?;
        Ok(room)
    }
}

impl Member {
    /// Sends a request with a number; returns the number.
    pub(super) fn send(&mut self, kind: &str, room: &str, mut more: Value) -> Result<u64, String> {
        self.last_id += 1;
        more["type"] = kind.into();
        more["id"] = self.last_id.into();
        if !room.is_empty() {
            more["room_id"] = room.into();
        }
        self.peer.send(&more)?;
        Ok(self.last_id)
    }

    /// The next message that is no delta, or the next delta.
    pub(super) fn get(&mut self, kind: &str) -> Result<Value, String> {
        if kind == "delta" && !self.deltas.is_empty() {
            return Ok(self.deltas.remove(0));
        }
        loop {
            let message = self.peer.next()?;
            if message["type"] == "delta" && kind != "delta" {
                self.deltas.push(message);
                continue;
            }
            ensure(message["type"] == kind, || format!("expected {kind}, got {message}"))?;
            return Ok(message);
        }
    }

    /// Sends a request and takes its answer, which must name it.
    pub(super) fn ask(&mut self, kind: &str, room: &str, more: Value, reply: &str) -> Result<Value, String> {
        let id = self.send(kind, room, more)?;
        let message = self.get(reply)?;
        ensure(message["id"] == id, || format!("an answer to {id}: {message}"))?;
        Ok(message)
    }

    /// Sends a request that must be refused with this code.
    pub(super) fn refused(&mut self, kind: &str, room: &str, more: Value, code: &str) -> Result<Value, String> {
        let refusal = self.ask(kind, room, more, "error")?;
        let known = refusal["code"] == code && refusal["retry_after_ms"].is_u64() && refusal["message"].is_string();
        ensure(known, || format!("expected {code}: {refusal}"))?;
        Ok(refusal)
    }

    /// Holds seats.
    pub(super) fn hold(&mut self, room: &str, seats: &[&str]) -> Result<Value, String> {
        self.ask("select_seats", room, json!({"seats": seats}), "seats_held")
    }

    /// Reads deltas until the number is reached; each must begin where the last one ended.
    pub(super) fn follow(&mut self, mut from: u64, to: u64) -> Result<Vec<Value>, String> {
        let mut all = Vec::new();
        while from < to {
            let delta = self.get("delta")?;
            let (first, last) = (delta["from"].as_u64().unwrap_or(0), delta["to"].as_u64().unwrap_or(0));
            if last <= from {
                continue;
            }
            ensure(first <= from + 1, || format!("a hole after {from}: {delta}"))?;
            from = last;
            all.push(delta);
        }
        Ok(all)
    }
}

/// The seats of a cart, or of a list.
pub(super) fn names(list: &Value) -> Vec<&str> {
    list.as_array().map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// Whether a cart is empty.
pub(super) fn is_empty(cart: &Value) -> Outcome {
    let empty = cart["seats"] == json!([]) && cart["expires_at"].is_null();
    ensure(empty, || format!("an empty cart: {cart}"))
}
