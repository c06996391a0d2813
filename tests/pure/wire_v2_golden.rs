//! Every message of the second protocol as it stands on the wire, byte by byte: a change here is a change for clients.

use butaca::engine::command::{CartView, OrderView, SeatStatus};
use butaca::engine::ids::{Epoch, OrderId, SeatId};
use butaca::engine::time::WallMillis;
use butaca::wire::message::Code;
use butaca::wire::v2::map::{self, Place, map_of_seats, map_of_states};
use butaca::wire::v2::request::{RequestId, Written};
use butaca::wire::v2::write::{self, AuthState, CartChange, Hello, Joined, LayoutName, Refusal};

use crate::wire_golden::payload_of;

/// 2026-01-15T10:30:00.000Z
const NOW: WallMillis = WallMillis(1_768_473_000_000);
const EPOCH: Epoch = Epoch(0x5f0c_0000_0000_000a);
const ONE: Option<RequestId<'_>> = Some(RequestId::Number(1));
const EMPTY: &CartView = &CartView { seats: Vec::new(), expires_at: None, extends_left: 1, orders: Vec::new() };
const EMPTY_TEXT: &str = r#"{"seats":[],"expires_at":null,"extends_left":1,"orders":[]}"#;

fn check(expected: &str, write: impl FnOnce(&mut Vec<u8>)) {
    let mut out = b"what was there".to_vec();
    write(&mut out);
    let frame = out.strip_prefix(b"what was there").expect("a message is appended");
    let payload = payload_of(frame);
    assert_eq!(payload, expected);
    serde_json::from_str::<serde_json::Value>(payload).expect("it is JSON");
}

fn seats(names: &[&str]) -> Vec<SeatId> {
    names.iter().map(|name| SeatId::new(name).expect("a name")).collect()
}

#[test]
fn hello_comes_first() {
    let first = Hello {
        session_id: "Q2h",
        session_token: "tok",
        resumed: false,
        now: NOW,
        auth: AuthState::Off,
        grace_ms: 15_000,
        ping_ms: 25_000,
    };
    check(
        r#"{"type":"hello","session_id":"Q2h","session_token":"tok","resumed":false,"now":"2026-01-15T10:30:00.000Z","auth":"off","grace_ms":15000,"ping_ms":25000,"carts":[]}"#,
        |out| write::hello(out, None, &first, std::iter::empty()),
    );
    let again = Hello { resumed: true, auth: AuthState::Ok, ..first };
    let cart = &CartView { seats: seats(&["A1"]), expires_at: Some(NOW), ..EMPTY.clone() };
    check(
        r#"{"type":"hello","id":1,"session_id":"Q2h","session_token":"tok","resumed":true,"now":"2026-01-15T10:30:00.000Z","auth":"ok","grace_ms":15000,"ping_ms":25000,"carts":[{"room_id":"r","cart":{"seats":["A1"],"expires_at":"2026-01-15T10:30:00.000Z","extends_left":1,"orders":[]}},{"room_id":"\"s\"","cart":{"seats":[],"expires_at":null,"extends_left":1,"orders":[]}}]}"#,
        |out| write::hello(out, ONE, &again, [("r", cart), ("\"s\"", EMPTY)].into_iter()),
    );
    assert_eq!(AuthState::Required.as_str(), "required");
}

#[test]
fn joining_and_leaving() {
    let joined = Joined {
        room: "r",
        epoch: EPOCH,
        seq: 9001,
        now: NOW,
        layout: Some(LayoutName { id: "hall", version: "9f3a", seats: 50_000 }),
        sale: "open",
        hold_ms: 300_000,
        max_seats: 10,
        tick_ms: 100,
    };
    check(
        r#"{"type":"room_joined","id":1,"room_id":"r","epoch":"5f0c00000000000a","seq":9001,"now":"2026-01-15T10:30:00.000Z","layout":{"id":"hall","version":"9f3a","seats":50000},"sale":"open","hold_ms":300000,"max_seats":10,"tick_ms":100}"#,
        |out| write::room_joined(out, ONE, &joined),
    );
    check(
        r#"{"type":"room_joined","room_id":"r","epoch":"5f0c00000000000a","seq":9001,"now":"2026-01-15T10:30:00.000Z","layout":null,"sale":"open","hold_ms":300000,"max_seats":10,"tick_ms":100}"#,
        |out| write::room_joined(out, None, &Joined { layout: None, ..joined }),
    );
    check(r#"{"type":"room_left","id":"x\"","room_id":"r"}"#, |out| {
        write::room_left(out, Some(RequestId::Text("x\"")), "r");
    });
}

#[test]
fn a_map_whole() {
    // Seat 0 held, 1 booked, 2 blocked, 3 free, 4 held: two bits each, the first in the lowest.
    let states = map_of_states("r", (EPOCH, 9001), &[0b00_11_10_01, 0b01]);
    let cart = &CartView { seats: seats(&["A1"]), expires_at: Some(NOW.after(1)), ..EMPTY.clone() };
    check(
        r#"{"type":"snapshot","room_id":"r","epoch":"5f0c00000000000a","seq":9001,"states":"OQE=","cart":{"seats":["A1"],"expires_at":"2026-01-15T10:30:00.001Z","extends_left":1,"orders":[]}}"#,
        |out| map::snapshot(out, None, &states, cart),
    );
    let named = map_of_seats("r\\", (EPOCH, 7), [("A\"1", 1), ("B2", 3)].into_iter());
    check(
        &format!(
            r#"{{"type":"snapshot","id":-7,"room_id":"r\\","epoch":"5f0c00000000000a","seq":7,"seats":[["A\"1",1],["B2",3]],"cart":{EMPTY_TEXT}}}"#
        ),
        |out| map::snapshot(out, Some(RequestId::Digits("-7")), &named, EMPTY),
    );
    let free = map_of_seats("r", (EPOCH, 0), std::iter::empty());
    check(
        &format!(
            r#"{{"type":"snapshot","room_id":"r","epoch":"5f0c00000000000a","seq":0,"seats":[],"cart":{EMPTY_TEXT}}}"#
        ),
        |out| map::snapshot(out, None, &free, EMPTY),
    );
}

/// Half a stadium of 50,000 seats is told in 17 kB.
#[test]
fn a_stadium_fits() {
    let states = map_of_states("stadium", (EPOCH, 25_000), &[0b01_00_01_00; 12_500]);
    let mut out = Vec::new();
    map::snapshot(&mut out, None, &states, EMPTY);
    assert!(out.len() <= 17_000, "{}", out.len());
}

#[test]
fn what_has_changed_of_a_map() {
    check(
        r#"{"type":"delta","room_id":"r","epoch":"5f0c00000000000a","from":9002,"to":9031,"changes":[[118,0],[40321,1]]}"#,
        |out| {
            let changes = [(Place::Index(118), 0), (Place::Index(40_321), 1)];
            map::delta(out, "r", EPOCH, (9002, 9031), changes.into_iter());
        },
    );
    check(
        r#"{"type":"delta","room_id":"r","epoch":"5f0c00000000000a","from":2,"to":3,"changes":[["A\"1",2]]}"#,
        |out| map::delta(out, "r", EPOCH, (2, 3), [(Place::Name("A\"1"), 2)].into_iter()),
    );
    check(r#"{"type":"delta","room_id":"r","epoch":"5f0c00000000000a","from":4,"to":3,"changes":[]}"#, |out| {
        map::delta(out, "r", EPOCH, (4, 3), std::iter::empty());
    });
}

#[test]
fn a_cart_is_always_told_whole() {
    let (two, three) = (seats(&["A1", "A2"]), seats(&["A1", "A2", "B7"]));
    let cart = &CartView { seats: three.clone(), expires_at: Some(NOW), ..EMPTY.clone() };
    let text = r#"{"seats":["A1","A2","B7"],"expires_at":"2026-01-15T10:30:00.000Z","extends_left":1,"orders":[]}"#;
    check(
        &format!(r#"{{"type":"seats_held","id":1,"room_id":"r","seq":9032,"seats":["A1","A2"],"cart":{text}}}"#),
        |out| write::seats_held(out, ONE, ("r", 9032), &two, cart),
    );
    check(
        &format!(
            r#"{{"type":"seats_released","id":1,"room_id":"r","seq":9040,"seats":["A1","A2"],"cart":{EMPTY_TEXT}}}"#
        ),
        |out| write::seats_released(out, ONE, ("r", 9040), &two, EMPTY),
    );
    check(&format!(r#"{{"type":"hold_extended","id":1,"room_id":"r","cart":{text}}}"#), |out| {
        write::hold_extended(out, ONE, "r", cart);
    });
    check(&format!(r#"{{"type":"hold_expiring","room_id":"r","cart":{text},"left_ms":30000}}"#), |out| {
        write::hold_expiring(out, "r", cart, 30_000);
    });
    let order = |name, status, seats: &[SeatId], expires_at| {
        let order = OrderId::new(name).expect("a name");
        OrderView { order, status, seats: seats.to_vec(), expires_at }
    };
    let booked = order("o-8", SeatStatus::Booked, &three[2..], None);
    let orders = vec![order("o-77", SeatStatus::Checkout, &two, Some(NOW)), booked];
    check(
        r#"{"type":"cart","room_id":"r","seq":9050,"reason":"checkout","gone":["A1","A2"],"order":"o-77","cart":{"seats":[],"expires_at":null,"extends_left":1,"orders":[{"order":"o-77","status":"checkout","seats":["A1","A2"],"expires_at":"2026-01-15T10:30:00.000Z"},{"order":"o-8","status":"booked","seats":["B7"],"expires_at":null}]}}"#,
        |out| {
            let change = CartChange { reason: "checkout", gone: &two, order: Some("o-77") };
            write::cart_changed(out, ("r", 9050), &change, &CartView { orders, ..EMPTY.clone() });
        },
    );
    check(
        &format!(
            r#"{{"type":"cart","room_id":"r","seq":7,"reason":"other_connection","gone":[],"cart":{EMPTY_TEXT}}}"#
        ),
        |out| {
            let change = CartChange { reason: "other_connection", gone: &[], order: None };
            write::cart_changed(out, ("r", 7), &change, EMPTY);
        },
    );
}

#[test]
fn news_of_the_room_and_the_server() {
    check(r#"{"type":"room_state","room_id":"r","sale":"paused","message":"rain"}"#, |out| {
        write::room_state(out, "r", "paused", Some("rain"));
    });
    check(r#"{"type":"room_state","room_id":"r","sale":"open"}"#, |out| write::room_state(out, "r", "open", None));
    check(r#"{"type":"goaway","reason":"drain","reconnect_after_ms":[500,8000]}"#, |out| {
        write::goaway(out, "drain", (500, 8_000));
    });
    check(r#"{"type":"pong","id":1,"t":1.5e3,"now":"2026-01-15T10:30:00.000Z"}"#, |out| {
        write::pong(out, ONE, Some(Written::Number("1.5e3")), NOW);
    });
    check(r#"{"type":"pong","t":"x","now":"2026-01-15T10:30:00.000Z"}"#, |out| {
        write::pong(out, None, Some(Written::Text("x")), NOW);
    });
    check(r#"{"type":"pong","now":"2026-01-15T10:30:00.000Z"}"#, |out| write::pong(out, None, None, NOW));
    check(
        r#"{"type":"authenticated","id":1,"now":"2026-01-15T10:30:00.000Z","expires_at":"2026-01-15T10:30:01.000Z"}"#,
        |out| write::authenticated(out, ONE, NOW, NOW.after(1_000)),
    );
}

#[test]
fn a_refusal_says_what_it_knows() {
    let conflicts = [(SeatId::new("A1").expect("a name"), SeatStatus::Checkout)];
    check(
        r#"{"type":"error","id":2,"code":"seats_unavailable","message":"some of the seats are not free","request_type":"select_seats","room_id":"r","conflicts":[{"seat_id":"A1","state":1}],"retry_after_ms":0,"timestamp":"2026-01-15T10:30:00.000Z"}"#,
        |out| {
            let refusal = Refusal { conflicts: &conflicts, ..Refusal::of(Code::SeatsUnavailable) };
            let refusal = refusal.about(Some("select_seats"), Some("r"));
            write::error(out, Some(RequestId::Number(2)), &refusal, NOW);
        },
    );
    check(
        r#"{"type":"error","code":"rate_limited","message":"too many messages","retry_after_ms":20,"timestamp":"2026-01-15T10:30:00.000Z"}"#,
        |out| {
            let refusal = Refusal { retry_after_ms: 20, ..Refusal::of(Code::RateLimited) };
            write::error(out, None, &refusal, NOW);
        },
    );
    let alternatives = [seats(&["A1", "A2"]), seats(&["B1", "B2"])];
    check(
        r#"{"type":"error","code":"orphan_seat","message":"no","free":3,"largest_adjacent":2,"alternatives":[["A1","A2"],["B1","B2"]],"retry_after_ms":0,"timestamp":"2026-01-15T10:30:00.000Z"}"#,
        |out| {
            let refusal =
                Refusal { message: "no", free: Some(3), largest_adjacent: Some(2), ..Refusal::of(Code::OrphanSeat) };
            write::error(out, None, &Refusal { alternatives: &alternatives, ..refusal }, NOW);
        },
    );
}
