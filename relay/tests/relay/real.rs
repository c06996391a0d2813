//! The log of a real server in both sinks: orders are sold through the API while server, store, database and relay are
//! killed. In the end the database and the receiver have the log, and each order is what the API says it is.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use kit::Server;
use kit::gate::Gate;
use kit::http::Http;
use kit::redis_server::RedisServer;
use kit::wait::{at_once, eventually};
use serde_json::{Value, json};

use super::database::Database;
use super::process::Relay;
use super::receiver::{Receiver, SECRET};

/// What Redis must do for an order to outlive its `kill -9`.
const ALWAYS: [&str; 6] = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];
const ROOMS: usize = 3;
const ORDERS: usize = 60;
const BLOWS: usize = 3;

struct House {
    folder: tempfile::TempDir,
    redis: Option<RedisServer>,
    database: Database,
    receiver: Receiver,
    server: Option<Server>,
    gate: Gate,
    relay: Option<Relay>,
}

fn serve(folder: &tempfile::TempDir, redis: Option<&RedisServer>) -> Server {
    let data = folder.path().join("data").display().to_string();
    let url = redis.map_or(String::new(), RedisServer::url);
    let store = if redis.is_some() { "redis" } else { "embedded" };
    let mut settings = vec![("SHARDS", "2"), ("DATA_DIR", &*data), ("STORE", store), ("LOG_LEVEL", "warn")];
    if redis.is_some() {
        settings.push(("REDIS_URL", &url));
    }
    Server::start(&settings)
}

impl House {
    fn new(has_redis: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("secret"), SECRET).expect("a file");
        let redis = has_redis.then(|| RedisServer::start_with(&ALWAYS));
        let server = serve(&folder, redis.as_ref());
        let gate = Gate::to(server.api.expect("the API is on"));
        let (database, receiver) = (Database::start(), Receiver::new());
        let mut house = Self { folder, redis, database, receiver, server: Some(server), gate, relay: None };
        house.start_relay();
        house
    }

    fn start_relay(&mut self) {
        let [secret, cursor] = ["secret", "cursor"].map(|name| self.folder.path().join(name).display().to_string());
        let (api, mongo) = (format!("http://{}", self.gate.address), self.database.url());
        let words = ["--server", &api, "--mongo", &mongo, "--webhook", &self.receiver.url];
        self.relay = Some(Relay::start(&[&words[..], &["--secret-file", &secret, "--cursor-file", &cursor]].concat()));
    }

    /// `kill -9` for all of them, and back; the relay first, or last.
    fn strike(&mut self, number: usize) {
        let is_relay_first = number.is_multiple_of(2);
        if is_relay_first {
            self.relay.take().expect("it runs").kill();
        }
        // That is how a server ends when it is dropped.
        drop(self.server.take());
        if let Some(redis) = &mut self.redis {
            redis.restart(&ALWAYS);
        }
        self.database.restart();
        let server = serve(&self.folder, self.redis.as_ref());
        self.gate.lead_to(server.api);
        self.server = Some(server);
        if !is_relay_first {
            self.relay.take().expect("it runs").kill();
        }
        self.start_relay();
    }
}

/// Asks until there is an answer that means something: every call is idempotent by its name.
fn call(gate: &Gate, line: &str, body: &Value) -> (u16, Value) {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let fields = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", text.len());
    let request = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n{text}");
    eventually(line, || {
        let stream = std::net::TcpStream::connect(gate.address).ok()?;
        let answer = Http::new(stream).ask(&request)?;
        (answer.status != 503).then(|| (answer.status, answer.json()))
    })
}

/// Sells an order, and ends it in one of several ways.
fn sell(gate: &Gate, number: usize) {
    let room = format!("sala%20{}", number % ROOMS);
    let seats = json!([format!("{number}-a"), format!("{number}-b")]);
    let order = format!("/v1/rooms/{room}/orders/o%2F{number}");
    let holder = json!({"holder": "till"});
    let book = (format!("POST {order}/book"), json!({}));
    let life = match number % 4 {
        0 => vec![(format!("POST {order}/cancel"), json!({"to": "free"}))],
        1 => vec![book],
        2 => vec![book, (format!("POST {order}/refund"), json!({"seats": [seats[0]]}))],
        _ => vec![book, (format!("POST {order}/refund"), json!({}))],
    };
    let hold = (format!("POST /v1/rooms/{room}/hold"), json!({"holder": "till", "seats": seats}));
    let checkout = (format!("PUT {order}"), json!({"owner": holder, "seats": seats}));
    for (line, body) in [vec![hold, checkout], life].concat() {
        let (status, answer) = call(gate, &line, &body);
        // Who asks again for an order that was made before the crash holds nothing any more, and needs nothing.
        assert!((200..300).contains(&status) || line.ends_with("/hold"), "{line}: {status} {answer}");
    }
}

fn log(gate: &Gate) -> Vec<Value> {
    let stream = std::net::TcpStream::connect(gate.address).expect("the gate is there");
    let line = "GET /v1/events?limit=10000 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = Http::new(stream).ask(line).expect("an answer");
    assert_eq!(answer.status, 200);
    let lines = answer.body.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("a line is JSON")).collect()
}

/// The events by their ids.
fn by_id(mut events: Vec<Value>) -> Vec<Value> {
    events.sort_by_key(|event| event["id"].to_string());
    events
}

fn check(has_redis: bool) {
    let mut house = House::new(has_redis);
    for room in 0..ROOMS {
        call(&house.gate, &format!("PUT /v1/rooms/sala%20{room}"), &json!({"hold_ms": 600_000}));
    }
    // The gate stays where it is, whoever is behind it.
    let (gate, sold) = (Gate::to(house.gate.address), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let (gate, sold) = (&gate, &sold);
        for seller in 0..ROOMS {
            scope.spawn(move || {
                for number in (seller..ORDERS).step_by(ROOMS) {
                    sell(gate, number);
                    sold.fetch_add(1, Relaxed);
                }
            });
        }
        for blow in 0..BLOWS {
            let enough = (blow + 1) * ORDERS / (BLOWS + 1);
            eventually("orders are sold", || (sold.load(Relaxed) >= enough).then_some(()));
            house.strike(blow);
        }
    });
    let events = log(&house.gate);
    let last = events.last().expect("something happened")["cursor"].clone();
    eventually("the database is level", || {
        let cursors = house.database.all("relay_cursors");
        cursors.iter().any(|kept| kept["_id"] == "mongo" && kept["cursor"] == last).then_some(())
    });
    eventually("the receiver is level", || (house.receiver.taken().len() >= events.len()).then_some(()));
    let mut kept = house.database.all("seat_events");
    kept.iter_mut().for_each(|event| drop(event.as_object_mut().expect("a document").remove("_id")));
    assert_eq!(by_id(kept), by_id(events.clone()), "the database has the log");
    assert_eq!(by_id(house.receiver.taken()), by_id(events), "and so has the receiver");
    check_orders(&house);
}

/// Every order is in the database what it is for the API.
fn check_orders(house: &House) {
    let orders = house.database.all("orders");
    let names: BTreeSet<String> = orders.iter().map(|order| order["order"].to_string()).collect();
    assert_eq!((orders.len(), names.len()), (ORDERS, ORDERS));
    for order in &orders {
        let text = |name: &str| order[name].as_str().expect("a text").replace(' ', "%20").replace('/', "%2F");
        let line = format!("GET /v1/rooms/{}/orders/{}", text("room"), text("order"));
        let (status, told) = call(&house.gate, &line, &Value::Null);
        let refunded = |of: &Value| of["refunded"].as_array().map_or(0, Vec::len);
        assert_eq!(
            (status, &told["state"], &told["seats"], refunded(&told)),
            (200, &order["state"], &order["seats"], refunded(order)),
            "{line}"
        );
    }
}

#[test]
fn the_log_of_a_real_server_is_in_both_sinks_whatever_dies() {
    at_once([false, true], check);
}
