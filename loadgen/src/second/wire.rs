//! The messages of the second protocol: what is read of the server's, and the text of requests.
//!
//! Invariant: a message that is no JSON object, or has a member of a wrong kind, is none. Never here: judgement.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::names::{Names, Seat};
use crate::scan;

/// What becomes of an order, as a cart tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Order {
    /// Its name.
    pub order: String,
    /// `checkout` or `booked`.
    pub status: String,
    /// Its seats.
    pub seats: Vec<String>,
    /// Until when it may be paid.
    pub expires_at: Option<String>,
}

/// A cart, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Cart {
    /// The seats that are held.
    pub seats: Vec<String>,
    /// Until when.
    pub expires_at: Option<String>,
    /// How often that may still be put off.
    pub extends_left: u32,
    /// What of it is being paid, or sold.
    pub orders: Vec<Order>,
}

/// A seat that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Conflict {
    /// The seat.
    pub seat_id: String,
    /// 1 held, 2 booked, 3 blocked.
    pub state: u8,
}

/// The cart of one room, in a `hello`.
#[derive(Clone, Debug, Deserialize)]
pub struct RoomCart {
    /// The room.
    pub room_id: String,
    /// The cart.
    pub cart: Cart,
}

/// The members of a message that are looked at; what is missing is empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Frame<'a> {
    /// Its type.
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    /// The request that it answers.
    pub id: Option<u64>,
    /// `room_id`
    #[serde(borrow)]
    pub room_id: Option<Cow<'a, str>>,
    /// `epoch`
    #[serde(borrow)]
    pub epoch: Option<Cow<'a, str>>,
    /// `seq`
    pub seq: Option<u64>,
    /// `from` of a delta
    pub from: Option<u64>,
    /// `to` of a delta
    pub to: Option<u64>,
    /// `states` of a snapshot
    #[serde(borrow)]
    pub states: Option<Cow<'a, str>>,
    /// `packed` of a snapshot
    #[serde(borrow)]
    pub packed: Option<Cow<'a, str>>,
    /// `seats`, raw: names, or pairs of a name and a state
    #[serde(borrow)]
    pub seats: Option<&'a RawValue>,
    /// `changes` of a delta, raw
    #[serde(borrow)]
    pub changes: Option<&'a RawValue>,
    /// `cart`
    pub cart: Option<Cart>,
    /// `reason`
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
    /// `gone`
    pub gone: Vec<String>,
    /// `order`
    pub order: Option<String>,
    /// `code` of a refusal
    #[serde(borrow)]
    pub code: Cow<'a, str>,
    /// `request_type` of a refusal
    #[serde(borrow)]
    pub request_type: Option<Cow<'a, str>>,
    /// `conflicts` of a refusal
    pub conflicts: Vec<Conflict>,
    /// `free` of a refusal
    pub free: Option<u32>,
    /// `largest_adjacent` of a refusal
    pub largest_adjacent: Option<u32>,
    /// `session_id`
    pub session_id: Option<String>,
    /// `session_token`
    pub session_token: Option<String>,
    /// `resumed`
    pub resumed: bool,
    /// `grace_ms`
    pub grace_ms: Option<u64>,
    /// `carts` of a `hello`
    pub carts: Vec<RoomCart>,
    /// `layout` of `room_joined`, raw; none when it is null
    #[serde(borrow)]
    pub layout: Option<&'a RawValue>,
    /// `max_seats` of `room_joined`
    pub max_seats: Option<u32>,
    /// `left_ms` of `hold_expiring`
    pub left_ms: Option<u64>,
}

/// Reads a message.
#[must_use]
pub fn frame(bytes: &[u8]) -> Option<Frame<'_>> {
    serde_json::from_slice(bytes).ok().filter(|frame: &Frame<'_>| !frame.kind.is_empty())
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Place<'a> {
    Index(u32),
    Name(#[serde(borrow)] Cow<'a, str>),
}

/// The pairs of a place and a state in `changes` or in the `seats` of a snapshot; nothing when one is no seat.
#[must_use]
pub fn states(list: &RawValue, names: &Names) -> Option<Vec<(Seat, u8)>> {
    let pairs: Vec<(Place<'_>, u8)> = serde_json::from_str(list.get()).ok()?;
    let known = |(place, state): &(Place<'_>, u8)| {
        let seat = match place {
            Place::Index(index) => *index,
            Place::Name(name) => names.seat_of(name.as_bytes())?,
        };
        (*state < 4 && seat < names.seats()).then_some((seat, *state))
    };
    pairs.iter().map(known).collect()
}

/// The seats of a list of names; nothing when one is no seat.
#[must_use]
pub fn seats<S: AsRef<str>>(list: &[S], names: &Names) -> Option<Vec<Seat>> {
    list.iter().map(|name| names.seat_of(name.as_ref().as_bytes())).collect()
}

/// Begins a request with its type and its number.
pub fn begin(line: &mut Vec<u8>, kind: &str, id: u64) {
    line.clear();
    line.extend_from_slice(format!(r#"{{"type":"{kind}","id":{id}"#).as_bytes());
}

/// Ends it.
pub fn end(line: &mut Vec<u8>) {
    line.push(b'}');
}

/// Adds a text that needs no escaping.
pub fn text(line: &mut Vec<u8>, name: &str, value: &str) {
    line.extend_from_slice(format!(r#","{name}":"{value}""#).as_bytes());
}

/// Adds a number, `true` or `false`.
pub fn bare(line: &mut Vec<u8>, name: &str, value: impl std::fmt::Display) {
    line.extend_from_slice(format!(r#","{name}":{value}"#).as_bytes());
}

/// Adds a list of seats.
pub fn seat_list(line: &mut Vec<u8>, name: &str, names: &Names, seats: &[Seat]) {
    line.extend_from_slice(format!(r#","{name}":["#).as_bytes());
    for (at, seat) in seats.iter().enumerate() {
        line.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
        names.push_seat(line, *seat);
        line.push(b'"');
    }
    line.push(b']');
}

/// Adds the `user_info` with a command's due time.
pub fn stamp(line: &mut Vec<u8>, due: u64) {
    line.extend_from_slice(b",\"user_info\":{\"name\":\"g");
    line.extend_from_slice(scan::STAMP);
    line.extend_from_slice(format!("{due:016x}\"}}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::{frame, seats, states};
    use crate::names::{Hall, Names};

    #[test]
    fn messages_come_apart() {
        let names = Names::new("t", 1, Hall { blocks: 1, rows: 2, row_seats: 3 });
        let delta = br#"{"type":"delta","room_id":"tr0","epoch":"5f","from":2,"to":4,"changes":[[4,1],["1-1-1",0]]}"#;
        let found = frame(delta).expect("a message");
        assert_eq!((&*found.kind, found.from, found.to), ("delta", Some(2), Some(4)));
        assert_eq!(states(found.changes.expect("a list"), &names), Some(vec![(4, 1), (0, 0)]));
        let held = br#"{"type":"seats_held","id":7,"seats":["1-1-2"],"cart":{"seats":["1-1-2"],"expires_at":"x","extends_left":1,"orders":[]}}"#;
        let cart = frame(held).and_then(|frame| frame.cart).expect("a cart");
        assert_eq!((seats(&cart.seats, &names), cart.extends_left), (Some(vec![1]), 1));
        for wrong in [&b"[]"[..], b"{}", b"{\"type\":7}", b"{\"type\":\"delta\",\"from\":\"x\"}", b"x"] {
            assert!(frame(wrong).is_none(), "{}", String::from_utf8_lossy(wrong));
        }
        for wrong in [r#"[[6,1]]"#, r#"[[0,4]]"#, r#"[["1-3-1",1]]"#, "7"] {
            let list = serde_json::value::RawValue::from_string(wrong.to_owned()).expect("JSON");
            assert_eq!(states(&list, &names), None, "{wrong}");
        }
    }
}
