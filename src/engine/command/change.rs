//! A seat has changed, and what a full state tells of one. Never here: decisions.

use std::sync::Arc;

use super::caller::{Owner, Ticket};
use super::status::SeatStatus;
use crate::engine::ids::{ClientId, ConnId, Epoch, OrderId, Origin, RoomId, SeatId, ShardSet};
use crate::engine::time::WallMillis;

/// Why a seat became free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReleaseReason {
    /// Its owner gave it back.
    Released,
    /// Its time, or that of its order, was over.
    Expired,
    /// The owner's connection ended, and the time that it had to come back.
    Disconnected,
    /// Its order was cancelled.
    Cancelled,
    /// Its order was not paid for, and its owner has gone.
    PaymentFailed,
    /// Its booking was undone.
    Refunded,
    /// An operator took it away.
    ReleasedByOperator,
    /// It is for sale again.
    Unblocked,
    /// Its room has gone.
    RoomDeleted,
}

impl ReleaseReason {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Disconnected => "disconnected",
            Self::Cancelled => "cancelled",
            Self::PaymentFailed => "payment_failed",
            Self::Refunded => "refunded",
            Self::ReleasedByOperator => "released_by_operator",
            Self::Unblocked => "unblocked",
            Self::RoomDeleted => "room_deleted",
        }
    }
}

/// The state of a seat has changed: the one thing that moves a room's `seq`.
#[derive(Clone, Debug)]
pub struct Change {
    /// The room.
    pub room: RoomId,
    /// The seat.
    pub seat: SeatId,
    /// Its place in the layout of the room, if that has one.
    pub index: Option<u32>,
    /// Who has it now, or had it until now, by the name that strangers see.
    pub client: ClientId,
    /// The room's sequence number after the change.
    pub seq: u64,
    /// The life of the room in which `seq` counts.
    pub epoch: Epoch,
    /// The connection that is told in its own frame (and does not get the public one): a v1 caller, or the holder whose
    /// hold expired. It need not be a member. `None` when nobody in particular is left to be told.
    pub actor: Option<ConnId>,
    /// The request of the actor that this answers; `None` when nobody asked for it, as with an expiry.
    pub answers: Option<Ticket>,
    /// How many seats of the room are not free after it.
    pub held: u32,
    /// The shards on which members of the room live.
    pub audience: ShardSet,
    /// What happened.
    pub kind: ChangeKind,
}

/// What a [`Change`] did to the seat.
#[derive(Clone, Debug)]
pub enum ChangeKind {
    /// It is not free now.
    Selected {
        /// What it is.
        status: SeatStatus,
        /// What it was.
        was: SeatStatus,
        /// When that began: the hold, the block.
        at: WallMillis,
        /// When it ends by itself; `None` for what does not.
        expires_at: Option<WallMillis>,
        /// A JSON object as the client wrote it.
        user_info: Arc<str>,
        /// Where its holder comes from, for the store alone.
        origin: Origin,
        /// Who has it, for the store and the backend alone. `None`: the v1 connection behind `client`.
        claim: Option<Box<Claim>>,
    },
    /// It is free now.
    Released {
        /// Why.
        reason: ReleaseReason,
    },
}

impl ChangeKind {
    /// What the seat is now.
    #[must_use]
    pub fn status(&self) -> SeatStatus {
        match self {
            Self::Selected { status, .. } => *status,
            Self::Released { .. } => SeatStatus::Free,
        }
    }
}

/// By what right somebody has a seat that is not a v1 connection's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claim {
    /// It is in the cart of this owner.
    Cart(Owner),
    /// It is in this order.
    Order(OrderId),
    /// It is blocked, with these words.
    Block(Arc<str>),
}

/// One seat that is not free as a full state tells it.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// Who has it, by the name that strangers see.
    pub client: &'a ClientId,
    /// The seat.
    pub seat: &'a SeatId,
    /// Its place in the layout of the room, if that has one.
    pub index: Option<u32>,
    /// What it is.
    pub status: SeatStatus,
    /// A JSON object as the client wrote it.
    pub user_info: &'a str,
    /// When that began.
    pub at: WallMillis,
    /// When it ends by itself; `None` for what does not.
    pub expires_at: Option<WallMillis>,
    /// Where its holder comes from, for the store alone.
    pub origin: Origin,
}
