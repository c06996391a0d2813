//! Silence: pings, 4012, and the deadline of a handshake.

use crate::harness::client::frame;
use crate::harness::http::Http;
use crate::harness::{Client, Got, Server, at_once, room_on};

const SETTINGS: &[(&str, &str)] = &[("PING_AFTER_MS", "300"), ("PONG_WITHIN_MS", "400")];
/// For tests in which a client must answer in time, on however starved a machine.
const PATIENT: &[(&str, &str)] = &[("PING_AFTER_MS", "300"), ("PONG_WITHIN_MS", "4000")];

#[test]
fn a_silent_client_is_pinged_and_then_closed() {
    at_once(["1", "2"], |shards| {
        let server = Server::start(&[PATIENT, &[("SHARDS", shards)]].concat());
        let mut member = Client::connect(&server, "member");
        member.enter("r");
        let mut silent = Client::join(&server, "silent", "r");
        silent.select("r", "A1");
        assert_eq!(silent.json()["type"], "seat_selected");
        std::thread::scope(|scope| {
            // The member answers pings and so lives to see the end of the silent one.
            scope.spawn(|| {
                assert_eq!(member.json()["type"], "seat_selected");
                let released = member.json();
                assert_eq!((&released["type"], &released["reason"]), (&"seat_released".into(), &"disconnected".into()));
            });
            assert_eq!(silent.got(), Got::Ping(Vec::new()));
            silent.expect_close(4012);
        });
    });
}

#[test]
fn a_pong_or_any_message_keeps_a_client_alive() {
    let server = Server::start(&[PATIENT, &[("SHARDS", "2")]].concat());
    let mut pongs = Client::join(&server, "pongs", &room_on(0, 2));
    let mut speaks = Client::join(&server, "speaks", &room_on(1, 2));
    for _ in 0..4 {
        assert_eq!(pongs.got(), Got::Ping(Vec::new()));
        pongs.write(&frame(0x8a, b""));
        assert_eq!(speaks.got(), Got::Ping(Vec::new()));
        speaks.send(r#"{"type":"ping"}"#);
        assert_eq!(speaks.json()["type"], "pong");
    }
}

/// Pings come as often as asked for (a proxy's time-out may need that), however long a pong may take.
#[test]
fn pings_do_not_wait_for_the_end_of_a_long_pong_time() {
    let server = Server::start(&[("PING_AFTER_MS", "200"), ("PONG_WITHIN_MS", "60000"), ("SHARDS", "1")]);
    let mut client = Client::join(&server, "a", "r");
    for _ in 0..3 {
        assert_eq!(client.got(), Got::Ping(Vec::new()));
        client.write(&frame(0x8a, b""));
    }
}

/// A peer that vanished without a word while the server has bytes for it: closed all the same.
#[test]
fn a_vanished_peer_is_forgotten() {
    let server = Server::start(&[SETTINGS, &[("SHARDS", "1")]].concat());
    let silent = Client::join(&server, "silent", "r");
    crate::harness::eventually("the vanished one is forgotten", || (server.figure("connections") == 1).then_some(()));
    drop(silent);
}

/// Whoever has not sent a whole request head in time is closed, also when it sends a byte now and then.
#[test]
fn a_handshake_has_a_deadline() {
    let server = Server::start(&[("HANDSHAKE_MS", "1500"), ("SHARDS", "1")]);
    let mut idle = Http::new(server.dial());
    let stream = server.dial();
    let mut slow = Http::new(stream.try_clone().expect("a copy"));
    let writer = std::thread::spawn(move || {
        // Until the server hangs up: a byte of an endless head, then another.
        let mut stream = stream;
        let head = b"GET /health HTTP/1.1\r\nHost: test\r\nX: ".iter().chain(std::iter::repeat(&b'x'));
        let mut sent = 0;
        for byte in head {
            if std::io::Write::write_all(&mut stream, &[*byte]).is_err() {
                break;
            }
            sent += 1;
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        sent
    });
    assert!(idle.try_response(false).is_none(), "nothing is said to who says nothing");
    slow.expect_end();
    assert!(writer.join().expect("it ends") > 0);
    // A kept-alive connection has the same time for its next request.
    let mut kept = Http::new(server.dial());
    kept.send("GET /health HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(kept.response(false).status, 200);
    assert!(kept.try_response(false).is_none());
}
