//! Which shard should serve a connection. It is the owner of the room that the connection joins first, so a small
//! room's traffic never crosses a core. The members of a hot room stay where the kernel, which spreads them evenly, has
//! put them.
//!
//! Invariant: only a connection that no engine knows moves. Never here: how it gets there.

use super::second::Join;
use super::session::Parked;
use super::{Next, Node};
use crate::engine::ids::{RoomId, ShardId, shard_of};

impl Node {
    /// Who owns a room.
    pub(super) fn owner(&self, room: &str) -> ShardId {
        match &self.parted {
            None => shard_of(room, self.shards),
            Some(parted) => parted.owner_of(room).unwrap_or_else(|| parted.home_of(room)),
        }
    }

    /// Rooms of the same lane have the same owner, whoever that is.
    pub(super) fn lane_of(&self, room: &str) -> u16 {
        let part = self.parted.as_ref().map(|parted| parted.part_of(room).0);
        part.unwrap_or_else(|| u16::try_from(self.owner(room).index()).expect("shards are few"))
    }

    /// Whether the connection, which asks to join a room, should be served elsewhere. Then it waits to depart.
    pub(super) fn should_move(&mut self, slot: u32, owner: ShardId, room: &str) -> bool {
        let join = RoomId::new(room).map(Join::First);
        self.may_move(slot, owner, room) && self.park_move(slot, owner, join) == Next::Move
    }

    /// Whether the connection is better served by this shard, for the sake of this room, and may go there.
    pub(super) fn may_move(&self, slot: u32, to: ShardId, room: &str) -> bool {
        let knows_nobody = |session: &super::session::Session| !session.settled && session.touched.is_empty();
        let is_owner = self.parted.as_ref().is_none_or(|parted| parted.owner_of(room) == Some(to));
        let is_here = is_owner && to.index() < self.shards;
        is_here && to != self.id && !self.hot.is_hot(room) && self.sessions.get(slot).is_some_and(knows_nobody)
    }

    /// The connection, which may move, waits to depart.
    pub(super) fn park_move(&mut self, slot: u32, to: ShardId, join: Option<Join>) -> Next {
        let Some(session) = self.sessions.get_mut(slot) else { return Next::ReadOn };
        assert!(session.parked.is_none(), "nothing is read behind what is parked");
        assert!(session.touched.is_empty() && session.open_requests() == 0, "who moves is known to nobody");
        session.parked = Some(Box::new(Parked::Move { to, join }));
        Next::Move
    }
}
