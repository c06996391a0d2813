//! Requests of the second protocol: what is accepted is what another parser reads in the same text, within the bounds;
//! what is refused is told in JSON, with the `id` that came.

use std::collections::{BTreeMap, BTreeSet};

use butaca::engine::time::WallMillis;
use butaca::limits::{REQUEST_ID_BYTES_MAX, RESUMED_ROOMS_MAX, SEATS_PER_REQUEST_MAX, USER_INFO_BYTES};
use butaca::wire::message::Code;
use butaca::wire::v2::read::Reader;
use butaca::wire::v2::request::{Ask, BadRequest, Message, RequestId, Since, Written};
use butaca::wire::v2::write::{Refusal, error, pong};
use serde_json::value::RawValue;

/// An object as another parser sees it: of two members with one name the last one counts here as well.
type Object<'a> = BTreeMap<String, &'a RawValue>;

/// Reads `data` as the text of one message.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut reader = Reader::new(USER_INFO_BYTES);
    let mut bytes = data.to_vec();
    match reader.read(&mut bytes) {
        Ok(message) => check_accepted(text, &message),
        Err(bad) => check_refused(text, &bad),
    }
    // A reader that has been used reads the same.
    let again = format!("{:?}", reader.read(&mut data.to_vec()));
    assert_eq!(again, format!("{:?}", Reader::new(USER_INFO_BYTES).read(&mut data.to_vec())));
}

fn texts(object: &Object<'_>, name: &str) -> Vec<String> {
    object.get(name).map_or_else(Vec::new, |raw| serde_json::from_str(raw.get()).expect("a list of strings"))
}

fn text(object: &Object<'_>, name: &str) -> String {
    serde_json::from_str(object[name].get()).expect("another parser sees a string")
}

fn check_accepted(text_of_all: &str, message: &Message<'_>) {
    let object: Object<'_> = serde_json::from_str(text_of_all).expect("another parser accepts it");
    assert_eq!(text(&object, "type"), message.kind.as_str());
    if let Some(room) = message.ask.room() {
        assert_eq!(text(&object, "room_id"), room);
    }
    check_id(&object, message.id);
    match &message.ask {
        Ask::Resume { token, rooms } => {
            assert_eq!(text(&object, "session_token"), *token);
            assert!(rooms.len() <= RESUMED_ROOMS_MAX && *rooms == texts(&object, "rooms"));
        }
        Ask::Auth { token } => assert_eq!(text(&object, "token"), *token),
        Ask::Join { since, .. } => {
            if let Some(Since { epoch, seq }) = since {
                let since: Object<'_> = serde_json::from_str(object["since"].get()).expect("an object");
                assert_eq!((text(&since, "epoch"), since["seq"].get()), (format!("{epoch:016x}"), &*seq.to_string()));
            }
        }
        Ask::Select { seats, release, user_info, .. } => {
            if seats.as_slice().len() > 1 || object.contains_key("seats") && message.kind.as_str() == "select_seats" {
                assert_eq!(seats.as_slice(), texts(&object, "seats"));
            } else {
                assert_eq!(seats.as_slice(), [text(&object, "seat_id")]);
            }
            assert_eq!(*user_info, object.get("user_info").map_or("{}", |raw| raw.get()));
            assert!((1..=SEATS_PER_REQUEST_MAX).contains(&seats.as_slice().len()));
            assert_eq!(*release, texts(&object, "release"));
            let all: BTreeSet<&str> = seats.as_slice().iter().chain(release).copied().collect();
            assert_eq!(all.len(), seats.as_slice().len() + release.len(), "nothing is named twice");
        }
        Ask::Best { query, release, .. } => {
            assert_eq!(object["quantity"].get(), query.quantity.to_string());
            assert!(query.quantity as usize <= SEATS_PER_REQUEST_MAX && query.accessible <= query.quantity);
            assert_eq!(query.sections, texts(&object, "sections"));
            assert_eq!(query.categories, texts(&object, "categories"));
            assert_eq!(*release, texts(&object, "release"));
        }
        Ask::Release { seats: None, .. } => assert_eq!(object["all"].get(), "true"),
        Ask::Release { seats: Some(seats), .. } => assert!(seats.as_slice().len() <= SEATS_PER_REQUEST_MAX),
        Ask::Leave { .. } | Ask::Extend { .. } | Ask::Sync { .. } => {}
        Ask::Ping { t } => check_pong(&object, message.id, *t),
    }
}

fn check_id(object: &Object<'_>, id: Option<RequestId<'_>>) {
    let written = object.get("id").map(|raw| raw.get());
    match id {
        None => assert_eq!(written, None),
        Some(RequestId::Number(number)) => assert_eq!(written, Some(&*number.to_string())),
        Some(RequestId::Digits(digits)) => assert_eq!(written, Some(digits)),
        Some(RequestId::Text(id)) => assert!(text(object, "id") == id && id.len() <= REQUEST_ID_BYTES_MAX),
    }
    assert!(!matches!(id, Some(RequestId::Digits(digits)) if digits.len() > REQUEST_ID_BYTES_MAX));
}

/// What a `ping` brought comes back in the `pong`.
fn check_pong(object: &Object<'_>, id: Option<RequestId<'_>>, t: Option<Written<'_>>) {
    let mut frame = Vec::new();
    pong(&mut frame, id, t, WallMillis(0));
    let sent: Object<'_> = serde_json::from_slice(payload_of(&frame)).expect("another parser reads the pong");
    for name in ["id", "t"] {
        let value = |object: &Object<'_>| {
            object.get(name).map(|raw| serde_json::from_str::<String>(raw.get()).unwrap_or(raw.get().to_owned()))
        };
        assert_eq!(value(&sent), value(object), "{name}");
    }
}

fn check_refused(text: &str, bad: &BadRequest<'_>) {
    let mut frame = Vec::new();
    let refusal = Refusal { message: &bad.bad.message, ..Refusal::of(Code::from(bad.bad.fault)) };
    error(&mut frame, bad.id, &refusal.about(bad.bad.request_type, bad.bad.room), WallMillis(0));
    serde_json::from_slice::<Object<'_>>(payload_of(&frame)).expect("the refusal is JSON");
    if bad.id.is_some() {
        check_id(&serde_json::from_str(text).expect("another parser reads it"), bad.id);
    }
}

/// The payload of one frame of the server.
fn payload_of(frame: &[u8]) -> &[u8] {
    match frame[1] {
        127 => &frame[10..],
        126 => &frame[4..],
        _ => &frame[2..],
    }
}
