//! The names of a run's rooms, seats and clients, and the way back from a name to its index.
//!
//! Invariant: names carry the run's tag, so two runs against one server never meet, and need no escaping anywhere.
//! Never here: anything that happens.

use std::collections::HashMap;

use crate::num::index32;
use crate::scan::number;

/// A seat, as an index into its room.
pub type Seat = u32;
/// A client, as an index into the run's population.
pub type Who = u32;
/// Nobody holds the seat.
pub const FREE: Who = Who::MAX;
/// Somebody who is not of this run.
pub const STRANGER: Who = Who::MAX - 1;

/// The shape of a room: blocks of equal rows. Seat names are `block-row-seat`, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hall {
    /// Blocks, the dearest first.
    pub blocks: u32,
    /// Rows of a block, the front one first.
    pub rows: u32,
    /// Seats of a row.
    pub row_seats: u32,
}

impl Hall {
    /// One block that is as square as it can be with exactly `seats` seats in equal rows.
    #[must_use]
    pub fn of(seats: u32) -> Self {
        let seats = seats.max(1);
        let rows = (1..=seats.isqrt()).rev().find(|rows| seats.is_multiple_of(*rows)).unwrap_or(1);
        Self { blocks: 1, rows, row_seats: seats / rows }
    }

    /// Seats of a room.
    #[must_use]
    pub fn seats(self) -> u32 {
        self.blocks * self.rows * self.row_seats
    }

    /// Where a seat is: block, row and place, from 0.
    #[must_use]
    pub fn place(self, seat: Seat) -> (u32, u32, u32) {
        let row = seat / self.row_seats;
        (row / self.rows, row % self.rows, seat % self.row_seats)
    }

    /// The seat at a place.
    #[must_use]
    pub fn seat(self, block: u32, row: u32, place: u32) -> Seat {
        (block * self.rows + row) * self.row_seats + place
    }
}

/// The names of the seats of a plan, in its order, and the way back.
#[derive(Clone, Debug)]
struct Plan {
    names: Vec<String>,
    back: HashMap<Vec<u8>, Seat>,
}

/// The names of one run.
#[derive(Clone, Debug)]
pub struct Names {
    /// The shape of every room.
    pub hall: Hall,
    tag: String,
    rooms: Vec<String>,
    /// The seats of a plan; none: those of the hall.
    plan: Option<Plan>,
}

impl Names {
    /// Names of `rooms` rooms under a tag of lower-case letters and digits.
    #[must_use]
    pub fn new(tag: &str, rooms: usize, hall: Hall) -> Self {
        Self { hall, tag: tag.to_owned(), rooms: (0..rooms).map(|room| format!("{tag}r{room}")).collect(), plan: None }
    }

    /// The same with the seats of a plan, which may be more than the hall has: nobody clicks on those behind its last
    /// one.
    #[must_use]
    pub fn with_seats(mut self, seats: Vec<String>) -> Self {
        let back = seats.iter().zip(0..).map(|(name, seat)| (name.clone().into_bytes(), seat)).collect();
        self.plan = Some(Plan { names: seats, back });
        self
    }

    /// How many seats a room has.
    #[must_use]
    pub fn seats(&self) -> u32 {
        self.plan.as_ref().map_or(self.hall.seats(), |plan| index32(plan.names.len()))
    }

    /// Whether these seats stand next to each other, as far as the hall says.
    #[must_use]
    pub fn are_adjacent(&self, seats: &[Seat]) -> bool {
        let next = |pair: &[Seat]| pair[1] == pair[0] + 1 && !pair[1].is_multiple_of(self.hall.row_seats);
        self.plan.is_some() || seats.windows(2).all(next)
    }

    /// How many rooms there are.
    #[must_use]
    pub fn rooms(&self) -> usize {
        self.rooms.len()
    }

    /// The name of a room.
    #[must_use]
    pub fn room(&self, room: usize) -> &str {
        &self.rooms[room]
    }

    /// The name of a client.
    #[must_use]
    pub fn client(&self, who: Who) -> String {
        match who {
            FREE => "nobody".to_owned(),
            STRANGER => "a stranger".to_owned(),
            who => format!("{}c{who}", self.tag),
        }
    }

    /// The name of a seat.
    #[must_use]
    pub fn seat(&self, seat: Seat) -> String {
        if let Some(plan) = &self.plan {
            return plan.names[seat as usize].clone();
        }
        let (block, row, place) = self.hall.place(seat);
        format!("{}-{}-{}", block + 1, row + 1, place + 1)
    }

    /// The client of a name; [`STRANGER`] when it is none of ours.
    #[must_use]
    pub fn who(&self, name: &[u8]) -> Who {
        let digits = name.strip_prefix(self.tag.as_bytes()).and_then(|rest| rest.strip_prefix(b"c"));
        let index = digits.and_then(number).and_then(|index| Who::try_from(index).ok());
        index.filter(|index| *index < STRANGER).unwrap_or(STRANGER)
    }

    /// The seat of a name, when it is one of this hall.
    #[must_use]
    pub fn seat_of(&self, name: &[u8]) -> Option<Seat> {
        if let Some(plan) = &self.plan {
            return plan.back.get(name).copied();
        }
        let mut parts = name.split(|byte| *byte == b'-').map(number);
        let mut part = |limit: u32| {
            let value = u32::try_from(parts.next()??).ok()?;
            (1..=limit).contains(&value).then(|| value - 1)
        };
        let (block, row, place) = (part(self.hall.blocks)?, part(self.hall.rows)?, part(self.hall.row_seats)?);
        parts.next().is_none().then(|| self.hall.seat(block, row, place))
    }

    /// Appends the name of a seat.
    pub fn push_seat(&self, out: &mut Vec<u8>, seat: Seat) {
        out.extend_from_slice(self.seat(seat).as_bytes());
    }
}

/// A tag that no other run of this machine has.
#[must_use]
pub fn fresh_tag(seed: u64) -> String {
    let mixed = crate::clock::now_ns() ^ u64::from(std::process::id()) << 40 ^ seed.rotate_left(17);
    format!("z{:07x}", index32(usize::try_from((mixed ^ mixed >> 31) & 0xfff_ffff).expect("28 bits")))
}

#[cfg(test)]
mod tests {
    use super::{Hall, Names, STRANGER};

    #[test]
    fn names_come_back() {
        let names = Names::new("z1", 3, Hall { blocks: 4, rows: 25, row_seats: 20 });
        for seat in [0, 19, 20, 499, 500, 1_999] {
            assert_eq!(names.seat_of(names.seat(seat).as_bytes()), Some(seat));
        }
        for wrong in ["", "0-1-1", "1-26-1", "1-1", "1-1-1-1", "1-1-21", "x"] {
            assert_eq!(names.seat_of(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(names.who(names.client(17).as_bytes()), 17);
        assert_eq!(names.who(b"z2c1"), STRANGER);
    }

    #[test]
    fn halls_have_exactly_their_seats() {
        for seats in [1, 2, 150, 500, 2_000, 18_000, 997] {
            assert_eq!(Hall::of(seats).seats(), seats);
        }
    }
}
