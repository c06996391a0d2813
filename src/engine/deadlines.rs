//! When things end by themselves: the earliest first, whatever lives how long.
//!
//! Most deadlines are those of single seats, which in one hall live equally long: each is later than those before it,
//! so a queue keeps them in order at O(1). What does not come in order goes into a heap at O(log n), and the earlier of
//! both fronts is next. What ends before its time leaves its entry behind. Such a stale entry has a number that the
//! thing it names no longer has (numbers are never used again) and is skipped.
//!
//! Invariants: neither front is stale, so [`Deadlines::next`] is exact; there are at most `2 * live +
//! DEADLINES_STALE_MIN` entries, however often things are begun and ended; what is due at one moment comes in the order
//! of the kinds of [`Due`], then of the numbers. Never here: what ends. Whether an entry is live is asked of the
//! caller.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use super::slab::Slot;
use super::time::Millis;
use crate::limits::DEADLINES_STALE_MIN;

/// Counts the holds that a shard has made, never the same twice: the generation of a seat and the order of selecting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct HoldNumber(pub(super) u64);

/// What ends, and where to find it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// A hold with a clock of its own.
    Seat { room: Slot, seat: Slot },
    /// A cart: it is to be warned, or ends.
    Cart(Slot),
    /// An order in checkout.
    Order { room: Slot, order: Slot },
    /// The wait for an owner who is not here.
    Grace(Slot),
    /// Something about a room as a whole: its sale opens, or it goes.
    Room(Slot),
}

impl Due {
    fn rank(self) -> u8 {
        match self {
            Self::Seat { .. } => 0,
            Self::Cart(_) => 1,
            Self::Order { .. } => 2,
            Self::Grace(_) => 3,
            Self::Room(_) => 4,
        }
    }
}

/// One end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Deadline {
    pub(super) at: Millis,
    pub(super) due: Due,
    /// The number of the hold, or of what else ends: a thing with another one is not meant.
    pub(super) number: u64,
}

impl Ord for Deadline {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.due.rank(), self.number).cmp(&(other.at, other.due.rank(), other.number))
    }
}

impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Reversed, since a heap has its greatest in front.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Later(std::cmp::Reverse<Deadline>);

impl Later {
    fn deadline(&self) -> &Deadline {
        &self.0.0
    }
}

#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// Of single seats, those that came in order.
    run: VecDeque<Deadline>,
    /// All others.
    heap: BinaryHeap<Later>,
    live: usize,
}

impl Deadlines {
    /// How many things will end.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// When the first thing ends.
    pub(super) fn next(&self) -> Option<Millis> {
        self.first().map(|first| first.at)
    }

    fn first(&self) -> Option<&Deadline> {
        match (self.run.front(), self.heap.peek().map(Later::deadline)) {
            (Some(run), Some(heap)) => Some(run.min(heap)),
            (run, heap) => run.or(heap),
        }
    }

    /// Adds the deadline of something new.
    pub(super) fn push(&mut self, deadline: Deadline) {
        self.live += 1;
        let is_in_order = self.run.back().is_none_or(|last| *last <= deadline);
        if is_in_order && matches!(deadline.due, Due::Seat { .. }) {
            self.run.push_back(deadline);
        } else {
            self.heap.push(Later(std::cmp::Reverse(deadline)));
        }
    }

    /// Takes the first deadline out if it has been reached at `now`. Afterwards what it names must be ended, or get
    /// another.
    pub(super) fn pop_due(&mut self, now: Millis, is_live: impl Fn(&Deadline) -> bool) -> Option<Deadline> {
        let due = *self.first().filter(|first| first.at <= now)?;
        if self.run.pop_front_if(|first| *first == due).is_none() {
            self.heap.pop();
        }
        assert!(is_live(&due), "the first entry is stale");
        self.live -= 1;
        self.skip_stale(&is_live);
        self.clear_out(is_live);
        Some(due)
    }

    /// Notes that something has ended before its time, so that its entry is stale now.
    pub(super) fn forget_one(&mut self, is_live: impl Fn(&Deadline) -> bool) {
        self.live -= 1;
        self.skip_stale(&is_live);
        self.clear_out(is_live);
    }

    /// Throws stale entries away when there are too many: of what has ended before its time, or beside few that are
    /// left since others have come due.
    fn clear_out(&mut self, is_live: impl Fn(&Deadline) -> bool) {
        let most = 2 * self.live + DEADLINES_STALE_MIN;
        if self.len() > most {
            self.run.retain(&is_live);
            self.run.shrink_to(most);
            self.heap.retain(|later| is_live(later.deadline()));
            self.heap.shrink_to(most);
        }
    }

    fn len(&self) -> usize {
        self.run.len() + self.heap.len()
    }

    fn skip_stale(&mut self, is_live: impl Fn(&Deadline) -> bool) {
        while self.run.pop_front_if(|first| !is_live(first)).is_some() {}
        while self.heap.peek().is_some_and(|first| !is_live(first.deadline())) {
            self.heap.pop();
        }
    }

    /// Panics when an invariant does not hold.
    pub(super) fn check_invariants(&self, is_live: impl Fn(&Deadline) -> bool) {
        assert!(self.run.iter().is_sorted() && self.run.iter().all(|entry| matches!(entry.due, Due::Seat { .. })));
        let all = || self.run.iter().chain(self.heap.iter().map(Later::deadline));
        assert_eq!(all().filter(|deadline| is_live(deadline)).count(), self.live);
        let fronts = self.run.front().into_iter().chain(self.heap.peek().map(Later::deadline));
        assert!(fronts.into_iter().all(is_live), "a front is stale");
        assert!(self.len() <= 2 * self.live + DEADLINES_STALE_MIN, "stale entries pile up");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, proptest};

    use super::*;

    fn seat(at: u64) -> Deadline {
        Deadline { at: Millis(at), due: Due::Seat { room: 0, seat: 0 }, number: at }
    }

    #[test]
    fn due_ones_come_in_order_and_stale_ones_never() {
        let mut deadlines = Deadlines::default();
        (1..=4).for_each(|at| deadlines.push(seat(at)));
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
        deadlines.push(seat(0));
        for at in 1..10_000 {
            deadlines.push(seat(at));
            deadlines.forget_one(|d| d.at == Millis(0));
            deadlines.check_invariants(|d| d.at == Millis(0));
        }
        assert!(deadlines.run.capacity() <= 4 * (2 + DEADLINES_STALE_MIN));
    }

    #[test]
    fn what_comes_due_leaves_no_pile_of_stale_ones_behind() {
        let mut deadlines = Deadlines::default();
        (1..=200).for_each(|at| deadlines.push(seat(at)));
        // The later ones end early; those before them come due.
        let is_live = |from: u64| move |d: &Deadline| (from..=70).contains(&d.at.0);
        (71..=200).for_each(|_| deadlines.forget_one(is_live(1)));
        for at in 1..=70 {
            assert_eq!(deadlines.pop_due(Millis(at), |d| d.at.0 >= at && d.at.0 <= 70).map(|d| d.at.0), Some(at));
            deadlines.check_invariants(is_live(at + 1));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Against a sorted list: things of any length are begun and ended early, and all others end in their order.
        #[test]
        fn whatever_lives_how_long_ends_in_time(ops in proptest::collection::vec((any::<u8>(), 0..50_u64), 1..300)) {
            let (mut deadlines, mut model) = (Deadlines::default(), Vec::new());
            let mut now = 0;
            for (number, (what, ms)) in ops.into_iter().enumerate() {
                let is_live = |model: &Vec<Deadline>, entry: &Deadline| model.contains(entry);
                match what % 8 {
                    0..5 => {
                        let due = match what % 3 {
                            0 => Due::Cart(7),
                            1 => Due::Grace(7),
                            _ => Due::Seat { room: 0, seat: 0 },
                        };
                        let deadline = Deadline { at: Millis(now + 1 + ms), due, number: number as u64 };
                        deadlines.push(deadline);
                        model.push(deadline);
                    }
                    5..7 if !model.is_empty() => {
                        model.swap_remove(usize::from(what) % model.len());
                        deadlines.forget_one(|entry| is_live(&model, entry));
                    }
                    _ => {
                        now += ms;
                        loop {
                            let first = model.iter().min().copied().filter(|first| first.at.0 <= now);
                            let Some(due) = deadlines.pop_due(Millis(now), |entry| is_live(&model, entry)) else {
                                assert_eq!(first, None);
                                break;
                            };
                            assert_eq!(Some(due), first);
                            model.retain(|entry| *entry != due);
                            deadlines.skip_stale(|entry| is_live(&model, entry));
                        }
                    }
                }
                assert_eq!(deadlines.next(), model.iter().map(|entry| entry.at).min());
                deadlines.check_invariants(|entry| is_live(&model, entry));
            }
        }
    }
}
