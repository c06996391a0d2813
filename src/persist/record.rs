//! A held seat as a store keeps it, and its bytes, the same in every store.
//!
//! Layout, version 2, numbers little-endian: version (1 byte), address and owner of the origin, seq, at, expires_at (8 each),
//! length of the client (2), client, length of the user_info (4), user_info, checksum (8) of all before it together with the
//! room and the seat, so that a record that ended up under another key is not believed. Version 1 is the same without the
//! origin, and is read.
//! Invariant: what [`decode`] returns has valid ids, numbers that a server can have written, and passed the checksum. Never here: keys, I/O.

use std::sync::Arc;

use crate::engine::ids::{ClientId, Origin, RoomId, SeatId};
use crate::engine::time::WallMillis;
use crate::limits::{MESSAGE_BYTES_MAX, SEQ_MAX, STORED_WALL_MS_MAX};

const VERSION: u8 = 2;
/// The version whose records tell no origin.
const VERSION_WITHOUT_ORIGIN: u8 = 1;
const CHECKSUM_BYTES: usize = 8;

/// One held seat as a store keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// Who holds it.
    pub client: ClientId,
    /// A JSON object as the client wrote it.
    pub user_info: Arc<str>,
    /// When the hold began.
    pub at: WallMillis,
    /// When it ends by itself.
    pub expires_at: WallMillis,
    /// The room's sequence number after the select.
    pub seq: u64,
    /// Where the holder came from.
    pub origin: Origin,
}

/// One held seat with its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredHold {
    /// The room.
    pub room: RoomId,
    /// The seat.
    pub seat: SeatId,
    /// The hold.
    pub held: Held,
}

/// Why bytes are not a record that can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unusable {
    /// It was written by a version of the server that this one does not know.
    UnknownVersion(u8),
    /// It is not what was written.
    Damaged,
}

/// Appends the record of a held seat.
pub fn encode(room: &RoomId, seat: &SeatId, held: &Held, out: &mut Vec<u8>) {
    let start = out.len();
    let client = held.client.as_str();
    out.push(VERSION);
    out.extend_from_slice(&held.origin.address.to_le_bytes());
    out.extend_from_slice(&held.origin.owner.to_le_bytes());
    out.extend_from_slice(&held.seq.to_le_bytes());
    out.extend_from_slice(&held.at.0.to_le_bytes());
    out.extend_from_slice(&held.expires_at.0.to_le_bytes());
    out.extend_from_slice(&u16::try_from(client.len()).expect("an id is short").to_le_bytes());
    out.extend_from_slice(client.as_bytes());
    out.extend_from_slice(&u32::try_from(held.user_info.len()).expect("a message is short").to_le_bytes());
    out.extend_from_slice(held.user_info.as_bytes());
    let sum = checksum(room.as_str(), seat.as_str(), &out[start..]);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// The held seat that these bytes are the record of.
///
/// # Errors
/// When the bytes cannot be trusted.
pub fn decode(room: &RoomId, seat: &SeatId, bytes: &[u8]) -> Result<Held, Unusable> {
    match bytes.first() {
        Some(&(VERSION | VERSION_WITHOUT_ORIGIN)) => {}
        Some(&other) => return Err(Unusable::UnknownVersion(other)),
        None => return Err(Unusable::Damaged),
    }
    decode_known(room, seat, bytes).ok_or(Unusable::Damaged)
}

fn decode_known(room: &RoomId, seat: &SeatId, bytes: &[u8]) -> Option<Held> {
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    if u64::from_le_bytes(sum.try_into().ok()?) != checksum(room.as_str(), seat.as_str(), body) {
        return None;
    }
    let (&version, mut rest) = body.split_first()?;
    let mut origin = Origin::UNKNOWN;
    if version == VERSION {
        origin.address = u64::from_le_bytes(take(&mut rest)?);
        origin.owner = u64::from_le_bytes(take(&mut rest)?);
    }
    let seq = u64::from_le_bytes(take(&mut rest)?);
    let at = WallMillis(u64::from_le_bytes(take(&mut rest)?));
    let expires_at = WallMillis(u64::from_le_bytes(take(&mut rest)?));
    let client_len = u16::from_le_bytes(take(&mut rest)?);
    let client = std::str::from_utf8(rest.split_off(..usize::from(client_len))?).ok()?;
    let info_len = usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?;
    let user_info = std::str::from_utf8(rest).ok()?;
    let is_whole = user_info.len() == info_len && info_len <= MESSAGE_BYTES_MAX;
    let is_possible = seq <= SEQ_MAX && at <= expires_at && expires_at.0 <= STORED_WALL_MS_MAX;
    let client = ClientId::new(client).filter(|_| is_whole && is_possible)?;
    Some(Held { client, user_info: user_info.into(), at, expires_at, seq, origin })
}

/// The next `N` bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*chunk)
}

/// FNV-1a over the key, each part with its length first, and the body. Against accidents, not against an attacker.
fn checksum(room: &str, seat: &str, body: &[u8]) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let part = |hash: u64, bytes: &[u8]| {
        let hash = bytes.len().to_le_bytes().into_iter().fold(hash, step);
        bytes.iter().copied().fold(hash, step)
    };
    part(part(part(0xcbf2_9ce4_8422_2325, room.as_bytes()), seat.as_bytes()), body)
}
