//! What a joined, silent connection takes of the process, at any number of them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::churn::resident_at_rest_kib;
use crate::harness::client::{join, text_frame, upgrade};
use crate::harness::wait::size;
use crate::harness::{Server, eventually};

/// Tables grow by steps, also those of the allocator: so much may be taken beside, whatever the number.
const STEPS_BYTES: u64 = 4 * 1024 * 1024;

/// The figure of `docs/OPERATIONS.md`, in bytes: what to plan with.
fn documented() -> u64 {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/OPERATIONS.md")).expect("the documents");
    let row = text.lines().find(|line| line.starts_with("| a joined, silent connection, process |"));
    let plan = row.and_then(|row| row.trim_end_matches(" |").rsplit("| ").next()).expect("it is documented");
    plan.split(" B").next().and_then(|text| text.replace(',', "").parse().ok()).expect("a number of bytes")
}

/// One more, twenty to a room. What it is told stays in its socket.
fn open(server: &Server, number: usize) -> TcpStream {
    let mut stream = server.dial_in_a_crowd(number);
    let text = [upgrade(&format!("c{number}"), "").into_bytes(), text_frame(&join(&format!("room-{}", number / 20)))];
    stream.write_all(&text.concat()).expect("the server reads");
    stream
}

/// Until it has been told that it has joined.
fn joined(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket option");
    let (mut got, mut bytes) = (Vec::new(), [0; 1_024]);
    while !got.windows(11).any(|window| window == b"room_joined") {
        let count = stream.read(&mut bytes).expect("it is answered");
        assert!(count > 0, "it hung up: {}", String::from_utf8_lossy(&got));
        got.extend_from_slice(&bytes[..count]);
    }
}

/// At several heights, since tables grow by steps and allocators keep what was freed.
#[test]
fn a_silent_connection_takes_what_is_documented_at_any_height_alone() {
    let most = size("IDLE_CONNECTIONS", 4_000);
    for shards in ["1", "2"] {
        let server = Server::start(&[("SHARDS", shards), ("STATS_LIST_IDS", "0"), ("PING_AFTER_MS", "60000")]);
        // What the first ones make a server keep is not theirs.
        let mut all: Vec<TcpStream> = (0..100).map(|number| open(&server, number)).collect();
        all.iter_mut().for_each(joined);
        let (before, first) = (resident_at_rest_kib(&server), all.len());
        let mut told = Vec::new();
        for quarter in 1..=4 {
            let height = first + most * quarter / 4;
            let come: Vec<TcpStream> = (all.len()..height).map(|number| open(&server, number)).collect();
            all.extend(come);
            all[first + most * (quarter - 1) / 4..].iter_mut().for_each(joined);
            eventually("all have come", || {
                (server.figure("connections") > u64::try_from(height).expect("small")).then_some(())
            });
            let grown = (resident_at_rest_kib(&server).saturating_sub(before)) * 1024;
            told.push((height - first, grown / u64::try_from(height - first).expect("small")));
        }
        println!("{shards} shards: connections and bytes of each: {told:?}");
        let most = |count: usize| documented() + STEPS_BYTES / u64::try_from(count).expect("small");
        assert!(told.iter().all(|&(count, bytes)| bytes <= most(count)), "{told:?}, documented: {}", documented());
    }
}
