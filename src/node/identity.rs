//! Who a connection is by a token of the shop, and when that ends.
//!
//! Invariants: where tokens are asked for, a connection without a good one is answered nothing but that, and ends in
//! time; a token's end ends its connection, unless a later one has come; a connection stays one person's. Never here:
//! how a token is checked (see `auth`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::Node;
use super::second::Standing;
use super::session::{Session, Stage};
use crate::auth::bans::Bans;
use crate::auth::token::{Authority, Claims, Fault};
use crate::engine::command::{Identity, Owner, OwnerName, Request};
use crate::engine::ids::ClientId;
use crate::engine::time::Millis;
use crate::limits::auth::{AUTH_WITHIN_MS, JWKS_RETRY_MS, TOKENS_REFUSED_MAX};
use crate::planted::{Bug, has};
use crate::wire::frame;
use crate::wire::message::{self, Code};
use crate::wire::v2::request::{Kind, RequestId};
use crate::wire::v2::write::{self, AuthState, Refusal};

/// Who is let in.
#[derive(Debug)]
pub(super) struct Entrance {
    /// Checks tokens, when they are asked for.
    authority: Option<Arc<Authority>>,
    /// Who may not come back yet.
    bans: Arc<Bans>,
    /// How long a connection may take to bring a token.
    within_ms: u64,
    /// When which connection is to be looked at: its token may have ended. One entry each counts, that of
    /// [`Until::looked_at`].
    looks: BinaryHeap<Reverse<(Millis, u32, u32)>>,
}

impl Default for Entrance {
    fn default() -> Self {
        Self { authority: None, bans: Arc::default(), within_ms: AUTH_WITHIN_MS, looks: BinaryHeap::new() }
    }
}

/// Until when a connection may stay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Until {
    /// It ends here, unless a token comes.
    ends: Millis,
    /// It is looked at here.
    looked_at: Millis,
}

/// What the token says that a connection came with.
#[derive(Debug)]
pub(super) enum Shown {
    /// Nobody asks for tokens.
    Nothing,
    /// It has yet to come.
    Awaited,
    /// It is good.
    Good(Box<Claims>),
    /// It is not good.
    Refused(&'static str),
}

impl Node {
    /// The same node, which asks for tokens if there is somebody who checks them, and keeps out who is banned.
    #[must_use]
    pub fn with_entrance(mut self, authority: Option<Arc<Authority>>, bans: Arc<Bans>, within_ms: u64) -> Self {
        self.entrance = Entrance { authority, bans, within_ms, looks: BinaryHeap::new() };
        self
    }

    /// What the token of an upgrade says.
    pub(super) fn look_at(&self, token: Option<&str>) -> Shown {
        let Some(authority) = &self.entrance.authority else { return Shown::Nothing };
        let Some(token) = token else { return Shown::Awaited };
        match authority.check(token, self.at.now.wall) {
            Ok(claims) => Shown::Good(claims.into()),
            Err(Fault::Expired) => Shown::Refused(Code::TokenExpired.text()),
            Err(Fault::Invalid(why)) => Shown::Refused(why),
            Err(Fault::NoKeys) => Shown::Refused("there is no key yet to check tokens by"),
        }
    }

    /// A connection of the first protocol shows its token when it comes, or never.
    pub(super) fn begin_first(&mut self, slot: u32, shown: Shown) {
        match shown {
            Shown::Nothing => {}
            Shown::Awaited => {
                self.close(slot, frame::CLOSE_UNAUTHORIZED, "a token is needed: ?token= or Authorization")
            }
            Shown::Refused(why) => self.close(slot, frame::CLOSE_UNAUTHORIZED, why),
            Shown::Good(claims) => {
                let owner = Owner::Subject(Arc::clone(&claims.subject));
                let identity = Identity { owner, incarnation: 0, max_seats: claims.max_seats };
                let standing = Standing { identity: Some(identity), ..Standing::new(AuthState::Ok) };
                self.stands(slot, standing);
                self.let_in(slot, *claims);
            }
        }
    }

    /// The connection of the second protocol, which acts for its session, has shown this.
    pub(super) fn begin_with(&mut self, slot: u32, shown: Shown) {
        match shown {
            Shown::Nothing | Shown::Refused(_) => {}
            Shown::Awaited => {
                let ends = self.at.now.mono.after(self.entrance.within_ms);
                self.stays_until(slot, ends);
            }
            Shown::Good(claims) => self.let_in(slot, *claims),
        }
    }

    /// How the connection stands.
    pub(super) fn stands(&mut self, slot: u32, standing: Standing) {
        if let Some(session) = self.sessions.get_mut(slot) {
            session.who.get_or_insert_default().standing = Some(Box::new(standing));
        }
    }

    /// The connection acts for the person of the token from now on.
    fn let_in(&mut self, slot: u32, claims: Claims) {
        let now = self.at.now;
        let ends = now.mono.after(claims.ends_at.0.saturating_sub(now.wall.0));
        let Some(who) = self.sessions.get_mut(slot).and_then(|session| session.who.as_mut()) else { return };
        if let Some(name) = &claims.name {
            who.client = Some(name.clone());
        }
        let standing = who.standing.as_mut().expect("the caller has made it");
        let incarnation = standing.identity.as_ref().map_or(0, |identity| identity.incarnation);
        let (owner, max_seats) = (Owner::Subject(Arc::clone(&claims.subject)), claims.max_seats);
        standing.identity = Some(Identity { owner, incarnation, max_seats });
        (standing.auth, standing.claims) = (AuthState::Ok, Some(Box::new(claims)));
        self.stays_until(slot, ends);
        self.keep_out(slot);
    }

    /// A token has come in a message.
    pub(super) fn authenticate(&mut self, slot: u32, id: Option<RequestId<'_>>, token: &str) {
        let request = Some(Kind::Auth.as_str());
        let Some(authority) = self.entrance.authority.clone() else {
            let message = "nobody asks for tokens here";
            let refusal = Refusal { message, ..Refusal::of(Code::Unauthorized) };
            return self.refuse_second(slot, id, &refusal.about(request, None));
        };
        let claims = match authority.check(token, self.at.now.wall) {
            Ok(claims) => claims,
            Err(fault) => return self.refuse_token(slot, id, fault),
        };
        let standing = self.standing(slot);
        let is_another =
            standing.and_then(|standing| standing.claims.as_ref()).is_some_and(|own| own.subject != claims.subject);
        if is_another {
            let message = "the token is another person's: that needs another connection";
            let refusal = Refusal { message, ..Refusal::of(Code::Forbidden) };
            return self.refuse_second(slot, id, &refusal.about(request, None));
        }
        let (now, expires_at) = (self.at.now.wall, claims.expires_at);
        self.let_in(slot, claims);
        self.answer_in_turn(slot, |out| write::authenticated(out, id, now, expires_at));
    }

    fn refuse_token(&mut self, slot: u32, id: Option<RequestId<'_>>, fault: Fault) {
        let about = |refusal: Refusal<'static>| refusal.about(Some(Kind::Auth.as_str()), None);
        let refusal = match fault {
            Fault::Expired => about(Refusal::of(Code::TokenExpired)),
            Fault::Invalid(message) => about(Refusal { message, ..Refusal::of(Code::Unauthorized) }),
            Fault::NoKeys => {
                let message = "there is no key yet to check tokens by, try again";
                let retry_after_ms = u32::try_from(JWKS_RETRY_MS).expect("a moment");
                about(Refusal { message, retry_after_ms, ..Refusal::of(Code::Overloaded) })
            }
        };
        self.refuse_second(slot, id, &refusal);
        let standing = self.sessions.get_mut(slot).and_then(Session::standing_mut);
        let Some(standing) = standing.filter(|_| fault != Fault::NoKeys) else { return };
        standing.tokens_refused = standing.tokens_refused.saturating_add(1);
        if standing.tokens_refused >= TOKENS_REFUSED_MAX {
            self.close(slot, frame::CLOSE_UNAUTHORIZED, "too many tokens that are not good");
        }
    }

    /// Whether the connection's token lets it into the room.
    pub(super) fn may_enter(&self, slot: u32, room: &str) -> bool {
        let claims = self.standing(slot).and_then(|standing| standing.claims.as_ref());
        claims.is_none_or(|claims| claims.may_enter(room) || has(Bug::OpensEveryRoom))
    }

    /// Tells a client of the first protocol that its token does not let it into the room.
    pub(super) fn forbid(&mut self, slot: u32, request: Request<'_>) {
        let (code, now) = (Code::Forbidden, self.at.now.wall);
        self.figures.count(request.kind().into(), Err(code));
        let (room, seat, kind) = (request.room(), request.seat(), message::request_type_name(request.kind()));
        self.answer_in_turn(slot, |out| message::error(out, code, code.text(), now, Some(room), seat, Some(kind)));
    }

    /// Ends a connection of somebody whom an operator has removed and does not want back yet. Whether it did.
    pub(super) fn keep_out(&mut self, slot: u32) -> bool {
        if !self.entrance.bans.are_any() {
            return false;
        }
        let Some(session) = self.sessions.get(slot).filter(|session| session.stage == Stage::Open) else {
            return false;
        };
        let now_ms = self.at.now.mono.0;
        let owner = session.identity().and_then(|identity| OwnerName::of(&identity.owner));
        let session_id = session.second().map(|second| OwnerName::Session(second.session));
        let client = session.client().cloned().map(OwnerName::Client);
        let mut names = [owner, session_id, client].into_iter().flatten();
        let is_banned = names.any(|name| self.entrance.bans.has(&name, now_ms));
        if is_banned {
            self.close(slot, frame::CLOSE_REMOVED, "removed by an operator");
        }
        is_banned
    }

    fn standing(&self, slot: u32) -> Option<&Standing> {
        self.sessions.get(slot)?.who.as_ref()?.standing.as_deref()
    }

    /// The connection ends then, unless another token comes.
    fn stays_until(&mut self, slot: u32, ends: Millis) {
        let generation = self.sessions.generation(slot);
        let Some(standing) = self.sessions.get_mut(slot).and_then(Session::standing_mut) else { return };
        // An earlier look will see that it may stay longer, and look again: a client cannot make more of them.
        let looked_at = standing.until.as_ref().map_or(ends, |until| until.looked_at.min(ends));
        let is_looked_at = standing.until.as_ref().is_some_and(|until| until.looked_at == looked_at);
        standing.until = Some(Box::new(Until { ends, looked_at }));
        if !is_looked_at {
            self.entrance.looks.push(Reverse((looked_at, slot, generation)));
        }
    }

    /// A connection has come over from another shard, with its token.
    pub(super) fn goes_on_until(&mut self, slot: u32) {
        let standing = self.sessions.get_mut(slot).and_then(Session::standing_mut);
        let Some(until) = standing.and_then(|standing| standing.until.take()) else { return };
        self.stays_until(slot, until.ends);
    }

    /// Ends the connections whose time is over.
    pub(super) fn end_tokens(&mut self) {
        let now = self.at.now.mono;
        while let Some(&Reverse((at, slot, generation))) = self.entrance.looks.peek().filter(|look| look.0.0 <= now) {
            self.entrance.looks.pop();
            let session = self.sessions.live(slot, generation).filter(|session| session.stage == Stage::Open);
            let Some(standing) = session.and_then(Session::standing_mut) else { continue };
            let Some(until) = standing.until.as_mut().filter(|until| until.looked_at == at) else { continue };
            if until.ends > now {
                crate::marks::hit("a token that was renewed");
                until.looked_at = until.ends;
                self.entrance.looks.push(Reverse((until.ends, slot, generation)));
                continue;
            }
            if has(Bug::StaysWithoutToken) {
                continue;
            }
            let is_awaited = standing.auth == AuthState::Required;
            let why = if is_awaited { "no token has come in time" } else { Code::TokenExpired.text() };
            self.close(slot, frame::CLOSE_UNAUTHORIZED, why);
        }
    }
}

impl Session {
    fn standing_mut(&mut self) -> Option<&mut Standing> {
        self.who.as_mut()?.standing.as_deref_mut()
    }
}

/// What strangers see of somebody.
pub(super) fn shown_name(shown: &Shown, own: ClientId) -> ClientId {
    if let Shown::Good(claims) = shown { claims.name.clone().unwrap_or(own) } else { own }
}
