//! What clients of the second protocol ask.
//!
//! Invariants: ids of rooms and seats are valid; a list names nothing twice and is within its bound; no text is copied,
//! and nothing but a list of several names takes memory of its own. Never here: how JSON is read, what a request does.

use crate::wire::message::BadMessage;

/// What a client calls its request: it comes back in the reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestId<'a> {
    /// A whole number that fits.
    Number(u64),
    /// Another whole number, as it was written.
    Digits(&'a str),
    /// A string.
    Text(&'a str),
}

/// A [`RequestId`] that is kept until its request is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OwnedRequestId {
    /// A whole number that fits.
    Number(u64),
    /// Another whole number, as it was written.
    Digits(Box<str>),
    /// A string.
    Text(Box<str>),
}

impl RequestId<'_> {
    /// The same, to be kept.
    #[must_use]
    pub fn to_owned(self) -> OwnedRequestId {
        match self {
            Self::Number(number) => OwnedRequestId::Number(number),
            Self::Digits(digits) => OwnedRequestId::Digits(digits.into()),
            Self::Text(text) => OwnedRequestId::Text(text.into()),
        }
    }
}

impl OwnedRequestId {
    /// The id.
    #[must_use]
    pub fn as_ref(&self) -> RequestId<'_> {
        match self {
            Self::Number(number) => RequestId::Number(*number),
            Self::Digits(digits) => RequestId::Digits(digits),
            Self::Text(text) => RequestId::Text(text),
        }
    }
}

/// The `type` of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `resume`
    Resume,
    /// `auth`
    Auth,
    /// `join_room`
    Join,
    /// `leave_room`
    Leave,
    /// `select_seats`
    SelectSeats,
    /// `select_seat`, the form with one seat.
    SelectSeat,
    /// `select_best`
    SelectBest,
    /// `release_seats`
    ReleaseSeats,
    /// `release_seat`, the form with one seat.
    ReleaseSeat,
    /// `extend_hold`
    ExtendHold,
    /// `sync`
    Sync,
    /// `ping`
    Ping,
}

/// All types and their names, in the order of their numbers.
pub const KINDS: [(Kind, &str); 12] = [
    (Kind::Resume, "resume"),
    (Kind::Auth, "auth"),
    (Kind::Join, "join_room"),
    (Kind::Leave, "leave_room"),
    (Kind::SelectSeats, "select_seats"),
    (Kind::SelectSeat, "select_seat"),
    (Kind::SelectBest, "select_best"),
    (Kind::ReleaseSeats, "release_seats"),
    (Kind::ReleaseSeat, "release_seat"),
    (Kind::ExtendHold, "extend_hold"),
    (Kind::Sync, "sync"),
    (Kind::Ping, "ping"),
];

const _: () = {
    let mut at = 0;
    while at < KINDS.len() {
        assert!(KINDS[at].0 as usize == at, "a type stands at its number");
        at += 1;
    }
};

impl Kind {
    /// The type with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        KINDS.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        KINDS[self as usize].1
    }
}

/// One or several names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Names<'a> {
    /// One, by a form with one seat.
    One(&'a str),
    /// So many as a list has.
    List(Vec<&'a str>),
}

impl<'a> Names<'a> {
    /// The names.
    #[must_use]
    pub fn as_slice(&self) -> &[&'a str] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::List(names) => names,
        }
    }
}

/// A position of a room that a client has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Since {
    /// The life of the room.
    pub epoch: u64,
    /// The number of the last change that it knows.
    pub seq: u64,
}

/// Which seats would do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Best<'a> {
    /// How many.
    pub quantity: u32,
    /// In which sections; in any, when there are none.
    pub sections: Vec<&'a str>,
    /// Of which categories; of any, when there are none.
    pub categories: Vec<&'a str>,
    /// How many of them at least are accessible.
    pub accessible: u32,
    /// Whether they must be next to each other.
    pub adjacent: bool,
}

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask<'a> {
    /// To go on as the session of this token, with what it holds in these rooms.
    Resume { token: &'a str, rooms: Vec<&'a str> },
    /// To be the subject of this token.
    Auth { token: &'a str },
    /// To see a room. `since` is missing as well when it is no position. `packed`: its map may come packed.
    Join { room: &'a str, since: Option<Since>, packed: bool },
    /// To see it no longer.
    Leave { room: &'a str },
    /// To have these seats, and to give back those, in one step.
    Select { room: &'a str, seats: Names<'a>, release: Vec<&'a str>, user_info: &'a str },
    /// To have the best such seats.
    Best { room: &'a str, query: Best<'a>, release: Vec<&'a str>, user_info: &'a str },
    /// To give back these seats, or all.
    Release { room: &'a str, seats: Option<Names<'a>> },
    /// To hold what one holds for longer.
    Extend { room: &'a str },
    /// The state of a room, packed if that may be.
    Sync { room: &'a str, packed: bool },
    /// A sign of life, with what the client calls it.
    Ping { t: Option<Written<'a>> },
}

impl<'a> Ask<'a> {
    /// The room that it is about.
    #[must_use]
    pub fn room(&self) -> Option<&'a str> {
        match self {
            Self::Join { room, .. }
            | Self::Leave { room }
            | Self::Select { room, .. }
            | Self::Best { room, .. }
            | Self::Release { room, .. }
            | Self::Extend { room }
            | Self::Sync { room, .. } => Some(room),
            Self::Resume { .. } | Self::Auth { .. } | Self::Ping { .. } => None,
        }
    }

    /// All rooms that it names.
    pub fn rooms(&self) -> impl Iterator<Item = &'a str> {
        let several: &[&'a str] = if let Self::Resume { rooms, .. } = self { rooms } else { &[] };
        self.room().into_iter().chain(several.iter().copied())
    }
}

/// A number or a string that comes back as it is: a `ping`'s `t`, its sender's time as a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written<'a> {
    /// A number, as it was written.
    Number(&'a str),
    /// A string.
    Text(&'a str),
}

/// One request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// What the client calls it.
    pub id: Option<RequestId<'a>>,
    /// Its `type`.
    pub kind: Kind,
    /// What is asked.
    pub ask: Ask<'a>,
}

/// A message that is no request, and what is known of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadRequest<'a> {
    /// What the client calls it.
    pub id: Option<RequestId<'a>>,
    /// What is wrong.
    pub bad: BadMessage<'a>,
}
