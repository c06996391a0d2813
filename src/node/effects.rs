//! Who is told what: an effect becomes frames on the shard where it is read.
//!
//! Invariants: an actor's own frame stands where its event stands in the room's order; every answer names the request
//! that it answers. Never here: decisions; how bytes leave.

use std::sync::Arc;

use super::Node;
use super::full_state::Got;
use super::letters::Letter;
use super::proofs::Proof;
use super::session::Membership;
use crate::audience::full_states::Captured;
use crate::audience::outbox::Kind;
use crate::engine::command::{
    Asker, Change, ChangeKind, Effect, Reject, ReleaseReason, RequestType, SeatStatus, Ticket, Told,
};
use crate::engine::ids::{ConnId, RoomId, SeatId};
use crate::figures::shard::Command as Counted;
use crate::planted::{self, Bug};
use crate::wire::code::{self, Code};
use crate::wire::message::{self, Refused};

impl Node {
    /// Tells whom an effect concerns, here or by letter.
    pub(super) fn tell(&mut self, effect: Effect, captured: Option<Captured>) {
        let to = match &effect {
            Effect::Change(change) => return self.announce(change),
            Effect::Joined { to, room, members, .. } => {
                self.figures.count(Counted::Join, Ok(()));
                self.hot.set_hot(room.as_str(), *members >= self.rules.hot_room_members);
                to.conn
            }
            Effect::Left { to, .. } => {
                self.figures.count(Counted::Leave, Ok(()));
                to.conn
            }
            Effect::Again { to, .. } => {
                self.figures.count(Counted::Select, Ok(()));
                to.conn
            }
            Effect::Refused { to, reject, request, .. } => {
                self.figures.count((*request).into(), Err((*reject).into()));
                to.conn
            }
            Effect::Snapshot { to, .. } => *to,
            Effect::Api(_) => return self.answer_backend(effect),
            Effect::Entered(entered) => {
                self.figures.count(Counted::Join, Ok(()));
                self.hot.set_hot(entered.room.as_str(), entered.members >= self.rules.hot_room_members);
                entered.to.conn
            }
            Effect::Synced(synced) => synced.to.conn,
            Effect::Resumed(resumed) => resumed.to.conn,
            Effect::Cart(told) => told.to.conn(),
            Effect::Superseded { conn } => *conn,
            Effect::Room(news) => return self.tell_room((**news).clone()),
            Effect::Keep(_) => return crate::marks::hit("an effect for the store alone"),
        };
        if to.shard() == self.id {
            return self.answered(to, effect, captured);
        }
        self.post.letter(to.shard(), Letter::Answer { to, effect: Box::new(effect), captured });
    }

    /// The shop's backend is answered: by this shard's shell, whoever it asked.
    fn answer_backend(&mut self, effect: Effect) {
        let Effect::Api(answer) = effect else { unreachable!("the caller has looked") };
        if !self.answer_afar(answer.to, &answer.answer) {
            self.api_answers.push(*answer);
        }
    }

    /// Whom an answer is for, unless that has gone. Whose session goes on elsewhere is about to be closed: what it has
    /// asked since it was told so is not answered any more.
    fn who_gets(&self, to: ConnId, effect: &Effect) -> Option<u32> {
        let slot = self.sessions.find(to).filter(|&slot| self.is_awaited(slot, effect))?;
        (!self.superseded.contains(&(slot, self.sessions.generation(slot)))).then_some(slot)
    }

    /// An answer has reached the shard of its connection.
    pub(super) fn answered(&mut self, to: ConnId, effect: Effect, captured: Option<Captured>) {
        let Some(slot) = self.who_gets(to, &effect) else { return crate::marks::hit("an answer that finds nobody") };
        if let Effect::Superseded { .. } = effect {
            crate::marks::hit("a session that goes on elsewhere");
            return self.superseded.push((slot, self.sessions.generation(slot)));
        }
        if self.sessions.get(slot).is_some_and(|session| session.second().is_some()) {
            if let Some(Asker { ticket, .. }) = self.second_answered(slot, effect, captured) {
                self.request_done(slot, ticket);
            }
            return;
        }
        if let Effect::Cart(told) = &effect {
            debug_assert!(matches!(told.to, Told::Conn(_)), "no request of version 1 is answered with a cart");
            // Version 1 has no carts: every change of one is told seat by seat. Nothing is queued here, so nothing
            // that it is owed may be moved: it would wait until something else is queued.
            return crate::marks::hit("a cart that version 1 is not told");
        }
        self.take_owed(slot);
        let now = self.at.now.wall;
        let asker = match effect {
            Effect::Joined { to, client, room, seq, epoch, .. } => {
                let has_state = captured.as_ref().is_some_and(|captured| !captured.is_deferred);
                let feed = self.enter_at(slot, &room, (epoch, seq), has_state);
                let got = Got { feed, epoch, seq, at: self.at.now.mono, is_asked_again: false };
                let captured = self.unless_known(slot, got, captured);
                let seq = captured.as_ref().map_or(seq, |captured| captured.seq);
                let resume = self.proof(slot);
                self.write(slot, Kind::Reply, |out| {
                    message::room_joined(
                        out,
                        room.as_str(),
                        client.as_str(),
                        seq,
                        epoch,
                        now,
                        resume.as_ref().map(Proof::as_str),
                    );
                });
                self.write_state(slot, Kind::Reply, captured);
                to
            }
            Effect::Left { to, client, room } => {
                self.leave(slot, &room);
                self.write(slot, Kind::Reply, |out| message::room_left(out, room.as_str(), client.as_str()));
                to
            }
            Effect::Snapshot { room, seq, epoch, .. } => return self.caught_up(slot, &room, (epoch, seq), captured),
            Effect::Again { to, client, room, seat, seq, expires_at, .. } => {
                self.write(slot, Kind::Reply, |out| {
                    message::selected_again(out, room.as_str(), seat.as_str(), client.as_str(), seq, expires_at);
                });
                to
            }
            Effect::Refused { to, reject, request, room, seat, details: _ } => {
                self.write_refusal(slot, (reject, request), &room, seat.as_ref());
                to
            }
            Effect::Change(_)
            | Effect::Entered(_)
            | Effect::Synced(_)
            | Effect::Resumed(_)
            | Effect::Cart(_)
            | Effect::Superseded { .. }
            | Effect::Api(_)
            | Effect::Keep(_)
            | Effect::Room(_) => unreachable!("it is no answer to one v1 connection alone"),
        };
        let Asker { conn, ticket } = asker;
        debug_assert_eq!(conn, to, "an answer reaches who has asked");
        self.request_done(slot, ticket);
    }

    fn write_refusal(
        &mut self,
        slot: u32,
        (reject, request): (Reject, RequestType),
        room: &RoomId,
        seat: Option<&SeatId>,
    ) {
        if request == RequestType::Join {
            self.sessions.get_mut(slot).expect("the caller found it").free_room();
        }
        let (code, request, now) = (Code::from(reject), message::request_type_name(request), self.at.now.wall);
        let (room, seat) = (Some(room.as_str()), seat.map(SeatId::as_str));
        let refused = Refused { code, message: code::reject_text(reject), room, seat, request_type: Some(request) };
        self.write(slot, Kind::Reply, |out| message::refused(out, &refused, now, code::retry_after_ms(reject)));
    }

    /// The request with this ticket has been answered.
    fn request_done(&mut self, slot: u32, ticket: Ticket) {
        let generation = self.sessions.generation(slot);
        let Some(session) = self.sessions.get_mut(slot) else { return };
        session.answered(ticket);
        self.no_longer_waits(slot, ticket);
        let Some(session) = self.sessions.get_mut(slot) else { return };
        if session.open_requests() == 0 && session.second().is_some_and(|second| !second.wants().is_empty()) {
            self.go_on.push((slot, generation));
        }
        let Some(session) = self.sessions.get_mut(slot) else { return };
        if session.parked.is_none() {
            self.read_on(slot);
        } else if session.open_requests() == 0 {
            self.unparks.push((slot, generation));
        }
    }

    /// A seat changed hands: every shard with members is told, and that of the actor.
    fn announce(&mut self, change: &Arc<Change>) {
        self.count_change(change);
        self.happened(change);
        let mut others = change.audience;
        if let Some(actor) = change.actor {
            others.insert(actor.shard());
        }
        others.remove(self.id);
        if !others.is_empty() {
            others.iter().for_each(|shard| self.post.change(shard, change));
        }
    }

    fn count_change(&mut self, change: &Change) {
        match &change.kind {
            ChangeKind::Selected { was: SeatStatus::Free, status: SeatStatus::Held, .. } => {
                self.figures.count(Counted::Select, Ok(()));
            }
            ChangeKind::Selected { .. } => {}
            ChangeKind::Released { reason: ReleaseReason::Released } => {
                self.figures.count(Counted::Release, Ok(()));
            }
            ChangeKind::Released { .. } => {}
        }
    }

    /// A seat changed hands: feeds those who look at the room from here, and the actor gets its own frame in the place
    /// of theirs.
    pub(super) fn happened(&mut self, change: &Arc<Change>) {
        let actor = change.actor.filter(|actor| actor.shard() == self.id).and_then(|actor| self.sessions.find(actor));
        let feed = self.feed_for(actor, change.room.as_str());
        // Whose hold has run out hears of it with everybody: who knew before would have the seat again before anybody
        // else.
        let actor = actor.filter(|&slot| !(has_run_out(change) && self.is_member(slot, feed)));
        let is_next = feed.is_some_and(|feed| self.follows(feed, change));
        let actor = actor.filter(|&slot| self.may_tell(slot, feed, change, is_next));
        if let Some(slot) = actor {
            self.take_owed(slot);
        }
        if let Some(feed) = feed.filter(|_| is_next) {
            self.feed(feed, change);
        }
        let Some(slot) = actor else { return };
        let session = self.sessions.get(slot).expect("found above");
        if let Some(Membership { feed, at }) = feed.and_then(|feed| session.memberships.find(feed)) {
            self.feeds.get_mut(feed).view.settle(at);
        }
        self.write(slot, Kind::Reply, |out| message::change_for_actor(out, change));
        let session = self.sessions.get(slot).expect("found above");
        let guess = (planted::has(Bug::GuessedAnswer) && session.open_requests() > 0).then_some(session.open);
        if let Some(ticket) = change.answers.or(guess) {
            self.request_done(slot, ticket);
        }
    }

    /// Whether its owner's change of a seat may be told to the connection in front of others: it answers what was
    /// asked, or a member has missed nothing before it.
    fn may_tell(&self, slot: u32, feed: Option<u32>, change: &Change, is_next: bool) -> bool {
        if let Some(ticket) = change.answers {
            return self.awaits(slot, ticket);
        }
        self.parted.is_none() || is_next || !self.is_member(slot, feed)
    }

    fn is_member(&self, slot: u32, feed: Option<u32>) -> bool {
        let session = self.sessions.get(slot).expect("the caller found it");
        feed.is_some_and(|feed| session.memberships.find(feed).is_some())
    }

    fn feed(&mut self, index: u32, change: &Arc<Change>) {
        let share = self.rules.share;
        let log_bytes = self.bounds.log_bytes;
        let lag_bytes = self.fair_log_bytes(self.bounds.queue_bytes.min(log_bytes));
        let feed = self.feeds.get_mut(index);
        debug_assert_eq!(feed.room, change.room, "a feed is fed with its own room");
        feed.held = change.held as usize;
        if let Some(ring) = &mut feed.ring {
            ring.push(change);
        }
        if let Some(deltas) = &mut feed.deltas {
            let follows = deltas.push(change);
            self.figures.deliveries += deltas.len() as u64;
            if !follows {
                self.mapless.push((index, false));
            }
            self.feeds.weigh_history(index);
            self.feeds.schedule_tick(index, self.at.ns);
        }
        let feed = self.feeds.get_mut(index);
        if feed.view.is_empty() {
            return;
        }
        let deliveries = feed.view.len() as u64;
        self.figures.deliveries += deliveries;
        let is_long = feed.view.append(lag_bytes, |log| message::change_for_members(log, change, share));
        // The bound itself holds however little has come since the laggards were looked for.
        if is_long || feed.view.log_len() > log_bytes {
            self.drop_laggards(index);
        }
        self.feeds.ask_for(deliveries, self.at.ns);
        self.feeds.schedule(index, self.at.ns);
    }
}

fn has_run_out(change: &Change) -> bool {
    matches!(change.kind, ChangeKind::Released { reason: ReleaseReason::Expired })
}
