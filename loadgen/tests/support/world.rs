//! The rules of v1 in a hundred lines, and the defects that can be switched on.
//!
//! Owns: rooms, holds, members. Everything happens under one lock, frames are written while it is held: order is free.

use std::collections::HashMap;
use std::io::Write;
use std::net::TcpStream;

use serde_json::{Value, json};

/// What the stub does wrong, once, at its tenth grant (or always, where that is the nature of the defect).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bug {
    None,
    /// A held seat is granted again.
    DoubleGrant,
    /// One member gets nothing any more.
    LostEvent,
    /// One member gets two events in the wrong order.
    Reordered,
    /// One member does not get one event.
    SilentGap,
    /// Holds never expire.
    LateExpiry,
    /// Holds expire at once.
    EarlyExpiry,
    /// Anybody may release anything.
    StrangerRelease,
    /// A frame that v1 does not know.
    UnknownFrame,
    /// One member skips events, sees its own replies, and never gets a full state.
    ResyncMissing,
    /// The full state at a join forgets a seat.
    WrongFullState,
    /// A free seat is refused as taken.
    FalseRefusal,
    /// A reply is missing.
    Unanswered,
    /// What HTTP says is not what the members were told.
    MapDiffers,
    /// Holds stay when their connection ends.
    LeftBehind,
    /// Rooms cannot be asked for over HTTP.
    Unasked,
    /// A select is refused as one message too many.
    RateLimited,
    /// A hold is released as disconnected although its connection lives.
    ReleasedWhileConnected,
    /// Two members get different seats under one number.
    Diverged,
    /// A connection is closed without a reason.
    ConnectionLost,
    /// No sequence numbers: the protocol as it was first published.
    Plain,
    /// A correct server that resynchronises a member now and then.
    Resyncs,
}

struct Hold {
    conn: u64,
    client: String,
    info: Value,
    seq: u64,
    at: u64,
    until: u64,
}

#[derive(Default)]
struct Room {
    seq: u64,
    seats: HashMap<String, Hold>,
    members: Vec<u64>,
}

/// Somebody's connection.
pub(crate) struct Conn {
    pub(crate) client: String,
    pub(crate) stream: TcpStream,
    /// An event that is held back.
    held_back: Option<Value>,
    /// Skips events.
    skips: bool,
}

/// Everything the stub knows.
pub(crate) struct World {
    pub(crate) bug: Bug,
    pub(crate) ttl_ms: u64,
    pub(crate) conns: HashMap<u64, Conn>,
    rooms: HashMap<String, Room>,
    grants: u64,
    victim: Option<u64>,
    done: bool,
}

fn time_text(ms: u64) -> String {
    format!("{}.{:03}Z", loadgen::clock::date_text(ms).replace(' ', "T"), ms % 1_000)
}

/// One unmasked text frame.
fn frame(value: &Value) -> Vec<u8> {
    let text = value.to_string();
    let mut out = vec![0x81];
    if text.len() < 126 {
        out.push(u8::try_from(text.len()).expect("just compared"));
    } else {
        out.push(127);
        out.extend_from_slice(&(text.len() as u64).to_be_bytes());
    }
    out.extend_from_slice(text.as_bytes());
    out
}

impl World {
    pub(crate) fn new(bug: Bug, ttl_ms: u64) -> Self {
        Self { bug, ttl_ms, conns: HashMap::new(), rooms: HashMap::new(), grants: 0, victim: None, done: false }
    }

    pub(crate) fn open(&mut self, id: u64, client: String, stream: TcpStream) {
        self.conns.insert(id, Conn { client, stream, held_back: None, skips: false });
    }

    fn send(&mut self, to: u64, value: &Value) {
        let mut value = value.clone();
        if self.bug == Bug::Plain {
            let object = value.as_object_mut().expect("messages are objects");
            ["seq", "epoch", "now", "expires_at", "reason"].iter().for_each(|key| drop(object.remove(*key)));
        }
        if let Some(conn) = self.conns.get_mut(&to) {
            // A peer that is gone is noticed by its reader.
            conn.stream.write_all(&frame(&value)).unwrap_or_default();
        }
    }

    /// Whether the defect happens now to this member. The victim is the client with the
    /// highest number: the first ones act, and act early, whatever the order in which a busy machine lets them join.
    fn strikes(&self, to: u64) -> bool {
        self.victim == Some(to) && self.grants >= 10
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "most defects do not touch broadcasts")]
    fn tell_member(&mut self, to: u64, value: &Value) {
        let once = self.strikes(to) && !self.done;
        match self.bug {
            Bug::LostEvent if self.strikes(to) => return,
            Bug::ResyncMissing if self.strikes(to) => {
                self.conns.get_mut(&to).expect("a member is connected").skips = true;
                return;
            }
            Bug::SilentGap if once => {
                self.done = true;
                return;
            }
            Bug::Reordered if once => {
                if let Some(conn) = self.conns.get_mut(&to) {
                    match conn.held_back.take() {
                        None => {
                            conn.held_back = Some(value.clone());
                            return;
                        }
                        Some(older) => {
                            self.done = true;
                            self.send(to, value);
                            return self.send(to, &older);
                        }
                    }
                }
            }
            Bug::Diverged if once => {
                self.done = true;
                let mut other = value.clone();
                other["seat_id"] = json!("1-1-1");
                other["client_id"] = json!("z0000000c99999");
                return self.send(to, &other);
            }
            Bug::UnknownFrame if once => {
                self.done = true;
                self.send(to, &json!({"type": "confetti"}));
            }
            Bug::ConnectionLost if once => {
                self.done = true;
                if let Some(conn) = self.conns.get_mut(&to) {
                    conn.stream.write_all(&[0x88, 2, 0x03, 0xe9]).unwrap_or_default();
                }
            }
            Bug::Resyncs if self.strikes(to) && self.grants.is_multiple_of(7) => {
                let room = value["room_id"].as_str().expect("events name their room").to_owned();
                let state = self.full_state(&room);
                return self.send(to, &state);
            }
            _ => {}
        }
        self.send(to, value);
    }

    fn full_state(&self, name: &str) -> Value {
        let room = &self.rooms[name];
        let selection = |(seat, hold): (&String, &Hold)| {
            json!({"client_id": hold.client, "seat_id": seat, "room_id": name, "user_info": hold.info,
                   "timestamp": time_text(hold.at), "expires_at": time_text(hold.until)})
        };
        json!({"type": "current_selections", "room_id": name, "seq": room.seq, "epoch": "e1", "selections": room.seats.iter().map(selection).collect::<Vec<_>>()})
    }

    /// What `GET /room/{id}/selections` says.
    pub(crate) fn selections(&self, name: &str) -> Value {
        let mut list = self.rooms.get(name).map_or(json!([]), |_| self.full_state(name)["selections"].clone());
        if self.bug == Bug::MapDiffers {
            list.as_array_mut().expect("a list").pop();
        }
        json!({"room_id": name, "count": list.as_array().map_or(0, Vec::len), "selections": list})
    }

    fn error(&mut self, to: u64, code: &str, request: &Value, now: u64) {
        let value = json!({"type": "error", "code": code, "message": code, "timestamp": time_text(now),
            "room_id": request["room_id"], "seat_id": request["seat_id"], "request_type": request["type"]});
        self.send(to, &value);
    }

    pub(crate) fn request(&mut self, from: u64, text: &str, now: u64) {
        let request: Value = serde_json::from_str(text).unwrap_or_default();
        let (room, seat) = (
            request["room_id"].as_str().unwrap_or("").to_owned(),
            request["seat_id"].as_str().unwrap_or("").to_owned(),
        );
        let client = self.conns[&from].client.clone();
        match request["type"].as_str().unwrap_or("") {
            "ping" => self.send(from, &json!({"type": "pong", "timestamp": time_text(now)})),
            "join_room" => self.join(from, &room, &client, now),
            "leave_room" => {
                self.rooms.entry(room.clone()).or_default().members.retain(|member| *member != from);
                self.send(from, &json!({"type": "room_left", "room_id": room, "client_id": client}));
            }
            "select_seat" => self.select(from, &room, &seat, &client, &request, now),
            "release_seat" => self.release(from, &room, &seat, &request, now),
            _ => self.error(from, "unknown_type", &request, now),
        }
    }

    fn join(&mut self, from: u64, name: &str, client: &str, now: u64) {
        let rank = |id: u64| self.conns.get(&id).map(|conn| (conn.client.len(), conn.client.as_str()));
        if self.victim.is_none_or(|victim| rank(victim) <= rank(from)) {
            self.victim = Some(from);
        }
        let room = self.rooms.entry(name.to_owned()).or_default();
        room.members.retain(|member| *member != from);
        room.members.push(from);
        let (seq, held) = (room.seq, !room.seats.is_empty());
        self.send(from, &json!({"type": "room_joined", "room_id": name, "client_id": client, "seq": seq, "epoch": "e1", "now": time_text(now)}));
        if held {
            let mut state = self.full_state(name);
            if self.bug == Bug::WrongFullState {
                state["selections"].as_array_mut().expect("a list").pop();
            }
            self.send(from, &state);
        }
    }

    fn select(&mut self, from: u64, name: &str, seat: &str, client: &str, request: &Value, now: u64) {
        let info = if request["user_info"].is_object() { request["user_info"].clone() } else { json!({}) };
        let ttl_ms = self.ttl_ms;
        let late = self.grants >= 10 && !self.done;
        let room = self.rooms.entry(name.to_owned()).or_default();
        if let Some(hold) = room.seats.get(seat) {
            let (own, seq, until) = (hold.conn == from, hold.seq, hold.until);
            if own {
                let again = json!({"type": "seat_selected", "room_id": name, "seat_id": seat, "client_id": client, "seq": seq, "expires_at": time_text(until)});
                return self.send(from, &again);
            }
            if !(self.bug == Bug::DoubleGrant && late) {
                return self.error(from, "seat_taken", request, now);
            }
            self.done = true;
        } else if late && matches!(self.bug, Bug::FalseRefusal | Bug::RateLimited | Bug::Unanswered) {
            self.done = true;
            if self.bug != Bug::Unanswered {
                let code = if self.bug == Bug::FalseRefusal { "seat_taken" } else { "rate_limited" };
                self.error(from, code, request, now);
            }
            return;
        }
        let room = self.rooms.get_mut(name).expect("just made");
        room.seq += 1;
        let (seq, until) = (room.seq, now + ttl_ms);
        room.seats.insert(
            seat.to_owned(),
            Hold { conn: from, client: client.to_owned(), info: info.clone(), seq, at: now, until },
        );
        self.grants += 1;
        let mut value = json!({"type": "seat_selected", "room_id": name, "seat_id": seat, "client_id": client, "seq": seq, "epoch": "e1", "expires_at": time_text(until)});
        self.send(from, &value);
        value["user_info"] = info;
        self.broadcast(name, &value, Some(from));
        if self.bug == Bug::ReleasedWhileConnected && self.grants == 10 {
            self.end(name, seat, "disconnected", None);
        }
    }

    fn release(&mut self, from: u64, name: &str, seat: &str, request: &Value, now: u64) {
        let room = self.rooms.entry(name.to_owned()).or_default();
        match room.seats.get(seat).map(|hold| hold.conn) {
            None => self.error(from, "not_held", request, now),
            Some(owner) if owner != from && self.bug != Bug::StrangerRelease => {
                self.error(from, "not_owner", request, now)
            }
            Some(_) => self.end(name, seat, "released", Some(from)),
        }
    }

    /// Ends a hold. The holder is told too; `actor` gets the reply even when it is no member.
    fn end(&mut self, name: &str, seat: &str, reason: &str, actor: Option<u64>) {
        let room = self.rooms.get_mut(name).expect("a hold has a room");
        let hold = room.seats.remove(seat).expect("a held seat");
        room.seq += 1;
        let client = actor.and_then(|actor| self.conns.get(&actor)).map_or(hold.client, |conn| conn.client.clone());
        let value = json!({"type": "seat_released", "room_id": name, "seat_id": seat, "client_id": client, "seq": room.seq, "reason": reason});
        if let Some(actor) = actor {
            self.send(actor, &value);
        }
        self.broadcast(name, &value, actor);
    }

    fn broadcast(&mut self, name: &str, value: &Value, but: Option<u64>) {
        for member in self.rooms[name].members.clone() {
            if Some(member) != but {
                self.tell_member(member, value);
            }
        }
    }

    pub(crate) fn close(&mut self, id: u64) {
        self.conns.remove(&id);
        let names: Vec<String> = self.rooms.keys().cloned().collect();
        for name in names {
            let room = self.rooms.get_mut(&name).expect("still there");
            room.members.retain(|member| *member != id);
            let seats: Vec<String> =
                room.seats.iter().filter(|(_, hold)| hold.conn == id).map(|(seat, _)| seat.clone()).collect();
            if self.bug != Bug::LeftBehind {
                seats.iter().for_each(|seat| self.end(&name, seat, "disconnected", None));
            }
        }
    }

    pub(crate) fn expire(&mut self, now: u64) {
        let ahead = if self.bug == Bug::EarlyExpiry && self.grants >= 10 { self.ttl_ms } else { 0 };
        if self.bug == Bug::LateExpiry {
            return;
        }
        let due = |hold: &Hold| hold.until <= now + ahead;
        let list: Vec<(String, String)> = self
            .rooms
            .iter()
            .flat_map(|(name, room)| {
                room.seats.iter().filter(|(_, hold)| due(hold)).map(|(seat, _)| (name.clone(), seat.clone()))
            })
            .collect();
        list.iter().for_each(|(name, seat)| self.end(name, seat, "expired", None));
    }
}
