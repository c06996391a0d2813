//! What the backend looks at: how many seats are in which state, and who has what until when.
//!
//! Invariant: nothing here changes anything. Never here: what clients see.

use std::collections::BTreeMap;

use super::Shard;
use super::sale::Sold;
use crate::engine::command::{Claim, OwnerName, Reject, SaleAnswer, SeatStatus, SeatTold, SeatsQuery, Tally};
use crate::engine::ids::SeatId;
use crate::engine::room::{Holder, Seat};
use crate::engine::slab::Slot;
use crate::layout::hall::Mark;
use crate::limits::SEATS_LISTED_MAX;

impl Shard {
    /// How many seats are in which state.
    pub(super) fn tally(&self, room: Slot) -> SaleAnswer {
        let of = &self.rooms[room];
        let mut total = Tally::default();
        of.seats().for_each(|(_, seat)| count(&mut total, seat.hold.status));
        let Some(hall) = of.hall() else {
            return SaleAnswer::Counts { total, sections: Vec::new(), categories: Vec::new() };
        };
        total.free = Some(hall.free());
        let layout = &**hall.layout();
        let sections = self.tally_by(room, layout.sections(), |place| layout.section_of(place));
        let categories = self.tally_by(room, layout.categories(), |place| layout.category_of(place));
        SaleAnswer::Counts { total, sections, categories }
    }

    /// The same by what the layout says of each seat.
    fn tally_by<'a>(
        &self,
        room: Slot,
        names: impl Iterator<Item = &'a str>,
        name_of: impl Fn(u32) -> &'a str,
    ) -> Vec<(Box<str>, Tally)> {
        let (of, none) = (&self.rooms[room], Tally { free: Some(0), ..Tally::default() });
        let names: Vec<&str> = names.collect();
        let mut tallies: BTreeMap<&str, Tally> = names.iter().map(|&name| (name, none)).collect();
        let seats = of.hall().map_or(0, |hall| hall.layout().len());
        for place in 0..u32::try_from(seats).expect("the number of seats is bounded") {
            let tally = tallies.entry(name_of(place)).or_insert(none);
            tally.free = tally.free.map(|free| free + 1);
        }
        for (_, seat) in of.seats() {
            let Some(tally) = seat.place.and_then(|place| tallies.get_mut(name_of(place))) else { continue };
            count(tally, seat.hold.status);
            tally.free = tally.free.map(|free| free - 1);
        }
        names.into_iter().map(|name| (name.into(), tallies[name])).collect()
    }

    /// The seats that are asked for, in the order of their names.
    pub(super) fn list_seats(&self, room: Slot, query: &SeatsQuery) -> Sold {
        if query.state == Some(SeatStatus::Free) {
            return self.list_free(room, query);
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

    /// The free seats that are asked for, for which the room must have a layout.
    fn list_free(&self, room: Slot, query: &SeatsQuery) -> Sold {
        let hall = self.rooms[room].hall().ok_or(Reject::NoLayout)?;
        let layout = hall.layout();
        let is_asked = query.owner.is_none() && query.order.is_none();
        let all = 0..u32::try_from(layout.len()).expect("the number of seats is bounded");
        let free = all.filter(|&place| is_asked && hall.mark(place) == Mark::Free).map(|place| layout.id_of(place));
        let is_behind = |id: &&str| query.after.as_ref().is_none_or(|after| *id > after.as_str());
        let is_it = |id: &&str| query.seat.as_ref().is_none_or(|seat| seat.as_str() == *id);
        let mut ids: Vec<&str> = free.filter(is_behind).filter(is_it).collect();
        ids.sort_unstable();
        let limit = query.limit.clamp(1, SEATS_LISTED_MAX);
        let more = ids.len() > limit;
        ids.truncate(limit);
        let told = |id: &str| SeatTold {
            seat: SeatId::checked(id),
            status: SeatStatus::Free,
            client: None,
            owner: None,
            order: None,
            label: None,
            at: None,
            expires_at: None,
        };
        Ok(SaleAnswer::Seats { seats: ids.into_iter().map(told).collect(), more })
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

/// Whether the seat is of this owner. A bare name is whatever strangers see, and what the backend calls a subject or a
/// holder.
fn is_of(told: &SeatTold, owner: &OwnerName) -> bool {
    match owner {
        OwnerName::Client(name) => {
            let is_named = |owner: &OwnerName| match owner {
                OwnerName::Subject(text) | OwnerName::Holder(text) => **text == *name.as_str(),
                OwnerName::Session(_) | OwnerName::Client(_) => false,
            };
            told.client.as_ref() == Some(name) || told.owner.as_ref().is_some_and(is_named)
        }
        OwnerName::Session(_) | OwnerName::Subject(_) | OwnerName::Holder(_) => told.owner.as_ref() == Some(owner),
    }
}

pub(super) fn count(tally: &mut Tally, status: SeatStatus) {
    match status {
        SeatStatus::Free => unreachable!("what is free is not in the room"),
        SeatStatus::Held => tally.held += 1,
        SeatStatus::Checkout => tally.checkout += 1,
        SeatStatus::Booked => tally.booked += 1,
        SeatStatus::Blocked => tally.blocked += 1,
    }
}
