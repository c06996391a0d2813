//! Counts of values by their size, in fixed buckets.
//!
//! Invariants: recording is a search among the bounds and an addition, without allocation; a quantile is never below
//! the true one, and never above the highest value that was recorded. Never here: what is measured.

use std::fmt;

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

/// The buckets of `/metrics`: their upper bounds, inclusive, in nanoseconds, and as seconds in the label `le`. From
/// 250 ns to 5 s, 1-2.5-5 a decade, then everything.
#[rustfmt::skip]
pub const BUCKETS: [(u64, &str); 23] = [
    (250, "2.5e-7"), (500, "5e-7"),
    (US, "0.000001"), (2_500, "0.0000025"), (5 * US, "0.000005"),
    (10 * US, "0.00001"), (25 * US, "0.000025"), (50 * US, "0.00005"),
    (100 * US, "0.0001"), (250 * US, "0.00025"), (500 * US, "0.0005"),
    (MS, "0.001"), (2_500 * US, "0.0025"), (5 * MS, "0.005"),
    (10 * MS, "0.01"), (25 * MS, "0.025"), (50 * MS, "0.05"),
    (100 * MS, "0.1"), (250 * MS, "0.25"), (500 * MS, "0.5"),
    (S, "1.0"), (2_500 * MS, "2.5"), (5 * S, "5.0"),
];

static COARSE: [u64; BUCKETS.len()] = coarse();

const fn coarse() -> [u64; BUCKETS.len()] {
    let mut bounds = [0; BUCKETS.len()];
    let mut at = 0;
    while at < bounds.len() {
        bounds[at] = BUCKETS[at].0;
        at += 1;
    }
    bounds
}

/// Bounds from 0 to 1,000.
const FINE_WHOLE: usize = 1_001;
/// Bounds of each of the five decades above: 200 + 300 + 200.
const FINE_PER_DECADE: usize = 700;
const FINE_BOUNDS: usize = FINE_WHOLE + 5 * FINE_PER_DECADE;

/// Every whole number up to 1,000, and above it no bound is more than one in two hundred above the one before. They
/// hold each bound of [`BUCKETS`] in whole microseconds.
static FINE: [u64; FINE_BOUNDS] = fine();

const fn fine() -> [u64; FINE_BOUNDS] {
    let mut bounds = [0; FINE_BOUNDS];
    let mut at = 1;
    while at < FINE_WHOLE {
        bounds[at] = at as u64;
        at += 1;
    }
    let mut unit = 1;
    let mut thousandths = 1_000;
    while at < FINE_BOUNDS {
        thousandths += match thousandths {
            1_000..2_000 => 5,
            2_000..5_000 => 10,
            _ => 25,
        };
        bounds[at] = thousandths * unit;
        at += 1;
        if thousandths == 10_000 {
            thousandths = 1_000;
            unit *= 10;
        }
    }
    bounds
}

/// How many values fell between which bounds, their sum and the highest.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    /// Upper bounds, inclusive, in rising order.
    bounds: &'static [u64],
    /// One more than the bounds: the last counts what lies above all of them.
    counts: Box<[u64]>,
    sum: u64,
    max: u64,
}

/// Its thousands of bounds and counts would hide all that is printed beside it.
impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, sum, max) = (self.count(), self.sum, self.max);
        write!(f, "Histogram({count} values, sum {sum}, highest {max})")
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::coarse()
    }
}

impl Histogram {
    fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1].into(), sum: 0, max: 0 }
    }

    /// For durations in nanoseconds, in the [`BUCKETS`] of `/metrics`: small enough to have some on every shard.
    #[must_use]
    pub fn coarse() -> Self {
        Self::new(&COARSE)
    }

    /// For whole numbers of any unit up to 100 million, with an error of at most one in two hundred: 36 kB.
    #[must_use]
    pub fn fine() -> Self {
        Self::new(&FINE)
    }

    /// Notes `times` values of this size.
    pub fn record(&mut self, value: u64, times: u64) {
        self.counts[self.bounds.partition_point(|&bound| bound < value)] += times;
        self.sum = self.sum.saturating_add(value.saturating_mul(times));
        self.max = self.max.max(value);
    }

    /// Adds what another histogram of the same bounds counted.
    pub fn merge(&mut self, other: &Self) {
        assert!(std::ptr::eq(self.bounds, other.bounds), "buckets are added to the same buckets");
        self.counts.iter_mut().zip(&other.counts).for_each(|(ours, theirs)| *ours += theirs);
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// How many values were noted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many of them are certainly not above `value`: exact when that is a bound.
    #[must_use]
    pub fn count_up_to(&self, value: u64) -> u64 {
        self.counts[..self.bounds.partition_point(|&bound| bound <= value)].iter().sum()
    }

    /// All values together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The highest value; 0 when there is none.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// This share of the values is not above the answer, which is a bound or the highest value; 0 when there is none.
    #[must_use]
    pub fn quantile(&self, per_mille: u64) -> u64 {
        let wanted = (self.count() * per_mille).div_ceil(1_000);
        if wanted == 0 {
            return 0;
        }
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        bucket.and_then(|at| self.bounds.get(at)).map_or(self.max, |&bound| bound.min(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, COARSE, FINE, Histogram};

    #[test]
    fn a_value_falls_into_the_bucket_that_ends_with_it() {
        let mut histogram = Histogram::coarse();
        assert_eq!((histogram.quantile(990), histogram.max()), (0, 0));
        histogram.record(0, 1);
        histogram.record(250, 97);
        histogram.record(251, 1);
        histogram.record(u64::MAX, 1);
        let up_to = |bound| histogram.count_up_to(bound);
        assert_eq!((up_to(249), up_to(250), up_to(251), up_to(5_000_000_000), histogram.count()), (0, 98, 98, 99, 100));
        assert_eq!([500, 990, 1_000].map(|share| histogram.quantile(share)), [250, 500, u64::MAX]);
    }

    #[test]
    fn histograms_add_up() {
        let mut ours = Histogram::fine();
        let mut theirs = Histogram::fine();
        ours.record(7, 2);
        theirs.record(90, 1);
        ours.merge(&theirs);
        assert_eq!((ours.count(), ours.sum(), ours.max(), ours.quantile(500)), (3, 104, 90, 7));
    }

    #[test]
    fn bounds_rise_by_one_in_two_hundred_and_hold_those_of_the_metrics() {
        assert!(COARSE.is_sorted_by(|a, b| a < b) && FINE.is_sorted_by(|a, b| a < b));
        assert!(FINE.windows(2).all(|pair| pair[1] - pair[0] <= (pair[0] / 200).max(1)));
        assert_eq!(FINE.last(), Some(&100_000_000));
        assert!(BUCKETS.iter().all(|(nanos, _)| FINE.binary_search(&(nanos / 1_000)).is_ok()));
        for (nanos, seconds) in BUCKETS {
            let written: f64 = seconds.parse().expect("a number");
            assert!((written * 1e9 - nanos as f64).abs() < 1e-3, "{seconds} stands for {nanos} ns");
        }
    }

    /// The quantiles of `/stats` against the sorted values: not below, and at most one in two hundred above.
    #[test]
    fn a_fine_quantile_is_at_most_one_in_two_hundred_above_the_true_one() {
        let mut seed: u64 = 1;
        for round in 0..200 {
            let mut histogram = Histogram::fine();
            let mut values: Vec<u64> = (0..1 + round * 7)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (seed >> 33) % [10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000][round % 8]
                })
                .collect();
            values.iter().for_each(|&value| histogram.record(value, 1));
            values.sort_unstable();
            for per_mille in [1, 500, 990, 999, 1_000] {
                let rank = (values.len() * per_mille).div_ceil(1_000);
                let (is, found) = (values[rank - 1], histogram.quantile(per_mille as u64));
                assert!(found >= is && found - is <= is / 200, "{per_mille}: {found} for {is}");
            }
        }
    }
}
