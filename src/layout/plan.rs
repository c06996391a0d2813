//! What a layout says: its JSON, read into plain data and written in the one form that is hashed and served.
//!
//! Invariants: an unknown field is an error, so that a typo does not pass silently; two texts that say the same (other
//! spaces, other order of fields, `1.0` for `1`) are written alike. Never here: whether what is said makes sense.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::reading::{list, list_if_any};

/// The plan of a hall. The order of `seats` is their numbering.
#[derive(Deserialize, Serialize, Default, Debug)]
#[serde(deny_unknown_fields, expecting = "an object with seats")]
pub(super) struct Plan<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<Size>,
    /// What everybody looks at: rows that are near it come first, unless `rows` says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) focal: Option<Point>,
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub(super) shapes: Vec<Shape<'a>>,
    /// (section, row), the best first.
    #[serde(default, borrow, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub(super) rows: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// When there is no list, whatever the seats name is a category.
    #[serde(default, deserialize_with = "list_if_any", skip_serializing_if = "Option::is_none")]
    pub(super) categories: Option<Vec<Category<'a>>>,
    #[serde(borrow, deserialize_with = "list")]
    pub(super) seats: Vec<Seat<'a>>,
}

/// Where something is drawn.
#[derive(Deserialize, Serialize, Clone, Copy, PartialEq, Debug)]
#[serde(deny_unknown_fields, expecting = "an object with x and y")]
pub(super) struct Point {
    pub(super) x: Coordinate,
    pub(super) y: Coordinate,
}

/// How much room the drawing takes.
#[derive(Deserialize, Serialize, Debug)]
#[serde(deny_unknown_fields, expecting = "an object with width and height")]
pub(super) struct Size {
    pub(super) width: Coordinate,
    pub(super) height: Coordinate,
}

/// Something to draw that is no seat: a stage, a wall, a text.
#[derive(Deserialize, Serialize, Debug)]
#[serde(deny_unknown_fields, expecting = "an object with type and points")]
pub(super) struct Shape<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(deserialize_with = "list")]
    pub(super) points: Vec<Point>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<Cow<'a, str>>,
}

/// A price category.
#[derive(Deserialize, Serialize, Debug)]
#[serde(deny_unknown_fields, expecting = "an object with id")]
pub(super) struct Category<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) color: Option<Cow<'a, str>>,
}

/// A seat.
#[derive(Deserialize, Serialize, Debug)]
#[serde(deny_unknown_fields, expecting = "an object with the id of a seat")]
pub(super) struct Seat<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) section: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) row: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) number: Number<'a>,
    #[serde(borrow)]
    pub(super) category: Cow<'a, str>,
    pub(super) x: Coordinate,
    pub(super) y: Coordinate,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) accessible: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) companion_of: Option<Cow<'a, str>>,
    /// It and the next seat of its row are no neighbours.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) gap_after: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

/// A length or a place. In JSON it is a finite number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Coordinate(pub(super) f64);

impl<'de> Deserialize<'de> for Coordinate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        f64::deserialize(from).map(Self)
    }
}

impl Serialize for Coordinate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[expect(clippy::cast_possible_truncation, reason = "a whole number that is exact in both")]
        if self.0.fract() == 0.0 && self.0.abs() < 1e15 {
            to.serialize_i64(self.0 as i64)
        } else {
            to.serialize_f64(self.0)
        }
    }
}

/// What stands on a seat: a number, or a text such as `12b`.
#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(untagged)]
pub(super) enum Number<'a> {
    Integer(i64),
    Text(Cow<'a, str>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Number<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Number<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or an integer")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Number::Integer(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                i64::try_from(number).map(Number::Integer).map_err(|_| E::custom("an integer that is too large"))
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Number::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Number::Text(Cow::Owned(text.into())))
            }
        }
        from.deserialize_any(Reader)
    }
}

impl Plan<'_> {
    /// The one form in which this plan is hashed, kept and served.
    pub(super) fn canonical(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data with finite numbers is JSON")
    }
}
