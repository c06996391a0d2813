//! Out of file descriptors: who is in stays, nothing spins, and it is over as soon as it is over.

use std::net::TcpStream;
use std::time::Duration;

use crate::harness::server::limited;
use crate::harness::wait::now;
use crate::harness::{Client, Server, Stopwatch, eventually};

/// Processor time that the process has used, in milliseconds.
fn processor_ms(server: &Server) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).expect("it runs");
    let (_, fields) = stat.rsplit_once(") ").expect("the name ends");
    let ticks =
        |index: usize| -> u64 { fields.split(' ').nth(index).and_then(|text| text.parse().ok()).expect("ticks") };
    // Fields 14 and 15, user and system time, in hundredths of a second.
    (ticks(11) + ticks(12)) * 10
}

fn open_files(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("it runs").count()
}

#[test]
fn out_of_files_nothing_breaks_and_nothing_spins() {
    for shards in ["1", "2"] {
        let server = Server::run(limited("ulimit -n 96", &[("SHARDS", shards)]));
        let mut clients: Vec<Client> =
            (0..10).map(|number| Client::join(&server, &format!("c{number}"), "r")).collect();
        let crowd: Vec<TcpStream> = (0..150).map(|_| server.dial()).collect();
        eventually("it has no file left", || (open_files(&server) >= 96).then_some(()));
        for (number, client) in clients.iter_mut().enumerate() {
            client.select("r", &format!("S{number}"));
        }
        for client in &mut clients {
            (0..10).for_each(|_| assert_eq!(client.json()["type"], "seat_selected"));
        }
        let (used, began) = (processor_ms(&server), now());
        while began.elapsed() < Duration::from_secs(1) {
            clients[0].send(r#"{"type":"ping"}"#);
            assert_eq!(clients[0].json()["type"], "pong");
            std::thread::park_timeout(Duration::from_millis(100));
        }
        let used = processor_ms(&server) - used;
        let elapsed = u64::try_from(began.elapsed().as_millis()).expect("small");
        assert!(used < elapsed * 3 / 10, "{used} ms of processor time in {elapsed} ms in which nothing happened");
        drop(crowd);
        let began = Stopwatch::start();
        // Until the server has noticed that the crowd has gone, it says that it is full.
        let mut again = Client::connect_when_free(&server, "again");
        again.enter("r");
        let took = began.elapsed();
        println!("{shards} shards: a place was free {took:?} after the crowd had gone");
        assert!(took < Duration::from_secs(1), "it recovered after {took:?}");
        clients[1].send(r#"{"type":"ping"}"#);
        assert_eq!(clients[1].json()["type"], "pong");
    }
}
