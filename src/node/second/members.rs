//! Who looks at a room with the second protocol, and what of its map they still need.
//!
//! Invariants: a member and its feed name each other; a member that waits for the map of its room is being given it, or
//! that is going to be asked for. Never here: how deltas leave (see `ticks`).

use std::sync::Arc;

use super::Want;
use crate::audience::deltas::{GoesOn, Mode};
use crate::audience::full_states::Captured;
use crate::audience::maps::What;
use crate::audience::outbox::Kind;
use crate::audience::shared::Shared;
use crate::engine::command::{Effect, Entered, Position, RoomChanged, RoomNews};
use crate::engine::ids::RoomId;
use crate::limits::ROOM_RING_KEPT_MS;
use crate::node::Node;
use crate::node::letters::Letter;
use crate::node::session::{Membership, Session};
use crate::planted::{self, Bug};
use crate::wire::v2::{map, write};

impl Node {
    /// What a client is told with `room_joined`: what has changed since it was there, or the map.
    pub(in crate::node) fn capture_entered(&mut self, entered: &Entered) -> Captured {
        let since = self.capture_since(entered);
        since.unwrap_or_else(|| self.capture_map(&entered.room, entered.at))
    }

    /// What an effect that waited for the store is told with: what was captured when it was decided, unless what has
    /// changed since its client was there says the same.
    pub(in crate::node) fn told_now(&mut self, effect: &Effect, captured: Option<Captured>) -> Option<Captured> {
        let Effect::Entered(entered) = effect else { return captured };
        self.capture_since(entered).or(captured)
    }

    fn capture_since(&mut self, entered: &Entered) -> Option<Captured> {
        let (now, at) = (self.at.now.mono, (entered.at.epoch, entered.at.seq));
        let feed = self.feeds.remember(&entered.room, self.id, at, self.rules.second.ring_max);
        self.feeds.get_mut(feed).deltas_used = now;
        let frame = self.delta_since(feed, &entered.room, at, entered.since?)?;
        Some(Captured { since: frame.bytes().to_vec(), ..Captured::now(at.1, None) })
    }

    /// The map of a room as it is now.
    pub(in crate::node) fn capture_map(&mut self, room: &RoomId, at: Position) -> Captured {
        Captured::now(at.seq, self.room_map(room, at))
    }

    fn delta_since(
        &mut self,
        feed: u32,
        room: &RoomId,
        at: (crate::engine::ids::Epoch, u64),
        since: Position,
    ) -> Option<Arc<Shared>> {
        let now = self.at.now.mono;
        let history = self.feeds.get(feed).deltas.as_ref()?.history();
        if (history.epoch(), history.seq()) != at {
            return None;
        }
        if since.epoch == at.0
            && let Some(same) = self.maps.find(room, at, What::Since(since.seq), now)
        {
            crate::marks::hit("a delta for several who come back");
            return Some(same);
        }
        let mut frame = Vec::new();
        history.write_since(&mut frame, room.as_str(), since.epoch, since.seq)?;
        let bytes = self.full_states.share(frame);
        self.maps.keep(room, at, What::Since(since.seq), &bytes, now);
        Some(bytes)
    }

    /// The map of a room, encoded once for all who need the same.
    pub(in crate::node) fn room_map(&mut self, room: &RoomId, at: Position) -> Option<Arc<Shared>> {
        let (now, moment) = (self.at.now.mono, (at.epoch, at.seq));
        if let Some(same) = self.maps.find(room, moment, What::Map, now) {
            crate::marks::hit("a map for several");
            return Some(same);
        }
        let members = if let Some(hall) = self.seats.hall(room.as_str()) {
            map::map_of_states(room.as_str(), moment, hall.states().bytes())
        } else {
            let state = self.seats.selections(room.as_str());
            let taken = state.iter().flat_map(|state| state.iter());
            let taken = taken.map(|selection| (selection.seat.as_str(), selection.status.map_state()));
            map::map_of_seats(room.as_str(), moment, taken)
        };
        let bytes = self.full_states.share(members);
        self.maps.keep(room, moment, What::Map, &bytes, now);
        Some(bytes)
    }

    /// The map as the connection wants it: packed once for all of this shard who want the same so.
    pub(super) fn as_wished(&mut self, slot: u32, (room, at): (&RoomId, Position), map: Arc<Shared>) -> Arc<Shared> {
        let session = self.sessions.get(slot);
        if !session.and_then(|session| session.second()).is_some_and(|second| second.packs) {
            return map;
        }
        let (now, moment) = (self.at.now.mono, (at.epoch, at.seq));
        if let Some(same) = self.maps.find(room, moment, What::Packed, now) {
            return same;
        }
        let Some(packed) = map::packed(map.bytes()) else { return map };
        let bytes = self.full_states.share(packed);
        self.maps.keep(room, moment, What::Packed, &bytes, now);
        bytes
    }

    /// The connection is a member of the room from here on, and knows it up to `knows`; or it waits for its map.
    pub(super) fn enter_second(&mut self, slot: u32, room: &RoomId, at: Position, knows: bool) {
        let owner = self.owner(room.as_str());
        let feed = self.feeds.remember(room, owner, (at.epoch, at.seq), self.rules.second.ring_max);
        self.shown_at(room.as_str(), (at.epoch, at.seq));
        let seq = knows.then_some(at.seq);
        let session = self.sessions.get_mut(slot).expect("the caller found it");
        let known = session.second().and_then(|second| second.members.find(feed));
        if let Some(Membership { at: index, .. }) = known {
            // It was a member already: the place that its request took is free again.
            session.free_room();
            if let (Some(seq), Some(deltas)) = (seq, self.feeds.get_mut(feed).deltas.as_mut()) {
                deltas.knows(index, seq);
            }
        } else {
            let deltas = self.feeds.get_mut(feed).deltas.as_mut().expect("it was made above");
            let index = deltas.add(slot, seq);
            let session = self.sessions.get_mut(slot).expect("the caller found it");
            let second = session.second_mut().expect("the caller knows that it has one");
            second.members.insert(Membership { feed, at: index });
        }
        if knows {
            self.go_on_from(slot, feed);
        }
        self.feeds.schedule_tick(feed, self.at.ns);
        if !knows {
            self.want(slot, Want { room: room.clone(), rejoin: false });
        }
    }

    /// The map that a member has just been given is true up to here.
    pub(super) fn knows_map(&mut self, slot: u32, room: &RoomId, seq: u64) {
        let Some(feed) = self.feeds.find(room.as_str()) else { return };
        let Some(Membership { at, .. }) = self.second_membership(slot, feed) else { return };
        if let Some(deltas) = self.feeds.get_mut(feed).deltas.as_mut() {
            deltas.knows(at, seq);
        }
        self.go_on_from(slot, feed);
        self.feeds.schedule_tick(feed, self.at.ns);
    }

    fn second_membership(&self, slot: u32, feed: u32) -> Option<Membership> {
        self.sessions.get(slot)?.second()?.members.find(feed)
    }

    /// The connection is no member of the room any more, if it was one.
    pub(super) fn leave_second(&mut self, slot: u32, room: &RoomId) {
        let Some(feed) = self.feeds.find(room.as_str()) else { return };
        let Some(membership) = self.second_membership(slot, feed) else { return };
        let session = self.sessions.get_mut(slot).expect("it is a member");
        session.free_room();
        let second = session.second_mut().expect("it is a member");
        second.members.remove(feed);
        if let Some(busy) = second.busy.as_mut() {
            busy.wants.retain(|want| want.room != *room);
            second.settle();
        }
        self.leave_deltas(membership);
    }

    /// Takes a member out of a feed and tells the one that moved where it is now.
    pub(in crate::node) fn leave_deltas(&mut self, Membership { feed, at }: Membership) {
        let now = self.at.now.mono;
        let of = self.feeds.get_mut(feed);
        of.deltas_used = now;
        let (owner, deltas) = (of.owner, of.deltas.as_mut().expect("it has a member"));
        let (moved, is_empty) = (deltas.remove(at), deltas.is_empty());
        if let Some(moved) = moved {
            let session = self.sessions.get_mut(moved.slot).expect("a member has a session");
            session.second_mut().expect("it is a member").members.moved(feed, moved.index);
        }
        // The owner remembers what happens for those who come back.
        if is_empty && owner != self.id {
            self.feeds.forget(feed);
        }
    }

    /// The connection has ended: it is in no room.
    pub(in crate::node) fn leave_all_second(&mut self, slot: u32) {
        let Some(second) = self.sessions.get_mut(slot).and_then(|session| session.second_mut()) else { return };
        let members = std::mem::take(&mut second.members);
        second.busy = None;
        members.iter().for_each(|membership| self.leave_deltas(membership));
    }

    /// Nothing is queued for the connection any more: where it was behind it goes on.
    pub(in crate::node) fn second_drained(&mut self, slot: u32) {
        let mut index = 0;
        while let Some(Membership { feed, at }) =
            self.sessions.get(slot).and_then(|session| session.second()?.members.nth(index))
        {
            index += 1;
            self.tell_missed(slot, feed, at);
            self.feeds.schedule_tick(feed, self.at.ns);
        }
    }

    /// The member has been given the map, or what it missed: what everybody has been told meanwhile goes behind that.
    fn go_on_from(&mut self, slot: u32, feed: u32) {
        let Some(Membership { at, .. }) = self.second_membership(slot, feed) else { return };
        let deltas = self.feeds.get(feed).deltas.as_ref();
        if deltas.is_some_and(|deltas| deltas.mode(at) == Mode::Behind) {
            self.tell_missed(slot, feed, at);
        }
    }

    fn tell_missed(&mut self, slot: u32, feed: u32, at: u32) {
        let of = self.feeds.get_mut(feed);
        let Some(deltas) = of.deltas.as_mut() else { return };
        match deltas.drained(at, of.room.as_str()) {
            GoesOn::Served => {}
            GoesOn::Delta(frame) => {
                crate::marks::hit("a delta for one who was behind");
                self.write(slot, Kind::Reply, |out| out.extend_from_slice(&frame));
            }
            GoesOn::Map => {
                let room = of.room.clone();
                self.want(slot, Want { room, rejoin: false });
            }
        }
    }

    /// Something is to be asked for the connection, as soon as that may be.
    pub(in crate::node) fn want(&mut self, slot: u32, want: Want) {
        let generation = self.sessions.generation(slot);
        let Some(second) = self.sessions.get_mut(slot).and_then(|session| session.second_mut()) else { return };
        // To be told all about a room again brings its map, too.
        let is_wanted = second.wants().iter().any(|of| of.room == want.room && of.rejoin >= want.rejoin);
        if !is_wanted {
            let busy = second.busy();
            busy.wants.retain(|of| of.room != want.room);
            busy.wants.push(want);
        }
        self.go_on.push((slot, generation));
    }

    /// What had to wait until something else was answered may be asked for now.
    pub(in crate::node) fn go_on_wanting(&mut self, slot: u32) {
        let wants = |session: &Session| session.second().is_some_and(|second| !second.wants().is_empty());
        if self.sessions.get(slot).is_some_and(wants) {
            self.go_on.push((slot, self.sessions.generation(slot)));
        }
    }

    /// Everybody in the room who waits for its map gets it, as soon as that may be.
    pub(in crate::node) fn want_maps(&mut self, feed: u32, rejoin: bool) {
        let Some(of) = self.feeds.existing(feed) else { return };
        let room = of.room.clone();
        if planted::has(Bug::MapNotAsked) {
            return;
        }
        let waiting: Vec<u32> = of.deltas.iter().flat_map(|deltas| deltas.waiting()).collect();
        waiting.into_iter().for_each(|slot| self.want(slot, Want { room: room.clone(), rejoin }));
    }

    /// Something about a room as a whole: every shard with members is told.
    pub(in crate::node) fn tell_room(&mut self, news: RoomNews) {
        for shard in news.audience.iter().filter(|&shard| shard != self.id) {
            self.post.letter(shard, Letter::Room(Box::new(news.clone())));
        }
        self.room_news(&news);
    }

    /// The same, where the members are.
    pub(in crate::node) fn room_news(&mut self, news: &RoomNews) {
        let Some(feed) = self.feeds.find(news.room.as_str()) else { return };
        let of = self.feeds.get(feed);
        let members: Vec<u32> = of.deltas.iter().flat_map(|deltas| deltas.slots()).collect();
        let room = news.room.as_str();
        match &news.what {
            RoomChanged::Sale { sale, message } => {
                for slot in members {
                    self.write(slot, Kind::Reply, |out| {
                        write::room_state(out, room, sale.word(), message.as_deref());
                    });
                }
            }
            RoomChanged::Renewed { at } => {
                let ring_max = self.rules.second.ring_max;
                let of = self.feeds.get_mut(feed);
                of.at = of.at.filter(|_| of.is_lost).or(Some((at.epoch, at.seq)));
                if let Some(deltas) = self.feeds.get_mut(feed).deltas.as_mut() {
                    deltas.renew(at.epoch, at.seq, ring_max);
                }
                self.feeds.weigh_history(feed);
                self.want_maps(feed, true);
                self.show_first_anew(feed);
            }
            RoomChanged::Deleted => {
                for slot in members {
                    self.write(slot, Kind::Reply, |out| write::room_state(out, room, "deleted", None));
                    self.leave_second(slot, &news.room);
                }
                self.end_first_memberships(&news.room);
            }
        }
    }

    /// Forgets what nobody will need who comes back: once in a while.
    pub(in crate::node) fn tidy_deltas(&mut self) {
        let now = self.at.now.mono;
        self.maps.tidy(now);
        let is_over = |feed: &crate::audience::feeds::Feed| {
            let is_empty = feed.deltas.as_ref().is_some_and(|deltas| deltas.is_empty());
            is_empty && now.since(feed.deltas_used) >= ROOM_RING_KEPT_MS
        };
        if now.since(self.deltas_tidied) < crate::limits::MAP_KEPT_MS {
            return;
        }
        self.deltas_tidied = now;
        let over: Vec<(u32, RoomId)> = self
            .feeds
            .remembering()
            .filter(|(_, feed)| is_over(feed))
            .map(|(at, feed)| (at, feed.room.clone()))
            .collect();
        for (feed, room) in over {
            // Members on other shards have no place in this one's feed.
            if self.seats.members(room.as_str()).is_some_and(|members| members.total > 0) {
                self.feeds.get_mut(feed).deltas_used = now;
            } else {
                self.feeds.forget(feed);
            }
        }
    }
}
