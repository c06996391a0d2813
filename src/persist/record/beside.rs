//! What a store keeps of a room beside its seats, as bytes: clocks of carts, orders, settings.
//!
//! Each is a record of its own under a name that no seat can have, since it begins with a byte that is not seen.
//! Layout, version 3, numbers little-endian: version (1 byte), what it is (1), then its fields, checksum (8) as of a
//! seat. Invariant: what [`decode`] returns passed the checksum, and has valid ids. Never here: keys, I/O.

use std::sync::Arc;

use super::bytes::{put, put_option, put_text, seal, take_byte, take_number, take_option, take_text, unseal};
use super::claims::{put_owner, take_owner};
use super::{Unusable, VERSION_OF_SALES};
use crate::engine::command::{KeptCart, KeptEntry, KeptOrder, LayoutName, OrderState, Owner, RoomSettings, Sale};
use crate::engine::ids::{ClientId, OrderId, RoomId, SeatId};
use crate::engine::time::WallMillis;
use crate::limits::ROOM_HOLDS_MAX;

/// With this every name begins that is not a seat's.
const BESIDE: char = '\0';

const CART: u8 = b'c';
const ORDER: u8 = b'o';
const SETTINGS: u8 = b's';
const EVENTS: u8 = b'e';

/// The name under which it is kept, within its room.
#[must_use]
pub fn name(entry: &KeptEntry) -> String {
    match entry {
        KeptEntry::Cart(owner, _) => {
            let mut bytes = Vec::new();
            put_owner(&mut bytes, Some(owner));
            let half = |salt: &str| super::bytes::checksum(salt, "", &bytes);
            format!("{BESIDE}c{:016x}{:016x}", half("first"), half("second"))
        }
        KeptEntry::Order(order, _) => format!("{BESIDE}o{order}"),
        KeptEntry::Settings(_) => format!("{BESIDE}s"),
        KeptEntry::Events(_) => format!("{BESIDE}e"),
    }
}

/// Whether something of this name stands beside the seats.
#[must_use]
pub fn is_name(name: &str) -> bool {
    name.starts_with(BESIDE)
}

/// Appends the record of something that is there.
pub fn encode(room: &RoomId, name: &str, entry: &KeptEntry, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(VERSION_OF_SALES);
    match entry {
        KeptEntry::Cart(owner, cart) => {
            out.push(CART);
            put_owner(out, Some(owner));
            let KeptCart { first_at, expires_at, extends } = cart.expect("only what is there is encoded");
            put(out, first_at.0);
            put(out, expires_at.0);
            out.push(extends);
        }
        KeptEntry::Order(id, order) => {
            out.push(ORDER);
            put_text(out, id.as_str());
            put_order(out, order.as_ref().expect("only what is there is encoded"));
        }
        KeptEntry::Settings(settings) => {
            out.push(SETTINGS);
            put_settings(out, settings.as_ref().expect("only what is there is encoded"));
        }
        KeptEntry::Events(n) => {
            out.push(EVENTS);
            put(out, n.expect("only what is there is encoded"));
        }
    }
    seal(room.as_str(), name, out, start);
}

/// What these bytes are the record of.
///
/// # Errors
/// When the bytes cannot be trusted.
pub fn decode(room: &RoomId, name: &str, bytes: &[u8]) -> Result<KeptEntry, Unusable> {
    match bytes.first() {
        Some(&VERSION_OF_SALES) => {}
        Some(&other) => return Err(Unusable::UnknownVersion(other)),
        None => return Err(Unusable::Damaged),
    }
    let body = unseal(room.as_str(), name, bytes).ok_or(Unusable::Damaged)?;
    take_entry(&body[1..]).filter(|entry| self::name(entry) == name).ok_or(Unusable::Damaged)
}

fn take_entry(mut rest: &[u8]) -> Option<KeptEntry> {
    let rest = &mut rest;
    let entry = match take_byte(rest)? {
        CART => {
            let owner = take_owner(rest)??;
            let (first_at, expires_at) = (WallMillis(take_number(rest)?), WallMillis(take_number(rest)?));
            KeptEntry::Cart(owner, Some(KeptCart { first_at, expires_at, extends: take_byte(rest)? }))
        }
        ORDER => {
            let id = OrderId::new(take_text(rest)?)?;
            KeptEntry::Order(id, Some(Arc::new(take_order(rest)?)))
        }
        SETTINGS => KeptEntry::Settings(Some(Arc::new(take_settings(rest)?))),
        EVENTS => KeptEntry::Events(Some(take_number(rest)?)),
        _ => return None,
    };
    rest.is_empty().then_some(entry)
}

fn put_order(out: &mut Vec<u8>, order: &KeptOrder) {
    put_owner(out, order.owner.as_ref());
    put_text(out, order.client.as_str());
    out.push(match order.state {
        OrderState::Checkout => 0,
        OrderState::Booked => 1,
        OrderState::Cancelled => 2,
        OrderState::Expired => 3,
        OrderState::Refunded => 4,
    });
    put_option(out, order.expires_at.map(|at| at.0));
    for seats in [&order.seats, &order.refunded] {
        put(out, seats.len() as u64);
        seats.iter().for_each(|seat| put_text(out, seat.as_str()));
    }
}

fn take_order(rest: &mut &[u8]) -> Option<KeptOrder> {
    let owner: Option<Owner> = take_owner(rest)?;
    let client = ClientId::new(take_text(rest)?)?;
    let state = match take_byte(rest)? {
        0 => OrderState::Checkout,
        1 => OrderState::Booked,
        2 => OrderState::Cancelled,
        3 => OrderState::Expired,
        4 => OrderState::Refunded,
        _ => return None,
    };
    let expires_at = take_option(rest)?.map(WallMillis);
    let (seats, refunded) = (take_seats(rest)?, take_seats(rest)?);
    Some(KeptOrder { owner, client, state, seats, refunded, expires_at })
}

fn take_seats(rest: &mut &[u8]) -> Option<Vec<SeatId>> {
    let count = usize::try_from(take_number(rest)?).ok().filter(|&count| count <= ROOM_HOLDS_MAX)?;
    (0..count).map(|_| SeatId::new(take_text(rest)?)).collect()
}

fn put_settings(out: &mut Vec<u8>, settings: &RoomSettings) {
    let (sale, opens_at) = match settings.sale {
        Sale::Scheduled { opens_at } => (0, opens_at),
        Sale::Open => (1, None),
        Sale::Paused => (2, None),
        Sale::Closed => (3, None),
    };
    out.push(sale);
    put_option(out, opens_at.map(|at| at.0));
    put_option(out, settings.hold_ms);
    put_option(out, settings.max_seats.map(u64::from));
    out.push(u8::from(settings.no_orphans));
    put_option(out, settings.ends_at.map(|at| at.0));
    put_text(out, settings.message.as_deref().unwrap_or_default());
    let layout = settings.layout.as_ref();
    put_text(out, layout.map_or("", |layout| &layout.id));
    put_text(out, layout.map_or("", |layout| &layout.version));
}

fn take_settings(rest: &mut &[u8]) -> Option<RoomSettings> {
    let (sale, opens_at) = (take_byte(rest)?, take_option(rest)?.map(WallMillis));
    let sale = match sale {
        0 => Sale::Scheduled { opens_at },
        1 => Sale::Open,
        2 => Sale::Paused,
        3 => Sale::Closed,
        _ => return None,
    };
    let hold_ms = take_option(rest)?;
    let max_seats = take_option(rest)?.map(u32::try_from).transpose().ok()?;
    let no_orphans = take_byte(rest)? != 0;
    let ends_at = take_option(rest)?.map(WallMillis);
    let message = Some(take_text(rest)?).filter(|text| !text.is_empty()).map(Arc::from);
    let (id, version) = (take_text(rest)?, take_text(rest)?);
    let layout = (!id.is_empty()).then(|| LayoutName { id: id.into(), version: version.into() });
    Some(RoomSettings { sale, hold_ms, max_seats, no_orphans, ends_at, message, layout })
}
