//! Owners by each of their names, and clients that are sent away.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::play as calls;
use crate::harness::{Client, Server};
use crate::second::script::{SHARDS, api, play};
use crate::selling::code;

const NONE: Value = Value::Null;

fn body(call: &str, body: &Value, expected: &Value) -> (&'static str, Value, Value) {
    ("api", api(call, body), expected.clone())
}

#[test]
fn a_session_pays_and_has_its_cart_back() {
    for settings in SHARDS {
        let server = Server::start(settings);
        let owner = json!({"owner": {"session_id": "$a"}});
        play(
            &server,
            &mut BTreeMap::new(),
            &[
                ("a", json!({"type": "join_room", "room_id": "r"}), json!({"type": "room_joined"})),
                ("a", NONE, json!({"type": "snapshot"})),
                (
                    "a",
                    json!({"type": "select_seats", "id": 1, "room_id": "r", "seats": ["1", "2"]}),
                    json!({"type": "seats_held"}),
                ),
                body("PUT /rooms/r/orders/o", &owner, &json!({"status": 201, "seats": ["1", "2"]})),
                ("a", NONE, json!({"type": "cart", "reason": "checkout", "order": "o"})),
                body("PUT /rooms/r/orders/o", &owner, &json!({"status": 200, "state": "checkout"})),
                // A v2 cart has no client id.
                body(
                    "PUT /rooms/r/orders/p",
                    &json!({"owner": {"client_id": "a"}}),
                    &json!({"status": 409, "code": "not_held"}),
                ),
                body(
                    "POST /rooms/r/orders/o/cancel",
                    &json!({"to": "cart"}),
                    &json!({"status": 200, "state": "cancelled"}),
                ),
                (
                    "a",
                    NONE,
                    json!({"type": "cart", "reason": "payment_failed", "order": "o", "cart": {"seats": ["1", "2"]}}),
                ),
                body(
                    "POST /rooms/r/orders/o/book",
                    &json!({"mode": "held_or_free"}),
                    &json!({"status": 200, "state": "booked"}),
                ),
                ("a", NONE, json!({"type": "cart", "reason": "booked", "order": "o", "cart": {"seats": []}})),
            ],
        );
    }
}

#[test]
fn a_client_is_sent_away_by_each_of_its_names() {
    for settings in SHARDS {
        let server = Server::start(settings);
        let mut second = Client::connect_on(server.dial(), "b", "?v=2");
        let session = second.json()["session_id"].clone();
        second.send(r#"{"type":"join_room","room_id":"r"}"#);
        assert_eq!([0, 1].map(|_| second.json()["type"].clone()), ["room_joined", "snapshot"].map(Value::from));
        let mut first = Client::join(&server, "ana", "r");
        calls(
            &server,
            &[
                ("POST /v1/clients/disconnect", json!({"client_id": "nobody"}), 200, json!({"closed": 0})),
                ("POST /v1/clients/disconnect", json!({"subject": "nobody"}), 200, json!({"closed": 0})),
                ("POST /v1/clients/disconnect", json!({"session_id": session}), 200, json!({"closed": 1})),
                ("POST /v1/clients/disconnect", json!({"client_id": "ana"}), 200, json!({"closed": 1})),
                ("POST /v1/clients/disconnect", json!({"client_id": "x", "ban_s": 86_401}), 422, code("invalid")),
            ],
        );
        second.expect_close(4503);
        first.expect_close(4503);
        // Without a ban it may come back.
        Client::join(&server, "ana", "r");
    }
}

/// Seats of two connections of one name, whichever of them are asked for.
#[test]
fn an_ambiguous_name_is_refused_unless_the_seats_say_whose() {
    for shards in ["1", "2"] {
        let server = Server::start(&[("SHARDS", shards)]);
        let mut both = [0, 1].map(|_| Client::join(&server, "ana", "r"));
        for (client, seats) in both.iter_mut().zip([["1", "2"], ["3", "4"]]) {
            for seat in seats {
                client.select("r", seat);
                crate::selling::told(client, "seat_selected", seat);
            }
        }
        let owner = json!({"client_id": "ana"});
        calls(
            &server,
            &[
                ("PUT /v1/rooms/r/orders/o", json!({"owner": owner}), 409, code("ambiguous_owner")),
                (
                    "PUT /v1/rooms/r/orders/o",
                    json!({"owner": owner, "seats": ["1", "3"]}),
                    409,
                    code("ambiguous_owner"),
                ),
                ("PUT /v1/rooms/r/orders/o", json!({"owner": owner, "seats": ["3"]}), 201, json!({"seats": ["3"]})),
                ("PUT /v1/rooms/r/orders/p", json!({"owner": owner, "seats": ["1", "2"]}), 201, json!({})),
                // Now it is clear whose the rest is.
                ("PUT /v1/rooms/r/orders/q", json!({"owner": owner}), 201, json!({"seats": ["4"]})),
            ],
        );
    }
}
