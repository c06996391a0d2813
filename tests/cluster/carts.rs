//! Carts of the second protocol: they wait for their session, whichever node that comes back to.

use kit::client::{Client, text_frame};
use kit::server::Server;
use rustix::process::Signal;
use serde_json::{Value, json};

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
    fn ask(&mut self, mut request: Value) -> Value {
        request["id"] = 7.into();
        self.client.write(&text_frame(&request.to_string()));
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
