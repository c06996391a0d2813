//! What a shard wants done.
//!
//! Invariant: an [`Effect`] says everything that its performer needs, so performing it never asks the engine back
//! (the one exception is the content of a full state, which is read at once from the shard that produced the effect).
//! What protocol v2 and the backend need is boxed, so that it costs v1 nothing. Never here: decisions.

use std::sync::Arc;

use super::caller::Asker;
use super::cart::{CartTold, Entered, Position, Resumed, Synced};
use super::change::Change;
use super::keep::Kept;
use super::refusal::{Details, Reject, RequestType};
use super::room::Sale;
use super::sale::ApiAnswer;
use crate::engine::ids::{ClientId, ConnId, Epoch, RoomId, SeatId, ShardSet};
use crate::engine::time::WallMillis;

/// What a shard wants done. In order: an effect is performed after those before it.
#[derive(Clone, Debug)]
pub enum Effect {
    /// `room_joined`, followed by the full state of the room when a seat is held. From now on `to` is one of `members`.
    Joined { to: Asker, client: ClientId, room: RoomId, seq: u64, epoch: Epoch, members: usize },
    /// `room_left`. From now on `to` is no member.
    Left { to: Asker, client: ClientId, room: RoomId },
    /// The full state of the room for a member that asked by [`super::Input::Resync`], also when no seat is held.
    Snapshot { to: ConnId, room: RoomId, seq: u64, epoch: Epoch },
    /// A seat changed hands.
    Change(Arc<Change>),
    /// A select of a seat that the caller holds already: the reply of then, with the `seq` and the deadline of then.
    Again { to: Asker, client: ClientId, room: RoomId, seat: SeatId, seq: u64, epoch: Epoch, expires_at: WallMillis },
    /// The command was refused. Only protocol v2 is told `details`.
    Refused {
        to: Asker,
        reject: Reject,
        request: RequestType,
        room: RoomId,
        seat: Option<SeatId>,
        details: Option<Box<Details>>,
    },

    /// `room_joined` of protocol v2. From now on `to` is one of the members.
    Entered(Box<Entered>),
    /// The full state of the room for a v2 member that asked.
    Synced(Box<Synced>),
    /// The carts that a v2 connection has taken over. It is answered also when there are none.
    Resumed(Box<Resumed>),
    /// A cart is told to one connection, behind the changes that belong to it.
    Cart(Box<CartTold>),
    /// A newer connection goes on with the session of this one, which is to be closed and told so. What it has asked is
    /// not answered.
    Superseded { conn: ConnId },
    /// The backend is answered, behind the changes that belong to it.
    Api(Box<ApiAnswer>),
    /// A store is to keep this, in one commit with the changes of the same input. Nobody is told.
    Keep(Box<Kept>),
    /// Something about a room as a whole, for its v2 members.
    Room(Box<RoomNews>),
}

/// Something about a room as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomNews {
    /// The room.
    pub room: RoomId,
    /// The shards on which members of the room live.
    pub audience: ShardSet,
    /// What.
    pub what: RoomChanged,
}

/// What has changed about a room as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RoomChanged {
    /// The sale is in another state.
    Sale {
        /// Which one.
        sale: Sale,
        /// What people are told.
        message: Option<Arc<str>>,
    },
    /// It has another layout and lives anew: its numbers count from 0 in another epoch, and who looks at it is to get
    /// it anew.
    Renewed {
        /// Where it stands.
        at: Position,
    },
    /// It has gone, and with it the memberships.
    Deleted,
}

/// The effects of one or several inputs, in order. Reused, so that a busy shard does not allocate for it.
pub type Effects = Vec<Effect>;
