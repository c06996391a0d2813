//! When holds end: a queue in the order of their deadlines.
//!
//! All holds of a server live equally long, so a hold that is made later never ends earlier and a queue is exact, at
//! O(1) a hold. A hold that ends before its time leaves its entry behind. Such a stale entry names a hold that its seat
//! no longer has (numbers of holds are never used again) and is skipped.
//!
//! Invariants: deadlines do not fall along the queue; the first entry is not stale, so [`Deadlines::next`] is exact;
//! there are at most `2 * live + DEADLINES_STALE_MIN` entries, however often seats are selected and released.
//! Never here: what a hold is. Whether an entry is live is asked of the caller.

use std::collections::VecDeque;

use super::slab::Slot;
use super::time::Millis;
use crate::limits::DEADLINES_STALE_MIN;

/// Counts the holds that a shard has made, never the same twice: the generation of a seat and the order of selecting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct HoldNumber(pub(super) u64);

/// The end of one hold, and where to find it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    pub(super) at: Millis,
    pub(super) room: Slot,
    pub(super) seat: Slot,
    pub(super) hold: HoldNumber,
}

#[derive(Debug, Default)]
pub(super) struct Deadlines {
    queue: VecDeque<Deadline>,
    live: usize,
}

impl Deadlines {
    /// How many holds will end here.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// When the first of them ends.
    pub(super) fn next(&self) -> Option<Millis> {
        self.queue.front().map(|first| first.at)
    }

    /// Adds the deadline of a new hold, which is not before those of older ones.
    pub(super) fn push(&mut self, deadline: Deadline) {
        assert!(self.queue.back().is_none_or(|last| last.at <= deadline.at), "a later hold ends earlier");
        self.queue.push_back(deadline);
        self.live += 1;
    }

    /// Takes the first deadline out if it has been reached at `now`. Afterwards its hold must be ended.
    pub(super) fn pop_due(&mut self, now: Millis, is_live: impl Fn(&Deadline) -> bool) -> Option<Deadline> {
        loop {
            let due = self.queue.pop_front_if(|first| first.at <= now)?;
            if is_live(&due) {
                self.live -= 1;
                self.skip_stale(is_live);
                return Some(due);
            }
        }
    }

    /// Notes that a hold has ended before its time, so that its entry is stale now.
    pub(super) fn forget_one(&mut self, is_live: impl Fn(&Deadline) -> bool) {
        self.live -= 1;
        self.skip_stale(&is_live);
        if self.queue.len() > 2 * self.live + DEADLINES_STALE_MIN {
            self.queue.retain(&is_live);
            self.queue.shrink_to(2 * self.live + DEADLINES_STALE_MIN);
        }
    }

    fn skip_stale(&mut self, is_live: impl Fn(&Deadline) -> bool) {
        while self.queue.pop_front_if(|first| !is_live(first)).is_some() {}
    }

    /// Panics when an invariant does not hold.
    pub(super) fn check_invariants(&self, is_live: impl Fn(&Deadline) -> bool) {
        assert!(self.queue.iter().is_sorted_by_key(|deadline| deadline.at));
        assert_eq!(self.queue.iter().filter(|deadline| is_live(deadline)).count(), self.live);
        assert!(self.queue.front().is_none_or(is_live), "the first entry is stale");
        assert!(self.queue.len() <= 2 * self.live + DEADLINES_STALE_MIN, "stale entries pile up");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deadline(at: u64) -> Deadline {
        Deadline { at: Millis(at), room: 0, seat: 0, hold: HoldNumber(at) }
    }

    #[test]
    fn due_ones_come_in_order_and_stale_ones_never() {
        let mut deadlines = Deadlines::default();
        (1..=4).for_each(|at| deadlines.push(deadline(at)));
        // Holds 1 and 3 end early.
        deadlines.forget_one(|d| d.at != Millis(1));
        let is_live = |d: &Deadline| d.at != Millis(3);
        deadlines.forget_one(is_live);
        assert_eq!(deadlines.next(), Some(Millis(2)));
        assert!(deadlines.pop_due(Millis(1), is_live).is_none());
        let mut due = |now| deadlines.pop_due(Millis(now), is_live).map(|d| d.at.0);
        assert_eq!([due(4), due(4), due(4)], [Some(2), Some(4), None]);
        assert_eq!((deadlines.live(), deadlines.next()), (0, None));
    }

    #[test]
    fn churn_behind_one_long_hold_does_not_pile_up() {
        let mut deadlines = Deadlines::default();
        deadlines.push(deadline(0));
        for at in 1..10_000 {
            deadlines.push(deadline(at));
            deadlines.forget_one(|d| d.at == Millis(0));
            deadlines.check_invariants(|d| d.at == Millis(0));
        }
        assert!(deadlines.queue.capacity() <= 4 * (2 + DEADLINES_STALE_MIN));
    }
}
