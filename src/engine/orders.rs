//! The orders of one room, also those that have ended: what was answered once is answered again.
//!
//! Invariants: an order has one name; its state only goes forward. Never here: seats, when an order ends.

use super::command::{KeptOrder, OrderState, OrderTold, Owner, OwnerName, SeatStatus};
use super::ids::{ClientId, OrderId, SeatId};
use super::keyed::{Keyed, KeyedMap};
use super::slab::{Slab, Slot};
use super::time::WallMillis;

#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) id: OrderId,
    /// Whose it is; `None`: a v1 connection's from before a restart.
    pub(super) owner: Option<Owner>,
    /// The name that strangers see.
    pub(super) client: ClientId,
    pub(super) state: OrderState,
    /// All its seats, in the order of the checkout.
    pub(super) seats: Vec<SeatId>,
    /// Those whose booking was undone.
    pub(super) refunded: Vec<SeatId>,
    /// When it ends by itself, in checkout.
    pub(super) expires_at: WallMillis,
    /// When its seats would have ended without a checkout.
    pub(super) before: WallMillis,
    /// The number of its deadline; 0 when it is not in checkout.
    pub(super) alarm: u64,
}

impl Order {
    pub(super) fn is_in_checkout(&self) -> bool {
        self.state == OrderState::Checkout
    }

    /// Whether it has seats.
    pub(super) fn is_alive(&self) -> bool {
        matches!(self.state, OrderState::Checkout | OrderState::Booked)
    }

    /// What its seats are while it is not over.
    pub(super) fn seat_status(&self) -> SeatStatus {
        match self.state {
            OrderState::Checkout => SeatStatus::Checkout,
            OrderState::Booked => SeatStatus::Booked,
            OrderState::Cancelled | OrderState::Expired | OrderState::Refunded => SeatStatus::Free,
        }
    }

    /// When it ends by itself.
    pub(super) fn ends_at(&self) -> Option<WallMillis> {
        self.is_in_checkout().then_some(self.expires_at)
    }

    /// Its seats without those whose booking was undone.
    pub(super) fn standing(&self) -> Vec<SeatId> {
        self.seats.iter().filter(|seat| !self.refunded.contains(seat)).cloned().collect()
    }

    /// As a store keeps it.
    pub(super) fn kept(&self) -> KeptOrder {
        KeptOrder {
            owner: self.owner.clone().filter(|owner| !matches!(owner, Owner::Conn(_))),
            client: self.client.clone(),
            state: self.state,
            seats: self.seats.clone(),
            refunded: self.refunded.clone(),
            expires_at: self.ends_at(),
        }
    }

    /// Its owner as the backend names one.
    pub(super) fn owner_name(&self) -> OwnerName {
        let named = self.owner.as_ref().and_then(OwnerName::of);
        named.unwrap_or_else(|| OwnerName::Client(self.client.clone()))
    }

    /// As the backend is told.
    pub(super) fn told(&self) -> OrderTold {
        OrderTold {
            order: self.id.clone(),
            state: self.state,
            owner: Some(self.owner_name()),
            seats: self.seats.clone(),
            refunded: self.refunded.clone(),
            expires_at: self.ends_at(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Orders {
    by_id: KeyedMap<OrderId, Slot>,
    all: Slab<Order>,
    /// How many are in checkout.
    pub(super) open: usize,
}

impl Orders {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { by_id: KeyedMap::with_hasher(keyed), all: Slab::new(), open: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn find(&self, id: &OrderId) -> Option<Slot> {
        self.by_id.get(id).copied()
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Order> {
        self.all.get(slot)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> &mut Order {
        &mut self.all[slot]
    }

    pub(super) fn add(&mut self, order: Order) -> Slot {
        let id = order.id.clone();
        self.open += usize::from(order.is_in_checkout());
        let slot = self.all.insert(order);
        assert_eq!(self.by_id.insert(id, slot), None, "an order is made twice");
        slot
    }

    /// The order is in another state now. Returns the number that its deadline had.
    pub(super) fn turn(&mut self, slot: Slot, state: OrderState) -> u64 {
        let order = &mut self.all[slot];
        let goes_on = matches!(
            (order.state, state),
            (OrderState::Checkout, OrderState::Booked | OrderState::Cancelled | OrderState::Expired)
                | (OrderState::Cancelled | OrderState::Expired | OrderState::Refunded, OrderState::Booked)
                | (OrderState::Booked, OrderState::Refunded)
        );
        assert!(goes_on, "an order that is {:?} becomes {state:?}", order.state);
        self.open -= usize::from(order.is_in_checkout());
        order.state = state;
        std::mem::take(&mut order.alarm)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Order> {
        self.all.iter()
    }

    /// Panics when an invariant does not hold.
    pub(super) fn check_invariants(&self) {
        assert_eq!(self.by_id.len(), self.all.len());
        assert_eq!(self.all.iter().filter(|order| order.is_in_checkout()).count(), self.open);
        for (id, &slot) in &self.by_id {
            let order = &self.all[slot];
            assert_eq!(order.id, *id);
            assert_eq!(
                order.alarm != 0,
                order.is_in_checkout(),
                "an order in checkout ends by itself, and no other does"
            );
            assert!(order.refunded.iter().all(|seat| order.seats.contains(seat)));
        }
    }
}
