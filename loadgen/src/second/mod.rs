//! The second protocol: carts, sessions, maps of two bits a seat.
//!
//! [`wire`] reads and writes messages, [`map`] is a room's map, [`rooms`] what all members together were told of a
//! room, [`holders`] who had which seat when, [`mine`] what one client knows of itself, [`read`] and [`carts`] lead
//! from a message to what it means. Invariant: nothing is trusted that is not compared with what others were told.
//! Never here: sockets, what people want.

pub mod ask;
pub mod carts;
pub mod holders;
pub mod map;
pub mod mine;
pub mod read;
pub mod rooms;
pub mod settle;
pub mod wire;

use crate::names::Who;
use holders::Holders;
use mine::Mine;
use rooms::Room;

/// A refusal that nothing seen so far proves.
#[derive(Clone, Debug)]
pub(crate) struct Doubt {
    pub(crate) who: Who,
    pub(crate) room: usize,
    pub(crate) life: usize,
    pub(crate) seat: crate::names::Seat,
    pub(crate) since: u64,
    pub(crate) until: u64,
}

/// How late carts expired.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lateness {
    /// How many expired.
    pub count: u64,
    /// The latest, in milliseconds.
    pub max_ms: u64,
}

/// What the clients of one thread know by the second protocol.
#[derive(Debug)]
pub struct Second {
    /// Snapshots that nobody asked for: a member read too slowly.
    pub resyncs: u64,
    /// Sessions that went on with another connection.
    pub resumed: u64,
    /// Rooms that went on from a number.
    pub resumed_rooms: u64,
    /// Fresh snapshots that were compared with what deltas had added up to.
    pub compared: u64,
    /// How late carts expired.
    pub lateness: Lateness,
    pub(crate) rooms: Vec<Room>,
    pub(crate) mine: Vec<Mine>,
    pub(crate) holders: Vec<Holders>,
    pub(crate) doubts: Vec<Doubt>,
    pub(crate) expiry_grace_ms: u64,
}

impl Second {
    /// Nobody knows anything of `rooms` rooms; `clients` of the run may.
    #[must_use]
    pub fn new(rooms: usize, clients: usize, expiry_grace_ms: u64) -> Self {
        Self {
            resyncs: 0,
            resumed: 0,
            resumed_rooms: 0,
            compared: 0,
            lateness: Lateness::default(),
            rooms: (0..rooms).map(|_| Room::default()).collect(),
            mine: (0..clients).map(|_| Mine::default()).collect(),
            holders: (0..rooms).map(|_| Holders::default()).collect(),
            doubts: Vec::new(),
            expiry_grace_ms,
        }
    }

    /// Seats that are not free in all rooms, as far as is known.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.rooms.iter().map(Room::taken).sum()
    }

    /// The longest grace that a client was told of.
    #[must_use]
    pub fn grace_ms(&self) -> u64 {
        self.mine.iter().map(|mine| mine.grace_ms).max().unwrap_or(0)
    }

    /// What one client knows of itself.
    #[must_use]
    pub fn client(&self, who: Who) -> &Mine {
        &self.mine[who as usize]
    }
}

#[cfg(test)]
mod tests;
