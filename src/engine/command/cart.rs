//! Protocol v2: what a client asks for with its cart, and how a cart is told.
//!
//! Invariant: a request owns what it names, so that the same one is read from a socket, sent to another shard and
//! decided. Never here: decisions.

use std::sync::Arc;

use super::caller::Asker;
use super::change::ReleaseReason;
use super::refusal::RequestType;
use super::room::{RoomLayout, Sale};
use super::status::SeatStatus;
use crate::engine::ids::{ConnId, Epoch, OrderId, RoomId, SeatId};
use crate::engine::time::WallMillis;
use crate::layout::best::BestQuery;

/// Where somebody stands in the history of a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The life of the room.
    pub epoch: Epoch,
    /// The last change.
    pub seq: u64,
}

/// What a client of protocol v2 asks of a room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CartRequest {
    /// `join_room`. Joining twice is answered again and changes nothing. `since`: up to where the caller knows the
    /// room.
    Join { since: Option<Position> },
    /// `leave_room`. The cart stays.
    Leave,
    /// `select_seats`: all or nothing, with the releases in the same step.
    Select { seats: Vec<SeatId>, release: Vec<SeatId>, user_info: Arc<str> },
    /// `select_best`
    SelectBest { query: BestQuery, release: Vec<SeatId>, user_info: Arc<str> },
    /// `release_seats`
    Release { seats: Vec<SeatId> },
    /// `release_seats` with `all`
    ReleaseAll,
    /// `extend_hold`
    Extend,
    /// `sync`
    Sync,
}

impl CartRequest {
    /// What is asked.
    #[must_use]
    pub fn kind(&self) -> RequestType {
        match self {
            Self::Join { .. } => RequestType::Join,
            Self::Leave => RequestType::Leave,
            Self::Select { .. } => RequestType::SelectSeats,
            Self::SelectBest { .. } => RequestType::SelectBest,
            Self::Release { .. } | Self::ReleaseAll => RequestType::ReleaseSeats,
            Self::Extend => RequestType::Extend,
            Self::Sync => RequestType::Sync,
        }
    }
}

/// All that one owner holds in one room.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct CartView {
    /// The held seats, in the order of selecting.
    pub seats: Vec<SeatId>,
    /// When they are released by themselves; `None` when there are none.
    pub expires_at: Option<WallMillis>,
    /// How often that may still be put off.
    pub extends_left: u8,
    /// What of the cart is being paid for or has been.
    pub orders: Vec<OrderView>,
}

/// What a cart tells of an order: `status` is [`SeatStatus::Checkout`] or [`SeatStatus::Booked`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderView {
    /// The order.
    pub order: OrderId,
    /// How far it is.
    pub status: SeatStatus,
    /// Its seats.
    pub seats: Vec<SeatId>,
    /// When it ends by itself; `None` when it is booked.
    pub expires_at: Option<WallMillis>,
}

/// A cart is told to one connection of its owner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CartTold {
    /// To which one, and which of its requests that answers, if it does.
    pub to: Told,
    /// The room.
    pub room: RoomId,
    /// The room's number after the changes that belong to it.
    pub seq: u64,
    /// The life of the room in which `seq` counts.
    pub epoch: Epoch,
    /// Why.
    pub why: CartWhy,
    /// The whole cart as it is now.
    pub cart: Arc<CartView>,
}

/// Who is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// Who asked, as the answer to this kind of request.
    Asker(Asker, RequestType),
    /// A connection that did not ask.
    Conn(ConnId),
}

impl Told {
    /// The connection.
    #[must_use]
    pub fn conn(self) -> ConnId {
        match self {
            Self::Asker(asker, _) => asker.conn,
            Self::Conn(conn) => conn,
        }
    }
}

/// Why a cart is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CartWhy {
    /// `seats_held`: these were asked for.
    Held { seats: Vec<SeatId> },
    /// `seats_released`: these were given back.
    Released { seats: Vec<SeatId> },
    /// `hold_extended`
    Extended,
    /// `hold_expiring`: it ends in so many milliseconds.
    Expiring { left_ms: u32 },
    /// `cart`: it has changed otherwise than by a request of this connection. `gone`: what left its seats.
    Changed { reason: CartReason, gone: Vec<SeatId>, order: Option<OrderId> },
}

/// Why a cart changed without a request of the connection that is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CartReason {
    /// Its time, or that of an order, was over.
    Expired,
    /// Nobody of its owner was there for too long.
    Disconnected,
    /// An operator took seats away.
    ReleasedByOperator,
    /// Seats of it are being paid for.
    Checkout,
    /// The payment has failed: the seats are in the cart again.
    PaymentFailed,
    /// An order was paid for.
    Booked,
    /// An order was cancelled, or its booking undone.
    Cancelled,
    /// Another connection of the owner did it.
    OtherConnection,
    /// The owner is back.
    Restored,
}

impl CartReason {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Disconnected => "disconnected",
            Self::ReleasedByOperator => "released_by_operator",
            Self::Checkout => "checkout",
            Self::PaymentFailed => "payment_failed",
            Self::Booked => "booked",
            Self::Cancelled => "cancelled",
            Self::OtherConnection => "other_connection",
            Self::Restored => "restored",
        }
    }

    /// Why a cart has lost seats that became free for this reason.
    #[must_use]
    pub fn of(reason: ReleaseReason) -> Self {
        match reason {
            ReleaseReason::Released => Self::OtherConnection,
            ReleaseReason::Expired => Self::Expired,
            ReleaseReason::Disconnected => Self::Disconnected,
            ReleaseReason::Cancelled | ReleaseReason::Refunded => Self::Cancelled,
            ReleaseReason::PaymentFailed => Self::PaymentFailed,
            ReleaseReason::ReleasedByOperator | ReleaseReason::Unblocked | ReleaseReason::RoomDeleted => {
                Self::ReleasedByOperator
            }
        }
    }
}

/// `room_joined` of protocol v2, followed by what the member does not know yet: since `since`, or everything.
#[derive(Clone, Debug)]
pub struct Entered {
    /// Who asked.
    pub to: Asker,
    /// The room.
    pub room: RoomId,
    /// Where it stands.
    pub at: Position,
    /// Up to where the member knows it.
    pub since: Option<Position>,
    /// Members, with this one.
    pub members: usize,
    /// The layout, if it has one.
    pub layout: Option<RoomLayout>,
    /// The sale.
    pub sale: Sale,
    /// How long a cart lives.
    pub hold_ms: u64,
    /// Seats that the owner may have here; 0 is no limit.
    pub max_seats: u32,
    /// Its cart.
    pub cart: Arc<CartView>,
}

/// `snapshot` for a member that asked by `sync`.
#[derive(Clone, Debug)]
pub struct Synced {
    /// Who asked.
    pub to: Asker,
    /// The room.
    pub room: RoomId,
    /// Where it stands.
    pub at: Position,
    /// The member's cart.
    pub cart: Arc<CartView>,
}

/// The carts that an owner has in the rooms that it named, as far as this shard owns them and there are some.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// Who asked.
    pub to: Asker,
    /// The carts.
    pub carts: Vec<ResumedCart>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct ResumedCart {
    /// The room.
    pub room: RoomId,
    /// The cart.
    pub cart: Arc<CartView>,
}
