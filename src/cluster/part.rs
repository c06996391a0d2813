//! One part as one node sees it: how far it is from deciding.
//!
//! Invariant: only [`State::Serving`] with a lease decides. Never here: which step comes next.

use super::call::{Call, Kind};
use super::lease::Lease;
use super::names::{Life, PartId};
use crate::engine::time::Millis;
use crate::limits::cluster::CLUSTER_STAY_MS;
use crate::planted::{self, Bug};

/// Where the part is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Another node's, or nobody's.
    Elsewhere,
    /// It is asked for.
    Taking,
    /// It is this node's; its rooms are read.
    Loading,
    /// This node decides.
    Serving,
    /// It stopped deciding, since then, and commits what was decided. The other gets it after that.
    Freezing { since: Millis, to: Life },
    /// The lease is being given.
    Giving { since: Millis, to: Life },
    /// The hand-over took too long. It is this node's again when a call from this number on is granted.
    Regaining { from: u64 },
}

#[derive(Debug)]
pub(super) struct Part {
    pub(super) id: PartId,
    pub(super) state: State,
    /// The fence under which this node has it; otherwise the one that it has in Redis, as far as is known.
    pub(super) fence: u64,
    /// The highest fence that was ever seen.
    pub(super) highest: u64,
    pub(super) lease: Option<Lease>,
    /// It is not handed over before.
    pub(super) stays_until: Millis,
    /// The last number under this fence, and the last whose answer was heard.
    pub(super) number: u64,
    pub(super) heard: u64,
    /// When the last call was sent, while it has no answer.
    pub(super) asked_at: Option<Millis>,
    /// Another node has given it to this one, with this fence.
    pub(super) given: Option<u64>,
}

impl Part {
    pub(super) fn new(id: PartId) -> Self {
        Self {
            id,
            state: State::Elsewhere,
            fence: 0,
            highest: 0,
            lease: None,
            stays_until: Millis(0),
            number: 0,
            heard: 0,
            asked_at: None,
            given: None,
        }
    }

    /// Whether this node has it, whether or not it decides.
    pub(super) fn is_owned(&self) -> bool {
        !matches!(self.state, State::Elsewhere | State::Taking)
    }

    pub(super) fn may_decide(&self, now: Millis) -> bool {
        let is_serving = match self.state {
            State::Serving => true,
            State::Freezing { .. } | State::Giving { .. } => planted::has(Bug::ServesBothSides),
            State::Elsewhere | State::Taking | State::Loading | State::Regaining { .. } => false,
        };
        is_serving && self.lease.is_some_and(|lease| lease.is_held(now))
    }

    /// Until when it decides, unless its lease is renewed.
    pub(super) fn decides_until(&self) -> Option<Millis> {
        self.lease.filter(|_| self.state == State::Serving).map(Lease::until)
    }

    /// A fence was seen in Redis.
    pub(super) fn saw(&mut self, fence: u64) {
        self.highest = self.highest.max(fence);
        if !self.is_owned() {
            self.fence = fence;
        }
    }

    /// The next call about it.
    pub(super) fn call(&mut self, now: Millis, by: &Life, era: Option<u64>, kind: Kind) -> Call {
        self.number += 1;
        self.asked_at = Some(now);
        let (part, by) = (self.id, by.clone());
        Call { part, by, fence: self.fence, number: self.number, heard: self.heard, era, kind }
    }

    /// Whether nobody else can have had it since this node had it last: its lease is not over and was not given.
    pub(super) fn is_held(&self, now: Millis) -> bool {
        let is_safe = matches!(self.state, State::Loading | State::Serving | State::Freezing { .. });
        is_safe && self.lease.is_some_and(|lease| lease.is_held(now))
    }

    /// It is this node's under a new fence; its rooms are to be read.
    pub(super) fn taken(&mut self, fence: u64, lease: Lease) {
        assert!(self.state == State::Taking && fence > self.fence, "a take raises the fence");
        (self.state, self.fence, self.lease) = (State::Loading, fence, Some(lease));
        (self.number, self.heard, self.given) = (0, 0, None);
        self.stays_until = lease.since.after(CLUSTER_STAY_MS);
        self.saw(fence);
    }

    /// It is not this node's any more.
    pub(super) fn left(&mut self, fence: u64) {
        assert!(self.is_owned(), "only what is owned is left");
        (self.state, self.lease, self.asked_at) = (State::Elsewhere, None, None);
        self.saw(fence);
    }
}
