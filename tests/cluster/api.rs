//! The backend's API and the site on a node that does not own a room: they decide nothing and claim nothing.

use kit::http::{Http, Response};
use kit::server::Server;
use serde_json::json;

use crate::fan::Fan;
use crate::nodes::{Cluster, rooms};

/// The status of an answer of the API.
fn put(node: &Server, room: &str) -> u16 {
    let body = json!({}).to_string();
    let mut http = Http::new(node.dial_api());
    http.send(&format!(
        "PUT /v1/rooms/{room} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    http.response(false).status
}

/// What is taken, as the node tells it: once, whatever it says.
fn selections(node: &Server, room: &str) -> Response {
    let mut http = Http::new(node.dial());
    http.send(&format!("GET /room/{room}/selections HTTP/1.1\r\nHost: test\r\n\r\n"));
    http.response(false)
}

/// With a number of shards that does not divide that of parts, and every room asked for on both nodes.
#[test]
fn a_room_is_decided_about_by_its_owner_alone() {
    let cluster = Cluster::new(&[("SHARDS", "3")]);
    let nodes = cluster.nodes(["a", "b"]);
    let rooms = rooms();
    let mut ana = Fan::join(&nodes[0], "ana", &rooms);
    let mut own = [0, 0];
    for room in &rooms {
        assert_eq!(ana.select(room, "A1"), "seat_selected");
        let told = nodes.each_ref().map(|node| (put(node, room), selections(node, room)));
        let owners: Vec<usize> = (0..2).filter(|&node| told[node].0 == 201).collect();
        let [owner] = owners[..] else { panic!("{room}: {:?}", [told[0].0, told[1].0]) };
        own[owner] += 1;
        assert_eq!(told[1 - owner].0, 503, "{room}: the other node does not decide");
        assert_eq!(told[1 - owner].1.status, 503, "{room}: nor does it say what is taken");
        let selections = told[owner].1.json();
        assert_eq!(selections["selections"].as_array().map(Vec::len), Some(1), "{room}: {selections}");
    }
    assert!(own[0] > 0 && own[1] > 0, "{own:?}");
}
