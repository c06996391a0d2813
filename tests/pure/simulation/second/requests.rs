//! What a client of the second protocol asks, as plain data, and as the node is asked.

use butaca::engine::ids::Epoch;
use butaca::node::{Event, Next};
use butaca::wire::message::{BadMessage, Fault};
use butaca::wire::v2::request::{Ask, BadRequest, Kind, Message, Names, RequestId, Since};

use crate::simulation::frames::{Room, Seat};
use crate::simulation::names;

/// Seats, or rooms, by number: a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Set(pub(crate) u8);

impl Set {
    pub(crate) fn of(all: impl IntoIterator<Item = usize>) -> Self {
        Self(all.into_iter().fold(0, |bits, at| bits | 1 << at))
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        (0..8).filter(move |at| self.0 >> at & 1 == 1)
    }

    pub(crate) fn has(self, at: usize) -> bool {
        self.0 >> at & 1 == 1
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    /// To go on as the session of this token.
    Resume {
        token: String,
        rooms: Set,
    },
    Join {
        room: Room,
        since: Option<(Epoch, u64)>,
    },
    Leave(Room),
    Select {
        room: Room,
        seats: Set,
        release: Set,
    },
    Release {
        room: Room,
        seats: Set,
    },
    ReleaseAll(Room),
    Extend(Room),
    Sync(Room),
    Ping,
    /// Something that is no request.
    Bad,
}

impl Asked {
    pub(crate) fn room(&self) -> Option<Room> {
        match self {
            Self::Join { room, .. }
            | Self::Leave(room)
            | Self::Select { room, .. }
            | Self::Release { room, .. }
            | Self::ReleaseAll(room)
            | Self::Extend(room)
            | Self::Sync(room) => Some(*room),
            Self::Resume { .. } | Self::Ping | Self::Bad => None,
        }
    }

    /// Its `type`.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Resume { .. } => Kind::Resume,
            Self::Join { .. } => Kind::Join,
            Self::Leave(_) => Kind::Leave,
            Self::Select { .. } => Kind::SelectSeats,
            Self::Release { .. } | Self::ReleaseAll(_) => Kind::ReleaseSeats,
            Self::Extend(_) => Kind::ExtendHold,
            Self::Sync(_) => Kind::Sync,
            Self::Ping | Self::Bad => Kind::Ping,
        }
    }
}

/// The `user_info` of a select with this id.
pub(crate) fn user_info(id: u64) -> String {
    names::user_info(id % 10)
}

fn texts(seats: Set) -> Vec<String> {
    seats.iter().map(|seat: Seat| names::seat_id(seat).as_str().to_owned()).collect()
}

/// Asks it of a connection with this slot.
pub(crate) fn ask(slot: u32, id: u64, asked: &Asked, handle: impl FnOnce(Event<'_>) -> Next) -> Next {
    let request_id = Some(RequestId::Number(id));
    if *asked == Asked::Bad {
        let bad = BadMessage { fault: Fault::Json, message: "no".into(), room: None, seat: None, request_type: None };
        return handle(Event::BadSecond { slot, bad: &BadRequest { id: request_id, bad } });
    }
    let room = asked.room().map(|room| names::room_id(room).as_str().to_owned()).unwrap_or_default();
    let room = room.as_str();
    let (mut seats, mut release) = (Vec::new(), Vec::new());
    match *asked {
        Asked::Select { seats: wanted, release: given, .. } => (seats, release) = (texts(wanted), texts(given)),
        Asked::Release { seats: given, .. } => seats = texts(given),
        Asked::Resume { rooms, .. } => {
            seats = rooms.iter().map(|room| names::room_id(room).as_str().to_owned()).collect();
        }
        _ => {}
    }
    fn borrowed(texts: &[String]) -> Vec<&str> {
        texts.iter().map(String::as_str).collect()
    }
    let user_info = user_info(id);
    let ask = match asked {
        Asked::Resume { token, .. } => Ask::Resume { token, rooms: borrowed(&seats) },
        Asked::Join { since, .. } => {
            let since = since.map(|(epoch, seq)| Since { epoch: epoch.0, seq });
            Ask::Join { room, since, packed: false }
        }
        Asked::Leave(_) => Ask::Leave { room },
        Asked::Select { .. } => {
            let (seats, release) = (Names::List(borrowed(&seats)), borrowed(&release));
            Ask::Select { room, seats, release, user_info: &user_info }
        }
        Asked::Release { .. } => Ask::Release { room, seats: Some(Names::List(borrowed(&seats))) },
        Asked::ReleaseAll(_) => Ask::Release { room, seats: None },
        Asked::Extend(_) => Ask::Extend { room },
        Asked::Sync(_) => Ask::Sync { room, packed: false },
        Asked::Ping => Ask::Ping { t: None },
        Asked::Bad => unreachable!("looked at above"),
    };
    handle(Event::Second { slot, message: Message { id: request_id, kind: asked.kind(), ask } })
}
