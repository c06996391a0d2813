//! The budget of memory: what each kind of bytes may take on all shards together, and how much it takes now.
//!
//! What a client can make grow is counted here, in bytes of memory and not in numbers of things: what waits for slow
//! readers, the logs that they are behind in, full states, bodies of HTTP answers, answers that the store holds back,
//! holds, the log of acts, and bodies sent to the API. The counts are shared by all shards; a [`Tally`] is one shard's
//! part of a count that moves with every message, and tells the others of it in grains. Invariants: nothing is given
//! back that was not taken; a part that ends gives everything back; the shares together are the budget. Never here:
//! what gives way at a bound (`node::relief`), who is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::{FAIR_PARTS, MEMORY_GRAIN_BYTES, MEMORY_SHARES, MEMORY_SHARES_SUM};

/// What bytes are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// What waits for slow readers, each reader's own: replies, and the list of what leaves in which order.
    Outboxes,
    /// Logs of rooms, in which slow readers read on, and what is remembered of rooms for members of the second
    /// protocol.
    Logs,
    /// Full states, each once for all who wait for it.
    FullStates,
    /// Bodies of HTTP answers, each once for all who wait for it.
    HttpBodies,
    /// Answers that wait for the store.
    Withheld,
    /// Holds, with their `user_info`.
    Holds,
    /// The log of acts, which the shop's backend reads.
    Acts,
    /// Bodies that the shop's backend sends, while they are read and acted on.
    ApiBodies,
}

/// All kinds with their labels, in the order of their numbers.
pub const KINDS: [(Kind, &str); 8] = [
    (Kind::Outboxes, "outboxes"),
    (Kind::Logs, "logs"),
    (Kind::FullStates, "full_states"),
    (Kind::HttpBodies, "http_bodies"),
    (Kind::Withheld, "withheld"),
    (Kind::Holds, "holds"),
    (Kind::Acts, "acts"),
    (Kind::ApiBodies, "api_bodies"),
];

#[derive(Debug)]
struct Shares {
    used: [AtomicUsize; KINDS.len()],
    max: [usize; KINDS.len()],
}

/// The budget, which all shards share.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shares>);

impl Default for Budget {
    /// One that is never used up.
    fn default() -> Self {
        Self(Arc::new(Shares { used: Default::default(), max: [usize::MAX; KINDS.len()] }))
    }
}

impl Budget {
    /// A budget of so many bytes, divided among the kinds by [`MEMORY_SHARES`].
    #[must_use]
    pub fn of(bytes: usize) -> Self {
        let max = MEMORY_SHARES.map(|share| bytes / MEMORY_SHARES_SUM * share);
        Self(Arc::new(Shares { used: Default::default(), max }))
    }

    /// Bytes that are used, within the grains of the shards' tallies.
    #[must_use]
    pub fn used(&self, kind: Kind) -> usize {
        self.0.used[kind as usize].load(Ordering::Relaxed)
    }

    /// Bytes that may be used.
    #[must_use]
    pub fn max(&self, kind: Kind) -> usize {
        self.0.max[kind as usize]
    }

    /// Bytes of all kinds together that may be used.
    #[must_use]
    pub fn all(&self) -> usize {
        self.0.max.iter().fold(0, |sum, max| sum.saturating_add(*max))
    }

    /// Whether more is used than may be.
    #[must_use]
    pub fn is_over(&self, kind: Kind) -> bool {
        self.used(kind) > self.max(kind)
    }

    /// Whether so little is left that patience with slow readers is short: an eighth of the share.
    #[must_use]
    pub fn is_pressed(&self, kind: Kind) -> bool {
        self.used(kind) > self.max(kind) - self.max(kind) / 8
    }

    /// What one of those who use this kind may take now, at most `most` and at least `least`: a part of what is left.
    /// So a few may take much and many may each take little, and all together come near the share and not above it,
    /// without anybody counting them.
    #[must_use]
    pub fn fair(&self, kind: Kind, most: usize, least: usize) -> usize {
        let left = self.max(kind).saturating_sub(self.used(kind));
        (left / FAIR_PARTS).clamp(least.min(most), most)
    }

    /// Takes so many bytes. That is never refused: whoever may be refused asks before.
    pub fn charge(&self, kind: Kind, bytes: usize) {
        self.0.used[kind as usize].fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back bytes that were taken.
    pub fn release(&self, kind: Kind, bytes: usize) {
        let before = self.0.used[kind as usize].fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "{kind:?}: {bytes} bytes are given back of {before}");
    }
}

/// One shard's part of a count.
#[derive(Debug)]
pub struct Tally {
    budget: Budget,
    kind: Kind,
    bytes: usize,
    /// What the budget knows of them.
    told: usize,
    /// Bytes given back since somebody asked.
    freed: usize,
}

impl Tally {
    /// Nothing yet.
    #[must_use]
    pub fn new(budget: &Budget, kind: Kind) -> Self {
        Self { budget: budget.clone(), kind, bytes: 0, told: 0, freed: 0 }
    }

    /// Bytes of this shard.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Something that took `was` bytes takes `is` bytes now.
    pub fn moves(&mut self, was: usize, is: usize) {
        debug_assert!(self.bytes >= was, "{:?}: {was} bytes are given back of {}", self.kind, self.bytes);
        self.bytes = self.bytes - was + is;
        self.freed += was.saturating_sub(is);
        if self.bytes.abs_diff(self.told) >= MEMORY_GRAIN_BYTES {
            self.settle();
        }
    }

    /// Everything that is counted here takes so many bytes now.
    pub fn set(&mut self, is: usize) {
        self.moves(self.bytes, is);
    }

    /// Tells the budget exactly.
    pub fn settle(&mut self) {
        if self.bytes > self.told {
            self.budget.charge(self.kind, self.bytes - self.told);
        } else {
            self.budget.release(self.kind, self.told - self.bytes);
        }
        self.told = self.bytes;
    }

    /// Bytes given back since the last time that this was asked.
    pub fn take_freed(&mut self) -> usize {
        std::mem::take(&mut self.freed)
    }

    /// How many of its bytes this shard must give back so that all together come back to fifteen sixteenths of the
    /// share: as large a part of what is too much as it has of everything. Nothing while the share is kept.
    #[must_use]
    pub fn excess(&mut self) -> usize {
        self.settle();
        let (used, max) = (self.budget.used(self.kind), self.budget.max(self.kind));
        if used <= max || self.bytes == 0 {
            return 0;
        }
        let too_much = (used - (max - max / 16)) as u128;
        let mine = too_much * self.bytes as u128 / used as u128;
        usize::try_from(mine).expect("a part of the bytes").max(1)
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.budget.release(self.kind, self.told);
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, KINDS, Kind, Tally};
    use crate::limits::{MEMORY_BUDGET_BYTES_MIN, MEMORY_GRAIN_BYTES};

    #[test]
    fn kinds_stand_at_their_numbers_and_share_the_budget() {
        assert!(KINDS.iter().enumerate().all(|(at, (kind, _))| *kind as usize == at));
        let budget = Budget::of(MEMORY_BUDGET_BYTES_MIN);
        assert_eq!(KINDS.iter().map(|(kind, _)| budget.max(*kind)).sum::<usize>(), MEMORY_BUDGET_BYTES_MIN);
    }

    /// What a tally counts is exact, whatever the order, and nothing of it is left when it ends.
    #[test]
    fn a_tally_is_exact_and_ends_with_nothing() {
        let budget = Budget::default();
        let mut tally = Tally::new(&budget, Kind::Logs);
        let mut things = [0_usize; 7];
        for step in 0..10_000_usize {
            let (at, is) = (step % things.len(), step.wrapping_mul(2_654_435_761) % (2 * MEMORY_GRAIN_BYTES));
            tally.moves(std::mem::replace(&mut things[at], is), is);
            assert_eq!(tally.bytes(), things.iter().sum::<usize>());
            assert!(budget.used(Kind::Logs).abs_diff(tally.bytes()) < MEMORY_GRAIN_BYTES);
        }
        tally.settle();
        assert_eq!(budget.used(Kind::Logs), tally.bytes());
        assert!(tally.take_freed() > 0 && tally.take_freed() == 0);
        drop(tally);
        assert_eq!(budget.used(Kind::Logs), 0);
    }

    /// However many take their fair part, all together stay within the share and one least part each.
    #[test]
    fn fair_parts_never_come_to_more_than_the_share() {
        for users in [1, 10, 1_000, 100_000] {
            let budget = Budget::of(16 * MEMORY_BUDGET_BYTES_MIN);
            let (most, least) = (256 * 1024, 4 * 1024);
            for _ in 0..users {
                let part = budget.fair(Kind::Outboxes, most, least);
                assert!((least..=most).contains(&part));
                budget.charge(Kind::Outboxes, part);
            }
            let bound = budget.max(Kind::Outboxes) + users * least;
            assert!(budget.used(Kind::Outboxes) <= bound, "{users} take {}", budget.used(Kind::Outboxes));
        }
        assert_eq!(Budget::default().fair(Kind::Logs, 5, 1), 5, "without a bound there is enough");
    }

    #[test]
    fn each_shard_gives_back_its_part_of_what_is_too_much() {
        let budget = Budget::of(MEMORY_BUDGET_BYTES_MIN);
        let max = budget.max(Kind::Outboxes);
        let (mut one, mut two) = (Tally::new(&budget, Kind::Outboxes), Tally::new(&budget, Kind::Outboxes));
        one.moves(0, max / 4);
        two.moves(0, max / 2);
        assert_eq!((one.excess(), two.excess()), (0, 0), "the share is kept");
        two.moves(0, max / 2);
        let (first, second) = (one.excess(), two.excess());
        assert!(first > 0 && second > 3 * first, "{first} and {second}");
        one.moves(first, 0);
        two.moves(second, 0);
        assert!(!budget.is_over(Kind::Outboxes) && one.excess() == 0);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "are given back of")]
    fn nothing_is_given_back_twice() {
        let budget = Budget::default();
        budget.charge(Kind::Holds, 5);
        budget.release(Kind::Holds, 5);
        budget.release(Kind::Holds, 5);
    }
}
