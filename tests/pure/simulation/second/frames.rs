//! What the server writes to clients of the second protocol: real frames with real JSON.

use std::collections::BTreeMap;

use butaca::engine::ids::Epoch;
use butaca::engine::time::WallMillis;
use serde_json::Value;

use crate::simulation::frames::{self, Frame, Room, Seat};
use crate::simulation::names;

/// A map: the seats that are not free, with their states.
pub(crate) type Map = BTreeMap<Seat, u8>;

/// A cart as it is told.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Cart {
    pub(crate) seats: Vec<Seat>,
    pub(crate) expires_at: Option<WallMillis>,
}

/// A message of the server.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Hello {
        session: String,
        token: String,
        is_resumed: bool,
        carts: Vec<(Room, Cart)>,
    },
    Joined {
        room: Room,
        epoch: Epoch,
        seq: u64,
    },
    Left {
        room: Room,
    },
    Snapshot {
        room: Room,
        epoch: Epoch,
        seq: u64,
        map: Map,
        cart: Cart,
    },
    Delta {
        room: Room,
        epoch: Epoch,
        from: u64,
        to: u64,
        changes: Vec<(Seat, u8)>,
    },
    Held {
        room: Room,
        seats: Vec<Seat>,
        cart: Cart,
    },
    Released {
        room: Room,
        seats: Vec<Seat>,
        cart: Cart,
    },
    Extended {
        room: Room,
        cart: Cart,
    },
    /// `cart`, or `hold_expiring`.
    Cart {
        room: Room,
        cart: Cart,
    },
    Pong,
    Error {
        code: String,
        room: Option<Room>,
        conflicts: Vec<Seat>,
    },
    Goaway,
    /// A close frame with this code.
    Close(u16),
}

/// Takes the first whole frame off `bytes`; the id of the request that it answers stands before it.
pub(crate) fn read(bytes: &mut Vec<u8>) -> Option<(Option<u64>, Message)> {
    Some(match frames::take(bytes)? {
        Frame::Close(code) => (None, Message::Close(code)),
        Frame::Text(json) => (json.get("id").map(|id| id.as_u64().expect("an id of ours")), message(&json)),
    })
}

fn message(json: &Value) -> Message {
    let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("{name} in {json}"));
    let room = || names::number_of(text("room_id"));
    let number = |name: &str| json[name].as_u64().unwrap_or_else(|| panic!("{name} in {json}"));
    let epoch = || Epoch(u64::from_str_radix(text("epoch"), 16).expect("an epoch"));
    match text("type") {
        "hello" => {
            let carts = json["carts"].as_array().expect("a list").iter();
            let carts = carts.map(|of| (names::number_of(of["room_id"].as_str().expect("a room")), cart(&of["cart"])));
            let is_resumed = json["resumed"].as_bool().expect("yes or no");
            let (session, token) = (text("session_id").into(), text("session_token").into());
            Message::Hello { session, token, is_resumed, carts: carts.collect() }
        }
        "room_joined" => Message::Joined { room: room(), epoch: epoch(), seq: number("seq") },
        "room_left" => Message::Left { room: room() },
        "snapshot" => {
            let map = changes(&json["seats"]).into_iter().collect();
            Message::Snapshot { room: room(), epoch: epoch(), seq: number("seq"), map, cart: cart(&json["cart"]) }
        }
        "delta" => {
            let changes = changes(&json["changes"]);
            Message::Delta { room: room(), epoch: epoch(), from: number("from"), to: number("to"), changes }
        }
        "seats_held" => Message::Held { room: room(), seats: seats(&json["seats"]), cart: cart(&json["cart"]) },
        "seats_released" => Message::Released { room: room(), seats: seats(&json["seats"]), cart: cart(&json["cart"]) },
        "hold_extended" => Message::Extended { room: room(), cart: cart(&json["cart"]) },
        "cart" | "hold_expiring" => Message::Cart { room: room(), cart: cart(&json["cart"]) },
        "pong" => Message::Pong,
        "error" => {
            let conflicts = json["conflicts"].as_array().into_iter().flatten();
            let conflicts = conflicts.map(|of| names::number_of(of["seat_id"].as_str().expect("a seat")));
            let room = json["room_id"].as_str().map(names::number_of);
            Message::Error { code: text("code").into(), room, conflicts: conflicts.collect() }
        }
        "goaway" => Message::Goaway,
        other => panic!("{other} is not a message of v2"),
    }
}

fn seats(json: &Value) -> Vec<Seat> {
    let list = json.as_array().expect("a list").iter();
    list.map(|seat| names::number_of(seat.as_str().expect("a seat"))).collect()
}

/// Pairs of a seat and its state.
fn changes(json: &Value) -> Vec<(Seat, u8)> {
    let pair = |pair: &Value| {
        let state = u8::try_from(pair[1].as_u64().expect("a state")).expect("a small one");
        (names::number_of(pair[0].as_str().expect("a seat")), state)
    };
    json.as_array().expect("a list").iter().map(pair).collect()
}

fn cart(json: &Value) -> Cart {
    Cart { seats: seats(&json["seats"]), expires_at: json["expires_at"].as_str().map(frames::time) }
}
