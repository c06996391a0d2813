//! What the layout of a room says to a request for seats: which ones are the best, and whether a choice leaves one
//! alone.
//!
//! Invariant: nothing here changes anything. Never here: how seats are searched (`layout`).

use std::borrow::Cow;

use super::Shard;
use super::plan::{Buyer, Plan, Refusal};
use crate::engine::command::{BestQuery, Details, Reject};
use crate::engine::ids::SeatId;
use crate::engine::slab::Slot;
use crate::layout::best::BestRefusal;
use crate::layout::hall::{Hall, Mark};
use crate::limits::SEATS_PER_REQUEST_MAX;

impl Shard {
    /// The map as it will be when these seats have been released.
    fn hall_without(&self, room: Slot, release: &[Slot]) -> Option<Cow<'_, Hall>> {
        let of = &self.rooms[room];
        let mut hall = Cow::Borrowed(of.hall()?);
        for place in release.iter().filter_map(|&seat| of.seat_at(seat).place) {
            hall.to_mut().set(place, Mark::Free);
        }
        Some(hall)
    }

    /// Whether the rule of the room allows these seats, if it has one: none may be left alone without need.
    pub(super) fn leaves_nobody_alone(
        &self,
        buyer: &Buyer<'_>,
        room: Option<Slot>,
        plan: &Plan,
    ) -> Result<(), Refusal> {
        let has_rule = |room: &Slot| self.rooms[*room].settings().is_some_and(|settings| settings.no_orphans);
        let Some(room) = room.filter(has_rule).filter(|_| !self.owners.parties[buyer.party].is_holder()) else {
            return Ok(());
        };
        let Some(hall) = self.hall_without(room, &plan.release) else { return Ok(()) };
        let chosen: Vec<u32> = plan.take.iter().filter_map(|(_, place)| *place).collect();
        let Some(orphans) = hall.orphans(&chosen).filter(|_| !chosen.is_empty()) else { return Ok(()) };
        let name = |&place: &u32| SeatId::checked(hall.layout().id_of(place));
        let alternatives = orphans.alternatives.iter().map(|seats| seats.iter().map(name).collect()).collect();
        let details = Details { conflicts: Vec::new(), alternatives };
        Err(Refusal { reject: Reject::OrphanSeat, seat: plan.take.first().map(|(seat, _)| seat.clone()), details })
    }

    /// The best seats, and what it would be to take them.
    pub(super) fn plan_best(
        &self,
        buyer: &Buyer<'_>,
        (name, room): (&str, Option<Slot>),
        query: &BestQuery,
        release: &[SeatId],
    ) -> Result<(Plan, Vec<SeatId>), Refusal> {
        let quantity = query.quantity as usize;
        let is_once = release.iter().enumerate().all(|(at, seat)| !release[at + 1..].contains(seat));
        let is_possible = (1..=SEATS_PER_REQUEST_MAX).contains(&quantity) && query.accessible <= query.quantity;
        if !is_possible || !is_once || release.len() > SEATS_PER_REQUEST_MAX {
            return Err(Reject::BadRequest.into());
        }
        let is_holder = self.owners.parties[buyer.party].is_holder();
        if let Some(reject) = self.room_forbids(room).or_else(|| self.sale_forbids(room)).filter(|_| !is_holder) {
            return Err(reject.into());
        }
        let release = self.plan_release(buyer.party, room, release)?;
        let room = room.ok_or(Reject::NoLayout)?;
        let hall = self.hall_without(room, &release).ok_or(Reject::NoLayout)?;
        let places = hall.best(query).map_err(|refusal| match refusal {
            BestRefusal::NotEnough { free } => Reject::NotEnoughSeats { free },
            BestRefusal::NotAdjacent { largest } => Reject::NoAdjacentSeats { largest },
        })?;
        let id = |place: u32| SeatId::checked(hall.layout().id_of(place));
        let seats: Vec<SeatId> = places.iter().map(|&place| id(place)).collect();
        // What is released and taken again in one step stays where it is.
        let of = &self.rooms[room];
        let stays = |slot: &Slot| of.seat_at(*slot).place.is_some_and(|place| places.contains(&place));
        let (kept, release): (Vec<Slot>, Vec<Slot>) = release.into_iter().partition(stays);
        let is_kept = |seat: &SeatId| kept.iter().any(|&slot| of.seat_at(slot).id == *seat);
        let take = seats.iter().cloned().zip(places.iter().copied().map(Some)).filter(|(seat, _)| !is_kept(seat));
        let plan = Plan { release, take: take.collect() };
        self.may_carry_out(buyer, (name, Some(room)), &plan)?;
        Ok((plan, seats))
    }
}
