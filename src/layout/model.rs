//! A hall as the rules speak of it, seat by seat, for the tests of those who choose. Never here: anything fast.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Layout;
use super::hall::{Hall, Mark};

/// A seat of a hall that a test makes up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Two rows each make a section.
    pub(super) row: u32,
    pub(super) has_gap: bool,
    pub(super) category: u32,
    pub(super) is_accessible: bool,
    /// Of the seat before it.
    pub(super) is_companion: bool,
}

impl Place {
    pub(super) fn in_row(row: u32) -> Self {
        Self { row, has_gap: false, category: 0, is_accessible: false, is_companion: false }
    }

    pub(super) fn with_gap(self, has_gap: bool) -> Self {
        Self { has_gap, ..self }
    }
}

/// A layout of these seats, with these fields beside them.
pub(super) fn hall_of(places: &[Place], fields: &str) -> Arc<Layout> {
    let seat = |(at, place): (usize, &Place)| {
        let companion =
            if place.is_companion && at > 0 { format!(",\"companion_of\":\"{}\"", at - 1) } else { String::new() };
        format!(
            r#"{{"id":"{at}","section":"{}","row":"{}","number":{at},"category":"{}","x":{},"y":{},"accessible":{},"gap_after":{}{companion}}}"#,
            place.row / 2,
            place.row,
            place.category,
            at % 7,
            place.row,
            place.is_accessible,
            place.has_gap,
        )
    };
    let seats: Vec<String> = places.iter().enumerate().map(seat).collect();
    let json = format!(r#"{{{fields}"seats":[{}]}}"#, seats.join(","));
    Arc::new(Layout::parse("hall", json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}")))
}

pub(super) struct Model<'a> {
    hall: &'a Hall,
    pub(super) free: BTreeSet<u32>,
}

impl std::fmt::Debug for Model<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for row in self.rows() {
            f.write_str("[")?;
            for &seat in row {
                let is_free = self.free.contains(&seat);
                write!(
                    f,
                    "{}{}{}",
                    if self.is_special(seat) { "w" } else { "" },
                    seat,
                    if is_free { "" } else { "x" }
                )?;
                f.write_str(if self.layout().next_to(seat).is_some() { " " } else { " | " })?;
            }
            f.write_str("]")?;
        }
        Ok(())
    }
}

impl<'a> Model<'a> {
    pub(super) fn of(hall: &'a Hall) -> Self {
        let count = u32::try_from(hall.layout().len()).expect("few");
        Self { hall, free: (0..count).filter(|&seat| hall.mark(seat) == Mark::Free).collect() }
    }

    pub(super) fn with_free(&self, free: BTreeSet<u32>) -> Self {
        Self { hall: self.hall, free }
    }

    pub(super) fn layout(&self) -> &'a Layout {
        self.hall.layout()
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &'a [u32]> {
        self.layout().rows().map(|(_, _, seats)| seats)
    }

    pub(super) fn is_special(&self, seat: u32) -> bool {
        self.layout().is_accessible(seat) || self.layout().companion_of(seat).is_some()
    }

    /// Whether each of these is followed by the next.
    pub(super) fn are_neighbours(&self, seats: &[u32]) -> bool {
        seats.windows(2).all(|pair| self.layout().next_to(pair[0]) == Some(pair[1]))
    }

    fn neighbours(&self, seat: u32) -> impl Iterator<Item = u32> {
        let count = u32::try_from(self.layout().len()).expect("few");
        let layout = self.layout();
        (0..count).filter(move |&other| layout.next_to(other) == Some(seat) || layout.next_to(seat) == Some(other))
    }

    /// The free seats that have a free neighbour, and have none when these are taken.
    pub(super) fn left_alone(&self, taken: &[u32]) -> Vec<u32> {
        let is_left = |seat: &u32| self.free.contains(seat) && !taken.contains(seat);
        let has_free = |seat: &u32| self.neighbours(*seat).any(|other| self.free.contains(&other));
        let has_left = |seat: &u32| self.neighbours(*seat).any(|other| is_left(&other));
        self.free.iter().copied().filter(|seat| is_left(seat) && has_free(seat) && !has_left(seat)).collect()
    }
}
