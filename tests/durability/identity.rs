//! After a restart a hold goes back to its client, and a name alone is no proof of who that is.

use std::net::Ipv4Addr;

use crate::harness::{Client, Server};
use crate::home::{Home, kill, stop};

const OWN: Ipv4Addr = Ipv4Addr::LOCALHOST;
const STRANGE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn connect(server: &Server, from: Ipv4Addr, id: &str) -> Client {
    Client::connect_on(server.dial_from(from), id, "")
}

/// Joins, and reads the room's full state behind that.
fn enter(client: &mut Client, room: &str) {
    client.enter(room);
    assert_eq!(client.json()["type"], "current_selections");
}

/// What a release of the seat by this client is answered with.
fn release(client: &mut Client, seat: &str) -> String {
    client.release("hall", seat);
    let answer = client.json();
    answer["code"].as_str().or(answer["type"].as_str()).expect("a text").to_owned()
}

#[test]
fn a_name_from_elsewhere_gets_no_hold() {
    for (home, is_orderly) in
        [(Home::embedded("durable"), true), (Home::embedded("durable"), false), (Home::redis("durable"), true)]
    {
        let server = home.start();
        let mut ana = connect(&server, OWN, "ana");
        for seat in ["A1", "A2"] {
            ana.select("hall", seat);
            assert_eq!(ana.json()["type"], "seat_selected");
        }
        if is_orderly {
            stop(server)
        } else {
            kill(server)
        }
        let server = home.start();
        let mut stranger = connect(&server, STRANGE, "ana");
        enter(&mut stranger, "hall");
        assert_eq!(release(&mut stranger, "A1"), "not_owner", "orderly: {is_orderly}");
        let mut again = connect(&server, OWN, "ana");
        enter(&mut again, "hall");
        assert_eq!(release(&mut again, "A1"), "seat_released", "orderly: {is_orderly}");
    }
}

#[test]
fn by_name_alone_whoever_comes_first_has_it() {
    let mut home = Home::embedded("durable");
    home.set("RESTORE_BY", "client_id");
    let server = home.start();
    let mut ana = connect(&server, OWN, "ana");
    ana.select("hall", "A1");
    assert_eq!(ana.json()["type"], "seat_selected");
    stop(server);
    let server = home.start();
    let mut stranger = connect(&server, STRANGE, "ana");
    enter(&mut stranger, "hall");
    assert_eq!(release(&mut stranger, "A1"), "seat_released");
}

/// What `room_joined` told is a proof from anywhere, for its client alone.
#[test]
fn a_proof_gets_it_from_anywhere() {
    for rule in ["address", "proof"] {
        let mut home = Home::embedded("durable");
        home.set("RESTORE_BY", rule);
        let server = home.start();
        let mut ana = connect(&server, OWN, "ana");
        let resume = ana.enter("hall")["resume"].as_str().expect("a text").to_owned();
        ana.select("hall", "A1");
        assert_eq!(ana.json()["type"], "seat_selected");
        stop(server);
        let server = home.start();
        let rejoin = serde_json::json!({"type": "join_room", "room_id": "hall", "resume": resume}).to_string();
        let mut answers = Vec::new();
        for (from, id) in [(STRANGE, "eve"), (STRANGE, "ana")] {
            let mut client = connect(&server, from, id);
            client.send(&rejoin);
            let joined = client.json();
            assert_eq!(
                (&joined["type"], joined["resume"] == *resume),
                (&"room_joined".into(), id == "ana"),
                "{joined}"
            );
            assert_eq!(client.json()["type"], "current_selections");
            answers.push(release(&mut client, "A1"));
        }
        assert_eq!(answers, ["not_owner", "seat_released"], "{rule}");
    }
}

/// Where a proof is demanded an address is none.
#[test]
fn without_the_proof_that_is_demanded_a_hold_is_nobody_s() {
    let mut home = Home::embedded("durable");
    home.set("RESTORE_BY", "proof");
    let server = home.start();
    let mut ana = connect(&server, OWN, "ana");
    ana.select("hall", "A1");
    assert_eq!(ana.json()["type"], "seat_selected");
    stop(server);
    let server = home.start();
    let mut again = connect(&server, OWN, "ana");
    enter(&mut again, "hall");
    assert_eq!(release(&mut again, "A1"), "not_owner");
}
