//! What a store keeps beside seats. Never here: encodings.

use std::sync::Arc;

use super::caller::Owner;
use super::change::Claim;
use super::room::{RoomPlan, RoomSettings};
use super::sale::OrderState;
use super::status::SeatStatus;
use crate::engine::ids::{ClientId, OrderId, Origin, RoomId, SeatId};
use crate::engine::time::WallMillis;

/// Something beside the seats has changed, which a store must have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// The room.
    pub room: RoomId,
    /// What.
    pub entry: KeptEntry,
}

/// What a store keeps of a room beside its seats; `None`: it is not there any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeptEntry {
    /// The clock of a cart with seats.
    Cart(Owner, Option<KeptCart>),
    /// An order, also one that has ended.
    Order(OrderId, Option<Arc<KeptOrder>>),
    /// What the backend has decided.
    Settings(Option<Arc<RoomSettings>>),
    /// How many events the log has had of it.
    Events(Option<u64>),
}

/// The clock of a cart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeptCart {
    /// When its first seat was held.
    pub first_at: WallMillis,
    /// When it ends.
    pub expires_at: WallMillis,
    /// How often it was extended.
    pub extends: u8,
}

/// An order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptOrder {
    /// Whose it is; `None`: a v1 connection's, which is known by its name alone.
    pub owner: Option<Owner>,
    /// The name that strangers see.
    pub client: ClientId,
    /// How far it is.
    pub state: OrderState,
    /// All its seats.
    pub seats: Vec<SeatId>,
    /// Those whose booking was undone.
    pub refunded: Vec<SeatId>,
    /// When it ends by itself, in checkout.
    pub expires_at: Option<WallMillis>,
}

/// All that a store had of a room, but for what v1 connections held.
#[derive(Clone, Default, Debug)]
pub struct RestoredRoom {
    /// What the backend has decided.
    pub settings: Option<Arc<RoomSettings>>,
    /// The layout that the settings name. Without it no seat of the room can be taken.
    pub plan: Option<RoomPlan>,
    /// Its orders.
    pub orders: Vec<(OrderId, Arc<KeptOrder>)>,
    /// The clocks of its carts.
    pub carts: Vec<(Owner, KeptCart)>,
    /// Its seats. What names a cart or an order that is not there is left out.
    pub seats: Vec<RestoredSeat>,
}

/// A seat that was not free.
#[derive(Clone, Debug)]
pub struct RestoredSeat {
    /// The seat.
    pub seat: SeatId,
    /// What it was.
    pub status: SeatStatus,
    /// By what right it was somebody's.
    pub claim: Claim,
    /// The name that strangers saw.
    pub client: ClientId,
    /// Where that came from.
    pub origin: Origin,
    /// A JSON object as the client wrote it.
    pub user_info: Arc<str>,
    /// When that began.
    pub at: WallMillis,
    /// The room's sequence number after its last change.
    pub seq: u64,
}
