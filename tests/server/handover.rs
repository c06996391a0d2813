//! Sockets on their way to the shard that owns their room, and what never crosses a core once they are there.

use butaca::engine::ids::shard_of;

use crate::harness::client::{frame, join, select, text_frame, upgrade};
use crate::harness::{Client, Got, Server, Watcher, at_once, eventually, room_on, unique};

/// Many connections, each with its upgrade, a ping, its join and commands for that room in one write: every reply
/// comes, in order, wherever the socket was accepted and wherever it goes.
#[test]
fn commands_behind_a_join_arrive_in_order() {
    let server = Server::start(&[("SHARDS", "2"), ("MAX_SEATS_PER_CLIENT", "0")]);
    for round in 0..10 {
        let mut clients: Vec<(Client, String)> = Vec::new();
        for number in 0..40 {
            let room = unique("room");
            let mut client = Client::unanswered(server.dial(), &format!("c{round}-{number}"));
            let mut bytes = upgrade(&client.id, "").into_bytes();
            bytes.extend(text_frame(r#"{"type":"ping"}"#));
            bytes.extend(text_frame(&join(&room)));
            (0..20).for_each(|seat| bytes.extend(text_frame(&select(&room, &format!("S{seat}")))));
            // Cut anywhere: the rest of a frame travels with its socket.
            let cut = bytes.len() - 7 * number;
            client.write(&bytes[..cut]);
            client.write(&bytes[cut..]);
            clients.push((client, room));
        }
        for (client, room) in &mut clients {
            client.upgraded();
            assert_eq!(client.json()["type"], "pong");
            assert_eq!((&client.json()["room_id"], room.as_str()), (&room.as_str().into(), room.as_str()));
            for seat in 0..20 {
                let reply = client.json();
                assert_eq!((&reply["seat_id"], &reply["seq"]), (&format!("S{seat}").into(), &(seat + 1).into()));
            }
        }
    }
    let handovers = (server.figure("handovers_out"), server.figure("handovers_in"));
    assert_eq!(handovers.0, handovers.1, "who leaves arrives");
    assert!((100..300).contains(&handovers.0), "about half of 400: {handovers:?}");
    // On a starved machine a shard may get no CPU for a second; a wake-up that is lost would be lost again and again.
    assert!(server.figure("watchdog_pokes") <= 3);
}

/// The tests choose rooms by their owner without asking the server's code.
#[test]
fn the_tests_know_who_owns_a_room() {
    for shards in [1, 2, 3, 64] {
        for number in 0..200 {
            let room = format!("sala {number} ñ");
            assert_eq!(kit::rooms::owner(&room, shards), shard_of(&room, shards).index(), "{room} of {shards}");
        }
    }
}

/// With `?room=` the socket is where it belongs before its first message; a hint that is none does no harm.
#[test]
fn a_hint_brings_the_socket_home() {
    let server = Server::start(&[("SHARDS", "2")]);
    let mut clients = Vec::new();
    for number in 0..24 {
        let room = room_on(number % 2, 2);
        let mut client = Client::connect_on(server.dial(), "a", &format!("?x=1&room={room}"));
        // The answer to a ping shows that it has arrived.
        client.send(r#"{"type":"ping"}"#);
        assert_eq!(client.json()["type"], "pong");
        clients.push((client, room));
    }
    let handovers = server.figure("handovers_in");
    assert!((2..23).contains(&handovers), "about half of 24: {handovers}");
    for (client, room) in &mut clients {
        client.enter(room);
    }
    assert_eq!(server.figure("handovers_in"), handovers, "nobody has to move again");
    for query in ["?room=", "?room=%00", "?room=%ff", "?rooms=x", "?"] {
        let mut client = Client::connect_on(server.dial(), "a", query);
        client.enter("r");
    }
    let mut spaced = Client::connect_on(server.dial(), "a", "?room=una+sala%20m%C3%A1s");
    spaced.enter("una sala más");
}

/// After the hand-over a small room's traffic crosses no core.
#[test]
fn a_small_room_stays_on_its_core() {
    let server = Server::start(&[("SHARDS", "2")]);
    for shard in 0..2 {
        let room = room_on(shard, 2);
        let mut members: Vec<Watcher> =
            (0..8).map(|number| Watcher::join(&server, &format!("m{number}"), &[&room])).collect();
        let before = server.figure("mesh_sent");
        for round in 0..50 {
            for number in 0..8 {
                members[number].client.select(&room, &format!("S{number}"));
                members[number].until("seat_selected", &room, &format!("S{number}"));
                members[number].client.release(&room, &format!("S{number}"));
                members[number].until("seat_released", &room, &format!("S{number}"));
            }
            members.iter_mut().for_each(|member| member.until_seq(&room, (round + 1) * 16));
        }
        let mail = server.figure("mesh_sent") - before;
        // Asking twice for the figures is a few questions and answers by mail.
        assert!(mail <= 8, "{mail} letters for 800 events of a small room");
        let row = &server.stats()["shards"][shard];
        assert!(row["commands"].as_u64() >= Some(800), "the owner decided: {row}");
    }
}

/// A socket in rooms of both shards is where its first room is, and a member of the others from there.
#[test]
fn a_socket_in_rooms_of_both_shards() {
    let server = Server::start(&[("SHARDS", "2")]);
    let rooms: Vec<String> = (0..6).map(|number| room_on(number % 2, 2)).collect();
    let names: Vec<&str> = rooms.iter().map(String::as_str).collect();
    let mut members: Vec<Watcher> =
        (0..4).map(|number| Watcher::join(&server, &format!("m{number}"), &names[number..number + 3])).collect();
    for round in 0..20 {
        for (number, member) in members.iter_mut().enumerate() {
            let room = names[number + round % 3];
            let seat = format!("S{round} of {number}");
            member.client.select(room, &seat);
            member.until("seat_selected", room, &seat);
            member.client.release(room, &seat);
            member.until("seat_released", room, &seat);
        }
    }
    for (number, member) in members.iter_mut().enumerate() {
        for room in &names[number..number + 3] {
            member.catch_up(room);
            member.agrees(&server, room);
            assert!(member.rooms[*room].seq > 0);
        }
    }
    assert!(server.figure("handovers_in") <= 4, "each moved once at most");
}

/// What another shard answers to somebody who has gone meanwhile reaches nobody else, though its slot is in use again.
#[test]
fn answers_for_who_has_gone_reach_nobody_else() {
    let server = Server::start(&[("SHARDS", "2"), ("MAX_SEATS_PER_CLIENT", "0")]);
    let (home, elsewhere) = (room_on(0, 2), room_on(1, 2));
    let commands: Vec<u8> = (0..800).flat_map(|seat| text_frame(&select(&elsewhere, &format!("S{seat}")))).collect();
    let hint = format!("?room={home}");
    for round in 0..100 {
        let mut gone = Client::connect_on(server.dial(), "gone", &hint);
        gone.write(&commands);
        // Nothing is unread, so that this is an ordinary end: the commands still count.
        drop(gone);
        let mut next: Vec<Client> =
            (0..3).map(|number| Client::connect_on(server.dial(), &format!("next {round} {number}"), &hint)).collect();
        for client in &mut next {
            client.send(r#"{"type":"ping"}"#);
            assert_eq!(client.json()["type"], "pong");
            let joined = client.enter(&elsewhere);
            assert_eq!(joined["client_id"], client.id.as_str());
        }
    }
    let left = || (server.get(&format!("/room/{elsewhere}/selections")).json()["count"] == 0).then_some(());
    eventually("who has gone holds nothing", left);
}

/// A connection whose socket is full when it joins a room of another shard: what it is owed begins within a frame. It
/// is served where it is, and when it is closed for what it sends next, that frame comes to its end before the close
/// frame.
#[test]
fn a_full_socket_stays_where_it_is() {
    // The kernel may find room after all: then it moves, as it should, and says nothing here.
    at_once([1, 2], |_| while full_socket_moves() {});
}

/// Whether it moved.
fn full_socket_moves() -> bool {
    // It reads nothing until the end, however long the machine takes to come there.
    let server = Server::start(&[("SHARDS", "2"), ("CLOSE_WITHIN_MS", "60000")]);
    let mut client = Client::connect(&server, "a");
    let pings = text_frame(r#"{"type":"ping"}"#).repeat(500);
    let mut sent = 0;
    eventually("its socket is full", || {
        client.write(&pings);
        sent += 500;
        // Each batch is answered, or queued, before the next one is sent.
        eventually("they are answered", || (server.figure("commands") >= sent).then_some(()));
        (server.figure("outbound_queue_bytes") > 0).then_some(())
    });
    let here = server.figures("commands").iter().position(|&count| count > 0).expect("it lives somewhere");
    client.send(&join(&room_on(1 - here, 2)));
    client.write(&frame(0x82, b"what no client may send"));
    eventually("it joins, and is closed for a binary frame", || {
        let stats = server.stats();
        (server.figure("commands") > sent && stats["active_rooms"] == 0).then_some(())
    });
    let has_moved = server.figure("handovers_out") > 0;
    let mut pongs = 0;
    let end = loop {
        match client.got() {
            Got::Text(text) if text.contains("pong") => pongs += 1,
            Got::Text(text) => assert!(text.contains("room_joined"), "{text}"),
            Got::Ping(_) => {}
            end => break end,
        }
    };
    assert!(matches!(end, Got::Close(Some(1003), _)), "{end:?}");
    assert!(pongs > 0 && pongs <= sent, "{pongs} of {sent}");
    has_moved
}
