//! Attacks by the second protocol: maps, sessions, and what is remembered of rooms.
//!
//! Never here: judgement.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::time::Duration;

use super::attacks::Scene;
use super::sockets::Hostile;
use crate::harness::client::release;

/// Seats of the hall whose map is asked for.
const HALL_SEATS: u32 = 50_000;

fn open(scene: &Scene<'_>, id: &str, narrow: bool) -> Hostile {
    Hostile::open_with(scene.server, id, narrow, "?v=2")
}

pub(super) fn second(kind: &str, room: &str) -> String {
    format!(r#"{{"type":"{kind}","room_id":"{room}"}}"#)
}

fn hold(room: &str, seat: &str) -> String {
    format!(r#"{{"type":"select_seats","room_id":"{room}","seats":["{seat}"]}}"#)
}

/// Asks the API of the backend; the answer must be a good one.
fn put(scene: &Scene<'_>, path: &str, body: &str) {
    let mut api = scene.server.dial_api();
    api.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket option");
    let length = body.len();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    api.write_all(head.as_bytes()).and_then(|()| api.write_all(body.as_bytes())).expect("the API reads");
    let mut answer = Vec::new();
    api.read_to_end(&mut answer).expect("the API answers");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 20"), "{path}: {answer}");
}

/// A room with a hall of 50,000 seats.
pub(super) fn stadium(scene: &Scene<'_>) {
    let mut plan = String::from(r#"{"seats":["#);
    for seat in 0..HALL_SEATS {
        let (row, comma) = (seat / 25, if seat == 0 { "" } else { "," });
        write!(
            plan,
            r#"{comma}{{"id":"{seat}","section":"s","row":"{row}","number":1,"category":"c","x":0,"y":{row}}}"#
        )
        .expect("a String takes everything");
    }
    plan.push_str("]}");
    put(scene, "/v1/layouts/stadium", &plan);
    put(scene, "/v1/rooms/stadium", r#"{"layout":"stadium"}"#);
}

/// Each asks for the whole map of a moment of its own, and reads nothing.
pub(super) fn syncs(scene: &Scene<'_>) -> Vec<Hostile> {
    let mut actor = open(scene, "actor", false);
    let mut kept = Vec::new();
    for number in 0..scene.many(600, 60) {
        let mut socket = open(scene, &format!("s{number}"), true);
        actor.train([
            hold("stadium", &number.to_string()),
            second("release_seats", "stadium").replace('}', r#","all":true}"#),
        ]);
        actor.sip(64 * 1024);
        socket
            .train(std::iter::once(second("join_room", "stadium")).chain((0..200).map(|_| second("sync", "stadium"))));
        kept.push(socket);
    }
    kept.push(actor);
    kept
}

/// A few who join and leave all the time, while each map is another one.
pub(super) fn joins_and_leaves(scene: &Scene<'_>) -> Vec<Hostile> {
    let mut actor = open(scene, "actor", false);
    let mut sockets: Vec<Hostile> =
        (0..scene.many(20, 5)).map(|number| open(scene, &format!("d{number}"), false)).collect();
    let mut seat = 0;
    scene.for_a_while(|| {
        for socket in &mut sockets {
            seat = (seat + 1) % HALL_SEATS;
            actor.train([hold("stadium", &seat.to_string()), release("stadium", &seat.to_string())]);
            actor.sip(64 * 1024);
            socket.train((0..50).flat_map(|_| [second("join_room", "stadium"), second("leave_room", "stadium")]));
            socket.sip(256 * 1024);
        }
    });
    sockets.push(actor);
    sockets
}

/// Proofs that are none, each with as many rooms as may be named; and one session that is handed on from socket to
/// socket.
pub(super) fn resumes(scene: &Scene<'_>) -> Vec<Hostile> {
    let rooms: Vec<String> = (0..64).map(|room| format!(r#""{}{room}""#, "r".repeat(100))).collect();
    let resume =
        |token: &str| format!(r#"{{"type":"resume","session_token":"{token}","rooms":[{}]}}"#, rooms.join(","));
    let mut liars: Vec<Hostile> =
        (0..scene.many(20, 5)).map(|number| open(scene, &format!("l{number}"), true)).collect();
    let wrong = resume(&"A".repeat(100));
    let mut token: Option<String> = None;
    let mut chain = Vec::new();
    scene.for_a_while(|| {
        liars.iter_mut().for_each(|liar| _ = liar.train(std::iter::repeat_n(wrong.clone(), 50)));
        let mut next = open(scene, "chain", false);
        let hello = first_words(&mut next);
        let fresh =
            hello.split_once(r#""session_token":""#).and_then(|(_, rest)| Some(rest.split_once('"')?.0.to_owned()));
        match &token {
            Some(token) => _ = next.train([resume(token), hold("chain", "A")]),
            None => token = fresh,
        }
        next.drain();
        chain.push(next);
        if chain.len() > 50 {
            chain.remove(0);
        }
    });
    liars.append(&mut chain);
    liars
}

fn first_words(socket: &mut Hostile) -> String {
    socket.0.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket option");
    let mut bytes = [0; 2_048];
    let count = socket.0.read(&mut bytes).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

/// Changes in many rooms whose members stay, so that what has happened in each is remembered.
pub(super) fn histories(scene: &Scene<'_>) -> Vec<Hostile> {
    let mut sockets: Vec<Hostile> =
        (0..scene.many(60, 6)).map(|number| open(scene, &format!("h{number}"), false)).collect();
    let seat = "s".repeat(100);
    for (number, socket) in sockets.iter_mut().enumerate() {
        let room = format!("history {number}");
        socket.train([second("join_room", &room)]);
        for round in 0..scene.many(80, 8) {
            let changes = (0..50).flat_map(|seat_of_round| {
                let name = format!("{seat}{round} {seat_of_round}");
                [hold(&room, &name), release(&room, &name)]
            });
            socket.train(changes);
            socket.drain();
        }
    }
    sockets
}
