//! What a shard knows of parts, of requests without answers and of what was told of rooms: looked at and noted down,
//! without deciding anything.
//!
//! Invariants: what is answered was asked, and is answered once; what happens in a room is told in the order of its
//! numbers, within one life of the room. Never here: who is asked, and when.

use crate::audience::deltas::Mode;
use crate::cluster::names::PartId;
use crate::engine::command::{Change, Effect, Ticket, Told};
use crate::engine::ids::{ConnId, Epoch};
use crate::node::Node;
use crate::node::letters::Letter;
use crate::persist::parts::PartAck;
use crate::planted::{Bug, has};

use super::waiting::Waiting;

/// The request that an effect answers.
fn answers(effect: &Effect) -> Option<Ticket> {
    let asker = match effect {
        Effect::Joined { to, .. } | Effect::Left { to, .. } | Effect::Again { to, .. } | Effect::Refused { to, .. } => {
            *to
        }
        Effect::Entered(entered) => entered.to,
        Effect::Synced(synced) => synced.to,
        Effect::Resumed(resumed) => resumed.to,
        Effect::Cart(told) => match told.to {
            Told::Asker(asker, _) => asker,
            Told::Conn(_) => return None,
        },
        Effect::Change(change) => return change.answers,
        Effect::Snapshot { .. } | Effect::Superseded { .. } | Effect::Api(_) | Effect::Keep(_) | Effect::Room(_) => {
            return None;
        }
    };
    Some(asker.ticket)
}

impl Node {
    /// Whether this shard decides about the room now.
    #[must_use]
    pub fn decides(&self, room: &str) -> bool {
        let Some(parted) = &self.parted else { return true };
        let part = parted.part_of(room);
        parted.owners[part.index()] == Some(self.id) && parted.link.may_decide(part, self.at.now.mono)
    }

    /// Whether another node may own rooms of this shard by now, which has not heard of it.
    pub(in crate::node) fn may_be_deposed(&self) -> bool {
        let (own, now) = (Some(self.id), self.at.now.mono);
        let is_over = |parted: &super::Parted| {
            let all = (0..).map(PartId).zip(&parted.owners);
            all.filter(|(_, owner)| **owner == own).any(|(part, _)| !parted.link.may_decide(part, now))
        };
        self.parted.as_deref().is_some_and(is_over) && !has(Bug::DeposedTells)
    }

    /// A request about a room that this shard does not decide about: whoever asked asks again.
    pub(in crate::node) fn send_back(&mut self, conn: ConnId, ticket: Ticket) {
        if conn.shard() == self.id {
            return self.not_mine(conn, ticket);
        }
        self.post.letter(conn.shard(), Letter::NotMine { conn, ticket });
    }

    pub(super) fn ack(&self, ack: PartAck) {
        if let Some(parted) = &self.parted {
            parted.link.ack(ack);
        }
    }

    /// Tells which parts are stored as they were left.
    pub(in crate::node) fn settle_parts(&mut self) {
        let safe = self.saving.as_ref().map_or(u64::MAX, |saving| saving.safe);
        let Some(parted) = self.parted.as_mut() else { return };
        for (part, fence, _) in parted.settling.extract_if(.., |(_, _, needed)| *needed <= safe) {
            parted.link.leave(part, self.seats.lives_of(part.0));
            parted.link.ack(PartAck::Settled { part, fence });
        }
    }

    /// What was decided about parts that are being given away is undone: they are settled when the store knows that.
    pub(in crate::node) fn settle_later(&mut self) {
        let needed = self.saving.as_ref().map_or(0, crate::node::saving::Saving::needed);
        if let Some(parted) = self.parted.as_mut() {
            parted.settling.iter_mut().for_each(|(_, _, of)| *of = needed);
        }
    }

    /// Whether the effect answers nothing, or what the connection waits for.
    pub(in crate::node) fn is_awaited(&self, slot: u32, effect: &Effect) -> bool {
        answers(effect).is_none_or(|ticket| self.awaits(slot, ticket))
    }

    /// Whether this is the request of the connection that is to be answered next.
    pub(in crate::node) fn awaits(&self, slot: u32, ticket: Ticket) -> bool {
        let Some(parted) = &self.parted else { return true };
        let first = parted.waiting.get(&slot).and_then(|queue| queue.front());
        // What is to be asked again is answered by whoever is asked then.
        let is_asked =
            |waiting: &Waiting| waiting.asked.is_some_and(|(shard, _)| self.may_be_by(shard)) || has(Bug::LateAnswer);
        first.is_some_and(|waiting| waiting.command.ticket == ticket && is_asked(waiting))
    }

    /// The request that was to be answered next is answered.
    pub(in crate::node) fn no_longer_waits(&mut self, slot: u32, ticket: Ticket) {
        let generation = self.sessions.generation(slot);
        let Some(parted) = self.parted.as_mut() else { return };
        let Some(queue) = parted.waiting.get_mut(&slot) else { return };
        let first = queue.pop_front();
        let own_shards = parted.link.spread().shards();
        if let Some(ns) = first.as_ref().and_then(|first| first.forwarded_ns(own_shards, self.at.ns)) {
            self.figures.forwarded.record(ns, 1);
        }
        assert!(first.is_some_and(|first| first.command.ticket == ticket), "answers come in the order of requests");
        if queue.is_empty() {
            parted.waiting.remove(&slot);
        } else {
            parted.pumps.push((slot, generation));
        }
    }

    /// The connection has ended.
    pub(in crate::node) fn waits_no_more(&mut self, slot: u32) {
        if let Some(parted) = self.parted.as_mut() {
            parted.waiting.remove(&slot);
            parted.returning.remove(&slot);
        }
        let conn = self.sessions.id(slot);
        self.not_let_in(|of| of == conn);
    }

    /// The request was not decided: it is asked again at the next tick.
    pub(in crate::node) fn not_mine(&mut self, conn: ConnId, ticket: Ticket) {
        let Some(slot) = self.sessions.find(conn) else { return };
        let Some(queue) = self.parted.as_mut().and_then(|parted| parted.waiting.get_mut(&slot)) else { return };
        let mut from_it = queue.iter_mut().skip_while(|waiting| waiting.command.ticket != ticket);
        from_it.next().into_iter().for_each(|waiting| waiting.asked = None);
        // What stands behind it would be answered before it.
        from_it.for_each(Waiting::is_behind);
        crate::marks::hit("a request that its owner does not decide");
    }

    /// Whether the change is the next one of its room here. One that is not is not told.
    pub(in crate::node) fn follows(&mut self, feed: u32, change: &Change) -> bool {
        if self.parted.is_none() {
            return true;
        }
        if !self.may_be_by(self.feeds.get(feed).owner) {
            crate::marks::hit("something that a former owner tells");
            return false;
        }
        let (own, of) = (self.id, self.feeds.get_mut(feed));
        let next = Some((change.epoch, change.seq));
        match of.at {
            _ if of.is_lost => false,
            Some((epoch, seq)) if epoch == change.epoch && seq + 1 == change.seq => {
                of.at = next;
                true
            }
            // It has been told, or was a former owner's.
            Some((epoch, seq)) if epoch == change.epoch && change.seq <= seq => false,
            // Nobody was shown the room here: what happens in a room of this shard is kept for those who will be.
            None if of.owner == own => {
                of.at = next;
                true
            }
            Some(_) | None => {
                crate::marks::hit("a hole in a room");
                self.lose(feed);
                false
            }
        }
    }

    /// The owner of the room shows somebody here where that stands. After a loss: whether it goes on where it was known
    /// is told to all, and if not they are not told anything before each has been shown the room.
    pub(in crate::node) fn shown_at(&mut self, room: &str, at: (Epoch, u64)) {
        if self.parted.is_none() {
            return;
        }
        let Some(feed) = self.feeds.find(room) else { return };
        let of = self.feeds.get_mut(feed);
        let goes_on = !of.is_lost || of.at == Some(at);
        (of.at, of.is_lost) = (Some(at), false);
        if goes_on {
            return;
        }
        crate::marks::hit("a room that does not go on where it was");
        let members = u32::try_from(of.view.len()).expect("members are bounded");
        for member in 0..members {
            let slot = self.feeds.get(feed).view.slot_at(member);
            self.keep_owed(slot, feed);
            self.feeds.get_mut(feed).view.skip(member);
        }
        let of = self.feeds.get_mut(feed);
        if let Some(deltas) = of.deltas.as_mut() {
            deltas.renew(at.0, at.1, self.rules.second.ring_max);
        }
        self.feeds.weigh(feed);
        self.feeds.weigh_history(feed);
    }

    /// Whether a member of the second protocol knows the room as it stands here, so that it need not be told again.
    pub(in crate::node) fn knows_all(&self, slot: u32, room: &str, at: (Epoch, u64)) -> bool {
        let Some(feed) = self.feeds.find(room).filter(|_| self.parted.is_some()) else { return false };
        let second = self.sessions.get(slot).and_then(|session| session.second());
        let Some(member) = second.and_then(|second| second.members.find(feed)) else { return false };
        let deltas = self.feeds.get(feed).deltas.as_ref();
        deltas.is_some_and(|deltas| {
            (deltas.history().epoch(), deltas.history().seq()) == at && deltas.mode(member.at) != Mode::Waiting
        })
    }

    /// What is known of the room here may not be what it is: everybody who looks at it asks.
    pub(super) fn lose(&mut self, feed: u32) {
        let Some(parted) = self.parted.as_mut() else { return };
        parted.lost.push(feed);
        self.figures.room_holes += 1;
        self.feeds.get_mut(feed).is_lost = true;
    }

    /// These connections have ended, or their nodes have.
    pub(in crate::node) fn not_let_in(&mut self, is_gone: impl Fn(ConnId) -> bool) {
        if let Some(parted) = self.parted.as_mut() {
            parted.early.retain(|(conn, _), _| !is_gone(*conn));
        }
    }

    /// The connection was shown a room, or has to wait for that as those do who read too slowly: what it has asked for
    /// may go on.
    pub(in crate::node) fn asks_on(&mut self, slot: u32) {
        let generation = self.sessions.generation(slot);
        if let Some(parted) = self.parted.as_mut().filter(|parted| parted.waiting.contains_key(&slot)) {
            parted.pumps.push((slot, generation));
        }
    }

    /// There is no memory for what the connection is to be shown: it waits for its turn.
    pub(in crate::node) fn shown_later(&mut self, slot: u32) {
        if let Some(parted) = self.parted.as_mut() {
            parted.returning.remove(&slot);
        }
        self.asks_on(slot);
    }
}
