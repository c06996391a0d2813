//! What must always be true of a node. Never here: what makes it so.

use super::Node;
use super::session::Stage;

impl Node {
    /// Panics when an invariant of this module or its parts does not hold.
    pub fn check_invariants(&self) {
        let (mut members, mut seconds) = (0, 0);
        for (slot, session) in self.sessions.iter() {
            for membership in session.second().iter().flat_map(|second| second.members.iter()) {
                let deltas = self.feeds.get(membership.feed).deltas.as_ref().expect("it has a member");
                assert_eq!(deltas.slot_at(membership.at), slot, "they name each other");
                seconds += 1;
            }
            for membership in session.memberships.iter() {
                assert_eq!(self.feeds.get(membership.feed).view.slot_at(membership.at), slot, "they name each other");
                members += 1;
            }
            assert!(session.open_requests() <= self.bounds.open_requests, "the open requests are bounded");
            assert!(session.parked.is_none() || session.stage != Stage::Closing, "who is closing waits for nothing");
        }
        for feed in self.feeds.iter() {
            feed.view.check_invariants();
            let is_kept = feed.ring.is_some() || feed.deltas.is_some();
            assert!(!feed.view.is_empty() || is_kept, "a feed that nobody reads is kept");
            feed.deltas.iter().for_each(|deltas| deltas.check_invariants());
            assert!(feed.view.log_len() <= self.bounds.log_bytes, "{} bytes of a log", feed.view.log_len());
        }
        assert_eq!(self.feeds.iter().map(|feed| feed.view.len()).sum::<usize>(), members);
        let told = self.feeds.iter().flat_map(|feed| feed.deltas.as_ref()).map(|deltas| deltas.len());
        assert_eq!(told.sum::<usize>(), seconds);
        assert!(self.effects.is_empty() && !self.is_performing, "what was decided has been told");
    }
}
