//! Seating plans as pretix's editor writes them, made into plans of ours.
//!
//! Invariants: positions are relative to the row, and the row's to the zone, as pretix draws them; no two rows of a
//! pretix plan become one row, whatever they are called. What pretix knows and a seat map does not need is left out.
//! Never here: whether the plan makes sense (`check`).

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::error::{LayoutError, Quoted};
use super::plan::{Category, Coordinate, Number, Plan, Point, Seat, Shape, Size};
use super::reading::list;
use crate::limits::ID_BYTES_MAX;

#[derive(Deserialize)]
#[serde(expecting = "an object with zones")]
pub(super) struct SeatingPlan {
    name: Option<String>,
    #[serde(default, deserialize_with = "list")]
    categories: Vec<PlanCategory>,
    #[serde(deserialize_with = "list")]
    zones: Vec<Zone>,
    size: Option<Size>,
}

#[derive(Deserialize)]
struct PlanCategory {
    name: String,
    color: Option<String>,
}

#[derive(Deserialize, Clone, Copy, Default)]
struct Position {
    x: f64,
    y: f64,
}

impl Position {
    fn plus(self, other: Option<Self>) -> Self {
        other.map_or(self, |other| Self { x: self.x + other.x, y: self.y + other.y })
    }

    fn distance(self, other: Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    /// Hundredths are more than a drawing shows, and sums and turns of coordinates end in noise beyond them.
    fn point(self) -> Point {
        let round = |value: f64| Coordinate((value * 100.0).round() / 100.0);
        Point { x: round(self.x), y: round(self.y) }
    }
}

#[derive(Deserialize)]
struct Zone {
    name: Option<String>,
    position: Option<Position>,
    #[serde(default, deserialize_with = "list")]
    rows: Vec<PlanRow>,
    #[serde(default, deserialize_with = "list")]
    areas: Vec<Area>,
}

#[derive(Deserialize)]
struct PlanRow {
    row_number: Option<String>,
    position: Option<Position>,
    #[serde(deserialize_with = "list")]
    seats: Vec<PlanSeat>,
}

#[derive(Deserialize)]
struct PlanSeat {
    seat_guid: String,
    seat_number: Option<String>,
    position: Option<Position>,
    category: Option<String>,
}

/// What is drawn beside seats. The field that is there says what it is.
#[derive(Deserialize)]
struct Area {
    position: Option<Position>,
    #[serde(default)]
    rotation: f64,
    text: Option<AreaText>,
    width: Option<f64>,
    height: Option<f64>,
    rectangle: Option<Rectangle>,
    circle: Option<Circle>,
    ellipse: Option<Ellipse>,
    polygon: Option<Polygon>,
}

/// A text alone, or in an object that also says where it stands.
#[derive(Default)]
struct AreaText(Option<String>);

impl<'de> Deserialize<'de> for AreaText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = AreaText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or an object with one")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(AreaText(Some(text.into())))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut read = AreaText::default();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    if key == "text" {
                        read.0 = map.next_value()?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(read)
            }
        }
        from.deserialize_any(Reader)
    }
}

#[derive(Deserialize)]
struct Rectangle {
    width: f64,
    height: f64,
}

#[derive(Deserialize)]
struct Circle {
    radius: f64,
}

#[derive(Deserialize)]
struct Ellipse {
    radius: Position,
}

#[derive(Deserialize)]
struct Polygon {
    #[serde(deserialize_with = "list")]
    points: Vec<Position>,
}

/// The same plan in our words.
///
/// # Errors
/// A zone or a row with seats is named as none may be: each of its seats would have a copy of the name.
pub(super) fn plan(from: SeatingPlan) -> Result<Plan<'static>, LayoutError> {
    let category = |category: PlanCategory| Category {
        id: category.name.into(),
        name: None,
        color: category.color.filter(|color| !color.is_empty()).map(Into::into),
    };
    let mut plan = Plan {
        name: from.name.filter(|name| !name.is_empty()).map(Into::into),
        size: from.size,
        categories: Some(from.categories.into_iter().map(category).collect()),
        ..Plan::default()
    };
    let mut sections = Names::default();
    for zone in from.zones {
        let origin = Position::default().plus(zone.position);
        plan.shapes.extend(zone.areas.into_iter().filter_map(|area| shape(area, origin)));
        if zone.rows.iter().all(|row| row.seats.is_empty()) {
            continue;
        }
        let section = sections.give(named("zone", zone.name)?);
        let mut rows = Names::default();
        for row in zone.rows.into_iter().filter(|row| !row.seats.is_empty()) {
            let name = rows.give(named("row", row.row_number)?);
            add_row(&mut plan.seats, row.seats, (&section, &name), origin.plus(row.position));
        }
    }
    Ok(plan)
}

fn named(what: &str, name: Option<String>) -> Result<String, LayoutError> {
    let name = name.unwrap_or_default();
    if name.len() <= ID_BYTES_MAX {
        return Ok(name);
    }
    Err(LayoutError::new(format_args!("{what} {}: its name is longer than {ID_BYTES_MAX} bytes", Quoted(&name))))
}

/// Names that were given: a second one of the same name gets a number, so that two things stay two things. With each
/// stands the number that the next one of that name tries first, so that many of one name are not tried one by one.
#[derive(Default)]
struct Names(HashMap<String, usize>);

impl Names {
    fn give(&mut self, name: String) -> String {
        let Some(&first) = self.0.get(&name) else {
            self.0.insert(name.clone(), 2);
            return name;
        };
        let numbered = |number| if name.is_empty() { format!("({number})") } else { format!("{name} ({number})") };
        let (given, number) = (first..)
            .map(|number| (numbered(number), number))
            .find(|(given, _)| !self.0.contains_key(given))
            .expect("there are fewer names than numbers");
        self.0.insert(given.clone(), 2);
        self.0.insert(name, number + 1);
        given
    }
}

fn add_row(seats: &mut Vec<Seat<'static>>, row: Vec<PlanSeat>, (section, name): (&str, &str), origin: Position) {
    let places: Vec<Position> = row.iter().map(|seat| origin.plus(seat.position)).collect();
    let distances: Vec<f64> = places.windows(2).map(|pair| pair[0].distance(pair[1])).collect();
    let widest = 1.5 * usual(&distances);
    for ((seat, place), at) in row.into_iter().zip(places).zip(0..) {
        let Point { x, y } = place.point();
        seats.push(Seat {
            id: seat.seat_guid.into(),
            section: Cow::Owned(section.into()),
            row: Cow::Owned(name.into()),
            number: Number::Text(seat.seat_number.unwrap_or_default().into()),
            category: seat.category.unwrap_or_default().into(),
            x,
            y,
            accessible: false,
            companion_of: None,
            gap_after: distances.get(at).is_some_and(|&distance| distance > widest),
        });
    }
}

/// The usual one of a row's distances: the one in the middle, of two the smaller, since gaps are the exception.
fn usual(distances: &[f64]) -> f64 {
    let mut sorted = distances.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

/// An area as a polygon, or as a text when it has no extent.
fn shape(area: Area, zone: Position) -> Option<Shape<'static>> {
    let origin = zone.plus(area.position);
    let label = area.text.and_then(|AreaText(text)| text).filter(|label| !label.is_empty());
    let rectangle = area.rectangle.map(|it| (it.width, it.height)).or(area.width.zip(area.height));
    let ellipse = area.ellipse.map(|it| it.radius).or(area.circle.map(|it| Position { x: it.radius, y: it.radius }));
    let outline = match (area.polygon, rectangle, ellipse) {
        (Some(polygon), _, _) => polygon.points,
        (None, Some((width, height)), _) => {
            [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)].map(|(x, y)| Position { x, y }).into()
        }
        (None, None, Some(radius)) => round(radius),
        (None, None, None) => Vec::new(),
    };
    let kind = match (outline.is_empty(), &label) {
        (false, _) => "polygon",
        (true, Some(_)) => "text",
        (true, None) => return None,
    };
    let (sin, cos) = area.rotation.to_radians().sin_cos();
    let turned = |at: Position| Position { x: at.x * cos - at.y * sin, y: at.x * sin + at.y * cos };
    let outline = if outline.is_empty() { vec![Position::default()] } else { outline };
    let points = outline.into_iter().map(|at| origin.plus(Some(turned(at))).point()).collect();
    Some(Shape { kind: kind.into(), points, label: label.map(Into::into) })
}

/// An ellipse around 0 as a polygon of 32 corners.
fn round(radius: Position) -> Vec<Position> {
    let corner = |number: u32| {
        let (sin, cos) = (f64::from(number) / 32.0 * std::f64::consts::TAU).sin_cos();
        Position { x: radius.x * cos, y: radius.y * sin }
    };
    (0..32).map(corner).collect()
}

#[cfg(test)]
mod tests;
