//! Every message of the protocol as it stands on the wire, byte by byte: a change here is a change for clients.

use butaca::engine::command::{Change, ChangeKind, Reject, ReleaseReason, RequestType, SeatStatus, Selection};
use butaca::engine::ids::{ClientId, Epoch, Origin, RoomId, SeatId, ShardSet};
use butaca::engine::time::WallMillis;
use butaca::wire::message::{self, BroadcastUserInfo, Code, Refused};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};

/// 2026-01-15T10:30:00.000Z
const NOW: WallMillis = WallMillis(1_768_473_000_000);
const EPOCH: Epoch = Epoch(0x1234_5678_9abc_def0);
const USER_INFO: &str = r#"{"name": "Ana", "balance": 1.0, "x": 1e400}"#;

/// The payload of the one text frame that `frame` is.
pub(crate) fn payload_of(frame: &[u8]) -> &str {
    let mut cursor = std::io::Cursor::new(frame);
    let (header, length) = FrameHeader::parse(&mut cursor).expect("a frame").expect("a whole header");
    assert_eq!((header.is_final, header.mask, header.opcode), (true, None, OpCode::Data(Data::Text)));
    assert!(!header.rsv1 && !header.rsv2 && !header.rsv3);
    let start = usize::try_from(cursor.position()).expect("at most 10");
    assert_eq!(start, header.len(length), "the length is as short as it can be");
    assert_eq!(frame.len() as u64, start as u64 + length, "one frame and nothing else");
    std::str::from_utf8(&frame[start..]).expect("a text")
}

fn check(expected: &str, write: impl FnOnce(&mut Vec<u8>)) {
    let mut out = b"what was there".to_vec();
    write(&mut out);
    let frame = out.strip_prefix(b"what was there").expect("a message is appended");
    assert_eq!(payload_of(frame), expected);
}

fn room() -> RoomId {
    RoomId::new("hall \"1\"").expect("valid")
}

fn change(kind: ChangeKind) -> Change {
    Change {
        room: room(),
        seat: SeatId::new("A\\1").expect("valid"),
        index: None,
        client: ClientId::new("José").expect("valid"),
        seq: 7,
        epoch: EPOCH,
        actor: None,
        answers: None,
        held: 0,
        audience: ShardSet::EMPTY,
        kind,
    }
}

fn selected() -> Change {
    change(ChangeKind::Selected {
        status: SeatStatus::Held,
        was: SeatStatus::Free,
        at: NOW,
        expires_at: Some(NOW.after(300_000)),
        user_info: USER_INFO.into(),
        origin: Origin::UNKNOWN,
        claim: None,
    })
}

#[test]
fn joining_and_leaving() {
    check(
        r#"{"type":"room_joined","room_id":"hall \"1\"","client_id":"José","seq":7,"epoch":"123456789abcdef0","now":"2026-01-15T10:30:00.000Z"}"#,
        |out| message::room_joined(out, "hall \"1\"", "José", 7, EPOCH, NOW, None),
    );
    check(
        r#"{"type":"room_joined","room_id":"r","client_id":"c","seq":7,"epoch":"123456789abcdef0","now":"2026-01-15T10:30:00.000Z","resume":"00ff"}"#,
        |out| message::room_joined(out, "r", "c", 7, EPOCH, NOW, Some("00ff")),
    );
    check(r#"{"type":"room_left","room_id":"r","client_id":"c"}"#, |out| message::room_left(out, "r", "c"));
}

#[test]
fn a_seat_changes_hands() {
    check(
        r#"{"type":"seat_selected","seat_id":"A\\1","room_id":"hall \"1\"","client_id":"José","seq":7,"expires_at":"2026-01-15T10:35:00.000Z"}"#,
        |out| message::change_for_actor(out, &selected()),
    );
    let for_members = |user_info: &str| {
        format!(
            r#"{{"type":"seat_selected","seat_id":"A\\1","room_id":"hall \"1\"","client_id":"José","user_info":{user_info},"seq":7,"expires_at":"2026-01-15T10:35:00.000Z"}}"#
        )
    };
    for (share, user_info) in [
        (BroadcastUserInfo::Full, USER_INFO),
        (BroadcastUserInfo::Name, r#"{"name":"Ana"}"#),
        (BroadcastUserInfo::None, "{}"),
    ] {
        check(&for_members(user_info), |out| message::change_for_members(out, &selected(), share));
    }
    for (reason, name) in [
        (ReleaseReason::Released, "released"),
        (ReleaseReason::Expired, "expired"),
        (ReleaseReason::Disconnected, "disconnected"),
    ] {
        let expected = format!(
            r#"{{"type":"seat_released","seat_id":"A\\1","room_id":"hall \"1\"","client_id":"José","seq":7,"reason":"{name}"}}"#
        );
        let released = change(ChangeKind::Released { reason });
        check(&expected, |out| message::change_for_actor(out, &released));
        check(&expected, |out| message::change_for_members(out, &released, BroadcastUserInfo::Full));
    }
    check(
        r#"{"type":"seat_selected","seat_id":"s","room_id":"r","client_id":"c","seq":9,"expires_at":"2026-01-15T10:30:00.000Z"}"#,
        |out| message::selected_again(out, "r", "s", "c", 9, NOW),
    );
}

#[test]
fn a_name_that_is_missing_is_shared_as_nothing() {
    for (user_info, shared) in [("{}", "{}"), (r#"{"n":{"name":1}}"#, "{}"), (r#"{"name":null}"#, r#"{"name":null}"#)] {
        let kind = ChangeKind::Selected {
            status: SeatStatus::Held,
            was: SeatStatus::Free,
            at: NOW,
            expires_at: Some(NOW),
            user_info: user_info.into(),
            origin: Origin::UNKNOWN,
            claim: None,
        };
        let mut out = Vec::new();
        message::change_for_members(&mut out, &change(kind), BroadcastUserInfo::Name);
        let payload = payload_of(&out);
        assert!(payload.contains(&format!(r#""user_info":{shared},"seq""#)), "{payload}");
    }
}

#[test]
fn full_states() {
    let (clients, seats) = (["a", "b"].map(ClientId::new), ["1", "2"].map(SeatId::new));
    let selections = |count: usize| {
        clients.iter().zip(&seats).take(count).map(|(client, seat)| Selection {
            client: client.as_ref().expect("valid"),
            seat: seat.as_ref().expect("valid"),
            index: None,
            status: SeatStatus::Held,
            user_info: USER_INFO,
            at: NOW,
            expires_at: Some(NOW.after(1)),
            origin: Origin::UNKNOWN,
        })
    };
    let one = |client: &str, seat: &str, user_info: &str| {
        format!(
            r#"{{"client_id":"{client}","seat_id":"{seat}","room_id":"r","user_info":{user_info},"timestamp":"2026-01-15T10:30:00.000Z","expires_at":"2026-01-15T10:30:00.001Z","status":"held"}}"#
        )
    };
    let check_state = |count: usize, share, listed: &str| {
        let state = format!(
            r#"{{"type":"current_selections","room_id":"r","selections":[{listed}],"seq":3,"epoch":"0000000000000001"}}"#
        );
        check(&state, |out| message::current_selections(out, "r", 3, Epoch(1), selections(count), share));
        let mut body = Vec::new();
        assert_eq!(message::selections_body(&mut body, "r", selections(count), share), count as u64);
        assert_eq!(
            message::selections_body_len("r", selections(count), share),
            body.len(),
            "HEAD says the length of GET"
        );
        let expected = format!(r#"{{"room_id":"r","selections":[{listed}],"count":{count}}}"#);
        assert_eq!(std::str::from_utf8(&body), Ok(expected.as_str()));
    };
    check_state(0, BroadcastUserInfo::Full, "");
    check_state(1, BroadcastUserInfo::Full, &one("a", "1", USER_INFO));
    let both = |user_info: &str| format!("{},{}", one("a", "1", user_info), one("b", "2", user_info));
    check_state(2, BroadcastUserInfo::Full, &both(USER_INFO));
    check_state(2, BroadcastUserInfo::Name, &both(r#"{"name":"Ana"}"#));
    check_state(2, BroadcastUserInfo::None, &both("{}"));
}

#[test]
fn pongs_and_refusals() {
    check(r#"{"type":"pong","timestamp":"2026-01-15T10:30:00.000Z"}"#, |out| message::pong(out, NOW));
    check(
        r#"{"type":"error","code":"bad_json","message":"no \"JSON\"","timestamp":"2026-01-15T10:30:00.000Z"}"#,
        |out| message::error(out, Code::BadJson, "no \"JSON\"", NOW, None, None, None),
    );
    check(
        r#"{"type":"error","code":"seat_taken","message":"m","timestamp":"2026-01-15T10:30:00.000Z","room_id":"r","seat_id":"s","request_type":"select_seat"}"#,
        |out| message::error(out, Code::SeatTaken, "m", NOW, Some("r"), Some("s"), Some("select_seat")),
    );
}

/// What is added to a refusal stands behind what was there.
#[test]
fn a_refusal_for_now_says_until_when() {
    let (code, message, request_type) = (Code::RateLimited, "m", Some("select_seat"));
    let refused = Refused { code, message, room: Some("r"), seat: Some("s"), request_type };
    check(
        r#"{"type":"error","code":"rate_limited","message":"m","timestamp":"2026-01-15T10:30:00.000Z","room_id":"r","seat_id":"s","request_type":"select_seat","retry_after_ms":400}"#,
        |out| message::refused(out, &refused, NOW, Some(400)),
    );
}

#[test]
fn codes_and_types_have_their_names() {
    let rejects = [
        (Reject::SeatTaken, "seat_taken"),
        (Reject::NotHeld, "not_held"),
        (Reject::NotOwner, "not_owner"),
        (Reject::LimitExceeded, "limit_exceeded"),
        (Reject::AddressLimit, "limit_exceeded"),
        (Reject::TooSoon { retry_after_ms: 1 }, "rate_limited"),
        (Reject::Overloaded, "overloaded"),
        (Reject::PersistenceUnavailable, "persistence_unavailable"),
    ];
    for (reject, code) in rejects {
        assert_eq!(Code::from(reject).as_str(), code);
        assert!(!Code::from(reject).text().is_empty());
    }
    for (code, name) in [
        (Code::BadJson, "bad_json"),
        (Code::BadRequest, "bad_request"),
        (Code::UnknownType, "unknown_type"),
        (Code::RateLimited, "rate_limited"),
    ] {
        assert_eq!(code.as_str(), name);
    }
    let types = [
        (RequestType::Join, "join_room"),
        (RequestType::Leave, "leave_room"),
        (RequestType::Select, "select_seat"),
        (RequestType::Release, "release_seat"),
    ];
    for (request, name) in types {
        assert_eq!(message::request_type_name(request), name);
    }
}

#[test]
fn a_frame_of_any_length_has_its_header() {
    for length in [0, 1, 60, 124, 125, 126, 127, 65_000, 65_535, 65_536, 70_000] {
        let text = "x".repeat(length);
        // The room is as long as no id may be, which is how every length of a frame is reached.
        let mut out = Vec::new();
        message::room_left(&mut out, &text, "c");
        assert_eq!(payload_of(&out), format!(r#"{{"type":"room_left","room_id":"{text}","client_id":"c"}}"#));
    }
}
