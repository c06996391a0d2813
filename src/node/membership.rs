//! Who is a member of a room with the first protocol: a session's memberships and the views of feeds.
//!
//! Invariant: a member and its view name each other. Never here: who is told what.

use super::Node;
use super::session::Membership;
use crate::engine::ids::{Epoch, RoomId};
use crate::planted::{Bug, has};

impl Node {
    /// The feed of the first room that the connection is in, if it is this one: most are in one room, and comparing
    /// names costs less than hashing one.
    fn own_feed(&self, slot: u32, room: &str) -> Option<u32> {
        let feed = self.sessions.get(slot)?.memberships.nth(0)?.feed;
        (self.feeds.get(feed).room.as_str() == room).then_some(feed)
    }

    /// The feed of a room of which this connection may be a member.
    pub(super) fn feed_for(&self, slot: Option<u32>, room: &str) -> Option<u32> {
        slot.and_then(|slot| self.own_feed(slot, room)).or_else(|| self.feeds.find(room))
    }

    /// The connection is a member of the room from here on. Without a full state events pass a new one by until that
    /// comes. Returns the room's feed.
    pub(super) fn enter(&mut self, slot: u32, room: &RoomId, has_state: bool) -> u32 {
        if !has_state {
            self.note_dropped(slot);
        }
        let feed = self.feeds.find(room.as_str());
        let session = self.sessions.get_mut(slot).expect("the caller found it");
        if let Some(feed) = feed.filter(|&feed| session.memberships.find(feed).is_some()) {
            // It was a member already: the place that its request took is free again.
            session.free_room();
            if !has_state && self.parted.is_some() {
                self.waits_for_state(slot, feed);
            }
            return feed;
        }
        let owner = self.owner(room.as_str());
        let (feed, at) = self.feeds.add(room, owner, slot);
        debug_assert_eq!(self.feeds.get(feed).view.slot_at(at), slot, "they name each other");
        if !has_state {
            self.feeds.get_mut(feed).view.skip(at);
        }
        let session = self.sessions.get_mut(slot).expect("the caller found it");
        session.memberships.insert(Membership { feed, at });
        feed
    }

    /// A member is told that it has joined again, and its full state follows: until then events pass it by.
    fn waits_for_state(&mut self, slot: u32, feed: u32) {
        self.keep_owed(slot, feed);
        if let Some(member) = self.sessions.get(slot).and_then(|session| session.memberships.find(feed)) {
            self.feeds.get_mut(feed).view.skip(member.at);
        }
    }

    /// The same, and the owner says where the room stands. If something of it was missed here, the other members may
    /// have to wait for their full states; this one has its own.
    pub(super) fn enter_at(&mut self, slot: u32, room: &RoomId, at: (Epoch, u64), has_state: bool) -> u32 {
        let feed = self.enter(slot, room, has_state);
        let member = self.sessions.get(slot).and_then(|session| session.memberships.find(feed)).map(|member| member.at);
        let was_told =
            member.filter(|&member| !self.feeds.get(feed).view.is_skipping(member) && !has(Bug::JoinerSkips));
        self.shown_at(room.as_str(), at);
        if let Some(member) = was_told {
            self.feeds.get_mut(feed).view.resume(member);
        }
        feed
    }

    /// The connection is no member of the room any more, if it was one.
    pub(super) fn leave(&mut self, slot: u32, room: &RoomId) {
        let Some(feed) = self.feeds.find(room.as_str()) else { return };
        let session = self.sessions.get_mut(slot).expect("the caller found it");
        let Some(Membership { at, .. }) = session.memberships.find(feed) else { return };
        debug_assert_eq!(self.feeds.get(feed).view.slot_at(at), slot, "they name each other");
        session.free_room();
        if self.got.get(&slot).is_some_and(|got| got.feed == feed) {
            self.got.remove(&slot);
        }
        self.keep_owed(slot, feed);
        self.sessions.get_mut(slot).expect("the caller found it").memberships.remove(feed);
        self.leave_feed(feed, at);
    }

    /// Takes a member out of a feed and tells those that moved where they are now.
    pub(super) fn leave_feed(&mut self, feed: u32, at: u32) {
        for moved in self.feeds.remove(feed, at).into_iter().flatten() {
            let session = self.sessions.get_mut(moved.slot).expect("a member has a session");
            assert!(session.memberships.find(feed).is_some(), "a member knows that it is one");
            session.memberships.moved(feed, moved.index);
        }
    }

    /// The members of the first protocol are shown the room as it is now, since it lives anew.
    pub(super) fn show_first_anew(&mut self, feed: u32) {
        let view = &self.feeds.get(feed).view;
        let members = u32::try_from(view.len()).expect("members are bounded");
        let slots: Vec<u32> = (0..members).map(|at| view.slot_at(at)).collect();
        slots.into_iter().for_each(|slot| self.lag(slot));
    }

    /// The room has gone: nobody is a member with the first protocol any more.
    pub(super) fn end_first_memberships(&mut self, room: &RoomId) {
        while let Some(feed) = self.feeds.find(room.as_str())
            && !self.feeds.get(feed).view.is_empty()
        {
            let slot = self.feeds.get(feed).view.slot_at(0);
            // No pass will tell it the end of its seats.
            self.take_owed(slot);
            self.queue_flush(slot);
            self.leave(slot, room);
        }
    }
}
