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
