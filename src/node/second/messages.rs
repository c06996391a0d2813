//! Messages of the second protocol: what is answered here, and what is asked of a room.
//!
//! Invariant: who has yet to say who it is is answered nothing but that, and pings. Never here: who decides a request.

use std::sync::Arc;

use super::{Asked, CartAsk, ResumeAsk};
use crate::engine::command::{BestQuery, CartRequest, Position};
use crate::engine::ids::{Epoch, RoomId, SeatId};
use crate::figures::shard::Command as Counted;
use crate::node::{Next, Node};
use crate::wire::message::{Code, Fault};
use crate::wire::v2::request::{Ask, BadRequest, Kind, Message, RequestId, Since};
use crate::wire::v2::write::{self, AuthState, Refusal};

impl Node {
    /// Acts on a message that was read from a connection of the second protocol.
    pub(in crate::node) fn second_message(&mut self, slot: u32, message: Message<'_>) -> Next {
        let Message { id, kind, ask } = message;
        if self.must_say_who(slot) && !matches!(kind, Kind::Ping | Kind::Auth) {
            let refusal = Refusal::of(Code::Unauthorized).about(Some(kind.as_str()), ask.room());
            self.refuse_second(slot, id, &refusal);
            return Next::ReadOn;
        }
        if let Some(room) = ask.rooms().find(|room| !self.may_enter(slot, room)) {
            let refusal = Refusal::of(Code::Forbidden).about(Some(kind.as_str()), Some(room));
            self.refuse_second(slot, id, &refusal);
            return Next::ReadOn;
        }
        let room = ask.room().map(room_id);
        match (ask, room) {
            (Ask::Ping { t }, _) => {
                self.figures.count(Counted::Ping, Ok(()));
                let now = self.at.now.wall;
                self.answer_in_turn(slot, |out| write::pong(out, id, t, now));
            }
            (Ask::Auth { token }, _) => self.authenticate(slot, id, token),
            (Ask::Resume { token, rooms }, _) => {
                let rooms = rooms.into_iter().map(room_id).collect();
                self.resume(slot, ResumeAsk { id: id.map(RequestId::to_owned), token: token.into(), rooms });
            }
            (ask, Some(room)) => {
                if let Ask::Join { packed, .. } | Ask::Sync { packed, .. } = ask
                    && let Some(second) = self.sessions.get_mut(slot).and_then(|session| session.second_mut())
                {
                    second.packs = packed;
                }
                let asked = Asked::Client { id: id.map(RequestId::to_owned), kind };
                return self.cart_request(slot, CartAsk { room, request: cart_request(ask), asked });
            }
            (_, None) => unreachable!("all others are about a room"),
        }
        Next::ReadOn
    }

    /// Answers what is no request.
    pub(in crate::node) fn refuse_bad(&mut self, slot: u32, bad: &BadRequest<'_>) {
        let is_open = bad.bad.request_type.is_some_and(|of| of == Kind::Ping.as_str() || of == Kind::Auth.as_str());
        let is_stranger = self.must_say_who(slot) && !is_open && bad.bad.fault != Fault::Json;
        let code = if is_stranger { Code::Unauthorized } else { Code::from(bad.bad.fault) };
        self.figures.count(Counted::Unknown, Err(code));
        let message = if is_stranger { code.text() } else { &bad.bad.message };
        let refusal = Refusal { message, ..Refusal::of(code) };
        self.refuse_second(slot, bad.id, &refusal.about(bad.bad.request_type, bad.bad.room));
    }

    /// Whether the connection has yet to say who it is.
    fn must_say_who(&self, slot: u32) -> bool {
        let standing = self.sessions.get(slot).and_then(|session| session.who.as_ref()?.standing.as_ref());
        standing.is_some_and(|standing| standing.auth == AuthState::Required)
    }
}

fn room_id(room: &str) -> RoomId {
    RoomId::checked(room)
}

fn seat_ids(seats: &[&str]) -> Vec<SeatId> {
    seats.iter().copied().map(SeatId::checked).collect()
}

fn position(since: Since) -> Position {
    Position { epoch: Epoch(since.epoch), seq: since.seq }
}

/// What is asked of a room, in the engine's words.
fn cart_request(ask: Ask<'_>) -> CartRequest {
    match ask {
        Ask::Join { since, .. } => CartRequest::Join { since: since.map(position) },
        Ask::Leave { .. } => CartRequest::Leave,
        Ask::Select { seats, release, user_info, .. } => CartRequest::Select {
            seats: seat_ids(seats.as_slice()),
            release: seat_ids(&release),
            user_info: Arc::from(user_info),
        },
        Ask::Best { query, release, user_info, .. } => {
            let boxed = |names: Vec<&str>| names.into_iter().map(Box::from).collect();
            let query = BestQuery {
                quantity: query.quantity,
                sections: boxed(query.sections),
                categories: boxed(query.categories),
                accessible: query.accessible,
                adjacent: query.adjacent,
            };
            CartRequest::SelectBest { query, release: seat_ids(&release), user_info: Arc::from(user_info) }
        }
        Ask::Release { seats: Some(seats), .. } => CartRequest::Release { seats: seat_ids(seats.as_slice()) },
        Ask::Release { seats: None, .. } => CartRequest::ReleaseAll,
        Ask::Extend { .. } => CartRequest::Extend,
        Ask::Sync { .. } => CartRequest::Sync,
        Ask::Resume { .. } | Ask::Auth { .. } | Ask::Ping { .. } => unreachable!("they are about no room"),
    }
}
