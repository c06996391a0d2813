//! The codes of refusals: one table of code, name on the wire and text, which the server, the metrics and the documents
//! read.
//!
//! Never here: when something is refused.

use crate::engine::command::Reject;

/// The code of a refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// Another owner holds the seat.
    SeatTaken,
    /// Release of a free seat.
    NotHeld,
    /// Release of somebody else's seat.
    NotOwner,
    /// Too many seats of one client in this room.
    LimitExceeded,
    /// A named limit of the server is reached.
    Overloaded,
    /// Durable mode, and the store does not answer.
    PersistenceUnavailable,
    /// Not JSON, or not an object.
    BadJson,
    /// A field is missing, of the wrong type or out of range.
    BadRequest,
    /// No such `type`.
    UnknownType,
    /// Too many messages.
    RateLimited,
    /// Some of the seats are not free.
    SeatsUnavailable,
    /// The room's layout has no such seat.
    UnknownSeat,
    /// Nobody has declared the room.
    UnknownRoom,
    /// There are enough seats, but not next to each other.
    NoAdjacentSeats,
    /// There are fewer seats than asked for.
    NotEnoughSeats,
    /// A single seat would be left alone without need.
    OrphanSeat,
    /// The sale has not begun.
    SaleNotOpen,
    /// The sale pauses.
    SalePaused,
    /// The sale is over.
    SaleClosed,
    /// The cart has been extended as often as may be.
    ExtendLimit,
    /// The cart's time is over.
    HoldExpired,
    /// An order has the seat.
    InCheckout,
    /// Who asks has not said who it is, or not so that it can be believed.
    Unauthorized,
    /// The token's time is over.
    TokenExpired,
    /// The token does not allow it.
    Forbidden,
    /// The session's proof is wrong or too old.
    SessionUnknown,
}

/// All codes: the name on the wire and in metrics, and what people are told unless there is something better to say. In
/// the order of their numbers.
pub const CODES: [(Code, &str, &str); 26] = [
    (Code::SeatTaken, "seat_taken", "the seat is held by somebody else"),
    (Code::NotHeld, "not_held", "the seat is not held"),
    (Code::NotOwner, "not_owner", "the seat is held by somebody else and only its holder can release it"),
    (Code::LimitExceeded, "limit_exceeded", "you hold as many seats in this room as one client may"),
    (Code::Overloaded, "overloaded", "the server has reached a limit, try again"),
    (Code::PersistenceUnavailable, "persistence_unavailable", "the store does not answer, try again"),
    (Code::BadJson, "bad_json", "the message is not JSON"),
    (Code::BadRequest, "bad_request", "a field is missing or wrong"),
    (Code::UnknownType, "unknown_type", "there is no such type"),
    (Code::RateLimited, "rate_limited", "too many messages"),
    (Code::SeatsUnavailable, "seats_unavailable", "some of the seats are not free"),
    (Code::UnknownSeat, "unknown_seat", "the room has no such seat"),
    (Code::UnknownRoom, "unknown_room", "there is no such room"),
    (Code::NoAdjacentSeats, "no_adjacent_seats", "so many seats are not free next to each other"),
    (Code::NotEnoughSeats, "not_enough_seats", "so many seats are not free"),
    (Code::OrphanSeat, "orphan_seat", "a single seat would be left alone, and there are other seats"),
    (Code::SaleNotOpen, "sale_not_open", "the sale has not begun"),
    (Code::SalePaused, "sale_paused", "the sale pauses"),
    (Code::SaleClosed, "sale_closed", "the sale is over"),
    (Code::ExtendLimit, "extend_limit", "the hold has been extended as often as may be"),
    (Code::HoldExpired, "hold_expired", "there is no hold any more"),
    (Code::InCheckout, "in_checkout", "an order has the seat"),
    (Code::Unauthorized, "unauthorized", "say who you are with a good token"),
    (Code::TokenExpired, "token_expired", "the token's time is over"),
    (Code::Forbidden, "forbidden", "the token does not allow it"),
    (Code::SessionUnknown, "session_unknown", "the session's proof is wrong or too old"),
];

const _: () = {
    let mut at = 0;
    while at < CODES.len() {
        assert!(CODES[at].0 as usize == at, "a code stands at its number");
        at += 1;
    }
};

impl Code {
    /// The code on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        CODES[self as usize].1
    }

    /// What people are told.
    #[must_use]
    pub fn text(self) -> &'static str {
        CODES[self as usize].2
    }
}

impl From<Reject> for Code {
    fn from(reject: Reject) -> Self {
        told_as(reject).0
    }
}

/// What people are told of a refusal of the engine.
#[must_use]
pub fn reject_text(reject: Reject) -> &'static str {
    let (code, text) = told_as(reject);
    text.unwrap_or(code.text())
}

/// How clients are told of a refusal: the code, and words where those of the code are not meant for it.
fn told_as(reject: Reject) -> (Code, Option<&'static str>) {
    let code = match reject {
        Reject::SeatTaken => Code::SeatTaken,
        Reject::NotHeld => Code::NotHeld,
        Reject::NotOwner => Code::NotOwner,
        Reject::LimitExceeded => Code::LimitExceeded,
        Reject::AddressLimit => {
            let text = "as many seats are held from your address as one address may have";
            return (Code::LimitExceeded, Some(text));
        }
        Reject::TooSoon { .. } => {
            return (Code::RateLimited, Some("your hold of this seat has just run out, others come first"));
        }
        Reject::Overloaded => Code::Overloaded,
        Reject::PersistenceUnavailable => Code::PersistenceUnavailable,
        Reject::SeatsUnavailable | Reject::SeatsLost => Code::SeatsUnavailable,
        Reject::UnknownSeat => Code::UnknownSeat,
        Reject::UnknownRoom => Code::UnknownRoom,
        Reject::NotEnoughSeats { .. } => Code::NotEnoughSeats,
        Reject::NoAdjacentSeats { .. } => Code::NoAdjacentSeats,
        Reject::OrphanSeat => Code::OrphanSeat,
        Reject::SaleNotOpen => Code::SaleNotOpen,
        Reject::SalePaused => Code::SalePaused,
        Reject::SaleClosed => Code::SaleClosed,
        Reject::ExtendLimit => Code::ExtendLimit,
        Reject::HoldExpired { retry_after_ms: 0 } => Code::HoldExpired,
        Reject::HoldExpired { .. } => {
            let text = "the time of the seats that you had here is over, and a new one has not begun yet";
            return (Code::HoldExpired, Some(text));
        }
        Reject::InCheckout => Code::InCheckout,
        Reject::NoLayout => {
            return (Code::BadRequest, Some("the room has no layout, so nobody knows its best seats"));
        }
        // The rest is said to the backend alone, which has codes of its own.
        Reject::BadRequest
        | Reject::UnknownOrder
        | Reject::OrderExists
        | Reject::OrderEnded
        | Reject::AmbiguousOwner
        | Reject::RoomDiffers
        | Reject::LayoutMismatch
        | Reject::OrdersInCheckout => Code::BadRequest,
    };
    (code, None)
}

/// When what was refused may be asked again, in milliseconds, if that is known.
#[must_use]
pub fn retry_after_ms(reject: Reject) -> Option<u32> {
    let (Reject::TooSoon { retry_after_ms } | Reject::HoldExpired { retry_after_ms }) = reject else { return None };
    Some(retry_after_ms).filter(|&ms| ms > 0)
}

/// What can be wrong with a message that is no request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// `bad_json`
    Json,
    /// `bad_request`
    Field,
    /// `unknown_type`
    Type,
}

impl From<Fault> for Code {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Json => Self::BadJson,
            Fault::Field => Self::BadRequest,
            Fault::Type => Self::UnknownType,
        }
    }
}
