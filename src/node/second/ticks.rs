//! How deltas leave: once a tick and room, the same bytes to all whose sockets take them.
//!
//! Invariant: a member whose socket is full, or that has something queued and a full socket, is offered nothing and
//! stays where it is. Never here: what a delta says.

use std::sync::Arc;

use crate::audience::outbox::Kind;
use crate::audience::shared::{Shared, SharedBytes};
use crate::node::Node;
use crate::node::delivery::{Offered, Slice};

impl Node {
    /// The room whose tick goes on next, if one is due.
    pub(in crate::node) fn next_tick(&mut self, now_ns: u64) -> bool {
        let Some(feed) = self.feeds.next_tick(now_ns) else { return false };
        let budget = self.memory.budget.clone();
        let of = self.feeds.get_mut(feed);
        if let Some(deltas) = of.deltas.as_mut() {
            deltas.begin_pass(of.room.as_str(), &budget);
        }
        self.mapless.push((feed, false));
        self.slice = Some(Slice { feed, left: self.bounds.slice_members, is_over: false, is_tick: true });
        true
    }

    /// The next member of the tick to whom bytes can be sent.
    pub(in crate::node) fn next_told(&mut self) -> Option<Offered> {
        let slice = self.slice.as_mut().expect("a slice is being served");
        while slice.left > 0 {
            let deltas = self.feeds.get_mut(slice.feed).deltas.as_mut();
            let Some((deltas, (at, slot))) = deltas.and_then(|deltas| deltas.step().map(|next| (deltas, next))) else {
                slice.is_over = true;
                return None;
            };
            slice.left -= 1;
            let frame = Arc::clone(deltas.frame().expect("a pass is running"));
            let session = self.sessions.get_mut(slot).expect("a member has a session");
            if session.blocked {
                deltas.falls_behind(at);
            } else if let Some(out) = session.out.as_mut() {
                // What is queued has not been tried yet: it goes along.
                deltas.told(at);
                out.share_bytes(Kind::Reply, SharedBytes::Counted(frame));
                if !std::mem::replace(&mut session.flush_queued, true) {
                    self.flushes.push_back(slot);
                }
                self.sessions.weigh(slot);
            } else {
                return Some(Offered::Told { slot, at, len: frame.bytes().len() });
            }
        }
        None
    }

    /// What is being told.
    pub(in crate::node) fn tick_frame(&self) -> &Arc<Shared> {
        let feed = self.slice.expect("a slice is being served").feed;
        self.feeds.get(feed).deltas.as_ref().and_then(|deltas| deltas.frame()).expect("a pass is running")
    }

    /// The socket of this member is broken. Until its end is known the member must not count as one that is told
    /// everything: the next tick may come before.
    pub(in crate::node) fn told_nothing(&mut self, at: u32) {
        crate::marks::hit("a delta for a socket that is broken");
        let feed = self.slice.expect("a slice is being served").feed;
        self.feeds.get_mut(feed).deltas.as_mut().expect("a pass is running").falls_behind(at);
    }

    /// So much of it left to this member.
    pub(in crate::node) fn told_sent(&mut self, slot: u32, at: u32, (sent, len): (usize, usize)) {
        assert!(sent <= len, "no more leaves than is offered");
        self.figures.sends += 1;
        self.figures.bytes_sent += sent as u64;
        let frame = Arc::clone(self.tick_frame());
        let feed = self.slice.expect("a slice is being served").feed;
        debug_assert!(
            self.sessions.get(slot).is_some_and(|session| !session.blocked),
            "it was offered to one that takes it"
        );
        let deltas = self.feeds.get_mut(feed).deltas.as_mut().expect("a pass is running");
        if sent == 0 {
            deltas.falls_behind(at);
        } else {
            deltas.told(at);
        }
        if sent == len {
            return;
        }
        if sent > 0
            && let Some(out) = self.sessions.outbox(slot)
        {
            crate::marks::hit("a delta that the socket did not take whole");
            out.finish_first(&frame.bytes()[sent..]);
        }
        self.sessions.get_mut(slot).expect("a member has a session").blocked = true;
        self.sessions.weigh(slot);
        self.note_taken(slot, sent, true);
    }
}
