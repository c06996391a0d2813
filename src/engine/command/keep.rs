//! What a store keeps beside seats. Never here: encodings.

use std::sync::Arc;

use super::caller::Owner;
use super::room::RoomSettings;
use super::sale::OrderState;
use crate::engine::ids::{ClientId, OrderId, RoomId, SeatId};
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
