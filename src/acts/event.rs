//! One act as the log has it: its room, its number there, and the JSON that readers get, but for the cursor.
//!
//! Invariant: what [`Event::decode`] returns was encoded by a server. Never here: what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::command::KeptEntry;
use crate::engine::ids::{RoomId, SeatId};

/// What an event means for the number of its room, which a store keeps beside the room when that outlives its seats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Number {
    /// The room has holds alone: its number is that of its last event in the log.
    Passing,
    /// The room has something that lasts, and so has its number.
    Kept,
    /// The room has gone.
    Forgotten,
}

/// One act.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// The room.
    pub room: RoomId,
    /// Its number among the events of the room, from 1 on.
    pub n: u64,
    /// What becomes of the number.
    pub number: Number,
    /// A JSON object, without its cursor.
    pub text: Arc<str>,
}

/// What ended by its time while no server looked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lapsed {
    /// The room.
    pub room: RoomId,
    /// Seats that are free now.
    pub seats: Vec<SeatId>,
    /// Those of them whose records are to go with the event.
    pub records: Vec<SeatId>,
    /// What is to be kept with it from now on: the order that has expired, or that a sale has opened; `None`: they were
    /// held.
    pub kept: Option<KeptEntry>,
}

/// What a shard is told of the log at a start.
#[derive(Default, Debug)]
pub struct Resumed {
    /// How many events each room has had.
    pub numbers: BTreeMap<RoomId, u64>,
    /// Those of them that have it in a record of their own, which is to follow.
    pub kept: BTreeSet<RoomId>,
    /// What is to be told.
    pub lapsed: Vec<Lapsed>,
}

/// An event and its place in the log.
pub type Placed = (u64, Event);

impl Event {
    /// About what it takes in memory.
    #[must_use]
    pub fn cost(&self) -> usize {
        const AROUND: usize = 96;
        AROUND + self.room.as_str().len() + self.text.len()
    }

    /// Appends it as a store keeps it: number (8 bytes, little-endian), length of the room (1), room, text.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let room = self.room.as_str();
        bytes.reserve(9 + room.len() + self.text.len());
        bytes.extend_from_slice(&self.n.to_le_bytes());
        bytes.push(u8::try_from(room.len()).expect("an id has at most 128 bytes"));
        bytes.extend_from_slice(room.as_bytes());
        bytes.extend_from_slice(self.text.as_bytes());
    }

    /// The event of these bytes, unless no server can have written them.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (n, rest) = bytes.split_first_chunk::<8>()?;
        let (&len, rest) = rest.split_first()?;
        let (room, text) = rest.split_at_checked(usize::from(len))?;
        let room = RoomId::new(std::str::from_utf8(room).ok()?)?;
        let text = std::str::from_utf8(text).ok().filter(|text| text.starts_with('{') && text.ends_with('}'))?;
        Some(Self { room, n: u64::from_le_bytes(*n), number: Number::Passing, text: text.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Number};
    use crate::engine::ids::RoomId;

    #[test]
    fn an_event_is_read_as_it_was_written() {
        let room = RoomId::new("Teatro Año").unwrap();
        let event = Event { room, n: 7, number: Number::Passing, text: r#"{"id":"a"}"#.into() };
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        assert_eq!(Event::decode(&bytes).as_ref(), Some(&event));
        for len in 0..bytes.len() {
            assert_eq!(Event::decode(&bytes[..len]), None, "{len} bytes");
        }
    }
}
