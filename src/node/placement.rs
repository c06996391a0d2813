//! Which shard should serve a connection. It is the owner of the room that the connection joins first, so a small
//! room's traffic never crosses a core. The members of a hot room stay where the kernel, which spreads them evenly, has
//! put them.
//!
//! Invariant: only a connection that no engine knows moves. Never here: how it gets there.

use super::second::Join;
use super::session::Parked;
use super::{Next, Node};
use crate::engine::ids::{RoomId, ShardId};

impl Node {
    /// Whether the connection, which asks to join a room, should be served elsewhere. Then it waits to depart.
    pub(super) fn should_move(&mut self, slot: u32, owner: ShardId, room: &str) -> bool {
        let join = RoomId::new(room).map(Join::First);
        self.may_move(slot, owner, room) && self.park_move(slot, owner, join) == Next::Move
    }

    /// Whether the connection is better served by this shard, for the sake of this room, and may go there.
    pub(super) fn may_move(&self, slot: u32, to: ShardId, room: &str) -> bool {
        let knows_nobody = |session: &super::session::Session| !session.settled && session.touched.is_empty();
        to != self.id && !self.hot.is_hot(room) && self.sessions.get(slot).is_some_and(knows_nobody)
    }

    /// The connection, which may move, waits to depart.
    pub(super) fn park_move(&mut self, slot: u32, to: ShardId, join: Option<Join>) -> Next {
        let Some(session) = self.sessions.get_mut(slot) else { return Next::ReadOn };
        session.parked = Some(Box::new(Parked::Move { to, join }));
        Next::Move
    }
}
