//! Plans of halls: which seats there are, how they are numbered, which stand next to each other and which are the best.
//!
//! Owns: [`Layout`], read from our JSON ([`Layout::parse`]) or pretix's ([`Layout::parse_pretix`]); [`hall::Hall`], the
//! state of the seats of one room; [`best`] and [`orphans`], which choose; [`catalog::Catalog`], all layouts there are.
//! Invariants: a layout never changes; its version is a hash of what it says; it costs at most
//! [`LAYOUT_SEAT_BYTES_MAX`](crate::limits::layout::LAYOUT_SEAT_BYTES_MAX) bytes a seat beside its JSON and names.
//! Never here: who has a seat, files, HTTP.

pub mod best;
mod bits;
pub mod catalog;
mod check;
pub mod document;
pub mod error;
pub mod hall;
mod ids;
pub mod orphans;
mod plan;
mod pretix;
mod reading;
mod rows;
mod search;

use std::collections::HashMap;
use std::sync::Arc;

use crate::limits::layout::{LAYOUT_JSON_BYTES_MAX, LAYOUT_SEAT_BYTES_MAX};
use document::Document;
use error::LayoutError;
use ids::Ids;
use plan::Plan;
use rows::Rows;

/// The plan of a hall, shared by any number of rooms. Seats are numbered from 0 in the order of its list.
#[derive(Debug)]
pub struct Layout {
    id: Arc<str>,
    document: Document,
    ids: Ids,
    order: Rows,
    categories: Box<[Box<str>]>,
    /// What filters can tell apart: places that follow each other and have section and category in common.
    runs: Box<[Run]>,
    /// Places whose seat is next to that of the place behind it.
    joined: Box<[u64]>,
    /// Places for wheelchairs and the like.
    accessible: Box<[u64]>,
    /// Those, and the places beside them for whoever comes along: given when nothing else is left.
    special: Box<[u64]>,
    /// (a place, the place of a companion of it), in order.
    companions: Box<[(u32, u32)]>,
}

/// Places up to `end` that have section and category in common.
#[derive(Debug)]
struct Run {
    end: u32,
    section: u32,
    category: u16,
}

impl Layout {
    /// Reads a layout from our JSON. `id` names it, and is no part of what it says.
    ///
    /// # Errors
    /// One line that says what is wrong, and where.
    pub fn parse(id: &str, json: &[u8]) -> Result<Self, LayoutError> {
        fits(json)?;
        let plan = reading::bounded(|| serde_json::from_slice(json)).map_err(|error| LayoutError::json(&error))?;
        Self::new(id, &plan)
    }

    /// What it takes, in bytes of memory, and rather more than less: both texts, its names, and what stands for its
    /// seats.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let (json, gzip) = (self.document.json().len(), self.document.gzip().len());
        2 * json + gzip + self.len() * LAYOUT_SEAT_BYTES_MAX
    }

    /// Reads a layout from a seating plan of pretix: rows of two zones are two rows, `seat_guid` is the id of a seat,
    /// and a distance of more than 1.5 times the row's usual one is a gap.
    ///
    /// # Errors
    /// One line that says what is wrong, and where.
    pub fn parse_pretix(id: &str, json: &[u8]) -> Result<Self, LayoutError> {
        fits(json)?;
        let plan = reading::bounded(|| serde_json::from_slice(json)).map_err(|error| LayoutError::json(&error))?;
        Self::new(id, &pretix::plan(plan)?)
    }

    fn new(id: &str, plan: &Plan<'_>) -> Result<Self, LayoutError> {
        let ids = check::check(plan)?;
        let order = Rows::new(plan);
        let count = plan.seats.len();
        let (mut joined, mut accessible, mut special) = (bits::none(count), bits::none(count), bits::none(count));
        let mut companions = Vec::new();
        for (seat, &place) in plan.seats.iter().zip(&order.places) {
            let at = place as usize;
            if seat.accessible {
                bits::put(&mut accessible, at);
                bits::put(&mut special, at);
            }
            if let Some(of) = &seat.companion_of {
                let of = ids.find(of).expect("it has been checked");
                companions.push((order.places[of as usize], place));
                bits::put(&mut special, at);
            }
            if !seat.gap_after {
                bits::put(&mut joined, at);
            }
        }
        for row in &order.rows {
            bits::take(&mut joined, row.end as usize - 1);
        }
        companions.sort_unstable();
        let (categories, runs) = runs(plan, &order);
        let document = Document::new(plan.canonical());
        let companions = companions.into();
        Ok(Self { id: id.into(), document, ids, order, categories, runs, joined, accessible, special, companions })
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The hash of what it says: 32 hexadecimal digits.
    #[must_use]
    pub fn version(&self) -> &Arc<str> {
        self.document.version()
    }

    /// What is served and stored.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Its number of seats.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a layout has seats")]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The number of the seat with this id.
    #[must_use]
    pub fn index_of(&self, id: &str) -> Option<u32> {
        self.ids.find(id)
    }

    /// The id of a seat. `index` is below [`Layout::len`], here and below.
    #[must_use]
    pub fn id_of(&self, index: u32) -> &str {
        self.ids.id(index as usize)
    }

    /// The section that a seat is in.
    #[must_use]
    pub fn section_of(&self, index: u32) -> &str {
        &self.order.sections[self.order.at(self.place(index)).section as usize]
    }

    /// The row of its section that a seat is in.
    #[must_use]
    pub fn row_of(&self, index: u32) -> &str {
        &self.order.at(self.place(index)).name
    }

    /// The category of a seat.
    #[must_use]
    pub fn category_of(&self, index: u32) -> &str {
        let place = self.order.places[index as usize];
        let run = self.runs.partition_point(|run| run.end <= place);
        &self.categories[usize::from(self.runs[run].category)]
    }

    /// Whether a seat is for a wheelchair or the like.
    #[must_use]
    pub fn is_accessible(&self, index: u32) -> bool {
        bits::has(&self.accessible, self.place(index))
    }

    /// The seat whose companion sits on this one.
    #[must_use]
    pub fn companion_of(&self, index: u32) -> Option<u32> {
        let place = self.order.places[index as usize];
        let (of, _) = self.companions.iter().find(|&&(_, companion)| companion == place)?;
        Some(self.order.seats[*of as usize])
    }

    /// The names of its sections, in the order in which they appear.
    pub fn sections(&self) -> impl ExactSizeIterator<Item = &str> {
        self.order.sections.iter().map(|name| &**name)
    }

    /// The ids of its categories, in their order.
    pub fn categories(&self) -> impl ExactSizeIterator<Item = &str> {
        self.categories.iter().map(|id| &**id)
    }

    /// The numbers of the seats of a section, row by row; none when there is no such section.
    pub fn seats_of_section(&self, section: &str) -> impl Iterator<Item = u32> {
        let number = self.order.sections.iter().position(|name| &**name == section);
        let rows = self.order.rows.iter().filter(move |row| Some(row.section as usize) == number);
        rows.flat_map(|row| self.order.seats[row.start as usize..row.end as usize].iter().copied())
    }

    /// The rows in their order of preference: section, row, and the numbers of its seats.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = (&str, &str, &[u32])> {
        self.order.rows.iter().map(|row| {
            let seats = &self.order.seats[row.start as usize..row.end as usize];
            (&*self.order.sections[row.section as usize], &*row.name, seats)
        })
    }

    /// The seat that follows a seat in its row without a gap.
    #[must_use]
    pub fn next_to(&self, index: u32) -> Option<u32> {
        let place = self.place(index);
        bits::has(&self.joined, place).then(|| self.order.seats[place + 1])
    }

    /// Bytes of memory, without the document.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let sets = [&self.joined, &self.accessible, &self.special].map(|set| size_of_val(&**set)).iter().sum::<usize>();
        let categories: usize = self.categories.iter().map(|id| size_of::<Box<str>>() + id.len()).sum();
        let lists = size_of_val(&*self.runs) + size_of_val(&*self.companions);
        size_of::<Self>() + self.ids.heap_bytes() + self.order.heap_bytes() + sets + categories + lists
    }

    fn place(&self, index: u32) -> usize {
        self.order.places[index as usize] as usize
    }
}

fn fits(json: &[u8]) -> Result<(), LayoutError> {
    if json.len() <= LAYOUT_JSON_BYTES_MAX {
        // What is passed over is not looked at otherwise.
        return match str::from_utf8(json) {
            Ok(_) => Ok(()),
            Err(error) => Err(LayoutError::new(format_args!("no UTF-8 from byte {} on", error.valid_up_to()))),
        };
    }
    Err(LayoutError::new(format_args!("{} bytes, a layout has at most {LAYOUT_JSON_BYTES_MAX}", json.len())))
}

/// The categories in their order, and the places by what filters can tell apart.
fn runs(plan: &Plan<'_>, order: &Rows) -> (Box<[Box<str>]>, Box<[Run]>) {
    let mut ids: Vec<&str> = plan.categories.iter().flatten().map(|category| &*category.id).collect();
    let mut numbers: HashMap<&str, usize> = ids.iter().copied().zip(0..).collect();
    let mut runs: Vec<Run> = Vec::new();
    for row in &order.rows {
        for place in row.start..row.end {
            let id = &*plan.seats[order.seats[place as usize] as usize].category;
            let number = *numbers.entry(id).or_insert_with(|| {
                ids.push(id);
                ids.len() - 1
            });
            let category = u16::try_from(number).expect("the number of categories is bounded");
            match runs.last_mut() {
                Some(run) if run.section == row.section && run.category == category => run.end = place + 1,
                _ => runs.push(Run { end: place + 1, section: row.section, category }),
            }
        }
    }
    (ids.into_iter().map(Into::into).collect(), runs.into())
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
