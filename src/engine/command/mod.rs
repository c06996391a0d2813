//! The vocabulary of the engine: what goes in and what comes out. Plain data.
//!
//! Invariant: every way into a shard is an [`Input`], every way out an [`Effect`]. Never here: decisions.

use std::sync::Arc;

use super::ids::{ClientId, ConnId, Epoch, Origin, RoomId, SeatId};
use super::time::{Millis, WallMillis};

mod caller;
mod cart;
mod change;
mod effect;
mod keep;
mod refusal;
mod request;
mod room;
mod sale;
mod status;

pub use crate::layout::best::BestQuery;
pub use caller::{ApiTicket, Asker, Caller, Identity, Owner, SessionId, Ticket};
pub use cart::{
    CartReason, CartRequest, CartTold, CartView, CartWhy, Entered, OrderView, Position, Resumed, ResumedCart, Synced,
    Told,
};
pub use change::{Change, ChangeKind, Claim, ReleaseReason, Selection};
pub use effect::{Effect, Effects, RoomChanged, RoomNews};
pub use keep::{Kept, KeptCart, KeptEntry, KeptOrder, RestoredRoom, RestoredSeat};
pub use refusal::{Details, Reject, RequestType};
pub use request::{OwnedRequest, Request};
pub use room::{LayoutName, RoomLayout, RoomPatch, RoomPlan, RoomSettings, Sale};
pub use sale::{
    ApiAnswer, BookMode, CancelTo, OrderState, OrderTold, OwnerName, Places, RoomTold, SaleAnswer, SaleRequest,
    SeatTold, SeatsQuery, Tally, Wanted, Whose,
};
pub use status::{Act, SeatStatus, transition};

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
    /// The connection's node has ended, or is about to: its memberships end, and what it holds waits for it until then.
    Away { conn: ConnId, waits_until: Millis },
    /// The caller was a member of the room where another node owned that before, and is one from now on. It is given
    /// the full state.
    Return { caller: Caller<'a>, room: &'a str },
    /// The rooms of this part of a cluster are another node's: nothing of them is left, and nobody is told.
    ForgetPart { part: u16 },
    /// The room goes on from here, where another node has left it.
    LiveOn { room: &'a str, at: Position },
    /// Nothing of this part ends by itself until it thaws: this node decides about it no more, or not yet.
    Freeze { part: u16 },
    /// This node decides about the part again.
    Thaw { part: u16 },
    /// Time has passed: what is due expires.
    Tick,
    /// A hold that survived a restart, given back before any client is served. Its owner is absent: the first
    /// connection of the same client that joins the room adopts it. Of several, none ends before those given back
    /// earlier.
    Restore { room: &'a str, seat: &'a str, hold: RestoredHold<'a> },
    /// All else that a store had of a room, given back before what v1 connections held there and before any client is
    /// served. Its owners are away and are waited for until then.
    RestoreRoom { room: &'a str, was: &'a RestoredRoom, waits_until: Millis },
    /// A client of protocol v2 asks for something of a room. The caller has an identity.
    Cart { caller: Caller<'a>, room: &'a str, request: &'a CartRequest },
    /// The caller goes on with its session: which carts of these rooms are its own? The caller has an identity.
    Resume { caller: Caller<'a>, rooms: &'a [RoomId] },
    /// The shop's backend asks for something of a room.
    Sale { room: &'a str, request: &'a SaleRequest, reply_to: ApiTicket },
    /// Selects that nobody was told of are undone: each seat with the `seq` of its select, as far as it is still held
    /// by it. The room's next change gets the number after `seq`.
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
