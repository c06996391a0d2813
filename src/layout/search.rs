//! The search for places next to each other: sets of places, 64 at a time.
//!
//! A *window* is `size` places of one row, next to each other without a gap, all of them usable. It leaves an *orphan*
//! when a free seat beside it had another free seat beside it before, and has none with it: that seat would be left
//! alone.
//!
//! Invariants: nothing here looks at seats one by one, so that 50,000 of them take microseconds; pairs of neighbours
//! are worked out once a word, and what is looked at within two words is no longer than that; a search changes nothing.
//! Never here: what makes a place usable.

use super::{Layout, bits};
use crate::planted::{Bug, has};

/// What is searched.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) layout: &'a Layout,
    /// Places that are free: those that could be left alone.
    pub(super) free: &'a [u64],
    /// Free places that may be given; `None`: all that are free.
    pub(super) usable: Option<&'a [u64]>,
}

/// Longer rows of pairs are found by doubling, shorter ones step by step.
const STEPWISE: usize = 8;

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

/// The pairs of a set, word by word: those of the word before, of this one and of the next.
struct Pairs<'a> {
    layout: &'a Layout,
    set: &'a [u64],
    before: u64,
    here: u64,
    next: u64,
}

impl<'a> Pairs<'a> {
    /// In front of the first word.
    fn new(layout: &'a Layout, set: &'a [u64]) -> Self {
        Self { layout, set, before: 0, here: 0, next: pairs(layout, set, 0) }
    }

    /// At word `at`.
    fn around(layout: &'a Layout, set: &'a [u64], at: usize) -> Self {
        let before = if at == 0 { 0 } else { pairs(layout, set, at - 1) };
        Self { layout, set, before, here: pairs(layout, set, at), next: pairs(layout, set, at + 1) }
    }

    /// Goes to word `at`, which is not before the last one: those in between cost nothing.
    #[inline]
    fn go_to(&mut self, last: &mut usize, at: usize) {
        if *last + 1 == at {
            self.step(at);
        } else if *last != at {
            *self = Self::around(self.layout, self.set, at);
        }
        *last = at;
    }

    /// Where windows of `size` would leave somebody alone, among the places of this word, if there are such windows.
    #[inline]
    fn leaving_alone(&self, size: usize) -> u64 {
        let left_alone = (self.here << 1 | self.before >> 63) & !(self.here << 2 | self.before >> 62);
        let right_alone = self.behind(size - 1) & !self.behind(size);
        left_alone | right_alone
    }

    /// Steps to word `at`, which follows the last one.
    #[inline]
    fn step(&mut self, at: usize) {
        (self.before, self.here) = (self.here, self.next);
        self.next = pairs(self.layout, self.set, at + 1);
    }

    /// The pairs that stand so many places, below 64, behind those of this word.
    #[inline]
    fn behind(&self, by: usize) -> u64 {
        self.here >> by | self.next << 1 << (63 - by)
    }

    /// Where so many pairs in a row begin in this word.
    #[inline]
    fn runs(&self, length: usize) -> u64 {
        if length > STEPWISE {
            return low(runs(both(self.here, self.next), length));
        }
        let mut starts = self.here;
        for by in 1..length {
            starts &= self.behind(by);
        }
        starts
    }
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

    /// Where windows of `size` begin in word `at`. `size` is 1 to 50, so a window and what is beside it lie within two
    /// words.
    pub(super) fn starts(&self, size: usize, at: usize) -> Starts {
        let set = self.usable();
        let any = if size == 1 {
            bits::word(set, at)
        } else {
            let first = pairs(self.layout, set, at);
            if first == 0 { 0 } else { Pairs::around(self.layout, set, at).runs(size - 1) }
        };
        if any == 0 {
            return Starts { good: 0, any: 0 };
        }
        let free = Pairs::around(self.layout, self.free, at);
        Starts { good: any & !free.leaving_alone(size), any }
    }

    /// The best window: one that leaves nobody alone, in the best row that has one, as near to the middle of that row
    /// as can be; if there is none, the same with somebody left alone.
    pub(super) fn window(&self, size: usize) -> Option<usize> {
        let (set, mut second) = (self.usable(), None);
        let mut pairs = Pairs::new(self.layout, set);
        // Where all that is free may be given, the pairs are the same.
        let (mut free, mut last) = (Pairs::around(self.layout, self.free, 0), 0);
        for at in 0..self.words() {
            pairs.step(at);
            let any = match size {
                1 => bits::word(set, at),
                _ if pairs.here == 0 => 0,
                _ => pairs.runs(size - 1),
            };
            if any == 0 {
                continue;
            }
            let alone = if self.usable.is_some() {
                free.go_to(&mut last, at);
                free.leaving_alone(size)
            } else {
                pairs.leaving_alone(size)
            };
            let good = any & !alone;
            if has(Bug::BestLeavesAlone) {
                return Some(
                    self.nearest_the_middle(size, at * 64 + any.trailing_zeros() as usize, |starts| starts.any),
                );
            }
            if good != 0 {
                return Some(
                    self.nearest_the_middle(size, at * 64 + good.trailing_zeros() as usize, |starts| starts.good),
                );
            }
            if second.is_none() {
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

    /// How many usable places stand next to each other, at most; more than `most` (at most 50) are not told apart.
    pub(super) fn longest(&self, most: usize) -> usize {
        let set = self.usable();
        let mut longest = usize::from(set.iter().any(|&word| word != 0)).min(most);
        let mut pairs = Pairs::new(self.layout, set);
        for at in 0..self.words() {
            pairs.step(at);
            if pairs.here == 0 {
                continue;
            }
            // As many pairs in a row are one place more than what was found.
            let mut longer = pairs.runs(longest);
            while longer != 0 && longest < most {
                longest += 1;
                longer &= pairs.behind(longest - 1);
            }
        }
        longest
    }

    /// The longest rows of usable places without a gap, in order: where each begins and how long it is.
    pub(super) fn stretches(&self) -> impl Iterator<Item = (usize, usize)> + use<'a> {
        let (set, layout) = (self.usable(), self.layout);
        let mut pairs = Pairs::new(layout, set);
        (0..set.len()).flat_map(move |at| {
            pairs.step(at);
            let starts = set[at] & !(pairs.here << 1 | pairs.before >> 63);
            bits::ones(starts).map(move |bit| (at * 64 + bit, stretch(layout, set, at, bit)))
        })
    }

    /// Where stretches shorter than `size` (at most 50) begin, by length and in order, no more than `enough` says of
    /// each length. There are no longer ones. With enough of the longest that can be, others need not be complete.
    pub(super) fn by_length(&self, size: usize, enough: impl Fn(usize) -> usize) -> Vec<Vec<usize>> {
        let (set, mut by_length) = (self.usable(), vec![Vec::new(); size]);
        let enough: Vec<usize> = (0..size).map(|length| if length == 0 { 0 } else { enough(length) }).collect();
        let mut pairs = Pairs::new(self.layout, set);
        for (at, word) in set.iter().enumerate() {
            pairs.step(at);
            let mut starts = word & !(pairs.here << 1 | pairs.before >> 63);
            for (length, found) in by_length.iter_mut().enumerate().skip(1) {
                if starts == 0 {
                    break;
                }
                let longer = starts & pairs.behind(length - 1);
                let exactly = starts & !longer;
                if exactly != 0 && found.len() < enough[length] {
                    let missing = enough[length] - found.len();
                    found.extend(bits::ones(exactly).take(missing).map(|bit| at * 64 + bit));
                }
                starts = longer;
            }
            debug_assert_eq!(starts, 0, "no stretch is as long as the group");
            if size > 1 && by_length[size - 1].len() == enough[size - 1] {
                break;
            }
        }
        by_length
    }
}

/// How long the stretch is that begins at this bit of word `at`.
fn stretch(layout: &Layout, set: &[u64], at: usize, bit: usize) -> usize {
    let mut length = (!(pairs(layout, set, at) >> bit)).trailing_zeros() as usize;
    let mut next = at + 1;
    // Pairs up to the end of the word: it goes on in the next one.
    while bit + length == (next - at) * 64 {
        length += (!pairs(layout, set, next)).trailing_zeros() as usize;
        next += 1;
    }
    length + 1
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

#[cfg(test)]
mod tests;
