//! What happens to a connection that sends too many messages.
//!
//! A message without a token is refused and changes nothing, and the socket is not read again before there is a token.
//! A connection that keeps sending all the same is closed. Invariant: every connection that pauses is in one list, so a
//! tick finds it when its time has come. Never here: how a bucket fills (see `rate`), what a message does.

use super::Node;
use super::rate::Excess;
use super::session::Stage;
use crate::engine::command::RequestType;
use crate::engine::ids::Origin;
use crate::engine::time::WallMillis;
use crate::figures::shard::Command as Counted;
use crate::limits::{RATE_EXCESS_MAX, RATED_ORIGINS_MAX};
use crate::wire::frame;
use crate::wire::message::{self, BadMessage, Code, Message, Refused};
use crate::wire::v2::request as v2;
use crate::wire::v2::write::{self, Refusal};

impl Node {
    /// Takes the token of a message. False: there is none, and the message has been refused.
    pub(super) fn admits(&mut self, slot: u32, message: &Message<'_>) -> bool {
        let command = match message {
            Message::Ping => Counted::Ping,
            Message::Rejoin { .. } => Counted::Join,
            Message::Request(request) => request.kind().into(),
        };
        self.takes_token(slot, command, |out, now, ms| message::refused(out, &too_many(message), now, Some(ms)))
    }

    /// The same for what is no message.
    pub(super) fn admits_bad(&mut self, slot: u32, bad: &BadMessage<'_>) -> bool {
        self.takes_token(slot, Counted::Unknown, |out, now, ms| {
            message::refused(out, &about(bad.room, bad.seat, bad.request_type), now, Some(ms));
        })
    }

    /// Takes the token of a message of the second protocol.
    pub(super) fn admits_second(&mut self, slot: u32, message: &v2::Message<'_>) -> bool {
        let v2::Message { id, kind, ask } = message;
        self.takes_token(slot, counted(*kind), |out, now, ms| {
            let refusal = Refusal { retry_after_ms: ms, ..Refusal::of(Code::RateLimited) };
            write::error(out, *id, &refusal.about(Some(kind.as_str()), ask.room()), now);
        })
    }

    /// The same for what is no message.
    pub(super) fn admits_bad_second(&mut self, slot: u32, bad: &v2::BadRequest<'_>) -> bool {
        self.takes_token(slot, Counted::Unknown, |out, now, ms| {
            let refusal = Refusal { retry_after_ms: ms, ..Refusal::of(Code::RateLimited) };
            write::error(out, bad.id, &refusal.about(bad.bad.request_type, bad.bad.room), now);
        })
    }

    fn takes_token(&mut self, slot: u32, command: Counted, refuse: impl FnOnce(&mut Vec<u8>, WallMillis, u32)) -> bool {
        let (rate, at) = (self.bounds.rate, self.at);
        let Some(session) = self.sessions.get_mut(slot) else { return false };
        let (origin, own) = (session.origin(), session.bucket.take(rate, at));
        let taken = own.and_then(|()| self.take_of_origin(origin));
        let Some(session) = self.sessions.get_mut(slot) else { return false };
        let Err(excess) = taken else {
            session.excess = session.excess.saturating_sub(1);
            return true;
        };
        session.excess = session.excess.saturating_add(2);
        let goes_on = session.excess >= RATE_EXCESS_MAX;
        self.figures.count(command, Err(Code::RateLimited));
        let now = at.now.wall;
        self.answer_in_turn(slot, |out| refuse(out, now, excess.retry_after_ms));
        if goes_on {
            self.close(slot, frame::CLOSE_TOO_MANY, "too many messages");
        } else {
            self.pause(slot);
        }
        false
    }

    /// Takes a token of everybody who comes from there.
    fn take_of_origin(&mut self, origin: Origin) -> Result<(), Excess> {
        let (rate, at) = (self.bounds.origin_rate, self.at);
        if rate.per_s == 0 || origin.address == 0 {
            return Ok(());
        }
        if self.origins.len() >= RATED_ORIGINS_MAX && !self.origins.contains_key(&origin.address) {
            self.origins.retain(|_, bucket| !bucket.is_full(rate, at));
            if self.origins.len() >= RATED_ORIGINS_MAX {
                return Ok(());
            }
        }
        self.origins.entry(origin.address).or_default().take(rate, at)
    }

    /// Takes the token of a control frame, which is answered in any case; without one the socket is not read for a
    /// while.
    pub fn charge(&mut self, slot: u32) {
        let (rate, at) = (self.bounds.rate, self.at);
        let Some(session) = self.sessions.get_mut(slot) else { return };
        if session.bucket.take(rate, at).is_err() {
            self.pause(slot);
        }
    }

    /// A message that is dear to read counts as so many more: their tokens go, down to an empty bucket. The message
    /// itself takes one as every other does.
    pub fn charge_more(&mut self, slot: u32, tokens: u32) {
        let (rate, at, of_origins) = (self.bounds.rate, self.at, self.bounds.origin_rate);
        let Some(session) = self.sessions.get_mut(slot) else { return };
        session.bucket.drain(rate, at, tokens);
        let address = session.origin().address;
        if let Some(bucket) = self.origins.get_mut(&address) {
            bucket.drain(of_origins, at, tokens);
        }
    }

    fn pause(&mut self, slot: u32) {
        let generation = self.sessions.generation(slot);
        let Some(session) = self.sessions.get_mut(slot).filter(|session| session.stage == Stage::Open) else { return };
        if !std::mem::replace(&mut session.pauses, true) {
            self.paused.push((slot, generation));
        }
    }

    /// Whether a tick must come although nothing happens.
    #[must_use]
    pub fn has_paused(&self) -> bool {
        !self.paused.is_empty()
    }

    /// Once a tick: who has a token again is read again.
    pub(super) fn end_pauses(&mut self) {
        let (rate, at) = (self.bounds.rate, self.at);
        let mut paused = std::mem::take(&mut self.paused);
        paused.retain(|&(slot, generation)| {
            let Some(session) = self.sessions.live(slot, generation) else { return false };
            session.pauses = !session.bucket.has_token(rate, at);
            let goes_on = !session.pauses;
            if goes_on {
                self.read_on(slot);
            }
            !goes_on
        });
        debug_assert!(self.paused.is_empty(), "reading on comes later");
        self.paused = paused;
    }
}

/// The refusal of a message, with what it is about.
fn too_many<'a>(message: &Message<'a>) -> Refused<'a> {
    match *message {
        Message::Ping => about(None, None, Some("ping")),
        Message::Rejoin { room, .. } => about(Some(room), None, Some(message::request_type_name(RequestType::Join))),
        Message::Request(request) => {
            about(Some(request.room()), request.seat(), Some(message::request_type_name(request.kind())))
        }
    }
}

fn about<'a>(room: Option<&'a str>, seat: Option<&'a str>, request_type: Option<&'a str>) -> Refused<'a> {
    Refused { code: Code::RateLimited, message: Code::RateLimited.text(), room, seat, request_type }
}

/// As what a request of the second protocol counts.
fn counted(kind: v2::Kind) -> Counted {
    match kind {
        v2::Kind::Join | v2::Kind::Sync | v2::Kind::Resume => Counted::Join,
        v2::Kind::Leave => Counted::Leave,
        v2::Kind::SelectSeats | v2::Kind::SelectSeat | v2::Kind::SelectBest | v2::Kind::ExtendHold => Counted::Select,
        v2::Kind::ReleaseSeats | v2::Kind::ReleaseSeat => Counted::Release,
        v2::Kind::Ping => Counted::Ping,
        v2::Kind::Auth => Counted::Unknown,
    }
}
