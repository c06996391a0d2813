//! Requests: what is accepted is what another parser reads in the same text, and `user_info` comes back as written.

use std::collections::BTreeMap;

use butaca::engine::command::{Change, ChangeKind, Request, SeatStatus};
use butaca::engine::ids::{ClientId, Epoch, Origin, RoomId, SeatId, ShardSet};
use butaca::engine::time::WallMillis;
use butaca::limits::{JSON_DEPTH_MAX, USER_INFO_BYTES};
use butaca::wire::message::{BadMessage, BroadcastUserInfo, Code, Message, Reader, change_for_members, error};
use serde_json::value::RawValue;

/// An object as another parser sees it: of two members with one name the last one counts here as well.
type Object<'a> = BTreeMap<String, &'a RawValue>;

/// Reads `data` as the text of one message.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut reader = Reader::new(USER_INFO_BYTES);
    let mut bytes = data.to_vec();
    match reader.read(&mut bytes) {
        Ok(message) => check_accepted(text, message),
        Err(bad) => check_refused(text, &bad),
    }
    // A reader that has been used reads the same.
    let again = format!("{:?}", reader.read(&mut data.to_vec()));
    assert_eq!(again, format!("{:?}", Reader::new(USER_INFO_BYTES).read(&mut data.to_vec())));
}

fn check_accepted(text: &str, message: Message<'_>) {
    let object: Object<'_> = serde_json::from_str(text).expect("another parser accepts it");
    let field = |name: &str| serde_json::from_str::<String>(object[name].get()).expect("another parser sees a string");
    let (kind, room, seat) = match message {
        Message::Request(Request::Join { room }) => ("join_room", Some(room), None),
        Message::Rejoin { room, resume } => {
            assert_eq!(field("resume"), resume);
            ("join_room", Some(room), None)
        }
        Message::Request(Request::Leave { room }) => ("leave_room", Some(room), None),
        Message::Request(Request::Select { room, seat, user_info }) => {
            let written = object.get("user_info").map_or("{}", |raw| raw.get());
            assert_eq!(user_info, written);
            check_broadcast(room, seat, user_info);
            ("select_seat", Some(room), Some(seat))
        }
        Message::Request(Request::Release { room, seat }) => ("release_seat", Some(room), Some(seat)),
        Message::Ping => ("ping", None, None),
    };
    assert_eq!(field("type"), kind);
    for (name, value) in [("room_id", room), ("seat_id", seat)] {
        if let Some(value) = value {
            assert_eq!(field(name), value);
        }
    }
}

/// What other members get is JSON, with the ids and the `user_info` that came.
fn check_broadcast(room: &str, seat: &str, user_info: &str) {
    let change = Change {
        room: RoomId::new(room).expect("ids of a request are valid"),
        seat: SeatId::new(seat).expect("ids of a request are valid"),
        index: None,
        client: ClientId::new(room).expect("ids of a request are valid"),
        seq: 1,
        epoch: Epoch(1),
        actor: None,
        answers: None,
        held: 0,
        audience: ShardSet::EMPTY,
        kind: ChangeKind::Selected {
            status: SeatStatus::Held,
            was: SeatStatus::Free,
            at: WallMillis(0),
            expires_at: Some(WallMillis(0)),
            user_info: user_info.into(),
            origin: Origin::UNKNOWN,
            claim: None,
        },
    };
    let written: Object<'_> = serde_json::from_str(user_info).expect("another parser sees an object");
    for share in [BroadcastUserInfo::Full, BroadcastUserInfo::Name, BroadcastUserInfo::None] {
        let mut frame = Vec::new();
        change_for_members(&mut frame, &change, share);
        let sent: Object<'_> = serde_json::from_slice(payload_of(&frame)).expect("another parser reads the broadcast");
        assert_eq!(serde_json::from_str::<String>(sent["room_id"].get()).expect("a string"), room);
        assert_eq!(serde_json::from_str::<String>(sent["seat_id"].get()).expect("a string"), seat);
        let expected = match (share, written.get("name")) {
            (BroadcastUserInfo::Full, _) => user_info.to_owned(),
            (BroadcastUserInfo::Name, Some(name)) => format!(r#"{{"name":{name}}}"#),
            (BroadcastUserInfo::Name, None) | (BroadcastUserInfo::None, _) => "{}".to_owned(),
        };
        assert_eq!(sent["user_info"].get(), expected);
    }
}

/// A text that another parser takes is refused as no JSON only for a surrogate without its other half, or its nesting.
fn check_refused(text: &str, bad: &BadMessage<'_>) {
    let mut frame = Vec::new();
    error(&mut frame, Code::from(bad.fault), &bad.message, WallMillis(0), bad.room, bad.seat, bad.request_type);
    serde_json::from_slice::<Object<'_>>(payload_of(&frame)).expect("the refusal is JSON");
    if Code::from(bad.fault) == Code::BadJson && serde_json::from_str::<&RawValue>(text).is_ok() {
        let may_be_surrogate = text.contains("\\ud") || text.contains("\\uD");
        let is_object = text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{');
        assert!(
            may_be_surrogate || !is_object || depth(text) > JSON_DEPTH_MAX,
            "refused for no reason: {}",
            bad.message
        );
    }
}

/// How deeply a well-formed text is nested.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The payload of one frame of the server.
fn payload_of(frame: &[u8]) -> &[u8] {
    match frame[1] {
        127 => &frame[10..],
        126 => &frame[4..],
        _ => &frame[2..],
    }
}
