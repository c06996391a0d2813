//! A client that keeps its own map of each room from the events alone, and insists on the promises: a room's events
//! come in `seq` order without a hole, or a full state takes their place.

use std::collections::BTreeMap;

use serde_json::Value;

use super::client::Client;
use super::server::Server;

/// One room as this client knows it.
#[derive(Default, Debug)]
pub struct RoomMap {
    pub seq: u64,
    epoch: String,
    /// The holder of each held seat.
    pub held: BTreeMap<String, String>,
    /// Events that came one by one.
    pub events: u64,
    /// Full states that came instead of events.
    pub resyncs: u64,
}

/// The client and its maps.
pub struct Watcher {
    pub client: Client,
    pub rooms: BTreeMap<String, RoomMap>,
}

impl Watcher {
    pub fn new(client: Client) -> Self {
        Self { client, rooms: BTreeMap::new() }
    }

    /// Connects and sends its joins; [`Watcher::next`] reads the answers.
    pub fn join(server: &Server, id: &str, rooms: &[&str]) -> Self {
        let mut watcher = Self::new(Client::connect(server, id));
        for room in rooms {
            watcher.client.send(&super::client::join(room));
            while watcher.next()["type"] != "room_joined" {}
        }
        watcher
    }

    /// The next message, after the map has followed it.
    #[allow(clippy::should_implement_trait, reason = "it never ends: it waits or fails")]
    pub fn next(&mut self) -> Value {
        let message = self.client.json();
        self.follow(&message);
        message
    }

    /// Reads until this event of a room.
    pub fn until(&mut self, kind: &str, room: &str, seat: &str) -> Value {
        loop {
            let message = self.next();
            if message["type"] == kind && message["room_id"] == room && message["seat_id"] == seat {
                return message;
            }
        }
    }

    /// Reads until the map of the room is at this `seq` or beyond.
    pub fn until_seq(&mut self, room: &str, seq: u64) {
        while self.rooms[room].seq < seq {
            self.next();
        }
    }

    /// Reads everything that the room's owner had for this client by now.
    pub fn catch_up(&mut self, room: &str) {
        self.client.release(room, "nobody holds this");
        while self.next()["seat_id"] != "nobody holds this" {}
    }

    /// Follows a message with the maps.
    pub fn follow(&mut self, message: &Value) {
        let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        let room = text("room_id");
        let kind = text("type");
        match kind.as_str() {
            "room_joined" => {
                let seq = message["seq"].as_u64().expect("a seq");
                self.rooms.insert(room, RoomMap { seq, epoch: text("epoch"), ..RoomMap::default() });
            }
            "current_selections" => self.rooms.get_mut(&room).expect("it has joined").replace(message),
            "seat_selected" | "seat_released" => {
                let id = self.client.id.clone();
                if let Some(map) = self.rooms.get_mut(&room) {
                    map.change(&kind, &text("seat_id"), &text("client_id"), message, &id);
                }
            }
            "error" | "pong" | "room_left" => {}
            other => panic!("v1 has no {other}: {message}"),
        }
    }

    /// The map is what the server tells by HTTP.
    pub fn agrees(&self, server: &Server, room: &str) {
        let found = server.get(&format!("/room/{room}/selections")).json();
        let selections = found["selections"].as_array().expect("a list").iter();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let held: BTreeMap<String, String> =
            selections.map(|one| (text(&one["seat_id"]), text(&one["client_id"]))).collect();
        assert_eq!(self.rooms[room].held, held, "the map of {} in {room}", self.client.id);
    }
}

impl RoomMap {
    fn replace(&mut self, message: &Value) {
        let seq = message["seq"].as_u64().expect("a seq");
        assert!(seq >= self.seq, "a full state of the past: {seq} after {}", self.seq);
        assert_eq!(message["epoch"], self.epoch, "the epoch of a room that lives on");
        self.resyncs += 1;
        self.seq = seq;
        let selections = message["selections"].as_array().expect("a list").iter();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        self.held = selections.map(|one| (text(&one["seat_id"]), text(&one["client_id"]))).collect();
    }

    fn change(&mut self, kind: &str, seat: &str, holder: &str, message: &Value, reader: &str) {
        let seq = message["seq"].as_u64().expect("a seq");
        if kind == "seat_selected" && seq <= self.seq {
            // A select of a seat that it holds already: the same answer again.
            assert_eq!((self.held.get(seat).map(String::as_str), holder), (Some(reader), reader), "{message}");
            return;
        }
        assert_eq!(seq, self.seq + 1, "{reader} misses an event of the room or gets one twice: {message}");
        self.seq = seq;
        self.events += 1;
        if kind == "seat_selected" {
            let before = self.held.insert(seat.into(), holder.into());
            assert_eq!(before, None, "a seat with two holders: {message}");
        } else {
            let before = self.held.remove(seat);
            assert_eq!(before.as_deref(), Some(holder), "a seat that somebody else held was released: {message}");
        }
    }
}
