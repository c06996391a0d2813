//! Floods on one connection with no bound of messages: a turn takes a bounded part of them, so that others get theirs.
//!
//! Counted in turns, since the time of a turn is the machine's: what one socket brings in a turn is at most
//! `FRAMES_PER_LOOK_MAX` frames and a few fillings of the scratch buffer.

use crate::harness::client::text_frame;
use crate::harness::{Client, Server};

/// Sends so many of one message, reads the answers, and returns how many turns the server took meanwhile. Somebody else
/// on the same shard is answered in between.
fn turns_for(text: &str, count: usize) -> u64 {
    let server = Server::start(&[("SHARDS", "1")]);
    let mut other = Client::join(&server, "other", "r");
    let mut client = Client::connect(&server, "flooder");
    let before = server.figure("turns");
    let bytes = text_frame(text);
    std::thread::scope(|scope| {
        let mut writer = client.stream.try_clone().expect("a socket has a second handle");
        scope.spawn(move || {
            for _ in 0..count {
                std::io::Write::write_all(&mut writer, &bytes).expect("the server reads");
            }
        });
        for _ in 0..count {
            client.text();
        }
        other.select("r", "A1");
        assert_eq!(other.json()["type"], "seat_selected");
    });
    server.figure("turns") - before
}

#[test]
fn a_turn_takes_a_part_of_a_flood() {
    let numbers = format!(r#"{{"type":"x","a":1e400,"b":[{}0]}}"#, "1e400,".repeat(10_000));
    let nested = format!(r#"{{"type":"x","a":{}"#, "[".repeat(60_000));
    for (text, count, a_turn) in [(&*numbers, 300, 12), (&*nested, 300, 12), (r#"{"type":"ping"}"#, 20_000, 64)] {
        let turns = turns_for(text, count);
        let least = (count / a_turn) as u64;
        assert!(turns >= least, "{turns} turns for {count} of {}, at least {least}", &text[..15]);
    }
}
