//! The vocabulary of the engine: what goes in and what comes out. Plain data.
//!
//! Invariant: an [`Effect`] says everything that its performer needs, so performing it never asks the engine back
//! (the one exception is the content of a full state, which is read at once from the shard that produced the effect).
//! Never here: decisions.

use std::sync::Arc;

use super::ids::{ClientId, ConnId, Epoch, Origin, RoomId, SeatId, ShardSet};
use super::time::{Millis, WallMillis};

/// Names a request of one connection: the effect that answers it says which one. Requests are numbered in the order in
/// which they came, and the numbers wrap: a connection never has so many unanswered ones that two share a number.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Ticket(pub u16);

impl Ticket {
    /// The ticket of the next request.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// Who sent a request: the connection, which owns what it holds, and the name that strangers see.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The owner of a hold.
    pub conn: ConnId,
    /// The name on it.
    pub client: &'a ClientId,
    /// Where it comes from.
    pub origin: Origin,
    /// The request.
    pub ticket: Ticket,
}

impl Caller<'_> {
    /// Whom the answer goes to.
    #[must_use]
    pub fn asker(&self) -> Asker {
        Asker { conn: self.conn, ticket: self.ticket }
    }
}

/// Whom an answer goes to: the connection, and which of its requests is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asker {
    /// The connection.
    pub conn: ConnId,
    /// Its request.
    pub ticket: Ticket,
}

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
        let room_id = |room| RoomId::new(room).expect("the ids of a request are valid");
        let seat_id = |seat| SeatId::new(seat).expect("the ids of a request are valid");
        match self {
            Self::Join { room } => OwnedRequest::Join { room: room_id(room) },
            Self::Leave { room } => OwnedRequest::Leave { room: room_id(room) },
            Self::Select { room, seat, user_info } => {
                OwnedRequest::Select { room: room_id(room), seat: seat_id(seat), user_info: user_info.into() }
            }
            Self::Release { room, seat } => OwnedRequest::Release { room: room_id(room), seat: seat_id(seat) },
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

/// Everything that can happen to a shard. Texts of rooms and seats are valid ids (see [`super::ids::is_valid_id`]).
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The caller wants to see the room. Joining twice is answered again and changes nothing.
    Join { caller: Caller<'a>, room: &'a str },
    /// The caller no longer wants to see the room. Its holds stay.
    Leave { caller: Caller<'a>, room: &'a str },
    /// The caller wants the seat. `user_info` is a JSON object as the client wrote it.
    Select { caller: Caller<'a>, room: &'a str, seat: &'a str, user_info: &'a str },
    /// The caller gives the seat back.
    Release { caller: Caller<'a>, room: &'a str, seat: &'a str },
    /// A member that skipped events needs the full state of the room.
    Resync { conn: ConnId, room: &'a str },
    /// The connection has ended: its memberships end and its holds are released.
    Gone { conn: ConnId },
    /// Time has passed: what is due expires.
    Tick,
    /// A hold that survived a restart, given back before any client is served. Its owner is absent: the first connection
    /// of the same client that joins the room adopts it. Of several, none ends before those given back earlier.
    Restore { room: &'a str, seat: &'a str, hold: RestoredHold<'a> },
    /// Selects that nobody was told of are undone: each seat with the `seq` of its select, as far as it is still held by
    /// it. The room's next change gets the number after `seq`.
    Retract { room: &'a str, epoch: Epoch, selects: &'a [(SeatId, u64)], seq: u64 },
}

impl<'a> Input<'a> {
    /// The input that this request of the caller is.
    #[must_use]
    pub fn of(caller: Caller<'a>, request: Request<'a>) -> Self {
        match request {
            Request::Join { room } => Self::Join { caller, room },
            Request::Leave { room } => Self::Leave { caller, room },
            Request::Select { room, seat, user_info } => Self::Select { caller, room, seat, user_info },
            Request::Release { room, seat } => Self::Release { caller, room, seat },
        }
    }
}

/// A hold from before a restart.
#[derive(Clone, Copy, Debug)]
pub struct RestoredHold<'a> {
    /// Whose it was.
    pub client: &'a ClientId,
    /// Where that came from.
    pub origin: Origin,
    /// A JSON object as the client wrote it.
    pub user_info: &'a Arc<str>,
    /// When the hold began.
    pub at: WallMillis,
    /// When it ends by itself, as it is told.
    pub expires_at: WallMillis,
    /// The same on the monotonic clock, as it is decided.
    pub ends: Millis,
    /// When it is released if its client has not come back.
    pub waits_until: Millis,
    /// The room's sequence number after the select.
    pub seq: u64,
}

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
}

/// Why a command was refused. Nothing changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reject {
    /// Another owner holds the seat.
    SeatTaken,
    /// Release of a free seat.
    NotHeld,
    /// Release of somebody else's seat.
    NotOwner,
    /// The caller holds as many seats in this room as one client may.
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
}

/// Why a seat became free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReleaseReason {
    /// Its owner gave it back.
    Released,
    /// Its time was over.
    Expired,
    /// The owner's connection ended.
    Disconnected,
}

/// A seat changed hands: the one thing that moves a room's `seq`.
#[derive(Clone, Debug)]
pub struct Change {
    /// The room.
    pub room: RoomId,
    /// The seat.
    pub seat: SeatId,
    /// Who holds it now, or held it until now.
    pub client: ClientId,
    /// The room's sequence number after the change.
    pub seq: u64,
    /// The life of the room in which `seq` counts.
    pub epoch: Epoch,
    /// The connection that is told in its own frame (and does not get the public one): the caller, or the holder whose
    /// hold expired. It need not be a member. `None` when nobody in particular is left to be told.
    pub actor: Option<ConnId>,
    /// The request of the actor that this answers; `None` when nobody asked for it, as with an expiry.
    pub answers: Option<Ticket>,
    /// How many seats of the room are held after it.
    pub held: u32,
    /// The shards on which members of the room live.
    pub audience: ShardSet,
    /// What happened.
    pub kind: ChangeKind,
}

/// What a [`Change`] did to the seat.
#[derive(Clone, Debug)]
pub enum ChangeKind {
    /// It is held now.
    Selected {
        /// When the hold began.
        at: WallMillis,
        /// When it ends by itself.
        expires_at: WallMillis,
        /// A JSON object as the client wrote it.
        user_info: Arc<str>,
        /// Where its holder comes from, for the store alone.
        origin: Origin,
    },
    /// It is free now.
    Released {
        /// Why.
        reason: ReleaseReason,
    },
}

/// What a shard wants done. In order: an effect is performed after those before it.
#[derive(Clone, Debug)]
pub enum Effect {
    /// `room_joined`, followed by the full state of the room when a seat is held. From now on `to` is one of `members`.
    Joined { to: Asker, client: ClientId, room: RoomId, seq: u64, epoch: Epoch, members: usize },
    /// `room_left`. From now on `to` is no member.
    Left { to: Asker, client: ClientId, room: RoomId },
    /// The full state of the room for a member that asked by [`Input::Resync`], also when no seat is held.
    Snapshot { to: ConnId, room: RoomId, seq: u64, epoch: Epoch },
    /// A seat changed hands.
    Change(Arc<Change>),
    /// A select of a seat that the caller holds already: the reply of then, with the `seq` and the deadline of then.
    Again { to: Asker, client: ClientId, room: RoomId, seat: SeatId, seq: u64, epoch: Epoch, expires_at: WallMillis },
    /// The command was refused.
    Refused { to: Asker, reject: Reject, request: RequestType, room: RoomId, seat: Option<SeatId> },
}

/// The effects of one or several inputs, in order. Reused, so that a busy shard does not allocate for it.
pub type Effects = Vec<Effect>;

/// One held seat as a full state tells it.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// Who holds it.
    pub client: &'a ClientId,
    /// The seat.
    pub seat: &'a SeatId,
    /// A JSON object as the client wrote it.
    pub user_info: &'a str,
    /// When the hold began.
    pub at: WallMillis,
    /// When it ends by itself.
    pub expires_at: WallMillis,
    /// Where its holder comes from, for the store alone.
    pub origin: Origin,
}
