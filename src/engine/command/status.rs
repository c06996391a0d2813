//! What a seat can be, and the one table of how it becomes something else.
//!
//! Invariants: a seat is always one of five; every change of one is a row of [`transition`]. Never here: who may do it.

use super::refusal::Reject;

/// What a seat is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub enum SeatStatus {
    /// Nobody's.
    #[default]
    Free,
    /// In somebody's cart.
    Held,
    /// In an order that is being paid for.
    Checkout,
    /// Sold.
    Booked,
    /// Not for sale.
    Blocked,
}

impl SeatStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Free, Self::Held, Self::Checkout, Self::Booked, Self::Blocked];

    /// Its number on a map of two bits a seat: a seat in checkout looks like one that is held.
    #[must_use]
    pub fn map_state(self) -> u8 {
        match self {
            Self::Free => 0,
            Self::Held | Self::Checkout => 1,
            Self::Booked => 2,
            Self::Blocked => 3,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Held => "held",
            Self::Checkout => "checkout",
            Self::Booked => "booked",
            Self::Blocked => "blocked",
        }
    }
}

/// What is done to a seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Somebody takes it.
    Hold,
    /// A hold ends: it is given back, or its time or its owner's is over, or an operator takes it away.
    EndHold,
    /// Its owner begins to pay.
    Checkout,
    /// The order that has it is paid for.
    Book,
    /// It is sold to an order that does not have it: a late payment, or what the shop's database says.
    BookUnasked,
    /// The payment has failed: the owner has it again.
    BackToCart,
    /// Its order ends without a booking.
    EndOrder,
    /// The booking is undone.
    Refund,
    /// It is taken off sale.
    Block,
    /// It is for sale again.
    Unblock,
    /// Its room goes, or the shop's database says that it is nobody's.
    Clear,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Hold,
        Self::EndHold,
        Self::Checkout,
        Self::Book,
        Self::BookUnasked,
        Self::BackToCart,
        Self::EndOrder,
        Self::Refund,
        Self::Block,
        Self::Unblock,
        Self::Clear,
    ];
}

/// What a seat is after the act.
///
/// # Errors
/// Why the act is not possible: the seat stays what it is.
pub fn transition(status: SeatStatus, act: Act) -> Result<SeatStatus, Reject> {
    use SeatStatus::{Blocked, Booked, Checkout, Free, Held};
    match (act, status) {
        (Act::Hold, Free) | (Act::BackToCart, Checkout) => Ok(Held),
        (Act::Checkout, Held) => Ok(Checkout),
        (Act::Book, Checkout) | (Act::BookUnasked, Free | Held | Blocked) => Ok(Booked),
        (Act::Block, Free) => Ok(Blocked),
        (Act::EndHold, Held) | (Act::EndOrder, Checkout) | (Act::Refund, Booked) | (Act::Unblock, Blocked) => Ok(Free),
        (Act::Clear, Held | Checkout | Booked | Blocked) => Ok(Free),
        (Act::EndHold | Act::Checkout, Checkout) => Err(Reject::InCheckout),
        (Act::EndHold | Act::Checkout, Booked | Blocked) => Err(Reject::NotOwner),
        (Act::EndHold | Act::Checkout | Act::Clear, Free) => Err(Reject::NotHeld),
        (Act::Hold | Act::Block, Held | Checkout | Booked | Blocked) | (Act::BookUnasked, Checkout | Booked) => {
            Err(Reject::SeatTaken)
        }
        (Act::Book | Act::BackToCart | Act::EndOrder, Free | Held | Booked | Blocked)
        | (Act::Refund, Free | Held | Checkout | Blocked) => Err(Reject::OrderEnded),
        (Act::Unblock, Free | Held | Checkout | Booked) => Err(Reject::NotHeld),
    }
}

#[cfg(test)]
mod tests {
    use super::{Act, SeatStatus, transition};
    use crate::engine::command::Reject;

    /// Every act on every state. The columns: free, held, checkout, booked, blocked.
    #[test]
    fn every_pair_has_its_answer() {
        use SeatStatus::{Blocked, Booked, Checkout, Free, Held};
        let (taken, theirs, none) = (Err(Reject::SeatTaken), Err(Reject::NotOwner), Err(Reject::NotHeld));
        let (paying, over) = (Err(Reject::InCheckout), Err(Reject::OrderEnded));
        let table = [
            (Act::Hold, [Ok(Held), taken, taken, taken, taken]),
            (Act::EndHold, [none, Ok(Free), paying, theirs, theirs]),
            (Act::Checkout, [none, Ok(Checkout), paying, theirs, theirs]),
            (Act::Book, [over, over, Ok(Booked), over, over]),
            (Act::BookUnasked, [Ok(Booked), Ok(Booked), taken, taken, Ok(Booked)]),
            (Act::BackToCart, [over, over, Ok(Held), over, over]),
            (Act::EndOrder, [over, over, Ok(Free), over, over]),
            (Act::Refund, [over, over, over, Ok(Free), over]),
            (Act::Block, [Ok(Blocked), taken, taken, taken, taken]),
            (Act::Unblock, [none, none, none, none, Ok(Free)]),
            (Act::Clear, [none, Ok(Free), Ok(Free), Ok(Free), Ok(Free)]),
        ];
        assert_eq!(table.map(|(act, _)| act), Act::ALL);
        for (act, row) in table {
            for (status, expected) in SeatStatus::ALL.into_iter().zip(row) {
                assert_eq!(transition(status, act), expected, "{act:?} on {status:?}");
            }
        }
    }

    /// Whatever happens to a seat, it never becomes what it is: each change is one that a map or a history shows.
    #[test]
    fn an_act_changes_a_seat_or_is_refused() {
        for status in SeatStatus::ALL {
            for act in Act::ALL {
                assert_ne!(transition(status, act), Ok(status), "{act:?}");
            }
        }
    }
}
