//! How a connection moves to the shard that serves it.
//!
//! Invariant: it moves only when nothing is queued for it, because only the shard that began a frame knows how much of
//! it was sent. Never here: sockets.

use super::identity::shown_name;
use super::letters::Moving;
use super::second::Join;
use super::session::{Parked, Stage, Who};
use super::{Arrival, Next, Node, Opening};
use crate::engine::command::Request;
use crate::engine::ids::{ClientId, Origin, ShardId};
use crate::planted::{self, Bug};

impl Node {
    /// The connection is a WebSocket of this client now.
    pub(super) fn upgraded(&mut self, slot: u32, arrival: Arrival<'_>) -> Next {
        let Arrival { client, hint, opening, token } = arrival;
        let shown = self.look_at(token);
        self.become_socket(slot, shown_name(&shown, client));
        match opening {
            Opening::First => self.begin_first(slot, shown),
            Opening::Second(random) => self.begin_second(slot, random, shown),
        }
        let is_open = self.sessions.get(slot).is_some_and(|session| session.stage == Stage::Open);
        let Some(room) = hint.filter(|_| !self.keep_out(slot) && is_open) else { return Next::ReadOn };
        let owner = self.owner(room.as_str());
        if self.may_move(slot, owner, room.as_str()) { self.park_move(slot, owner, None) } else { Next::ReadOn }
    }

    /// The connection comes from there: to be said before it is upgraded.
    pub fn comes_from(&mut self, slot: u32, origin: Origin) {
        let conn = self.sessions.id(slot);
        let Some(session) = self.sessions.get_mut(slot) else { return };
        debug_assert_eq!(session.stage, Stage::Http, "a WebSocket stays where it comes from");
        let who = session.who.get_or_insert_default();
        who.origin = origin;
        // One that has moved has its number already.
        if let Some(proofs) = self.proofs.as_ref().filter(|_| origin.owner == 0) {
            who.origin.owner = proofs.owner(conn);
        }
    }

    fn become_socket(&mut self, slot: u32, client: ClientId) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        debug_assert_eq!(session.stage, Stage::Http, "a connection is upgraded once");
        session.stage = Stage::Open;
        session.who.get_or_insert_default().client = Some(client);
    }

    /// What is queued for a connection that is to move has been sent as far as its socket took it. Gives it to the
    /// other shard, and forgets it; one whose socket is full stays, and asks here.
    pub fn depart(&mut self, slot: u32) -> Option<(ShardId, Moving)> {
        let session = self.sessions.get_mut(slot)?;
        let parked = session.parked.take_if(|parked| matches!(**parked, Parked::Move { .. }))?;
        let Parked::Move { to, join } = *parked else { unreachable!("it was looked at") };
        if session.unsent_len() > 0 && !planted::has(Bug::MoveLosesQueue) {
            crate::marks::hit("a full socket that stays");
            self.stay(slot, join);
            return None;
        }
        assert!(session.touched.is_empty() && session.open_requests() == 0, "who moves is known to nobody");
        let session = self.sessions.remove(slot);
        let Who { client, origin, standing } = *session.who.expect("only a WebSocket moves");
        let client = client.expect("only a WebSocket moves");
        crate::marks::hit("a hand-over");
        assert_ne!(to, self.id, "who moves goes to another shard");
        assert!(session.memberships.iter().next().is_none(), "who moves is in no feed");
        self.figures.handovers_out += 1;
        Some((to, Moving { from: self.id, client, origin, join, standing }))
    }

    /// A connection came over from another shard.
    pub(super) fn arrived(&mut self, slot: u32, generation: u32, moving: Moving) -> Next {
        let Moving { from, client, origin, join, standing } = moving;
        assert_ne!(from, self.id, "who arrives comes from another shard");
        self.figures.handovers_in += 1;
        self.sessions.open(slot, generation);
        self.comes_from(slot, origin);
        self.become_socket(slot, client);
        if let Some(who) = self.sessions.get_mut(slot).and_then(|session| session.who.as_mut()) {
            who.standing = standing;
        }
        self.goes_on_until(slot);
        if self.goes_at_once(slot) {
            return Next::ReadOn;
        }
        // The room has become hot while the connection was on its way: it goes back, once, and stays there.
        if let Some(room) = join.as_ref().map(Join::room)
            && self.owner(room.as_str()) == self.id
            && self.hot.is_hot(room.as_str())
            && let Some(session) = self.sessions.get_mut(slot)
        {
            crate::marks::hit("a hand-over that goes back");
            session.parked = Some(Box::new(Parked::Move { to: from, join }));
            return Next::Move;
        }
        self.stay(slot, join);
        Next::ReadOn
    }

    /// The connection stays here: it joins the room that it asked for.
    fn stay(&mut self, slot: u32, join: Option<Join>) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        session.settled = true;
        let room = match join {
            None => return,
            Some(Join::Second { room, since, id }) => return self.join_second(slot, (room, since, id)),
            Some(Join::First(room)) => room,
        };
        if self.take_room(slot, room.as_str()) {
            let owner = self.owner(room.as_str());
            self.ask(slot, owner, Request::Join { room: room.as_str() });
        }
    }
}
