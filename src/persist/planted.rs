//! Deliberate defects, to show that the simulation finds what it looks for. Compiled only with the feature
//! `planted-bugs`, and then switched on for one thread. Never in a server.

use std::cell::Cell;

/// A defect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// What a batch brings is told when the batch before it is committed.
    AckTooEarly,
    /// Of two changes of a seat in one batch the first one stays.
    OlderWins,
    /// The release of a seat is not stored.
    ForgottenRelease,
    /// A full state leaves in the store what no longer exists.
    StrangersStay,
    /// After a step of the clock a hold lives longer than any may.
    EternalHold,
    /// A select that was refused stays in the store.
    GhostOfRefusal,
    /// Changes that remain when others are undone keep their numbers.
    SkippedNumber,
    /// A writer believes in its lease for longer than the store does.
    LongLease,
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Switches a defect on for this thread, or all of them off.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether the defect is there.
pub(in crate::persist) fn has(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}
