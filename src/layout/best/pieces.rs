//! A group in pieces: where no row has room for all of them, and they come all the same.
//!
//! Invariants: nobody of the group sits alone while that can be had; the pieces are as large as they can be, so that
//! there are few of them; of pieces of one size the one in the best row is taken. Never here: whether the group wants
//! that.
//!
//! The longest stretch is filled first, and so on. One person would be left over where the rest of the group is one:
//! then the stretch gives up a seat, so that two of them go on. The last such stretch decides, since a stretch of two
//! has no seat to give up: with an odd rest, stretches of two only would leave one alone.

use super::Field;
use crate::layout::bits;

/// Stretches of the hall by length, in order. None is as long as the group, which is at most 50.
struct Stretches(Vec<Vec<usize>>);

/// Seats for a group of `quantity` among at least so many usable ones, of which no `quantity` are next to each other.
pub(super) fn choose(field: Field<'_>, quantity: usize) -> Vec<usize> {
    let mut stretches = Stretches::find(field, quantity);
    let mut usable: Box<[u64]> = field.usable.unwrap_or(field.free).into();
    let mut free: Box<[u64]> = field.free.into();
    let mut places = Vec::with_capacity(quantity);
    while places.len() < quantity {
        let rest = quantity - places.len();
        let longest = stretches.longest();
        let (start, size) = if longest >= rest {
            // Where all that is free may be given, what is left of both is the same.
            let left = Field { usable: field.usable.map(|_| &*usable), free: &free, ..field };
            (left.window(rest).expect("a stretch is long enough"), rest)
        } else {
            let start = stretches.take(longest);
            (start, longest - usize::from(stretches.should_give_up_one(longest, rest)))
        };
        for place in start..start + size {
            bits::take(&mut usable, place);
            bits::take(&mut free, place);
            places.push(place);
        }
    }
    places.sort_unstable();
    places
}

impl Stretches {
    /// More than a group can use of one length is left out: of the longest that can be, two always suffice.
    fn find(field: Field<'_>, quantity: usize) -> Self {
        let mut by_length = field.by_length(quantity, |length| quantity / length + 1);
        // From the end they are taken at no cost.
        by_length.iter_mut().for_each(|starts| starts.reverse());
        Self(by_length)
    }

    fn longest(&self) -> usize {
        self.0.iter().rposition(|starts| !starts.is_empty()).expect("enough seats are usable")
    }

    /// The first one of this length.
    fn take(&mut self, length: usize) -> usize {
        self.0[length].pop().expect("there is one")
    }

    /// Whether the stretch of this length that was just taken for a group of `rest` is better not filled.
    fn should_give_up_one(&self, length: usize, rest: usize) -> bool {
        let others = self.0.iter().rposition(|starts| !starts.is_empty()).unwrap_or(0);
        let rest = rest - length;
        let pairs_suffice = others == 2 && rest % 2 == 1 && self.0[2].len() * 2 > rest;
        length >= 3 && (pairs_suffice || (rest == 1 && others >= 3))
    }
}
