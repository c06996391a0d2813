//! What a client of the second protocol asks: answered here, decided here, or passed on to the shard that owns the
//! room.
//!
//! Invariant: what would be answered before an earlier request waits until that is answered, and so does everything
//! behind it. Never here: decisions about seats.

use super::{Asked, CartAsk, Join, Want};
use crate::engine::command::{CartRequest, Position};
use crate::engine::ids::{RoomId, ShardId};
use crate::figures::shard::Command as Counted;
use crate::limits::ROOMS_PER_CONNECTION_MAX;
use crate::marks;
use crate::node::letters::{Command, Letter, Wanted};
use crate::node::session::{Parked, Stage};
use crate::node::{Next, Node};
use crate::wire::message::Code;
use crate::wire::v2::request::{Kind, OwnedRequestId, RequestId};
use crate::wire::v2::write::{self, Refusal};

impl Node {
    /// Answers with a refusal that needs nobody, behind the answers to earlier requests.
    pub(in crate::node) fn refuse_second(&mut self, slot: u32, id: Option<RequestId<'_>>, refusal: &Refusal<'_>) {
        let now = self.at.now.wall;
        self.answer_in_turn(slot, |out| write::error(out, id, refusal, now));
    }

    /// Decides a request, passes it on, or parks it behind requests that another shard or the store has not answered.
    pub(in crate::node) fn cart_request(&mut self, slot: u32, ask: CartAsk) -> Next {
        let owner = self.owner(ask.room.as_str());
        let is_join = matches!(ask.request, CartRequest::Join { .. });
        let Some(session) = self.sessions.get_mut(slot).filter(|session| session.stage == Stage::Open) else {
            return Next::ReadOn;
        };
        let asks = if self.parted.is_some() { session.asked } else { owner };
        if session.overtakes(asks, is_join, ROOMS_PER_CONNECTION_MAX) {
            assert!(session.parked.is_none(), "nothing is read behind what is parked");
            marks::hit("a parked request of the second protocol");
            session.parked = Some(Box::new(Parked::Cart(Box::new(ask))));
            return Next::ReadOn;
        }
        if let CartRequest::Join { since } = ask.request {
            let CartAsk { room, asked, .. } = ask;
            let Asked::Client { id, .. } = asked else { unreachable!("a client asks") };
            if self.may_move(slot, owner, room.as_str()) {
                return self.park_move(slot, owner, Some(Join::Second { room, since, id }));
            }
            self.join_second(slot, (room, since, id));
            return Next::ReadOn;
        }
        self.ask_cart(slot, owner, ask);
        Next::ReadOn
    }

    /// Asks to join a room, if the connection may have one more.
    pub(in crate::node) fn join_second(
        &mut self,
        slot: u32,
        (room, since, id): (RoomId, Option<Position>, Option<OwnedRequestId>),
    ) {
        if !self.has_place_for(slot, room.as_str()) {
            self.figures.count(Counted::Join, Err(Code::Overloaded));
            let message = "a connection can be in 64 rooms at most";
            let refusal = Refusal { message, ..Refusal::of(Code::Overloaded) };
            let id = id.as_ref().map(OwnedRequestId::as_ref);
            return self.refuse_second(slot, id, &refusal.about(Some(Kind::Join.as_str()), Some(room.as_str())));
        }
        let owner = self.owner(room.as_str());
        let asked = Asked::Client { id, kind: Kind::Join };
        self.ask_cart(slot, owner, CartAsk { room, request: CartRequest::Join { since }, asked });
    }

    /// Keeps a place for a room that the connection wants to join, unless it has all that it may have.
    fn has_place_for(&mut self, slot: u32, room: &str) -> bool {
        let feed = self.feeds.find(room);
        let Some(session) = self.sessions.get_mut(slot) else { return false };
        let is_in = |feed| session.second().is_some_and(|second| second.members.find(feed).is_some());
        let is_member = feed.is_some_and(is_in);
        let has_place = is_member || usize::from(session.rooms) < ROOMS_PER_CONNECTION_MAX;
        if has_place {
            session.rooms = session.rooms.checked_add(1).expect("rooms and open requests are bounded");
        }
        has_place
    }

    /// Asks the owner of the room.
    fn ask_cart(&mut self, slot: u32, owner: ShardId, ask: CartAsk) {
        let CartAsk { room, request, asked } = ask;
        self.ask_as(slot, owner, asked, Wanted::Cart { room, request });
    }

    /// Asks a shard on behalf of whoever the connection acts for.
    pub(super) fn ask_as(&mut self, slot: u32, owner: ShardId, asked: Asked, wanted: Wanted) {
        let conn = self.sessions.id(slot);
        let is_parted = self.parted.is_some();
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let ticket = if is_parted { session.take_ticket() } else { session.ask(owner) };
        let client = session.client().cloned().expect("only a WebSocket asks");
        let (origin, identity) = (session.origin(), session.identity().cloned());
        session.second_mut().expect("it speaks the second protocol").busy().asked.push_back(asked);
        let command = Command { conn, client, origin, ticket, identity, wanted };
        if is_parted {
            return self.ask_somebody(slot, command);
        }
        if owner == self.id {
            return self.passed_on(&command);
        }
        marks::hit("a request of the second protocol for another shard");
        self.post.letter(owner, Letter::Command(Box::new(command)));
    }

    /// Asks for the maps that the connection waits for. What would break the order of answers waits.
    pub(super) fn ask_for_wanted(&mut self, slot: u32) {
        loop {
            let Some(session) = self.sessions.get(slot).filter(|session| session.stage == Stage::Open) else { return };
            let Some(want) = session.second().and_then(|second| second.wants().first()).cloned() else { return };
            let owner = self.owner(want.room.as_str());
            let session = self.sessions.get(slot).expect("looked at above");
            let may_ask = session.parked.is_none() && session.open_requests() < self.bounds.open_requests;
            let asks = if self.parted.is_some() { session.asked } else { owner };
            if !may_ask || session.overtakes(asks, false, usize::MAX) {
                return crate::marks::hit("a map that is asked for later");
            }
            let session = self.sessions.get_mut(slot).expect("looked at above");
            let second = session.second_mut().expect("it wants something");
            second.busy().wants.remove(0);
            second.settle();
            if want.rejoin && !self.has_place_for(slot, want.room.as_str()) {
                continue;
            }
            let Want { room, rejoin } = want;
            let (request, asked) = if rejoin {
                (CartRequest::Join { since: None }, Asked::Rejoin(room.clone()))
            } else {
                (CartRequest::Sync, Asked::Node)
            };
            self.ask_cart(slot, owner, CartAsk { room, request, asked });
        }
    }
}
