//! The layouts in `examples/layouts` are what their names promise.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use butaca::layout::Layout;
use butaca::layout::best::BestQuery;
use butaca::layout::hall::Hall;

fn file(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/layouts").join(name))
        .expect("it is in the repository")
}

/// Checks the numbers of seats, rows, sections and accessible seats, and that a group of four finds the best row.
fn check(name: &str, layout: Layout, numbers: [usize; 4], best: [&str; 4]) {
    let count = u32::try_from(layout.len()).expect("the number of seats is bounded");
    let accessible = (0..count).filter(|&seat| layout.is_accessible(seat)).count();
    assert_eq!([layout.len(), layout.rows().len(), layout.sections().len(), accessible], numbers, "{name}");
    let layout = Arc::new(layout);
    let query = BestQuery { quantity: 4, sections: Vec::new(), categories: Vec::new(), accessible: 0, adjacent: true };
    let seats = Hall::new(Arc::clone(&layout)).best(&query).expect("an empty hall has room");
    assert_eq!(seats.iter().map(|&seat| layout.id_of(seat)).collect::<Vec<_>>(), best, "{name}");
}

fn ours(name: &str) -> Layout {
    Layout::parse(name, &file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn they_have_the_seats_that_they_promise() {
    let ids = |row: &'static str, from: u32| [0, 1, 2, 3].map(|seat| format!("{row}-{}", from + seat));
    let check =
        |name, layout, numbers, best: [String; 4]| check(name, layout, numbers, best.each_ref().map(|id| &**id));
    // Between two aisles are seats 5 to 11: one further to the middle would leave seat 5 alone.
    check("cinema.json", ours("cinema.json"), [180, 12, 1, 2], ids("Screen 1-H", 5));
    check("theatre.json", ours("theatre.json"), [1_200, 54, 22, 4], ids("Stalls-A", 14));
    check("arena.json", ours("arena.json"), [18_000, 880, 44, 20], ids("Floor A-A", 11));
    let plan = Layout::parse_pretix("plan", &file("plan.pretix.json")).unwrap_or_else(|error| panic!("{error}"));
    // Nothing is said about the order of its rows, so the first of the list is the best; and its aisle is a gap.
    assert_eq!(plan.next_to(10), None);
    check("plan.pretix.json", plan, [426, 27, 3, 0], ids("stalls-1", 8));
}
