//! What can be wrong with a server, and the list of what was.
//!
//! Invariant: every violation is counted; the first ones are told in full. Never here: finding them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::limits::VIOLATIONS_TOLD_MAX;

/// The promises that a run checks, by how they break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A seat was given to somebody while somebody held it.
    DoubleGrant,
    /// A member did not get an event and was not told.
    SilentGap,
    /// An event came again, or after a later one.
    OutOfOrder,
    /// Two members were told different things under one sequence number.
    Diverged,
    /// An event never came although later ones were seen elsewhere.
    LostEvent,
    /// A full state is not what the events before it add up to.
    WrongFullState,
    /// A hold outlived its deadline.
    LateExpiry,
    /// A hold ended as expired before its deadline.
    EarlyExpiry,
    /// A hold was released by somebody who is not its owner.
    StrangerRelease,
    /// A hold was released as disconnected while its connection lived.
    ReleasedWhileConnected,
    /// A free seat was released.
    ReleaseOfFree,
    /// A frame that v1 does not know.
    UnknownFrame,
    /// A frame that RFC 6455 does not allow.
    BadFraming,
    /// A reply that does not belong to the oldest open request.
    WrongReply,
    /// A request without a reply.
    Unanswered,
    /// A refusal as taken of a seat that nobody held.
    FalseRefusal,
    /// The room as asked over HTTP is not what its members were told.
    MapDiffers,
    /// A hold that was acknowledged did not survive a restart.
    LostAcknowledgement,
    /// A hold was still there after everybody had gone.
    LeftBehind,
    /// An event for somebody who is no member, or of another room.
    Uninvited,
    /// The server ended a connection that did nothing wrong, or did not accept it.
    ConnectionLost,
    /// The server sends no sequence numbers, so nothing can be proven.
    NoSequence,
}

/// One finding.
#[derive(Clone, Debug, Serialize)]
pub struct Violation {
    /// What is wrong.
    pub kind: Kind,
    /// The room's name.
    pub room: String,
    /// The seat's name, where one is concerned.
    pub seat: Option<String>,
    /// The client to whom it happened.
    pub client: Option<String>,
    /// One sentence.
    pub detail: String,
    /// What the room as a whole knows of the seat.
    pub room_history: Vec<String>,
    /// What this client was told last.
    pub client_history: Vec<String>,
}

/// All findings of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// How often each kind was found.
    pub counts: BTreeMap<Kind, u64>,
    /// The first ones in full.
    pub told: Vec<Violation>,
}

impl Findings {
    /// Whether the next finding would be told in full, so that its histories are worth collecting.
    #[must_use]
    pub fn wants_detail(&self, kind: Kind) -> bool {
        let of_kind = self.told.iter().filter(|violation| violation.kind == kind).count();
        self.told.len() < VIOLATIONS_TOLD_MAX && of_kind < 3
    }

    /// Counts a finding.
    pub fn count(&mut self, kind: Kind, number: u64) {
        if number > 0 {
            *self.counts.entry(kind).or_default() += number;
        }
    }

    /// Counts and tells a finding.
    pub fn tell(&mut self, violation: Violation) {
        self.count(violation.kind, 1);
        if self.wants_detail(violation.kind) {
            self.told.push(violation);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Takes over the findings of another thread.
    pub fn merge(&mut self, other: Self) {
        for (kind, number) in other.counts {
            self.count(kind, number);
        }
        for violation in other.told {
            if self.wants_detail(violation.kind) {
                self.told.push(violation);
            }
        }
    }
}
