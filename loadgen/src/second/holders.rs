//! Who had which seat of a room from which number of its history to which, as each was told by its own cart.
//!
//! Invariant: a time is only as long as it was surely so, from the message that told of the seat to the last one that
//! still named it; so two that overlap are two holders of one seat. Never here: maps.

use std::collections::HashMap;

use crate::names::{Seat, Who};

/// From which number to which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Who had it.
    pub who: Who,
    /// The first number at which that was told.
    pub from: u64,
    /// The last.
    pub to: u64,
}

/// The times of one room.
#[derive(Debug, Default)]
pub struct Holders {
    /// By life of the room and seat.
    times: HashMap<(usize, Seat), Vec<Time>>,
}

impl Holders {
    /// The client's cart named the seat at `seq`.
    pub fn named(&mut self, life: usize, seat: Seat, who: Who, seq: u64, is_new: bool) {
        let times = self.times.entry((life, seat)).or_default();
        match times.iter_mut().rev().find(|time| time.who == who) {
            Some(time) if !is_new => time.to = time.to.max(seq),
            _ => times.push(Time { who, from: seq, to: seq }),
        }
    }

    /// Seats that two had at once.
    pub fn overlaps(&mut self) -> Vec<(Seat, Time, Time)> {
        let mut found = Vec::new();
        for ((_, seat), times) in &mut self.times {
            times.sort_unstable_by_key(|time| (time.from, time.to));
            let mut last: Option<Time> = None;
            for time in times.iter().copied() {
                if let Some(last) = last.filter(|last| last.who != time.who && time.from <= last.to) {
                    found.push((*seat, last, time));
                }
                last = Some(last.filter(|last| last.to > time.to).unwrap_or(time));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::Holders;

    #[test]
    fn only_what_was_surely_at_once_overlaps() {
        let check = |facts: &[(u32, u64, bool)], expected: usize| {
            let mut holders = Holders::default();
            facts.iter().for_each(|&(who, seq, is_new)| holders.named(0, 5, who, seq, is_new));
            holders.named(1, 5, 9, 1, true);
            assert_eq!(holders.overlaps().len(), expected, "{facts:?}");
        };
        check(&[(1, 1, true), (1, 4, false), (2, 5, true)], 0);
        check(&[(2, 5, true), (2, 9, false), (1, 1, true), (1, 4, false)], 0);
        check(&[(1, 1, true), (2, 3, true), (1, 4, false)], 1);
        check(&[(1, 1, true), (1, 4, false), (1, 8, true), (2, 6, true)], 0);
        check(&[(1, 2, true), (2, 2, true)], 1);
    }
}
