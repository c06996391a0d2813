//! The keys of the embedded store: a room, its length first, and a seat.
//!
//! Invariants: no two seats share a key, and a room's seats lie together; [`TALLY`] is the key of no seat, since no
//! room has an empty id. Never here: values.

use crate::acts::chapter;
use crate::engine::ids::RoomId;
use crate::limits::ID_BYTES_MAX;
use crate::persist::stores::store::Loaded;

/// Where the store counts what it has (`tally.rs`).
pub(super) const TALLY: &[u8] = &[0];
/// The longest key.
pub(super) const KEY_BYTES_MAX: usize = 1 + 2 * ID_BYTES_MAX + 2;

/// How the keys of the log begin: a byte more than the tally, and no room either.
const LOG: [u8; 2] = [0, b'l'];

/// The key of the chapter of the log whose last event has this place. They lie in their order.
pub(super) fn log_key(place: u64) -> Vec<u8> {
    [&LOG[..], &place.to_be_bytes()].concat()
}

/// Whether this is the key of a chapter. Those are not counted among what is held.
pub(super) fn is_log(key: &[u8]) -> bool {
    key.starts_with(&LOG)
}

/// The place of this key, if it is one of the log.
fn place_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.strip_prefix(&LOG)?.try_into().ok()?))
}

/// How the keys of a room begin.
pub(super) fn prefix_of(room: &RoomId) -> Vec<u8> {
    let room = room.as_str();
    let mut key = vec![u8::try_from(room.len()).expect("an id has at most 128 bytes")];
    key.extend_from_slice(room.as_bytes());
    key
}

/// The key of the record of this name: that of a seat, or of something beside the seats.
pub(super) fn key_of(room: &RoomId, name: &str) -> Vec<u8> {
    let mut key = prefix_of(room);
    key.extend_from_slice(name.as_bytes());
    key
}

/// The room and the name of the record that this is the key of.
pub(super) fn split(key: &[u8]) -> Option<(RoomId, &str)> {
    let (&len, rest) = key.split_first()?;
    let (room, name) = rest.split_at_checked(usize::from(len))?;
    Some((RoomId::new(std::str::from_utf8(room).ok()?)?, std::str::from_utf8(name).ok()?))
}

/// A record that was read, but for the tally.
pub(super) fn take_in(key: &[u8], value: &[u8], loaded: &mut Loaded) {
    if key == TALLY {
        return;
    }
    if is_log(key) {
        if let Some(place) = place_of(key) {
            loaded.chapters.push(place);
            loaded.log.extend(chapter::read(place, value));
        }
        return;
    }
    match split(key) {
        Some((room, name)) => loaded.take_in(&room, name, value),
        None => loaded.skipped += 1,
    }
}
