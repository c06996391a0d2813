//! Why something was refused. Never here: texts and codes, decisions.

use super::status::SeatStatus;
use crate::engine::ids::SeatId;

/// What a client asked for, for refusals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestType {
    /// `join_room`
    Join,
    /// `leave_room`
    Leave,
    /// `select_seat`
    Select,
    /// `release_seat`
    Release,
    /// `select_seats`
    SelectSeats,
    /// `select_best`
    SelectBest,
    /// `release_seats`
    ReleaseSeats,
    /// `extend_hold`
    Extend,
    /// `sync`
    Sync,
    /// `resume`
    Resume,
}

/// Why a command was refused. Nothing changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reject {
    /// Somebody else has the seat, or it is not for sale.
    SeatTaken,
    /// Release of a free seat.
    NotHeld,
    /// Release of somebody else's seat.
    NotOwner,
    /// The caller has as many seats in this room as one client may.
    LimitExceeded,
    /// As many seats are held from the caller's address as may be.
    AddressLimit,
    /// The caller's hold of this seat has just run out: others come first.
    TooSoon {
        /// When it may have the seat, unless it is taken by then.
        retry_after_ms: u32,
    },
    /// A named limit of the server is reached.
    Overloaded,
    /// Durable mode, and the store does not answer.
    PersistenceUnavailable,

    /// A request that means nothing: no seats, a seat twice, a room that the caller is not in.
    BadRequest,
    /// Some of the seats are not free. [`Details::conflicts`] has them.
    SeatsUnavailable,
    /// The layout of the room has no such seat.
    UnknownSeat,
    /// Only the backend makes rooms, and it has made none of this name.
    UnknownRoom,
    /// There are not as many seats as were asked for.
    NotEnoughSeats {
        /// How many there are.
        free: u32,
    },
    /// There are not as many seats next to each other as were asked for.
    NoAdjacentSeats {
        /// The most that there are.
        largest: u32,
    },
    /// It would leave a single seat alone. [`Details::alternatives`] has better choices.
    OrphanSeat,
    /// The sale begins later.
    SaleNotOpen,
    /// The sale is interrupted.
    SalePaused,
    /// The sale is over.
    SaleClosed,
    /// The cart has been extended as often, or lives as long, as may be.
    ExtendLimit,
    /// There is no cart whose time runs, or it is over and a new one cannot begin yet.
    HoldExpired {
        /// When a new one can begin; 0 when one can now.
        retry_after_ms: u32,
    },
    /// The seat is in an order that is being paid for.
    InCheckout,

    /// There is no such order.
    UnknownOrder,
    /// There is an order of this name already, with another owner or other seats, or it has ended.
    OrderExists,
    /// The order is not in a state in which that can be done.
    OrderEnded,
    /// The order was paid for too late: others have seats of it. [`Details::conflicts`] has them.
    SeatsLost,
    /// Several connections have this name.
    AmbiguousOwner,
    /// There is a room of this name already, with other settings.
    RoomDiffers,
    /// Seats that are taken are not in the new layout. [`Details::conflicts`] has them.
    LayoutMismatch,
    /// There are orders in checkout.
    OrdersInCheckout,
    /// The room has no layout, which this needs.
    NoLayout,
}

/// What else is known of a refusal.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Details {
    /// The seats that are in the way, and what they are.
    pub conflicts: Vec<(SeatId, SeatStatus)>,
    /// Seats that could be had instead, each list as many as were asked for.
    pub alternatives: Vec<Vec<SeatId>>,
}
