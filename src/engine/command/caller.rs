//! Who asks, on whose behalf, and whom an answer goes to.
//!
//! Invariants: what a session is called is never in a name that strangers see, and never in a log. Never here:
//! decisions.

use std::fmt;
use std::sync::Arc;

use crate::engine::ids::{ClientId, ConnId, Origin};

/// Names a request of one connection: the effect that answers it says which one. Requests are numbered in the order in
/// which they came, and the numbers wrap: a connection never has so many unanswered ones that two share a number.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Ticket(pub u16);

impl Ticket {
    /// The ticket of the next request.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// Names a request of the shop's backend: the effect that answers it says which one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ApiTicket(pub u64);

/// A session: 128 random bits that nobody but its client and the shop's backend knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u64; 2]);

impl SessionId {
    /// The session of this number.
    #[must_use]
    pub fn new(number: u128) -> Self {
        let [high, low] = [number >> 64, number & u128::from(u64::MAX)];
        Self([high, low].map(|half| u64::try_from(half).expect("half of 128 bits")))
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u128 {
        u128::from(self.0[0]) << 64 | u128::from(self.0[1])
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(secret)")
    }
}

/// To whom a seat belongs while it is held.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Owner {
    /// A connection of protocol v1: what it holds ends with it.
    Conn(ConnId),
    /// A session of protocol v2.
    Session(SessionId),
    /// The subject of a token, with all its connections.
    Subject(Arc<str>),
    /// Whom the shop's backend named: a kiosk, a sale by telephone.
    Holder(Arc<str>),
}

/// On whose behalf a connection acts, when that is more than itself. It has been proven.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// A session or a subject.
    pub owner: Owner,
    /// Grows with each connection that takes a session over, so that all shards agree which one is the newest.
    pub incarnation: u64,
    /// Seats that the owner may have in one room, instead of what the room says; 0 is no limit.
    pub max_seats: Option<u32>,
}

/// Who sent a request: the connection, and the name that strangers see.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// Who gets the answer, and the owner of what it holds unless it acts for somebody.
    pub conn: ConnId,
    /// The name on it.
    pub client: &'a ClientId,
    /// Where it comes from.
    pub origin: Origin,
    /// The request.
    pub ticket: Ticket,
    /// For whom it acts: nobody but itself with protocol v1 and no token.
    pub identity: Option<&'a Identity>,
}

impl Caller<'_> {
    /// Whom the answer goes to.
    #[must_use]
    pub fn asker(&self) -> Asker {
        Asker { conn: self.conn, ticket: self.ticket }
    }
}

/// Whom an answer goes to: the connection, and which of its requests is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asker {
    /// The connection.
    pub conn: ConnId,
    /// Its request.
    pub ticket: Ticket,
}
