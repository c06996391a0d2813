//! What a plan must be to be a layout.
//!
//! Invariants: the first fault found is told, in one line, with the seat that has it; what passes is within every
//! bound. Never here: reading JSON.

use std::collections::HashSet;
use std::fmt::Display;

use super::error::{LayoutError, Quoted};
use super::ids::Ids;
use super::plan::{Coordinate, Number, Plan, Point, Seat};
use crate::engine::ids::is_valid_id;
use crate::limits::ID_BYTES_MAX;
use crate::limits::layout::{
    LAYOUT_CATEGORIES_MAX, LAYOUT_COORDINATE_MAX, LAYOUT_POINTS_MAX, LAYOUT_SEATS_MAX, LAYOUT_SHAPES_MAX,
    LAYOUT_TEXT_BYTES_MAX,
};

/// Checks a plan and numbers its seats.
///
/// # Errors
/// It is no layout.
pub(super) fn check(plan: &Plan<'_>) -> Result<Ids, LayoutError> {
    let count = plan.seats.len();
    if count == 0 {
        return Err(LayoutError::new("the layout has no seats"));
    }
    at_most("seats", count, LAYOUT_SEATS_MAX)?;
    check_frame(plan)?;
    let declared = declared_categories(plan)?;
    for (seat, at) in plan.seats.iter().zip(0..) {
        check_seat(seat, declared.as_ref()).map_err(|why| Fault { at, seat, why }.told())?;
    }
    let ids = Ids::new(plan.seats.iter().map(|seat| &*seat.id)).map_err(|(first, at)| {
        Fault { at, seat: &plan.seats[at], why: format!("seat {first} has the same id") }.told()
    })?;
    for (seat, at) in plan.seats.iter().zip(0..) {
        check_companion(seat, &ids).map_err(|why| Fault { at, seat, why }.told())?;
    }
    check_rows(plan)?;
    Ok(ids)
}

/// What is wrong with one seat. Seats are counted from 0, as they are numbered on the wire.
struct Fault<'a> {
    at: usize,
    seat: &'a Seat<'a>,
    why: String,
}

impl Fault<'_> {
    fn told(&self) -> LayoutError {
        LayoutError::new(format_args!("seat {} ({}): {}", self.at, Quoted(&self.seat.id), self.why))
    }
}

fn at_most(what: impl Display, count: usize, max: usize) -> Result<(), LayoutError> {
    if count <= max { Ok(()) } else { Err(LayoutError::new(format_args!("{count} {what}, at most {max} are allowed"))) }
}

/// All that is no seat.
fn check_frame(plan: &Plan<'_>) -> Result<(), LayoutError> {
    shown("the name", plan.name.as_deref())?;
    if let Some(size) = &plan.size {
        let is_length = |length: Coordinate| is_place(length) && length.0 >= 0.0;
        if !is_length(size.width) || !is_length(size.height) {
            return Err(LayoutError::new(format_args!("size: width and height are from 0 to {LAYOUT_COORDINATE_MAX}")));
        }
    }
    if plan.focal.is_some_and(|focal| !is_point(focal)) {
        return Err(LayoutError::new(format_args!("focal: {}", TooFar)));
    }
    at_most("shapes", plan.shapes.len(), LAYOUT_SHAPES_MAX)?;
    for (shape, at) in plan.shapes.iter().zip(0_usize..) {
        shown(format_args!("the type of shape {at}"), Some(&shape.kind))?;
        shown(format_args!("the label of shape {at}"), shape.label.as_deref())?;
        at_most(format_args!("points of shape {at}"), shape.points.len(), LAYOUT_POINTS_MAX)?;
        if !shape.points.iter().copied().all(is_point) {
            return Err(LayoutError::new(format_args!("shape {at}: {}", TooFar)));
        }
    }
    Ok(())
}

fn shown(what: impl Display, text: Option<&str>) -> Result<(), LayoutError> {
    if text.is_none_or(|text| text.len() <= LAYOUT_TEXT_BYTES_MAX) {
        return Ok(());
    }
    Err(LayoutError::new(format_args!("{what} is longer than {LAYOUT_TEXT_BYTES_MAX} bytes")))
}

struct TooFar;

impl Display for TooFar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "x and y are from -{LAYOUT_COORDINATE_MAX} to {LAYOUT_COORDINATE_MAX}")
    }
}

fn is_place(coordinate: Coordinate) -> bool {
    // What is no number is not within either.
    coordinate.0.abs() <= LAYOUT_COORDINATE_MAX
}

fn is_point(point: Point) -> bool {
    is_place(point.x) && is_place(point.y)
}

/// The categories that seats may name; `None`: any.
fn declared_categories<'a>(plan: &'a Plan<'_>) -> Result<Option<HashSet<&'a str>>, LayoutError> {
    let Some(categories) = &plan.categories else {
        let named: HashSet<&str> = plan.seats.iter().map(|seat| &*seat.category).collect();
        at_most("categories", named.len(), LAYOUT_CATEGORIES_MAX)?;
        return Ok(None);
    };
    at_most("categories", categories.len(), LAYOUT_CATEGORIES_MAX)?;
    let mut declared = HashSet::new();
    for category in categories {
        if !is_label(&category.id) {
            return Err(LayoutError::new(format_args!("category {}: {}", Quoted(&category.id), NoLabel("id"))));
        }
        if !declared.insert(&*category.id) {
            return Err(LayoutError::new(format_args!("two categories have the id {}", Quoted(&category.id))));
        }
        shown(format_args!("the name of category {}", Quoted(&category.id)), category.name.as_deref())?;
        shown(format_args!("the color of category {}", Quoted(&category.id)), category.color.as_deref())?;
    }
    Ok(Some(declared))
}

/// Whether a text may name a section, a row or a category, or stand on a seat: what may name a seat, or nothing.
fn is_label(text: &str) -> bool {
    text.is_empty() || is_valid_id(text)
}

struct NoLabel(&'static str);

impl Display for NoLabel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "its {} is longer than {ID_BYTES_MAX} bytes or has characters that are not seen", self.0)
    }
}

fn check_seat(seat: &Seat<'_>, declared: Option<&HashSet<&str>>) -> Result<(), String> {
    if !is_valid_id(&seat.id) {
        return Err(format!("its id is not 1 to {ID_BYTES_MAX} bytes that can be seen"));
    }
    let number = match &seat.number {
        Number::Integer(_) => "",
        Number::Text(text) => text,
    };
    for (what, text) in
        [("section", &*seat.section), ("row", &*seat.row), ("number", number), ("category", &*seat.category)]
    {
        if !is_label(text) {
            return Err(NoLabel(what).to_string());
        }
    }
    if declared.is_some_and(|declared| !declared.contains(&*seat.category)) {
        return Err(format!("its category {} is not among the categories", Quoted(&seat.category)));
    }
    if !is_place(seat.x) || !is_place(seat.y) {
        return Err(TooFar.to_string());
    }
    Ok(())
}

fn check_companion(seat: &Seat<'_>, ids: &Ids) -> Result<(), String> {
    let Some(of) = seat.companion_of.as_deref() else { return Ok(()) };
    if of == seat.id {
        return Err("it is the companion of itself".into());
    }
    if ids.find(of).is_none() {
        return Err(format!("it is the companion of {}, which is not a seat", Quoted(of)));
    }
    Ok(())
}

/// The rows in their order of preference are rows of seats, each once.
fn check_rows(plan: &Plan<'_>) -> Result<(), LayoutError> {
    if plan.rows.is_empty() {
        return Ok(());
    }
    let rows: HashSet<(&str, &str)> = plan.seats.iter().map(|seat| (&*seat.section, &*seat.row)).collect();
    let mut listed = HashSet::new();
    for (section, row) in &plan.rows {
        let wrong = if !rows.contains(&(&**section, &**row)) {
            "has no seats"
        } else if !listed.insert((&**section, &**row)) {
            "is there twice"
        } else {
            continue;
        };
        return Err(LayoutError::new(format_args!("rows: [{}, {}] {wrong}", Quoted(section), Quoted(row))));
    }
    Ok(())
}
