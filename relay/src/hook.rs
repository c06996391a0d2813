//! A webhook's message and what its answer means: CloudEvents 1.0 in structured mode, signed as Standard Webhooks says.
//!
//! The signature is HMAC-SHA256 over `id.timestamp.body`. In structured mode the body has all attributes of the event,
//! so all of it is signed. Never here: I/O.

use std::collections::HashMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;
use serde_json::{Value, json};

use crate::event::Event;

/// The media type of the body.
pub(crate) const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// What messages are signed with.
pub(crate) struct Secret(hmac::Key);

impl Secret {
    /// Reads `whsec_` and the base64 of 24 to 64 bytes.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let coded = text.trim().strip_prefix("whsec_").ok_or("it does not begin with whsec_")?;
        let bytes = BASE64_STANDARD.decode(coded).map_err(|_| "behind whsec_ it is not base64".to_owned())?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(format!("it has {} bytes; allowed are 24 to 64", bytes.len()));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }
}

/// A message, ready to be sent.
#[derive(PartialEq, Debug)]
pub(crate) struct Message {
    pub(crate) headers: [(&'static str, String); 3],
    pub(crate) body: String,
}

/// The message that tells this event. It is signed anew for each try, because receivers refuse an old timestamp.
pub(crate) fn message(event: &Event, source: &str, secret: &Secret, now_ms: u64) -> Message {
    let body = body(event, source).to_string();
    let (id, timestamp) = (ascii(&event.id), (now_ms / 1000).to_string());
    let tag = hmac::sign(&secret.0, format!("{id}.{timestamp}.{body}").as_bytes());
    let signature = format!("v1,{}", BASE64_STANDARD.encode(tag));
    Message { headers: [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)], body }
}

fn body(event: &Event, source: &str) -> Value {
    json!({
        "specversion": "1.0",
        "id": event.id,
        "source": source,
        "type": event.kind,
        "subject": event.order.as_ref().unwrap_or(&event.room),
        "time": event.time,
        "partitionkey": event.room,
        "datacontenttype": "application/json",
        "data": event.all,
    })
}

/// Rooms are percent-encoded in ids; should one not be, a header may still have nothing else.
fn ascii(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

/// What the answer to a message means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Taken,
    /// It may be taken another time.
    Again,
    /// It will never be taken.
    Poison,
}

/// Reads the status of an answer. A redirection is a webhook that has moved: following it would send the events where
/// nobody wanted them to go.
pub(crate) fn verdict(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Taken,
        408 | 425 | 429 | 500..=599 => Verdict::Again,
        _ => Verdict::Poison,
    }
}

/// Places of a page's events by room, in order.
pub(crate) fn by_room(events: &[Event]) -> Vec<Vec<usize>> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut rooms: Vec<Vec<usize>> = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let room = *places.entry(&event.room).or_insert_with(|| {
            rooms.push(Vec::new());
            rooms.len() - 1
        });
        rooms[room].push(at);
    }
    rooms
}

/// How many events from the first on are all taken: the cursor may stand behind them.
pub(crate) fn confirmed(taken: &[bool]) -> usize {
    taken.iter().position(|taken| !taken).unwrap_or(taken.len())
}

#[cfg(test)]
mod tests {
    use super::{Secret, Verdict, by_room, confirmed, message, verdict};
    use crate::event::tests::{event, of_room};

    /// The secret is that of the examples of Standard Webhooks; tests/relay computes the tag on its own.
    #[test]
    fn a_message_is_signed() {
        let secret = Secret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let mut told = event(3, "order.booked", Some("o-1"), &["A"]);
        told.id = "sálà/e1/3".into();
        let sent = message(&told, "butaca", &secret, 1_768_473_000_999);
        assert_eq!(sent.headers[0].1, "s?l?/e1/3");
        assert_eq!(sent.headers[1].1, "1768473000");
        assert!(sent.headers[2].1.starts_with("v1,") && sent.headers[2].1.len() == 47);
        let body: serde_json::Value = serde_json::from_str(&sent.body).unwrap();
        assert_eq!((&body["specversion"], &body["subject"]), (&"1.0".into(), &"o-1".into()));
        assert_eq!(body["data"]["n"], 3);
        for changed in
            [message(&told, "other", &secret, 1_768_473_000_999), message(&told, "butaca", &secret, 1_768_473_001_000)]
        {
            assert_ne!(changed.headers[2], sent.headers[2]);
        }
    }

    #[test]
    fn secrets_are_long_and_marked() {
        for bad in ["", "whsec_", "whsec_%%", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8G"] {
            assert!(Secret::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_answer_means_one_thing() {
        for (statuses, expected) in [
            (&[200, 201, 202, 204][..], Verdict::Taken),
            (&[408, 425, 429, 500, 502, 503, 504], Verdict::Again),
            (&[100, 301, 302, 400, 401, 404, 409, 410, 413, 422], Verdict::Poison),
        ] {
            assert!(statuses.iter().all(|&status| verdict(status) == expected), "{statuses:?}");
        }
    }

    #[test]
    fn rooms_keep_their_order_and_the_cursor_waits_for_all() {
        let events = ["a", "b", "a", "c", "b"].map(|room| of_room(room, 1, "seat.held", None, &[]));
        assert_eq!(by_room(&events), [vec![0, 2], vec![1, 4], vec![3]]);
        for (taken, expected) in [(&[][..], 0), (&[true, true], 2), (&[true, false, true], 1), (&[false, true], 0)] {
            assert_eq!(confirmed(taken), expected);
        }
    }
}
