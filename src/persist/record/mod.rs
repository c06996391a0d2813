//! A seat that is not free as a store keeps it, and its bytes, the same in every store.
//!
//! Layout, version 2, of what a v1 connection holds, numbers little-endian: version (1 byte), address and owner of the
//! origin, seq, at, expires_at (8 each), length of the client (2), client, length of the user_info (4), user_info,
//! checksum (8) of all before it together with the room and the seat, so that a record that ended up under another key
//! is not believed. Version 1 is the same without the origin, and is read. Version 3, of all else, has behind its
//! version what the seat is (1) and by what right it is somebody's (kind, and its text with 4 bytes of length, or 16
//! bytes of a session). What is kept beside seats is in [`beside`]. Invariant: what [`decode`] returns has valid ids,
//! numbers that a server can have written, and passed the checksum. Never here: keys, I/O.

use std::sync::Arc;

use crate::engine::command::{Claim, KeptEntry, SeatStatus};
use crate::engine::ids::{ClientId, Origin, RoomId, SeatId};
use crate::engine::time::WallMillis;
use crate::limits::store::STORE_VERSIONS_MAX;
use crate::limits::{MESSAGE_BYTES_MAX, SEQ_MAX, STORED_WALL_MS_MAX};

pub mod beside;
mod bytes;
mod claims;

use bytes::{seal, take, take_byte, unseal};
use claims::{put_claim, take_claim};

/// The version of everything that protocol v1 did not know.
const VERSION_OF_SALES: u8 = 3;
const VERSION: u8 = 2;
/// The version whose records tell no origin.
const VERSION_WITHOUT_ORIGIN: u8 = 1;

/// One seat that is not free as a store keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// What it is.
    pub status: SeatStatus,
    /// By what right it is somebody's; `None`: a v1 connection holds it.
    pub claim: Option<Claim>,
    /// Who has it, by the name that strangers see.
    pub client: ClientId,
    /// A JSON object as the client wrote it.
    pub user_info: Arc<str>,
    /// When the hold began.
    pub at: WallMillis,
    /// When it ends by itself; [`NEVER`] for what does not.
    pub expires_at: WallMillis,
    /// The room's sequence number after the select.
    pub seq: u64,
    /// Where the holder came from.
    pub origin: Origin,
}

/// When that ends which does not end by itself.
pub const NEVER: WallMillis = WallMillis(STORED_WALL_MS_MAX);

impl Held {
    /// Whether it is what a v1 connection holds, and nothing else.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.status == SeatStatus::Held && self.claim.is_none()
    }

    /// Whether it may outlive every hold.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        self.status != SeatStatus::Held
    }
}

/// Something beside the seats of a room, which is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredBeside {
    /// The room.
    pub room: RoomId,
    /// What.
    pub entry: KeptEntry,
}

/// One seat that is not free, with its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredHold {
    /// The room.
    pub room: RoomId,
    /// The seat.
    pub seat: SeatId,
    /// The hold.
    pub held: Held,
}

/// Whether a later server may have written a record that begins with this: anything above is no version, but damage.
#[must_use]
pub fn is_later_version(version: u8) -> bool {
    (VERSION_OF_SALES + 1..=STORE_VERSIONS_MAX).contains(&version)
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
    if held.is_plain() {
        out.push(VERSION);
    } else {
        out.push(VERSION_OF_SALES);
        out.push(match held.status {
            SeatStatus::Free => unreachable!("what is free is not kept"),
            SeatStatus::Held => 1,
            SeatStatus::Checkout => 2,
            SeatStatus::Booked => 3,
            SeatStatus::Blocked => 4,
        });
        put_claim(out, held.claim.as_ref());
    }
    out.extend_from_slice(&held.origin.address.to_le_bytes());
    out.extend_from_slice(&held.origin.owner.to_le_bytes());
    out.extend_from_slice(&held.seq.to_le_bytes());
    // A clock that was set back can give an older hold an end before its beginning, which no reader believes.
    out.extend_from_slice(&held.at.min(held.expires_at).0.to_le_bytes());
    out.extend_from_slice(&held.expires_at.0.to_le_bytes());
    out.extend_from_slice(&u16::try_from(client.len()).expect("an id is short").to_le_bytes());
    out.extend_from_slice(client.as_bytes());
    out.extend_from_slice(&u32::try_from(held.user_info.len()).expect("a message is short").to_le_bytes());
    out.extend_from_slice(held.user_info.as_bytes());
    seal(room.as_str(), seat.as_str(), out, start);
}

/// The held seat that these bytes are the record of.
///
/// # Errors
/// When the bytes cannot be trusted.
pub fn decode(room: &RoomId, seat: &SeatId, bytes: &[u8]) -> Result<Held, Unusable> {
    match bytes.first() {
        Some(&(VERSION | VERSION_WITHOUT_ORIGIN | VERSION_OF_SALES)) => {}
        Some(&other) => return Err(Unusable::UnknownVersion(other)),
        None => return Err(Unusable::Damaged),
    }
    decode_known(room, seat, bytes).ok_or(Unusable::Damaged)
}

fn decode_known(room: &RoomId, seat: &SeatId, bytes: &[u8]) -> Option<Held> {
    let body = unseal(room.as_str(), seat.as_str(), bytes)?;
    let (&version, mut rest) = body.split_first()?;
    let (mut origin, mut status, mut claim) = (Origin::UNKNOWN, SeatStatus::Held, None);
    if version == VERSION_OF_SALES {
        status = match take_byte(&mut rest)? {
            1 => SeatStatus::Held,
            2 => SeatStatus::Checkout,
            3 => SeatStatus::Booked,
            4 => SeatStatus::Blocked,
            _ => return None,
        };
        claim = take_claim(&mut rest)?;
    }
    if version != VERSION_WITHOUT_ORIGIN {
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
    Some(Held { status, claim, client, user_info: user_info.into(), at, expires_at, seq, origin })
}
