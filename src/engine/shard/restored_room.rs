//! A room from before a restart: what was decided about it, its orders, its carts, and all seats that were not free.
//!
//! Invariants: what was acknowledged is as it was; a cart keeps its clock and waits for its owner; nothing ends here:
//! what was over since it was read ends a moment later, as everything does, so that it is told, kept and in the log.
//! Never here: stores.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Shard;
use crate::engine::command::{
    Claim, Effects, KeptCart, KeptOrder, OrderState, Owner, RestoredRoom, RestoredSeat, RoomPlan, SeatStatus,
};
use crate::engine::deadlines::{Deadline, Due, HoldNumber};
use crate::engine::ids::OrderId;
use crate::engine::orders::Order;
use crate::engine::owners::Clock;
use crate::engine::room::{Hold, Holder, Seat};
use crate::engine::slab::Slot;
use crate::engine::time::{Millis, Now, WallMillis};
use crate::limits::{BACK_TO_CART_MS, HOLD_TTL_MS_MAX, ORDER_TTL_MS_MAX, SEQ_RESTORED_MAX};
use crate::planted::{Bug, has};

/// The clocks of a room's carts, while it is given back.
type Clocks = BTreeMap<Owner, Clock>;

impl Shard {
    pub(super) fn restore_room(
        &mut self,
        now: Now,
        room: &str,
        was: &RestoredRoom,
        waits_until: Millis,
        effects: &mut Effects,
    ) {
        let known = self.find(room);
        if known.is_none() && !self.may_open() {
            return;
        }
        let slot = known.unwrap_or_else(|| self.open(room));
        if let Some(RoomPlan(layout)) = &was.plan {
            self.rooms[slot].furnish(Some(Arc::clone(layout)), None);
        }
        let mut orders: Vec<&(OrderId, Arc<KeptOrder>)> = was.orders.iter().collect();
        orders.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        orders.into_iter().for_each(|(id, order)| self.restore_order(now, slot, id, order));
        let clock = |(owner, cart): &(Owner, KeptCart)| (owner.clone(), self.restored_clock(now, *cart));
        let clocks: Clocks = was.carts.iter().map(clock).collect();
        let mut seats: Vec<&RestoredSeat> = was.seats.iter().collect();
        seats.sort_unstable_by(|a, b| (a.seq, &a.seat).cmp(&(b.seq, &b.seat)));
        seats.into_iter().for_each(|seat| self.restore_seat(slot, seat, &clocks));
        self.mend_orders(slot);
        self.restore_orders_of_owners(slot);
        self.begin_to_wait(slot, waits_until);
        if let Some(settings) = &was.settings {
            self.keep_settings(now, slot, (**settings).clone(), effects);
        }
        self.drop_if_empty(slot);
    }

    /// How long until that moment; it is never over yet.
    fn left_ms(now: Now, ends_at: WallMillis, most: u64) -> u64 {
        ends_at.0.saturating_sub(now.wall.0).clamp(1, most)
    }

    fn restored_clock(&self, now: Now, cart: KeptCart) -> Clock {
        let KeptCart { first_at, expires_at, extends } = cart;
        // A clock that was set back meanwhile gives no cart more than it had in all.
        let life_ms = expires_at.0.checked_sub(first_at.0).filter(|&life_ms| life_ms > 0);
        let life_ms = life_ms.unwrap_or(self.carts.life_max_ms.max(BACK_TO_CART_MS));
        let left_ms = Self::left_ms(now, expires_at, life_ms.min(HOLD_TTL_MS_MAX));
        let first = Millis(self.clock.0.saturating_sub(now.wall.0.saturating_sub(first_at.0)));
        let (ends, expires_at, warns) = (self.clock.after(left_ms), now.wall.after(left_ms), self.warns(left_ms));
        Clock { first, first_at, ends, expires_at, extends, warns }
    }

    fn restore_order(&mut self, now: Now, room: Slot, id: &OrderId, order: &KeptOrder) {
        let left_ms = order.expires_at.map(|ends_at| Self::left_ms(now, ends_at, ORDER_TTL_MS_MAX));
        let (mut state, mut alarm) = (order.state, 0);
        if state == OrderState::Checkout {
            let is_over = has(Bug::LapsedInSilence) && order.expires_at.is_some_and(|ends_at| ends_at <= now.wall);
            match left_ms.filter(|_| !is_over) {
                Some(_) => alarm = self.next_number(),
                None => state = OrderState::Expired,
            }
        }
        let expires_at = now.wall.after(left_ms.unwrap_or(0));
        let slot = self.rooms[room].sale_mut().orders.add(Order {
            id: id.clone(),
            owner: order.owner.clone(),
            client: order.client.clone(),
            state,
            seats: order.seats.clone(),
            refunded: order.refunded.clone(),
            expires_at,
            before: now.wall,
            alarm,
        });
        if alarm != 0 {
            let at = self.clock.after(left_ms.unwrap_or(0));
            self.deadlines.push(Deadline { at, due: Due::Order { room, order: slot }, number: alarm });
        }
    }

    fn restore_seat(&mut self, room: Slot, was: &RestoredSeat, clocks: &Clocks) {
        let is_free = self.rooms[room].seat(was.seat.as_str()).is_none();
        if !is_free || !self.rooms[room].may_take(1) || !self.may_take(1) {
            return;
        }
        let (holder, ends_at) = match &was.claim {
            Claim::Cart(owner) => {
                let Some(clock) = clocks.get(owner).filter(|_| was.status == SeatStatus::Held) else { return };
                let party = self.owners.find_or_add(owner);
                let cart = self.owners.cart_for(party, room);
                self.owners.carts[cart].clock = Some(*clock);
                (Holder::Cart(cart), clock.expires_at)
            }
            Claim::Order(id) => {
                let Ok(order) = self.find_order(room, id) else { return };
                let of = self.rooms[room].order(order);
                if of.seat_status() != was.status || of.refunded.contains(&was.seat) {
                    return;
                }
                (Holder::Order(order), of.expires_at)
            }
            Claim::Block(label) => (Holder::Block(Box::new(Arc::clone(label))), was.at),
        };
        let is_default = *was.user_info == *self.no_user_info;
        let hold = Hold {
            number: HoldNumber(self.holds_made.next()),
            status: was.status,
            holder: holder.clone(),
            client: was.client.clone(),
            origin: was.origin,
            user_info: Arc::clone(if is_default { &self.no_user_info } else { &was.user_info }),
            at: was.at.min(ends_at),
            expires_at: ends_at,
            seq: was.seq.min(SEQ_RESTORED_MAX),
        };
        let user_info_bytes = hold.user_info.len();
        let place = self.rooms[room].place_of(&was.seat);
        let slot = self.rooms[room].restore(Seat { id: was.seat.clone(), place, hold });
        self.taken += 1;
        if let Holder::Cart(cart) = holder {
            self.held += 1;
            self.user_info_bytes += user_info_bytes;
            self.shares.add(was.origin);
            self.owners.carts[cart].seats.push(slot);
        }
    }

    /// An order whose seats are not all there, because a record could not be read, is told with those that are.
    fn mend_orders(&mut self, room: Slot) {
        let Some(sale) = self.rooms[room].sale() else { return };
        let alive: Vec<OrderId> =
            sale.orders.iter().filter(|order| order.is_alive()).map(|order| order.id.clone()).collect();
        for id in alive {
            let order = self.find_order(room, &id).expect("it is listed");
            let own: Vec<_> = self.own_seats(room, order);
            let own: Vec<_> = own.into_iter().map(|seat| self.rooms[room].seat_at(seat).id.clone()).collect();
            let of = self.rooms[room].sale_mut().orders.get_mut(order);
            of.seats.retain(|seat| own.contains(seat) || of.refunded.contains(seat));
        }
    }

    /// Owners pay for what they had in checkout.
    fn restore_orders_of_owners(&mut self, room: Slot) {
        let Some(sale) = self.rooms[room].sale() else { return };
        let open = |order: &Order| order.is_in_checkout().then(|| Some((order.owner.clone()?, order.id.clone())))?;
        let open: Vec<(Owner, OrderId)> = sale.orders.iter().filter_map(open).collect();
        for (owner, id) in open {
            let order = self.find_order(room, &id).expect("it is listed");
            let party = self.owners.find_or_add(&owner);
            let cart = self.owners.cart_for(party, room);
            let seats = self.rooms[room].order(order).seats.len();
            let of = &mut self.owners.carts[cart];
            of.orders.push(order);
            of.paying += u32::try_from(seats).expect("ROOM_HOLDS_MAX fits");
        }
    }

    /// All owners that have a cart here are away.
    fn begin_to_wait(&mut self, room: Slot, waits_until: Millis) {
        let of = &self.rooms[room];
        let mut carts: BTreeSet<Slot> = of.seats().filter_map(|(_, seat)| seat.hold.holder.cart()).collect();
        if let Some(sale) = of.sale() {
            let owners =
                sale.orders.iter().filter(|order| order.is_in_checkout()).filter_map(|order| order.owner.as_ref());
            carts.extend(owners.filter_map(|owner| self.owners.cart_in(self.owners.find(owner)?, room)));
        }
        for cart in carts {
            let of = &self.owners.carts[cart];
            let (party, has_seats) = (of.party, !of.seats.is_empty());
            if has_seats && !self.owners.parties[party].has_clock_a_seat() {
                self.set_alarm(cart);
            }
            let of = &self.owners.parties[party];
            if of.grace == 0 && of.conns.is_empty() && !of.is_holder() {
                let waits_until = if has(Bug::NobodyReturns) { self.clock } else { waits_until };
                self.wait_for(party, waits_until);
            }
        }
    }
}
