//! Coming and going in waves leaves nothing behind.

use crate::harness::client::{join, select, text_frame, upgrade};
use crate::harness::wait::size;
use crate::harness::{Client, Server, eventually};

fn resident_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a running process has one");
    line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number")
}

/// A wave: all connect, join one of fifty rooms, select a seat, and go, every third without a goodbye.
fn wave(server: &Server, count: usize) {
    let mut clients: Vec<Client> = Vec::with_capacity(count);
    for number in 0..count {
        let room = format!("room-{}", number % 50);
        let mut client = Client::unanswered(server.dial_in_a_crowd(number), &format!("c{number}"));
        let frames = [text_frame(&join(&room)), text_frame(&select(&room, &format!("S{number}")))].concat();
        client.write(&[upgrade(&client.id, "").into_bytes(), frames].concat());
        clients.push(client);
    }
    for client in &mut clients {
        client.upgraded();
        while client.json()["type"] != "room_joined" {}
    }
    eventually("all have come", || (server.figure("connections") > u64::try_from(count).expect("small")).then_some(()));
    for (number, client) in clients.iter_mut().enumerate() {
        if number % 3 == 0 {
            client.write(&crate::harness::client::frame(0x88, &1000_u16.to_be_bytes()));
        }
    }
    drop(clients);
    eventually("all have gone", || {
        let stats = server.stats();
        (stats["active_connections"] == 0 && stats["active_rooms"] == 0 && stats["temporary_selections"] == 0)
            .then_some(())
    });
}

/// What is freed must be gone, so the allocator is told to give it back at once: by itself it does so now and then, and what
/// is resident right after a wave is then chance by a third, up and down.
#[test]
fn ten_waves_take_no_more_memory_than_one_alone() {
    let count = size("CHURN_CONNECTIONS", 1_000);
    let shards = size("CHURN_SHARDS", 2).to_string();
    let lean = ("MIMALLOC_PURGE_DELAY", "0");
    let server = Server::start(&[("SHARDS", &shards), ("MAX_SEATS_PER_CLIENT", "0"), ("STATS_LIST_IDS", "0"), lean]);
    let start = resident_kib(&server);
    let waves: Vec<u64> = (0..10)
        .map(|_| {
            wave(&server, count);
            resident_kib(&server)
        })
        .collect();
    println!("{count} connections a wave, {shards} shards: {start} KiB at the start, after each wave {waves:?}");
    assert!(waves[9] * 10 <= waves[0] * 12, "{} KiB after one wave, {} after ten", waves[0], waves[9]);
}
