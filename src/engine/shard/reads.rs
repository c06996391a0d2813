//! What the backend looks at: how many seats are in which state, and who has what until when.
//!
//! Invariant: nothing here changes anything. Never here: what clients see.

use super::Shard;
use super::sale::Sold;
use crate::engine::command::{Claim, OwnerName, Reject, SaleAnswer, SeatStatus, SeatTold, SeatsQuery, Tally};
use crate::engine::room::{Holder, Seat};
use crate::engine::slab::Slot;
use crate::limits::SEATS_LISTED_MAX;

impl Shard {
    /// How many seats are in which state.
    pub(super) fn tally(&self, room: Slot) -> SaleAnswer {
        let mut total = Tally::default();
        self.rooms[room].seats().for_each(|(_, seat)| count(&mut total, seat.hold.status));
        SaleAnswer::Counts { total, sections: Vec::new(), categories: Vec::new() }
    }

    /// The seats that are asked for, in the order of their names.
    pub(super) fn list_seats(&self, room: Slot, query: &SeatsQuery) -> Sold {
        if query.state == Some(SeatStatus::Free) {
            return Err(Reject::NoLayout.into());
        }
        let is_behind = |seat: &Seat| query.after.as_ref().is_none_or(|after| seat.id > *after);
        let is_meant = |seat: &Seat| {
            query.state.is_none_or(|state| state == seat.hold.status)
                && query.seat.as_ref().is_none_or(|id| *id == seat.id)
                && is_behind(seat)
        };
        let told =
            self.rooms[room].seats().filter(|(_, seat)| is_meant(seat)).map(|(_, seat)| self.seat_told(room, seat));
        let of_whom = |told: &SeatTold| {
            query.owner.as_ref().is_none_or(|owner| is_of(told, owner))
                && query.order.as_ref().is_none_or(|order| told.order.as_ref() == Some(order))
        };
        let mut seats: Vec<SeatTold> = told.filter(of_whom).collect();
        seats.sort_unstable_by(|a, b| a.seat.cmp(&b.seat));
        let limit = query.limit.clamp(1, SEATS_LISTED_MAX);
        let more = seats.len() > limit;
        seats.truncate(limit);
        Ok(SaleAnswer::Seats { seats, more })
    }

    /// A seat as the backend is told.
    fn seat_told(&self, room: Slot, seat: &Seat) -> SeatTold {
        let hold = &seat.hold;
        let (mut owner, mut order, mut label) = (None, None, None);
        match &hold.holder {
            Holder::Conn(_) => {}
            Holder::Cart(_) => {
                if let Some(Claim::Cart(of)) = self.claim(room, &hold.holder).map(|claim| *claim) {
                    owner = OwnerName::of(&of);
                }
            }
            Holder::Order(of) => {
                let of = self.rooms[room].order(*of);
                order = Some(of.id.clone());
                owner = of.owner.as_ref().and_then(OwnerName::of);
            }
            Holder::Block(of) => label = Some((**of).clone()),
        }
        SeatTold {
            seat: seat.id.clone(),
            status: hold.status,
            client: Some(hold.client.clone()),
            owner,
            order,
            label,
            at: Some(hold.at),
            expires_at: hold.ends_at(),
        }
    }
}

/// Whether the seat is of this owner.
fn is_of(told: &SeatTold, owner: &OwnerName) -> bool {
    match owner {
        OwnerName::Client(client) => told.client.as_ref() == Some(client) && told.owner.is_none(),
        OwnerName::Session(_) | OwnerName::Subject(_) | OwnerName::Holder(_) => told.owner.as_ref() == Some(owner),
    }
}

pub(super) fn count(tally: &mut Tally, status: SeatStatus) {
    match status {
        SeatStatus::Free => tally.free = Some(tally.free.unwrap_or(0) + 1),
        SeatStatus::Held => tally.held += 1,
        SeatStatus::Checkout => tally.checkout += 1,
        SeatStatus::Booked => tally.booked += 1,
        SeatStatus::Blocked => tally.blocked += 1,
    }
}
