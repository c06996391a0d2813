//! The bounds of plans of halls.
//!
//! Never here: behaviour.

use super::{ID_BYTES_MAX, SEATS_PER_REQUEST_MAX};

/// Seats of one layout. At the bound: the layout is refused.
pub const LAYOUT_SEATS_MAX: usize = 200_000;
/// A layout as JSON. At the bound it is refused before it is read.
pub const LAYOUT_JSON_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What all lists of a plan may take together while it is read. At the bound: the layout is refused.
pub const LAYOUT_LISTS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What reading a plan is counted as beside its body, as so many times its length; one is read at a time.
pub const LAYOUT_READING_FACTOR: usize = 8;
/// The most that reading one plan is counted as: its lists while one grows, its texts, its canonical form.
pub const LAYOUT_READING_BYTES_MAX: usize = LAYOUT_LISTS_BYTES_MAX * 2;
/// Categories of one layout. At the bound: the layout is refused.
pub const LAYOUT_CATEGORIES_MAX: usize = 1_000;
/// What is drawn of one layout beside its seats. At the bound: the layout is refused.
pub const LAYOUT_SHAPES_MAX: usize = 10_000;
/// Points of one such shape. At the bound: the layout is refused.
pub const LAYOUT_POINTS_MAX: usize = 10_000;
/// A text that is only shown: a name, a label, a colour. At the bound: the layout is refused.
pub const LAYOUT_TEXT_BYTES_MAX: usize = 512;
/// What says why a layout is refused. At the bound the rest is left out.
pub const LAYOUT_ERROR_BYTES_MAX: usize = 1_024;
/// How far from 0 a coordinate may be, so that sums and squares of them are numbers. At the bound: the layout is
/// refused.
pub const LAYOUT_COORDINATE_MAX: f64 = 1e9;
/// A file of rooms. At the bound it is refused before it is read.
pub const ROOMS_FILE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Layouts that are kept, each version of each. At the bound a new one is refused.
pub const LAYOUT_VERSIONS_MAX: usize = 10_000;
/// What all layouts that are kept may take together, and no more than a part of `MEMORY_BUDGET_BYTES`, beside it. At
/// the bound a new one is refused: 409 `layouts_full`. What a store has kept is read at the start whatever it takes.
pub const LAYOUTS_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// That part: one of so many.
pub const LAYOUTS_BUDGET_PARTS: usize = 2;
/// Marks of deleted layouts that stay in Redis, so that other nodes hear of it. At the bound the oldest go.
pub const LAYOUT_MARKS_MAX: usize = 64;
/// What a layout costs beside its JSON and its names: bytes a seat.
pub const LAYOUT_SEAT_BYTES_MAX: usize = 100;
/// Other choices that a refusal names. Further ones are left out.
pub const ALTERNATIVES_MAX: usize = 3;

const _: () = assert!(LAYOUT_JSON_BYTES_MAX * 3 + LAYOUT_SEATS_MAX * LAYOUT_SEAT_BYTES_MAX <= LAYOUTS_BYTES_MAX);
const _: () = assert!(SEATS_PER_REQUEST_MAX < 62, "a piece of a row and its surroundings fit two machine words");
const _: () = assert!(LAYOUT_SEATS_MAX * ID_BYTES_MAX < u32::MAX as usize && LAYOUT_CATEGORIES_MAX < u16::MAX as usize);
