//! What a former owner of a room has written may come when the new one is asked already: it is not told, and answers
//! nothing. Whoever asked is answered by the new owner.
//!
//! Never here: who is told what is not late.

use crate::engine::command::Effect;
use crate::engine::ids::{RoomId, ShardId, ShardSet};
use crate::node::Node;
use crate::node::letters::Letter;
use crate::planted::{Bug, has};

/// The room that an effect tells of without answering a request.
fn told_of(effect: &Effect) -> Option<&RoomId> {
    match effect {
        Effect::Snapshot { room, .. } => Some(room),
        Effect::Cart(told) => Some(&told.room),
        Effect::Joined { .. }
        | Effect::Left { .. }
        | Effect::Change(_)
        | Effect::Again { .. }
        | Effect::Refused { .. }
        | Effect::Entered(_)
        | Effect::Synced(_)
        | Effect::Resumed(_)
        | Effect::Superseded { .. }
        | Effect::Api(_)
        | Effect::Keep(_)
        | Effect::Room(_) => None,
    }
}

impl Node {
    /// Whether a letter of these shards of another node tells of a room that is not theirs any more.
    pub(in crate::node) fn is_of_former(&self, by: ShardSet, letter: &Letter) -> bool {
        let room = match letter {
            Letter::Answer { effect, .. } => told_of(effect),
            Letter::Room(news) => Some(&news.room),
            Letter::Command(_)
            | Letter::Resync { .. }
            | Letter::Gone { .. }
            | Letter::Away { .. }
            | Letter::Return(_)
            | Letter::NotMine { .. }
            | Letter::Errand(_)
            | Letter::Done(_)
            | Letter::News(_)
            | Letter::From { .. } => None,
        };
        room.is_some_and(|room| self.is_former(by, self.owner(room.as_str())))
    }

    /// Letters of these shards are read from now on; `None`: of shards of this node.
    pub(in crate::node) fn hears(&mut self, by: Option<ShardSet>) {
        if let Some(parted) = self.parted.as_mut() {
            parted.hears = by;
        }
    }

    fn is_former(&self, by: ShardSet, owner: ShardId) -> bool {
        self.parted.is_some() && !by.contains(owner) && !has(Bug::LateAnswer)
    }

    /// Whether what is read now may be of this shard.
    pub(in crate::node) fn may_be_by(&self, shard: ShardId) -> bool {
        let by = self.parted.as_ref().and_then(|parted| parted.hears);
        by.is_none_or(|by| !self.is_former(by, shard))
    }
}
