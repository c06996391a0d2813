//! The state of the seats of one room with a layout: two bits a seat as clients see it, and one to search by.
//!
//! Invariants: `free` has exactly the places whose mark is [`Mark::Free`]; a change costs the same in a hall of any
//! size; a hall of 50,000 seats takes 19 kB. Never here: who has a seat.

use std::sync::Arc;

use super::best::{self, BestQuery, BestRefusal};
use super::orphans::{self, Orphans};
use super::{Layout, bits};

/// What everybody may know of a seat, as it is numbered on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Mark {
    /// Anybody may take it.
    Free = 0,
    /// In a cart or in checkout.
    Held = 1,
    /// Sold.
    Booked = 2,
    /// Not for sale.
    Blocked = 3,
}

impl Mark {
    const ALL: [Self; 4] = [Self::Free, Self::Held, Self::Booked, Self::Blocked];
}

/// Two bits a seat: seat i has bits 2(i mod 4) and up of byte i div 4. Bits behind the last seat are 0.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateMap(Box<[u8]>);

impl StateMap {
    /// So many free seats.
    #[must_use]
    pub fn free(seats: usize) -> Self {
        Self(vec![0; seats.div_ceil(4)].into_boxed_slice())
    }

    /// What `states` is the base64 of.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The mark of a seat. Panics when there is no such seat.
    #[must_use]
    pub fn mark(&self, index: u32) -> Mark {
        let index = index as usize;
        Mark::ALL[usize::from(self.0[index / 4] >> (2 * (index % 4)) & 3)]
    }

    /// Marks a seat. Panics when there is no such seat.
    pub fn set(&mut self, index: u32, mark: Mark) {
        let index = index as usize;
        let shift = 2 * (index % 4);
        let byte = &mut self.0[index / 4];
        *byte = *byte & !(3 << shift) | (mark as u8) << shift;
    }
}

/// The seats of one room.
#[derive(Clone, Debug)]
pub struct Hall {
    layout: Arc<Layout>,
    states: StateMap,
    /// Places that are free.
    free: Box<[u64]>,
    free_count: u32,
}

impl Hall {
    /// All seats free.
    #[must_use]
    pub fn new(layout: Arc<Layout>) -> Self {
        let count = layout.len();
        let free_count = u32::try_from(count).expect("the number of seats is bounded");
        Self { states: StateMap::free(count), free: bits::all(count), free_count, layout }
    }

    /// Its plan.
    #[must_use]
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// What a seat is marked as.
    #[must_use]
    pub fn mark(&self, index: u32) -> Mark {
        self.states.mark(index)
    }

    /// Marks a seat.
    pub fn set(&mut self, index: u32, mark: Mark) {
        let (was, is) = (self.mark(index) == Mark::Free, mark == Mark::Free);
        self.states.set(index, mark);
        if was == is {
            return;
        }
        let place = self.layout.place(index);
        debug_assert_eq!(bits::has(&self.free, place), was, "both say the same of a seat");
        if is {
            bits::put(&mut self.free, place);
            self.free_count += 1;
        } else {
            bits::take(&mut self.free, place);
            self.free_count -= 1;
        }
    }

    /// How many seats are free.
    #[must_use]
    pub fn free(&self) -> u32 {
        self.free_count
    }

    /// All marks.
    #[must_use]
    pub fn states(&self) -> &StateMap {
        &self.states
    }

    /// The best seats for a group, in the order of their row. See [`best`].
    ///
    /// # Errors
    /// There are not enough, or not next to each other.
    pub fn best(&self, query: &BestQuery) -> Result<Vec<u32>, BestRefusal> {
        best::best(self, query)
    }

    /// What to say against taking these free seats in a room that leaves no seat alone; `None`: nothing. See
    /// [`orphans`].
    #[must_use]
    pub fn orphans(&self, seats: &[u32]) -> Option<Orphans> {
        orphans::orphans(self, seats)
    }

    /// Bytes of memory, without the layout.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.states.bytes().len() + size_of_val(&*self.free)
    }

    pub(super) fn free_places(&self) -> &[u64] {
        &self.free
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Hall, Mark};
    use crate::layout::model::{Place, hall_of};

    #[test]
    fn a_mark_is_where_the_wire_wants_it() {
        let places: Vec<Place> = (0..9).map(Place::in_row).collect();
        let mut hall = Hall::new(hall_of(&places, ""));
        assert_eq!((hall.states().bytes(), hall.free()), (&[0, 0, 0][..], 9));
        for (seat, mark) in [(0, Mark::Held), (3, Mark::Blocked), (4, Mark::Booked), (8, Mark::Held), (0, Mark::Booked)]
        {
            hall.set(seat, mark);
            assert_eq!(hall.mark(seat), mark);
        }
        assert_eq!((hall.states().bytes(), hall.free()), (&[0b1100_0010, 0b10, 1][..], 5));
        hall.set(3, Mark::Free);
        hall.set(3, Mark::Free);
        assert_eq!((hall.states().bytes(), hall.free()), (&[0b0000_0010, 0b10, 1][..], 6));
    }

    #[test]
    fn a_room_of_50_000_free_seats_takes_less_than_32_kb() {
        let places: Vec<Place> = (0..50_000).map(|at| Place::in_row(at / 25)).collect();
        let bytes = Hall::new(Arc::clone(&hall_of(&places, ""))).memory_bytes();
        assert!(bytes < 20_000, "{bytes} bytes");
    }
}
