//! What people do in a sale that only the second protocol offers: whole groups, the best seats, swaps, more time.
//!
//! Invariant: in a room with a layout half of the groups take what is best, the others what they chose on their own
//! map. Never here: timers.

use rand::Rng;

use super::sale::{Action, Sale};
use crate::client::Ask;
use crate::names::{Seat, Who};
use crate::plan::Fate;
use crate::second::ask::Wish;
use crate::session::Session;
use crate::worker::Worker;

impl Sale {
    /// Whether the user has all the seats it wants, in a cart.
    pub(super) fn has_group(&self, session: &Session, who: Who) -> bool {
        session.crowd.second.as_ref().is_some_and(|second| second.client(who).cart.len() >= self.user(who).group)
    }

    /// A group asks for all that it misses at once.
    pub(super) fn want_group(
        &mut self,
        session: &mut Session,
        worker: &mut Worker,
        who: Who,
        missing: usize,
        (due, now): (u64, u64),
    ) {
        let has_layout = session.crowd.second.as_ref().is_some_and(|second| second.client(who).has_layout);
        let wish = if has_layout && self.user(who).seed.is_multiple_of(2) {
            Wish::Best(crate::num::index32(missing))
        } else {
            let (crowd, state) = (&session.crowd, &mut self.users[who as usize]);
            let seats = self.taste.group(&mut state.rng, missing, &|seat| crowd.is_free(who, seat));
            if seats.is_empty() {
                return self.disappointed(who, now);
            }
            Wish::Hold { seats, release: Vec::new() }
        };
        session.crowd.wish(worker, who, wish, due, now);
        // Those who keep their seats may want more time to pay.
        if self.user(who).fate == Fate::Keep && self.user(who).seed % 8 < 2 {
            self.later(who, now + 1_000_000_000, Action::Extend);
        }
    }

    /// Some of what a bot does: swaps instead of giving back, a fresh snapshot now and then. `false`: it clicks.
    pub(super) fn bot_in_carts(
        &mut self,
        session: &mut Session,
        worker: &mut Worker,
        who: Who,
        (ask, seat): (Ask, Seat),
        (due, now): (u64, u64),
    ) -> bool {
        let draw: f64 = self.users[who as usize].rng.random();
        let wish = if ask == Ask::Release && draw < 0.5 {
            let rng = &mut self.users[who as usize].rng;
            let wanted = self.taste.any(rng);
            if wanted == seat {
                return false;
            }
            Wish::Hold { seats: vec![wanted], release: vec![seat] }
        } else if draw > 0.98 {
            Wish::Sync
        } else if draw > 0.96 {
            Wish::Extend
        } else {
            return false;
        };
        session.crowd.wish(worker, who, wish, due, now);
        true
    }
}
