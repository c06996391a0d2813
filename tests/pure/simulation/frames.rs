//! What the server writes, as a client reads it: real frames with real JSON.
//!
//! Never here: who gets what.

use butaca::engine::command;
use butaca::engine::ids::Epoch;
use butaca::engine::time::WallMillis;
use serde_json::Value;

use super::names;

/// Rooms, seats and names of clients by number. Their ids are made in `names`.
pub(crate) type Room = usize;
pub(crate) type Seat = usize;
pub(crate) type Name = usize;

/// A request of a client of the first protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    Join(Room),
    Leave(Room),
    /// With a number that makes its `user_info` its own.
    Select(Room, Seat, u64),
    Release(Room, Seat),
    Ping,
    /// Something that is no request.
    Bad,
}

/// Names from here on are those of clients of the second protocol.
pub(crate) const SECOND_NAMES: Name = 50;

/// What a client knows of a seat that is not free.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    pub(crate) client: Name,
    pub(crate) user_info: String,
    /// Of a seat in a cart it is not looked at: it moves with the cart's clock, which members of the first protocol are
    /// not told.
    pub(crate) expires_at: Option<WallMillis>,
}

impl Seen {
    pub(crate) fn new(client: Name, user_info: String, expires_at: Option<WallMillis>) -> Self {
        Self { client, user_info, expires_at: expires_at.filter(|_| client < SECOND_NAMES) }
    }
}

/// The held seats of a room.
pub(crate) type SeatMap = std::collections::BTreeMap<Seat, Seen>;

/// A message of the server.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Joined {
        room: Room,
        seq: u64,
        epoch: Epoch,
    },
    State {
        room: Room,
        seq: u64,
        epoch: Epoch,
        seats: SeatMap,
    },
    Left {
        room: Room,
    },
    /// `own`: without `user_info`, as the one who selected it is told.
    Selected {
        room: Room,
        seat: Seat,
        seq: u64,
        seen: Seen,
        own: bool,
    },
    Released {
        room: Room,
        seat: Seat,
        seq: u64,
        reason: String,
    },
    Error {
        code: String,
        request: Option<String>,
        room: Option<Room>,
        seat: Option<Seat>,
    },
    Pong,
    /// A close frame with this code.
    Close(u16),
}

/// Takes the first whole frame off `bytes`.
pub(crate) fn read(bytes: &mut Vec<u8>) -> Option<Message> {
    Some(match take(bytes)? {
        Frame::Close(code) => Message::Close(code),
        Frame::Text(json) => message(&json),
    })
}

/// A frame of the server.
pub(crate) enum Frame {
    Text(Value),
    Close(u16),
}

/// Takes the first whole frame off `bytes`, whatever it says.
pub(crate) fn take(bytes: &mut Vec<u8>) -> Option<Frame> {
    let (head, len) = match *bytes.get(..2)? {
        [0x81 | 0x88, 126] => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().expect("two bytes")))),
        [0x81 | 0x88, len] if len < 126 => (2, usize::from(len)),
        ref other => panic!("a frame begins with {other:?}"),
    };
    let payload = bytes.get(head..head + len)?;
    let frame = if bytes[0] == 0x88 {
        Frame::Close(u16::from_be_bytes(payload[..2].try_into().expect("two bytes")))
    } else {
        Frame::Text(serde_json::from_slice(payload).expect("the server writes JSON"))
    };
    bytes.drain(..head + len);
    Some(frame)
}

fn message(json: &Value) -> Message {
    let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("{name} in {json}"));
    let id = |name: &str| names::number_of(text(name));
    let seq = || json["seq"].as_u64().expect("a number");
    let epoch = || Epoch(u64::from_str_radix(text("epoch"), 16).expect("an epoch"));
    match text("type") {
        "room_joined" => Message::Joined { room: id("room_id"), seq: seq(), epoch: epoch() },
        "room_left" => Message::Left { room: id("room_id") },
        "pong" => Message::Pong,
        "current_selections" => {
            let seats = json["selections"].as_array().expect("a list").iter();
            let seats = seats.map(|seat| (names::number_of(seat["seat_id"].as_str().expect("a seat")), seen(seat)));
            Message::State { room: id("room_id"), seq: seq(), epoch: epoch(), seats: seats.collect() }
        }
        "seat_selected" => {
            let own = json.get("user_info").is_none();
            Message::Selected { room: id("room_id"), seat: id("seat_id"), seq: seq(), seen: seen(json), own }
        }
        "seat_released" => {
            let (room, seat, reason) = (id("room_id"), id("seat_id"), text("reason").to_owned());
            Message::Released { room, seat, seq: seq(), reason }
        }
        "error" => {
            let known = |name: &str| json[name].as_str().map(names::number_of);
            let request = json["request_type"].as_str().map(str::to_owned);
            Message::Error { code: text("code").into(), request, room: known("room_id"), seat: known("seat_id") }
        }
        other => panic!("{other} is not a message of v1"),
    }
}

fn seen(json: &Value) -> Seen {
    let client = names::number_of(json["client_id"].as_str().expect("a client"));
    let user_info = json.get("user_info").map_or(String::new(), Value::to_string);
    Seen::new(client, user_info, json["expires_at"].as_str().map(time))
}

/// Reads a time of the wire, RFC 3339 with milliseconds in UTC.
pub(crate) fn time(text: &str) -> WallMillis {
    let number = |from: usize, to: usize| text[from..to].parse::<u64>().expect("digits");
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    // Days since 1970 by the proleptic Gregorian calendar, with years that begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + number(11, 13) * 3_600 + number(14, 16) * 60 + number(17, 19);
    WallMillis(seconds * 1_000 + number(20, 23))
}

/// The selections of a shard as a client would know them.
pub(crate) fn seen_by_all(selection: &command::Selection<'_>) -> Seen {
    let client = names::number(selection.client);
    Seen::new(client, selection.user_info.to_owned(), selection.expires_at)
}
