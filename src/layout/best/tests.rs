//! The choice of seats against a model that looks at every possible choice, written from what is promised alone.

use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;

use super::{BestQuery, BestRefusal};
use crate::layout::Layout;
use crate::layout::hall::{Hall, Mark};

/// One seat of a generated hall.
#[derive(Clone, Copy, Debug)]
struct Spec {
    category: u8,
    /// 0: ordinary, 1: accessible, 2: a companion of the seat before it.
    kind: u8,
    gap_after: bool,
    is_free: bool,
}

/// Rows of seats; each row is of the section with this number.
type Rows = Vec<(u8, Vec<Spec>)>;

fn hall(rows: &Rows) -> Hall {
    let mut seats = Vec::new();
    let mut taken = Vec::new();
    for (row, (section, specs)) in rows.iter().enumerate() {
        for (at, spec) in specs.iter().enumerate() {
            let mut more = String::new();
            if spec.kind == 1 {
                more.push_str(r#","accessible":true"#);
            }
            if spec.kind == 2 && at > 0 {
                write!(more, r#","companion_of":"{row}-{}""#, at - 1).expect("a String takes everything");
            }
            if spec.gap_after {
                more.push_str(r#","gap_after":true"#);
            }
            if !spec.is_free {
                taken.push(seats.len());
            }
            seats.push(format!(
                r#"{{"id":"{row}-{at}","section":"s{section}","row":"{row}","number":{at},"category":"c{}","x":{at},"y":{row}{more}}}"#,
                spec.category
            ));
        }
    }
    let json = format!(r#"{{"seats":[{}]}}"#, seats.join(","));
    let layout = Layout::parse("hall", json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}"));
    let mut hall = Hall::new(Arc::new(layout));
    taken.into_iter().for_each(|seat| hall.set(u32::try_from(seat).expect("few"), Mark::Held));
    hall
}

/// What is promised, seat by seat.
struct Model<'a> {
    hall: &'a Hall,
    query: &'a BestQuery,
    /// Seats for those who come with somebody who needs an accessible one.
    companions: Vec<u32>,
}

impl Model<'_> {
    fn layout(&self) -> &Layout {
        self.hall.layout()
    }

    fn is_free(&self, seat: u32) -> bool {
        self.hall.mark(seat) == Mark::Free
    }

    fn is_allowed(&self, seat: u32) -> bool {
        let passes = |names: &[Box<str>], name: &str| names.is_empty() || names.iter().any(|wanted| **wanted == *name);
        self.is_free(seat)
            && passes(&self.query.sections, self.layout().section_of(seat))
            && passes(&self.query.categories, self.layout().category_of(seat))
    }

    fn is_special(&self, seat: u32) -> bool {
        self.layout().is_accessible(seat) || self.companions.contains(&seat)
    }

    fn all(&self) -> Vec<u32> {
        (0..u32::try_from(self.layout().len()).expect("few")).collect()
    }

    /// The neighbours of a seat: before and behind.
    fn beside(&self, seat: u32) -> Vec<u32> {
        let before = self.all().into_iter().find(|&other| self.layout().next_to(other) == Some(seat));
        before.into_iter().chain(self.layout().next_to(seat)).collect()
    }

    /// Whether a seat beside these is left alone: free, and nobody beside it free any more.
    fn leaves_alone(&self, taken: &[u32]) -> bool {
        let left = |seat: u32| self.is_free(seat) && !taken.contains(&seat);
        let beside = taken.iter().flat_map(|&seat| self.beside(seat)).filter(|&seat| left(seat));
        beside.into_iter().any(|seat| !self.beside(seat).into_iter().any(left))
    }

    /// The windows of a row of these seats, with their distance from its middle.
    fn windows(&self, row: &[u32], usable: &dyn Fn(u32) -> bool) -> Vec<(usize, Vec<u32>)> {
        let size = self.query.quantity as usize;
        let is_window = |seats: &[u32]| {
            seats.iter().all(|&seat| usable(seat))
                && seats.windows(2).all(|pair| self.layout().next_to(pair[0]) == Some(pair[1]))
        };
        let windows = row.windows(size).enumerate().filter(|(_, seats)| is_window(seats));
        windows.map(|(start, seats)| ((2 * start + size).abs_diff(row.len()), seats.to_vec())).collect()
    }

    /// The first row, in their order, with a window that is as it should be, and of its windows the one nearest the
    /// middle.
    fn adjacent(&self, usable: &dyn Fn(u32) -> bool) -> Option<Vec<u32>> {
        for may_leave_alone in [false, true] {
            for (_, _, row) in self.layout().rows() {
                let mut windows = self.windows(row, usable);
                windows.retain(|(_, seats)| may_leave_alone || !self.leaves_alone(seats));
                if let Some((_, seats)) = windows.into_iter().min_by_key(|(distance, _)| *distance) {
                    return Some(seats);
                }
            }
        }
        None
    }

    /// How many seats next to each other are allowed, at most.
    fn largest(&self) -> u32 {
        let mut largest = 0;
        for seat in self.all() {
            let (mut length, mut next) = (0, Some(seat));
            while let Some(seat) = next.filter(|&seat| self.is_allowed(seat)) {
                (length, next) = (length + 1, self.layout().next_to(seat));
            }
            largest = largest.max(length);
        }
        largest
    }

    /// Whether a choice of so many of `seats` lets nobody sit alone.
    fn may_sit_together(&self, seats: &[u32]) -> bool {
        let size = self.query.quantity as usize;
        let count = 1_u32 << seats.len();
        (0..count).filter(|set| set.count_ones() as usize == size).any(|set| {
            let chosen: Vec<u32> =
                seats.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1).map(|(_, &seat)| seat).collect();
            !self.somebody_sits_alone(&chosen)
        })
    }

    fn somebody_sits_alone(&self, chosen: &[u32]) -> bool {
        chosen.iter().any(|&seat| !self.beside(seat).iter().any(|other| chosen.contains(other)))
    }
}

fn check(rows: &Rows, query: &BestQuery) {
    let hall = hall(rows);
    let specs = rows.iter().flat_map(|(_, specs)| specs.iter().enumerate());
    let companions = specs.zip(0..).filter(|((at, spec), _)| spec.kind == 2 && *at > 0).map(|(_, seat)| seat);
    let model = Model { hall: &hall, query, companions: companions.collect() };
    let got = hall.best(query);
    assert_eq!(got, hall.best(query), "the same question has the same answer");
    let allowed: Vec<u32> = model.all().into_iter().filter(|&seat| model.is_allowed(seat)).collect();
    let (free, largest) = (u32::try_from(allowed.len()).expect("few"), model.largest());
    if free < query.quantity {
        return assert_eq!(got, Err(BestRefusal::NotEnough { free }), "{rows:?} {query:?}");
    }
    let ordinary = |seat: u32| model.is_allowed(seat) && !model.is_special(seat);
    let usable = |seat: u32| model.is_allowed(seat);
    if query.accessible > 0 {
        return check_accessible(&model, &allowed, &got);
    }
    let ordinary_seats: Vec<u32> = allowed.iter().copied().filter(|&seat| ordinary(seat)).collect();
    let has_ordinary = ordinary_seats.len() >= query.quantity as usize;
    let expected = model.adjacent(&ordinary);
    let expected =
        if query.adjacent || !has_ordinary { expected.or_else(|| model.adjacent(&usable)) } else { expected };
    match (expected, got) {
        (Some(expected), got) => assert_eq!(got, Ok(expected), "{rows:?} {query:?}"),
        (None, got) if query.adjacent => {
            assert_eq!(got, Err(BestRefusal::NotAdjacent { largest }), "{rows:?} {query:?}");
        }
        (None, Err(refusal)) => panic!("{refusal:?} {rows:?} {query:?}"),
        (None, Ok(chosen)) => {
            let among = if has_ordinary { &ordinary_seats } else { &allowed };
            let mut distinct = chosen.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), query.quantity as usize, "{chosen:?}");
            assert!(chosen.iter().all(|seat| among.contains(seat)), "{chosen:?} {rows:?} {query:?}");
            let alone = model.somebody_sits_alone(&chosen);
            assert!(!alone || !model.may_sit_together(among), "{chosen:?} sits alone: {rows:?} {query:?}");
        }
    }
}

/// A group with accessible seats gets at least as many, in one window if it wants that and one is there.
fn check_accessible(model: &Model<'_>, allowed: &[u32], got: &Result<Vec<u32>, BestRefusal>) {
    let query = model.query;
    let needed = query.accessible.min(query.quantity) as usize;
    let has = |seats: &[u32]| seats.iter().filter(|&&seat| model.layout().is_accessible(seat)).count();
    let windows: Vec<Vec<u32>> = model
        .layout()
        .rows()
        .flat_map(|(_, _, row)| model.windows(row, &|seat| model.is_allowed(seat)))
        .map(|(_, seats)| seats)
        .filter(|seats| has(seats) >= needed)
        .collect();
    match got {
        Ok(chosen) => {
            assert_eq!(chosen.len(), query.quantity as usize);
            assert!(chosen.iter().all(|seat| allowed.contains(seat)) && has(chosen) >= needed, "{chosen:?} {query:?}");
            assert!(windows.is_empty() || windows.contains(chosen), "{chosen:?} is no window, but there is one");
            assert!(!query.adjacent || !windows.is_empty());
            let whole = accompanied(model, chosen);
            let possible = windows.is_empty() && accompanied_can_be(model, allowed, needed);
            assert!(whole >= needed || !possible, "{chosen:?} lacks companions: {query:?} {allowed:?}");
        }
        Err(BestRefusal::NotEnough { free }) => {
            assert!(has(allowed) < needed && *free as usize == has(allowed), "{query:?}");
        }
        Err(BestRefusal::NotAdjacent { .. }) => assert!(query.adjacent && windows.is_empty() && has(allowed) >= needed),
    }
}

/// How many accessible seats of these have all their companions among them.
fn accompanied(model: &Model<'_>, seats: &[u32]) -> usize {
    let own = |seat: u32| model.companions.iter().copied().find(|&companion| companion == seat + 1);
    let accessible = seats.iter().filter(|&&seat| model.layout().is_accessible(seat));
    accessible.filter(|&&seat| own(seat).is_none_or(|companion| seats.contains(&companion))).count()
}

/// Whether any choice among these has as many accessible seats with all their companions.
fn accompanied_can_be(model: &Model<'_>, allowed: &[u32], needed: usize) -> bool {
    let size = model.query.quantity as usize;
    (0..1_u32 << allowed.len()).filter(|set| set.count_ones() as usize == size).any(|set| {
        let seats: Vec<u32> =
            allowed.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1).map(|(_, &seat)| seat).collect();
        accompanied(model, &seats) >= needed
    })
}

fn spec() -> impl Strategy<Value = Spec> {
    (
        0..2_u8,
        prop_oneof![8 => Just(0_u8), 1 => Just(1), 1 => Just(2)],
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.7),
    )
        .prop_map(|(category, kind, gap_after, is_free)| Spec { category, kind, gap_after, is_free })
}

fn query() -> impl Strategy<Value = BestQuery> {
    let names = |letter: &'static str| {
        prop_oneof![
            4 => Just(Vec::new()),
            1 => Just(vec![Box::from(format!("{letter}0"))]),
            1 => Just(vec![Box::from(format!("{letter}1")), Box::from("nowhere")]),
        ]
    };
    (1..6_u32, names("s"), names("c"), prop_oneof![3 => Just(0_u32), 1 => 1..3_u32], any::<bool>()).prop_map(
        |(quantity, sections, categories, accessible, adjacent)| BestQuery {
            quantity,
            sections,
            categories,
            accessible: accessible.min(quantity),
            adjacent,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn the_choice_is_the_one_that_is_promised(
        rows in prop::collection::vec((0..2_u8, prop::collection::vec(spec(), 1..7)), 1..4),
        query in query(),
    ) {
        check(&rows, &query);
    }
}

#[test]
fn every_row_of_seven_is_served_as_promised() {
    for free in 0..1_u32 << 7 {
        let seat = |at: u32| Spec { category: 0, kind: 0, gap_after: at == 4, is_free: free >> at & 1 == 1 };
        let rows = vec![(0, (0..7).map(seat).collect())];
        for quantity in 1..=7 {
            for adjacent in [true, false] {
                let (sections, categories) = (Vec::new(), Vec::new());
                check(&rows, &BestQuery { quantity, sections, categories, accessible: 0, adjacent });
            }
        }
    }
}
