//! The map of a room on the wire: whole, and what has changed of it.
//!
//! Invariants: a map is encoded once, whoever needs it, and what is personal stands behind it; nobody's name is in it.
//! Never here: who needs what, states of seats beyond their two bits.

use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::request::RequestId;
use super::write::{answer, cart, list};
use crate::engine::command::CartView;
use crate::engine::ids::Epoch;
use crate::wire::frame::text_frame;
use crate::wire::json_object::Object;
use crate::wire::json_text;

/// How a place of a map is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place<'a> {
    /// By its number in the layout.
    Index(u32),
    /// By its seat's name, in a room without a layout.
    Name(&'a str),
}

/// The members of a `snapshot` that all who need it share (the room, its position and its map), of a room with a
/// layout: two bits a seat, seat i in bits 2(i mod 4) and up of byte i div 4.
#[must_use]
pub fn map_of_states(room: &str, (epoch, seq): (Epoch, u64), states: &[u8]) -> Vec<u8> {
    map(room, (epoch, seq), |mut object| {
        encoded(object.member("states"), states);
    })
}

/// Appends bytes as base64.
fn encoded(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let at = out.len();
    let len = base64::encoded_len(bytes.len(), true).expect("a map is far smaller than memory");
    out.resize(at + len, 0);
    let written = BASE64_STANDARD.encode_slice(bytes, &mut out[at..]).expect("there is room for all");
    debug_assert_eq!(written, len);
    out.push(b'"');
}

/// The same map with `packed` instead of `states`: the base64 of the same bytes behind DEFLATE (RFC 1951, without a
/// head). Nothing when there are no `states`, which is so in a room without a layout.
#[must_use]
pub fn packed(map: &[u8]) -> Option<Vec<u8>> {
    const STATES: &[u8] = b"\"states\":";
    // What stands before them is short, and no name can say this without its quotes being escaped.
    let at = map.windows(STATES.len()).take(HEAD_BYTES_MAX).position(|part| part == STATES)?;
    let text = map[at + STATES.len()..].strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::fast());
    deflate.write_all(&BASE64_STANDARD.decode(text).ok()?).ok()?;
    let mut packed = map[..at].to_vec();
    packed.extend_from_slice(b"\"packed\":");
    encoded(&mut packed, &deflate.finish().ok()?);
    Some(packed)
}

/// Longest text before the states: the name of a room, each of whose bytes may be escaped, and its position.
const HEAD_BYTES_MAX: usize = 6 * crate::limits::ID_BYTES_MAX + 128;

/// The same of a room without: its seats that are not free, with their states.
#[must_use]
pub fn map_of_seats<'s>(room: &str, (epoch, seq): (Epoch, u64), seats: impl Iterator<Item = (&'s str, u8)>) -> Vec<u8> {
    map(room, (epoch, seq), |mut object| {
        list(object.member("seats"), seats, |out, (seat, state)| pair(out, Place::Name(seat), state));
    })
}

fn map(room: &str, (epoch, seq): (Epoch, u64), write: impl FnOnce(Object<'_>)) -> Vec<u8> {
    let mut members = Vec::new();
    write(Object::bare(&mut members).text("room_id", room).epoch(epoch).number("seq", seq));
    members
}

/// Appends `snapshot`: the map, as the two above write it, and the cart of who gets it.
pub fn snapshot(out: &mut Vec<u8>, id: Option<RequestId<'_>>, map: &[u8], view: &CartView) {
    out.reserve(map.len() + 256);
    text_frame(out, |out| {
        let mut object = answer(out, "snapshot", id);
        object.members(map);
        cart(object, view).end();
    });
}

/// Appends `delta`: the last state of each place that changed, from one number to another.
pub fn delta<'p>(
    out: &mut Vec<u8>,
    room: &str,
    epoch: Epoch,
    (from, to): (u64, u64),
    changes: impl Iterator<Item = (Place<'p>, u8)>,
) {
    text_frame(out, |out| {
        let object = Object::with_type(out, "delta").text("room_id", room).epoch(epoch);
        let mut object = object.number("from", from).number("to", to);
        list(object.member("changes"), changes, |out, (place, state)| pair(out, place, state));
        object.end();
    });
}

fn pair(out: &mut Vec<u8>, place: Place<'_>, state: u8) {
    debug_assert!(state < 4, "two bits");
    out.push(b'[');
    match place {
        Place::Index(index) => json_text::number(out, index.into()),
        Place::Name(name) => json_text::string(out, name),
    }
    out.extend_from_slice(&[b',', b'0' + state, b']']);
}
