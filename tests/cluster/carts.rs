//! Carts of the second protocol: they wait for their session, whichever node that comes back to.

use kit::client::{Client, text_frame};
use kit::eventually;
use kit::server::Server;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::api::{ask, get};
use crate::nodes::{Cluster, rooms};

/// A client of the second protocol.
struct Shopper {
    client: Client,
    token: String,
}

impl Shopper {
    fn connect(node: &Server, id: &str) -> Self {
        let mut client = Client::connect_on(node.dial(), id, "?v=2");
        let hello = client.json();
        Self { client, token: hello["session_token"].as_str().expect("a token").to_owned() }
    }

    /// The reply to a request.
    fn ask(&mut self, request: Value) -> Value {
        self.send(request);
        self.reply()
    }

    fn send(&mut self, mut request: Value) {
        request["id"] = 7.into();
        self.client.write(&text_frame(&request.to_string()));
    }

    fn reply(&mut self) -> Value {
        loop {
            let message = self.client.json();
            if message["id"] == 7 {
                return message;
            }
        }
    }

    fn join(&mut self, room: &str) {
        assert_eq!(self.ask(json!({"type": "join_room", "room_id": room}))["type"], "room_joined");
    }

    fn select(&mut self, room: &str, seats: &[&str]) -> Value {
        self.ask(json!({"type": "select_seats", "room_id": room, "seats": seats}))
    }

    fn release(&mut self, room: &str, seats: &[&str]) -> Value {
        self.ask(json!({"type": "release_seats", "room_id": room, "seats": seats}))
    }
}

/// A node dies, or is told to end, with shoppers on it and others on another node: every cart is there for its session,
/// and nobody else gets a seat of it.
#[test]
fn a_cart_outlives_the_node_of_its_shopper() {
    for signal in [Signal::KILL, Signal::TERM] {
        let cluster = Cluster::new(&[("DURABILITY", "durable")]);
        let [a, b] = cluster.nodes(["a", "b"]);
        let rooms = rooms();
        let (mut ana, mut ben) = (Shopper::connect(&a, "ana"), Shopper::connect(&b, "ben"));
        for room in &rooms {
            ana.join(room);
            ben.join(room);
            assert_eq!(ana.select(room, &["A1", "A2"])["type"], "seats_held");
            assert_eq!(ben.select(room, &["B1"])["type"], "seats_held");
        }
        a.signal(signal);
        let mut again = Shopper::connect(&b, "ana");
        let hello = again.ask(json!({"type": "resume", "session_token": ana.token, "rooms": rooms}));
        assert_eq!(hello["resumed"], true, "{hello}");
        let carts = hello["carts"].as_array().expect("carts");
        assert_eq!(carts.len(), rooms.len());
        for cart in carts {
            assert_eq!(cart["cart"]["seats"], json!(["A1", "A2"]), "{signal:?} {cart}");
        }
        for room in &rooms {
            let refused = ben.select(room, &["A1"]);
            assert_eq!(refused["code"], "seats_unavailable", "{room}: {refused}");
            assert_eq!(ben.release(room, &["B1"])["type"], "seats_released", "{room}");
            again.join(room);
            assert_eq!(again.release(room, &["A1", "A2"])["type"], "seats_released", "{room}");
        }
    }
}

/// What is not answered for a while is asked again, but for what would be done twice: the best seats are chosen once,
/// however long their owner takes to answer.
#[test]
fn the_best_seats_are_chosen_once() {
    let cluster = Cluster::new(&[("CLUSTER_LEASE_MS", "6000")]);
    let [a, b] = cluster.nodes(["a", "b"]);
    let rooms = rooms();
    let seat = |x: u32| json!({"id": format!("A{x}"), "section": "s", "row": "A", "number": x, "category": "a", "x": x, "y": 0});
    let plan = json!({"seats": (1..=8).map(seat).collect::<Vec<_>>()});
    assert_eq!(ask(&a, "PUT /v1/layouts/hall", &plan).status, 201);
    let shopper = |room: &String| {
        assert_eq!(ask(&b, &format!("PUT /v1/rooms/{room}"), &json!({"layout": "hall"})).status, 201);
        let (mut best, mut plain) = (Shopper::connect(&b, &format!("best of {room}")), Shopper::connect(&b, room));
        best.join(room);
        plain.join(room);
        (best, plain)
    };
    let mut shoppers: Vec<_> = rooms.iter().map(shopper).collect();
    a.signal(Signal::STOP);
    for ((best, plain), room) in shoppers.iter_mut().zip(&rooms) {
        best.send(json!({"type": "select_best", "room_id": room, "quantity": 2}));
        plain.send(json!({"type": "select_seats", "room_id": room, "seats": ["A8"]}));
    }
    eventually("what stands behind the best seats is asked again", || {
        let stats = b.stats();
        let again = stats["shards"].as_array().expect("shards").iter().map(|shard| shard["forwarded_again"].as_u64());
        (again.sum::<Option<u64>>().expect("numbers") > 0).then_some(())
    });
    a.signal(Signal::CONT);
    for ((best, plain), room) in shoppers.iter_mut().zip(&rooms) {
        let held = best.reply();
        assert_eq!((&held["type"], held["seats"].as_array().map(Vec::len)), (&"seats_held".into(), Some(2)), "{held}");
        assert_eq!(plain.reply()["type"], "seats_held", "{room}");
    }
    // What comes to the owner behind all that was asked.
    for ((best, _), room) in shoppers.iter_mut().zip(&rooms) {
        assert_eq!(best.select(room, &["A7"])["type"], "seats_held", "{room}");
        let counts = get(&a, &format!("/v1/rooms/{room}/counts")).1;
        assert_eq!(counts["total"]["held"], 4, "{room}: {counts}");
    }
}
