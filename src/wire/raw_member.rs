//! One member of a JSON object, as the client wrote it.
//!
//! Never here: objects of clients that have not been checked (see `json_read`).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The last member of this name. `None` when there is none, or `object` is damaged.
pub(super) fn raw_member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    serde_json::Deserializer::from_str(object).deserialize_map(RawMember(name)).ok().flatten()
}

struct RawMember<'n>(&'n str);

impl<'de> Visitor<'de> for RawMember<'_> {
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_wanted) = map.next_key_seed(KeyIs(self.0))? {
            if is_wanted {
                found = Some(map.next_value::<&RawValue>()?.get());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Compares a key without keeping it.
struct KeyIs<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for KeyIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<bool, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::raw_member;

    #[test]
    fn a_member_is_taken_as_it_was_written() {
        let check = |object, expected| assert_eq!(raw_member(object, "name"), expected, "{object}");
        check("{}", None);
        check(r#"{"name":"Ana","x":1}"#, Some(r#""Ana""#));
        check(r#"{"x":{"name":0},"n\u0061me":[ 1.0, 1e400 ] ,"y":2}"#, Some("[ 1.0, 1e400 ]"));
        check(r#"{"name":1,"name":"\u0041"}"#, Some(r#""\u0041""#));
        check("damaged", None);
    }
}
