//! Coming and going in waves leaves nothing behind.

use std::time::Duration;

use crate::harness::client::{join, select, text_frame, upgrade};
use crate::harness::wait::{now, size};
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

/// The least that was resident while the server was left alone for two seconds: it collects when it is quiet, at most
/// once a second, and each question of ours would wake it.
pub(crate) fn resident_at_rest_kib(server: &Server) -> u64 {
    let began = now();
    let mut least = u64::MAX;
    while began.elapsed() < Duration::from_secs(2) {
        std::thread::park_timeout(Duration::from_millis(20));
        least = least.min(resident_kib(server));
    }
    least
}

#[test]
fn ten_waves_take_no_more_memory_than_the_first() {
    let count = size("CHURN_CONNECTIONS", 1_000);
    let shards = size("CHURN_SHARDS", 2).to_string();
    // The log of acts keeps what the waves did, up to its own bound: 0.6 MiB a wave, which is no leak.
    let settings =
        [("SHARDS", shards.as_str()), ("MAX_SEATS_PER_CLIENT", "0"), ("STATS_LIST_IDS", "0"), ("LOG_HOLDS", "0")];
    let server = Server::start(&settings);
    let start = resident_kib(&server);
    wave(&server, count);
    let first = resident_at_rest_kib(&server);
    let waves: Vec<u64> = (1..10)
        .map(|_| {
            wave(&server, count);
            resident_kib(&server)
        })
        .collect();
    let last = resident_at_rest_kib(&server);
    println!(
        "{count} connections a wave, {shards} shards: {start} KiB at the start, {first} at rest after the first wave, {waves:?} \
         right after the others, {last} at rest after the last"
    );
    // A starved server may come to rest later.
    eventually("it has given back what ten waves took", || (resident_kib(&server) * 10 <= first * 12).then_some(()));
}
