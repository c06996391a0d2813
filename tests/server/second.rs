//! The second protocol on the real binary: a cart, its deltas, and a session that goes on with another connection.

mod carts;
mod choosing;
mod clock;
mod maps;
mod requests;
mod rooms;
pub(crate) mod script;
mod seen;
mod sessions;

use script::{SHARDS, has};
use serde_json::{Value, json};

use crate::harness::client::{Client, Got, text_frame};
use crate::harness::rooms::unique;
use crate::harness::server::Server;

/// One that speaks the second protocol, and what it was greeted with.
fn connect(server: &Server, id: &str) -> (Client, Value) {
    let mut client = Client::connect_on(server.dial(), id, "?v=2");
    let hello = client.json();
    let fresh = json!({"type":"hello","resumed":false,"auth":"off","grace_ms":15_000,"ping_ms":25_000,"carts":[]});
    assert!(has(&fresh, &hello), "{hello}");
    (client, hello)
}

/// Sends a request and reads its reply; deltas in between are left out.
fn ask(client: &mut Client, request: &Value, expected: &Value) -> Value {
    client.write(&text_frame(&request.to_string()));
    get(client, expected)
}

/// The next message that is no delta.
fn get(client: &mut Client, expected: &Value) -> Value {
    let found = loop {
        let found = client.json();
        if found["type"] != "delta" || expected["type"] == "delta" {
            break found;
        }
    };
    assert!(has(expected, &found), "expected {expected}\n   found {found}");
    found
}

#[test]
fn a_cart_is_held_swapped_and_given_back() {
    for settings in SHARDS {
        let (server, room) = (Server::start(settings), unique("room"));
        let ((mut a, _), (mut b, _)) = (connect(&server, "a"), connect(&server, "b"));
        for client in [&mut a, &mut b] {
            let join = json!({"type":"join_room","id":1,"room_id":room});
            ask(
                client,
                &join,
                &json!({"type":"room_joined","id":1,"room_id":room,"seq":0,"sale":"open","tick_ms":100}),
            );
            get(client, &json!({"type":"snapshot","room_id":room,"seq":0,"seats":[],"cart":{"seats":[],"orders":[]}}));
        }
        let select = json!({"type":"select_seats","id":"x","room_id":room,"seats":["A1","A2"]});
        let held = json!({"type":"seats_held","id":"x","seq":2,"seats":["A1","A2"],"cart":{"seats":["A1","A2"]}});
        ask(&mut a, &select, &held);
        ask(&mut a, &select, &held);
        let changes = json!([["A1", 1], ["A2", 1]]);
        get(&mut b, &json!({"type":"delta","room_id":room,"from":1,"to":2,"changes":changes}));
        let taken = json!({"type":"select_seats","id":3,"room_id":room,"seats":["A2","B1"]});
        let conflicts = json!([{"seat_id":"A2","state":1}]);
        ask(&mut b, &taken, &json!({"type":"error","id":3,"code":"seats_unavailable","conflicts":conflicts}));
        let swap = json!({"type":"select_seats","id":4,"room_id":room,"seats":["C1"],"release":["A1"]});
        ask(&mut a, &swap, &json!({"type":"seats_held","id":4,"seq":4,"seats":["C1"],"cart":{"seats":["A2","C1"]}}));
        let not_owner = json!({"type":"release_seats","id":5,"room_id":room,"seats":["A2"]});
        ask(&mut b, &not_owner, &json!({"type":"error","id":5,"code":"not_owner"}));
        let all = json!({"type":"release_seats","id":6,"room_id":room,"all":true});
        ask(&mut a, &all, &json!({"type":"seats_released","id":6,"seq":6,"cart":{"seats":[],"expires_at":null}}));
        let wrong = json!({"type":"ping","id":1.5});
        ask(&mut a, &wrong, &json!({"type":"error","code":"bad_request"}));
        ask(&mut a, &json!({"type":"ping","id":7,"t":1}), &json!({"type":"pong","id":7,"t":1}));
        ask(&mut a, &json!({"type":"auth","id":8,"token":"x"}), &json!({"type":"error","id":8,"code":"unauthorized"}));
        ask(&mut a, &json!({"type":"leave_room","id":9,"room_id":room}), &json!({"type":"room_left","id":9}));
    }
}

#[test]
fn a_session_goes_on_with_its_token_and_nobody_else_does() {
    for settings in SHARDS {
        let (server, room) = (Server::start(settings), unique("room"));
        let (mut first, hello) = connect(&server, "a");
        let join = json!({"type":"join_room","room_id":room});
        let joined = ask(&mut first, &join, &json!({"type":"room_joined"}));
        get(&mut first, &json!({"type":"snapshot"}));
        let select = json!({"type":"select_seat","room_id":room,"seat_id":"A1"});
        ask(&mut first, &select, &json!({"type":"seats_held","seq":1}));
        let token = hello["session_token"].as_str().expect("a text");
        let (mut second, _) = connect(&server, "a");
        for wrong in ["", "x", &token[1..]] {
            let resume = json!({"type":"resume","id":1,"session_token":wrong,"rooms":[room]});
            ask(&mut second, &resume, &json!({"type":"error","id":1,"code":"session_unknown"}));
        }
        let resume = json!({"type":"resume","id":2,"session_token":token,"rooms":[room, "nothing here"]});
        let carts = json!([{"room_id":room,"cart":{"seats":["A1"]}}, {"room_id":"nothing here","cart":{"seats":[]}}]);
        let resumed = json!({"type":"hello","id":2,"resumed":true,"session_id":hello["session_id"],"carts":carts});
        ask(&mut second, &resume, &resumed);
        // A delta may stand before it.
        let closed = std::iter::repeat_with(|| first.got()).find(|got| !matches!(got, Got::Text(_)));
        assert!(matches!(closed, Some(Got::Close(Some(4505), _))), "{closed:?}");
        let since = json!({"epoch":joined["epoch"],"seq":0});
        let rejoin = json!({"type":"join_room","id":3,"room_id":room,"since":since});
        ask(&mut second, &rejoin, &json!({"type":"room_joined","id":3,"seq":1}));
        get(&mut second, &json!({"type":"delta","from":1,"to":1,"changes":[["A1", 1]]}));
        let now = json!({"type":"join_room","id":4,"room_id":room,"since":{"epoch":joined["epoch"],"seq":1}});
        ask(&mut second, &now, &json!({"type":"room_joined","id":4}));
        get(&mut second, &json!({"type":"delta","from":2,"to":1,"changes":[]}));
        let older = json!({"type":"join_room","id":5,"room_id":room,"since":{"epoch":"0000000000000000","seq":1}});
        ask(&mut second, &older, &json!({"type":"room_joined","id":5}));
        get(&mut second, &json!({"type":"snapshot","seq":1,"seats":[["A1", 1]]}));
    }
}
