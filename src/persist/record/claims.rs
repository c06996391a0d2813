//! Owners and claims as bytes. Never here: what is done with them.

use super::bytes::{put_text, take_byte, take_text};
use crate::engine::command::{Claim, Owner, SessionId};
use crate::engine::ids::OrderId;

const NOBODY: u8 = 0;
const SESSION: u8 = 1;
const SUBJECT: u8 = 2;
const HOLDER: u8 = 3;
const ORDER: u8 = 4;
const BLOCK: u8 = 5;

/// Appends an owner; a connection does not outlive the process and is nobody.
pub(super) fn put_owner(out: &mut Vec<u8>, owner: Option<&Owner>) {
    match owner {
        None | Some(Owner::Conn(_)) => out.push(NOBODY),
        Some(Owner::Session(session)) => {
            out.push(SESSION);
            out.extend_from_slice(&session.number().to_le_bytes());
        }
        Some(Owner::Subject(subject)) => put_named(out, SUBJECT, subject),
        Some(Owner::Holder(holder)) => put_named(out, HOLDER, holder),
    }
}

fn put_named(out: &mut Vec<u8>, kind: u8, text: &str) {
    out.push(kind);
    put_text(out, text);
}

/// Appends by what right a seat is somebody's.
pub(super) fn put_claim(out: &mut Vec<u8>, claim: Option<&Claim>) {
    match claim {
        None => out.push(NOBODY),
        Some(Claim::Cart(owner)) => put_owner(out, Some(owner)),
        Some(Claim::Order(order)) => put_named(out, ORDER, order.as_str()),
        Some(Claim::Block(label)) => put_named(out, BLOCK, label),
    }
}

/// The next claim; `None` inside: a v1 connection's.
pub(super) fn take_claim(rest: &mut &[u8]) -> Option<Option<Claim>> {
    Some(match take_byte(rest)? {
        NOBODY => None,
        SESSION => Some(Claim::Cart(Owner::Session(SessionId::new(u128::from_le_bytes(super::bytes::take(rest)?))))),
        SUBJECT => Some(Claim::Cart(Owner::Subject(take_text(rest)?.into()))),
        HOLDER => Some(Claim::Cart(Owner::Holder(take_text(rest)?.into()))),
        ORDER => Some(Claim::Order(OrderId::new(take_text(rest)?)?)),
        BLOCK => Some(Claim::Block(take_text(rest)?.into())),
        _ => return None,
    })
}

/// The next owner; `None` inside: nobody whose name is known.
pub(super) fn take_owner(rest: &mut &[u8]) -> Option<Option<Owner>> {
    match take_claim(rest)? {
        None => Some(None),
        Some(Claim::Cart(owner)) => Some(Some(owner)),
        Some(Claim::Order(_) | Claim::Block(_)) => None,
    }
}
