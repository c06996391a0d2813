//! The shop's backend: what it asks of a room, and what it is answered.
//!
//! Invariant: whatever is named by an order or a state can be asked again, with the same answer. Never here: decisions,
//! HTTP.

use std::sync::Arc;

use super::caller::{ApiTicket, Owner, SessionId};
use super::cart::CartView;
use super::refusal::{Details, Reject};
use super::room::{RoomPatch, RoomPlan, RoomSettings};
use super::status::SeatStatus;
use crate::engine::ids::{ClientId, Epoch, OrderId, RoomId, SeatId};
use crate::engine::time::WallMillis;
use crate::layout::best::BestQuery;

/// An owner as the backend names one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum OwnerName {
    /// A session of protocol v2.
    Session(SessionId),
    /// The subject of tokens.
    Subject(Arc<str>),
    /// Somebody whom the backend itself has named.
    Holder(Arc<str>),
    /// A v1 connection by the name that strangers see, which several may have.
    Client(ClientId),
}

impl OwnerName {
    /// As the backend names this owner; a connection is named by its client, which stands beside it.
    #[must_use]
    pub fn of(owner: &Owner) -> Option<Self> {
        match owner {
            Owner::Session(session) => Some(Self::Session(*session)),
            Owner::Subject(subject) => Some(Self::Subject(Arc::clone(subject))),
            Owner::Holder(holder) => Some(Self::Holder(Arc::clone(holder))),
            Owner::Conn(_) => None,
        }
    }
}

/// What the backend asks of a room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SaleRequest {
    /// `hold`: seats for a holder, in addition to what it has. `ttl_ms`: the cart lives at least so long from now.
    Hold { holder: Arc<str>, wanted: Wanted, ttl_ms: Option<u64> },
    /// `release`: held seats become free. `reason`: why, for people, for the log alone.
    Release { whose: Whose, reason: Option<Arc<str>> },
    /// `PUT` of an order: its owner's held seats, or these of them, are being paid for. Without `ttl_ms`: for
    /// fifteen minutes.
    Checkout { order: OrderId, owner: OwnerName, seats: Option<Vec<SeatId>>, ttl_ms: Option<u64> },
    /// `book`
    Book { order: OrderId, mode: BookMode },
    /// `cancel`
    Cancel { order: OrderId, to: CancelTo },
    /// `refund`: of these seats, or of all.
    Refund { order: OrderId, seats: Option<Vec<SeatId>> },
    /// `block`. `release_held`: what is held becomes free first.
    Block { what: Places, label: Arc<str>, release_held: bool },
    /// `unblock`
    Unblock { what: Places, label: Option<Arc<str>> },
    /// `reconcile`: what the shop's database says. `None` leaves its kind alone.
    Reconcile { booked: Option<Vec<(SeatId, OrderId)>>, blocked: Option<Vec<(SeatId, Arc<str>)>>, dry_run: bool },
    /// `PUT` of the room. `plan`: the layout that the settings name.
    PutRoom { settings: RoomSettings, plan: Option<RoomPlan> },
    /// `PATCH` of the room. `plan`: the layout that it names.
    PatchRoom { patch: RoomPatch, plan: Option<RoomPlan> },
    /// `DELETE` of the room. `force`: also with orders in checkout.
    DeleteRoom { force: bool },
    /// `GET` of the room
    GetRoom,
    /// `GET` of an order
    GetOrder { order: OrderId },
    /// `counts`
    Counts,
    /// `seats`
    Seats { query: SeatsQuery },
}

impl SaleRequest {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self, Self::GetRoom | Self::GetOrder { .. } | Self::Counts | Self::Seats { .. })
    }
}

/// Which seats a holder is to have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// These.
    Seats(Vec<SeatId>),
    /// The best.
    Best(BestQuery),
}

/// Whose seats an operator frees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whose {
    /// Of whoever has them.
    Seats(Vec<SeatId>),
    /// All that this owner holds.
    Owner(OwnerName),
}

/// Which seats are meant.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Places {
    /// These,
    pub seats: Vec<SeatId>,
    /// and all of these sections, for which the room must have a layout.
    pub sections: Vec<Box<str>>,
}

/// When an order may be booked.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum BookMode {
    /// While it is in checkout.
    #[default]
    Held,
    /// Also after that, with the seats that nobody else has taken since.
    HeldOrFree,
}

/// What becomes of the seats of an order that is cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CancelTo {
    /// They are in the owner's cart again, if that is still there.
    Cart,
    /// They are free.
    Free,
}

/// Which seats are asked for, and how many.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SeatsQuery {
    /// In this state; without one, all that are not free.
    pub state: Option<SeatStatus>,
    /// This one.
    pub seat: Option<SeatId>,
    /// Of this owner.
    pub owner: Option<OwnerName>,
    /// Of this order.
    pub order: Option<OrderId>,
    /// Behind this one, in the order of their names.
    pub after: Option<SeatId>,
    /// At most so many.
    pub limit: usize,
}

/// What an order is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderState {
    /// It is being paid for.
    Checkout,
    /// It was paid for.
    Booked,
    /// It was cancelled.
    Cancelled,
    /// It was not paid for in time.
    Expired,
    /// All of its booking was undone.
    Refunded,
}

impl OrderState {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Checkout => "checkout",
            Self::Booked => "booked",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Refunded => "refunded",
        }
    }
}

/// An order as the backend is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderTold {
    /// The order.
    pub order: OrderId,
    /// How far it is.
    pub state: OrderState,
    /// Its owner, as far as that is known.
    pub owner: Option<OwnerName>,
    /// All its seats, also those that it has lost.
    pub seats: Vec<SeatId>,
    /// Those whose booking was undone.
    pub refunded: Vec<SeatId>,
    /// When it ends by itself, in checkout.
    pub expires_at: Option<WallMillis>,
}

/// A seat as the backend is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeatTold {
    /// The seat.
    pub seat: SeatId,
    /// What it is.
    pub status: SeatStatus,
    /// The name that strangers see.
    pub client: Option<ClientId>,
    /// Who has it, if that is no v1 connection.
    pub owner: Option<OwnerName>,
    /// In which order.
    pub order: Option<OrderId>,
    /// The words of a block.
    pub label: Option<Arc<str>>,
    /// Since when.
    pub at: Option<WallMillis>,
    /// Until when.
    pub expires_at: Option<WallMillis>,
}

/// How many seats are in each state.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// Known only with a layout.
    pub free: Option<u32>,
    /// In carts.
    pub held: u32,
    /// In orders that are being paid for.
    pub checkout: u32,
    /// Sold.
    pub booked: u32,
    /// Not for sale.
    pub blocked: u32,
}

/// A room as the backend is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomTold {
    /// The room.
    pub room: RoomId,
    /// The life of the room.
    pub epoch: Epoch,
    /// The last change.
    pub seq: u64,
    /// What the backend has decided; `None` for a room that a client made.
    pub settings: Option<RoomSettings>,
    /// Members.
    pub members: usize,
}

/// The answer to one request of the backend. A store must have what it tells before it is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiAnswer {
    /// Which request.
    pub to: ApiTicket,
    /// The room.
    pub room: RoomId,
    /// The answer.
    pub answer: SaleAnswer,
}

/// What the backend is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SaleAnswer {
    /// To `hold`: the seats of the request, and all that the holder has.
    Held { seats: Vec<SeatId>, cart: CartView },
    /// To `release`: what became free.
    Released { seats: Vec<SeatId> },
    /// About an order. `is_new`: it was made by this request.
    Order { order: OrderTold, is_new: bool },
    /// To `block` and `unblock`: what has changed, and what became free for it.
    Blocks { changed: Vec<SeatId>, released: Vec<SeatId> },
    /// To `reconcile`: what has changed, or would.
    Reconciled { booked: Vec<SeatId>, blocked: Vec<SeatId>, freed: Vec<SeatId> },
    /// About a room. `is_new`: it was made by this request.
    Room { room: RoomTold, is_new: bool },
    /// To `DELETE` of a room.
    Deleted,
    /// To `counts`: in all, by section and by category.
    Counts { total: Tally, sections: Vec<(Box<str>, Tally)>, categories: Vec<(Box<str>, Tally)> },
    /// To `seats`. `more`: there are others behind the last one.
    Seats { seats: Vec<SeatTold>, more: bool },
    /// It was refused, and nothing has changed.
    Refused { reject: Reject, details: Details },
}
