//! The rooms of a file: a JSON object that has the settings of each room under its name, as `PUT /v1/rooms/{room}`
//! takes them. What is wrong with one is said with its name.
//!
//! Invariant: a name stands there once. Never here: what a setting means, what becomes of a room.

use std::fmt;
use std::path::Path;

use serde::Deserializer as _;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{read_file, shown};
use crate::api::settings;
use crate::engine::ids::RoomId;
use crate::layout::catalog::Catalog;
use crate::limits::layout::ROOMS_FILE_BYTES_MAX;
use crate::runtime::desk::Declared;

/// The rooms of a file.
///
/// # Errors
/// One line: the file cannot be read, is something else, or one of its rooms cannot be.
pub(crate) fn read(file: &Path, layouts: &Catalog) -> Result<Declared, String> {
    let json = read_file(file, ROOMS_FILE_BYTES_MAX)?;
    parse(&json, layouts).map_err(|why| format!("{}: {why}", shown(file)).replace(char::is_control, " "))
}

fn parse(json: &[u8], layouts: &Catalog) -> Result<Declared, String> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let rooms = reader.deserialize_map(Rooms(layouts)).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(rooms)
}

/// With the layouts that there are.
struct Rooms<'a>(&'a Catalog);

impl<'de> Visitor<'de> for Rooms<'_> {
    type Value = Declared;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of rooms")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Declared, A::Error> {
        let mut rooms = Declared::new();
        while let Some((name, text)) = map.next_entry::<String, Box<RawValue>>()? {
            let room = RoomId::new(&name).ok_or_else(|| A::Error::custom(format_args!("no room can be {name:?}")))?;
            let request = settings::room_of_file(text.get(), self.0);
            let request = request.map_err(|why| A::Error::custom(format_args!("the room {name:?}: {why}")))?;
            if rooms.insert(room, Box::new(request)).is_some() {
                return Err(A::Error::custom(format_args!("the room {name:?} stands there twice")));
            }
        }
        Ok(rooms)
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::engine::command::{RoomSettings, Sale, SaleRequest};
    use crate::layout::catalog::Catalog;

    #[test]
    fn rooms_are_read_with_their_settings() {
        let text =
            br#"{"macbeth": {}, "hamlet": {"sale": "paused", "hold_ms": 1000, "max_seats": 0, "message": "soon"}}"#;
        let rooms = parse(text, &Catalog::default()).expect("they are rooms");
        let settings = |room: &str| match rooms.get(room).map(|request| &**request) {
            Some(SaleRequest::PutRoom { settings, .. }) => settings.clone(),
            other => panic!("{other:?}"),
        };
        let hamlet = RoomSettings {
            sale: Sale::Paused,
            hold_ms: Some(1_000),
            max_seats: Some(0),
            message: Some("soon".into()),
            ..RoomSettings::default()
        };
        assert_eq!((settings("hamlet"), settings("macbeth")), (hamlet, RoomSettings::default()));
        assert_eq!(parse(b" {} ", &Catalog::default()).map(|rooms| rooms.len()), Ok(0));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_name_of_the_room() {
        let check = |text: &str, parts: &[&str]| {
            let line = parse(text.as_bytes(), &Catalog::default()).expect_err(text);
            assert!(parts.iter().all(|part| line.contains(part)) && !line.contains('\n'), "{text}: {line}");
        };
        check("", &["EOF"]);
        check("[]", &["an object of rooms"]);
        check("{} {}", &["trailing"]);
        check(r#"{"r": []}"#, &["the room \"r\""]);
        check(r#"{"r": {"holdms": 5000}}"#, &["the room \"r\"", "holdms"]);
        check(r#"{"r": {"hold_ms": 1}}"#, &["the room \"r\"", "100"]);
        check(r#"{"r": {"sale": "on"}}"#, &["the room \"r\"", "on"]);
        check(r#"{"r": {"opens_at": "2026-01-15T20:30:00Z"}}"#, &["the room \"r\"", "opens_at"]);
        check(r#"{"r": {}, "r": {}}"#, &["the room \"r\"", "twice"]);
        check(r#"{"r": {"layout": "hall"}}"#, &["the room \"r\"", "layout"]);
        check(r#"{"r": {"layout": {"id": "hall"}}}"#, &["the room \"r\"", "a layout is its name"]);
        check(r#"{"": {}}"#, &["no room can be \"\""]);
    }
}
