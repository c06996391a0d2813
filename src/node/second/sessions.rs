//! Sessions: `hello`, and how a connection goes on as an earlier one.
//!
//! Invariants: `hello` comes first; a connection that goes on as another session is not read until it has been told
//! what that holds; who proves nothing stays who it is. Never here: how a proof is made (see `auth`).

use std::sync::Arc;

use super::{Asked, ResumeAsk, Resuming, Second, Standing};
use crate::auth::session::{SessionTokens, first_incarnation, session_text};
use crate::engine::command::{CartView, Identity, Owner, SessionId};
use crate::engine::ids::RoomId;
use crate::node::Node;
use crate::node::identity::Shown;
use crate::node::letters::Wanted;
use crate::node::proofs::Proofs;
use crate::node::session::{Memberships, Parked, Session};
use crate::wire::frame;
use crate::wire::message::Code;
use crate::wire::v2::request::{Kind, OwnedRequestId};
use crate::wire::v2::write::{self, AuthState, Hello, Refusal};

/// Random bits that nobody else has seen.
#[derive(Clone, Copy, Default)]
pub struct Random {
    /// The name of a session.
    pub session: u128,
    /// What tells two connections of a session apart.
    pub incarnation: u64,
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random(secret)")
    }
}

impl Node {
    /// The same node, which proves sessions with these.
    #[must_use]
    pub fn with_tokens(mut self, tokens: SessionTokens) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// The same node, which proves both.
    #[must_use]
    pub fn with_secrets(self, proofs: Proofs, tokens: SessionTokens) -> Self {
        self.with_proofs(proofs).with_tokens(tokens)
    }

    /// The connection speaks the second protocol, as a fresh session.
    pub(in crate::node) fn begin_second(&mut self, slot: u32, random: Random, shown: Shown) {
        let auth = match &shown {
            Shown::Nothing => AuthState::Off,
            Shown::Awaited => AuthState::Required,
            Shown::Good(_) => AuthState::Ok,
            Shown::Refused(why) => return self.close(slot, frame::CLOSE_UNAUTHORIZED, why),
        };
        let (session_id, incarnation) = (SessionId::new(random.session), first_incarnation(random.incarnation));
        let second =
            Second { session: session_id, members: Memberships::default(), is_used: false, packs: false, busy: None };
        let identity = Identity { owner: Owner::Session(session_id), incarnation, max_seats: None };
        self.stands(slot, Standing { identity: Some(identity), second: Some(second), ..Standing::new(auth) });
        self.say_hello(slot, None, false, &[]);
        self.begin_with(slot, shown);
    }

    fn say_hello(&mut self, slot: u32, id: Option<&OwnedRequestId>, resumed: bool, carts: &[(RoomId, Arc<CartView>)]) {
        let (now, rules) = (self.at.now.wall, self.rules.second);
        let Some(session) = self.sessions.get(slot) else { return };
        let Some(second) = session.second() else { return };
        let standing = session.who.as_ref().and_then(|who| who.standing.as_ref());
        let auth = standing.map_or(AuthState::Off, |standing| standing.auth);
        let incarnation = session.identity().map_or(0, |identity| identity.incarnation);
        let session_id = second.session;
        let token = self.tokens.as_ref().map(|tokens| tokens.give(session_id, incarnation, now));
        let (name, token) = (session_text(session_id), token.unwrap_or_default());
        let hello = Hello {
            session_id: &name,
            session_token: &token,
            resumed,
            now,
            auth,
            grace_ms: rules.grace_ms,
            ping_ms: rules.ping_ms,
        };
        let carts = carts.iter().map(|(room, cart)| (room.as_str(), &**cart));
        self.answer(slot, |out| write::hello(out, id.map(OwnedRequestId::as_ref), &hello, carts));
    }

    /// The client wants to go on as an earlier session.
    pub(in crate::node) fn resume(&mut self, slot: u32, ask: ResumeAsk) {
        let now = self.at.now.wall;
        let Some(session) = self.sessions.get_mut(slot) else { return };
        if session.open_requests() > 0 {
            crate::marks::hit("a parked resume");
            session.parked = Some(Box::new(Parked::Resume(Box::new(ask))));
            return;
        }
        let before = session.identity().map_or(0, |identity| identity.incarnation);
        let Some(second) = session.second_mut() else { return };
        let ResumeAsk { id, token, rooms } = ask;
        let request_type = Some(Kind::Resume.as_str());
        if second.is_used {
            let message = "resume comes before a room is joined or a seat held";
            let refusal = Refusal { message, ..Refusal::of(Code::BadRequest) }.about(request_type, None);
            return self.refuse_second(slot, id.as_ref().map(OwnedRequestId::as_ref), &refusal);
        }
        let Some(proven) = self.tokens.as_ref().and_then(|tokens| tokens.check(&token, now)) else {
            let refusal = Refusal::of(Code::SessionUnknown).about(request_type, None);
            return self.refuse_second(slot, id.as_ref().map(OwnedRequestId::as_ref), &refusal);
        };
        let mut distinct: Vec<RoomId> = Vec::with_capacity(rooms.len());
        for room in rooms {
            if !distinct.contains(&room) {
                distinct.push(room);
            }
        }
        let rooms = distinct;
        let left = self.by_lane(&rooms);
        let Some(second) = self.sessions.get_mut(slot).and_then(|session| session.second_mut()) else { return };
        // What told the fresh session's connection apart tells this one apart, too.
        let incarnation = proven.next_incarnation(now, before);
        (second.session, second.is_used) = (proven.session, true);
        second.busy().resuming = Some(Resuming { id, rooms, left, carts: Vec::new() });
        self.act_for(slot, proven.session, incarnation);
        if !self.keep_out(slot) {
            self.resume_on(slot);
        }
    }

    /// The rooms of each owner, so that each is asked once.
    fn by_lane(&self, rooms: &[RoomId]) -> Vec<(u16, Vec<RoomId>)> {
        let mut left: Vec<(u16, Vec<RoomId>)> = Vec::new();
        for room in rooms {
            let lane = self.lane_of(room.as_str());
            match left.iter_mut().find(|(of, _)| *of == lane) {
                Some((_, rooms)) => rooms.push(room.clone()),
                None => left.push((lane, vec![room.clone()])),
            }
        }
        left
    }

    /// The connection acts for this session from now on, unless it acts for the subject of a token.
    fn act_for(&mut self, slot: u32, session: SessionId, incarnation: u64) {
        let standing = self.sessions.get_mut(slot).and_then(|session| session.who.as_mut()?.standing.as_mut());
        let Some(identity) = standing.and_then(|standing| standing.identity.as_mut()) else { return };
        identity.incarnation = incarnation;
        if let Owner::Session(_) = identity.owner {
            identity.owner = Owner::Session(session);
        }
    }

    /// Asks the next shard what the session holds there; when all have answered the client is told.
    fn resume_on(&mut self, slot: u32) {
        let Some(second) = self.sessions.get_mut(slot).and_then(|session| session.second_mut()) else { return };
        let Some(resuming) = second.resuming() else { return };
        if let Some((_, rooms)) = resuming.left.pop() {
            let owner = self.owner(rooms[0].as_str());
            return self.ask_as(slot, owner, Asked::Node, Wanted::Resume { rooms });
        }
        let Some(resuming) = second.busy().resuming.take() else { return };
        second.settle();
        let Resuming { id, rooms, carts, .. } = resuming;
        let extends_left = self.rules.second.extends_max;
        let empty = Arc::new(CartView { extends_left, ..CartView::default() });
        let found = |room: &RoomId| carts.iter().find(|(of, _)| of == room).map(|(_, cart)| Arc::clone(cart));
        let told: Vec<(RoomId, Arc<CartView>)> =
            rooms.into_iter().map(|room| (room.clone(), found(&room).unwrap_or_else(|| Arc::clone(&empty)))).collect();
        self.say_hello(slot, id.as_ref(), true, &told);
        self.read_on(slot);
    }

    /// What could not be asked while effects were performed, or before earlier requests were answered.
    pub(in crate::node) fn go_on_asking(&mut self, slot: u32) {
        if self.sessions.get(slot).is_some_and(Session::is_resuming) {
            return self.resume_on(slot);
        }
        self.ask_for_wanted(slot);
    }
}
