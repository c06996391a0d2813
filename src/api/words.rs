//! Words that requests are made of: names, moments, bounded numbers. Each is checked where it is read, and described
//! where it is documented.
//!
//! Never here: whole requests.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, Object, Schema, SchemaFormat, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use super::calls::id_schema;
use crate::engine::ids::{TextId, is_valid_id};
use crate::engine::time::WallMillis;
use crate::limits::STORED_WALL_MS_MAX;

/// A name: of a room, a seat, an order, an owner, a section. 1 to 128 bytes that can be seen.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Name(Box<str>);

impl Name {
    /// The name with this text, unless it is none.
    pub(super) fn new(text: &str) -> Option<Self> {
        is_valid_id(text).then(|| Self(text.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// As what it names.
    pub(super) fn id<Kind>(&self) -> TextId<Kind> {
        TextId::new(&self.0).expect("a name is a valid id")
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(from)?;
        Self::new(&text).ok_or_else(|| D::Error::custom("a name has 1 to 128 bytes, and all of it can be seen"))
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl PartialSchema for Name {
    fn schema() -> RefOr<Schema> {
        id_schema()
    }
}

impl ToSchema for Name {}

/// A moment, written as RFC 3339 with any offset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Moment(pub(super) WallMillis);

impl Moment {
    fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.split_once(['T', 't'])?;
        let (time, offset_min) = split_offset(rest)?;
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
        let is_fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
        let is_day = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
        // A leap second counts as the last moment before it.
        if !(is_day && hour < 24 && minute < 60 && second <= 60 && is_fraction) {
            return None;
        }
        let ms: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
        let minutes = (days_since_1970(year, month, day) * 24 + hour) * 60 + minute - offset_min;
        let all = (minutes * 60 + second.min(59)) * 1_000 + ms;
        u64::try_from(all).ok().filter(|&ms| ms <= STORED_WALL_MS_MAX).map(|ms| Self(WallMillis(ms)))
    }
}

/// The time of day, and the minutes by which it is ahead of UTC.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(time) = text.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let (time, offset) = text.split_at_checked(text.rfind(['+', '-'])?)?;
    let [hours, minutes] = numbers(&offset[1..], ':', [2, 2])?;
    let ahead = hours * 60 + minutes;
    (hours < 24 && minutes < 60).then_some((time, if offset.starts_with('-') { -ahead } else { ahead }))
}

/// Numbers of so many digits each.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(between);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part =
            parts.next().filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let leaps = before / 4 - before / 100 + before / 400;
    let of_months: i64 = (1..month).map(|month| days_of(year, month)).sum();
    // 719,162 days lie before 1970-01-01.
    before * 365 + leaps + of_months + day - 1 - 719_162
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("a moment is written as 2026-01-15T20:30:00Z, from 1970 on"))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let text = self.0.rfc3339();
        to.serialize_str(std::str::from_utf8(&text).expect("digits and signs"))
    }
}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        let text = Object::builder().schema_type(SchemaType::Type(Type::String));
        Schema::Object(text.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).build()).into()
    }
}

impl ToSchema for Moment {}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Within<const MIN: u64, const MAX: u64>(pub(super) u64);

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Within<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Whole<const MIN: u64, const MAX: u64>;
        impl<const MIN: u64, const MAX: u64> Visitor<'_> for Whole<MIN, MAX> {
            type Value = u64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from {MIN} to {MAX}")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
                let refused = || E::invalid_value(serde::de::Unexpected::Unsigned(number), &self);
                (MIN..=MAX).contains(&number).then_some(number).ok_or_else(refused)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
                u64::try_from(number).map_err(E::custom).and_then(|number| self.visit_u64(number))
            }

            /// JSON has one kind of number: `3.0` is 3.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and within 2^53")]
            fn visit_f64<E: Error>(self, number: f64) -> Result<u64, E> {
                let is_whole = number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number);
                if is_whole { self.visit_u64(number as u64) } else { Err(E::custom("it is no whole number")) }
            }
        }
        from.deserialize_any(Whole::<MIN, MAX>).map(Self)
    }
}

impl<const MIN: u64, const MAX: u64> Serialize for Within<MIN, MAX> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(self.0)
    }
}

impl<const MIN: u64, const MAX: u64> PartialSchema for Within<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        super::calls::number_schema(MIN, MAX)
    }
}

impl<const MIN: u64, const MAX: u64> ToSchema for Within<MIN, MAX> {}

#[cfg(test)]
mod tests {
    use super::{Moment, Name, Within};
    use crate::engine::time::WallMillis;

    #[test]
    fn moments_are_read_as_they_are_written() {
        for ms in [0, 999, 951_782_399_999, 951_782_400_000, 1_709_164_800_000, 1_767_225_599_001, 253_402_300_799_999]
        {
            let text = WallMillis(ms).rfc3339();
            let text = std::str::from_utf8(&text).unwrap();
            assert_eq!(Moment::parse(text), Some(Moment(WallMillis(ms))), "{text}");
        }
        let check = |text: &str, same: &str| assert_eq!(Moment::parse(text), Moment::parse(same), "{text}");
        check("2026-01-15T20:30:00+02:00", "2026-01-15T18:30:00.000Z");
        check("2026-01-15T00:10:00.5-01:00", "2026-01-15T01:10:00.500Z");
        check("2026-01-15t20:30:00.1234567z", "2026-01-15T20:30:00.123Z");
        check("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z");
        for bad in [
            "",
            "2026-01-15",
            "2026-01-15T20:30:00",
            "2026-01-15 20:30:00Z",
            "2026-1-15T20:30:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-15T24:00:00Z",
            "2026-01-15T20:60:00Z",
            "2026-01-15T20:30:61Z",
            "2026-01-15T20:30:00.Z",
            "2026-01-15T20:30:00+2:00",
            "2026-01-15T20:30:00+24:00",
            "1969-12-31T23:59:59Z",
            "+026-01-15T20:30:00Z",
            "2026-01-15T20:30:00Zx",
            "2026-01-15T20:30Z",
            "9999-12-31T23:59:59-01:00",
            "2026-01-15T20:30:00+é0:00",
        ] {
            assert_eq!(Moment::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_and_numbers_are_bounded() {
        let name = |json: &str| serde_json::from_str::<Name>(json).ok().map(|name| name.as_str().to_owned());
        assert_eq!(name(r#""A\u00f1o""#).as_deref(), Some("Año"));
        assert_eq!(name(&format!("\"{}\"", "x".repeat(128))).map(|name| name.len()), Some(128));
        for bad in [r#""""#, r#""a\nb""#, "5", "null", &format!("\"{}\"", "x".repeat(129))] {
            assert_eq!(name(bad), None, "{bad}");
        }
        let number = |json: &str| serde_json::from_str::<Within<1, 7200>>(json).ok().map(|number| number.0);
        for (json, expected) in [("1", Some(1)), ("7200", Some(7200)), ("2.0", Some(2))] {
            assert_eq!(number(json), expected, "{json}");
        }
        for bad in ["0", "7201", "-1", "1.5", "\"1\"", "true", "null", "1e30", "18446744073709551616"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
