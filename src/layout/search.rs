//! The search for places next to each other: sets of places, 64 at a time.
//!
//! A *window* is `size` places of one row, next to each other without a gap, all of them usable. It leaves an *orphan*
//! when a free seat beside it had another free seat beside it before, and has none with it: that seat would be left
//! alone.
//!
//! Invariants: nothing here looks at seats one by one, so that 50,000 of them take microseconds; a search changes
//! nothing. Never here: what makes a place usable.

use super::{Layout, bits};

/// What is searched.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) layout: &'a Layout,
    /// Places that are free: those that could be left alone.
    pub(super) free: &'a [u64],
    /// Free places that may be given; `None`: all that are free.
    pub(super) usable: Option<&'a [u64]>,
}

/// The two kinds of windows that begin in one word.
#[derive(Clone, Copy)]
pub(super) struct Starts {
    /// Those that leave nobody alone.
    pub(super) good: u64,
    /// All of them.
    pub(super) any: u64,
}

/// Places of `set` whose neighbour behind them is in `set` as well, of word `at`.
fn pairs(layout: &Layout, set: &[u64], at: usize) -> u64 {
    let word = bits::word(set, at);
    if word == 0 {
        return 0;
    }
    word & (word >> 1 | bits::word(set, at + 1) << 63) & bits::word(&layout.joined, at)
}

fn both(low: u64, high: u64) -> u128 {
    u128::from(low) | u128::from(high) << 64
}

/// The lower half.
#[expect(clippy::cast_possible_truncation, reason = "the upper half is not wanted")]
fn low(bits: u128) -> u64 {
    bits as u64
}

impl<'a> Field<'a> {
    pub(super) fn words(&self) -> usize {
        self.free.len()
    }

    fn usable(&self) -> &'a [u64] {
        self.usable.unwrap_or(self.free)
    }

    /// Where windows of `size` begin in word `at`. `size` is 1 to 50, so a window and what is beside it lie within two words.
    pub(super) fn starts(&self, size: usize, at: usize) -> Starts {
        let set = self.usable();
        if bits::word(set, at) == 0 {
            return Starts { good: 0, any: 0 };
        }
        let any = if size == 1 {
            bits::word(set, at)
        } else {
            let first = pairs(self.layout, set, at);
            if first == 0 {
                return Starts { good: 0, any: 0 };
            }
            low(runs(both(first, pairs(self.layout, set, at + 1)), size - 1))
        };
        if any == 0 {
            return Starts { good: 0, any: 0 };
        }
        let before = if at == 0 { 0 } else { pairs(self.layout, self.free, at - 1) };
        let (here, behind) = (pairs(self.layout, self.free, at), pairs(self.layout, self.free, at + 1));
        let left_alone = (here << 1 | before >> 63) & !(here << 2 | before >> 62);
        let around = both(here, behind);
        let right_alone = low((around >> (size - 1)) & !(around >> size));
        Starts { good: any & !left_alone & !right_alone, any }
    }

    /// The best window: one that leaves nobody alone, in the best row that has one, as near to the middle of that row as
    /// can be; if there is none, the same with somebody left alone.
    pub(super) fn window(&self, size: usize) -> Option<usize> {
        let mut second = None;
        for at in 0..self.words() {
            let Starts { good, any } = self.starts(size, at);
            if good != 0 {
                return Some(
                    self.nearest_the_middle(size, at * 64 + good.trailing_zeros() as usize, |starts| starts.good),
                );
            }
            if any != 0 && second.is_none() {
                second = Some(at * 64 + any.trailing_zeros() as usize);
            }
        }
        second.map(|place| self.nearest_the_middle(size, place, |starts| starts.any))
    }

    /// The window of a kind nearest to the middle of the row of `place`, where the first one of that row begins; of two
    /// that are as near the one that comes first.
    fn nearest_the_middle(&self, size: usize, place: usize, kind: impl Fn(Starts) -> u64) -> usize {
        let row = self.layout.order.at(place);
        let (start, end) = (row.start as usize, row.end as usize);
        // A window that began here would have as many seats of its row before it as behind it, or one less.
        let middle = (start + end - size) / 2;
        let of_word = |at: usize| kind(self.starts(size, at)) & within(at, start, end);
        let before = (start / 64..=middle / 64).rev().find_map(|at| {
            let starts = of_word(at) & within(at, start, middle + 1);
            (starts != 0).then(|| at * 64 + 63 - starts.leading_zeros() as usize)
        });
        let behind = (middle / 64..end.div_ceil(64)).find_map(|at| {
            let starts = of_word(at) & within(at, middle + 1, end);
            (starts != 0).then(|| at * 64 + starts.trailing_zeros() as usize)
        });
        let distance = |place: &usize| off_middle(start, end, size, *place);
        let nearest = before.into_iter().chain(behind).min_by_key(distance);
        nearest.expect("the row has a window")
    }

    /// How many places are usable.
    pub(super) fn count(&self) -> u32 {
        bits::count(self.usable())
    }

    /// The longest rows of usable places without a gap, in order: where each begins and how long it is.
    pub(super) fn stretches(&self) -> impl Iterator<Item = (usize, usize)> + use<'a> {
        let (set, layout) = (self.usable(), self.layout);
        let mut places = bits::iter(set).peekable();
        std::iter::from_fn(move || {
            let start = places.next()?;
            let mut last = start;
            while bits::has(&layout.joined, last) && places.next_if_eq(&(last + 1)).is_some() {
                last += 1;
            }
            Some((start, last + 1 - start))
        })
    }
}

/// How far a window is off the middle of its row, in halves of a seat.
pub(super) fn off_middle(start: usize, end: usize, size: usize, place: usize) -> usize {
    (2 * place + size).abs_diff(start + end)
}

/// Where `length` bits in a row begin.
fn runs(mut set: u128, length: usize) -> u128 {
    let mut have = 1;
    while have < length {
        let step = have.min(length - have);
        set &= set >> step;
        have += step;
    }
    set
}

/// The bits of word `at` that stand for `start..end`.
fn within(at: usize, start: usize, end: usize) -> u64 {
    let from = start.max(at * 64) - at * 64;
    let to = end.min(at * 64 + 64).saturating_sub(at * 64);
    if from >= to { 0 } else { (u64::MAX >> (64 - (to - from))) << from }
}
