//! The rule against a model that is written straight from it: every choice in every state of small halls, and by
//! chance.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use crate::layout::hall::{Hall, Mark};
use crate::layout::model::{Model, Place, hall_of};

/// A choice in pieces of neighbours.
fn pieces(model: &Model<'_>, chosen: &[u32]) -> Vec<Vec<u32>> {
    let mut pieces: Vec<Vec<u32>> = Vec::new();
    for &seat in model.rows().flatten().filter(|seat| chosen.contains(seat)) {
        match pieces.last_mut() {
            Some(piece) if model.are_neighbours(&[*piece.last().expect("it has seats"), seat]) => piece.push(seat),
            _ => pieces.push(vec![seat]),
        }
    }
    pieces
}

/// Where this piece could be instead without leaving anybody alone, in its row or section.
fn others(model: &Model<'_>, piece: &[u32]) -> Vec<Vec<u32>> {
    let layout = model.layout();
    let takes_special = piece.iter().any(|&seat| model.is_special(seat));
    let may_take = |seat: &u32| model.free.contains(seat) && (takes_special || !model.is_special(*seat));
    let rows = model.rows().filter(|row| layout.section_of(row[0]) == layout.section_of(piece[0]));
    rows.flat_map(|row| row.windows(piece.len()))
        .filter(|window| window.iter().all(may_take) && model.are_neighbours(window))
        .filter(|window| model.left_alone(window).is_empty())
        .map(<[u32]>::to_vec)
        .collect()
}

fn check(hall: &Hall, chosen: &[u32]) {
    let model = Model::of(hall);
    let told = hall.orphans(chosen);
    let mut expected: Option<BTreeSet<Vec<u32>>> = None;
    let pieces = pieces(&model, chosen);
    for piece in &pieces {
        let rest: Vec<u32> = chosen.iter().copied().filter(|seat| !piece.contains(seat)).collect();
        let beside = model.with_free(model.free.iter().copied().filter(|seat| !rest.contains(seat)).collect());
        if beside.left_alone(piece).is_empty() {
            continue;
        }
        let whole = |other: Vec<u32>| {
            let mut whole: Vec<u32> = other.into_iter().chain(rest.iter().copied()).collect();
            whole.sort_unstable();
            whole
        };
        let others: BTreeSet<Vec<u32>> = others(&beside, piece).into_iter().map(whole).collect();
        if !others.is_empty() {
            expected = Some(others);
            break;
        }
    }
    let told = told.map(|told| {
        let sorted = |mut seats: Vec<u32>| {
            seats.sort_unstable();
            seats
        };
        told.alternatives.into_iter().map(sorted).collect::<BTreeSet<_>>()
    });
    let context = format!("{model:?} {chosen:?}: {told:?}, expected {expected:?}");
    match (told, expected) {
        (None, None) => {}
        (Some(told), Some(expected)) => {
            assert!(told.is_subset(&expected) && told.len() == expected.len().min(3), "{context}");
        }
        _ => panic!("{context}"),
    }
}

#[test]
fn every_choice_in_every_state_of_a_small_hall_is_judged() {
    for (rows, gaps) in [(&[7][..], 0_u32), (&[7], 0b100), (&[3, 4], 0), (&[2, 2, 3], 0)] {
        let places = rows.iter().zip(0_u32..).flat_map(|(&length, row)| (0..length).map(move |_| Place::in_row(row)));
        let places: Vec<Place> = places.zip(0..).map(|(place, at)| place.with_gap(gaps >> at & 1 == 1)).collect();
        let layout = hall_of(&places, "");
        let count = u32::try_from(layout.len()).expect("few");
        for taken in 0_u32..1 << count {
            let mut hall = Hall::new(Arc::clone(&layout));
            (0..count).filter(|seat| taken >> seat & 1 == 1).for_each(|seat| hall.set(seat, Mark::Held));
            for chosen in (1_u32..1 << count).filter(|chosen| chosen & taken == 0) {
                check(&hall, &(0..count).filter(|seat| chosen >> seat & 1 == 1).collect::<Vec<_>>());
            }
        }
    }
}

proptest! {
    #[test]
    fn choices_by_chance_are_judged(
        seats in prop::collection::vec((0_u32..5, 0_u8..20, 0_u8..4), 1..40),
    ) {
        let place = |&(row, kind, _): &(u32, u8, u8)| Place {
            has_gap: kind == 0,
            is_accessible: kind == 1,
            is_companion: kind == 2,
            ..Place::in_row(row)
        };
        let mut hall = Hall::new(hall_of(&seats.iter().map(place).collect::<Vec<_>>(), ""));
        let mut chosen = Vec::new();
        for ((_, _, mark), seat) in seats.iter().zip(0..) {
            match mark {
                0 => hall.set(seat, Mark::Booked),
                1 => chosen.push(seat),
                _ => {}
            }
        }
        check(&hall, &chosen);
    }
}

#[test]
fn the_nearest_choice_in_the_row_is_told_first() {
    let places: Vec<Place> = (0..20).map(|at| Place::in_row(at / 10)).collect();
    let hall = Hall::new(hall_of(&places, ""));
    let check = |chosen: &[u32], expected: &[&[u32]]| {
        let told = hall.orphans(chosen).map(|told| told.alternatives);
        let expected: Vec<Vec<u32>> = expected.iter().map(|seats| seats.to_vec()).collect();
        assert_eq!(told.unwrap_or_default(), expected, "{chosen:?}");
    };
    check(&[0, 1], &[]);
    check(&[1, 2], &[&[0, 1], &[2, 3], &[3, 4]]);
    check(&[7, 8], &[&[6, 7], &[8, 9], &[5, 6]]);
    check(&[2, 3, 12, 13], &[]);
    check(&[4, 6], &[&[3, 6], &[5, 6], &[2, 6]]);
}
