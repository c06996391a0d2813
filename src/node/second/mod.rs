//! The second protocol on a shard: carts, sessions that outlive their connections, and maps told by what has changed.
//!
//! `messages` and `asks` are what comes in, `told` who is told what, `members` who looks at a room and what it still
//! needs, `ticks` how that leaves, `sessions` who somebody is. Invariants: a connection of the second protocol is
//! member of no view and of no v1 log; every request of a client has one reply, with the `id` that it brought, in the
//! order of requests. Never here: frames of the first protocol.

mod asks;
mod members;
mod messages;
mod sessions;
mod ticks;
mod told;

use std::collections::VecDeque;
use std::sync::Arc;

pub use sessions::Random;

use super::identity::Until;
use super::session::{Memberships, Session};
use crate::auth::token::Claims;
use crate::engine::command::{CartRequest, CartView, Identity, Position, SessionId};
use crate::engine::ids::RoomId;
use crate::limits::{HOLD_EXTENDS_MAX, ROOM_RING_MAX, SESSION_GRACE_MS, TICK_V2_MS};
use crate::wire::v2::request::{Kind, OwnedRequestId};
use crate::wire::v2::write::AuthState;

/// What the operator decides about the second protocol.
#[derive(Clone, Copy, Debug)]
pub struct SecondRules {
    /// Time between two deltas of a room.
    pub tick_ms: u64,
    /// Changes of a room that are remembered for those who come back.
    pub ring_max: usize,
    /// How long carts wait for their session, as it is told.
    pub grace_ms: u64,
    /// After how much silence a connection is pinged, as it is told.
    pub ping_ms: u64,
    /// How often a cart may be extended, as it is told of one that has nothing.
    pub extends_max: u8,
}

impl Default for SecondRules {
    fn default() -> Self {
        let ping_ms = crate::limits::PING_AFTER_MS;
        Self {
            tick_ms: TICK_V2_MS,
            ring_max: ROOM_RING_MAX,
            grace_ms: SESSION_GRACE_MS,
            ping_ms,
            extends_max: HOLD_EXTENDS_MAX,
        }
    }
}

/// On whose behalf a connection acts, and what it may.
#[derive(Debug)]
pub(super) struct Standing {
    /// For whom; nobody but itself with the first protocol and no token.
    pub(super) identity: Option<Identity>,
    /// How it stands with authentication.
    pub(super) auth: AuthState,
    /// What its token says, when it has one.
    pub(super) claims: Option<Box<Claims>>,
    /// How long it may stay, when it may not for ever.
    pub(super) until: Option<Box<Until>>,
    /// Tokens that it has shown and that were not good.
    pub(super) tokens_refused: u8,
    /// What it speaks the second protocol with.
    pub(super) second: Option<Second>,
}

impl Standing {
    /// Of somebody who is nobody yet.
    pub(super) fn new(auth: AuthState) -> Self {
        Self { identity: None, auth, claims: None, until: None, tokens_refused: 0, second: None }
    }
}

const _: () = assert!(size_of::<Standing>() <= 112);

/// What is known of a connection that speaks the second protocol. Its number in its session is in its identity.
#[derive(Debug)]
pub(super) struct Second {
    /// Its session.
    pub(super) session: SessionId,
    /// The rooms that it looks at.
    pub(super) members: Memberships,
    /// It has joined a room or held a seat: it cannot go on as another session any more.
    pub(super) is_used: bool,
    /// Maps may come packed: so it said when it last joined a room or asked for a map.
    pub(super) packs: bool,
    /// What it waits for: nothing, nearly all the time.
    pub(super) busy: Option<Box<Busy>>,
}

/// What a connection of the second protocol waits for.
#[derive(Default, Debug)]
pub(super) struct Busy {
    /// Its requests that are not answered, in order.
    pub(super) asked: VecDeque<Asked>,
    /// It is going on as another session.
    pub(super) resuming: Option<Resuming>,
    /// What must be asked for it, though it has not: rooms whose map it waits for.
    pub(super) wants: Vec<Want>,
}

impl Second {
    /// To wait for something more.
    pub(super) fn busy(&mut self) -> &mut Busy {
        self.busy.get_or_insert_default()
    }

    /// What is to be asked for it.
    pub(super) fn wants(&self) -> &[Want] {
        self.busy.as_ref().map_or(&[], |busy| &busy.wants)
    }

    /// It is going on as another session.
    pub(super) fn resuming(&mut self) -> Option<&mut Resuming> {
        self.busy.as_mut()?.resuming.as_mut()
    }

    /// Something is not waited for any more.
    pub(super) fn settle(&mut self) {
        let is_idle = |busy: &Busy| busy.asked.is_empty() && busy.resuming.is_none() && busy.wants.is_empty();
        self.busy.take_if(|busy| is_idle(busy));
    }
}

/// A request that is not answered.
#[derive(Debug)]
pub(super) enum Asked {
    /// The client's.
    Client { id: Option<OwnedRequestId>, kind: Kind },
    /// Made here for it: nobody waits for a reply to it.
    Node,
    /// The same, so that it is told all about this room again.
    Rejoin(RoomId),
}

/// What is to be asked for a member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Want {
    /// The room.
    pub(super) room: RoomId,
    /// It is to be told all about the room again, not only its map.
    pub(super) rejoin: bool,
}

/// A request of a client for one room, to be sent elsewhere or to wait.
#[derive(Debug)]
pub(super) struct CartAsk {
    pub(super) room: RoomId,
    pub(super) request: CartRequest,
    pub(super) asked: Asked,
}

/// A connection that goes on as another session: shards are asked one after the other, so that their answers keep an
/// order.
#[derive(Debug)]
pub(super) struct Resuming {
    id: Option<OwnedRequestId>,
    /// The rooms that were named, in their order.
    rooms: Vec<RoomId>,
    /// What is still to be asked: the rooms of one owner, each.
    left: Vec<(u16, Vec<RoomId>)>,
    /// What was found.
    carts: Vec<(RoomId, Arc<CartView>)>,
}

/// What a client asked for that is to go on as another session, while that must wait.
#[derive(Debug)]
pub(super) struct ResumeAsk {
    pub(super) id: Option<OwnedRequestId>,
    pub(super) token: Box<str>,
    pub(super) rooms: Vec<RoomId>,
}

/// A room that a connection asks to join where it moves to.
#[derive(Debug)]
pub(super) enum Join {
    /// With the first protocol.
    First(RoomId),
    /// With the second.
    Second { room: RoomId, since: Option<Position>, id: Option<OwnedRequestId> },
}

impl Join {
    pub(super) fn room(&self) -> &RoomId {
        match self {
            Self::First(room) | Self::Second { room, .. } => room,
        }
    }
}

impl Session {
    /// What it speaks the second protocol with, if it does.
    pub(super) fn second(&self) -> Option<&Second> {
        self.who.as_ref()?.standing.as_ref()?.second.as_ref()
    }

    /// The same, to be changed.
    pub(super) fn second_mut(&mut self) -> Option<&mut Second> {
        self.who.as_mut()?.standing.as_mut()?.second.as_mut()
    }

    /// For whom it acts.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.who.as_ref()?.standing.as_ref()?.identity.as_ref()
    }

    /// Whether nothing is read from it because it is going on as another session.
    pub(super) fn is_resuming(&self) -> bool {
        let busy = self.second().and_then(|second| second.busy.as_ref());
        busy.is_some_and(|busy| busy.resuming.is_some())
    }
}
