//! The second protocol when a commit fails: carts, maps and positions stay one history, and what was told is kept.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::failing::{through_proxy, until_status};
use crate::harness::client::{Client, text_frame};
use crate::harness::http::Http;
use crate::harness::{Server, eventually};
use crate::home::{Home, held, kill, stop};
use crate::proxy::Fault;

const ROOM: &str = "show";

/// A client that keeps the map and its cart as the protocol says.
struct Fan {
    client: Client,
    next: u64,
    /// Where its map stands; nothing before the first one.
    at: Option<u64>,
    seats: BTreeMap<String, u64>,
    cart: Vec<String>,
    epoch: Value,
}

impl Fan {
    fn connect(server: &Server, id: &str) -> (Self, Value) {
        let mut client = Client::connect_on(server.dial(), id, "?v=2");
        let hello = client.json();
        assert_eq!(hello["type"], "hello");
        (Self { client, next: 1, at: None, seats: BTreeMap::new(), cart: Vec::new(), epoch: Value::Null }, hello)
    }

    fn join(server: &Server, id: &str) -> Self {
        let mut fan = Self::connect(server, id).0;
        let joined = fan.ask(json!({"type": "join_room"}));
        assert_eq!(joined["type"], "room_joined");
        fan.until_it_has_a_map();
        fan
    }

    fn until_it_has_a_map(&mut self) {
        while self.at.is_none() {
            self.read();
        }
    }

    /// Sends a request about the room, without waiting for its reply. Its `id`.
    fn send(&mut self, mut request: Value) -> u64 {
        let id = self.next;
        self.next += 1;
        (request["id"], request["room_id"]) = (id.into(), ROOM.into());
        self.client.write(&text_frame(&request.to_string()));
        id
    }

    fn ask(&mut self, request: Value) -> Value {
        let id = self.send(request);
        self.reply(id)
    }

    fn reply(&mut self, id: u64) -> Value {
        loop {
            let message = self.read();
            if !message["id"].is_null() {
                assert_eq!(message["id"], id, "replies come in the order of requests: {message}");
                return message;
            }
        }
    }

    fn select(&mut self, seats: &[&str], release: &[&str]) -> Value {
        self.ask(json!({"type": "select_seats", "seats": seats, "release": release}))
    }

    fn read(&mut self) -> Value {
        let message = self.client.json();
        let number = |name: &str| message[name].as_u64().expect("a number");
        match message["type"].as_str().expect("a type") {
            "room_joined" => self.epoch = message["epoch"].clone(),
            "snapshot" => {
                self.seats.clear();
                self.at = Some(number("seq"));
                self.change(&message["seats"]);
            }
            "delta" => {
                let at = self.at.expect("a delta comes behind a map, or since one");
                assert!(number("from") <= at + 1, "a hole behind {at}: {message}");
                if number("to") > at {
                    self.at = Some(number("to"));
                    self.change(&message["changes"]);
                }
            }
            _ => {}
        }
        if let Some(seats) = message["cart"]["seats"].as_array() {
            self.cart = seats.iter().map(|seat| seat.as_str().expect("an id").into()).collect();
        }
        message
    }

    fn change(&mut self, changes: &Value) {
        // In a room with a layout a map is bits, and changes name numbers.
        for change in changes.as_array().into_iter().flatten() {
            let seat = change[0].as_str().map_or_else(|| change[0].to_string(), Into::into);
            let state = change[1].as_u64().expect("a state");
            if state == 0 {
                self.seats.remove(&seat)
            } else {
                self.seats.insert(seat, state)
            };
        }
    }

    /// Its map, as far as it was told, is the one that it gets when it asks.
    fn check(&mut self) {
        let asked = self.send(json!({"type": "sync"}));
        let (mut told, mut at) = (self.seats.clone(), self.at);
        loop {
            let message = self.read();
            if message["id"] == asked {
                assert_eq!(message["type"], "snapshot", "{message}");
                break;
            }
            (told, at) = (self.seats.clone(), self.at);
        }
        if at == self.at {
            assert_eq!(told, self.seats, "what was told by deltas, at {at:?}");
        }
    }
}

/// What the backend's API answers: the status and the body.
fn api(server: &Server, line: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut http = Http::new(server.dial_api());
    let length = body.len();
    http.send(&format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    ));
    let answer = http.response(false);
    assert_eq!(answer.status == 503, answer.header("retry-after").is_some(), "{}", answer.head);
    (answer.status, answer.json())
}

fn seats(list: &[&str]) -> Vec<String> {
    list.iter().map(|&seat| seat.into()).collect()
}

#[test]
fn a_cart_that_cannot_be_stored_was_never_there() {
    for (shards, fault) in [("1", Fault::BlackHole), ("2", Fault::Refuse), ("2", Fault::Mute)] {
        let (mut home, proxy) = through_proxy("durable");
        home.set("SHARDS", shards);
        let server = home.start();
        let (mut ana, mut eve) = (Fan::join(&server, "ana"), Fan::join(&server, "eve"));
        let mut old = Client::join(&server, "old", ROOM);
        assert_eq!(ana.select(&["A1", "A2"], &[])["type"], "seats_held");
        eve.check();
        let since = json!({"epoch": eve.epoch, "seq": eve.at});
        proxy.set(fault);
        // One request behind the other, before the first is given up.
        let swap = ana.send(json!({"type": "select_seats", "seats": ["B1"], "release": ["A1"]}));
        let more = ana.send(json!({"type": "select_seats", "seats": ["B2", "B3"]}));
        let sync = eve.send(json!({"type": "sync"}));
        let (mut late, _) = Fan::connect(&server, "late");
        let join = late.send(json!({"type": "join_room"}));
        let (mut back, _) = Fan::connect(&server, "back");
        (back.at, back.seats) = (eve.at, eve.seats.clone());
        let rejoin = back.send(json!({"type": "join_room", "since": since}));
        for asked in [swap, more] {
            let refused = ana.reply(asked);
            assert_eq!(refused["code"], "persistence_unavailable", "{fault:?}: {refused}");
        }
        assert_eq!(eve.reply(sync)["type"], "snapshot");
        assert_eq!(late.reply(join)["type"], "room_joined");
        assert_eq!(back.reply(rejoin)["type"], "room_joined");
        until_status(&server, 503, "unavailable");
        proxy.set(Fault::None);
        until_status(&server, 200, "healthy");
        let held_now = ana.select(&["C1"], &[]);
        assert_eq!(held_now["type"], "seats_held", "{held_now}");
        for fan in [&mut ana, &mut eve, &mut late, &mut back] {
            fan.until_it_has_a_map();
            fan.check();
            assert!(!fan.seats.keys().any(|seat| seat.starts_with('B')), "{fault:?}: {:?}", fan.seats);
            assert!(fan.seats.contains_key("C1") && fan.seats.contains_key("A2"), "{fault:?}: {:?}", fan.seats);
        }
        let truth: Vec<String> = held(&server, ROOM).into_iter().map(|(seat, _)| seat).collect();
        assert_eq!(truth, eve.seats.keys().cloned().collect::<Vec<_>>(), "{fault:?}");
        let mut cart = ana.cart.clone();
        cart.sort();
        assert_eq!(cart, truth, "{fault:?}: she has what she was told");
        // The first protocol was told one history, without a hole.
        old.select(ROOM, "Z");
        let mut seqs: Vec<u64> = Vec::new();
        loop {
            let event = old.json();
            if let Some(seq) = event["seq"].as_u64().filter(|_| event["type"] != "room_joined") {
                assert!(seqs.last().is_none_or(|last| *last + 1 == seq), "{fault:?}: {seqs:?} and then {event}");
                seqs.push(seq);
            }
            if event["seat_id"] == "Z" {
                break;
            }
        }
        kill(server);
        let again: Vec<String> = held(&home.start(), ROOM).into_iter().map(|(seat, _)| seat).collect();
        let kept: Vec<String> = truth.into_iter().chain(["Z".into()]).collect();
        assert_eq!(again, kept, "{fault:?}: after a crash");
    }
}

#[test]
fn a_session_that_comes_back_while_the_store_is_away_gets_its_cart() {
    let (mut home, proxy) = through_proxy("durable");
    home.set("SHARDS", "2");
    let server = home.start();
    let (mut ana, hello) = Fan::connect(&server, "ana");
    ana.ask(json!({"type": "join_room"}));
    ana.until_it_has_a_map();
    assert_eq!(ana.select(&["A1", "A2"], &[])["type"], "seats_held");
    proxy.set(Fault::BlackHole);
    drop(ana);
    let (mut back, _) = Fan::connect(&server, "ana");
    let resume = json!({"type": "resume", "id": 0, "session_token": hello["session_token"], "rooms": [ROOM]});
    back.client.write(&text_frame(&resume.to_string()));
    let resumed = back.client.json();
    assert_eq!((&resumed["type"], &resumed["resumed"]), (&"hello".into(), &true.into()), "{resumed}");
    assert_eq!(resumed["carts"][0]["cart"]["seats"], json!(["A1", "A2"]), "{resumed}");
    proxy.set(Fault::None);
    until_status(&server, 200, "healthy");
    back.ask(json!({"type": "join_room"}));
    back.until_it_has_a_map();
    eventually("she may go on", || (back.select(&["A3"], &[])["type"] == "seats_held").then_some(()));
    back.check();
    assert_eq!(back.cart, seats(&["A1", "A2", "A3"]));
    kill(server);
}

#[test]
fn after_a_crash_a_cart_waits_for_who_has_its_proof() {
    for mut home in [Home::embedded("durable"), Home::redis("durable")] {
        home.set("SHARDS", "2");
        let server = home.start();
        let (mut ana, hello) = Fan::connect(&server, "ana");
        assert_eq!(ana.select(&["A1", "A2"], &[])["type"], "seats_held");
        let told = ana.ask(json!({"type": "extend_hold"}));
        assert_eq!(told["type"], "hold_extended", "{told}");
        kill(server);
        let server = home.start();
        // Others of her name have nothing of hers, whatever they speak.
        let (mut other, _) = Fan::connect(&server, "ana");
        let release = json!({"type": "release_seats", "seats": ["A1"]});
        assert_eq!(other.ask(release.clone())["code"], "not_owner");
        assert_eq!(other.select(&["A1"], &[])["code"], "seats_unavailable");
        let mut first = Client::connect(&server, "ana");
        first.release(ROOM, "A1");
        assert_eq!(first.json()["code"], "not_owner");
        let (mut back, _) = Fan::connect(&server, "ana");
        let resume = json!({"type": "resume", "session_token": hello["session_token"], "rooms": [ROOM]});
        back.client.write(&text_frame(&resume.to_string()));
        let resumed = back.client.json();
        assert_eq!((&resumed["resumed"], &resumed["session_id"]), (&true.into(), &hello["session_id"]), "{resumed}");
        let (cart, before) = (&resumed["carts"][0]["cart"], &told["cart"]);
        for member in ["seats", "extends_left", "orders", "expires_at"] {
            assert_eq!(cart[member], before[member], "{member}: {cart} {before}");
        }
        assert_eq!(back.ask(json!({"type": "extend_hold"}))["code"], "extend_limit");
        assert_eq!(back.ask(release)["type"], "seats_released");
        kill(server);
    }
}

/// In both modes with a store: what the shop is not told may have happened, and asking again says what has.
#[test]
fn an_order_that_could_not_be_stored_is_asked_for_again() {
    for durability in ["window", "durable"] {
        let (home, proxy) = through_proxy(durability);
        let server = home.start();
        let (mut ana, hello) = Fan::connect(&server, "ana");
        ana.ask(json!({"type": "join_room"}));
        ana.until_it_has_a_map();
        assert_eq!(ana.select(&["A1", "A2"], &[])["type"], "seats_held");
        proxy.set(Fault::BlackHole);
        let owner = json!({"owner": {"session_id": hello["session_id"]}});
        let put = || api(&server, "PUT /v1/rooms/show/orders/o-1", &owner);
        let (status, problem) = put();
        assert_eq!((status, &problem["code"]), (503, &"persistence_unavailable".into()), "{durability}: {problem}");
        // A list without the room would say that there is none.
        let (status, rooms) = api(&server, "GET /v1/rooms", &Value::Null);
        assert!(status == 503 || rooms["rooms"][0]["room"] == ROOM, "{durability}: {rooms}");
        proxy.set(Fault::None);
        until_status(&server, 200, "healthy");
        let (status, order) = eventually("the order is there", || Some(put()).filter(|(status, _)| *status != 503));
        assert!([200, 201].contains(&status), "{durability}: {order}");
        assert_eq!((&order["state"], &order["seats"]), (&"checkout".into(), &json!(["A1", "A2"])), "{order}");
        let (status, order) = api(&server, "POST /v1/rooms/show/orders/o-1/book", &json!({}));
        assert_eq!((status, &order["state"], &order["durable"]), (200, &"booked".into(), &true.into()), "{order}");
        ana.check();
        assert_eq!(ana.seats.values().collect::<Vec<_>>(), [&2, &2], "{durability}");
        kill(server);
        let server = home.start();
        let (status, order) = api(&server, "GET /v1/rooms/show/orders/o-1", &Value::Null);
        assert_eq!((status, &order["state"]), (200, &"booked".into()), "{durability}: {order}");
    }
}

#[test]
fn a_layout_that_was_put_is_there_after_a_crash() {
    for mut home in Home::all() {
        let seat =
            |id: &str| json!({"id": id, "section": "s", "row": "A", "number": 1, "category": "c", "x": 0, "y": 0});
        let plan = |seats: &[&str]| json!({"seats": seats.iter().map(|id| seat(id)).collect::<Vec<_>>()});
        let server = home.start();
        let (status, first) = api(&server, "PUT /v1/layouts/hall%2F1", &plan(&["A1"]));
        assert_eq!((status, &first["durable"]), (201, &true.into()), "{first}");
        let (_, second) = api(&server, "PUT /v1/layouts/hall%2F1", &plan(&["A1", "A2"]));
        let (status, _) = api(&server, "PUT /v1/layouts/gone", &plan(&["A1"]));
        assert_eq!(status, 201);
        assert_eq!(api(&server, "DELETE /v1/layouts/gone", &Value::Null).0, 200);
        let (status, room) = api(&server, "PUT /v1/rooms/show", &json!({"layout": "hall/1"}));
        assert_eq!((status, &room["layout"]["version"]), (201, &second["version"]), "{room}");
        // What was put again is the latest.
        assert_eq!(api(&server, "PUT /v1/layouts/hall%2F1", &plan(&["A1"])).0, 200);
        assert_eq!(api(&server, "PUT /v1/layouts/hall%2F1", &plan(&["A1", "A2"])).0, 200);
        kill(server);
        let check = |server: &Server, seat: &str| {
            let (status, found) = api(server, "GET /v1/layouts/hall%2F1", &Value::Null);
            assert_eq!((status, &found["versions"]), (200, &json!([first["version"], second["version"]])), "{found}");
            assert_eq!(found["durable"], true, "{found}");
            assert_eq!(api(server, "GET /v1/layouts/gone", &Value::Null).0, 404);
            let (mut ana, _) = Fan::connect(server, "ana");
            assert_eq!(ana.ask(json!({"type": "join_room"}))["layout"]["seats"], 2);
            assert_eq!(ana.select(&[seat], &[])["type"], "seats_held");
        };
        let server = home.start();
        check(&server, "A2");
        if home.redis.is_none() {
            kill(server);
            continue;
        }
        // With Redis it is there on another machine, and when Redis has lost it while the server lived.
        stop(server);
        home.set("DATA_DIR", &home.data_dir().join("another machine").display().to_string());
        let server = home.start();
        check(&server, "A1");
        let redis = home.redis.as_ref().expect("it is there");
        let _: () = redis.ask(&["FLUSHALL"]);
        let layouts = "{butaca:lease}:layouts";
        eventually("they are written anew", || (redis.ask::<u64>(&["HLEN", layouts]) == 2).then_some(()));
        stop(server);
    }
}
