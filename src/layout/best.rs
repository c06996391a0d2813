//! The best seats for a group.
//!
//! The order of attempts: next to each other and nobody left alone, over all rows, the best row first, the middle of a
//! row before its ends; then the same with a single seat left alone; then, if the group takes that, in pieces. All of
//! that among ordinary seats first; accessible seats and those of companions are given when nothing else is left. A
//! group that asks for accessible seats is served by [`accessible`].
//!
//! Invariants: what is given is free, allowed and asked for, as many seats as asked for; the same question in the same
//! state has the same answer. Never here: who asks.

mod accessible;
mod pieces;

use super::hall::Hall;
use super::search::Field;
use super::{Layout, bits};
use crate::planted::{Bug, has};

/// What a group asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BestQuery {
    /// How many seats, 1 to [`SEATS_PER_REQUEST_MAX`](crate::limits::SEATS_PER_REQUEST_MAX).
    pub quantity: u32,
    /// Only in sections with these names. Without a name: in all.
    pub sections: Vec<Box<str>>,
    /// Only of categories with these ids. Without an id: of all.
    pub categories: Vec<Box<str>>,
    /// How many of them are to be accessible, at most `quantity`.
    pub accessible: u32,
    /// Whether they must be next to each other.
    pub adjacent: bool,
}

/// Why there are no such seats. Both count what the filters allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BestRefusal {
    /// Fewer are free than were asked for; or fewer accessible ones, then those are counted.
    NotEnough {
        /// How many are free.
        free: u32,
    },
    /// Enough are free, but not next to each other.
    NotAdjacent {
        /// How many are, at most; where accessible seats are asked for: beside so many of them.
        largest: u32,
    },
}

/// Chooses among the free seats of a hall: their numbers, row by row.
///
/// # Errors
/// There are no such seats.
///
/// # Panics
/// The quantity is not 1 to 50.
pub(super) fn best(hall: &Hall, query: &BestQuery) -> Result<Vec<u32>, BestRefusal> {
    let layout = &**hall.layout();
    let quantity = query.quantity as usize;
    assert!((1..=crate::limits::SEATS_PER_REQUEST_MAX).contains(&quantity), "whoever reads a request checks that");
    let allowed = allowed(layout, hall.free_places(), query);
    let all = Field { layout, free: hall.free_places(), usable: allowed.as_deref() };
    // Without filters the hall knows.
    let free = if allowed.is_some() { all.count() } else { hall.free() };
    if free < query.quantity {
        return Err(BestRefusal::NotEnough { free });
    }
    let places = if query.accessible > 0 {
        accessible::choose(all, quantity, query.accessible.min(query.quantity) as usize, query.adjacent)?
    } else {
        choose(all, quantity, query.adjacent)
            .ok_or_else(|| BestRefusal::NotAdjacent { largest: number(all.longest(quantity)) })?
    };
    debug_assert!(places.len() == quantity && places.is_sorted() && places.iter().all(|&at| bits::has(all.free, at)));
    Ok(places.into_iter().map(|place| layout.order.seats[place]).collect())
}

/// Among ordinary seats, then among all.
fn choose(all: Field<'_>, quantity: usize, adjacent: bool) -> Option<Vec<usize>> {
    if !has_special(all.layout) || has(Bug::BestTakesSpecial) {
        return attempts(all, quantity, adjacent);
    }
    let usable = without_special(all);
    let ordinary = Field { usable: Some(&usable), ..all };
    attempts(ordinary, quantity, adjacent).or_else(|| attempts(all, quantity, adjacent))
}

fn attempts(field: Field<'_>, quantity: usize, adjacent: bool) -> Option<Vec<usize>> {
    if let Some(start) = field.window(quantity) {
        return Some((start..start + quantity).collect());
    }
    let in_pieces = !adjacent && field.count() as usize >= quantity;
    in_pieces.then(|| pieces::choose(field, quantity))
}

fn has_special(layout: &Layout) -> bool {
    layout.special.iter().any(|&word| word != 0)
}

fn without_special(all: Field<'_>) -> Box<[u64]> {
    let usable = all.usable.unwrap_or(all.free);
    usable.iter().zip(&all.layout.special).map(|(&usable, &special)| usable & !special).collect()
}

/// The free places that the filters allow; `None`: all.
fn allowed(layout: &Layout, free: &[u64], query: &BestQuery) -> Option<Box<[u64]>> {
    if query.sections.is_empty() && query.categories.is_empty() {
        return None;
    }
    let wanted = |names: &[Box<str>], wanted: &[Box<str>]| -> Vec<bool> {
        names.iter().map(|name| wanted.is_empty() || wanted.contains(name)).collect()
    };
    let sections = wanted(&layout.order.sections, &query.sections);
    let categories = wanted(&layout.categories, &query.categories);
    let mut allowed = bits::none(layout.len());
    let mut start = 0;
    for run in &layout.runs {
        let end = run.end as usize;
        if sections[run.section as usize] && categories[usize::from(run.category)] {
            bits::fill(&mut allowed, start, end);
        }
        start = end;
    }
    for (allowed, free) in allowed.iter_mut().zip(free) {
        *allowed &= free;
    }
    Some(allowed)
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("the number of seats is bounded")
}

#[cfg(test)]
mod tests;
