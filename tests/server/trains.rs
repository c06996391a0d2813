//! Long trains of requests on one connection: nothing that counts them runs over, whatever their answers wait for.

use crate::harness::train::Train;
use crate::harness::{Client, Server, room_on, unique};

/// Requests of a train: more than any counter of a connection holds in one byte, or a store commits at once.
const TRAIN: usize = 1_000;

/// A server that keeps its holds like this, and the folder that it keeps them in.
fn server(durability: &str, shards: &str) -> (Server, tempfile::TempDir) {
    with(durability, shards, &[])
}

/// The same without a limit of seats.
fn unlimited(durability: &str, shards: &str) -> (Server, tempfile::TempDir) {
    with(durability, shards, &[("MAX_SEATS_PER_CLIENT", "0")])
}

fn with(durability: &str, shards: &str, more: &[(&str, &str)]) -> (Server, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data").display().to_string();
    let stored = [("STORE", "embedded"), ("DURABILITY", durability), ("DATA_DIR", data.as_str()), ("SHARDS", shards)];
    let settings: &[(&str, &str)] = if durability == "memory" { &[("SHARDS", shards)] } else { &stored };
    (Server::start(&[settings, more].concat()), dir)
}

fn join(room: &str) -> String {
    format!(r#"{{"type":"join_room","room_id":"{room}"}}"#)
}

fn select(room: &str, seat: &str) -> String {
    format!(r#"{{"type":"select_seat","room_id":"{room}","seat_id":"{seat}"}}"#)
}

/// Joins of a room that wait behind a select of it, until the store has that in durable mode, and behind it joins of
/// many rooms: each is answered once, and the server goes on.
#[test]
fn joins_behind_a_select() {
    for durability in ["memory", "window", "durable"] {
        for shards in ["1", "2"] {
            let (server, _dir) = server(durability, shards);
            let mut client = Client::join(&server, "a", "r");
            let mut train = vec![select("r", "A1")];
            train.extend(std::iter::repeat_n(join("r"), TRAIN));
            train.extend((0..TRAIN).map(|number| join(&format!("r{number}"))));
            let bytes: Vec<u8> = train.iter().flat_map(|text| crate::harness::client::text_frame(text)).collect();
            client.write(&bytes);
            let (mut joined, mut refused) = (0, 0);
            while joined + refused < 2 * TRAIN {
                let got = client.json();
                match got["type"].as_str() {
                    Some("room_joined") => joined += 1,
                    Some("error") if got["code"] == "overloaded" => refused += 1,
                    Some("seat_selected" | "current_selections") => {}
                    _ => panic!("{got}"),
                }
            }
            assert!(joined > 0 && refused > 0, "{joined} joined, {refused} refused");
            let mut other = Client::join(&server, "b", "s");
            other.select("s", "B1");
            assert_eq!(other.json()["type"], "seat_selected", "{durability}, {shards} shards");
        }
    }
}

/// Everything that a client can ask, mixed, in rooms of both shards: replies come in the order of the requests, however
/// long each has to wait for a store or for another shard.
#[test]
fn replies_come_in_the_order_of_requests() {
    for durability in ["memory", "window", "durable"] {
        for shards in ["1", "2"] {
            let (server, _dir) = unlimited(durability, shards);
            for seed in 0..3 {
                let rooms = [room_on(0, 2), room_on(1, 2), room_on(0, 2), unique("r")];
                let mut client = Client::connect(&server, "a");
                Train::new(seed, &rooms, 400).run(&mut client, &format!("{durability}, {shards} shards, seed {seed}"));
            }
        }
    }
}
