//! The vocabulary of the oracle: what a member can be told about a seat.

use crate::names::{Seat, Who};

/// Why a seat became free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Given back.
    Released,
    /// Its time was over.
    Expired,
    /// Its connection ended.
    Disconnected,
    /// The server does not say.
    Unsaid,
}

/// What happened to a seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// It was given to the client.
    Selected,
    /// It became free.
    Released(Reason),
}

/// An event as one member was told it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// The room's sequence number.
    pub seq: u64,
    /// The seat.
    pub seat: Seat,
    /// Who got it or held it.
    pub who: Who,
    /// What happened.
    pub what: What,
    /// When the hold ends by itself, wall clock; 0 when not said.
    pub deadline_ms: u64,
    /// When the command was due; 0 when not known.
    pub stamp: u64,
}
