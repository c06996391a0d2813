//! What a server that breaks its promises says, and what is found.

use std::sync::Arc;

use super::Second;
use super::mine::Asked;
use crate::client::{Ask, Crowd};
use crate::names::{Hall, Names, Seat};
use crate::oracle::violation::Kind as Wrong;

const MS: u64 = 1_000_000;

/// One step of a client: what it asks for, or what it is told.
enum Step {
    Asks(u32, Ask, &'static [Seat]),
    Told(u32, &'static str),
    /// Its connection ends and it comes back.
    Drops(u32),
}
use Step::{Asks, Drops, Told};

const HELLO: &str =
    r#"{"type":"hello","session_id":"s","session_token":"t","resumed":false,"grace_ms":15000,"carts":[]}"#;
const EMPTY: &str = r#"{"seats":[],"expires_at":null,"extends_left":1,"orders":[]}"#;

/// A name stands for a cart with seats, `E` for an empty one, `J` and `M` for being a member with an empty map at
/// number 0.
fn text(line: &str) -> Vec<String> {
    let cart = |seats: &str| {
        format!(r#"{{"seats":[{seats}],"expires_at":"2099-01-01T00:00:00.000Z","extends_left":1,"orders":[]}}"#)
    };
    match line {
        "H" => vec![HELLO.to_owned()],
        "J" => vec![r#"{"type":"room_joined","id":1,"room_id":"tr0","epoch":"e","seq":0}"#.to_owned()],
        "M" => {
            vec![format!(r#"{{"type":"snapshot","room_id":"tr0","epoch":"e","seq":0,"states":"AAAA","cart":{EMPTY}}}"#)]
        }
        line => vec![
            line.replace("EMPTY", EMPTY)
                .replace("CART(A)", &cart(r#""1-1-1""#))
                .replace("CART(AB)", &cart(r#""1-1-1","1-1-2""#)),
        ],
    }
}

fn check(steps: &[Step], expected: Option<Wrong>) {
    let names = Arc::new(Names::new("t", 1, Hall { blocks: 1, rows: 1, row_seats: 9 }));
    let mut crowd = Crowd::new(Arc::clone(&names), vec![0, 0], &[0, 1]);
    crowd.second = Some(Box::new(Second::new(1, 2, 1_000)));
    let second = |crowd: &mut Crowd| crowd.second.take().expect("v2");
    for who in [0, 1] {
        for step in ["H", "J", "M"] {
            if step == "J" {
                ask(&mut crowd, who, Ask::Join, &[]);
            }
            text(step).iter().for_each(|text| _ = crowd.text(who, text.as_bytes(), 1_000 * MS));
        }
    }
    assert_eq!(crowd.oracle.findings.total(), 0, "{:?}", crowd.oracle.findings.told);
    for step in steps {
        match step {
            Asks(who, wish, seats) => ask(&mut crowd, *who, *wish, seats),
            Told(who, line) => {
                text(line).iter().for_each(|text| _ = crowd.text(*who, text.as_bytes(), 1_100 * MS));
            }
            Drops(who) => {
                let held = std::mem::take(&mut crowd.clients[*who as usize].held);
                let mut known = second(&mut crowd);
                let wall_ms = crowd.wall_ms(1_200 * MS);
                known.away(*who, &held, 1_200 * MS, None, wall_ms);
                crowd.second = Some(known);
                text("H").iter().for_each(|text| _ = crowd.text(*who, text.as_bytes(), 1_210 * MS));
            }
        }
    }
    for (seat, ..) in crowd.second.as_mut().expect("v2").holders[0].overlaps() {
        crowd.oracle.tell(Wrong::DoubleGrant, 0, Some(seat), String::new());
    }
    let found: Vec<Wrong> = crowd.oracle.findings.counts.keys().copied().collect();
    assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{:?}", crowd.oracle.findings.told);
}

fn ask(crowd: &mut Crowd, who: u32, ask: Ask, seats: &[Seat]) {
    let mine = &mut crowd.second.as_mut().expect("v2").mine[who as usize];
    mine.last_id += 1;
    let since = mine.seq();
    if ask == Ask::Join {
        mine.since = mine.at;
    }
    let (release, quantity) = (Vec::new(), crate::num::index32(seats.len()));
    mine.pending.push_back(Asked { id: mine.last_id, ask, seats: seats.to_vec(), release, quantity, due: 0, since });
}

const HELD: &str = r#"{"type":"seats_held","id":2,"room_id":"tr0","seq":2,"seats":["1-1-1","1-1-2"],"cart":CART(AB)}"#;
const DELTA: &str = r#"{"type":"delta","room_id":"tr0","epoch":"e","from":1,"to":2,"changes":[[0,1],[1,1]]}"#;

#[test]
fn an_honest_server_is_clean() {
    check(
        &[
            Asks(0, Ask::Select, &[0, 1]),
            Told(0, HELD),
            Told(1, DELTA),
            Told(0, DELTA),
            Asks(1, Ask::Select, &[1]),
            Told(
                1,
                r#"{"type":"error","id":2,"code":"seats_unavailable","request_type":"select_seats","conflicts":[{"seat_id":"1-1-2","state":1}]}"#,
            ),
            Drops(0),
            Asks(0, Ask::Resume, &[]),
            Told(
                0,
                r#"{"type":"hello","id":3,"session_id":"s","session_token":"u","resumed":true,"grace_ms":15000,"carts":[{"room_id":"tr0","cart":CART(AB)}]}"#,
            ),
            Asks(0, Ask::Join, &[]),
            Told(0, r#"{"type":"room_joined","id":4,"room_id":"tr0","epoch":"e","seq":2}"#),
            Told(0, r#"{"type":"delta","room_id":"tr0","epoch":"e","from":3,"to":2,"changes":[]}"#),
            Asks(0, Ask::Sync, &[]),
            Told(
                0,
                r#"{"type":"snapshot","id":5,"room_id":"tr0","epoch":"e","seq":2,"states":"BQAA","cart":CART(AB)}"#,
            ),
            Asks(0, Ask::ReleaseAll, &[]),
            Told(
                0,
                r#"{"type":"seats_released","id":6,"room_id":"tr0","seq":4,"seats":["1-1-1","1-1-2"],"cart":EMPTY}"#,
            ),
        ],
        None,
    );
}

#[test]
fn broken_promises_are_found() {
    let before = |more: Step| [Asks(0, Ask::Select, &[0, 1]), Told(0, HELD), Told(1, DELTA), Told(0, DELTA), more];
    let told: &[(u32, &'static str, Wrong)] = &[
        // A hole, other bytes for the same numbers, a snapshot that is not what deltas add up to.
        (1, r#"{"type":"delta","room_id":"tr0","epoch":"e","from":4,"to":5,"changes":[]}"#, Wrong::SilentGap),
        (
            0,
            r#"{"type":"snapshot","room_id":"tr0","epoch":"e","seq":2,"states":"FQAA","cart":CART(AB)}"#,
            Wrong::Diverged,
        ),
        (
            0,
            r#"{"type":"snapshot","room_id":"tr0","epoch":"e","seq":1,"states":"BQAA","cart":CART(AB)}"#,
            Wrong::OutOfOrder,
        ),
        // A map that is not its cart.
        (
            0,
            r#"{"type":"snapshot","room_id":"tr0","epoch":"e","seq":3,"states":"AQAA","cart":CART(AB)}"#,
            Wrong::WrongFullState,
        ),
        // Ends before its time, or although the connection is there.
        (
            0,
            r#"{"type":"cart","room_id":"tr0","seq":4,"reason":"expired","gone":["1-1-1","1-1-2"],"cart":EMPTY}"#,
            Wrong::EarlyExpiry,
        ),
        (
            0,
            r#"{"type":"cart","room_id":"tr0","seq":4,"reason":"disconnected","gone":["1-1-1","1-1-2"],"cart":EMPTY}"#,
            Wrong::ReleasedWhileConnected,
        ),
        // Answers to nothing, words of v1, rooms of others.
        (
            0,
            r#"{"type":"seats_held","id":9,"room_id":"tr0","seq":3,"seats":["1-1-3"],"cart":CART(A)}"#,
            Wrong::WrongReply,
        ),
        (0, r#"{"type":"error","id":9,"code":"seats_unavailable"}"#, Wrong::WrongReply),
        (1, r#"{"type":"seat_selected","room_id":"tr0","seat_id":"1-1-1","seq":3}"#, Wrong::UnknownFrame),
        (1, r#"{"type":"room_state","room_id":"other","sale":"open"}"#, Wrong::Uninvited),
    ];
    for (who, line, wrong) in told {
        check(&before(Told(*who, line)), Some(*wrong));
    }
}

#[test]
fn broken_promises_about_carts_are_found() {
    // Somebody else has a seat of the cart; the first one is told of it again afterwards.
    check(
        &[
            Asks(0, Ask::Select, &[0, 1]),
            Told(0, HELD),
            Asks(1, Ask::Select, &[0]),
            Told(1, r#"{"type":"seats_held","id":2,"room_id":"tr0","seq":3,"seats":["1-1-1"],"cart":CART(A)}"#),
            Asks(0, Ask::Select, &[1]),
            Told(0, r#"{"type":"seats_held","id":3,"room_id":"tr0","seq":4,"seats":["1-1-2"],"cart":CART(AB)}"#),
        ],
        Some(Wrong::DoubleGrant),
    );
    // Half of what was asked for; a cart that was lost within the grace; a refusal that cannot be.
    check(
        &[
            Asks(0, Ask::Select, &[0, 1]),
            Told(0, r#"{"type":"seats_held","id":2,"room_id":"tr0","seq":1,"seats":["1-1-1"],"cart":CART(A)}"#),
        ],
        Some(Wrong::WrongReply),
    );
    check(
        &[
            Asks(0, Ask::Select, &[0, 1]),
            Told(0, HELD),
            Drops(0),
            Asks(0, Ask::Resume, &[]),
            Told(
                0,
                r#"{"type":"hello","id":3,"session_id":"s","session_token":"u","resumed":true,"carts":[{"room_id":"tr0","cart":CART(A)}]}"#,
            ),
        ],
        Some(Wrong::LostAcknowledgement),
    );
    for line in [
        r#"{"type":"error","id":2,"code":"limit_exceeded","request_type":"select_seats"}"#,
        r#"{"type":"error","id":2,"code":"seats_unavailable","conflicts":[]}"#,
        r#"{"type":"error","id":2,"code":"not_held"}"#,
    ] {
        check(&[Asks(0, Ask::Select, &[0]), Told(0, line)], Some(Wrong::FalseRefusal));
    }
}
