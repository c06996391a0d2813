//! Stores that fail under a running server.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Client, Server, eventually};
use crate::home::{Home, held, kill, stop};
use crate::proxy::{Fault, Proxy};

fn health(server: &Server) -> (u16, Value) {
    let answer = server.get("/health");
    let body = answer.json();
    (answer.status, body)
}

fn until_status(server: &Server, code: u16, status: &str) -> (Duration, Value) {
    let began = Instant::now();
    let body = eventually(status, || {
        let (found, body) = health(server);
        (found == code && body["status"] == status).then_some(body)
    });
    (began.elapsed(), body)
}

/// A server whose way to Redis leads through the proxy.
fn through_proxy(durability: &str) -> (Home, Proxy) {
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
            let asked = Instant::now();
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
    kill(server);
    assert_eq!(held(&home.start(), "show").len(), 4);
}
