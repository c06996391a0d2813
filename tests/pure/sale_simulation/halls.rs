//! The layouts of a run: a small hall, and a large one that has all its seats.

use std::sync::Arc;

use butaca::engine::command::{LayoutName, RoomPlan};
use butaca::engine::ids::SeatId;
use butaca::layout::Layout;

use crate::simulation::names;

/// Their names, and how many seats they have: the first so many.
pub(crate) const HALLS: [(&str, usize); 2] = [("small", 3), ("large", 5)];

/// The layout of this name.
pub(crate) fn plan(id: &str) -> Option<RoomPlan> {
    let (id, count) = HALLS.iter().find(|(name, _)| *name == id)?;
    let seat = |number: usize| {
        let name = names::seat_id(number);
        format!(r#"{{"id":"{name}","section":"S","row":"A","number":{number},"category":"c","x":{number},"y":1}}"#)
    };
    let seats: Vec<String> = (0..*count).map(seat).collect();
    let json = format!(r#"{{"categories":[{{"id":"c"}}],"seats":[{}]}}"#, seats.join(","));
    Some(RoomPlan(Arc::new(Layout::parse(id, json.as_bytes()).expect("a layout"))))
}

/// Whether the layout of this name has the seat; one without a layout has every seat.
pub(crate) fn has(layout: Option<&LayoutName>, seat: &SeatId) -> bool {
    let count = layout.and_then(|name| HALLS.iter().find(|(id, _)| **id == *name.id)).map(|(_, count)| *count);
    count.is_none_or(|count| names::number(seat) < count)
}
