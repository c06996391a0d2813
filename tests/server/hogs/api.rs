//! Attacks on the API of the backend: bodies that do not end, plans that are dear to read, readers that do not read.
//!
//! Never here: judgement.

use super::attacks::Scene;
use super::sockets::Hostile;
use crate::harness::Server;

fn dial(scene: &Scene<'_>, narrow: bool) -> Hostile {
    Hostile::dial_to(scene.server.api.expect("the API is on"), narrow)
}

fn head(line: &str, length: usize) -> String {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n")
}

/// Half a body each, and the other half never comes.
pub(super) fn half_bodies(scene: &Scene<'_>) -> Vec<Hostile> {
    let half = vec![b'['; 500_000];
    let one = |number| {
        let mut socket = dial(scene, false);
        let _ = socket.push(head(&format!("POST /v1/rooms/{number}/block"), 1_000_000).as_bytes());
        socket.push(&half);
        socket
    };
    (0..scene.many(600, 8)).map(one).collect()
}

/// The longest plans, full of what takes more memory read than written, and of what is none; several at once.
pub(super) fn plans(scene: &Scene<'_>) -> Vec<Hostile> {
    let len = scene.many(32 * 1024 * 1024, 128 * 1024);
    let fill = |begin: &str, again: &str| {
        let mut body = begin.to_owned();
        while body.len() + again.len() + 8 < len {
            body.push_str(again);
        }
        body
    };
    let bodies = [
        fill(r#"{"seats":[],"rows":[["","#, r#""","#) + r#"""]]}"#,
        fill(r#"{"seats":[],"shapes":["#, r#"{"kind":"line","points":[]},"#) + "0]}",
        fill(r#"{"seats":["#, r#"{"id":"","section":"","row":"","number":1,"category":"","x":0,"y":0},"#) + "0]}",
        fill(r#"{"categories":["#, r#"{"id":"","name":""},"#) + "0]}",
        fill(r#"{"zones":["#, r#"{"rows":[]},"#) + "0]}",
        fill(r#"{"seats":"#, "[") + "0",
    ];
    for round in 0..scene.many(6, 2) {
        let ask = |(number, body): (usize, &String)| {
            let format = if (number + round) % 2 == 0 { "" } else { "?format=pretix" };
            let mut socket = dial(scene, false);
            socket.send_whole(head(&format!("PUT /v1/layouts/l{number}{format}"), body.len()).as_bytes());
            socket.send_whole(body.as_bytes());
            socket
        };
        let mut all: Vec<Hostile> = bodies.iter().enumerate().map(ask).collect();
        all.iter_mut().for_each(Hostile::first_byte);
    }
    Vec::new()
}

/// Everybody waits for events, in both ways, and reads none; somebody makes them.
pub(super) fn readers(scene: &Scene<'_>) -> Vec<Hostile> {
    let ask = |number: usize| {
        let mut socket = dial(scene, true);
        let (query, accept) = if number.is_multiple_of(2) { ("?wait_s=30", "*/*") } else { ("", "text/event-stream") };
        let text = format!("GET /v1/events{query} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n");
        socket.push(text.as_bytes());
        socket
    };
    let mut kept: Vec<Hostile> = (0..scene.many(1_000, 60)).map(ask).collect();
    let mut maker = dial(scene, false);
    let mut round = 0;
    scene.for_a_while(|| {
        let seats: Vec<String> = (0..200).map(|seat| format!(r#""{seat}""#)).collect();
        let body = format!(r#"{{"seats":[{}],"label":"{round}"}}"#, seats.join(","));
        let line = if round % 2 == 0 { "POST /v1/rooms/read/block" } else { "POST /v1/rooms/read/unblock" };
        round += 1;
        socket_asks(&mut maker, line, &body);
    });
    kept.push(maker);
    kept
}

fn socket_asks(socket: &mut Hostile, line: &str, body: &str) {
    socket.push(head(line, body.len()).as_bytes());
    socket.push(body.as_bytes());
    socket.sip(64 * 1024);
}

/// Long answers, again and again, of which nobody reads a byte.
pub(super) fn unread(scene: &Scene<'_>) -> Vec<Hostile> {
    let ask = |_| {
        let mut socket = dial(scene, true);
        let text = "GET /v1/rooms/stadium/seats?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20);
        socket.push(text.as_bytes());
        socket
    };
    (0..scene.many(900, 60)).map(ask).collect()
}

/// Half a head each, more than there are places.
pub(super) fn half_heads(scene: &Scene<'_>) -> Vec<Hostile> {
    let ask = |_| {
        let mut socket = dial(scene, false);
        socket.push(b"GET /health HTTP/1.1\r\nHost:");
        socket
    };
    let kept = (0..scene.many(1_100, 60)).map(ask).collect();
    assert_answers(scene.server);
    kept
}

/// Whoever comes now is answered.
fn assert_answers(server: &Server) {
    let mut http = crate::harness::http::Http::new(server.dial_api());
    let answer = http.ask("GET /v1/rooms HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(answer.map(|answer| answer.status), Some(200), "the backend is locked out");
}
