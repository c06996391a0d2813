//! What is found 64 places at a time against what one finds by looking at each place.

use proptest::prelude::*;

use super::Field;
use crate::layout::bits;
use crate::layout::model::{Place, hall_of};

/// Where each row of usable neighbours begins and how long it is, place by place.
fn stretches(field: &Field<'_>, count: usize) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for place in (0..count).filter(|&place| bits::has(field.free, place)) {
        match found.last_mut() {
            Some((start, length)) if *start + *length == place && bits::has(&field.layout.joined, place - 1) => {
                *length += 1;
            }
            _ => found.push((place, 1)),
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn rows_of_neighbours_are_found_across_words(
        rows in prop::collection::vec((1..170_u32, 0..40_u32), 1..5),
        free in prop::collection::vec(prop::bool::weighted(0.8), 700),
        quantity in 1..=50_usize,
    ) {
        let places: Vec<Place> = (0..)
            .zip(&rows)
            .flat_map(|(row, &(length, gap))| {
            let has_gap = move |at| gap > 0 && at % gap == gap - 1;
            (0..length).map(move |at| Place::in_row(row).with_gap(has_gap(at)))
        })
            .collect();
        let layout = hall_of(&places, "");
        let mut set = bits::none(places.len());
        (0..places.len()).filter(|&place| free[place]).for_each(|place| bits::put(&mut set, place));
        let field = Field { layout: &layout, free: &set, usable: None };
        let expected = stretches(&field, places.len());
        prop_assert_eq!(field.stretches().collect::<Vec<_>>(), expected.clone());
        let longest = expected.iter().map(|&(_, length)| length).max().unwrap_or(0);
        prop_assert_eq!(field.longest(quantity), longest.min(quantity));
        if longest < quantity {
            let by_length = field.by_length(quantity, |length| quantity / length + 1);
            let enough = |length: usize| quantity / length + 1;
            // With enough of the longest that can be, nobody looks at the others.
            let is_cut = quantity > 1 && by_length[quantity - 1].len() == enough(quantity - 1);
            for (length, starts) in by_length.iter().enumerate().skip(1) {
                let all = expected.iter().filter(|&&(_, other)| other == length).map(|&(start, _)| start);
                let all: Vec<usize> = all.take(enough(length)).collect();
                prop_assert!(all.starts_with(starts) && (is_cut && length + 1 < quantity || all.len() == starts.len()));
            }
        }
    }
}
