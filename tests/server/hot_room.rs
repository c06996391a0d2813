//! A room with many members: served by all shards, decided by one, and never a letter for each member.

use crate::harness::{Client, Server, Watcher, room_on};

const MEMBERS: usize = 100;

#[test]
fn a_hot_room_is_spread_over_the_shards() {
    let server = Server::start(&[("SHARDS", "2"), ("HOT_ROOM_MEMBERS", "8"), ("MAX_SEATS_PER_CLIENT", "0")]);
    for owner in 0..2 {
        let room = room_on(owner, 2);
        let mut members: Vec<Watcher> =
            (0..MEMBERS).map(|number| Watcher::join(&server, &format!("m{number}"), &[&room])).collect();
        let stats = server.stats();
        assert_eq!(stats["shards"][owner]["members"], MEMBERS, "the owner knows them all: {stats}");
        let here: Vec<u64> = server.figures("connections");
        // Which shard accepts is chance: on average 46 members are on the other one, with a deviation of 5.
        assert!(here.iter().all(|&count| count >= MEMBERS as u64 * 2 / 10), "members on both shards: {here:?}");

        let mut actor = Client::join(&server, "actor", &room);
        let (mail, deliveries) = (server.figure("mesh_sent"), server.figures("deliveries"));
        let events = 40;
        for number in 0..events {
            actor.select(&room, &format!("S{number}"));
            actor.json();
        }
        for member in &mut members {
            member.until_seq(&room, events);
            assert_eq!(member.rooms[&room].events, events);
        }
        // A command may cross, its news cross once; the two questions for the figures are four letters each.
        let mail = server.figure("mesh_sent") - mail;
        assert!(mail <= 2 * events + 8, "{mail} letters for {events} events and {MEMBERS} members");
        let now = server.figures("deliveries");
        let delivered: Vec<u64> = now.iter().zip(&deliveries).map(|(now, before)| now - before).collect();
        assert!(delivered.iter().all(|&count| count > events * 15), "both shards deliver: {delivered:?}");
        drop((members, actor));
        crate::harness::eventually("all are gone", || (server.figure("connections") == 1).then_some(()));
    }
}

/// Events that one turn of the owner decides go to another shard in one letter.
#[test]
fn a_batch_of_events_is_one_letter_a_shard() {
    let server = Server::start(&[("SHARDS", "2"), ("HOT_ROOM_MEMBERS", "1"), ("MAX_SEATS_PER_CLIENT", "0")]);
    let room = room_on(0, 2);
    // The first comer of a hot room stays wherever it was accepted: try until both shards have members.
    let mut members = Vec::new();
    while members.len() < 10 || server.figures("connections").iter().any(|&count| count < 3) {
        members.push(Watcher::join(&server, &format!("m{}", members.len()), &[&room]));
    }
    let mut actor = Client::connect_on(server.dial(), "actor", &format!("?room={room}"));
    actor.enter(&room);
    let before = server.figure("mesh_sent");
    let commands = 500;
    let batch: Vec<u8> = (0..commands)
        .flat_map(|number| {
            crate::harness::client::text_frame(&crate::harness::client::select(&room, &format!("S{number}")))
        })
        .collect();
    actor.write(&batch);
    (0..commands).for_each(|_| assert_eq!(actor.json()["type"], "seat_selected"));
    members.iter_mut().for_each(|member| member.until_seq(&room, commands));
    let mail = server.figure("mesh_sent") - before;
    // At the owner the whole batch is a few letters; from the other shard each command is one, its news are few.
    assert!(mail <= commands + commands / 4, "{mail} letters for {commands} events");
}

/// Who joins a room in which much happens shares an older full state with others, and gets what happened since behind
/// it.
#[test]
fn who_joins_a_busy_room_gets_a_state_and_what_happened_since() {
    for shards in ["1", "2"] {
        let server = Server::start(&[("SHARDS", shards), ("HOT_ROOM_MEMBERS", "4"), ("MAX_SEATS_PER_CLIENT", "0")]);
        let mut actor = Client::join(&server, "actor", "r");
        let mut act = |seat: String| {
            actor.select("r", &seat);
            actor.json()["seq"].as_u64().expect("a seq")
        };
        for number in 0..100 {
            act(format!("first {number}"));
        }
        let mut members: Vec<(u64, Watcher)> = Vec::new();
        for number in 0..60 {
            let before = act(format!("then {number}"));
            members.push((before, Watcher::join(&server, &format!("m{number}"), &["r"])));
        }
        let last = act("at last".to_owned());
        let mut shared = 0;
        for (before, member) in &mut members {
            member.until_seq("r", last);
            member.agrees(&server, "r");
            shared += usize::from(member.rooms["r"].events > last - *before);
        }
        assert!(shared > 0, "each of them got a full state of its own");
    }
}
