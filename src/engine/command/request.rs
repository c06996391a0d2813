//! What a client of protocol v1 asks of a room. Never here: decisions.

use super::refusal::RequestType;
use crate::engine::ids::{RoomId, SeatId};

/// What a client asks of a room. Texts are valid ids (see [`super::ids::is_valid_id`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request<'a> {
    /// `join_room`
    Join { room: &'a str },
    /// `leave_room`
    Leave { room: &'a str },
    /// `select_seat`. `user_info` is a JSON object as it was written, `{}` when there was none.
    Select { room: &'a str, seat: &'a str, user_info: &'a str },
    /// `release_seat`
    Release { room: &'a str, seat: &'a str },
}

impl<'a> Request<'a> {
    /// The room that it is about.
    #[must_use]
    pub fn room(self) -> &'a str {
        match self {
            Self::Join { room } | Self::Leave { room } | Self::Select { room, .. } | Self::Release { room, .. } => room,
        }
    }

    /// The seat that it is about, if it is about one.
    #[must_use]
    pub fn seat(self) -> Option<&'a str> {
        match self {
            Self::Select { seat, .. } | Self::Release { seat, .. } => Some(seat),
            Self::Join { .. } | Self::Leave { .. } => None,
        }
    }

    /// What is asked.
    #[must_use]
    pub fn kind(self) -> RequestType {
        match self {
            Self::Join { .. } => RequestType::Join,
            Self::Leave { .. } => RequestType::Leave,
            Self::Select { .. } => RequestType::Select,
            Self::Release { .. } => RequestType::Release,
        }
    }

    /// The same, to be kept or sent elsewhere.
    #[must_use]
    pub fn to_owned(self) -> OwnedRequest {
        match self {
            Self::Join { room } => OwnedRequest::Join { room: RoomId::checked(room) },
            Self::Leave { room } => OwnedRequest::Leave { room: RoomId::checked(room) },
            Self::Select { room, seat, user_info } => OwnedRequest::Select {
                room: RoomId::checked(room),
                seat: SeatId::checked(seat),
                user_info: user_info.into(),
            },
            Self::Release { room, seat } => {
                OwnedRequest::Release { room: RoomId::checked(room), seat: SeatId::checked(seat) }
            }
        }
    }
}

/// A [`Request`] that owns its texts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OwnedRequest {
    /// `join_room`
    Join { room: RoomId },
    /// `leave_room`
    Leave { room: RoomId },
    /// `select_seat`
    Select { room: RoomId, seat: SeatId, user_info: Box<str> },
    /// `release_seat`
    Release { room: RoomId, seat: SeatId },
}

impl OwnedRequest {
    /// The room that it is about.
    #[must_use]
    pub fn room(&self) -> &RoomId {
        match self {
            Self::Join { room } | Self::Leave { room } | Self::Select { room, .. } | Self::Release { room, .. } => room,
        }
    }

    /// The seat that it is about, if it is about one.
    #[must_use]
    pub fn seat(&self) -> Option<&SeatId> {
        match self {
            Self::Select { seat, .. } | Self::Release { seat, .. } => Some(seat),
            Self::Join { .. } | Self::Leave { .. } => None,
        }
    }

    /// The request.
    #[must_use]
    pub fn as_ref(&self) -> Request<'_> {
        match self {
            Self::Join { room } => Request::Join { room: room.as_str() },
            Self::Leave { room } => Request::Leave { room: room.as_str() },
            Self::Select { room, seat, user_info } => {
                Request::Select { room: room.as_str(), seat: seat.as_str(), user_info }
            }
            Self::Release { room, seat } => Request::Release { room: room.as_str(), seat: seat.as_str() },
        }
    }
}
