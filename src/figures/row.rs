//! What describes a figure: one row of a table.
//!
//! Invariant: a row reaches its field by one function, which serves both adding up and reading. So no figure can be
//! added up and not shown, or shown and not added up. The price is that a reader needs a copy of the figures. Never
//! here: the figures themselves, formats.

use super::histogram::Histogram;

/// The name of a figure that only `/stats` shows.
pub const STATS_ONLY: &str = "";

/// One figure of a `T`.
pub struct Row<T> {
    /// Its name in `/metrics`, or [`STATS_ONLY`].
    pub name: &'static str,
    /// How `/stats` shows it.
    pub json: Json,
    /// How it behaves over time, and how those of several shards make one.
    pub kind: Kind,
    /// What one of it is.
    pub unit: Unit,
    /// One line for a reader of `/metrics`, without a full stop.
    pub help: &'static str,
    /// Whether each shard has a series of its own.
    pub scope: Scope,
    /// What tells the numbers of a figure apart, the slowest first. Without labels there is one number.
    pub labels: &'static [Label],
    /// Where it is.
    pub slot: for<'a> fn(&'a mut T) -> Slot<'a>,
}

/// How `/stats` shows a figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Json {
    /// Not at all.
    Hidden,
    /// Under this name: a number (several are added up), or `p50`, `p99` and `max` of a histogram.
    Key(&'static str),
    /// Under this name: 99 of 100 took no longer, in microseconds.
    P99Us(&'static str),
}

/// How a figure behaves over time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only grows. Those of several shards are added up.
    Counter,
    /// Is overwritten by its owner. Those of several shards are added up.
    Gauge,
    /// The highest that there ever was. Of several shards the highest counts.
    HighWater,
    /// Counts of values by their size.
    Histogram,
}

/// What one of a figure is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// One of these things.
    Count(&'static str),
    /// A byte.
    Bytes,
    /// A nanosecond; `/metrics` shows seconds.
    Nanos,
    /// A microsecond; `/metrics` shows seconds.
    Micros,
    /// A millisecond; `/metrics` shows seconds.
    Millis,
    /// A second.
    Seconds,
    /// 1 for yes and 0 for no.
    Flag,
    /// Words, which only `/stats` shows.
    Words,
}

/// Whether each shard has a series of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Each has one, with its number as the label `shard`.
    Shard,
    /// The whole server has one: it is not skewed between shards, or has too many series to tell them apart.
    Server,
}

/// A label and the values that it may have.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values, in the order of the numbers.
    pub values: &'static [&'static str],
}

/// Where a figure is.
#[derive(Debug)]
pub enum Slot<'a> {
    /// One whole number.
    Number(&'a mut u64),
    /// One number for each combination of the labels' values.
    Numbers(&'a mut [u64]),
    /// One number with a fraction.
    Real(&'a mut f64),
    /// Yes or no.
    Flag(&'a mut bool),
    /// Words, or none.
    Words(&'a mut Option<String>),
    /// A histogram.
    Histogram(&'a mut Histogram),
    /// Nothing: the number is 1, and its labels say everything.
    One,
}

impl Kind {
    /// Two numbers of this kind as one.
    fn merged(self, ours: u64, theirs: u64) -> u64 {
        match self {
            Self::Counter | Self::Gauge => ours + theirs,
            Self::HighWater => ours.max(theirs),
            Self::Histogram => unreachable!("a histogram is no number"),
        }
    }
}

impl Unit {
    /// How many of it `/metrics` shows as one.
    #[must_use]
    pub fn divisor(self) -> f64 {
        match self {
            Self::Nanos => 1e9,
            Self::Micros => 1e6,
            Self::Millis => 1e3,
            Self::Count(_) | Self::Bytes | Self::Seconds | Self::Flag | Self::Words => 1.0,
        }
    }
}

/// Adds `theirs` to `ours`, each figure as its kind wants it.
///
/// # Panics
/// When a figure is neither a number nor a histogram: the server has such a one once, and there is nothing to add.
pub fn merge<T>(rows: &[Row<T>], ours: &mut T, mut theirs: T) {
    for row in rows {
        let pair = ((row.slot)(ours), (row.slot)(&mut theirs));
        if let (Slot::Number(ours), Slot::Number(theirs)) = pair {
            *ours = row.kind.merged(*ours, *theirs);
        } else if let (Slot::Numbers(ours), Slot::Numbers(theirs)) = pair {
            ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| *ours = row.kind.merged(*ours, *theirs));
        } else if let (Slot::Histogram(ours), Slot::Histogram(theirs)) = pair {
            ours.merge(theirs);
        } else {
            panic!("{} cannot be added up", row.help);
        }
    }
}
