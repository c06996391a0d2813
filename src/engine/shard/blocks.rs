//! Seats that are taken off sale, and put on sale again.
//!
//! Invariant: all or nothing; what is so already changes nothing. Never here: who may.

use std::sync::Arc;

use super::Shard;
use super::plan::Refusal;
use super::sale::Sold;
use crate::engine::command::{Act, Effects, Places, Reject, ReleaseReason, SaleAnswer, SeatStatus};
use crate::engine::deadlines::HoldNumber;
use crate::engine::ids::{ClientId, Origin, SeatId};
use crate::engine::room::{Hold, Holder, Seat};
use crate::engine::slab::Slot;
use crate::engine::time::{Millis, Now, WallMillis};

impl Shard {
    /// These seats are not for sale.
    pub(super) fn block(
        &mut self,
        now: Now,
        room: &str,
        what: &Places,
        (label, release_held): (&Arc<str>, bool),
        effects: &mut Effects,
    ) -> Sold {
        let known = self.find(room);
        let seats = self.places(known, what)?;
        let (mut block, mut release, mut conflicts) = (Vec::new(), Vec::new(), Vec::new());
        for seat in seats {
            let taken = known.and_then(|room| self.rooms[room].seat(seat.as_str()));
            match taken.map(|(slot, taken)| (slot, taken.hold.status)) {
                Some((_, SeatStatus::Blocked)) => {}
                Some((slot, SeatStatus::Held)) if release_held => {
                    release.push(slot);
                    block.push(seat);
                }
                Some((_, status)) => conflicts.push((seat, status)),
                None => block.push(seat),
            }
        }
        if !conflicts.is_empty() {
            return Err(Refusal::of_seats(Reject::SeatsUnavailable, conflicts));
        }
        let has_place = known.map_or(self.may_open(), |room| self.rooms[room].may_take(block.len() + release.len()));
        if !has_place || !self.may_take(block.len()) {
            return Err(Reject::Overloaded.into());
        }
        let slot = known.unwrap_or_else(|| self.open(room));
        let released = self.release_held(slot, release, effects);
        block.iter().for_each(|seat| self.block_seat(now.wall, slot, seat.clone(), label, effects));
        Ok(SaleAnswer::Blocks { changed: block, released })
    }

    /// A free seat is not for sale any more.
    pub(super) fn block_seat(
        &mut self,
        at: WallMillis,
        room: Slot,
        id: SeatId,
        label: &Arc<str>,
        effects: &mut Effects,
    ) {
        let hold = Hold {
            number: HoldNumber(self.holds_made.next()),
            status: SeatStatus::Blocked,
            holder: Holder::Block(Box::new(Arc::clone(label))),
            client: ClientId::new("system").expect("a name"),
            origin: Origin::UNKNOWN,
            user_info: Arc::clone(&self.no_user_info),
            at,
            expires_at: at,
            seq: 0,
        };
        let place = self.rooms[room].place_of(&id);
        self.give(room, Seat { id, place, hold }, Millis::default(), (None, None), effects);
    }

    /// These seats are for sale again.
    pub(super) fn unblock(&mut self, room: Slot, what: &Places, effects: &mut Effects) -> Sold {
        let seats = self.places(Some(room), what)?;
        let (mut unblock, mut conflicts) = (Vec::new(), Vec::new());
        for seat in seats {
            match self.rooms[room].seat(seat.as_str()).map(|(slot, seat)| (slot, seat.hold.status)) {
                None => {}
                Some((slot, SeatStatus::Blocked)) => unblock.push(slot),
                // Of a whole section those that are sold are not meant.
                Some(_) if !what.seats.contains(&seat) => {}
                Some((_, status)) => conflicts.push((seat, status)),
            }
        }
        if !conflicts.is_empty() {
            return Err(Refusal::of_seats(Reject::SeatsUnavailable, conflicts));
        }
        if !self.rooms[room].may_change(unblock.len()) {
            return Err(Reject::Overloaded.into());
        }
        let changed = unblock.iter().map(|&seat| self.rooms[room].seat_at(seat).id.clone()).collect();
        for seat in unblock {
            self.end((room, seat), (Act::Unblock, ReleaseReason::Unblocked), (None, None), effects);
        }
        Ok(SaleAnswer::Blocks { changed, released: Vec::new() })
    }

    /// The seats that are meant, each once, all of which the room has.
    fn places(&self, room: Option<Slot>, what: &Places) -> Result<Vec<SeatId>, Refusal> {
        let mut seats = what.seats.clone();
        if !what.sections.is_empty() {
            seats.extend(self.seats_of_sections(room, &what.sections)?);
        }
        seats.sort_unstable();
        seats.dedup();
        if seats.is_empty() {
            return Err(Reject::BadRequest.into());
        }
        let strange = seats.iter().filter(|seat| room.is_some_and(|room| !self.rooms[room].has_place(seat)));
        let conflicts: Vec<_> = strange.map(|seat| (seat.clone(), SeatStatus::Free)).collect();
        if conflicts.is_empty() { Ok(seats) } else { Err(Refusal::of_seats(Reject::UnknownSeat, conflicts)) }
    }

    /// All seats of these sections.
    fn seats_of_sections(&self, room: Option<Slot>, sections: &[Box<str>]) -> Result<Vec<SeatId>, Refusal> {
        let hall = room.and_then(|room| self.rooms[room].hall()).ok_or(Reject::NoLayout)?;
        let layout = hall.layout();
        if sections.iter().any(|section| layout.seats_of_section(section).next().is_none()) {
            return Err(Reject::UnknownSeat.into());
        }
        let places = sections.iter().flat_map(|section| layout.seats_of_section(section));
        Ok(places.map(|place| SeatId::checked(layout.id_of(place))).collect())
    }
}
