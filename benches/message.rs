//! What reading a request and writing a message cost: `cargo bench --bench message`.

use butaca::engine::command::{Change, ChangeKind, Selection};
use butaca::engine::ids::{ClientId, Epoch, RoomId, SeatId, ShardSet};
use butaca::engine::time::WallMillis;
use butaca::limits::USER_INFO_BYTES;
use butaca::wire::message::{
    BroadcastUserInfo, Code, Reader, change_for_actor, change_for_members, current_selections, error, room_joined,
};
use divan::{Bencher, black_box};

const NOW: WallMillis = WallMillis(1_768_473_000_000);
const USER_INFO: &str = r#"{"name":"Ana García","email":"ana@example.org","session":"b7c1d2e3","balance":12.50}"#;

fn main() {
    divan::main();
}

fn texts() -> [(&'static str, String); 6] {
    let select = |user_info: &str| {
        format!(r#"{{"type":"select_seat","room_id":"hall-1","seat_id":"A-12","user_info":{user_info}}}"#)
    };
    let long = format!(r#"{{"name":"Ana","note":"{}"}}"#, "x".repeat(4_000));
    [
        ("ping", r#"{"type":"ping"}"#.to_owned()),
        ("join", r#"{"type":"join_room","room_id":"hall-1"}"#.to_owned()),
        ("select", select(USER_INFO)),
        ("select 4 KB", select(&long)),
        ("select 1e400", select(r#"{"name":"Ana","balance":1e400}"#)),
        ("not JSON", r#"{"type":"ping"#.to_owned()),
    ]
}

#[divan::bench(args = ["ping", "join", "select", "select 4 KB", "select 1e400", "not JSON"])]
fn read(bencher: Bencher<'_, '_>, name: &str) {
    let texts = texts();
    let text = &texts.iter().find(|text| text.0 == name).expect("a name of the list").1;
    let mut reader = Reader::new(USER_INFO_BYTES);
    let mut bytes = text.clone().into_bytes();
    bencher.bench_local(|| {
        // Reading rewrites the text, so each round begins with a fresh one; the copy is a few nanoseconds of it.
        bytes.copy_from_slice(text.as_bytes());
        black_box(reader.read(&mut bytes).is_ok())
    });
}

fn change() -> Change {
    Change {
        room: RoomId::new("hall-1").expect("valid"),
        seat: SeatId::new("A-12").expect("valid"),
        client: ClientId::new("client-4711").expect("valid"),
        seq: 123_456,
        epoch: Epoch(7),
        actor: None,
        audience: ShardSet::EMPTY,
        kind: ChangeKind::Selected { at: NOW, expires_at: NOW.after(300_000), user_info: USER_INFO.into() },
    }
}

fn write(bencher: Bencher<'_, '_>, mut message: impl FnMut(&mut Vec<u8>)) {
    let mut out = Vec::with_capacity(1 << 20);
    bencher.bench_local(|| {
        out.clear();
        message(&mut out);
        black_box(out.len())
    });
}

#[divan::bench]
fn write_joined(bencher: Bencher<'_, '_>) {
    write(bencher, |out| room_joined(out, "hall-1", "client-4711", 123_456, Epoch(7), NOW));
}

#[divan::bench]
fn write_selected_for_actor(bencher: Bencher<'_, '_>) {
    let change = change();
    write(bencher, |out| change_for_actor(out, &change));
}

#[divan::bench(args = [BroadcastUserInfo::Full, BroadcastUserInfo::Name, BroadcastUserInfo::None])]
fn write_selected_for_members(bencher: Bencher<'_, '_>, share: BroadcastUserInfo) {
    let change = change();
    write(bencher, |out| change_for_members(out, &change, share));
}

#[divan::bench]
fn write_refusal(bencher: Bencher<'_, '_>) {
    let text = "the seat is held by somebody else";
    write(bencher, |out| {
        error(out, Code::SeatTaken, text, NOW, Some("hall-1"), Some("A-12"), Some("select_seat"));
    });
}

#[divan::bench]
fn write_full_state_of_1000_seats(bencher: Bencher<'_, '_>) {
    let client = ClientId::new("client-4711").expect("valid");
    let seats: Vec<_> = (0..1_000).map(|seat| SeatId::new(&format!("A-{seat}")).expect("valid")).collect();
    let selection = |seat| Selection { client: &client, seat, user_info: USER_INFO, at: NOW, expires_at: NOW };
    write(bencher, |out| {
        current_selections(out, "hall-1", 9, Epoch(7), seats.iter().map(selection), BroadcastUserInfo::Full);
    });
}
