//! What a node asks of Redis about a part, and what Redis answers. Each call is one script, atomic in the part's slot.
//!
//! Never here: when to ask; the text of a script.

use super::names::{Life, PartId};

/// A call about a part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// The part.
    pub part: PartId,
    /// Who calls.
    pub by: Life,
    /// The fence under which it calls. For a take: that which the part has now, as far as the caller knows.
    pub fence: u64,
    /// The number of the call under this fence.
    pub number: u64,
    /// The highest number under this fence whose answer was heard: Redis knows no less, unless it has lost something.
    pub heard: u64,
    /// In this era only, when something that the caller does not hold any more depends on it.
    pub era: Option<u64>,
    /// What is wanted.
    pub kind: Kind,
}

/// What is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The lease, with a fence above the present one and above every one that the caller has seen.
    Take { above: u64 },
    /// To keep it.
    Renew,
    /// To keep it and to write changes, which the shell adds.
    Commit,
    /// That another one has it, by name, with the next fence and a whole lease.
    Give { to: Life },
}

/// What Redis answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Done, under this fence: a new one after a take.
    Granted { fence: u64 },
    /// The same, but something that the caller had heard of is not there any more. Then a part is not given.
    Lost { fence: u64 },
    /// A later call of the same caller has been there.
    Stale,
    /// The part is another one's, or the fence is another one. Nothing has changed.
    Taken { by: Option<Life>, fence: u64 },
    /// This Redis has another era. Nothing has changed.
    NewEra { era: u64 },
}
