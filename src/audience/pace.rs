//! How long a room waits between two passes.
//!
//! A pass may take one k-th of the time: the next one starts no sooner than k times its cost after its start. What
//! waits meanwhile shares the next sends, so a large k is cheap and a small one is quick. While there is room on the
//! shard, k is small; what is asked of the shard lets it grow to [`Pace::factor`]. `perf/notes/pacing.md` has the
//! curves.
//!
//! Invariants: k stays between [`PACE_FACTOR_LEAST`] and the factor, and is the factor where that is less. Never here:
//! rooms, sockets.

use crate::limits::{DEMAND_WINDOW_NS, PACE_DEMAND_FACTOR, PACE_FACTOR_LEAST, SEND_NS};

/// What a share is told in.
const PER_CORE: u64 = 1_000;

/// How passes are spread over time.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The largest k: what a busy shard keeps. A pass may take one k-th of the time.
    pub factor: u64,
    /// The longest pause between the starts of two passes, in nanoseconds.
    pub max_ns: u64,
}

impl Pace {
    /// How long after the start of a pass of this cost the next one may start, in nanoseconds, while so much of a core
    /// is asked for, in thousandths.
    pub fn pause_ns(self, cost_ns: u64, share: u64) -> u64 {
        let most = self.factor * PER_CORE;
        let factor = share.saturating_mul(PACE_DEMAND_FACTOR).clamp(most.min(PACE_FACTOR_LEAST * PER_CORE), most);
        (cost_ns.saturating_mul(factor) / PER_CORE).min(self.max_ns)
    }

    /// The same however much is asked for.
    pub fn longest_pause_ns(self, cost_ns: u64) -> u64 {
        cost_ns.saturating_mul(self.factor).min(self.max_ns)
    }
}

/// What the rooms of a shard ask for: the time that it would take to tell every event to everybody by a send of its
/// own. It is counted in a sliding window of [`DEMAND_WINDOW_NS`]. What passes have cost would say too little: where
/// replies take the frames along, they are cheap, and so they would come too often.
#[derive(Clone, Copy, Default, Debug)]
pub struct Demand {
    began_ns: u64,
    /// In the window before this one, and in this one, in nanoseconds.
    last_ns: u64,
    this_ns: u64,
}

impl Demand {
    /// Adds what so many deliveries would have cost.
    pub fn add(&mut self, deliveries: u64, now_ns: u64) {
        self.roll(now_ns);
        self.this_ns = self.this_ns.saturating_add(deliveries.saturating_mul(SEND_NS));
    }

    /// What is asked for, in thousandths of a core. It may be more than there is.
    pub fn share(&mut self, now_ns: u64) -> u64 {
        self.roll(now_ns);
        let gone = now_ns.saturating_sub(self.began_ns).min(DEMAND_WINDOW_NS);
        if self.last_ns == 0 {
            // After a silence the window is as long as what there is, so that a storm is known at once.
            return self.this_ns / (gone.max(DEMAND_WINDOW_NS / 8) / PER_CORE);
        }
        let in_thousandths = |ns: u64| ns / (DEMAND_WINDOW_NS / PER_CORE);
        // The window slides: of the one before, so much is still in it.
        let before = in_thousandths(self.last_ns).saturating_mul(DEMAND_WINDOW_NS - gone) / DEMAND_WINDOW_NS;
        before + in_thousandths(self.this_ns)
    }

    fn roll(&mut self, now_ns: u64) {
        let gone = now_ns.saturating_sub(self.began_ns);
        if gone < DEMAND_WINDOW_NS {
            return;
        }
        self.last_ns = if gone < 2 * DEMAND_WINDOW_NS { self.this_ns } else { 0 };
        self.this_ns = 0;
        self.began_ns = now_ns - gone % DEMAND_WINDOW_NS;
    }
}

#[cfg(test)]
mod tests {
    use super::{DEMAND_WINDOW_NS, Demand, Pace};

    const MS: u64 = 1_000_000;

    #[test]
    fn the_pause_grows_with_what_is_asked_for() {
        let check = |factor, cost_ms, share, pause_ms: u64| {
            let pace = Pace { factor, max_ns: 40 * MS };
            assert_eq!(pace.pause_ns(cost_ms * MS, share), pause_ms * MS, "factor {factor}, {cost_ms} ms, {share}");
        };
        check(5, 7, 0, 14);
        check(5, 7, 400, 14);
        check(5, 6, 600, 18);
        check(5, 7, 2_800, 35);
        check(5, 7, u64::MAX, 35);
        check(5, 9, 2_800, 40);
        check(1, 7, 0, 7);
        check(0, 7, 2_800, 0);
        check(2, 7, 2_800, 14);
    }

    #[test]
    fn what_is_asked_for_is_counted_in_a_window_that_slides() {
        let mut demand = Demand::default();
        let start = 10 * DEMAND_WINDOW_NS;
        assert_eq!(demand.share(start), 0);
        // 175 deliveries a ms are seven tenths of a core, wherever one looks.
        for event in 0..2_000 {
            let now = start + event * MS;
            demand.add(175, now);
            let share = demand.share(now);
            assert!(event < 120 || (680..=720).contains(&share), "{share} at event {event}");
        }
        assert_eq!(demand.share(start + 2_000 * MS + 2 * DEMAND_WINDOW_NS), 0, "what is long ago does not count");
        demand.add(u64::MAX, start + 3_000 * MS);
        assert!(demand.share(start + 3_000 * MS) > 1_000_000, "a sum that is too large stays large");
    }
}
