//! The map of a room: two bits a seat, and one number that stands for all of them.
//!
//! Invariant: `hash` is the sum over the seats that are not free, so two maps are compared by one number. Never here:
//! when that was.

use std::io::Read as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::read::DeflateDecoder;

use crate::names::Seat;

/// States of the seats of a room: 0 free, 1 held, 2 booked, 3 blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    bits: Box<[u8]>,
    hash: u64,
    taken: u32,
}

fn mix(seat: Seat, state: u8) -> u64 {
    let mut x = (u64::from(seat) << 2 | u64::from(state)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

impl Map {
    /// So many free seats.
    #[must_use]
    pub fn free(seats: u32) -> Self {
        Self { bits: vec![0; (seats as usize).div_ceil(4)].into(), hash: 0, taken: 0 }
    }

    /// The map of a snapshot's `states`; nothing when they are not those of so many seats.
    #[must_use]
    pub fn of_states(states: &str, seats: u32) -> Option<Self> {
        Self::of_bits(BASE64_STANDARD.decode(states).ok()?, seats)
    }

    /// The same of `packed`: the base64 of raw DEFLATE.
    #[must_use]
    pub fn of_packed(packed: &str, seats: u32) -> Option<Self> {
        let packed = BASE64_STANDARD.decode(packed).ok()?;
        let mut bits = Vec::new();
        // One byte more than there may be: whatever is longer is none.
        DeflateDecoder::new(&*packed).take(u64::from(seats).div_ceil(4) + 1).read_to_end(&mut bits).ok()?;
        Self::of_bits(bits, seats)
    }

    fn of_bits(bits: Vec<u8>, seats: u32) -> Option<Self> {
        if bits.len() != (seats as usize).div_ceil(4) {
            return None;
        }
        let mut map = Self { bits: bits.into(), hash: 0, taken: 0 };
        let places = map.bits.len() * 4;
        for seat in 0..crate::num::index32(places) {
            let state = map.state(seat);
            if state != 0 && seat >= seats {
                return None;
            }
            if state != 0 {
                map.hash = map.hash.wrapping_add(mix(seat, state));
                map.taken += 1;
            }
        }
        Some(map)
    }

    /// The state of a seat.
    #[must_use]
    pub fn state(&self, seat: Seat) -> u8 {
        self.bits[seat as usize / 4] >> (2 * (seat % 4)) & 3
    }

    /// Changes a seat.
    pub fn set(&mut self, seat: Seat, state: u8) {
        let before = self.state(seat);
        if before != 0 {
            self.hash = self.hash.wrapping_sub(mix(seat, before));
            self.taken -= 1;
        }
        if state != 0 {
            self.hash = self.hash.wrapping_add(mix(seat, state));
            self.taken += 1;
        }
        let byte = &mut self.bits[seat as usize / 4];
        *byte = *byte & !(3 << (2 * (seat % 4))) | state << (2 * (seat % 4));
    }

    /// One number for the whole.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Seats that are not free.
    #[must_use]
    pub fn taken(&self) -> u32 {
        self.taken
    }

    /// The first of so many seats in which two maps differ, with both states.
    #[must_use]
    pub fn first_difference(&self, other: &Self, seats: u32) -> Option<(Seat, u8, u8)> {
        (0..seats).map(|seat| (seat, self.state(seat), other.state(seat))).find(|(_, one, two)| one != two)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::Map;

    #[test]
    fn what_is_set_is_what_the_wire_says() {
        let mut map = Map::free(9);
        for (seat, state) in [(0, 1), (3, 3), (4, 2), (8, 1), (0, 2), (8, 0)] {
            map.set(seat, state);
            assert_eq!(map.state(seat), state);
        }
        let wire = BASE64_STANDARD.encode([0b1100_0010, 0b10, 0]);
        assert_eq!(Map::of_states(&wire, 9), Some(map.clone()));
        assert_eq!(map.taken(), 3);
        assert_eq!(map.first_difference(&Map::free(9), 9), Some((0, 2, 0)));
        assert_eq!(Map::of_states(&wire, 16), None, "another number of seats");
        assert_eq!(Map::of_states(&BASE64_STANDARD.encode([0, 0, 4]), 9), None, "a seat behind the last one");
        assert_eq!(Map::of_states("x", 9), None);
    }

    #[test]
    fn packed_is_the_same_map() {
        let packed = |bytes: &[u8]| {
            let mut deflate = DeflateEncoder::new(Vec::new(), Compression::fast());
            deflate.write_all(bytes).expect("memory takes it");
            deflate.finish().expect("memory takes it")
        };
        let read = |bytes: &[u8], seats| Map::of_packed(&BASE64_STANDARD.encode(bytes), seats);
        let bits = [0b1100_0010, 0b10, 0];
        let whole = packed(&bits);
        assert_eq!(read(&whole, 9), Map::of_states(&BASE64_STANDARD.encode(bits), 9));
        assert_eq!(read(&whole, 16), None, "another number of seats");
        assert_eq!(read(&whole[..whole.len() - 1], 9), None, "cut short");
        assert_eq!(read(&packed(&vec![0; 50_000_000]), 9), None, "far too long");
        assert_eq!(read(&bits, 9), None, "not packed");
        assert_eq!(Map::of_packed("%", 9), None);
    }
}
