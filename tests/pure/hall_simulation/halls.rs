//! The halls of a run, written down twice: as the server reads them, and as the contract speaks of them.
//!
//! [`Hall::best`] is what `select_best` must answer, found by trying everything. Never here: code of the server's
//! search.

use std::collections::BTreeSet;
use std::sync::Arc;

use butaca::engine::command::{BestQuery, LayoutName, RoomPlan};
use butaca::layout::Layout;
use serde_json::json;

use crate::simulation::frames::Seat;
use crate::simulation::names;

/// Seats of every hall of a run: they have the same ones, in other places.
pub(crate) const SEATS: usize = 9;

/// A row, in the order of preference.
struct Row {
    section: &'static str,
    category: &'static str,
    seats: &'static [Seat],
    /// Behind these of its seats there is a gap.
    gaps: &'static [Seat],
}

const fn row(section: &'static str, category: &'static str, seats: &'static [Seat], gaps: &'static [Seat]) -> Row {
    Row { section, category, seats, gaps }
}

/// One layout of the hall.
pub(crate) struct Hall {
    pub(crate) layout: Arc<Layout>,
    /// The seat of each number on the wire.
    pub(crate) order: Vec<Seat>,
    rows: Vec<Row>,
    /// Wheelchairs; and those with the seats of companions.
    accessible: BTreeSet<Seat>,
    special: BTreeSet<Seat>,
}

/// Seats next to each other.
struct Window {
    at: usize,
    start: usize,
    size: usize,
}

/// What `select_best` must answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Best {
    /// These.
    Seats(Vec<Seat>),
    /// Any that are valid: in pieces, or for a wheelchair.
    Some,
    NotEnough(usize),
    NotAdjacent(usize),
}

/// All layouts of a run. Each numbers its seats in another order, and has them in other rows.
pub(crate) fn all() -> Vec<Hall> {
    vec![
        hall(vec![row("A", "gold", &[0, 1, 2, 3, 4], &[]), row("B", "blue", &[5, 6, 7, 8], &[])], 0, None),
        hall(vec![row("B", "blue", &[8, 7, 6, 5, 4], &[6]), row("A", "gold", &[3, 2, 1, 0], &[])], 1, None),
        hall(
            vec![
                row("A", "gold", &[2, 3], &[]),
                row("A", "blue", &[0, 1, 4, 5], &[]),
                row("B", "gold", &[6, 7, 8], &[]),
            ],
            2,
            Some((6, 7)),
        ),
    ]
}

/// `turned`: by how many rows the list of seats is turned. `places`: a wheelchair's, and its companion's.
fn hall(rows: Vec<Row>, turned: usize, places: Option<(Seat, Seat)>) -> Hall {
    let order = rows[turned..].iter().chain(&rows[..turned]).flat_map(|row| row.seats.iter().copied());
    let order: Vec<Seat> = order.collect();
    let is_gap = |seat| rows.iter().any(|row| row.gaps.contains(&seat));
    let seats = order.iter().map(|&seat| {
        let (at, row) = rows.iter().enumerate().find(|(_, row)| row.seats.contains(&seat)).expect("it has a row");
        let number = row.seats.iter().position(|&of| of == seat).expect("it is in it");
        let mut of = json!({
            "id": names::seat_id(seat).as_str(), "section": row.section, "row": at.to_string(),
            "number": number, "category": row.category, "x": 10 * number, "y": 10 * at,
        });
        if is_gap(seat) {
            of["gap_after"] = true.into();
        }
        match places {
            Some((wheelchair, _)) if wheelchair == seat => of["accessible"] = true.into(),
            Some((wheelchair, companion)) if companion == seat => {
                of["companion_of"] = names::seat_id(wheelchair).as_str().into();
            }
            _ => {}
        }
        of
    });
    let seats: Vec<_> = seats.collect();
    let preferred: Vec<_> = rows.iter().enumerate().map(|(at, row)| json!([row.section, at.to_string()])).collect();
    let categories = json!([{"id": "gold"}, {"id": "blue"}]);
    let plan = json!({"rows": preferred, "categories": categories, "seats": seats});
    let layout = Layout::parse("hall", plan.to_string().as_bytes()).expect("a hall of ours");
    let special = places.into_iter().flat_map(|(wheelchair, companion)| [wheelchair, companion]).collect();
    let accessible = places.into_iter().map(|(wheelchair, _)| wheelchair).collect();
    assert_eq!(order.len(), SEATS);
    Hall { layout: Arc::new(layout), order, rows, accessible, special }
}

impl Hall {
    pub(crate) fn name(&self) -> LayoutName {
        LayoutName::of(&self.layout)
    }

    pub(crate) fn plan(&self) -> RoomPlan {
        RoomPlan(Arc::clone(&self.layout))
    }

    /// The free seats that the filters allow.
    fn allowed(&self, free: &BTreeSet<Seat>, query: &BestQuery) -> BTreeSet<Seat> {
        let fits = |wanted: &[Box<str>], name: &str| wanted.is_empty() || wanted.iter().any(|of| **of == *name);
        let rows =
            self.rows.iter().filter(|row| fits(&query.sections, row.section) && fits(&query.categories, row.category));
        rows.flat_map(|row| row.seats).copied().filter(|seat| free.contains(seat)).collect()
    }

    /// What there is to be had, by the contract.
    pub(crate) fn best(&self, free: &BTreeSet<Seat>, query: &BestQuery) -> Best {
        let (allowed, quantity) = (self.allowed(free, query), query.quantity as usize);
        if allowed.len() < quantity {
            return Best::NotEnough(allowed.len());
        }
        if query.accessible > 0 {
            let wheelchairs = allowed.intersection(&self.accessible).count();
            let has_enough = wheelchairs >= query.accessible as usize;
            return if has_enough { Best::Some } else { Best::NotEnough(wheelchairs) };
        }
        let ordinary: BTreeSet<Seat> = allowed.difference(&self.special).copied().collect();
        for usable in [&ordinary, &allowed] {
            let best = self.windows(usable, quantity).min_by_key(|window| self.rank(window, free));
            if let Some(window) = best {
                return Best::Seats(self.seats(&window).to_vec());
            }
            if !query.adjacent && usable.len() >= quantity {
                return Best::Some;
            }
        }
        let has = |size: &usize| self.windows(&allowed, *size).next().is_some();
        Best::NotAdjacent((1..quantity).rev().find(has).unwrap_or(0))
    }

    /// Whether these seats are an answer at all.
    pub(crate) fn is_valid(&self, seats: &[Seat], free: &BTreeSet<Seat>, query: &BestQuery) -> bool {
        let (distinct, allowed) = (seats.iter().copied().collect::<BTreeSet<_>>(), self.allowed(free, query));
        let wheelchairs = seats.iter().filter(|seat| self.accessible.contains(seat)).count();
        let is_these = |window: Window| self.seats(&window).iter().copied().collect::<BTreeSet<_>>() == distinct;
        let is_in_place = !query.adjacent || self.windows(&allowed, seats.len()).any(is_these);
        let is_complete = seats.len() == query.quantity as usize && distinct.len() == seats.len();
        is_complete && distinct.is_subset(&allowed) && wheelchairs >= query.accessible as usize && is_in_place
    }

    /// Where so many usable seats stand next to each other: the row, and the first of them.
    fn windows(&self, usable: &BTreeSet<Seat>, size: usize) -> impl Iterator<Item = Window> {
        self.rows.iter().enumerate().flat_map(move |(at, row)| {
            let is_window = move |start: &usize| {
                let seats = &row.seats[*start..*start + size];
                let is_joined = seats[..size - 1].iter().all(|seat| !row.gaps.contains(seat));
                is_joined && seats.iter().all(|seat| usable.contains(seat))
            };
            (0..(row.seats.len() + 1).saturating_sub(size)).filter(is_window).map(move |start| Window {
                at,
                start,
                size,
            })
        })
    }

    /// The less the better: nobody left alone, the best row, the middle of it, what comes first.
    fn rank(&self, window: &Window, free: &BTreeSet<Seat>) -> (bool, usize, usize, usize) {
        let &Window { at, start, size } = window;
        let row = &self.rows[at];
        let has =
            |place: Option<usize>| place.and_then(|place| row.seats.get(place)).is_some_and(|of| free.contains(of));
        let is_joined = |place: Option<usize>| {
            place.and_then(|place| row.seats.get(place)).is_some_and(|seat| !row.gaps.contains(seat))
        };
        let before = |by: usize| start.checked_sub(by).filter(|&place| has(Some(place)) && is_joined(Some(place)));
        let last = start + size - 1;
        let behind = |by: usize| is_joined(Some(last + by - 1)) && has(Some(last + by));
        // Who had a neighbour before has none with it. A window of one has neighbours on both sides.
        let left = before(1).is_some() && before(2).is_none();
        let right = behind(1) && !behind(2);
        (left || right, at, (2 * start + size).abs_diff(row.seats.len()), start)
    }

    fn seats(&self, window: &Window) -> &'static [Seat] {
        &self.rows[window.at].seats[window.start..window.start + window.size]
    }
}
