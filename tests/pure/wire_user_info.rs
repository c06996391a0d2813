//! Any JSON object comes back from the wire as the same JSON value: it comes back as the same text.

use butaca::engine::command::{Change, ChangeKind, Request, SeatStatus};
use butaca::engine::ids::{ClientId, Epoch, Origin, RoomId, SeatId, ShardSet};
use butaca::engine::time::WallMillis;
use butaca::limits::MESSAGE_BYTES;
use butaca::wire::message::{BroadcastUserInfo, Message, Reader, change_for_members};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use serde_json::value::RawValue;

use crate::wire_golden::payload_of;

fn space() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,2}"
}

fn number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,20})?([eE][-+]?[0-9]{1,4})?"
}

/// A JSON string with everything that may stand in one, as a client may write it.
fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[^\"\\\\\u{0}-\u{1f}]{0,8}",
        1 => "\\\\[\"\\\\/bfnrt]",
        1 => "\\\\u[0-9a-cA-C][0-9a-fA-F]{3}",
        1 => Just("\\ud83c\\udfad".to_owned()),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn value() -> impl Strategy<Value = String> {
    let leaf =
        prop_oneof![number(), string(), Just("true".to_owned()), Just("false".to_owned()), Just("null".to_owned()),];
    leaf.prop_recursive(5, 64, 6, |inner| prop_oneof![list("[", inner.clone(), "]"), object(inner)])
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = (string(), space(), space(), value).prop_map(|(key, a, b, value)| format!("{key}{a}:{b}{value}"));
    list("{", member, "}")
}

fn list(open: &'static str, item: impl Strategy<Value = String>, close: &'static str) -> impl Strategy<Value = String> {
    let padded = (space(), item, space()).prop_map(|(a, item, b)| format!("{a}{item}{b}"));
    prop::collection::vec(padded, 0..5).prop_map(move |items| format!("{open}{}{close}", items.join(",")))
}

fn broadcast(user_info: &str) -> Vec<u8> {
    let change = Change {
        room: RoomId::new("r").expect("valid"),
        seat: SeatId::new("s").expect("valid"),
        index: None,
        client: ClientId::new("c").expect("valid"),
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
    let mut out = Vec::new();
    change_for_members(&mut out, &change, BroadcastUserInfo::Full);
    out
}

#[derive(serde::Deserialize)]
struct Broadcast<'a> {
    #[serde(borrow)]
    user_info: &'a RawValue,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_object_comes_back_as_it_was_written(
        user_info in object(value()),
        unknown in value(),
        first in any::<bool>(),
    ) {
        let fields = r#""type":"select_seat","room_id":"r","seat_id":"s""#;
        let text = if first {
            format!(r#"{{"user_info": {user_info} ,"x":{unknown},{fields}}}"#)
        } else {
            format!(r#"{{"x":{unknown},{fields},"user_info":{user_info}}}"#)
        };
        let mut reader = Reader::new(MESSAGE_BYTES);
        let mut bytes = text.clone().into_bytes();
        let request = reader.read(&mut bytes);
        prop_assert_eq!(request, Ok(Message::Request(Request::Select { room: "r", seat: "s", user_info: &user_info })), "{}", text);
        let frame = broadcast(&user_info);
        let read: Broadcast<'_> = serde_json::from_str(payload_of(&frame)).expect("another parser reads it");
        prop_assert_eq!(read.user_info.get(), user_info);
    }
}
