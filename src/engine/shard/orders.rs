//! The life of an order: checkout, booking, and all the ways in which it ends.
//!
//! Invariants: what is asked again is answered again and changes nothing; an order is booked wholly or not at all; a
//! late booking takes no seat from anybody else. Never here: HTTP.

use std::sync::Arc;

use super::Shard;
use super::plan::Refusal;
use super::sale::Sold;
use crate::engine::command::{
    Act, BookMode, CancelTo, CartReason, CartWhy, Effects, OrderState, Owner, OwnerName, Reject, ReleaseReason,
    SaleAnswer, SeatStatus,
};
use crate::engine::deadlines::{Deadline, Due, HoldNumber};
use crate::engine::ids::{ClientId, ConnId, OrderId, Origin, SeatId};
use crate::engine::orders::Order;
use crate::engine::owners::Clock;
use crate::engine::room::{Hold, Holder, Seat, Turned};
use crate::engine::slab::Slot;
use crate::engine::time::{Millis, Now, WallMillis};
use crate::limits::{BACK_TO_CART_MS, ORDER_TTL_MS, ORDER_TTL_MS_MAX};
use crate::marks;
use crate::planted::{Bug, has};

/// Who begins to pay, and with which held seats.
struct Payer {
    /// Nobody whose name a store knows: a v1 client from before a restart that has not come back.
    owner: Option<Owner>,
    seats: Vec<Slot>,
}

impl Shard {
    /// The order of this name.
    pub(super) fn find_order(&self, room: Slot, order: &OrderId) -> Result<Slot, Reject> {
        self.rooms[room].sale().and_then(|sale| sale.orders.find(order)).ok_or(Reject::UnknownOrder)
    }

    fn order_answer(&self, room: Slot, order: Slot, is_new: bool) -> Sold {
        Ok(SaleAnswer::Order { order: self.rooms[room].order(order).told(), is_new })
    }

    /// Held seats go into an order.
    pub(super) fn checkout(
        &mut self,
        now: Now,
        room: Slot,
        (id, owner): (&OrderId, &OwnerName),
        (seats, ttl_ms): (Option<&[SeatId]>, Option<u64>),
        effects: &mut Effects,
    ) -> Sold {
        if let Ok(known) = self.find_order(room, id) {
            return self.same_order(room, known, owner, seats);
        }
        let ttl_ms = ttl_ms.unwrap_or(ORDER_TTL_MS);
        if ttl_ms == 0 || ttl_ms > ORDER_TTL_MS_MAX {
            return Err(Reject::BadRequest.into());
        }
        let payer = self.payer(room, owner, seats)?;
        if !self.rooms[room].may_change(payer.seats.len()) || !self.holds_made.has_next_of(payer.seats.len() as u64) {
            return Err(Reject::Overloaded.into());
        }
        let first = &self.rooms[room].seat_at(payer.seats[0]).hold;
        let (client, before) = (first.client.clone(), first.expires_at);
        let ids: Vec<SeatId> = payer.seats.iter().map(|&seat| self.rooms[room].seat_at(seat).id.clone()).collect();
        let (alarm, expires_at) = (self.next_number(), now.wall.after(ttl_ms));
        let order = self.rooms[room].sale_mut().orders.add(Order {
            id: id.clone(),
            owner: payer.owner.clone(),
            client,
            state: OrderState::Checkout,
            seats: ids.clone(),
            refunded: Vec::new(),
            expires_at,
            before,
            alarm,
        });
        let at = self.clock.after(ttl_ms);
        self.deadlines.push(Deadline { at, due: Due::Order { room, order }, number: alarm });
        let cart = payer.owner.as_ref().map(|owner| self.cart_of_payer(owner, room));
        let mut left = Vec::new();
        for seat in payer.seats {
            left.extend(self.rooms[room].seat_at(seat).hold.holder.cart().filter(|&of| Some(of) != cart));
            let number = HoldNumber(self.holds_made.next());
            let to = Turned { holder: Holder::Order(order), number, expires_at: Some(expires_at) };
            self.check_out((room, seat), to, effects);
        }
        self.keep_order(room, order, effects);
        if let Some(cart) = cart {
            let of = &mut self.owners.carts[cart];
            of.orders.push(order);
            of.paying += u32::try_from(ids.len()).expect("ROOM_HOLDS_MAX fits");
            let why = CartWhy::Changed { reason: CartReason::Checkout, gone: ids, order: Some(id.clone()) };
            self.tell_owner(cart, None, why, effects);
            self.settle(cart, false, effects);
        }
        left.dedup();
        left.into_iter().for_each(|cart| self.settle(cart, false, effects));
        self.order_answer(room, order, true)
    }

    /// The order is there already: the same one, or another of this name.
    fn same_order(&self, room: Slot, order: Slot, owner: &OwnerName, seats: Option<&[SeatId]>) -> Sold {
        let of = self.rooms[room].order(order);
        let is_alive = matches!(of.state, OrderState::Checkout | OrderState::Booked) || has(Bug::EndedOrderLives);
        let has_seats =
            seats.is_none_or(|seats| seats.len() == of.seats.len() && seats.iter().all(|s| of.seats.contains(s)));
        if is_alive && has_seats && of.owner_name() == *owner {
            return self.order_answer(room, order, false);
        }
        Err(Reject::OrderExists.into())
    }

    /// Who pays for what: all that the owner holds, or these seats of it.
    fn payer(&self, room: Slot, owner: &OwnerName, seats: Option<&[SeatId]>) -> Result<Payer, Refusal> {
        let all = self.held_by(room, owner);
        let seats = match seats {
            Some(seats) => {
                let found = self.held_slots(room, seats, |_| true)?;
                let strange =
                    found.iter().filter(|seat| !all.contains(seat)).map(|&seat| self.rooms[room].seat_at(seat));
                let conflicts: Vec<_> = strange.map(|seat| (seat.id.clone(), seat.hold.status)).collect();
                if !conflicts.is_empty() {
                    return Err(Refusal::of_seats(Reject::NotOwner, conflicts));
                }
                found
            }
            None => all,
        };
        let first = seats.first().ok_or(Reject::NotHeld)?;
        let of = |seat: &Slot| {
            let holder = &self.rooms[room].seat_at(*seat).hold.holder;
            (holder.conn(), holder.cart())
        };
        if seats.iter().any(|seat| of(seat) != of(first)) {
            return Err(Reject::AmbiguousOwner.into());
        }
        let owner = match of(first) {
            (Some(conn), _) => Some(Owner::Conn(conn)),
            (None, cart) => cart.and_then(|cart| self.owners.party_of(cart).owner().cloned()),
        };
        Ok(Payer { owner, seats })
    }

    /// The cart in which an owner's order is told. A v1 connection gets one for that.
    fn cart_of_payer(&mut self, owner: &Owner, room: Slot) -> Slot {
        let party = self.owners.find_or_add(owner);
        if let Owner::Conn(conn) = owner
            && self.owners.of_conn(*conn).is_none()
        {
            self.owners.attach(party, *conn);
        }
        self.owners.cart_for(party, room)
    }

    /// The cart in which an order is told, if it still is.
    pub(super) fn cart_of_order(&self, room: Slot, order: Slot) -> Option<Slot> {
        let owner = self.rooms[room].order(order).owner.as_ref()?;
        let cart = self.owners.cart_in(self.owners.find(owner)?, room)?;
        self.owners.carts[cart].orders.contains(&order).then_some(cart)
    }

    /// The slots of the order's seats that are its own now.
    pub(super) fn own_seats(&self, room: Slot, order: Slot) -> Vec<Slot> {
        let of = &self.rooms[room];
        let own = |seat: &SeatId| {
            let (slot, seat) = of.seat(seat.as_str())?;
            matches!(seat.hold.holder, Holder::Order(by) if by == order).then_some(slot)
        };
        of.order(order).seats.iter().filter_map(own).collect()
    }

    /// The order leaves checkout. Returns the cart that is to be told.
    fn leave_checkout(&mut self, room: Slot, order: Slot, state: OrderState) -> Option<Slot> {
        let seats = u32::try_from(self.rooms[room].order(order).seats.len()).expect("ROOM_HOLDS_MAX fits");
        let cart = self.cart_of_order(room, order);
        assert_ne!(self.rooms[room].sale_mut().orders.turn(order, state), 0, "an order in checkout has a deadline");
        self.forget_deadline();
        if let Some(cart) = cart {
            self.owners.carts[cart].paying -= seats;
        }
        cart
    }

    /// The cart is told about the order, and has it no longer if that is over, or nobody is there to see it.
    pub(super) fn tell_order(&mut self, cart: Option<Slot>, order: Slot, reason: CartReason, effects: &mut Effects) {
        let Some(cart) = cart else { return };
        let room = self.owners.carts[cart].room;
        let (id, status) = (self.rooms[room].order(order).id.clone(), self.rooms[room].order(order).seat_status());
        let party = self.owners.party_of(cart);
        let is_seen = !party.conns.is_empty() || party.grace != 0;
        if status == SeatStatus::Free || status == SeatStatus::Booked && !is_seen {
            self.owners.carts[cart].orders.retain(|&of| of != order);
        }
        let why = CartWhy::Changed { reason, gone: Vec::new(), order: Some(id) };
        self.tell_owner(cart, None, why, effects);
        self.settle(cart, false, effects);
    }

    /// The order is paid for.
    pub(super) fn book(&mut self, now: Now, room: Slot, id: &OrderId, mode: BookMode, effects: &mut Effects) -> Sold {
        let order = self.find_order(room, id)?;
        match (self.rooms[room].order(order).state, mode) {
            (OrderState::Booked, _) => {}
            (OrderState::Checkout, _) => self.book_order(room, order, effects)?,
            (OrderState::Cancelled | OrderState::Expired, BookMode::HeldOrFree) => {
                self.book_late(now, room, order, effects)?;
            }
            (OrderState::Cancelled | OrderState::Expired, BookMode::Held) | (OrderState::Refunded, _) => {
                return Err(Reject::OrderEnded.into());
            }
        }
        self.order_answer(room, order, false)
    }

    fn book_order(&mut self, room: Slot, order: Slot, effects: &mut Effects) -> Result<(), Refusal> {
        let seats = self.own_seats(room, order);
        assert_eq!(seats.len(), self.rooms[room].order(order).seats.len(), "an order in checkout has its seats");
        if !self.rooms[room].may_change(seats.len()) {
            return Err(Reject::Overloaded.into());
        }
        let cart = self.leave_checkout(room, order, OrderState::Booked);
        for seat in seats {
            let number = self.rooms[room].seat_at(seat).hold.number;
            let to = Turned { holder: Holder::Order(order), number, expires_at: None };
            self.book_seat((room, seat), to, effects);
        }
        self.keep_order(room, order, effects);
        self.tell_order(cart, order, CartReason::Booked, effects);
        Ok(())
    }

    /// The shop says that these seats of an order in checkout are booked: the others become free.
    pub(super) fn settle_checkout(&mut self, room: Slot, order: Slot, booked: &[SeatId], effects: &mut Effects) {
        let seats = self.own_seats(room, order);
        self.leave_checkout(room, order, OrderState::Booked);
        for seat in seats {
            let of = self.rooms[room].seat_at(seat);
            if booked.contains(&of.id) {
                let to = Turned { holder: Holder::Order(order), number: of.hold.number, expires_at: None };
                self.book_seat((room, seat), to, effects);
            } else {
                let id = of.id.clone();
                self.end((room, seat), (Act::EndOrder, ReleaseReason::Cancelled), (None, None), effects);
                self.rooms[room].sale_mut().orders.get_mut(order).refunded.push(id);
            }
        }
    }

    /// The payment came when the order was over: what nobody else has taken since is booked, if that is all of it.
    fn book_late(&mut self, now: Now, room: Slot, order: Slot, effects: &mut Effects) -> Result<(), Refusal> {
        let of = &self.rooms[room];
        let owner = of.order(order).owner.clone();
        let is_own = |holder: &Holder| match holder {
            Holder::Conn(conn) => owner == Some(Owner::Conn(*conn)),
            Holder::Cart(cart) => owner.is_some() && self.owners.party_of(*cart).owner() == owner.as_ref(),
            Holder::Order(_) | Holder::Block(_) => false,
        };
        let (mut own, mut free, mut lost) = (Vec::new(), Vec::new(), Vec::new());
        for id in &of.order(order).seats {
            match of.seat(id.as_str()) {
                // The hall may have changed since the order ended.
                None if !of.has_place(id) => lost.push((id.clone(), SeatStatus::Free)),
                None => free.push(id.clone()),
                Some((slot, seat)) if is_own(&seat.hold.holder) => own.push(slot),
                Some((slot, seat)) if has(Bug::LateBookTakes) && seat.hold.status == SeatStatus::Held => own.push(slot),
                Some((_, seat)) => lost.push((id.clone(), seat.hold.status)),
            }
        }
        if !lost.is_empty() && !has(Bug::BookedInPart) {
            return Err(Refusal::of_seats(Reject::SeatsLost, lost));
        }
        if !of.may_take(own.len() + free.len()) || !self.may_take(own.len() + free.len()) {
            return Err(Reject::Overloaded.into());
        }
        marks::hit("a late booking");
        let client = of.order(order).client.clone();
        self.rooms[room].sale_mut().orders.turn(order, OrderState::Booked);
        let cart = own.first().and_then(|&seat| self.rooms[room].seat_at(seat).hold.holder.cart());
        own.into_iter().for_each(|seat| self.book_held((room, seat), order, effects));
        for id in free {
            self.give_booked(now.wall, room, id, (order, &client), effects);
        }
        self.keep_order(room, order, effects);
        if let Some(cart) = cart {
            self.owners.carts[cart].orders.push(order);
        }
        self.tell_order(cart, order, CartReason::Booked, effects);
        Ok(())
    }

    /// A seat that is held, or blocked, is sold to an order that did not have it.
    pub(super) fn book_held(&mut self, at: (Slot, Slot), order: Slot, effects: &mut Effects) {
        let number = HoldNumber(self.holds_made.next());
        let to = Turned { holder: Holder::Order(order), number, expires_at: None };
        self.turn_unasked(at, to, effects);
    }

    /// A free seat is sold to an order.
    pub(super) fn give_booked(
        &mut self,
        at: WallMillis,
        room: Slot,
        id: SeatId,
        (order, client): (Slot, &ClientId),
        effects: &mut Effects,
    ) {
        let hold = Hold {
            number: HoldNumber(self.holds_made.next()),
            status: SeatStatus::Booked,
            holder: Holder::Order(order),
            client: client.clone(),
            origin: Origin::UNKNOWN,
            user_info: Arc::clone(&self.no_user_info),
            at,
            expires_at: at,
            seq: 0,
        };
        let place = self.rooms[room].place_of(&id);
        self.give(room, Seat { id, place, hold }, Millis::default(), (None, None), effects);
    }

    /// The order is not paid for.
    pub(super) fn cancel(&mut self, now: Now, room: Slot, id: &OrderId, to: CancelTo, effects: &mut Effects) -> Sold {
        let order = self.find_order(room, id)?;
        match self.rooms[room].order(order).state {
            OrderState::Checkout => {}
            OrderState::Cancelled | OrderState::Expired => return self.order_answer(room, order, false),
            OrderState::Booked | OrderState::Refunded => return Err(Reject::OrderEnded.into()),
        }
        let seats = self.own_seats(room, order);
        if !self.rooms[room].may_change(seats.len()) || !self.holds_made.has_next_of(seats.len() as u64) {
            return Err(Reject::Overloaded.into());
        }
        let cart = self.leave_checkout(room, order, OrderState::Cancelled);
        let is_here = |cart: Slot| {
            let party = self.owners.party_of(cart);
            !party.conns.is_empty() || party.grace != 0 || party.is_holder()
        };
        let reason = match (to, cart.filter(|&cart| is_here(cart))) {
            (CancelTo::Cart, Some(cart)) => {
                self.back_to_cart(now, (room, order), seats, cart, effects);
                CartReason::PaymentFailed
            }
            (CancelTo::Cart, None) => {
                self.end_order(room, seats, ReleaseReason::PaymentFailed, effects);
                CartReason::PaymentFailed
            }
            (CancelTo::Free, _) => {
                self.end_order(room, seats, ReleaseReason::Cancelled, effects);
                CartReason::Cancelled
            }
        };
        self.keep_order(room, order, effects);
        self.tell_order(cart, order, reason, effects);
        self.order_answer(room, order, false)
    }

    fn end_order(&mut self, room: Slot, seats: Vec<Slot>, reason: ReleaseReason, effects: &mut Effects) {
        for seat in seats {
            self.end((room, seat), (Act::EndOrder, reason), (None, None), effects);
        }
    }

    /// The owner has its seats again, for long enough to try anew.
    fn back_to_cart(
        &mut self,
        now: Now,
        (room, order): (Slot, Slot),
        seats: Vec<Slot>,
        cart: Slot,
        effects: &mut Effects,
    ) {
        let before = self.rooms[room].order(order).before;
        let left_ms =
            before.0.saturating_sub(now.wall.0).clamp(BACK_TO_CART_MS, self.hold_ms(Some(room)).max(BACK_TO_CART_MS));
        let (ends, expires_at) = (self.clock.after(left_ms), now.wall.after(left_ms));
        if let Some(&Owner::Conn(conn)) = self.owners.party_of(cart).owner() {
            return self.back_to_conn(room, seats, conn, (ends, expires_at), effects);
        }
        let of = &self.owners.carts[cart];
        let was_empty = of.seats.is_empty();
        let clock = of.clock.filter(|clock| clock.ends >= ends).unwrap_or_else(|| {
            let fresh = Clock { first: self.clock, first_at: now.wall, ends, expires_at, extends: 0, warns: None };
            let warns = self.warns(left_ms);
            Clock { ends, expires_at, warns, ..of.clock.unwrap_or(fresh) }
        });
        for seat in seats {
            let number = HoldNumber(self.holds_made.next());
            let to = Turned { holder: Holder::Cart(cart), number, expires_at: Some(clock.expires_at) };
            self.take_back((room, seat), to, clock.ends, effects);
        }
        if was_empty {
            self.start_clock(cart, clock, effects);
        } else {
            self.put_off(cart, clock, effects);
        }
    }

    fn back_to_conn(
        &mut self,
        room: Slot,
        seats: Vec<Slot>,
        conn: ConnId,
        (ends, expires_at): (Millis, WallMillis),
        effects: &mut Effects,
    ) {
        for seat in seats {
            let number = HoldNumber(self.holds_made.next());
            let to = Turned { holder: Holder::Conn(conn), number, expires_at: Some(expires_at) };
            self.take_back((room, seat), to, ends, effects);
        }
    }

    /// The time to pay is over.
    pub(super) fn order_due(&mut self, room: Slot, order: Slot, effects: &mut Effects) {
        let seats = self.own_seats(room, order);
        let count = u32::try_from(seats.len()).expect("ROOM_HOLDS_MAX fits");
        let cart = self.cart_of_order(room, order);
        // Its deadline has been taken out already.
        self.rooms[room].sale_mut().orders.turn(order, OrderState::Expired);
        if let Some(cart) = cart {
            self.owners.carts[cart].paying -= count;
        }
        self.end_order(room, seats, ReleaseReason::Expired, effects);
        self.keep_order(room, order, effects);
        self.tell_order(cart, order, CartReason::Expired, effects);
        self.drop_if_empty(room);
    }

    /// The booking is undone, of these seats or of all.
    pub(super) fn refund(&mut self, room: Slot, id: &OrderId, seats: Option<&[SeatId]>, effects: &mut Effects) -> Sold {
        let order = self.find_order(room, id)?;
        let of = self.rooms[room].order(order);
        match of.state {
            OrderState::Booked => {}
            OrderState::Refunded => return self.order_answer(room, order, false),
            OrderState::Checkout | OrderState::Cancelled | OrderState::Expired => return Err(Reject::OrderEnded.into()),
        }
        let asked = seats.map_or_else(|| of.standing(), <[SeatId]>::to_vec);
        let strange = asked.iter().filter(|seat| !of.seats.contains(seat));
        let conflicts: Vec<_> = strange.map(|seat| (seat.clone(), self.status_of(room, seat))).collect();
        if !conflicts.is_empty() {
            return Err(Refusal::of_seats(Reject::NotOwner, conflicts));
        }
        if !self.rooms[room].may_change(asked.len()) {
            return Err(Reject::Overloaded.into());
        }
        let own = self.own_seats(room, order);
        let mut is_changed = false;
        for seat in own {
            let id = self.rooms[room].seat_at(seat).id.clone();
            if asked.contains(&id) || has(Bug::RefundOfAll) {
                self.refund_seat((room, seat), order, effects);
                is_changed = true;
            }
        }
        if is_changed {
            self.after_refund(room, order, effects);
        }
        self.order_answer(room, order, false)
    }

    /// One booked seat of the order becomes free.
    pub(super) fn refund_seat(&mut self, at: (Slot, Slot), order: Slot, effects: &mut Effects) {
        let id = self.rooms[at.0].seat_at(at.1).id.clone();
        self.end(at, (Act::Refund, ReleaseReason::Refunded), (None, None), effects);
        self.rooms[at.0].sale_mut().orders.get_mut(order).refunded.push(id);
    }

    /// An order that has lost seats is refunded when it has none left.
    pub(super) fn after_refund(&mut self, room: Slot, order: Slot, effects: &mut Effects) {
        let of = self.rooms[room].order(order);
        if of.seats.len() == of.refunded.len() {
            self.rooms[room].sale_mut().orders.turn(order, OrderState::Refunded);
        }
        self.keep_order(room, order, effects);
        let cart = self.cart_of_order(room, order);
        self.tell_order(cart, order, CartReason::Cancelled, effects);
    }

    /// What a seat is.
    pub(super) fn status_of(&self, room: Slot, seat: &SeatId) -> SeatStatus {
        self.rooms[room].seat(seat.as_str()).map_or(SeatStatus::Free, |(_, seat)| seat.hold.status)
    }
}
