//! A restart in the middle of a sale.

use serde_json::Value;

use crate::harness::wait::{parse_time, wall_ms};
use crate::harness::{Client, at_once, eventually};
use crate::home::{Home, held, kill, stop};

fn pair(seat: &str, client: &str) -> (String, String) {
    (seat.into(), client.into())
}

/// Selects a seat and returns the answer.
fn select(client: &mut Client, seat: &str) -> Value {
    client.select("show", seat);
    let answer = client.json();
    assert_eq!(answer["type"], "seat_selected", "{answer}");
    answer
}

#[test]
fn an_orderly_restart_keeps_holds_and_their_deadlines() {
    at_once(Home::all(), |home| {
        let server = home.start();
        let mut ana = Client::join(&server, "ana", "show");
        let before = select(&mut ana, "A1");
        select(&mut ana, "A2");
        ana.release("show", "A2");
        assert_eq!(ana.json()["type"], "seat_released");
        stop(server);
        let server = home.start();
        assert_eq!(held(&server, "show"), [pair("A1", "ana")], "holds are not released by the end of the server");
        let mut ana = Client::connect(&server, "ana");
        ana.send(r#"{"type":"join_room","room_id":"show"}"#);
        let joined = ana.json();
        assert_eq!(joined["type"], "room_joined");
        let state = ana.json();
        let deadline = |value: &Value| parse_time(value["expires_at"].as_str().expect("a time"));
        assert!(deadline(&state["selections"][0]).abs_diff(deadline(&before)) <= 1, "{state} {before}");
        // The hold is hers again: she can release it.
        ana.release("show", "A1");
        assert_eq!(ana.json()["type"], "seat_released");
        assert!(held(&server, "show").is_empty());
    });
}

#[test]
fn what_nobody_adopts_is_released_and_announced() {
    at_once([Home::embedded("window"), Home::redis("durable")], |mut home| {
        // Time enough to join on a starved machine.
        home.set("RESTORE_GRACE_MS", "6000");
        let server = home.start();
        let mut ana = Client::join(&server, "ana", "show");
        let mut eve = Client::join(&server, "eve", "show");
        select(&mut ana, "A1");
        eve.json();
        select(&mut eve, "B1");
        stop(server);
        let server = home.start();
        let mut ana = Client::connect(&server, "ana");
        ana.send(r#"{"type":"join_room","room_id":"show"}"#);
        assert_eq!((&ana.json()["type"], &ana.json()["type"]), (&"room_joined".into(), &"current_selections".into()));
        // Somebody else of the same name comes too late: the hold has an owner.
        let mut other = Client::connect(&server, "ana");
        other.send(r#"{"type":"join_room","room_id":"show"}"#);
        assert_eq!(
            (&other.json()["type"], &other.json()["type"]),
            (&"room_joined".into(), &"current_selections".into())
        );
        other.release("show", "A1");
        assert_eq!(other.json()["code"], "not_owner");
        for client in [&mut ana, &mut other] {
            let released = client.json();
            assert_eq!(
                (&released["type"], &released["seat_id"], &released["reason"]),
                (&"seat_released".into(), &"B1".into(), &"disconnected".into()),
                "{released}"
            );
        }
        assert_eq!(held(&server, "show"), [pair("A1", "ana")]);
        eventually("the release is committed", || (server.stats()["store"]["changes"] == 1).then_some(()));
        kill(server);
        let server = home.start();
        assert_eq!(held(&server, "show"), [pair("A1", "ana")], "the release was stored");
    });
}

#[test]
fn no_hold_outlives_its_deadline_over_a_restart() {
    at_once(Home::all(), |mut home| {
        home.set("HOLD_TTL_MS", "4000");
        let server = home.start();
        let mut ana = Client::join(&server, "ana", "show");
        let answer = select(&mut ana, "A1");
        let deadline = parse_time(answer["expires_at"].as_str().expect("a time"));
        if !home.is_durable() {
            eventually("it is committed", || (server.stats()["store"]["changes"] == 1).then_some(()));
        }
        kill(server);
        let server = home.start();
        let mut bob = Client::connect(&server, "bob");
        bob.send(r#"{"type":"join_room","room_id":"show"}"#);
        bob.json();
        if wall_ms() + 500 < deadline {
            assert_eq!(bob.json()["type"], "current_selections");
            let released = bob.json();
            let now = wall_ms();
            assert_eq!((&released["type"], &released["reason"]), (&"seat_released".into(), &"expired".into()));
            assert!(now + 20 >= deadline && now <= deadline + 10_000, "{now} {deadline}");
        }
        eventually("it is free", || held(&server, "show").is_empty().then_some(()));
    });
}
