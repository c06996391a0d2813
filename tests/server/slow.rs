//! Those who do not read: bounded, resynchronised, closed if need be, and never at the cost of others.

use rustix::net::sockopt::set_socket_recv_buffer_size;

use crate::harness::client::text_frame;
use crate::harness::{Client, Got, Server, Watcher, eventually};

/// Much for a reader that is only short of a CPU, and soon full for one that does not read.
const QUEUE: u64 = 512 * 1024;
/// Held seats whose full state is larger than anything that a test makes a member be behind: each counts as 200 bytes.
const SEATS: u64 = 4_000;
/// However starved the machine is, who does not read for the length of a test is not given up.
const PATIENT: &[(&str, &str)] = &[("PING_AFTER_MS", "60000"), ("PONG_WITHIN_MS", "60000")];
const SETTINGS: &[(&str, &str)] =
    &[("OUTBOUND_QUEUE_BYTES", "524288"), ("MAX_SEATS_PER_CLIENT", "0"), PATIENT[0], PATIENT[1]];
const VARIANTS: [&[(&str, &str)]; 3] =
    [&[("SHARDS", "1")], &[("SHARDS", "2")], &[("SHARDS", "2"), ("HOT_ROOM_MEMBERS", "1")]];

/// A member that reads nothing until it is asked to. Its kernel takes what it takes for any connection: a narrow window
/// would fill sooner, but reading through it takes minutes.
fn sleeper(server: &Server, id: &str, room: &str) -> Watcher {
    Watcher::join(server, id, &[room])
}

/// Twenty selects and releases with long names; every answer is read.
fn publish(actor: &mut Watcher, room: &str, round: u64) {
    let info = "x".repeat(3_000);
    let mut batch = Vec::new();
    for number in 0..20 {
        let seat = format!("S{}", (round * 20 + number) % 40);
        let select = format!(
            r#"{{"type":"select_seat","room_id":"{room}","seat_id":"{seat}","user_info":{{"name":"{info}"}}}}"#
        );
        batch.extend(text_frame(&select));
        batch.extend(text_frame(&crate::harness::client::release(room, &seat)));
    }
    actor.client.write(&batch);
    let mut released = 0;
    while released < 20 {
        let message = actor.next();
        released += u64::from(message["type"] == "seat_released");
    }
}

/// Selects and releases until the server has met a slow consumer `times` times; every answer is read.
fn flood(server: &Server, actor: &mut Watcher, room: &str, times: u64) {
    let mut round = 0;
    eventually("a slow consumer", || {
        publish(actor, room, round);
        round += 1;
        (server.figure("slow_consumers") >= times).then_some(())
    });
}

/// A slow member among fast ones: the fast ones miss nothing, what waits for the slow one is bounded, and once it reads
/// its map becomes right by a full state.
#[test]
fn a_slow_consumer_gets_a_full_state_and_the_fast_ones_everything() {
    for variant in VARIANTS {
        let server = Server::start(&[variant, SETTINGS].concat());
        let mut slow = sleeper(&server, "slow", "r");
        let mut fast: Vec<Watcher> =
            (0..3).map(|number| Watcher::join(&server, &format!("fast{number}"), &["r"])).collect();
        let mut actor = Watcher::join(&server, "actor", &["r"]);
        std::thread::scope(|scope| {
            for watcher in &mut fast {
                scope.spawn(|| watcher.until("seat_selected", "r", "the end"));
            }
            flood(&server, &mut actor, "r", 1);
            actor.client.select("r", "kept");
            actor.until("seat_selected", "r", "kept");
            actor.client.select("r", "the end");
            actor.until("seat_selected", "r", "the end");
        });
        let seq = actor.rooms["r"].seq;
        for watcher in &fast {
            assert_eq!((watcher.rooms["r"].events, watcher.rooms["r"].resyncs), (seq, 0), "{}", watcher.client.id);
        }
        let high_water = server.figures("outbound_queue_high_water").into_iter().max().expect("a shard");
        assert!(high_water <= QUEUE + 8 * 1024, "{high_water} bytes waited for one connection");
        slow.until_seq("r", seq);
        assert!(slow.rooms["r"].resyncs >= 1 && slow.rooms["r"].events < seq, "{:?}", slow.rooms["r"].events);
        slow.agrees(&server, "r");
        assert_eq!(server.figure("resyncs"), slow.rooms["r"].resyncs);
        // From here on it is a member like any other.
        actor.client.select("r", "later");
        slow.until("seat_selected", "r", "later");
        slow.client.select("r", "its own");
        slow.until("seat_selected", "r", "its own");
        slow.agrees(&server, "r");
    }
}

/// A room with so many held seats that a full state takes more than what a member is behind: it is sent on from the
/// log, misses nothing, and its own replies stand among the events where they belong.
#[test]
fn a_member_that_is_behind_reads_on_where_a_full_state_costs_more() {
    for variant in VARIANTS {
        let settings: &[(&str, &str)] = &[("OUTBOUND_QUEUE_BYTES", "4096"), ("MAX_SEATS_PER_CLIENT", "0")];
        let server = Server::start(&[variant, PATIENT, settings].concat());
        let mut actor = Watcher::join(&server, "actor", &["r"]);
        for number in 0..SEATS {
            actor.client.select("r", &format!("held {number}"));
            actor.until("seat_selected", "r", &format!("held {number}"));
        }
        let mut slow = sleeper(&server, "slow", "r");
        assert_eq!(slow.next()["type"], "current_selections");
        let mut round = 0;
        eventually("its socket is full", || {
            round += 1;
            publish(&mut actor, "r", round);
            (server.figure("outbound_queue_bytes") > 0).then_some(())
        });
        let mut asked = 0;
        eventually("it is behind by more than its queue", || {
            round += 1;
            publish(&mut actor, "r", round);
            // What it asks for while it is behind is answered in its place. More than these would wait themselves.
            if asked < 4 {
                asked += 1;
                slow.client.select("r", &format!("own {asked}"));
                slow.client.send(r#"{"type":"ping"}"#);
                actor.until("seat_selected", "r", &format!("own {asked}"));
            }
            (asked == 4 && server.figure("outbound_queue_bytes") > 200 * 1024).then_some(())
        });
        assert_eq!((server.figure("slow_consumers"), server.figure("resyncs")), (0, 0));
        let (mut own, mut pongs) = (0, 0);
        while pongs < asked {
            let message = slow.next();
            pongs += u64::from(message["type"] == "pong");
            if message["seat_id"].as_str().is_some_and(|seat| seat.starts_with("own ")) {
                own += 1;
                assert_eq!(message["seat_id"], format!("own {own}"));
                assert_eq!((pongs, message["user_info"].is_null()), (own - 1, true), "its own reply, in its order");
            }
        }
        slow.until_seq("r", actor.rooms["r"].seq);
        assert_eq!((own, slow.rooms["r"].resyncs), (asked, 1), "only what it got when it joined");
        slow.agrees(&server, "r");
        assert_eq!((server.figure("slow_consumers"), server.figure("resyncs")), (0, 0));
        eventually("nothing waits", || (server.figure("outbound_queue_bytes") == 0).then_some(()));
    }
}

/// A slow consumer that sleeps on is not closed, however long the room goes on, and its own replies are never dropped.
#[test]
fn a_sleeper_is_woken_to_one_full_state_and_all_its_replies() {
    let server = Server::start(&[SETTINGS, &[("SHARDS", "2")]].concat());
    let mut slow = sleeper(&server, "slow", "r");
    let mut actor = Watcher::join(&server, "actor", &["r"]);
    flood(&server, &mut actor, "r", 1);
    for number in 0..20 {
        slow.client.send(&format!(r#"{{"type":"leave_room","room_id":"other{number}"}}"#));
    }
    for _ in 0..200 {
        actor.client.select("r", "again");
        actor.until("seat_selected", "r", "again");
        actor.client.release("r", "again");
        actor.until("seat_released", "r", "again");
    }
    let mut left = 0;
    while left < 20 || slow.rooms["r"].resyncs == 0 {
        let message = slow.next();
        if message["type"] == "room_left" {
            assert_eq!(message["room_id"], format!("other{left}"));
            left += 1;
        }
    }
    slow.until_seq("r", actor.rooms["r"].seq);
    slow.agrees(&server, "r");
}

/// One that stops reading in the middle of its full state while the room goes on is closed with 4008: it gets the rest
/// of the frame that was begun, and no event behind a hole, before that close.
#[test]
fn a_consumer_too_slow_for_its_full_state_is_closed() {
    // However starved the machine is, there is time to read that rest.
    let patient: &[(&str, &str)] = &[("CLOSE_WITHIN_MS", "60000"), ("SLOW_CONSUMER_MS", "0"), ("SHARDS", "1")];
    let server = Server::start(&[SETTINGS, patient].concat());
    let info = "y".repeat(4_000);
    let mut holder = Client::connect(&server, "holder");
    for number in 0..2_000 {
        holder.send(&format!(
            r#"{{"type":"select_seat","room_id":"r","seat_id":"H{number}","user_info":{{"name":"{info}"}}}}"#
        ));
        assert_eq!(holder.json()["type"], "seat_selected");
    }
    let mut slow = Watcher::join(&server, "slow", &["r"]);
    assert_eq!(slow.next()["type"], "current_selections");
    set_socket_recv_buffer_size(&slow.client.stream, 4 * 1024).expect("a socket option");
    let mut actor = Watcher::join(&server, "actor", &["r"]);
    flood(&server, &mut actor, "r", 1);
    // It reads what is queued until its full state, eight megabytes, is on its way, and then stops.
    set_socket_recv_buffer_size(&slow.client.stream, 200 * 1024).expect("a socket option");
    loop {
        // What had come before it was asked for is no part of it.
        let has_something = slow.client.has_something();
        if server.figure("resyncs") > 0 {
            break;
        }
        if has_something {
            slow.next();
        }
    }
    flood(&server, &mut actor, "r", 2);
    let resyncs = slow.rooms["r"].resyncs;
    let end = loop {
        match slow.client.got() {
            Got::Text(text) => slow.follow(&serde_json::from_str(&text).expect("JSON")),
            other => break other,
        }
    };
    assert_eq!(end, Got::Close(Some(4008), "too slow".into()));
    assert_eq!(slow.client.got(), Got::End { reset: false });
    assert_eq!(slow.rooms["r"].resyncs, resyncs + 1, "the full state that was begun came to its end");
    actor.client.select("r", "after");
    actor.until("seat_selected", "r", "after");
}

/// Members that never read: those who read miss nothing, what waits is bounded, and nothing of it is left behind.
#[test]
fn members_that_never_read_delay_nobody() {
    for variant in VARIANTS {
        let server = Server::start(&[variant, SETTINGS].concat());
        let sleepers: Vec<Watcher> = (0..5).map(|number| sleeper(&server, &format!("slow{number}"), "r")).collect();
        let mut fast = Watcher::join(&server, "fast", &["r"]);
        let mut actor = Watcher::join(&server, "actor", &["r"]);
        std::thread::scope(|scope| {
            scope.spawn(|| fast.until("seat_selected", "r", "the end"));
            flood(&server, &mut actor, "r", 5);
            actor.client.select("r", "the end");
            actor.until("seat_selected", "r", "the end");
        });
        assert_eq!(fast.rooms["r"].seq, actor.rooms["r"].seq);
        assert!(server.figure("outbound_queue_bytes") <= 5 * (QUEUE + 8 * 1024));
        drop(sleepers);
        eventually("the sleepers are gone", || (server.figure("connections") <= 3).then_some(()));
        assert_eq!(server.figure("outbound_queue_bytes"), 0);
    }
}
