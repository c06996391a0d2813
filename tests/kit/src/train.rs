//! Trains of mixed requests on one connection, and what must come back: one reply a request, in the order of the
//! requests.
//!
//! The train's rooms are nobody else's, so that nothing but replies comes. Invariant: every reply tells its request:
//! seats are named once, what is no request is numbered.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::client::{Client, join, leave, release, select, text_frame};

/// What a request is answered with: members of the reply that tell it.
type Expected = Value;

/// A train that is being made.
pub struct Train {
    state: u64,
    rooms: Vec<String>,
    /// The seats that the connection holds, by room.
    held: BTreeMap<String, BTreeSet<String>>,
    requests: Vec<(String, Expected)>,
}

impl Train {
    /// So many requests about these rooms; the same seed makes the same train.
    pub fn new(seed: u64, rooms: &[String], len: usize) -> Self {
        let mut train = Self { state: seed, rooms: rooms.to_vec(), held: BTreeMap::new(), requests: Vec::new() };
        while train.requests.len() < len {
            let number = train.requests.len();
            let request = train.request(number);
            train.requests.push(request);
        }
        train
    }

    /// The next number below `bound`: a linear congruential generator is random enough to mix requests.
    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.state >> 33).expect("31 bits") % bound
    }

    fn request(&mut self, number: usize) -> (String, Expected) {
        let at = self.below(self.rooms.len());
        let room = self.rooms[at].clone();
        let first = self.held.get(&room).and_then(|seats| seats.first().cloned());
        match (self.below(10), first) {
            (0, first) => {
                let joined = json!({"type": "room_joined", "room_id": room, "then_state": first.is_some()});
                (join(&room), joined)
            }
            (1, _) => (leave(&room), json!({"type": "room_left", "room_id": room})),
            (2, _) => (r#"{"type":"ping"}"#.into(), json!({"type": "pong"})),
            (3, _) => (format!("no JSON {number}"), json!({"type": "error", "code": "bad_json"})),
            (4, _) => {
                let kind = format!("number {number}");
                let text = json!({"type": kind}).to_string();
                (text, json!({"type": "error", "code": "unknown_type", "request_type": kind}))
            }
            (5, _) => {
                let seat = format!("nobody's {number}");
                let refused = json!({"type": "error", "code": "not_held", "room_id": room, "seat_id": seat});
                (release(&room, &seat), refused)
            }
            (6, Some(seat)) => {
                (select(&room, &seat), json!({"type": "seat_selected", "room_id": room, "seat_id": seat}))
            }
            (7 | 8, Some(seat)) => {
                self.held.get_mut(&room).expect("looked at").remove(&seat);
                (release(&room, &seat), json!({"type": "seat_released", "room_id": room, "seat_id": seat}))
            }
            _ => {
                let seat = format!("S{number:05}");
                self.held.entry(room.clone()).or_default().insert(seat.clone());
                (select(&room, &seat), json!({"type": "seat_selected", "room_id": room, "seat_id": seat}))
            }
        }
    }

    /// Sends all of it at once, and reads every reply in its place.
    pub fn run(&self, client: &mut Client, title: &str) {
        let bytes: Vec<u8> = self.requests.iter().flat_map(|(text, _)| text_frame(text)).collect();
        std::thread::scope(|scope| {
            let mut writer = client.stream.try_clone().expect("a socket has a second handle");
            scope.spawn(move || std::io::Write::write_all(&mut writer, &bytes).expect("the server reads"));
            for (number, (text, expected)) in self.requests.iter().enumerate() {
                let reply = client.json();
                for (name, value) in expected.as_object().expect("an object") {
                    if name == "then_state" {
                        read_state(client, value == true, &reply);
                    } else {
                        assert_eq!(reply[name], *value, "{title}, request {number}: {text} is answered {reply}");
                    }
                }
            }
        });
    }
}

/// Reads the full state behind `room_joined`, which comes when a seat is held.
fn read_state(client: &mut Client, is_due: bool, joined: &Value) {
    if is_due {
        let state = client.json();
        assert_eq!((&state["type"], &state["room_id"]), (&"current_selections".into(), &joined["room_id"]), "{state}");
    }
}
