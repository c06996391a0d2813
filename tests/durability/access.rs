//! A user of Redis with no more rights than `docs/OPERATIONS.md` gives it.

use serde_json::{Value, json};

use crate::harness::{Client, Server, eventually};
use crate::home::{Home, held, kill, stop};
use crate::log::{ask, events, sell};

/// The words of the documented command.
fn documented() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/OPERATIONS.md");
    let text = std::fs::read_to_string(path).expect("the documents");
    let command = text.split("`ACL SETUSER ").nth(1).and_then(|rest| rest.split('`').next()).expect("it is documented");
    command.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect()
}

fn of_a_user(mode: &str, more: &[&str]) -> Home {
    let mut home = Home::redis(mode);
    let redis = home.redis.as_ref().expect("it is there");
    let words = documented();
    let given = words.iter().map(String::as_str).chain(more.iter().copied());
    let command: Vec<&str> = ["ACL", "SETUSER"].into_iter().chain(given).collect();
    let _: String = redis.ask(&command);
    let url = format!("{}?user={}&pass=PASSWORD", redis.url(), words[0]);
    home.set("REDIS_URL", &url);
    home
}

/// What there was is there, and what has happened since.
fn read_on(server: &Server, before: &[Value]) -> Vec<Value> {
    let all = events(server, "");
    assert_eq!(all[..before.len()], *before);
    all
}

/// All that a server asks Redis for, over several lives: holds, carts, orders, their log, rooms, bans, sessions.
#[test]
fn the_documented_user_of_redis_may_do_what_is_needed() {
    for mode in ["window", "durable"] {
        let home = of_a_user(mode, &[]);
        let server = home.start();
        assert_eq!(ask(&server, "PUT /v1/rooms/hall", &json!({"hold_ms": 600_000})).0, 201);
        let plan =
            json!({"seats": [{"id": "1", "section": "s", "row": "A", "number": 1, "category": "a", "x": 0, "y": 0}]});
        assert_eq!(ask(&server, "PUT /v1/layouts/plan", &plan).0, 201);
        assert_eq!(ask(&server, "DELETE /v1/layouts/plan", &Value::Null).0, 200);
        let mut client = Client::join(&server, "ana", "hall");
        client.select("hall", "A1");
        assert_eq!(client.json()["type"], "seat_selected");
        sell(&server, (0, 6));
        let mut second = Client::connect_on(server.dial(), "ana", "?v=2");
        second.send(r#"{"type":"select_seats","room_id":"hall","seats":["Z1","Z2"]}"#);
        let mut got = second.json();
        while got["type"] == "hello" {
            got = second.json();
        }
        assert_ne!(got["type"], "error", "{got}");
        let before = read_on(&server, &[]);
        kill(server);
        let server = home.start();
        assert!(held(&server, "hall").contains(&("A1".into(), "ana".into())), "{mode}");
        let before = read_on(&server, &before);
        sell(&server, (6, 9));
        let before = read_on(&server, &before);
        stop(server);
        let server = home.start();
        read_on(&server, &before);
        assert_eq!(ask(&server, "PUT /v1/rooms/empty", &json!({})).0, 201);
        let (status, text) = ask(&server, "DELETE /v1/rooms/empty", &Value::Null);
        assert!(status < 300, "{status} {text}");
        eventually("it is healthy still", || (server.get("/health").json()["status"] == "healthy").then_some(()));
        server.signal(rustix::process::Signal::TERM);
        let (_, log) = server.ended();
        assert!(!log.contains("NOPERM"), "{log}");
    }
}

/// The keys of the old service have names of their own.
#[test]
fn the_keys_of_the_old_service_need_one_more_pattern() {
    let mut home = of_a_user("durable", &["~selection:*"]);
    home.set("REDIS_COMPAT_KEYS", "1");
    let server = home.start();
    let mut client = Client::join(&server, "ana", "hamlet");
    client.select("hamlet", "A1");
    assert_eq!(client.json()["type"], "seat_selected");
    let redis = home.redis.as_ref().expect("it is there");
    assert_eq!(redis.ask::<u64>(&["EXISTS", "selection:hamlet:A1"]), 1);
    client.send(r#"{"type":"release_seat","room_id":"hamlet","seat_id":"A1"}"#);
    assert_eq!(client.json()["type"], "seat_released");
    eventually("it is gone", || (redis.ask::<u64>(&["EXISTS", "selection:hamlet:A1"]) == 0).then_some(()));
    stop(server);
}
