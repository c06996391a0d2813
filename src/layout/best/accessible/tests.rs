//! Who comes with whom.

use std::sync::Arc;

use crate::layout::Layout;
use crate::layout::best::BestQuery;
use crate::layout::hall::{Hall, Mark};

#[test]
fn companions_come_with_their_wheelchair() {
    // Two wheelchairs with a companion beside each, and ordinary seats between them.
    let seat = |id: &str, more: &str| {
        format!(r#"{{"id":"{id}","section":"s","row":"A","number":1,"category":"a","x":0,"y":0{more}}}"#)
    };
    let wheelchair = r#","accessible":true"#;
    let list = [
        seat("C1", r#","companion_of":"W1""#),
        seat("W1", wheelchair),
        seat("1", ""),
        seat("2", ""),
        seat("W2", wheelchair),
        seat("C2", r#","companion_of":"W2""#),
    ];
    let layout = Layout::parse("hall", format!(r#"{{"seats":[{}]}}"#, list.join(",")).as_bytes()).expect("it is one");
    let layout = Arc::new(layout);
    let check = |taken: &[&str], quantity: u32, accessible: u32, expected: &[&str]| {
        let mut hall = Hall::new(Arc::clone(&layout));
        taken.iter().for_each(|id| hall.set(layout.index_of(id).expect("it is there"), Mark::Held));
        let query = BestQuery { quantity, sections: Vec::new(), categories: Vec::new(), accessible, adjacent: false };
        let seats = hall.best(&query).expect("they can be had");
        assert_eq!(seats.iter().map(|&seat| layout.id_of(seat)).collect::<Vec<_>>(), expected, "{taken:?} {quantity}");
    };
    check(&[], 2, 1, &["C1", "W1"]);
    // Rather with a companion's seat elsewhere than where it is taken.
    check(&["C1"], 2, 1, &["W2", "C2"]);
    check(&["C1", "C2"], 2, 1, &["W1", "1"]);
    check(&[], 1, 1, &["W1"]);
    check(&[], 6, 2, &["C1", "W1", "1", "2", "W2", "C2"]);
    check(&["1"], 4, 2, &["C1", "W1", "W2", "C2"]);
    // Who needs none gets none while there is another.
    check(&[], 2, 0, &["1", "2"]);
    check(&["1"], 1, 0, &["2"]);
    check(&["1", "2"], 2, 0, &["C1", "W1"]);
}

#[test]
fn each_has_its_own_companion_where_two_together_have_none() {
    // Row A: two wheelchairs side by side, whose companions sit in row B. Rows C and D: one with its companion each.
    let seat = |id: &str, row: &str, more: &str| {
        format!(r#"{{"id":"{id}","section":"s","row":"{row}","number":1,"category":"a","x":0,"y":0{more}}}"#)
    };
    let wheelchair = r#","accessible":true"#;
    let of = |id: &str| format!(r#","companion_of":"{id}""#);
    let list = [
        seat("W1", "A", wheelchair),
        seat("W2", "A", wheelchair),
        seat("C1", "B", &of("W1")),
        seat("C2", "B", &of("W2")),
        seat("C3", "C", &of("W3")),
        seat("W3", "C", wheelchair),
        seat("W4", "D", wheelchair),
        seat("C4", "D", &of("W4")),
    ];
    let layout = Layout::parse("hall", format!(r#"{{"seats":[{}]}}"#, list.join(",")).as_bytes()).expect("it is one");
    let layout = Arc::new(layout);
    let check = |taken: &[&str], expected: &[&str]| {
        let mut hall = Hall::new(Arc::clone(&layout));
        taken.iter().for_each(|id| hall.set(layout.index_of(id).expect("it is there"), Mark::Held));
        let (sections, categories) = (Vec::new(), Vec::new());
        let query = BestQuery { quantity: 4, sections, categories, accessible: 2, adjacent: false };
        let seats = hall.best(&query).expect("they can be had");
        assert_eq!(seats.iter().map(|&seat| layout.id_of(seat)).collect::<Vec<_>>(), expected, "{taken:?}");
    };
    check(&[], &["W1", "W2", "C1", "C2"]);
    check(&["C1"], &["W2", "C2", "C3", "W3"]);
    check(&["C1", "C2"], &["C3", "W3", "W4", "C4"]);
    check(&["C1", "C2", "C3"], &["W1", "W2", "W4", "C4"]);
}
