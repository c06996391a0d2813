//! What is asked of shards by who is no connection: by the shop's backend, or by HTTP. Plain data.
//!
//! Never here: who answers.

use std::sync::Arc;

use crate::audience::shared::Shared;
use crate::engine::command::{OwnerName, SaleAnswer, SaleRequest, Wanted};
use crate::engine::ids::{RoomId, ShardId};

/// A question on its way to a shard of another node.
#[derive(Debug)]
pub struct Errand {
    /// Who gets the answer.
    pub by: ShardId,
    /// Which of its questions it is.
    pub number: u32,
    /// The question.
    pub asked: Asked,
}

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// The backend asks something of a room.
    Sale {
        /// The room.
        room: RoomId,
        /// What.
        request: Box<SaleRequest>,
    },
    /// The body of the answer to `GET /room/{id}/selections`.
    Selections {
        /// The room.
        room: RoomId,
        /// Only how long it is.
        head_only: bool,
    },
    /// The first names of rooms that the shard owns.
    Rooms {
        /// Behind this one.
        after: Option<RoomId>,
        /// At most so many.
        limit: usize,
        /// Where looking goes on: 0 first, then what the answer before said.
        from: usize,
    },
    /// Whether a room that the shard owns has this layout.
    UsesLayout {
        /// Its name.
        layout: Box<str>,
    },
    /// All connections of this owner that the shard serves are to be closed.
    Disconnect {
        /// The owner.
        whom: OwnerName,
        /// For so many milliseconds nobody of it may come to the node.
        ban_ms: u64,
    },
}

impl Asked {
    /// The room that it is about, if it is about one.
    #[must_use]
    pub fn room(&self) -> Option<&RoomId> {
        match self {
            Self::Sale { room, .. } | Self::Selections { room, .. } => Some(room),
            Self::Rooms { .. } | Self::UsesLayout { .. } | Self::Disconnect { .. } => None,
        }
    }

    /// Whether it gives a room a layout that is not known here yet: letters only name layouts.
    #[must_use]
    pub(super) fn lacks_layout(&self) -> bool {
        let Self::Sale { request, .. } = self else { return false };
        let named = if let SaleRequest::PutRoom { settings, plan } = &**request {
            settings.layout.as_ref().filter(|_| plan.is_none())
        } else if let SaleRequest::PatchRoom { patch, plan } = &**request {
            patch.layout.iter().flatten().next().filter(|_| plan.is_none())
        } else {
            None
        };
        named.is_some()
    }

    /// Whether asking it twice does what asking it once does, and is answered like it.
    #[must_use]
    pub(super) fn may_be_repeated(&self) -> bool {
        let Self::Sale { request, .. } = self else { return true };
        match &**request {
            // The best seats of now are others than those of before, and a holder would have both.
            SaleRequest::Hold { wanted, .. } => matches!(wanted, Wanted::Seats(_)),
            SaleRequest::Checkout { .. }
            | SaleRequest::Book { .. }
            | SaleRequest::Cancel { .. }
            | SaleRequest::Refund { .. }
            | SaleRequest::PutRoom { .. }
            | SaleRequest::PatchRoom { .. }
            | SaleRequest::GetRoom
            | SaleRequest::GetOrder { .. }
            | SaleRequest::Counts
            | SaleRequest::Seats { .. } => true,
            // What was released, blocked or gone already is counted, or refused, otherwise.
            SaleRequest::Release { .. }
            | SaleRequest::Block { .. }
            | SaleRequest::Unblock { .. }
            | SaleRequest::Reconcile { .. }
            | SaleRequest::DeleteRoom { .. } => false,
        }
    }
}

/// The answer to an [`Errand`] on its way back.
#[derive(Debug)]
pub struct Done {
    /// Which question it answers.
    pub number: u32,
    /// The answer.
    pub answered: Answered,
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum Answered {
    /// To [`Asked::Sale`].
    Sale {
        /// The answer of the room.
        answer: Box<SaleAnswer>,
    },
    /// To [`Asked::Selections`].
    Selections {
        /// The body.
        body: Arc<Shared>,
    },
    /// To the same, for who asks how long it is.
    Length {
        /// So many bytes.
        bytes: usize,
    },
    /// To [`Asked::Selections`]: too many wait for their answers.
    Busy,
    /// To [`Asked::Rooms`].
    Rooms {
        /// What was found.
        names: Names,
    },
    /// To [`Asked::UsesLayout`].
    UsesLayout {
        /// Whether one has.
        uses: bool,
    },
    /// To [`Asked::Disconnect`].
    Disconnected {
        /// How many there were.
        closed: usize,
    },
    /// The shard does not decide about that room, or not now.
    NotMine,
}

/// Rooms that a shard owns, some of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Names {
    /// Their names, in any order.
    pub found: Vec<RoomId>,
    /// Where to look on, when that was not the end.
    pub next: Option<usize>,
    /// Of so many parts the shard knows the rooms; 0 without other nodes.
    pub parts: usize,
}

/// How a question ends, for who had it asked.
#[derive(Debug)]
pub enum Outcome {
    /// It was answered.
    Told(Answered),
    /// This shard decides about the room now: it is to answer itself.
    Yours(Asked),
    /// Nobody has answered for as long as one waits.
    Nobody,
}
