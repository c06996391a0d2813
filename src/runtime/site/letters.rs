//! What shards ask each other for HTTP answers. Plain data.
//!
//! Never here: what is done with an answer.

use std::sync::Arc;

use crate::audience::shared::Shared;
use crate::engine::ids::RoomId;
use crate::figures::stats::ShardFigures;

/// What is asked of another shard for an HTTP answer.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    /// Its figures, for the gathering of this number.
    Figures(u64),
    /// The selections of a room that it owns.
    Selections(Wanted),
}

/// What is asked about the selections of a room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    pub(crate) room: RoomId,
    /// Only how long they are.
    pub(crate) head_only: bool,
}

/// The answer to a [`Question`].
#[derive(Debug)]
pub(crate) enum Told {
    /// To [`Question::Figures`], with its number.
    Figures(u64, Box<ShardFigures>),
    /// To [`Question::Selections`]: the body of the response.
    Selections(Arc<Shared>),
    /// The same for who asks how long it is.
    Length(usize),
    /// To [`Question::Selections`]: too many wait for their answers.
    Busy,
    /// To [`Question::Selections`]: nobody who decides about the room has answered.
    Nobody,
}
