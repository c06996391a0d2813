//! Holds end by themselves, on time, and everybody who looks or holds is told.

use serde_json::Value;

use crate::harness::wait::{parse_time, wall_ms};
use crate::harness::{Client, Server, VARIANTS, room_on};

const TTL: (&str, &str) = ("HOLD_TTL_MS", "300");
const TTL_MS: u64 = 300;
/// An expiry is told within 100 ms of its deadline.
const LATE_MS: u64 = 100;
/// What a starved machine may add before a test of this process reads a clock. The promise itself is tested by the
/// server's clock, in `no_answer_overtakes_an_expiry_that_is_due`.
const ALLOWANCE_MS: u64 = 10_000;

fn time(message: &Value, name: &str) -> u64 {
    parse_time(message[name].as_str().expect("a time"))
}

/// To members, to the holder too, and to a holder that never joined.
#[test]
fn an_expiry_is_told_to_members_and_to_the_holder() {
    for variant in VARIANTS {
        let server = Server::start(&[variant, &[TTL]].concat());
        for _ in 0..4 {
            let room = crate::harness::unique("room");
            let mut member = Client::join(&server, "member", &room);
            let mut holder = Client::join(&server, "holder", &room);
            let mut stranger = Client::connect(&server, "stranger");
            holder.select(&room, "A1");
            let answer = holder.json();
            stranger.select(&room, "A2");
            assert_eq!(stranger.json()["type"], "seat_selected");
            let check = |message: &Value, seat: &str, holder: &str| {
                assert_eq!((&message["type"], &message["reason"]), (&"seat_released".into(), &"expired".into()));
                assert_eq!((&message["seat_id"], &message["client_id"]), (&seat.into(), &holder.into()));
            };
            let deadline = time(&answer, "expires_at");
            // On a starved machine the first hold may end before the second one is asked for.
            let selected = |message: &Value| message["type"] == "seat_selected" && message["seat_id"] == "A2";
            let mut expired = holder.json();
            let came_before = selected(&expired);
            if came_before {
                expired = holder.json();
            }
            let told = wall_ms();
            check(&expired, "A1", "holder");
            // The two clocks are cut to whole milliseconds one after the other.
            assert!(told + 1 >= deadline, "told {} ms too early", deadline - told);
            assert!(told < deadline + LATE_MS + ALLOWANCE_MS, "told {} ms too late", told - deadline);
            assert!(came_before || selected(&holder.json()), "the stranger's");
            check(&holder.json(), "A2", "stranger");
            check(&stranger.json(), "A2", "stranger");
            let mut news: Vec<Value> = (0..4).map(|_| member.json()).collect();
            check(&news.pop().expect("four"), "A2", "stranger");
            check(&news.remove(if came_before { 2 } else { 1 }), "A1", "holder");
            assert!(news.iter().all(|message| message["type"] == "seat_selected"), "{news:?}");
            member.select(&room, "A1");
            assert_eq!(member.json()["type"], "seat_selected", "it is free again");
        }
    }
}

/// By the clock of the room's owner, which each answer tells: nothing is decided more than 100 ms after a deadline that
/// has not been told, and the first decision behind that is not before it. However starved the machine is, both hold.
#[test]
fn no_answer_overtakes_an_expiry_that_is_due() {
    for owner in 0..2 {
        let server = Server::start(&[("SHARDS", "2"), TTL, ("MAX_SEATS_PER_CLIENT", "0")]);
        let home = room_on(0, 2);
        let mut client = Client::join(&server, "a", &home);
        let room = room_on(owner, 2);
        client.select(&room, "A1");
        let deadline = time(&client.json(), "expires_at");
        // A hold of another seat, and when it was decided.
        let decide = |client: &mut Client, number: usize| {
            client.select(&room, &format!("B{number}"));
            client.json()
        };
        let decided = |answer: &Value| time(answer, "expires_at") - TTL_MS;
        let mut number = 0;
        loop {
            let message = decide(&mut client, number);
            if message["type"] == "seat_released" {
                break assert_eq!(message["seat_id"], "A1", "the first hold ends first");
            }
            let at = decided(&message);
            assert!(at <= deadline + LATE_MS, "{} ms late", at - deadline);
            number += 1;
        }
        let mut behind = client.json();
        while behind["type"] == "seat_released" {
            behind = client.json();
        }
        assert_eq!(behind["seat_id"], format!("B{number}"), "the answer to what was asked last");
        // The two clocks are cut to whole milliseconds one after the other.
        assert!(decided(&behind) + 1 >= deadline, "it expired {} ms early", deadline - decided(&behind));
    }
}

/// A selection tells when it was made and when it ends, the same to everybody. One shard, since two have two clocks.
#[test]
fn a_selection_tells_its_times() {
    let server = Server::start(&[("SHARDS", "1"), ("HOLD_TTL_MS", "60000")]);
    let mut holder = Client::join(&server, "holder", "r");
    let mut member = Client::join(&server, "member", "r");
    let mut ask = |text: &str| {
        holder.send(text);
        holder.json()
    };
    let before = time(&ask(r#"{"type":"ping"}"#), "timestamp");
    let answer = ask(r#"{"type":"select_seat","room_id":"r","seat_id":"A1"}"#);
    let after = time(&ask(r#"{"type":"ping"}"#), "timestamp");
    let ends = time(&answer, "expires_at");
    assert!((before..=after).contains(&(ends - 60_000)), "{before} {ends} {after}");
    assert_eq!(member.json()["expires_at"], answer["expires_at"], "the news of it");
    let mut late = Client::join(&server, "late", "r");
    let told = late.json();
    let listed = server.get("/room/r/selections").json();
    for selection in [&told["selections"][0], &listed["selections"][0]] {
        assert_eq!(time(selection, "expires_at"), ends, "{selection}");
        assert_eq!(time(selection, "timestamp"), ends - 60_000, "{selection}");
    }
}

/// Selecting again gives no longer life.
#[test]
fn selecting_again_does_not_prolong() {
    let server = Server::start(&[("SHARDS", "1"), TTL, ("RESELECT_AFTER_MS", "0")]);
    let mut client = Client::join(&server, "a", "r");
    client.select("r", "A1");
    let deadline = time(&client.json(), "expires_at");
    loop {
        client.select("r", "A1");
        let message = client.json();
        if message["type"] == "seat_released" {
            break;
        }
        assert_eq!(time(&message, "expires_at"), deadline);
    }
    // The select that the expiry overtook takes the seat anew.
    assert!(time(&client.json(), "expires_at") > deadline);
}

/// A released seat's deadline is nobody's: whoever holds the seat next keeps it for its own time.
#[test]
fn a_stale_deadline_releases_nothing() {
    // Long enough that no hold here ends before it is released.
    let server = Server::start(&[("SHARDS", "2"), ("HOLD_TTL_MS", "3000")]);
    let mut first = Client::connect(&server, "first");
    let mut second = Client::connect(&server, "second");
    first.select("r", "A1");
    let old = time(&first.json(), "expires_at");
    first.release("r", "A1");
    first.json();
    // Wait for a later moment by the server's clock, so that the two deadlines differ.
    let mut new = old;
    while new <= old + 20 {
        second.select("r", "A1");
        new = time(&second.json(), "expires_at");
        if new <= old + 20 {
            second.release("r", "A1");
            second.json();
        }
    }
    let message = second.json();
    assert_eq!((&message["type"], &message["reason"]), (&"seat_released".into(), &"expired".into()));
    assert!(wall_ms() + 1 >= new, "it was released with the first holder's deadline");
}

/// Who let a hold run out comes after everybody else, also on another connection and however early it asks.
#[test]
fn who_let_a_hold_run_out_comes_last() {
    for variant in VARIANTS {
        let server = Server::start(&[variant, &[TTL, ("RESELECT_AFTER_MS", "60000")]].concat());
        let room = crate::harness::unique("room");
        let mut hoarder = Client::join(&server, "hoarder", &room);
        let mut second = Client::connect(&server, "hoarder");
        let mut honest = Client::join(&server, "honest", &room);
        hoarder.select(&room, "A1");
        assert_eq!(hoarder.json()["type"], "seat_selected");
        let mut refused = loop {
            hoarder.select(&room, "A1");
            let answer = hoarder.json();
            match answer["type"].as_str() {
                Some("seat_selected") => {}
                Some("seat_released") => break hoarder.json(),
                _ => panic!("{answer}"),
            }
        };
        for client in [&mut second, &mut hoarder] {
            let about = ["code", "seat_id", "request_type"].map(|name| refused[name].as_str().unwrap_or_default());
            assert_eq!(about, ["rate_limited", "A1", "select_seat"], "{refused}");
            assert!(refused["retry_after_ms"].as_u64().is_some_and(|ms| ms > 0 && ms <= 60_000), "{refused}");
            client.select(&room, "A1");
            refused = client.json();
        }
        assert_eq!(refused["code"], "rate_limited", "{refused}");
        assert_eq!(honest.json()["type"], "seat_selected");
        assert_eq!(honest.json()["reason"], "expired");
        honest.select(&room, "A1");
        assert_eq!(honest.json()["type"], "seat_selected", "everybody else may have it at once");
    }
}
