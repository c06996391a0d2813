//! What shards write to each other, and what one shard has for the others at the end of a turn.
//!
//! Letters carry requests, effects and changes; frames are made where they are read. Invariants: letters to one shard
//! keep their order; the changes of one room in one turn go to each shard in one letter, unless another letter stands
//! between them. Never here: mailboxes.

use std::sync::Arc;

use super::errand::{Done, Errand};
use super::second::{Join, Standing};
use crate::audience::full_states::Captured;
use crate::engine::command::{CartRequest, Change, Effect, Identity, OwnedRequest, RoomNews, Ticket};
use crate::engine::ids::{ClientId, ConnId, Origin, RoomId, ShardId, ShardSet};
use crate::limits::SHARDS_MAX;
use crate::planted::{self, Bug};

/// A request about a room that another shard owns.
#[derive(Clone, Debug)]
pub struct Command {
    /// Who asks.
    pub conn: ConnId,
    /// Its name.
    pub client: ClientId,
    /// Where it comes from.
    pub origin: Origin,
    /// Which of its requests this is.
    pub ticket: Ticket,
    /// On whose behalf, when that is more than itself.
    pub identity: Option<Identity>,
    /// The request.
    pub wanted: Wanted,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// Something of a room, with the first protocol.
    First(OwnedRequest),
    /// The same with the second.
    Cart { room: RoomId, request: CartRequest },
    /// What the session holds in these rooms.
    Resume { rooms: Vec<RoomId> },
}

impl Wanted {
    /// The room, or one of those, that it is about.
    #[must_use]
    pub fn room(&self) -> Option<&RoomId> {
        match self {
            Self::First(request) => Some(request.room()),
            Self::Cart { room, .. } => Some(room),
            Self::Resume { rooms } => rooms.first(),
        }
    }
}

/// A member of a room that had another owner before, and that is asked to be let in as it is.
#[derive(Clone, Debug)]
pub struct Return {
    /// Who.
    pub conn: ConnId,
    /// Its name.
    pub client: ClientId,
    /// Where it comes from.
    pub origin: Origin,
    /// On whose behalf, when that is more than itself.
    pub identity: Option<Identity>,
    /// The room.
    pub room: RoomId,
}

/// What happened in one room during one turn of its owner, for one shard.
#[derive(Debug)]
pub struct News {
    /// The room.
    pub room: RoomId,
    /// The changes, in order.
    pub changes: Vec<Arc<Change>>,
}

/// A letter from one shard to another.
#[derive(Debug)]
pub enum Letter {
    /// Decide this.
    Command(Box<Command>),
    /// The full state of the room is needed by a connection that skipped events.
    Resync { conn: ConnId, room: RoomId },
    /// The connection has ended.
    Gone { conn: ConnId },
    /// The connection's node is about to end: what it holds waits for it.
    Away { conn: ConnId },
    /// A member that skipped events, or whose room has another owner now, needs the full state.
    Return(Box<Return>),
    /// This request was not decided, since its room is another shard's, or nobody's at this moment.
    NotMine { conn: ConnId, ticket: Ticket },
    /// Who is no connection asks a shard of another node.
    Errand(Box<Errand>),
    /// It is answered.
    Done(Box<Done>),
    /// An answer to a connection, with the full state of the room for one that tells it.
    Answer { to: ConnId, effect: Box<Effect>, captured: Option<Captured> },
    /// Changes for everybody who looks at a room, and for those who asked for them.
    News(Box<News>),
    /// Something about a room as a whole, for everybody who looks at it.
    Room(Box<RoomNews>),
    /// One of the last three from another node, of which these are the shards. Who it is from
    /// does not travel: its reader knows it.
    From { by: ShardSet, letter: Box<Letter> },
}

/// A connection on its way to the shard that will serve it from now on. It has touched no room yet.
#[derive(Debug)]
pub struct Moving {
    /// Where it comes from.
    pub from: ShardId,
    /// Its client.
    pub client: ClientId,
    /// Where it comes from.
    pub origin: Origin,
    /// The room that it asked to join, which caused the move.
    pub(super) join: Option<Join>,
    /// For whom it acts, and how it speaks.
    pub(super) standing: Option<Box<Standing>>,
}

/// What one shard has for the others in this turn.
#[derive(Debug)]
pub struct Post {
    own: ShardId,
    out: Vec<Vec<Letter>>,
    /// Letters posted since the start.
    pub posted: u64,
}

impl Post {
    pub(super) fn new(own: ShardId, shards: usize) -> Self {
        Self { own, out: (0..shards).map(|_| Vec::new()).collect(), posted: 0 }
    }

    /// There are shards of other nodes, too.
    pub(super) fn reach_all(&mut self) {
        self.out.resize_with(SHARDS_MAX, Vec::new);
    }

    /// Posts a letter at the end of this turn.
    pub(super) fn letter(&mut self, to: ShardId, letter: Letter) {
        assert_ne!(to, self.own, "a shard writes no letters to itself");
        debug_assert!(to.index() < self.out.len(), "only shards that are there are written to");
        self.posted += 1;
        self.out[to.index()].push(letter);
    }

    /// Posts a change with those of the same room before it.
    pub(super) fn change(&mut self, to: ShardId, change: &Arc<Change>) {
        assert_ne!(to, self.own, "a shard writes no letters to itself");
        let lane = &mut self.out[to.index()];
        let is_of = |letter: &Letter| matches!(letter, Letter::News(news) if news.room == change.room);
        let last = if planted::has(Bug::NewsJumpsQueue) {
            lane.iter().rposition(is_of)
        } else {
            lane.len().checked_sub(1).filter(|&at| is_of(&lane[at]))
        };
        if let Some(Letter::News(news)) = last.map(|at| &mut lane[at]) {
            debug_assert!(
                news.changes.last().is_none_or(|last| last.epoch != change.epoch || last.seq < change.seq),
                "changes of a room are posted in order"
            );
            crate::marks::hit("a letter of several changes");
            return news.changes.push(Arc::clone(change));
        }
        let news = News { room: change.room.clone(), changes: vec![Arc::clone(change)] };
        self.letter(to, Letter::News(Box::new(news)));
    }

    /// The letters for one shard, to be taken out.
    pub fn lane(&mut self, to: ShardId) -> &mut Vec<Letter> {
        &mut self.out[to.index()]
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.iter().all(Vec::is_empty)
    }
}
