//! An event of the log as the relay needs it: its name, its place, and all of it as it was written.
//!
//! Invariant: what was read is passed on as it is; fields that the relay does not know are no error. Never here: I/O.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::clock::parse_time;
use crate::limits::SHOWN_CHARS_MAX;

/// One event.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Event {
    pub(crate) id: String,
    /// From where the log goes on behind this event.
    pub(crate) cursor: String,
    pub(crate) kind: String,
    pub(crate) room: String,
    pub(crate) epoch: String,
    pub(crate) n: i64,
    /// RFC 3339.
    pub(crate) time: String,
    pub(crate) order: Option<String>,
    pub(crate) seats: Vec<Value>,
    pub(crate) owner: Option<Value>,
    /// The whole event.
    pub(crate) all: Map<String, Value>,
}

/// What an event must have.
#[derive(Deserialize)]
struct Fields {
    id: String,
    cursor: String,
    #[serde(rename = "type")]
    kind: String,
    time: String,
    room: String,
    epoch: Value,
    n: i64,
    #[serde(default)]
    seats: Vec<Value>,
    order: Option<String>,
    owner: Option<Value>,
}

impl Event {
    /// Reads one line of the log.
    pub(crate) fn read(line: &[u8]) -> Result<Self, String> {
        let why = |why: String| format!("this is no event ({why}): {}", shown(&String::from_utf8_lossy(line)));
        let all: Map<String, Value> = serde_json::from_slice(line).map_err(|error| why(error.to_string()))?;
        let fields: Fields = serde_json::from_slice(line).map_err(|error| why(error.to_string()))?;
        if fields.id.is_empty() || fields.cursor.is_empty() {
            return Err(why("it has no name or no cursor".into()));
        }
        // Text or a number: it is only ever compared.
        let epoch = fields.epoch.as_str().map_or_else(|| fields.epoch.to_string(), str::to_owned);
        let Fields { id, cursor, kind, time, room, n, seats, order, owner, .. } = fields;
        Ok(Self { id, cursor, kind, room, epoch, n, time, order, seats, owner, all })
    }

    /// When it happened, in milliseconds since 1970.
    pub(crate) fn at_ms(&self) -> Option<u64> {
        parse_time(&self.time)
    }
}

/// The beginning of a text, on one line.
pub(crate) fn shown(text: &str) -> String {
    let line: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    line.trim().escape_debug().to_string().replace("\\\"", "\"")
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::Event;

    /// An event of a room `r`.
    pub(crate) fn event(n: i64, kind: &str, order: Option<&str>, seats: &[&str]) -> Event {
        of_room("r", n, kind, order, seats)
    }

    /// An event of a room.
    pub(crate) fn of_room(room: &str, n: i64, kind: &str, order: Option<&str>, seats: &[&str]) -> Event {
        let mut value = json!({
            "id": format!("{room}/e1/{n}"), "cursor": format!("c{n}"), "type": kind, "time": "2026-01-15T10:30:00.000Z",
            "room": room, "epoch": "e1", "n": n, "seats": seats,
        });
        if let Some(order) = order {
            value["order"] = order.into();
        }
        Event::read(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_line_is_an_event_or_is_refused_in_one_line() {
        let good = r#"{"id":"r/e/1","cursor":"c","type":"seat.held","time":"2026-01-15T10:30:00Z","room":"r","epoch":7,
            "n":1,"seats":["A-1"],"new":{"x":1}}"#;
        let event = Event::read(good.as_bytes()).unwrap();
        assert_eq!((event.epoch.as_str(), event.n, event.at_ms()), ("7", 1, Some(1_768_473_000_000)));
        assert_eq!(event.all["new"]["x"], 1, "what is not known is passed on");
        for bad in ["", "{}", "[]", "no\njson", r#"{"id":"r/e/1"}"#, &good.replace("\"c\"", "\"\"")] {
            let why = Event::read(bad.as_bytes()).unwrap_err();
            assert!(!why.contains('\n') || bad.is_empty(), "{why}");
        }
    }
}
