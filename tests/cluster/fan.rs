//! A v1 client that follows rooms over a change of their owner: events in order, or a full state in their place.

use std::collections::BTreeMap;

use kit::client::{Client, join};
use kit::server::Server;
use serde_json::Value;

/// One room as it knows it.
#[derive(Default, Debug)]
pub(crate) struct Seen {
    epoch: String,
    pub(crate) seq: u64,
    /// Full states that came in the place of events.
    pub(crate) shown: u64,
    pub(crate) held: BTreeMap<String, String>,
}

/// The client.
pub(crate) struct Fan {
    pub(crate) client: Client,
    pub(crate) rooms: BTreeMap<String, Seen>,
    /// What proves that it is itself when it comes back.
    pub(crate) resume: Option<String>,
}

impl Fan {
    pub(crate) fn join(node: &Server, id: &str, rooms: &[String]) -> Self {
        let mut fan = Self { client: Client::connect(node, id), rooms: BTreeMap::new(), resume: None };
        for room in rooms {
            fan.client.send(&join(room));
            fan.until(room, "room_joined");
        }
        fan
    }

    /// The next message, when the rooms have followed it.
    pub(crate) fn next(&mut self) -> Value {
        let message = self.client.json();
        self.follow(&message);
        message
    }

    pub(crate) fn until(&mut self, room: &str, kind: &str) -> Value {
        loop {
            let message = self.next();
            if message["type"] == kind && message["room_id"] == room {
                return message;
            }
        }
    }

    /// Reads until the seat of the room is somebody's, or free.
    pub(crate) fn until_held(&mut self, room: &str, seat: &str, by: Option<&str>) {
        while self.rooms[room].held.get(seat).map(String::as_str) != by {
            self.next();
        }
    }

    /// Asks for a seat and reads up to the answer: the type, or the code of the error.
    pub(crate) fn select(&mut self, room: &str, seat: &str) -> String {
        self.client.select(room, seat);
        self.answer(room, seat)
    }

    /// Gives a seat back, in the same way.
    pub(crate) fn release(&mut self, room: &str, seat: &str) -> String {
        self.client.release(room, seat);
        self.answer(room, seat)
    }

    fn answer(&mut self, room: &str, seat: &str) -> String {
        loop {
            let message = self.next();
            let is_about = message["room_id"] == room && message["seat_id"] == seat;
            if is_about && message["type"] == "error" {
                return message["code"].as_str().expect("a code").to_owned();
            }
            if is_about && message["client_id"] == self.client.id.as_str() {
                return message["type"].as_str().expect("a type").to_owned();
            }
        }
    }

    fn follow(&mut self, message: &Value) {
        let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        let seen = self.rooms.entry(text("room_id")).or_default();
        let seq = message["seq"].as_u64().unwrap_or(0);
        match message["type"].as_str().expect("a type") {
            "room_joined" => {
                *seen = Seen { epoch: text("epoch"), seq, ..Seen::default() };
                self.resume = message["resume"].as_str().map(str::to_owned);
            }
            "current_selections" => {
                assert!(seen.epoch != text("epoch") || seq >= seen.seq, "a full state of the past: {message}");
                (seen.epoch, seen.seq, seen.shown) = (text("epoch"), seq, seen.shown + 1);
                let taken = message["selections"].as_array().expect("a list").iter();
                let text = |value: &Value| value.as_str().expect("a text").to_owned();
                seen.held = taken.map(|one| (text(&one["seat_id"]), text(&one["client_id"]))).collect();
            }
            "seat_selected" if seq <= seen.seq => {
                assert_eq!(text("client_id"), self.client.id, "an event comes twice: {message}");
            }
            kind @ ("seat_selected" | "seat_released") => {
                assert_eq!(seq, seen.seq + 1, "{} misses an event or gets one twice: {message}", self.client.id);
                seen.seq = seq;
                if kind == "seat_selected" {
                    let before = seen.held.insert(text("seat_id"), text("client_id"));
                    // A seat in an order, or booked, is its holder's still.
                    let is_ours = |before: &String| message["status"].is_string() && *before == text("client_id");
                    assert!(before.as_ref().is_none_or(is_ours), "a seat with two holders: {message}");
                } else {
                    assert!(seen.held.remove(&text("seat_id")).is_some(), "a free seat is released: {message}");
                }
            }
            _ => {}
        }
    }
}
