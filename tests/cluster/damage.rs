//! A part of which Redis has lost records: what was promised to be there is not sold as if it were free.

use kit::eventually;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::api::{ask, get};
use crate::nodes::{Cluster, PARTS, rooms};

/// The key of a room's seats, and its part.
fn find(cluster: &Cluster, room: &str) -> String {
    let key = |part: usize| format!("{{butaca}}:{part}:room:{room}");
    let is_there = |key: &String| cluster.redis.ask::<u64>(&["EXISTS", key]) == 1;
    (0..PARTS).map(key).find(is_there).expect("the room is stored")
}

#[test]
fn a_part_with_lost_records_is_not_sold() {
    let cluster = Cluster::new(&[("DURABILITY", "durable")]);
    let node = cluster.node("a");
    eventually("it has all parts", || (cluster.parts_of("a") == PARTS).then_some(()));
    let rooms = rooms();
    for room in &rooms {
        assert_eq!(ask(&node, &format!("PUT /v1/rooms/{room}"), &json!({})).status, 201);
        let hold = json!({"holder": "kiosk", "seats": ["A1", "A2"]});
        assert_eq!(ask(&node, &format!("POST /v1/rooms/{room}/hold"), &hold).status, 200);
        let order = json!({"owner": {"holder": "kiosk"}});
        assert_eq!(ask(&node, &format!("PUT /v1/rooms/{room}/orders/o"), &order).status, 201);
        assert_eq!(ask(&node, &format!("POST /v1/rooms/{room}/orders/o/book"), &json!({})).status, 200);
    }
    node.signal(Signal::TERM);
    node.ended();
    let lost = find(&cluster, "room-0");
    let (part, _) = lost.rsplit_once(":room:").expect("a room's key");
    let fields: Vec<String> = cluster.redis.ask(&["HKEYS", &lost]);
    let seat = fields.iter().find(|field| field.contains("A1")).expect("the booked seat");
    assert_eq!(cluster.redis.ask::<u64>(&["HDEL", &lost, seat]), 1);
    let of_it = |room: &String| find(&cluster, room).starts_with(&format!("{part}:"));
    let (with, without): (Vec<&String>, Vec<&String>) = rooms.iter().partition(|room| of_it(room));
    let node = cluster.node("a");
    for room in &without {
        eventually("others are sold", || {
            let told = get(&node, &format!("/v1/rooms/{room}/orders/o"));
            (told.0 == 200 && told.1["state"] == "booked").then_some(())
        });
    }
    let hold = json!({"holder": "other", "seats": ["A1"]});
    for room in &with {
        assert_eq!(ask(&node, &format!("POST /v1/rooms/{room}/hold"), &hold).status, 503, "{room} is not sold");
    }
    let health = node.get("/health").json();
    assert_eq!(health["status"], "degraded", "{health}");
    node.signal(Signal::TERM);
    let (_, log) = node.ended();
    assert!(log.contains("1 records are missing"), "{log}");
    // The operator takes what is left.
    let node = cluster.node_with("a", &[("ACCEPT_LOSS", "1")]);
    eventually("all are sold", || {
        let told = |room: &&String| get(&node, &format!("/v1/rooms/{room}")).0 == 200;
        with.iter().all(told).then_some(())
    });
    assert_eq!(ask(&node, "POST /v1/rooms/room-0/hold", &hold).status, 200);
    assert_eq!(ask(&node, "DELETE /v1/rooms/room-0?force=1", &Value::Null).status, 200);
}
