//! When to look at which connection again: one coarse timer wheel a shard instead of a timer a connection.
//!
//! Invariants: an entry is found after its time, within two buckets of it, however far away that is and however long
//! nobody looked. An entry that came out a lap early would be taken for a stale one, and its connection forgotten. A
//! connection that was put in again leaves a stale entry behind; its `check_at` gives that away. Never here: what is
//! done then.

use crate::limits::{WHEEL_BUCKET_TENTHS, WHEEL_BUCKETS};
use crate::runtime::socket::Tenths;

/// The wheel.
#[derive(Debug)]
pub(crate) struct Wheel {
    buckets: Vec<Vec<(u32, u32)>>,
    /// The first bucket, counted from the start of time, that has not been emptied.
    next: Tenths,
    /// What lies more than a lap ahead, by settings of two long times or because nobody has looked for a while.
    far: Vec<(u32, u32, Tenths)>,
    entries: usize,
}

impl Default for Wheel {
    fn default() -> Self {
        Self { buckets: vec![Vec::new(); WHEEL_BUCKETS as usize], next: 0, far: Vec::new(), entries: 0 }
    }
}

impl Wheel {
    /// Puts in a connection by slot and generation, to be looked at from `at` on.
    pub(crate) fn put(&mut self, slot: u32, generation: u32, at: Tenths) {
        let bucket = (at / WHEEL_BUCKET_TENTHS + 1).max(self.next);
        self.entries += 1;
        if bucket - self.next >= WHEEL_BUCKETS {
            self.far.push((slot, generation, at));
        } else {
            self.buckets[(bucket % WHEEL_BUCKETS) as usize].push((slot, generation));
        }
    }

    /// Takes out what is due at `now`.
    pub(crate) fn due(&mut self, now: Tenths, due: &mut Vec<(u32, u32)>) {
        let until = now / WHEEL_BUCKET_TENTHS;
        if until >= self.next + WHEEL_BUCKETS {
            self.next = until - (WHEEL_BUCKETS - 1);
        }
        while self.next <= until {
            let bucket = &mut self.buckets[(self.next % WHEEL_BUCKETS) as usize];
            self.entries -= bucket.len();
            // The bucket's memory goes with its entries: a crowd whose heartbeats fall together passes through all of
            // them, and each would keep room for the whole of it.
            due.extend(std::mem::take(bucket));
            self.next += 1;
        }
        for (slot, generation, at) in std::mem::take(&mut self.far) {
            self.entries -= 1;
            self.put(slot, generation, at);
        }
        debug_assert!(self.next > until && self.far.len() <= self.entries, "all that is due has come out");
    }

    /// Milliseconds from `now` (in milliseconds) until the next bucket; `None` when the wheel is empty.
    pub(crate) fn next_in_ms(&self, now_ms: u64) -> Option<u64> {
        (self.entries > 0)
            .then(|| (u64::from(self.next) * u64::from(WHEEL_BUCKET_TENTHS) * 100).saturating_sub(now_ms).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::{WHEEL_BUCKET_TENTHS, Wheel};

    #[test]
    fn an_entry_comes_out_after_its_time_and_not_much_later() {
        for at in [0, 1, 99, 100, 250, 349] {
            let mut wheel = Wheel::default();
            wheel.put(7, 1, at);
            let mut due = Vec::new();
            let mut now = 0;
            while due.is_empty() {
                now += 1;
                wheel.due(now, &mut due);
            }
            assert_eq!(due, [(7, 1)]);
            assert!(now >= at && now <= at + 2 * WHEEL_BUCKET_TENTHS, "put in for {at}, came out at {now}");
            assert_eq!(wheel.next_in_ms(0), None);
        }
    }

    /// Two settings of 60 s make deadlines that lie more than a lap ahead, and a shard without connections sleeps so
    /// long that a nearer one does, too.
    #[test]
    fn a_deadline_that_is_more_than_a_lap_ahead_is_kept() {
        for (asleep, ahead) in [(0, 630), (0, 640), (0, 700), (0, 1_200), (600, 100), (600, 250), (6_000, 1_200)] {
            let mut wheel = Wheel::default();
            let at = asleep + ahead;
            wheel.put(7, 1, at);
            let mut due = Vec::new();
            let mut now = asleep;
            while due.is_empty() {
                wheel.due(now, &mut due);
                now += 1;
                assert!(
                    now < at + 10 * WHEEL_BUCKET_TENTHS,
                    "put in {ahead} ahead after a sleep of {asleep}, it is forgotten"
                );
            }
            assert_eq!(due, [(7, 1)]);
            assert!(now > at && now <= at + 2 * WHEEL_BUCKET_TENTHS + 1, "put in for {at}, came out at {now}");
            assert_eq!((wheel.next_in_ms(0), wheel.far.len()), (None, 0));
        }
    }

    #[test]
    fn a_long_sleep_skips_no_entry() {
        let mut wheel = Wheel::default();
        wheel.put(1, 1, 40);
        let mut due = Vec::new();
        wheel.due(1_000_000, &mut due);
        assert_eq!(due, [(1, 1)]);
    }

    #[test]
    fn a_crowd_that_passes_through_leaves_no_memory_behind() {
        let mut wheel = Wheel::default();
        let mut due = Vec::new();
        for round in 0..100 {
            (0..1_000).for_each(|slot| wheel.put(slot, 0, round * 10));
            wheel.due(round * 10 + 2 * WHEEL_BUCKET_TENTHS, &mut due);
            assert_eq!(std::mem::take(&mut due).len(), 1_000);
        }
        assert_eq!(wheel.buckets.iter().map(Vec::capacity).sum::<usize>(), 0);
    }
}
