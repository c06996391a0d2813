//! Which shard should serve a connection. It is the owner of the room that the connection joins first, so a small
//! room's traffic never crosses a core. The members of a hot room stay where the kernel, which spreads them evenly, has
//! put them.
//!
//! Invariant: only a connection that no engine knows moves. Never here: how it gets there.

use super::session::Parked;
use super::{Next, Node};
use crate::engine::ids::{RoomId, ShardId};

impl Node {
    /// Whether the connection, which asks to join a room, should be served elsewhere. Then it waits to depart.
    pub(super) fn should_move(&mut self, slot: u32, owner: ShardId, room: &str) -> bool {
        let join = RoomId::new(room);
        self.move_to(slot, owner, room, join) == Next::Move
    }

    pub(super) fn move_to(&mut self, slot: u32, to: ShardId, room: &str, join: Option<RoomId>) -> Next {
        let (id, is_hot) = (self.id, self.hot.is_hot(room));
        let Some(session) = self.sessions.get_mut(slot) else { return Next::ReadOn };
        let may_move = !session.settled && session.touched.is_empty();
        if !may_move || to == id || is_hot {
            return Next::ReadOn;
        }
        session.parked = Some(Box::new(Parked::Move { to, join }));
        Next::Move
    }
}
