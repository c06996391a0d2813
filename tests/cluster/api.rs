//! Any node answers for any room: the shop's backend, the lists, and who asks by HTTP for what is taken.

use std::time::Instant;

use kit::eventually;
use kit::http::{Http, Response};
use kit::server::Server;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::fan::Fan;
use crate::nodes::{Cluster, LEASE_MS, rooms};

/// One request to a node's API. No body is sent for `null`.
pub(crate) fn ask(node: &Server, line: &str, body: &Value) -> Response {
    let mut http = Http::new(node.dial_api());
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let fields = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    let fields = if body.is_empty() { "" } else { &fields };
    http.send(&format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}Connection: close\r\n\r\n{body}"));
    http.response(false)
}

pub(crate) fn get(node: &Server, path: &str) -> (u16, Value) {
    let told = ask(node, &format!("GET {path}"), &Value::Null);
    (told.status, told.json())
}

/// The names of all rooms, and behind which there are more.
fn listed(node: &Server, query: &str) -> (Vec<String>, Value) {
    let (status, told) = get(node, &format!("/v1/rooms{query}"));
    assert_eq!(status, 200, "{told}");
    let name = |room: &Value| room["room"].as_str().expect("a name").to_owned();
    (told["rooms"].as_array().expect("a list").iter().map(name).collect(), told["next"].clone())
}

/// What is taken in a room, as the node tells who asks by HTTP.
fn taken(node: &Server, room: &str) -> Vec<String> {
    let told = node.get(&format!("/room/{room}/selections"));
    assert_eq!(told.status, 200, "{}", told.head);
    let seat = |one: &Value| one["seat_id"].as_str().expect("a name").to_owned();
    let told = told.json();
    let mut seats: Vec<String> = told["selections"].as_array().expect("a list").iter().map(seat).collect();
    seats.sort_unstable();
    seats
}

/// How a call is answered: the first time by one node, and when the other one is asked the same again.
struct Act {
    line: &'static str,
    body: Value,
    status: (u16, u16),
    /// What of the answer says that it was done once: the same each time, or nothing the second time.
    told: (&'static str, Value, Value),
}

fn act(line: &'static str, body: Value, status: (u16, u16), told: (&'static str, Value, Value)) -> Act {
    Act { line, body, status, told }
}

/// Every call about a room that changes something, in an order in which each of them does.
fn acts() -> Vec<Act> {
    let (ok, both) = ((200, 200), json!(["A1", "A2"]));
    let same = |field, told: Value| (field, told.clone(), told);
    let once = |field, told: Value| (field, told, json!([]));
    let order = json!({"owner": {"holder": "kiosk"}});
    let held = json!({"holder": "kiosk", "seats": ["A1", "A2"]});
    let more = json!({"holder": "kiosk", "seats": ["A3", "A4"]});
    let given = json!({"seats": ["A4"], "reason": "x"});
    let blocked = json!({"seats": ["B1"], "label": "press"});
    let real = json!({"booked": [{"seat": "C1", "order": "o9"}], "blocked": [], "dry_run": false});
    vec![
        act("PUT /v1/rooms/{room}", json!({}), (201, 200), same("sale", json!("open"))),
        act("PATCH /v1/rooms/{room}", json!({"max_seats": 8}), ok, same("max_seats", json!(8))),
        act("POST /v1/rooms/{room}/hold", held, ok, same("seats", both.clone())),
        act("PUT /v1/rooms/{room}/orders/o1", order.clone(), (201, 200), same("seats", both.clone())),
        act("POST /v1/rooms/{room}/orders/o1/book", json!({}), ok, same("state", json!("booked"))),
        act("POST /v1/rooms/{room}/hold", more, ok, same("seats", json!(["A3", "A4"]))),
        act("POST /v1/rooms/{room}/release", given, (200, 409), ("seats", json!(["A4"]), Value::Null)),
        act("PUT /v1/rooms/{room}/orders/o2", order, (201, 200), same("seats", json!(["A3"]))),
        act("POST /v1/rooms/{room}/orders/o2/cancel", json!({"to": "cart"}), ok, same("state", json!("cancelled"))),
        act("POST /v1/rooms/{room}/orders/o1/refund", json!({"seats": ["A2"]}), ok, same("refunded", json!(["A2"]))),
        act("POST /v1/rooms/{room}/block", blocked.clone(), ok, once("changed", json!(["B1"]))),
        act("POST /v1/rooms/{room}/unblock", blocked, ok, once("changed", json!(["B1"]))),
        act("POST /v1/rooms/{room}/reconcile", real, ok, once("booked", json!(["C1"]))),
    ]
}

/// What can be asked of a room without changing it.
const READS: [&str; 6] = ["", "/seats", "/counts", "/seats?limit=2", "/orders/o1", "/orders/nobody"];

/// With numbers of shards that divide neither each other nor the number of parts.
#[test]
fn any_node_answers_for_any_room() {
    let cluster = Cluster::new(&[]);
    let nodes = [cluster.node_with("a", &[("SHARDS", "3")]), cluster.node_with("b", &[("SHARDS", "2")])];
    eventually("both have parts", || ["a", "b"].iter().all(|name| cluster.parts_of(name) > 0).then_some(()));
    let mut rooms = rooms().split_off(4);
    for (at, room) in rooms.iter().enumerate() {
        for (number, Act { line, body, status, told: (field, first, again) }) in acts().into_iter().enumerate() {
            let line = line.replace("{room}", room);
            let before = number + at;
            for (node, status, expected) in [(before, status.0, first), (before + 1, status.1, again)] {
                let answer = ask(&nodes[node % 2], &line, &body);
                assert_eq!((answer.status, &answer.json()[field]), (status, &expected), "{line}: {}", answer.json());
            }
            for read in READS {
                let [one, other] = nodes.each_ref().map(|node| get(node, &format!("/v1/rooms/{room}{read}")));
                assert_eq!(one, other, "{room}{read} behind {line}");
            }
        }
        assert_eq!(nodes.each_ref().map(|node| taken(node, room)), [["A3", "C1"], ["A3", "C1"]], "{room}");
    }
    rooms.sort_unstable();
    for node in &nodes {
        assert_eq!(listed(node, ""), (rooms.clone(), Value::Null));
        let (first, next) = listed(node, "?limit=5");
        assert_eq!((first.as_slice(), &next), (&rooms[..5], &Value::from(rooms[4].as_str())));
    }
    for (node, name) in nodes.iter().zip(["a", "b"]) {
        let stats = node.stats();
        let row = |row: &Value| (row["node"].clone(), row["shards"].clone(), row["this"] == (row["node"] == *name));
        let rows: Vec<_> = stats["nodes"].as_array().expect("a row a node").iter().map(row).collect();
        assert_eq!(rows, [("a".into(), 3.into(), true), ("b".into(), 2.into(), true)], "{stats}");
        let told = &stats["cluster"];
        let [owned, wanted, nobodys] = ["owned", "wanted", "ownerless"].map(|of| told[format!("parts_{of}")].clone());
        assert!(owned == cluster.parts_of(name) && owned == wanted && nobodys == 0, "{told}");
    }
    // The log is one: a node may hear of what the other one has written a moment later.
    for path in ["/v1/events?limit=1000", "/v1/rooms/room-5/events"] {
        let log = |node: &Server| {
            let told = ask(node, &format!("GET {path}"), &Value::Null);
            let body = String::from_utf8(told.body.clone()).expect("text");
            body.contains("\"room-5\"").then_some((told.status, body))
        };
        eventually("both tell the same", || {
            let [one, other] = nodes.each_ref().map(log);
            (one.is_some() && one == other).then_some(())
        });
    }
    for (at, room) in rooms.iter().enumerate() {
        let line = format!("DELETE /v1/rooms/{room}?force=1");
        let [first, again] = [at, at + 1].map(|node| ask(&nodes[node % 2], &line, &Value::Null).status);
        assert_eq!((first, again), (200, 404), "{room}");
    }
    assert_eq!(nodes.each_ref().map(|node| listed(node, "").0.len()), [0, 0]);
}

/// Seats that are held by sockets of the other node are not sold by the backend, whichever node it asks.
#[test]
fn the_backend_and_the_sockets_of_all_nodes_sell_the_same_seats() {
    let cluster = Cluster::new(&[("SHARDS", "3")]);
    let nodes = cluster.nodes(["a", "b"]);
    let rooms = rooms();
    let mut ana = Fan::join(&nodes[0], "ana", &rooms);
    for room in &rooms {
        assert_eq!(ana.select(room, "A1"), "seat_selected");
        let told = nodes.each_ref().map(|node| {
            let put = ask(node, &format!("PUT /v1/rooms/{room}"), &json!({})).status;
            let hold = json!({"holder": "kiosk", "seats": ["A1"]});
            let hold = ask(node, &format!("POST /v1/rooms/{room}/hold"), &hold);
            (put, hold.status, hold.json()["conflicts"][0]["seat"].clone())
        });
        assert_eq!(told[0], (201, 409, "A1".into()), "{room}");
        assert_eq!(told[1], (200, 409, "A1".into()), "{room}");
        assert_eq!(nodes.each_ref().map(|node| taken(node, room)), [["A1"], ["A1"]], "{room}");
    }
}

/// Whoever asks while nobody owns the room waits for that, and is answered, or is told to come again.
#[test]
fn a_question_waits_for_the_next_owner() {
    let cluster = Cluster::new(&[]);
    let [left, gone] = cluster.nodes(["a", "b"]);
    let rooms = rooms();
    for room in &rooms {
        assert_eq!(ask(&left, &format!("PUT /v1/rooms/{room}"), &json!({})).status, 201);
    }
    gone.signal(Signal::KILL);
    gone.ended();
    let began = Instant::now();
    for room in &rooms {
        eventually("the room is back", || {
            let told = ask(&left, &format!("GET /v1/rooms/{room}"), &Value::Null);
            assert!(told.status == 200 || told.header("retry-after").is_some(), "{}", told.head);
            (told.status == 200).then_some(())
        });
    }
    let waited = u64::try_from(began.elapsed().as_millis()).expect("a moment");
    assert!(waited < LEASE_MS * 4, "the last room was back after {waited} ms");
    assert_eq!(listed(&left, "").0.len(), rooms.len());
}
