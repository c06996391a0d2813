//! What a client asks: answered here, decided here, or passed on to the shard that owns the room.
//!
//! Invariants: only its owner decides a room's requests; a request that would be answered before an earlier one waits
//! until that one is answered, and everything behind it waits too. Never here: decisions about seats.

use super::letters::{Command, Letter, News, Wanted};
use super::session::{Parked, Stage};
use super::{Next, Node};
use crate::engine::command::{Caller, Input, Request};
use crate::engine::ids::{ShardId, ShardSet};
use crate::figures::shard::Command as Counted;
use crate::limits::ROOMS_PER_CONNECTION_MAX;
use crate::marks;
use crate::wire::message::{self, BadMessage, Code, Message};

impl Node {
    pub(super) fn message(&mut self, slot: u32, message: Message<'_>) -> Next {
        match message {
            Message::Ping => {
                self.ping(slot);
                Next::ReadOn
            }
            Message::Rejoin { room, resume } => {
                self.take_proof(slot, resume);
                self.request(slot, Request::Join { room })
            }
            Message::Request(request) => self.request(slot, request),
        }
    }

    fn ping(&mut self, slot: u32) {
        self.figures.count(Counted::Ping, Ok(()));
        let now = self.at.now.wall;
        self.answer_in_turn(slot, |out| message::pong(out, now));
    }

    /// Answers what is no request.
    pub(super) fn refuse(&mut self, slot: u32, bad: &BadMessage<'_>) {
        let (code, now) = (Code::from(bad.fault), self.at.now.wall);
        self.figures.count(Counted::Unknown, Err(code));
        self.answer_in_turn(slot, |out| {
            message::error(out, code, &bad.message, now, bad.room, bad.seat, bad.request_type);
        });
    }

    /// Decides a request, passes it on, or parks it behind requests that another shard or the store has not answered.
    fn request(&mut self, slot: u32, request: Request<'_>) -> Next {
        if !self.may_enter(slot, request.room()) {
            self.forbid(slot, request);
            return Next::ReadOn;
        }
        let owner = self.owner(request.room());
        let Some(session) = self.sessions.get_mut(slot).filter(|session| session.stage == Stage::Open) else {
            return Next::ReadOn;
        };
        // Among several nodes requests are kept in their order until they are answered, whoever answers.
        let asks = if self.parted.is_some() { session.asked } else { owner };
        if session.overtakes(asks, matches!(request, Request::Join { .. }), ROOMS_PER_CONNECTION_MAX) {
            assert!(session.parked.is_none(), "nothing is read behind what is parked");
            marks::hit("a parked request");
            session.parked = Some(Box::new(Parked::Request(request.to_owned())));
            return Next::ReadOn;
        }
        if let Request::Join { room } = request {
            if self.should_move(slot, owner, room) {
                return Next::Move;
            }
            if !self.take_room(slot, room) {
                return Next::ReadOn;
            }
        }
        self.ask(slot, owner, request);
        Next::ReadOn
    }

    /// Asks the owner of the room.
    pub(super) fn ask(&mut self, slot: u32, owner: ShardId, request: Request<'_>) {
        let conn = self.sessions.id(slot);
        let is_parted = self.parted.is_some();
        let Some(session) = self.sessions.get_mut(slot) else { return };
        debug_assert!(session.parked.is_none(), "nothing is asked behind what is parked");
        let ticket = if is_parted { session.take_ticket() } else { session.ask(owner) };
        debug_assert!(session.open_requests() > 0, "a request is open until it is answered");
        let client = session.client().cloned().expect("only a WebSocket asks");
        let (origin, identity) = (session.origin(), session.identity().cloned());
        if is_parted {
            let wanted = Wanted::First(request.to_owned());
            return self.ask_somebody(slot, Command { conn, client, origin, ticket, identity, wanted });
        }
        if owner == self.id {
            let identity = identity.as_ref();
            return self.decide(Input::of(Caller { conn, client: &client, origin, ticket, identity }, request));
        }
        marks::hit("a request for another shard");
        let wanted = Wanted::First(request.to_owned());
        let command = Command { conn, client, origin, ticket, identity, wanted };
        self.post.letter(owner, Letter::Command(Box::new(command)));
    }

    /// Acts on one letter. One for a connection that has ended changes nothing.
    pub(super) fn open_letter(&mut self, letter: Letter) {
        match letter {
            Letter::Command(command) => self.passed_on(&command),
            Letter::Resync { conn, room } => self.decide(Input::Resync { conn, room: room.as_str() }),
            Letter::Gone { conn } => self.gone(conn),
            Letter::Away { conn } => self.goes_away(conn),
            Letter::Return(of) => self.let_back_in(&of),
            Letter::NotMine { conn, ticket } => self.not_mine(conn, ticket),
            Letter::From { by, letter } => self.hear_from(by, *letter),
            Letter::Answer { to, effect, captured } => self.answered(to, *effect, captured),
            Letter::News(news) => {
                let News { changes, room } = *news;
                debug_assert!(changes.iter().all(|change| change.room == room), "a letter is about one room");
                changes.iter().for_each(|change| self.happened(change));
            }
            Letter::Errand(errand) => self.errand(*errand),
            Letter::Done(done) => self.errand_answered(*done),
            Letter::Room(news) => self.room_news(&news),
        }
    }

    /// Acts on one letter of these shards of another node.
    fn hear_from(&mut self, by: ShardSet, letter: Letter) {
        if self.is_of_former(by, &letter) {
            return marks::hit("something that a former owner tells");
        }
        self.hears(Some(by));
        self.open_letter(letter);
        self.hears(None);
    }

    /// Keeps a place for a room that the connection wants to join; refuses that when it has all that it may have.
    pub(super) fn take_room(&mut self, slot: u32, room: &str) -> bool {
        let feed = self.feeds.find(room);
        let Some(session) = self.sessions.get_mut(slot) else { return false };
        let is_member = feed.is_some_and(|feed| session.memberships.find(feed).is_some());
        if is_member || usize::from(session.rooms) < ROOMS_PER_CONNECTION_MAX {
            session.rooms = session.rooms.checked_add(1).expect("rooms and open requests are bounded");
            return true;
        }
        let (code, now) = (Code::Overloaded, self.at.now.wall);
        self.figures.count(Counted::Join, Err(code));
        self.answer_in_turn(slot, |out| {
            let (why, request) = ("a connection can be in 64 rooms at most", Some("join_room"));
            message::error(out, code, why, now, Some(room), None, request);
        });
        false
    }

    /// Everything sent before has been answered: what was parked has its turn.
    pub(super) fn unpark(&mut self, slot: u32) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let Some(parked) = session.parked.take_if(|parked| !matches!(**parked, Parked::Move { .. })) else { return };
        match *parked {
            Parked::Answer(answer) => self.answer(slot, |out| out.extend_from_slice(&answer)),
            Parked::Request(request) => {
                let next = self.request(slot, request.as_ref());
                debug_assert_eq!(next, Next::ReadOn, "who has asked before stays here");
            }
            Parked::Cart(ask) => {
                let next = self.cart_request(slot, *ask);
                debug_assert_eq!(next, Next::ReadOn, "who has asked before stays here");
            }
            Parked::Resume(ask) => self.resume(slot, *ask),
            Parked::Move { .. } => unreachable!("it was not taken"),
        }
        self.go_on_wanting(slot);
        self.read_on(slot);
    }
}
