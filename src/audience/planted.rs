//! Deliberate defects, to show that the simulation finds what it looks for. Compiled only with the feature
//! `planted-bugs`, and then switched on for one thread. Never in a server.

use std::cell::Cell;

/// A defect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// A pass cuts the log away from a member that falls behind after the pass has met it.
    CutAboveLaggard,
    /// A reply leaves before the part of a log that stands before it.
    ReplyOvertakes,
    /// The rest of a frame that was begun is left out when its member is dropped by the room.
    TornFrame,
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Switches a defect on for this thread, or all of them off.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether the defect is there.
pub(super) fn has(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}
