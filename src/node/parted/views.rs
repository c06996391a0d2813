//! What is told of rooms that other shards own, looked through for holes.
//!
//! Invariant: what happens in a room is told in the order of its numbers, within one life of the room; after a hole, or
//! under a new owner, nothing is told before whoever looks at the room has been shown it anew. Never here: full states.

use std::collections::BTreeSet;

use crate::audience::feeds::Feed;
use crate::cluster::names::PartId;
use crate::engine::command::{Caller, Input, Ticket};
use crate::engine::ids::{ConnId, RoomId, ShardId};
use crate::limits::cluster::{COMMAND_AGAIN_MS, EARLY_RETURNS_MAX};
use crate::node::Node;
use crate::node::letters::{Letter, Return};
use crate::node::second::Want;
use crate::node::session::Stage;
use crate::planted::{Bug, has};

impl Node {
    /// These feeds have another owner: who looks at their rooms asks there.
    pub(super) fn look_anew(&mut self, owner: ShardId, is_meant: impl Fn(&Feed) -> bool) {
        let feeds: Vec<u32> = self.feeds.numbered().filter(|(_, feed)| is_meant(feed)).map(|(at, _)| at).collect();
        for feed in feeds {
            self.feeds.get_mut(feed).owner = owner;
            self.lose(feed);
        }
    }

    /// Everybody who looks at a room of which something was missed asks for it. Whether there was one.
    pub(in crate::node) fn mend_lost(&mut self) -> bool {
        let Some(parted) = self.parted.as_mut().filter(|parted| !parted.lost.is_empty()) else { return false };
        let mut first = BTreeSet::new();
        for feed in std::mem::take(&mut parted.lost) {
            let Some(of) = self.feeds.existing(feed) else { continue };
            let room = of.room.clone();
            let members = u32::try_from(of.view.len()).expect("members are bounded");
            first.extend((0..members).map(|at| of.view.slot_at(at)));
            let second: Vec<u32> = of.deltas.iter().flat_map(|deltas| deltas.slots()).collect();
            second.into_iter().for_each(|slot| self.want(slot, Want { room: room.clone(), rejoin: true }));
        }
        first.into_iter().for_each(|slot| self.ask_to_return(slot));
        true
    }

    /// Asks the owners of the rooms that the connection looks at to let it in, as it is, and to show it them.
    pub(in crate::node) fn ask_to_return(&mut self, slot: u32) {
        let conn = self.sessions.id(slot);
        let Some(session) = self.sessions.get(slot).filter(|session| session.stage == Stage::Open) else { return };
        let Some(client) = session.client().cloned() else { return };
        let (origin, identity) = (session.origin(), session.identity().cloned());
        let feeds = session.memberships.iter().map(|membership| (self.feeds.get(membership.feed), membership.at));
        let unknown = feeds.filter(|(feed, at)| feed.is_lost || feed.view.is_skipping(*at));
        let rooms: Vec<_> = unknown.map(|(feed, _)| (feed.room.clone(), feed.owner)).collect();
        let now = self.at.now.mono;
        let Some(parted) = self.parted.as_mut() else { return };
        if rooms.is_empty() {
            parted.returning.remove(&slot);
            return;
        }
        parted.returning.insert(slot, now);
        for (room, owner) in rooms {
            self.figures.resyncs += 1;
            let (client, identity) = (client.clone(), identity.clone());
            let of = Return { conn, client, origin, identity, room };
            if let Some(session) = self.sessions.get_mut(slot) {
                session.touched.insert(owner);
            }
            if owner == self.id {
                self.let_back_in(&of);
            } else {
                self.post.letter(owner, Letter::Return(Box::new(of)));
            }
        }
    }

    /// Who has asked to be shown a room, and was not, asks again.
    pub(super) fn return_again(&mut self) {
        let now = self.at.now.mono;
        let Some(parted) = &self.parted else { return };
        let due = parted.returning.iter().filter(|(_, since)| now.since(**since) >= COMMAND_AGAIN_MS);
        let due: Vec<u32> = due.map(|(slot, _)| *slot).collect();
        due.into_iter().for_each(|slot| self.ask_to_return(slot));
    }

    /// A member of a room that had another owner before is let in as it is.
    pub(in crate::node) fn let_back_in(&mut self, of: &Return) {
        let Return { conn, client, origin, identity, room } = of;
        if !self.decides(room.as_str()) {
            return self.keep_early(of);
        }
        let (ticket, identity) = (Ticket::default(), identity.as_ref());
        let caller = Caller { conn: *conn, client, origin: *origin, ticket, identity };
        self.decide(Input::Return { caller, room: room.as_str() });
    }

    /// A member asks to be let in where its room is about to be served, or not at this moment: it is when it is.
    fn keep_early(&mut self, of: &Return) {
        let Some(parted) = self.parted.as_mut() else { return };
        let is_home = parted.home_of(of.room.as_str()) == self.id;
        if !is_home || parted.early.len() >= EARLY_RETURNS_MAX || has(Bug::AsksUnshown) {
            // It asks again.
            return;
        }
        crate::marks::hit("somebody who returns before the rooms are served");
        parted.early.insert((of.conn, of.room.clone()), of.clone());
    }

    /// Rooms of the part are served from now on.
    pub(super) fn let_in_early(&mut self, part: PartId) {
        let Some(parted) = self.parted.as_mut() else { return };
        let spread = parted.link.spread();
        let is_of = |(_, room): &(ConnId, RoomId), _: &mut Return| spread.part_of(room.as_str()) == Some(part.0);
        let early: Vec<Return> = parted.early.extract_if(.., is_of).map(|(_, of)| of).collect();
        early.iter().for_each(|of| self.let_back_in(of));
    }

    /// Whether the connection looks at the room and has not been shown it since its owner changed, or something was
    /// missed. Until then it asks for nothing there: the answer would stand before what it follows from.
    pub(super) fn is_unshown(&self, slot: u32, room: &str) -> bool {
        let is_asked = self.parted.as_ref().is_some_and(|parted| parted.returning.contains_key(&slot));
        if !is_asked || has(Bug::AsksUnshown) {
            return false;
        }
        let feed = self.feeds.find(room);
        let member = feed.and_then(|feed| self.sessions.get(slot)?.memberships.find(feed));
        member.is_some_and(|member| {
            let of = self.feeds.get(member.feed);
            of.is_lost || of.view.is_skipping(member.at)
        })
    }
}
