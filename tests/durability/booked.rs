//! `kill -9` while the backend sells: what it was answered about orders is true after the restart, in both modes. Holds
//! live in the window; orders do not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use serde_json::{Value, json};

use crate::harness::http::Http;
use crate::harness::wait::{at_once, size};
use crate::harness::{Server, eventually};
use crate::home::{Home, kill};

/// Backends that sell at once.
const SELLERS: usize = 8;

/// An order as its seller knows it.
#[derive(Debug)]
struct Known {
    seats: [String; 2],
    /// The state that was answered last, and the seats that were given back; nothing before the first answer.
    told: Option<State>,
    /// What a call without an answer would make of it: either is right.
    open: Option<State>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct State {
    name: &'static str,
    refunded: usize,
}

const CHECKOUT: State = State { name: "checkout", refunded: 0 };
const BOOKED: State = State { name: "booked", refunded: 0 };
const PARTLY: State = State { name: "booked", refunded: 1 };
const REFUNDED: State = State { name: "refunded", refunded: 2 };
const CANCELLED: State = State { name: "cancelled", refunded: 0 };

/// All orders of a room, by name.
type Orders = BTreeMap<String, Known>;

/// A call on a connection that stays. `None` when the server has ended.
fn call(http: &mut Http, line: &str, body: &Value) -> Option<(u16, Value)> {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let fields = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", text.len());
    let answer = http.ask(&format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{text}"))?;
    Some((answer.status, answer.json()))
}

/// The life of this order: calls, and what each makes of it.
fn life(number: usize, seats: &[String; 2]) -> Vec<(&'static str, Value, State)> {
    let book = ("POST /book", json!({}), BOOKED);
    match number % 5 {
        0 => vec![("POST /cancel", json!({"to": "free"}), CANCELLED)],
        1 => vec![book, ("POST /refund", json!({"seats": seats[..1]}), PARTLY)],
        2 => vec![book, ("POST /refund", json!({}), REFUNDED)],
        3 => vec![
            ("POST /cancel", json!({"to": "free"}), CANCELLED),
            ("POST /book", json!({"mode": "held_or_free"}), BOOKED),
        ],
        _ => vec![book],
    }
}

/// Sells in this room until the server ends.
fn sell(server: &Server, seller: usize, room: &str, answered: &AtomicUsize) -> Orders {
    let mut http = Http::new(server.dial_api());
    let mut orders = Orders::new();
    for number in 0.. {
        let name = format!("o-{seller}-{number}");
        let seats = ["a", "b"].map(|side| format!("{seller}-{number}-{side}"));
        let holder = json!({"holder": format!("till {seller}")});
        let hold = json!({"holder": holder["holder"], "seats": seats});
        match call(&mut http, &format!("POST /v1/rooms/{room}/hold"), &hold) {
            Some((200, _)) => {}
            Some((503, _)) => continue,
            Some(other) => panic!("a hold of free seats: {other:?}"),
            None => return orders,
        }
        let mut calls = vec![("PUT ", json!({"owner": holder, "seats": seats}), CHECKOUT)];
        calls.extend(life(number, &seats));
        let known = orders.entry(name.clone()).or_insert(Known { seats, told: None, open: None });
        for (line, body, state) in calls {
            known.open = Some(state);
            let (method, act) = line.split_once(' ').expect("two words");
            match call(&mut http, &format!("{method} /v1/rooms/{room}/orders/{name}{act}"), &body) {
                Some((200 | 201, answer)) => {
                    assert_eq!((&answer["state"], &answer["durable"]), (&state.name.into(), &true.into()), "{answer}");
                    (known.told, known.open) = (Some(state), None);
                    answered.fetch_add(1, Relaxed);
                }
                // The outcome is unknown, and this seller leaves it at that.
                Some((503, _)) => break,
                Some(other) => panic!("{line} {body}: {other:?}"),
                None => return orders,
            }
        }
    }
    orders
}

/// How many orders are not what their sellers were told. Those without an answer may be either.
fn lost(server: &Server, room: &str, orders: &Orders) -> usize {
    let mut http = Http::new(server.dial_api());
    let mut lost = 0;
    for (name, known) in orders {
        let line = format!("GET /v1/rooms/{room}/orders/{name}");
        let (status, order) = call(&mut http, &line, &Value::Null).expect("it lives");
        let line = format!("GET /v1/rooms/{room}/seats?state=booked&order={name}");
        // A room of which nothing was committed is not there.
        let (_, list) = call(&mut http, &line, &Value::Null).expect("it lives");
        let booked = list["seats"].as_array().map_or(0, Vec::len);
        let is = |state: &State| {
            let seats = if state.name == "booked" { known.seats.len() - state.refunded } else { 0 };
            let refunded = order["refunded"].as_array().map_or(0, Vec::len);
            status == 200 && order["state"] == state.name && refunded == state.refunded && booked == seats
        };
        let is_never = known.told.is_none() && status == 404 && booked == 0;
        if !is_never && !known.told.iter().chain(&known.open).any(is) {
            println!("{room}/{name}: {known:?}, and now {status} {order}, {booked} seats booked");
            lost += 1;
        }
    }
    lost
}

fn check(mut home: Home) {
    home.set("HOLD_TTL_MS", "60000");
    let rounds = size("KILL_ROUNDS", 10);
    let mut told: Vec<(String, Orders)> = Vec::new();
    let (mut answered, mut booked) = (0, 0);
    let mut server = home.start();
    for round in 0..rounds {
        let room = format!("show-{round}");
        let answers = &AtomicUsize::new(0);
        let orders = std::thread::scope(|scope| {
            let (server, room) = (&server, &room);
            let sellers = (0..SELLERS).map(|seller| scope.spawn(move || sell(server, seller, room, answers)));
            let sellers: Vec<_> = sellers.collect();
            // So that the crash comes at another moment each time.
            eventually("orders are answered", || (answers.load(Relaxed) >= 40 + round * 13 % 60).then_some(()));
            server.signal(rustix::process::Signal::KILL);
            sellers.into_iter().flat_map(|seller| seller.join().expect("a seller does not panic")).collect::<Orders>()
        });
        drop(server.ended());
        server = home.start();
        answered += orders.values().filter(|known| known.told.is_some()).count();
        booked += orders.values().filter(|known| known.told.is_some_and(|told| told.name == "booked")).count();
        assert_eq!(lost(&server, &room, &orders), 0, "round {round}");
        told.push((room, orders));
    }
    // Nothing of a sale expires by itself: the first rounds are there after the last crash.
    let gone: usize = told.iter().map(|(room, orders)| lost(&server, room, orders)).sum();
    println!("{rounds} crashes: {answered} orders answered, {booked} of them booked, {gone} lost");
    assert!(gone == 0 && booked > 0);
    kill(server);
}

#[test]
fn kill_embedded_booked() {
    at_once(["durable", "window"], |mode| check(Home::embedded(mode)));
}

#[test]
fn kill_redis_booked() {
    at_once(["durable", "window"], |mode| check(Home::redis(mode)));
}
