//! Nodes whose user of Redis has no more rights than `docs/CLUSTER.md` gives it.

use kit::eventually;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::api::{ask, get};
use crate::fan::Fan;
use crate::nodes::{Cluster, rooms};

/// The words of the documented command.
fn documented() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CLUSTER.md");
    let text = std::fs::read_to_string(path).expect("the documents");
    let command =
        text.split("ACL SETUSER ").nth(1).and_then(|rest| rest.split("```").next()).expect("it is documented");
    command.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect()
}

/// All that nodes ask Redis for: parts that are taken, given, taken over and read; mail; holds, orders, layouts, the log.
#[test]
fn the_documented_user_of_redis_may_do_what_nodes_need() {
    let mut cluster = Cluster::new(&[("DURABILITY", "durable")]);
    let words = documented();
    let command: Vec<&str> = ["ACL", "SETUSER"].into_iter().chain(words.iter().map(String::as_str)).collect();
    let _: String = cluster.redis.ask(&command);
    cluster.as_user(&words[0], "PASSWORD");
    let [a, b] = cluster.nodes(["a", "b"]);
    let rooms = rooms();
    let plan =
        json!({"seats": [{"id": "1", "section": "s", "row": "A", "number": 1, "category": "a", "x": 0, "y": 0}]});
    assert_eq!(ask(&a, "PUT /v1/layouts/plan", &plan).status, 201);
    assert_eq!(ask(&b, "DELETE /v1/layouts/plan", &Value::Null).status, 200);
    let mut ana = Fan::join(&a, "ana", &rooms);
    for room in &rooms {
        assert_eq!(ask(&b, &format!("PUT /v1/rooms/{room}"), &json!({})).status, 201);
        assert_eq!(ana.select(room, "A1"), "seat_selected");
        assert_eq!(ana.select(room, "A2"), "seat_selected");
        assert_eq!(ana.release(room, "A2"), "seat_released");
        let hold = json!({"holder": "kiosk", "seats": ["B1"]});
        assert_eq!(ask(&a, &format!("POST /v1/rooms/{room}/hold"), &hold).status, 200);
        let order = json!({"owner": {"holder": "kiosk"}});
        assert_eq!(ask(&b, &format!("PUT /v1/rooms/{room}/orders/o"), &order).status, 201);
        assert_eq!(ask(&a, &format!("POST /v1/rooms/{room}/orders/o/book"), &json!({})).status, 200);
    }
    b.signal(Signal::KILL);
    b.ended();
    for room in &rooms {
        assert_eq!(ana.select(room, "C1"), "seat_selected", "{room} is served again");
        assert_eq!(get(&a, &format!("/v1/rooms/{room}/orders/o")).1["state"], "booked");
    }
    let b = cluster.node("b");
    a.signal(Signal::TERM);
    let (_, log) = a.ended();
    assert!(!log.contains("NOPERM"), "{log}");
    for room in &rooms {
        assert_eq!(get(&b, &format!("/v1/rooms/{room}/orders/o")).1["state"], "booked");
        assert_eq!(ask(&b, &format!("DELETE /v1/rooms/{room}?force=1"), &Value::Null).status, 200);
    }
    eventually("it has all parts", || (b.get("/health").json()["status"] == "healthy").then_some(()));
    b.signal(Signal::TERM);
    let (_, log) = b.ended();
    assert!(!log.contains("NOPERM"), "{log}");
}
