//! Layouts in our JSON: what is accepted is what another parser reads, in one canonical form, with each seat in one
//! row; what is refused is told in one line. The pieces that `pretix_plan` shares are public.

use std::sync::Arc;

use butaca::layout::Layout;
use butaca::layout::best::BestQuery;
use butaca::layout::error::LayoutError;
use butaca::layout::hall::{Hall, Mark};
use serde_json::Value;

/// Reads `data` as a layout.
pub fn run(data: &[u8]) {
    let layout = match Layout::parse("hall", data) {
        Ok(layout) => layout,
        Err(error) => return check_refusal(&error),
    };
    let other: Value = serde_json::from_slice(data).expect("another parser accepts it");
    let seats = other["seats"].as_array().expect("another parser sees a list");
    assert_eq!(seats.len(), layout.len());
    for (seat, index) in seats.iter().zip(0..) {
        // A seat may be written as a list of its fields; then it has no names here.
        if seat.is_object() {
            assert_eq!(seat["id"], layout.id_of(index));
            assert_eq!(seat["section"], layout.section_of(index));
            assert_eq!(seat["row"], layout.row_of(index));
            assert_eq!(seat["category"], layout.category_of(index));
        }
    }
    check_accepted(layout);
}

/// A refusal is one line.
pub fn check_refusal(error: &LayoutError) {
    let line = error.to_string();
    assert!(!line.is_empty() && !line.contains(char::is_control), "{line:?}");
}

/// What is true of every layout.
pub fn check_accepted(layout: Layout) {
    let again = Layout::parse("hall", layout.document().json()).expect("what is written can be read");
    assert_eq!((again.version(), again.document().json()), (layout.version(), layout.document().json()));
    let count = u32::try_from(layout.len()).expect("the number of seats is bounded");
    assert!((0..count).all(|seat| layout.index_of(layout.id_of(seat)) == Some(seat)));
    let mut seen = vec![false; layout.len()];
    for (section, row, seats) in layout.rows() {
        for &seat in seats {
            assert!(!std::mem::replace(&mut seen[seat as usize], true), "a seat is in one row");
            assert_eq!((layout.section_of(seat), layout.row_of(seat)), (section, row));
            assert!(layout.next_to(seat).is_none_or(|next| seats.contains(&next)), "neighbours are of one row");
        }
    }
    assert!(seen.into_iter().all(|seen| seen), "every seat is in a row");
    check_choice(Arc::new(layout), count);
}

/// Every other seat of a hall is taken: a group is served with seats that are free.
fn check_choice(layout: Arc<Layout>, count: u32) {
    let mut hall = Hall::new(layout);
    (0..count).filter(|seat| seat % 2 == 1).for_each(|seat| hall.set(seat, Mark::Booked));
    let quantity = hall.free().min(4);
    let query = BestQuery { quantity, sections: Vec::new(), categories: Vec::new(), accessible: 0, adjacent: false };
    let seats = hall.best(&query).expect("enough are free, and need not be next to each other");
    assert!(seats.len() == quantity as usize && seats.iter().all(|&seat| hall.mark(seat) == Mark::Free));
    if let Some(orphans) = hall.orphans(&seats) {
        let is_choice = |other: &Vec<u32>| other.iter().all(|&seat| hall.mark(seat) == Mark::Free);
        assert!(!orphans.alternatives.is_empty() && orphans.alternatives.iter().all(is_choice));
    }
}
