//! Order: of a connection's replies, of a room's events, whoever owns the room.

use crate::harness::client::{join, release, select, text_frame};
use crate::harness::{Client, Server, Watcher, room_on, unique};

const COMMANDS: usize = 2_000;

/// A client that lives on the shard that owns `home`.
fn settled(server: &Server, home: &str) -> Client {
    Client::join(server, "a", home)
}

/// 2,000 commands in one write: their replies come in their order, for a room that is owned where the connection lives
/// and for one that is owned elsewhere.
#[test]
fn pipelined_commands_are_answered_in_order() {
    for (shards, owner) in [(1, 0), (2, 0), (2, 1)] {
        let server = Server::start(&[("SHARDS", &shards.to_string()), ("MAX_SEATS_PER_CLIENT", "0")]);
        let mut client = settled(&server, &room_on(0, shards));
        let room = room_on(owner, shards);
        let commands: Vec<u8> =
            (0..COMMANDS).flat_map(|number| text_frame(&select(&room, &format!("S{number}")))).collect();
        client.write(&commands);
        for number in 0..COMMANDS {
            let reply = client.json();
            assert_eq!(reply["seat_id"], format!("S{number}"), "{reply}");
            assert_eq!(reply["seq"], number + 1, "{reply}");
        }
    }
}

/// Commands for rooms of both shards, pings, refusals and requests that are none, all in one write.
#[test]
fn replies_come_in_the_order_of_requests_whatever_they_need() {
    let server = Server::start(&[("SHARDS", "2"), ("MAX_SEATS_PER_CLIENT", "0")]);
    let rooms = [room_on(0, 2), room_on(1, 2)];
    let mut client = settled(&server, &rooms[0]);
    let mut commands = Vec::new();
    let mut expected = Vec::new();
    for number in 0..COMMANDS / 4 {
        let (here, elsewhere) = (&rooms[number / 3 % 2], &rooms[number % 2]);
        let seat = format!("S{number}");
        let (request, kind) = match number % 7 {
            0 => (r#"{"type":"ping"}"#.into(), "pong"),
            1 => ("nonsense".into(), "bad_json"),
            2 => (release(elsewhere, &seat), "not_held"),
            3 => (join(here), "room_joined"),
            4 => (format!(r#"{{"type":"leave_room","room_id":"{here}"}}"#), "room_left"),
            _ => (select(elsewhere, &seat), "seat_selected"),
        };
        commands.extend(text_frame(&request));
        expected.push((kind, seat));
    }
    client.write(&commands);
    for (kind, seat) in expected {
        let mut reply = client.json();
        while reply["type"] == "current_selections" {
            reply = client.json();
        }
        let found = reply["code"].as_str().or(reply["type"].as_str()).expect("a type");
        assert_eq!(found, kind, "for {seat}: {reply}");
        if reply["seat_id"].is_string() {
            assert_eq!(reply["seat_id"], seat, "{reply}");
        }
    }
}

/// Several writers and readers in several rooms of both shards at once: every member sees every room's events in order
/// and without a hole, nobody sees a seat with two holders, and all maps agree in the end.
fn under_load(settings: &[(&str, &str)], clients: usize, rooms: usize, rounds: usize) {
    // With room for everything: a member that gets no CPU for a while is not to be resynchronised here.
    let common = &[("MAX_SEATS_PER_CLIENT", "0"), ("OUTBOUND_QUEUE_BYTES", "8388608")];
    let server = Server::start(&[settings, common].concat());
    let rooms: Vec<String> = (0..rooms).map(|_| unique("room")).collect();
    let mut watchers: Vec<Watcher> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..clients)
            .map(|number| {
                scope.spawn({
                    let (server, rooms) = (&server, &rooms);
                    move || write(server, rooms, number, rounds)
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().expect("a writer failed")).collect()
    });
    for watcher in &mut watchers {
        for room in &rooms {
            watcher.catch_up(room);
            watcher.agrees(&server, room);
            assert!(watcher.rooms[room].events > 0 && watcher.rooms[room].resyncs <= 1, "{:?}", watcher.rooms[room]);
        }
    }
}

/// One client: joins all rooms, asks for seats that everybody wants, and checks what it sees.
fn write(server: &Server, rooms: &[String], number: usize, rounds: usize) -> Watcher {
    let names: Vec<&str> = rooms.iter().map(String::as_str).collect();
    let mut watcher = Watcher::join(server, &format!("c{number}"), &names);
    let mut sent = Vec::new();
    for round in 0..rounds {
        let room = &rooms[(round * 7 + number) % rooms.len()];
        let seat = format!("S{}", (round * 5 + number * 3) % 11);
        sent.extend(text_frame(&if round % 3 == 2 { release(room, &seat) } else { select(room, &seat) }));
        if round % 8 == 7 {
            sent.extend(text_frame(r#"{"type":"ping"}"#));
            watcher.client.write(&std::mem::take(&mut sent));
            while watcher.next()["type"] != "pong" {}
        }
    }
    for room in rooms {
        let last = format!("last of c{number}");
        watcher.client.select(room, &last);
        watcher.until("seat_selected", room, &last);
    }
    watcher
}

/// A room so big that a pass over it is cut into slices: what happens between two slices is due again after the pass,
/// and reaches those who only listen.
#[test]
fn what_happens_during_a_pass_reaches_everybody() {
    let server = Server::start(&[("SHARDS", "1"), ("MAX_SEATS_PER_CLIENT", "0")]);
    let mut members: Vec<Watcher> =
        (0..300).map(|number| Watcher::join(&server, &format!("m{number}"), &["r"])).collect();
    let mut actor = Client::connect(&server, "actor");
    let mut seq = 0;
    for _ in 0..20 {
        // One write for each event, so that they come while the room is being served.
        for _ in 0..20 {
            seq += 1;
            actor.select("r", &format!("S{seq}"));
        }
        (0..20).for_each(|_| assert_eq!(actor.json()["type"], "seat_selected"));
        members.iter_mut().for_each(|member| member.until_seq("r", seq));
    }
    assert!(members.iter().all(|member| member.rooms["r"].events == seq));
}

#[test]
fn members_agree_under_load_on_one_shard() {
    under_load(&[("SHARDS", "1")], 6, 3, 400);
}

#[test]
fn members_agree_under_load_on_two_shards() {
    under_load(&[("SHARDS", "2")], 6, 4, 400);
}

#[test]
fn members_of_a_hot_room_agree_under_load() {
    under_load(&[("SHARDS", "2"), ("HOT_ROOM_MEMBERS", "1")], 12, 1, 200);
}

/// With long pauses between passes several events share a send; the order stays.
#[test]
fn members_agree_when_passes_are_rare() {
    under_load(
        &[("SHARDS", "2"), ("HOT_ROOM_MEMBERS", "1"), ("PACE_FACTOR", "100"), ("PACE_MAX_MS", "100")],
        8,
        2,
        120,
    );
}
