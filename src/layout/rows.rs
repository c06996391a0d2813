//! The order of a layout's places: row by row, the best row first, each row in the order of the list.
//!
//! A *place* is a number in this order; a seat's *index* is its number in the layout's list, which is what clients
//! know. Sets of places make the search for adjacent seats a matter of a few machine words.
//!
//! Invariants: each seat has one place; a row's places follow each other. Never here: which seats are free.

use std::collections::HashMap;

use super::plan::{Plan, Point, Seat};

/// A row in its order of preference.
#[derive(Debug)]
pub(super) struct Row {
    /// Its section, in the order in which sections appear in the list.
    pub(super) section: u32,
    pub(super) name: Box<str>,
    /// Its first place.
    pub(super) start: u32,
    /// The place behind its last one.
    pub(super) end: u32,
}

/// All rows, and which seat is where.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) rows: Box<[Row]>,
    pub(super) sections: Box<[Box<str>]>,
    /// The place of each seat, by index.
    pub(super) places: Box<[u32]>,
    /// The index of the seat at each place.
    pub(super) seats: Box<[u32]>,
}

/// A row while it is found.
struct Found<'a> {
    section: u32,
    name: &'a str,
    seats: Vec<u32>,
    /// The sum of its coordinates.
    sum: (f64, f64),
}

impl Found<'_> {
    /// How far its middle is from `focal`, squared.
    fn distance(&self, focal: Point) -> f64 {
        let count = f64::from(u32::try_from(self.seats.len()).expect("the number of seats is bounded"));
        let (dx, dy) = (self.sum.0 / count - focal.x.0, self.sum.1 / count - focal.y.0);
        dx * dx + dy * dy
    }
}

impl Rows {
    /// The rows of a checked plan: first those that it lists; then the others, those near the focal point first, or in
    /// the order of the list.
    pub(super) fn new(plan: &Plan<'_>) -> Self {
        let (mut found, sections) = find_rows(&plan.seats);
        let listed: HashMap<(&str, &str), usize> =
            plan.rows.iter().zip(0..).map(|((section, row), rank)| ((&**section, &**row), rank)).collect();
        let rank = |row: &Found<'_>| {
            let listed = listed.get(&(sections[row.section as usize], row.name)).copied().unwrap_or(usize::MAX);
            (listed, plan.focal.map_or(0.0, |focal| row.distance(focal)))
        };
        let mut ranked: Vec<_> = found.drain(..).map(|row| (rank(&row), row)).collect();
        // Stable: rows that are as near as each other stay in the order of the list.
        ranked.sort_by(|((a, near_a), _), ((b, near_b), _)| a.cmp(b).then(near_a.total_cmp(near_b)));
        Self::in_order(ranked.into_iter().map(|(_, row)| row), &sections, plan.seats.len())
    }

    fn in_order<'a>(found: impl Iterator<Item = Found<'a>>, sections: &[&str], count: usize) -> Self {
        let mut seats = Vec::with_capacity(count);
        let mut places = vec![0; count].into_boxed_slice();
        let mut rows = Vec::new();
        for row in found {
            let start = place(seats.len());
            for &seat in &row.seats {
                places[seat as usize] = place(seats.len());
                seats.push(seat);
            }
            rows.push(Row { section: row.section, name: row.name.into(), start, end: place(seats.len()) });
        }
        assert_eq!(seats.len(), count, "each seat is in one row");
        let sections = sections.iter().map(|&name| name.into()).collect();
        Self { rows: rows.into(), sections, places, seats: seats.into() }
    }

    /// The row at this place.
    pub(super) fn at(&self, place: usize) -> &Row {
        let after = self.rows.partition_point(|row| row.start as usize <= place);
        &self.rows[after - 1]
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let rows: usize = self.rows.iter().map(|row| size_of::<Row>() + row.name.len()).sum();
        let sections: usize = self.sections.iter().map(|name| size_of::<Box<str>>() + name.len()).sum();
        rows + sections + size_of_val(&*self.places) + size_of_val(&*self.seats)
    }
}

/// Rows and sections in the order in which they appear. A row is a pair: rows of two sections are two rows.
fn find_rows<'a>(seats: &'a [Seat<'_>]) -> (Vec<Found<'a>>, Vec<&'a str>) {
    let (mut rows, mut sections) = (Vec::<Found<'a>>::new(), Vec::new());
    let (mut row_numbers, mut section_numbers) = (HashMap::new(), HashMap::new());
    for (seat, index) in seats.iter().zip(0..) {
        let section = *section_numbers.entry(&*seat.section).or_insert_with(|| {
            sections.push(&*seat.section);
            place(sections.len() - 1)
        });
        let row = *row_numbers.entry((section, &*seat.row)).or_insert_with(|| {
            rows.push(Found { section, name: &seat.row, seats: Vec::new(), sum: (0.0, 0.0) });
            rows.len() - 1
        });
        rows[row].seats.push(index);
        rows[row].sum = (rows[row].sum.0 + seat.x.0, rows[row].sum.1 + seat.y.0);
    }
    (rows, sections)
}

/// A number of a seat, a place, a row or a section.
fn place(number: usize) -> u32 {
    u32::try_from(number).expect("the number of seats is bounded")
}
