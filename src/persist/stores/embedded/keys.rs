//! The keys of the embedded store: a room, its length first, and a seat.
//!
//! Invariants: no two seats share a key, and a room's seats lie together; [`TALLY`] is the key of no seat, since no
//! room has an empty id. Never here: values.

use crate::engine::ids::{RoomId, SeatId};
use crate::limits::ID_BYTES_MAX;
use crate::persist::record::{self, StoredHold};
use crate::persist::stores::store::Loaded;

/// Where the store counts what it has (`tally.rs`).
pub(super) const TALLY: &[u8] = &[0];
/// The longest key.
pub(super) const KEY_BYTES_MAX: usize = 1 + 2 * ID_BYTES_MAX;

/// How the keys of a room begin.
pub(super) fn prefix_of(room: &RoomId) -> Vec<u8> {
    let room = room.as_str();
    let mut key = vec![u8::try_from(room.len()).expect("an id has at most 128 bytes")];
    key.extend_from_slice(room.as_bytes());
    key
}

/// The key of a seat.
pub(super) fn key_of(room: &RoomId, seat: &SeatId) -> Vec<u8> {
    let mut key = prefix_of(room);
    key.extend_from_slice(seat.as_str().as_bytes());
    key
}

/// The seat that this is the key of.
pub(super) fn split(key: &[u8]) -> Option<(RoomId, SeatId)> {
    let (&len, rest) = key.split_first()?;
    let (room, seat) = rest.split_at_checked(usize::from(len))?;
    Some((RoomId::new(std::str::from_utf8(room).ok()?)?, SeatId::new(std::str::from_utf8(seat).ok()?)?))
}

/// A record that was read, but for the tally.
pub(super) fn take_in(key: &[u8], value: &[u8], loaded: &mut Loaded) {
    if key == TALLY {
        return;
    }
    let Some((room, seat)) = split(key) else {
        loaded.skipped += 1;
        return;
    };
    match record::decode(&room, &seat, value) {
        Ok(held) => loaded.holds.push(StoredHold { room, seat, held }),
        Err(_) => {
            loaded.skipped += 1;
            loaded.unreadable.push((room, seat));
        }
    }
}
