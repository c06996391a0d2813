//! The rule of rooms that leave no seat alone.
//!
//! A choice is refused when it would leave a single seat alone although as many seats could be had without that, in the
//! same row or section. A group that has no other choice is served. Each piece of a choice is judged by itself, beside
//! the other pieces: it could move where as many seats next to each other are free and none would be left alone.
//!
//! Invariants: a seat that was alone before is nobody's fault; accessible seats and those of companions are no other
//! choice for who did not choose such. Never here: `select_best`, which leaves a seat alone only where nothing else is
//! left.

use super::hall::Hall;
use super::search::{Field, Starts};
use super::{Layout, bits};
use crate::limits::SEATS_PER_REQUEST_MAX;
use crate::limits::layout::ALTERNATIVES_MAX;

/// What is to be said against a choice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Orphans {
    /// Other choices of as many seats, the nearest first, at least one and at most [`ALTERNATIVES_MAX`].
    pub alternatives: Vec<Vec<u32>>,
}

/// Judges the choice of these seats, all free. A choice of more than 50 is not judged: nobody makes one.
pub(super) fn orphans(hall: &Hall, seats: &[u32]) -> Option<Orphans> {
    if seats.len() > SEATS_PER_REQUEST_MAX {
        return None;
    }
    let layout = &**hall.layout();
    let mut chosen: Vec<usize> = seats.iter().map(|&seat| layout.place(seat)).collect();
    chosen.sort_unstable();
    debug_assert!(chosen.iter().all(|&place| bits::has(hall.free_places(), place)), "only free seats can be chosen");
    let mut left: Box<[u64]> = hall.free_places().into();
    chosen.iter().for_each(|&place| bits::take(&mut left, place));
    for (start, size) in pieces(layout, &chosen) {
        if !leaves_alone(layout, &left, start, size) {
            continue;
        }
        let mut beside = left.clone();
        bits::fill(&mut beside, start, start + size);
        let others = others(layout, &beside, start, size);
        if !others.is_empty() {
            let is_other = |place: &usize| !(start..start + size).contains(place);
            let rest: Vec<usize> = chosen.iter().copied().filter(is_other).collect();
            let whole = |other: usize| {
                let mut places: Vec<usize> = rest.iter().copied().chain(other..other + size).collect();
                places.sort_unstable();
                places.into_iter().map(|place| layout.order.seats[place]).collect()
            };
            return Some(Orphans { alternatives: others.into_iter().map(whole).collect() });
        }
    }
    None
}

/// The places in pieces of neighbours: where each begins and how many there are.
fn pieces(layout: &Layout, chosen: &[usize]) -> Vec<(usize, usize)> {
    let mut pieces: Vec<(usize, usize)> = Vec::new();
    for &place in chosen {
        match pieces.last_mut() {
            Some((start, size)) if *start + *size == place && bits::has(&layout.joined, place - 1) => *size += 1,
            _ => pieces.push((place, 1)),
        }
    }
    pieces
}

/// Whether a seat beside this piece is free in `left` and has nobody free beside it.
fn leaves_alone(layout: &Layout, left: &[u64], start: usize, size: usize) -> bool {
    let is_joined = |place: usize| bits::has(&layout.joined, place);
    let before = start > 0 && is_joined(start - 1) && bits::has(left, start - 1);
    let before_it = start > 1 && is_joined(start - 2) && bits::has(left, start - 2);
    let last = start + size - 1;
    let behind = is_joined(last) && bits::has(left, last + 1);
    let behind_it = is_joined(last + 1) && bits::has(left, last + 2);
    (before && !before_it) || (behind && !behind_it)
}

/// Where as many could sit without leaving anybody alone: in the same row, the nearest first; then in the same section.
fn others(layout: &Layout, free: &[u64], start: usize, size: usize) -> Vec<usize> {
    let own = layout.order.at(start);
    let wants_special = (start..start + size).any(|place| bits::has(&layout.special, place));
    let mut usable = bits::none(layout.len());
    for row in layout.order.rows.iter().filter(|row| row.section == own.section) {
        bits::fill(&mut usable, row.start as usize, row.end as usize);
    }
    for ((usable, free), special) in usable.iter_mut().zip(free).zip(&layout.special) {
        *usable &= free & if wants_special { u64::MAX } else { !special };
    }
    let field = Field { layout, free, usable: Some(&usable) };
    let in_words = |from: usize, to: usize| {
        (from..to).flat_map(move |at| {
            let Starts { good, .. } = field.starts(size, at);
            bits::ones(good).map(move |bit| at * 64 + bit)
        })
    };
    let is_own = |place: usize| (own.start as usize..own.end as usize).contains(&place);
    let mut others: Vec<usize> =
        in_words(own.start as usize / 64, (own.end as usize).div_ceil(64)).filter(|&place| is_own(place)).collect();
    others.sort_by_key(|place| place.abs_diff(start));
    others.truncate(ALTERNATIVES_MAX);
    let more = ALTERNATIVES_MAX - others.len();
    others.extend(in_words(0, field.words()).filter(|&place| !is_own(place)).take(more));
    others
}

#[cfg(test)]
mod tests;
