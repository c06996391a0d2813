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
        let mut client = Client::unanswered(server.dial(), &format!("c{number}"));
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
        (stats["active_connections"] == 1 && stats["active_rooms"] == 0 && stats["temporary_selections"] == 0)
            .then_some(())
    });
}

#[test]
fn ten_waves_take_no_more_memory_than_one_alone() {
    let count = size("CHURN_CONNECTIONS", 1_000);
    let shards = size("CHURN_SHARDS", 2).to_string();
    let server = Server::start(&[("SHARDS", &shards), ("MAX_SEATS_PER_CLIENT", "0"), ("STATS_LIST_IDS", "0")]);
    let start = resident_kib(&server);
    wave(&server, count);
    let first = resident_kib(&server);
    (1..10).for_each(|_| wave(&server, count));
    let last = resident_kib(&server);
    println!("{count} connections a wave: {start} KiB at the start, {first} after one wave, {last} after ten");
    assert!(last * 10 <= first * 12, "{first} KiB after one wave, {last} after ten");
}
