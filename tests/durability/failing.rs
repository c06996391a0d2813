//! Stores that fail under a running server.

use std::time::Duration;

use butaca::limits::store::{REDIS_PARTS, STORE_BATCH_ENTRIES_MAX};
use serde_json::Value;

use crate::harness::{Client, Server, Stopwatch, eventually};
use crate::home::{Home, held, kill, stop};
use crate::proxy::{Fault, Proxy};

fn health(server: &Server) -> (u16, Value) {
    let answer = server.get("/health");
    let body = answer.json();
    (answer.status, body)
}

/// Waits until the server says so, and says how long that took it.
pub(crate) fn until_status(server: &Server, code: u16, status: &str) -> (Duration, Value) {
    let began = Stopwatch::start();
    let body = eventually(status, || {
        let (found, body) = health(server);
        (found == code && body["status"] == status).then_some(body)
    });
    (began.elapsed(), body)
}

/// A server whose way to Redis leads through the proxy.
pub(crate) fn through_proxy(durability: &str) -> (Home, Proxy) {
    let mut home = Home::redis(durability);
    let proxy = Proxy::start(&home.redis.as_ref().expect("it is Redis").socket());
    home.set("REDIS_URL", &proxy.url());
    (home, proxy)
}

#[test]
fn in_window_mode_the_sale_goes_on_without_redis() {
    for fault in [Fault::BlackHole, Fault::Refuse, Fault::Garbage] {
        let (home, proxy) = through_proxy("window");
        let server = home.start();
        let mut ana = Client::join(&server, "ana", "show");
        proxy.set(fault);
        ana.select("show", "A1");
        assert_eq!(ana.json()["type"], "seat_selected");
        let (took, body) = until_status(&server, 200, "degraded");
        assert!(took < Duration::from_secs(2), "{fault:?}: {took:?}");
        assert!(body["store_error"].as_str().is_some_and(|error| !error.is_empty()), "{body}");
        assert_eq!((&body["redis_connected"], &body["store"]), (&false.into(), &"redis".into()));
        ana.select("show", "A2");
        assert_eq!(ana.json()["type"], "seat_selected");
        proxy.set(Fault::None);
        let (took, _) = until_status(&server, 200, "healthy");
        assert!(took < Duration::from_secs(2), "{fault:?}: {took:?}");
        eventually("it has caught up", || (server.stats()["store"]["changes"] == 2).then_some(()));
        kill(server);
        assert_eq!(held(&home.start(), "show").len(), 2);
    }
}

#[test]
fn in_durable_mode_a_select_is_refused_within_a_second_and_changes_nothing() {
    for fault in [Fault::BlackHole, Fault::Refuse, Fault::Garbage] {
        let (home, proxy) = through_proxy("durable");
        let server = home.start();
        let mut ana = Client::join(&server, "ana", "show");
        let mut eve = Client::join(&server, "eve", "show");
        ana.select("show", "A1");
        let first = ana.json();
        eve.json();
        proxy.set(fault);
        for seat in ["A2", "A3"] {
            let asked = Stopwatch::start();
            ana.select("show", seat);
            let refused = ana.json();
            assert_eq!(refused["code"], "persistence_unavailable", "{refused}");
            assert!(asked.elapsed() < Duration::from_secs(1), "{fault:?} {:?}", asked.elapsed());
        }
        eve.select("show", "A1");
        let refused = eve.json();
        assert!(refused["code"] == "persistence_unavailable" || refused["code"] == "seat_taken", "{refused}");
        until_status(&server, 503, "unavailable");
        proxy.set(Fault::None);
        until_status(&server, 200, "healthy");
        ana.select("show", "A2");
        let second = ana.json();
        assert_eq!(second["type"], "seat_selected", "{second}");
        let seq = |value: &Value| value["seq"].as_u64().expect("a number");
        assert_eq!(seq(&second), seq(&first) + 1, "what was refused has left no trace");
        assert_eq!(eve.json()["seat_id"], "A2", "and was told to nobody");
        kill(server);
        assert_eq!(held(&home.start(), "show").len(), 2);
    }
}

/// A network that is merely bad: each answer to a select comes within a second, whichever it is, and is true
/// afterwards.
#[test]
fn in_durable_mode_no_select_hangs_in_a_bad_network() {
    for fault in [Fault::Delay { ms: 500 }, Fault::CutAfter { ms: 100 }, Fault::Mute] {
        let (home, proxy) = through_proxy("durable");
        let server = home.start();
        let mut ana = Client::join(&server, "ana", "show");
        proxy.set(fault);
        let (mut told, mut refused, mut longest) = (Vec::new(), 0, Duration::ZERO);
        for n in 10..18 {
            let (seat, asked) = (n.to_string(), Stopwatch::start());
            ana.select("show", &seat);
            let answer = ana.json();
            longest = longest.max(asked.elapsed());
            if answer["type"] == "seat_selected" {
                told.push(seat);
            } else {
                assert_eq!(answer["code"], "persistence_unavailable", "{answer}");
                refused += 1;
            }
        }
        println!("{fault:?}: {} granted, {refused} refused, the longest wait {longest:?}", told.len());
        assert!(longest < Duration::from_secs(1), "{fault:?}: {longest:?}");
        // Slow is not away, a new connection is as good as the old one, and without answers nothing is known.
        assert_eq!(told.is_empty(), fault == Fault::Mute, "{fault:?}");
        proxy.set(Fault::None);
        until_status(&server, 200, "healthy");
        ana.select("show", "99");
        assert_eq!(ana.json()["type"], "seat_selected");
        told.push("99".into());
        kill(server);
        let back: Vec<String> = held(&home.start(), "show").into_iter().map(|(seat, _)| seat).collect();
        assert_eq!(back, told, "{fault:?}");
    }
}

/// The same in `window` mode: the sale never stops, and what is late is caught up with.
#[test]
fn in_window_mode_a_bad_network_is_not_noticed_by_the_sale() {
    for fault in [Fault::Delay { ms: 500 }, Fault::CutAfter { ms: 100 }, Fault::Mute] {
        let (home, proxy) = through_proxy("window");
        let server = home.start();
        let mut ana = Client::join(&server, "ana", "show");
        proxy.set(fault);
        for n in 0..8 {
            let asked = Stopwatch::start();
            ana.select("show", &n.to_string());
            assert_eq!(ana.json()["type"], "seat_selected");
            assert!(asked.elapsed() < Duration::from_millis(400), "{fault:?}: {:?}", asked.elapsed());
        }
        proxy.set(Fault::None);
        let (took, _) = until_status(&server, 200, "healthy");
        assert!(took < Duration::from_secs(2), "{fault:?}: {took:?}");
        eventually("it has caught up", || (server.stats()["store"]["changes"] == 8).then_some(()));
        kill(server);
        assert_eq!(held(&home.start(), "show").len(), 8);
    }
}

#[test]
fn a_backlog_that_overflows_gives_way_to_a_full_state() {
    let (mut home, proxy) = through_proxy("window");
    home.set("MAX_SEATS_PER_CLIENT", "0");
    home.set("SHARDS", "1");
    let server = home.start();
    let mut ana = Client::connect(&server, "ana");
    ana.select("old", "1");
    ana.json();
    eventually("it is committed", || (server.stats()["store"]["changes"] == 1).then_some(()));
    proxy.set(Fault::BlackHole);
    ana.release("old", "1");
    ana.json();
    let (rooms, seats) = (20, STORE_BATCH_ENTRIES_MAX / 10);
    for room in 0..rooms {
        for seat in 0..seats {
            ana.select(&format!("room-{room}"), &seat.to_string());
            if seat % 100 == 99 || seat + 1 == seats {
                (0..=seat % 100).for_each(|_| assert_eq!(ana.json()["type"], "seat_selected"));
            }
        }
    }
    let stats = server.stats();
    assert!(stats["store"]["full_states"].as_u64() > Some(0), "{}", stats["store"]);
    let waiting = stats["store"]["backlog_entries"].as_u64().expect("a number");
    assert!(waiting <= 2 * STORE_BATCH_ENTRIES_MAX as u64, "{waiting}");
    proxy.set(Fault::None);
    let began = Stopwatch::start();
    let redis = home.redis.as_ref().expect("it is Redis");
    eventually("everything is there", || {
        let rooms: Vec<String> = redis.ask(&["KEYS", "*:room:*"]);
        let held: i64 = rooms.iter().map(|key| redis.ask::<i64>(&["HLEN", key])).sum();
        (held == i64::try_from(20 * seats).expect("few")).then_some(())
    });
    let took = began.elapsed();
    println!("{} holds were caught up with in {took:?}", rooms * seats);
    assert!(took < Duration::from_secs(2), "{took:?}");
    kill(server);
    let server = home.start();
    assert_eq!(server.stats()["temporary_selections"], rooms * seats);
    assert!(held(&server, "old").is_empty(), "what was released meanwhile is no ghost");
}

#[test]
fn down_at_the_start_it_waits_and_says_so() {
    let mut home = Home::redis("window");
    home.redis.as_mut().expect("it is Redis").kill();
    let server = home.start_waiting();
    let (_, body) = until_status(&server, 503, "starting");
    assert!(body["store_error"].as_str().is_some_and(|error| !error.is_empty()), "{body}");
    home.redis.as_mut().expect("it is Redis").restart(&["--save", ""]);
    until_status(&server, 200, "healthy");
    stop(server);
}

#[test]
fn down_at_the_start_it_begins_empty_only_when_told_so() {
    let mut home = Home::redis("window");
    home.set("START_WITHOUT_STORE", "1");
    home.redis.as_mut().expect("it is Redis").kill();
    let server = home.start_waiting();
    until_status(&server, 200, "degraded");
    let mut ana = Client::join(&server, "ana", "show");
    ana.select("show", "A1");
    assert_eq!(ana.json()["type"], "seat_selected");
    home.redis.as_mut().expect("it is Redis").restart(&["--save", ""]);
    until_status(&server, 200, "healthy");
    stop(server);
    assert_eq!(held(&home.start(), "show").len(), 1, "what was sold meanwhile is stored by a full state");
}

#[test]
fn in_durable_mode_nobody_may_begin_without_what_was_confirmed() {
    let mut home = Home::redis("durable");
    home.set("START_WITHOUT_STORE", "1");
    let refused = home.command().output().expect("it runs");
    let said = String::from_utf8(refused.stderr).expect("a text");
    assert_eq!(refused.status.code(), Some(64), "{said}");
    assert!(said.lines().count() == 1 && said.contains("START_WITHOUT_STORE=1: not with DURABILITY=durable"), "{said}");
}

#[test]
fn a_redis_that_was_emptied_gets_everything_again() {
    let home = Home::redis("window");
    let server = home.start();
    let mut ana = Client::join(&server, "ana", "show");
    for n in 0..5 {
        ana.select("show", &format!("A{n}"));
        ana.json();
    }
    eventually("it is committed", || (server.stats()["store"]["changes"] == 5).then_some(()));
    let redis = home.redis.as_ref().expect("it is Redis");
    let _: String = redis.ask(&["FLUSHALL"]);
    ana.release("show", "A0");
    ana.json();
    eventually("everything is there again", || {
        let kept: Vec<String> = redis.ask(&["KEYS", "*:room:show"]);
        let seats: i64 = kept.first().map_or(0, |key| redis.ask(&["HLEN", key]));
        (seats == 4).then_some(())
    });
    // Until its parts have their fences again a start could not tell this Redis from one that has lost a part.
    eventually("every part is the server's again", || {
        let fences: Vec<String> = redis.ask(&["KEYS", "*:fence"]);
        (fences.len() == REDIS_PARTS).then_some(())
    });
    kill(server);
    assert_eq!(held(&home.start(), "show").len(), 4);
}
