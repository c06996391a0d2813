//! What the shop's database says wins over holds: which seats are booked by which order, and which are blocked.
//!
//! Invariants: what is to be done follows from what is and what should be alone ([`compare`]); a seat in checkout of
//! another order is never touched; doing it twice changes nothing. Never here: the shop's database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Shard;
use super::plan::Refusal;
use super::sale::Sold;
use crate::engine::command::{
    Act, CartReason, CartWhy, Effects, OrderState, Reject, ReleaseReason, SaleAnswer, SeatStatus,
};
use crate::engine::ids::{ClientId, OrderId, SeatId};
use crate::engine::orders::Order;
use crate::engine::slab::Slot;
use crate::engine::time::Now;

/// What the shop says of booked and of blocked seats; `None`: nothing.
type Truth<'a> = (Option<&'a [(SeatId, OrderId)]>, Option<&'a [(SeatId, Arc<str>)]>);

/// A seat that is not free: what it is, and in which order.
type Is = (SeatStatus, Option<OrderId>);

/// What is to be done, in this order.
#[derive(Default, PartialEq, Eq, Debug)]
struct Todo {
    /// Booked, and should not be, or not by this order.
    refund: Vec<SeatId>,
    /// Blocked, and should not be.
    unblock: Vec<SeatId>,
    /// Held, and should be blocked.
    release: Vec<SeatId>,
    book: Vec<(SeatId, OrderId)>,
    block: Vec<(SeatId, Arc<str>)>,
}

/// What makes a room what it should be. `seats`: those that are not free.
///
/// # Errors
/// The seats that are in the way: in checkout, or booked where nothing is said of booked ones.
fn compare(seats: &BTreeMap<SeatId, Is>, (booked, blocked): Truth<'_>) -> Result<Todo, Vec<(SeatId, SeatStatus)>> {
    let (mut todo, mut conflicts) = (Todo::default(), Vec::new());
    let status = |seat: &SeatId| seats.get(seat).map_or(SeatStatus::Free, |(status, _)| *status);
    let to_book: BTreeMap<&SeatId, &OrderId> =
        booked.into_iter().flatten().map(|(seat, order)| (seat, order)).collect();
    let to_block: BTreeSet<&SeatId> = blocked.into_iter().flatten().map(|(seat, _)| seat).collect();
    for (seat, (status, order)) in seats {
        let wanted = to_book.get(seat);
        if *status == SeatStatus::Booked && booked.is_some() && wanted.copied() != order.as_ref() {
            todo.refund.push(seat.clone());
        }
        let is_wanted = wanted.is_some() || to_block.contains(seat);
        if *status == SeatStatus::Blocked && blocked.is_some() && !is_wanted {
            todo.unblock.push(seat.clone());
        }
    }
    for (seat, order) in booked.into_iter().flatten() {
        match seats.get(seat) {
            Some((SeatStatus::Booked, Some(by))) if by == order => {}
            Some((SeatStatus::Checkout, by)) if by.as_ref() != Some(order) => {
                conflicts.push((seat.clone(), SeatStatus::Checkout));
            }
            Some(_) | None => todo.book.push((seat.clone(), order.clone())),
        }
    }
    for (seat, label) in blocked.into_iter().flatten() {
        match status(seat) {
            SeatStatus::Blocked => {}
            SeatStatus::Free => todo.block.push((seat.clone(), Arc::clone(label))),
            SeatStatus::Held => {
                todo.release.push(seat.clone());
                todo.block.push((seat.clone(), Arc::clone(label)));
            }
            SeatStatus::Booked if booked.is_some() => todo.block.push((seat.clone(), Arc::clone(label))),
            of @ (SeatStatus::Checkout | SeatStatus::Booked) => conflicts.push((seat.clone(), of)),
        }
    }
    if conflicts.is_empty() { Ok(todo) } else { Err(conflicts) }
}

/// Whether each seat is named once.
fn is_once((booked, blocked): Truth<'_>) -> bool {
    let booked = booked.into_iter().flatten().map(|(seat, _)| seat);
    let mut all: Vec<&SeatId> = booked.chain(blocked.into_iter().flatten().map(|(seat, _)| seat)).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    all.len() == count
}

impl Shard {
    pub(super) fn reconcile(
        &mut self,
        now: Now,
        room: &str,
        truth: Truth<'_>,
        dry_run: bool,
        effects: &mut Effects,
    ) -> Sold {
        if !is_once(truth) {
            return Err(Reject::BadRequest.into());
        }
        let known = self.find(room);
        let named = truth.0.into_iter().flatten().map(|(seat, _)| seat);
        let named = named.chain(truth.1.into_iter().flatten().map(|(seat, _)| seat));
        let strange = named.filter(|seat| known.is_some_and(|room| !self.rooms[room].has_place(seat)));
        let unknown: Vec<_> = strange.map(|seat| (seat.clone(), SeatStatus::Free)).collect();
        if !unknown.is_empty() {
            return Err(Refusal::of_seats(Reject::UnknownSeat, unknown));
        }
        let seats = known.map_or_else(BTreeMap::new, |room| self.seats_as_they_are(room));
        let todo =
            compare(&seats, truth).map_err(|conflicts| Refusal::of_seats(Reject::SeatsUnavailable, conflicts))?;
        let names = |seats: &[(SeatId, OrderId)]| seats.iter().map(|(seat, _)| seat.clone()).collect();
        let answer = SaleAnswer::Reconciled {
            booked: names(&todo.book),
            blocked: todo.block.iter().map(|(seat, _)| seat.clone()).collect(),
            freed: todo.refund.iter().chain(&todo.unblock).chain(&todo.release).cloned().collect(),
        };
        let changes = todo.refund.len() + todo.unblock.len() + todo.release.len() + todo.book.len() + todo.block.len();
        let has_place = known.map_or(self.may_open(), |room| self.rooms[room].may_take(changes));
        if !has_place || !self.may_take(changes) {
            return Err(Reject::Overloaded.into());
        }
        if !dry_run {
            let room = known.unwrap_or_else(|| self.open(room));
            self.make_so(now, room, todo, effects);
        }
        Ok(answer)
    }

    fn seats_as_they_are(&self, room: Slot) -> BTreeMap<SeatId, Is> {
        let of = &self.rooms[room];
        let is = |(_, seat): (Slot, &crate::engine::room::Seat)| {
            let order = seat.hold.holder.order().map(|order| of.order(order).id.clone());
            (seat.id.clone(), (seat.hold.status, order))
        };
        of.seats().map(is).collect()
    }

    fn make_so(&mut self, now: Now, room: Slot, todo: Todo, effects: &mut Effects) {
        let slots = |shard: &Self, seats: &[SeatId]| -> Vec<Slot> {
            seats.iter().filter_map(|seat| Some(shard.rooms[room].seat(seat.as_str())?.0)).collect()
        };
        let mut refund: BTreeMap<Slot, Vec<Slot>> = BTreeMap::new();
        for seat in slots(self, &todo.refund) {
            let order = self.rooms[room].seat_at(seat).hold.holder.order().expect("what is booked has an order");
            refund.entry(order).or_default().push(seat);
        }
        // One order after the other: what is kept of each stands behind the seats that it loses.
        for (order, seats) in refund {
            seats.into_iter().for_each(|seat| self.refund_seat((room, seat), order, effects));
            self.after_refund(room, order, effects);
        }
        for seat in slots(self, &todo.unblock) {
            self.end((room, seat), (Act::Unblock, ReleaseReason::Unblocked), (None, None), effects);
        }
        let release = slots(self, &todo.release);
        self.release_held(room, release, effects);
        let mut by_order: BTreeMap<OrderId, Vec<SeatId>> = BTreeMap::new();
        todo.book.into_iter().for_each(|(seat, order)| by_order.entry(order).or_default().push(seat));
        for (order, seats) in by_order {
            self.book_as_said(now, room, order, seats, effects);
        }
        for (seat, label) in todo.block {
            self.block_seat(now.wall, room, seat, &label, effects);
        }
    }

    /// The order has these seats, whatever became of it.
    fn book_as_said(&mut self, now: Now, room: Slot, id: OrderId, seats: Vec<SeatId>, effects: &mut Effects) {
        let known = self.find_order(room, &id).ok();
        let order = known.unwrap_or_else(|| {
            let client = ClientId::new("system").expect("a name");
            let (owner, refunded, before) = (None, Vec::new(), now.wall);
            let (state, seats, expires_at, alarm) = (OrderState::Booked, seats.clone(), now.wall, 0);
            let order = Order { id, owner, client, state, seats, refunded, expires_at, before, alarm };
            self.rooms[room].sale_mut().orders.add(order)
        });
        match self.rooms[room].order(order).state {
            OrderState::Checkout => self.settle_checkout(room, order, &seats, effects),
            OrderState::Cancelled | OrderState::Expired | OrderState::Refunded => {
                let of = &mut self.rooms[room].sale_mut().orders;
                of.turn(order, OrderState::Booked);
                let all = of.get(order).expect("it was found").seats.clone();
                of.get_mut(order).refunded = all.into_iter().filter(|seat| !seats.contains(seat)).collect();
            }
            OrderState::Booked => {}
        }
        let client = self.rooms[room].order(order).client.clone();
        for seat in seats {
            let of = self.rooms[room].sale_mut().orders.get_mut(order);
            of.refunded.retain(|refunded| *refunded != seat);
            if !of.seats.contains(&seat) {
                of.seats.push(seat.clone());
            }
            match self.rooms[room]
                .seat(seat.as_str())
                .map(|(slot, seat)| (slot, seat.hold.status, seat.hold.holder.cart()))
            {
                None => self.give_booked(now.wall, room, seat, (order, &client), effects),
                Some((_, SeatStatus::Booked, _)) => {}
                Some((slot, _, cart)) => {
                    self.book_held((room, slot), order, effects);
                    if let Some(cart) = cart {
                        let (reason, gone) = (CartReason::ReleasedByOperator, vec![seat]);
                        self.tell_owner(cart, None, CartWhy::Changed { reason, gone, order: None }, effects);
                        self.settle(cart, false, effects);
                    }
                }
            }
        }
        self.keep_order(room, order, effects);
        let cart = self.cart_of_order(room, order);
        self.tell_order(cart, order, CartReason::Booked, effects);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(name: &str) -> SeatId {
        SeatId::new(name).expect("a name")
    }

    fn order(name: &str) -> OrderId {
        OrderId::new(name).expect("a name")
    }

    /// Every state of a seat against everything that the shop may say of it. What is done: refund, unblock, release,
    /// book and block are R, U, L, B and X; C is a conflict.
    #[test]
    fn every_state_against_every_truth() {
        let states = [
            None,
            Some((SeatStatus::Held, None)),
            Some((SeatStatus::Checkout, Some(order("o")))),
            Some((SeatStatus::Checkout, Some(order("p")))),
            Some((SeatStatus::Booked, Some(order("o")))),
            Some((SeatStatus::Booked, Some(order("p")))),
            Some((SeatStatus::Blocked, None)),
        ];
        let (booked, blocked) = ([(seat("A"), order("o"))], [(seat("A"), Arc::from("x"))]);
        let truths: [(Truth<'_>, [&str; 7]); 7] = [
            ((None, None), ["", "", "", "", "", "", ""]),
            ((Some(&[]), None), ["", "", "", "", "R", "R", ""]),
            ((None, Some(&[])), ["", "", "", "", "", "", "U"]),
            ((Some(&booked), None), ["B", "B", "B", "C", "", "RB", "B"]),
            ((Some(&booked), Some(&[])), ["B", "B", "B", "C", "", "RB", "B"]),
            ((None, Some(&blocked)), ["X", "LX", "C", "C", "C", "C", ""]),
            ((Some(&[]), Some(&blocked)), ["X", "LX", "C", "C", "RX", "RX", ""]),
        ];
        for (truth, row) in truths {
            for (state, expected) in states.iter().zip(row) {
                let seats = state.iter().map(|state| (seat("A"), state.clone())).collect();
                let done = compare(&seats, truth).map_or("C".to_owned(), |todo| {
                    let counts = [
                        ("R", todo.refund.len()),
                        ("U", todo.unblock.len()),
                        ("L", todo.release.len()),
                        ("B", todo.book.len()),
                        ("X", todo.block.len()),
                    ];
                    counts.iter().map(|(letter, count)| letter.repeat(*count)).collect()
                });
                assert_eq!(done, expected, "{state:?} against {truth:?}");
            }
        }
    }
}
