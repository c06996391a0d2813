//! Messages: what reading a request and writing an answer take.

use std::hint::black_box;

use butaca::engine::command::{Change, ChangeKind, SeatStatus, Selection};
use butaca::engine::ids::{ClientId, Epoch, Origin, RoomId, SeatId, ShardSet};
use butaca::engine::time::WallMillis;
use butaca::limits::USER_INFO_BYTES;
use butaca::wire::message::{
    BroadcastUserInfo, Code, Reader, change_for_actor, change_for_members, current_selections, error, room_joined,
};

use super::{USER_INFO, Work};

pub(crate) const WORKS: [&str; 13] = [
    "read_ping",
    "read_join",
    "read_select",
    "read_select_of_4_kb",
    "read_select_with_a_huge_number",
    "read_what_is_not_json",
    "write_joined",
    "write_selected_for_actor",
    "write_selected_for_members",
    "write_selected_with_the_name_only",
    "write_selected_without_user_info",
    "write_refusal",
    "write_full_state_of_1000_seats",
];

const NOW: WallMillis = WallMillis(1_768_473_000_000);

fn select(user_info: &str) -> String {
    format!(r#"{{"type":"select_seat","room_id":"hall-1","seat_id":"A-12","user_info":{user_info}}}"#)
}

pub(crate) fn prepare(name: &str) -> Work {
    match name {
        "read_ping" => read(r#"{"type":"ping"}"#),
        "read_join" => read(r#"{"type":"join_room","room_id":"hall-1"}"#),
        "read_select" => read(&select(USER_INFO)),
        "read_select_of_4_kb" => read(&select(&format!(r#"{{"name":"Ana","note":"{}"}}"#, "x".repeat(4_000)))),
        "read_select_with_a_huge_number" => read(&select(r#"{"name":"Ana","balance":1e400}"#)),
        "read_what_is_not_json" => read(r#"{"type":"ping"#),
        "write_joined" => write(|out| room_joined(out, "hall-1", "client-4711", 123_456, Epoch(7), NOW, None)),
        "write_selected_for_actor" => {
            let change = change();
            write(move |out| change_for_actor(out, &change))
        }
        "write_selected_for_members" => for_members(BroadcastUserInfo::Full),
        "write_selected_with_the_name_only" => for_members(BroadcastUserInfo::Name),
        "write_selected_without_user_info" => for_members(BroadcastUserInfo::None),
        "write_refusal" => write(|out| {
            let text = "the seat is held by somebody else";
            error(out, Code::SeatTaken, text, NOW, Some("hall-1"), Some("A-12"), Some("select_seat"));
        }),
        "write_full_state_of_1000_seats" => full_state(),
        _ => panic!("there is no work {name}"),
    }
}

fn read(text: &str) -> Work {
    let mut reader = Reader::new(USER_INFO_BYTES);
    let text = text.to_owned();
    let mut bytes = text.clone().into_bytes();
    Box::new(move || {
        // Reading rewrites the text, so each round begins with a fresh one; the copy is a few nanoseconds of it.
        bytes.copy_from_slice(text.as_bytes());
        black_box(reader.read(&mut bytes).is_ok());
    })
}

fn write(mut message: impl FnMut(&mut Vec<u8>) + 'static) -> Work {
    let mut out = Vec::with_capacity(1 << 20);
    Box::new(move || {
        out.clear();
        message(&mut out);
        black_box(out.len());
    })
}

fn for_members(share: BroadcastUserInfo) -> Work {
    let change = change();
    write(move |out| change_for_members(out, &change, share))
}

fn change() -> Change {
    Change {
        room: RoomId::new("hall-1").expect("valid"),
        seat: SeatId::new("A-12").expect("valid"),
        index: None,
        client: ClientId::new("client-4711").expect("valid"),
        seq: 123_456,
        epoch: Epoch(7),
        actor: None,
        answers: None,
        held: 0,
        audience: ShardSet::EMPTY,
        kind: ChangeKind::Selected {
            status: SeatStatus::Held,
            was: SeatStatus::Free,
            at: NOW,
            expires_at: Some(NOW.after(300_000)),
            user_info: USER_INFO.into(),
            origin: Origin::UNKNOWN,
            claim: None,
        },
    }
}

fn full_state() -> Work {
    let client = ClientId::new("client-4711").expect("valid");
    let seats: Vec<_> = (0..1_000).map(|seat| SeatId::new(&format!("A-{seat}")).expect("valid")).collect();
    write(move |out| {
        let selection = |seat| Selection {
            client: &client,
            seat,
            index: None,
            status: SeatStatus::Held,
            user_info: USER_INFO,
            at: NOW,
            expires_at: Some(NOW),
            origin: Origin::UNKNOWN,
        };
        current_selections(out, "hall-1", 9, Epoch(7), seats.iter().map(selection), BroadcastUserInfo::Full);
    })
}
