//! Nodes that die, stand still and end, and a Redis that goes away.

use std::time::Duration;

use kit::client::{Client, Got};
use kit::eventually;
use kit::wait::now;
use rustix::process::Signal;

use crate::fan::Fan;
use crate::nodes::{Cluster, LEASE_MS, PARTS, rooms};

/// What a room may be without an owner beyond the lease, on a machine that does other things, too.
const SLACK_MS: u64 = 6_000;

/// A node dies: its rooms are back within a lease, with what was held; who was connected to another one keeps its own.
#[test]
fn a_node_that_dies_takes_nothing_along() {
    let cluster = Cluster::new(&[("DURABILITY", "durable")]);
    let [a, b] = cluster.nodes(["a", "b"]);
    let rooms = rooms();
    let mut ana = Fan::join(&a, "ana", &rooms);
    let mut ben = Fan::join(&b, "ben", &rooms);
    for room in &rooms {
        assert_eq!(ana.select(room, "A1"), "seat_selected");
        assert_eq!(ben.select(room, "B1"), "seat_selected");
        ben.until_held(room, "A1", Some("ana"));
    }
    let resume = ana.resume.clone().expect("it may come back");
    a.signal(Signal::KILL);
    let began = now();
    for room in &rooms {
        assert_eq!(ben.select(room, "A1"), "seat_taken", "{room} is as it was");
        assert_eq!(ben.select(room, "B2"), "seat_selected", "{room} sells on");
    }
    assert!(began.elapsed() < Duration::from_millis(LEASE_MS + SLACK_MS), "{:?}", began.elapsed());
    for room in &rooms {
        assert_eq!(ben.release(room, "B1"), "seat_released", "what ben holds in {room} is his");
    }
    // Ana comes back, to the other node, and has what she had.
    let mut again = Client::connect(&b, "ana");
    for room in &rooms {
        again.send(&format!(r#"{{"type":"join_room","room_id":"{room}","resume":"{resume}"}}"#));
        // In a room of the node that lives, her connection is waited for until that node takes the other one for dead.
        eventually("what she held is hers", || {
            again.release(room, "A1");
            loop {
                let message = again.json();
                if message["room_id"] == room.as_str() && message["seat_id"] == "A1" {
                    break (message["type"] == "seat_released").then_some(());
                }
            }
        });
    }
}

/// A node that is told to end hands its rooms over: nobody of the other node sees it.
#[test]
fn a_node_that_ends_is_not_noticed() {
    let cluster = Cluster::new(&[]);
    let [a, b] = cluster.nodes(["a", "b"]);
    let rooms = rooms();
    let mut ben = Fan::join(&b, "ben", &rooms);
    for room in &rooms {
        assert_eq!(ben.select(room, "A1"), "seat_selected");
    }
    let mut ana = Client::connect(&a, "ana");
    a.signal(Signal::TERM);
    let mut slowest = Duration::ZERO;
    for round in 0..3 {
        for room in &rooms {
            let began = now();
            assert_eq!(ben.select(room, &format!("B{round}")), "seat_selected", "{room}");
            slowest = slowest.max(began.elapsed());
        }
    }
    let end = loop {
        match ana.got() {
            Got::Text(_) => {}
            other => break other,
        }
    };
    assert!(matches!(end, Got::Close(Some(1001), _)), "{end:?}");
    let (status, log) = a.ended();
    assert!(status.success(), "{log}");
    for room in &rooms {
        assert_eq!(ben.select(room, "C1"), "seat_selected", "{room}");
        assert_eq!(ben.rooms[room].shown, 0, "{room} was shown anew");
        assert_eq!(ben.release(room, "A1"), "seat_released");
    }
    assert!(slowest < Duration::from_millis(1_000 + SLACK_MS), "{slowest:?}");
    eventually("the other one has all", || (cluster.parts_of("b") == PARTS).then_some(()));
}

/// A node that stood still for longer than its lease has lost its rooms, and sells nothing twice when it goes on.
#[test]
fn a_node_that_stands_still_is_deposed() {
    let cluster = Cluster::new(&[("DURABILITY", "durable")]);
    let [a, b] = cluster.nodes(["a", "b"]);
    let rooms = rooms();
    let mut ana = Fan::join(&a, "ana", &rooms);
    let mut ben = Fan::join(&b, "ben", &rooms);
    a.signal(Signal::STOP);
    for room in &rooms {
        assert_eq!(ben.select(room, "A1"), "seat_selected", "{room}");
        // What was asked of the node that stands still comes to it when it goes on.
        ana.client.select(room, "A1");
    }
    a.signal(Signal::CONT);
    let mut answers = 0;
    while answers < rooms.len() || rooms.iter().any(|room| ana.rooms[room].held.get("A1").is_none_or(|by| by != "ben"))
    {
        let message = ana.next();
        if message["type"] == "error" {
            // It may have waited too long for somebody who decides.
            assert!(message["code"] == "seat_taken" || message["code"] == "persistence_unavailable", "{message}");
            answers += 1;
        }
    }
}
