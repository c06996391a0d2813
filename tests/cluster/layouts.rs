//! Layouts that are put on one node.

use kit::eventually;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::api::{ask, get};
use crate::nodes::{Cluster, rooms};

/// A plan of two seats, the first of this name.
fn plan(first: &str) -> Value {
    let seat =
        |id: &str, x: u32| json!({"id": id, "section": "s", "row": "A", "number": x, "category": "a", "x": x, "y": 0});
    json!({"seats": [seat(first, 1), seat("Z9", 2)]})
}

/// A layout that is put on one node is there on the other one at once: for lists, for rooms of either, and for whoever
/// takes those rooms over; and so are its next version and its end.
#[test]
fn a_layout_is_of_all_nodes() {
    let cluster = Cluster::new(&[]);
    let [a, b] = cluster.nodes(["a", "b"]);
    let nodes = [&a, &b];
    let rooms = rooms();
    let mut version = Value::Null;
    for (at, room) in rooms.iter().enumerate() {
        let (put, use_it) = (nodes[at % 2], nodes[1 - at % 2]);
        let layout = ask(put, "PUT /v1/layouts/hall", &plan(&format!("A{at}")));
        assert_eq!(layout.status, 201, "{}", layout.json());
        version = layout.json()["version"].clone();
        let told = ask(use_it, &format!("PUT /v1/rooms/{room}"), &json!({"layout": "hall"}));
        assert_eq!((told.status, &told.json()["layout"]["version"]), (201, &version), "{}", told.json());
        let [one, other] = nodes.map(|node| get(node, "/v1/layouts/hall"));
        assert_eq!((&one, one.1["versions"].as_array().map(Vec::len)), (&other, Some(at + 1)));
    }
    assert_eq!(ask(&b, "DELETE /v1/layouts/hall", &Value::Null).status, 409, "rooms of both nodes use it");
    b.signal(Signal::KILL);
    b.ended();
    for (at, room) in rooms.iter().enumerate() {
        eventually("the room is back", || {
            let told = ask(&a, &format!("GET /v1/rooms/{room}"), &Value::Null);
            (told.status == 200).then_some(())
        });
        let hold = |seat: &str| {
            let hold = json!({"holder": "kiosk", "seats": [seat]});
            ask(&a, &format!("POST /v1/rooms/{room}/hold"), &hold).status
        };
        assert_eq!((hold(&format!("A{at}")), hold("B1")), (200, 422), "{room} has its seats and no others");
        assert_eq!(ask(&a, &format!("DELETE /v1/rooms/{room}?force=1"), &Value::Null).status, 200);
    }
    assert_ne!(version, Value::Null);
    let b = cluster.node("b");
    eventually("both have parts", || (cluster.parts_of("b") > 0).then_some(()));
    assert_eq!(get(&b, "/v1/layouts/hall").1["version"], version);
    assert_eq!(ask(&b, "DELETE /v1/layouts/hall", &Value::Null).status, 200);
    assert_eq!([&a, &b].map(|node| get(node, "/v1/layouts/hall").0), [404, 404]);
    assert_eq!(ask(&a, "PUT /v1/rooms/new", &json!({"layout": "hall"})).status, 422);
}
