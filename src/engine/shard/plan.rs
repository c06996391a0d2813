//! What a request for seats would do: everything is looked at before anything changes, so that it is done wholly or not
//! at all.
//!
//! Invariant: nothing here changes anything. Never here: doing it.

use super::Shard;
use crate::engine::command::{Caller, Details, Reject, Sale, SeatStatus};
use crate::engine::ids::{ClientId, ConnId, Origin, SeatId};
use crate::engine::room::{Holder, Room};
use crate::engine::slab::Slot;
use crate::limits::SEATS_PER_REQUEST_MAX;
use crate::planted::{Bug, has};

/// Who wants seats for its cart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buyer<'a> {
    pub(super) party: Slot,
    pub(super) client: &'a ClientId,
    pub(super) origin: Origin,
    /// The connection that asks, if it is one.
    pub(super) conn: Option<ConnId>,
}

impl<'a> Buyer<'a> {
    pub(super) fn of(party: Slot, caller: Caller<'a>) -> Self {
        Self { party, client: caller.client, origin: caller.origin, conn: Some(caller.conn) }
    }
}

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) reject: Reject,
    pub(super) seat: Option<SeatId>,
    pub(super) details: Details,
}

impl From<Reject> for Refusal {
    fn from(reject: Reject) -> Self {
        Self { reject, seat: None, details: Details::default() }
    }
}

impl Refusal {
    pub(super) fn of_seats(reject: Reject, conflicts: Vec<(SeatId, SeatStatus)>) -> Self {
        let seat = conflicts.first().map(|(seat, _)| seat.clone());
        Self { reject, seat, details: Details { conflicts, alternatives: Vec::new() } }
    }
}

/// What is to be done.
#[derive(Default, Debug)]
pub(super) struct Plan {
    /// Seats that the cart loses.
    pub(super) release: Vec<Slot>,
    /// Seats that it gets, with their places in the layout.
    pub(super) take: Vec<(SeatId, Option<u32>)>,
}

impl Shard {
    /// The sale as far as it forbids new holds and extensions in this room.
    pub(super) fn sale_forbids(&self, room: Option<Slot>) -> Option<Reject> {
        match self.rooms[room?].settings()?.sale {
            Sale::Open => None,
            Sale::Scheduled { .. } => Some(Reject::SaleNotOpen),
            Sale::Paused if has(Bug::SoldWhileShut) => None,
            Sale::Paused => Some(Reject::SalePaused),
            Sale::Closed => Some(Reject::SaleClosed),
        }
    }

    /// Whether a room that is not there may not be made by naming it.
    pub(super) fn room_forbids(&self, room: Option<Slot>) -> Option<Reject> {
        (room.is_none() && self.carts.only_declared).then_some(Reject::UnknownRoom)
    }

    /// The slots of seats that the party is to give back, all of which must be in its cart.
    pub(super) fn plan_release(&self, party: Slot, room: Option<Slot>, seats: &[SeatId]) -> Result<Vec<Slot>, Refusal> {
        let (mut found, mut conflicts, mut worst) = (Vec::with_capacity(seats.len()), Vec::new(), None);
        let cart = room.and_then(|room| self.owners.cart_in(party, room));
        for seat in seats {
            let known = room.and_then(|room| self.rooms[room].seat(seat.as_str()));
            let Some((slot, of)) = known else {
                conflicts.push((seat.clone(), SeatStatus::Free));
                worst = worst.or(Some(Reject::NotHeld));
                continue;
            };
            if of.hold.holder.cart().is_some_and(|of| Some(of) == cart) {
                found.push(slot);
                continue;
            }
            let is_own = self.is_own_order(cart, &of.hold.holder) && of.hold.status == SeatStatus::Checkout;
            worst = if is_own && worst != Some(Reject::NotOwner) {
                Some(Reject::InCheckout)
            } else {
                Some(Reject::NotOwner)
            };
            conflicts.push((of.id.clone(), of.hold.status));
        }
        worst.map_or(Ok(found), |reject| Err(Refusal::of_seats(reject, conflicts)))
    }

    /// Whether the holder is an order of this cart.
    pub(super) fn is_own_order(&self, cart: Option<Slot>, holder: &Holder) -> bool {
        let Holder::Order(order) = holder else { return false };
        cart.is_some_and(|cart| self.owners.carts[cart].orders.contains(order))
    }

    /// What it would be to take these seats and let go of those.
    pub(super) fn plan_select(
        &self,
        buyer: &Buyer<'_>,
        (name, room): (&str, Option<Slot>),
        seats: &[SeatId],
        release: &[SeatId],
    ) -> Result<Plan, Refusal> {
        is_list(seats, release)?;
        let release = self.plan_release(buyer.party, room, release)?;
        let take = self.seats_to_take(buyer, (name, room), seats)?;
        let plan = Plan { release, take };
        self.may_carry_out(buyer, (name, room), &plan)?;
        self.leaves_nobody_alone(buyer, room, &plan)?;
        Ok(plan)
    }

    /// Those of the seats that the party does not have, if all others are free.
    fn seats_to_take(
        &self,
        buyer: &Buyer<'_>,
        (name, room): (&str, Option<Slot>),
        seats: &[SeatId],
    ) -> Result<Vec<(SeatId, Option<u32>)>, Refusal> {
        let of = room.map(|room| &self.rooms[room]);
        let cart = room.and_then(|room| self.owners.cart_in(buyer.party, room));
        let unknown: Vec<_> = seats.iter().filter(|seat| of.is_some_and(|room| !room.has_place(seat))).collect();
        if !unknown.is_empty() {
            let conflicts = unknown.into_iter().map(|seat| (seat.clone(), SeatStatus::Free)).collect();
            return Err(Refusal::of_seats(Reject::UnknownSeat, conflicts));
        }
        let (mut take, mut conflicts) = (Vec::new(), Vec::new());
        for seat in seats {
            match of.and_then(|room| room.seat(seat.as_str())) {
                None => take.push((seat.clone(), of.and_then(|room| room.place_of(seat)))),
                Some((_, taken)) if taken.hold.holder.cart().is_some_and(|of| Some(of) == cart) => {}
                Some((_, taken)) => conflicts.push((taken.id.clone(), taken.hold.status)),
            }
        }
        let takes_some = has(Bug::PartialHold) && !take.is_empty();
        if !conflicts.is_empty() && !takes_some {
            return Err(Refusal::of_seats(Reject::SeatsUnavailable, conflicts));
        }
        let late = take.iter().find_map(|(seat, _)| {
            let until = self.barred.until((buyer.conn, buyer.client, buyer.origin), name, seat.as_str())?;
            Some((seat.clone(), until))
        });
        if let Some((seat, until)) = late {
            let retry_after_ms = u32::try_from(until.since(self.clock)).expect("RESELECT_AFTER_MS_MAX fits");
            return Err(Refusal { seat: Some(seat), ..Refusal::from(Reject::TooSoon { retry_after_ms }) });
        }
        Ok(take)
    }

    /// Whether the bounds allow it.
    pub(super) fn may_carry_out(
        &self,
        buyer: &Buyer<'_>,
        (_, room): (&str, Option<Slot>),
        plan: &Plan,
    ) -> Result<(), Refusal> {
        let (more, less) = (plan.take.len(), plan.release.len());
        if more == 0 {
            return Ok(());
        }
        let party = &self.owners.parties[buyer.party];
        if !party.is_holder() {
            if let Some(reject) = self.sale_forbids(room).or_else(|| self.room_forbids(room)) {
                return Err(reject.into());
            }
            let cart = room.and_then(|room| self.owners.cart_in(buyer.party, room));
            let own = cart.map_or(0, |cart| {
                let cart = &self.owners.carts[cart];
                cart.seats.len() + cart.paying as usize
            });
            let most = party.max_seats.unwrap_or_else(|| self.max_seats(room)) as usize;
            let is_split = has(Bug::LimitAConnection) && party.conns.len() > 1;
            if most != 0 && own + more > most + less && !is_split {
                return Err(Reject::LimitExceeded.into());
            }
            let from_there = plan.release.iter().filter(|&&seat| {
                let of = &self.rooms[room.expect("what is released has a room")].seat_at(seat).hold;
                of.origin.address == buyer.origin.address
            });
            if !self.shares.has_room_for(buyer.origin, more, from_there.count()) {
                return Err(Reject::AddressLimit.into());
            }
        }
        let has_place = room.map_or(self.may_open(), |room| self.rooms[room].may_take(more + less));
        if !has_place || !self.may_take(more) || !self.may_have_cart(buyer.party, room) {
            return Err(Reject::Overloaded.into());
        }
        Ok(())
    }

    /// Whether a party may have something in this room, too.
    fn may_have_cart(&self, party: Slot, room: Option<Slot>) -> bool {
        let of = &self.owners.parties[party];
        of.is_holder()
            || of.carts.len() < crate::limits::ROOMS_PER_CONNECTION_MAX
            || room.is_some_and(|room| self.owners.cart_in(party, room).is_some())
    }

    /// Seats that one owner may have in this room, unless its token says otherwise; 0 is no limit.
    pub(super) fn max_seats(&self, room: Option<Slot>) -> u32 {
        let own = room.and_then(|room| self.rooms[room].settings()?.max_seats);
        own.unwrap_or(self.rules.seats_per_client_max)
    }

    /// How long a hold lives in this room.
    pub(super) fn hold_ms(&self, room: Option<Slot>) -> u64 {
        let own = room.and_then(|room| self.rooms.get(room).and_then(Room::settings)?.hold_ms);
        own.unwrap_or(self.rules.hold_ttl_ms)
    }
}

/// Whether these are lists of different seats that one may ask for.
fn is_list(seats: &[SeatId], release: &[SeatId]) -> Result<(), Refusal> {
    let all = || seats.iter().chain(release);
    let is_short = (1..=SEATS_PER_REQUEST_MAX).contains(&seats.len()) && release.len() <= SEATS_PER_REQUEST_MAX;
    let is_once = is_short && all().enumerate().all(|(at, seat)| all().skip(at + 1).all(|other| other != seat));
    if is_once { Ok(()) } else { Err(Reject::BadRequest.into()) }
}
