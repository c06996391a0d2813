//! One HTTP request and the way its answer goes.
//!
//! Never here: what is asked for.

/// A request that is to be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Exchange {
    /// The slot of its connection.
    pub(crate) slot: u32,
    /// Only the head is wanted: HEAD.
    pub(crate) head_only: bool,
    /// The connection goes on after the answer.
    pub(crate) keep_alive: bool,
}

impl Exchange {
    /// The last one of a connection, whose answer has a body.
    pub(crate) fn last(slot: u32) -> Self {
        Self { slot, head_only: false, keep_alive: false }
    }
}
