//! One shopper: a socket of the first protocol, carts, orders, and a payment that goes as payments go.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tungstenite::{Error, Message, WebSocket};

use super::ledger::Order;
use super::map::{Map, States};
use super::place::Place;
use crate::clock::now_ns;
use crate::limits::{MAPS_AGREE_NS, SHOPPER_PATIENCE_NS};

/// How often a seat is given back when the connection breaks each time.
const RELEASES_MAX: usize = 3;
/// How long one read waits; then the shopper looks whether it has waited long enough.
const READ_WITHIN: Duration = Duration::from_millis(50);
/// How long an answer on the socket may take.
const ANSWER_NS: u64 = 20_000_000_000;

/// What becomes of a payment, in the hundredths of [`fate`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Fails,
    ComesLate,
    ComesTwice,
    Comes,
}

fn fate(hundredth: u32) -> Fate {
    match hundredth {
        0..10 => Fate::Fails,
        10..15 => Fate::ComesLate,
        15..20 => Fate::ComesTwice,
        _ => Fate::Comes,
    }
}

/// A shopper.
pub(super) struct Shopper<'a> {
    place: &'a Place,
    id: String,
    rng: SmallRng,
    map: Map,
    /// Which node is next.
    turn: usize,
    socket: Option<WebSocket<TcpStream>>,
    /// Seats that it has asked for.
    clicked: BTreeSet<String>,
}

impl<'a> Shopper<'a> {
    pub(super) fn new(place: &'a Place, number: usize, seed: u64) -> Self {
        let id = format!("{}-{number}", place.room);
        let rng = SmallRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9) ^ number as u64);
        Self { place, map: Map::of(&id), id, rng, turn: number, socket: None, clicked: BTreeSet::new() }
    }

    /// Buys so many times.
    pub(super) fn shop(&mut self, orders: usize) -> Result<(), String> {
        for number in 0..orders {
            let seats = self.choose()?;
            if !seats.is_empty() {
                let name = format!("{}-{number}", self.id);
                self.buy(&name, &seats)?;
            }
            self.place.tried.fetch_add(1, Relaxed);
        }
        // What a crash left it without an answer for, or gave back to its cart.
        let clicked: Vec<String> = std::mem::take(&mut self.clicked).into_iter().collect();
        self.let_go(&clicked)
    }

    /// Clicks on one to three seats that look free; those that it got.
    fn choose(&mut self) -> Result<Vec<String>, String> {
        let mut got = Vec::new();
        for _ in 0..self.rng.random_range(1..=3) {
            let seat = format!("s{}", self.rng.random_range(0..self.place.seats));
            if self.map.states.contains_key(&seat) {
                continue;
            }
            let request = json!({"type": "select_seat", "room_id": self.place.room, "seat_id": seat, "user_info": {}});
            self.clicked.insert(seat.clone());
            let answer = self.ask(&request, &seat, "seat_selected")?;
            if answer.is_some_and(|answer| answer["type"] == "seat_selected") {
                got.push(seat);
            }
        }
        Ok(got)
    }

    /// Checkout, payment, and what follows from it.
    fn buy(&mut self, name: &str, seats: &[String]) -> Result<(), String> {
        let fate = fate(self.rng.random_range(0..100));
        let ttl_s = if fate == Fate::ComesLate { 1 } else { 900 };
        let path = format!("/orders/{name}");
        let body = json!({"owner": {"client_id": self.id}, "seats": seats, "ttl_s": ttl_s});
        match self.place.call("PUT", &path, &body)? {
            (200 | 201, _) => self.note(name, |order| order.seats = seats.to_vec()),
            // The server was away for longer than the hold, or the socket broke: the cart is gone.
            (409, _) => return self.miss(name, &path, seats),
            (status, answer) => return Err(format!("PUT {name}: {status} {answer}")),
        }
        match fate {
            Fate::Fails => {
                self.expect("POST", &format!("{path}/cancel"), &json!({"to": "cart"}), "cancelled")?;
                self.note(name, |order| order.state = "cancelled");
                return self.let_go(seats);
            }
            Fate::ComesLate => return self.pay_late(name, &path),
            Fate::ComesTwice => {
                self.expect("POST", &format!("{path}/book"), &json!({}), "booked")?;
                self.expect("POST", &format!("{path}/book"), &json!({}), "booked")?;
            }
            Fate::Comes => self.expect("POST", &format!("{path}/book"), &json!({}), "booked")?,
        }
        self.note(name, |order| order.state = "booked");
        self.perhaps_refund(name, &path, seats)
    }

    /// There will be no order, unless one was made by a call whose answer a crash took: its deadline has passed then.
    fn miss(&mut self, name: &str, path: &str, seats: &[String]) -> Result<(), String> {
        match self.place.call("GET", path, &Value::Null)? {
            (404, _) => {}
            (200, answer) if answer["state"] == "expired" => {
                self.note(name, |order| (order.seats, order.state) = (seats.to_vec(), "expired"));
            }
            (status, answer) => return Err(format!("{name} was refused, and now: {status} {answer}")),
        }
        self.let_go(seats)
    }

    /// The payment comes behind the deadline: all of its seats, or none.
    fn pay_late(&mut self, name: &str, path: &str) -> Result<(), String> {
        let give_up = now_ns() + SHOPPER_PATIENCE_NS;
        while self.place.call("GET", path, &Value::Null)?.1["state"] != "expired" {
            if now_ns() > give_up {
                return Err(format!("{name} does not expire"));
            }
            self.read()?;
        }
        self.note(name, |order| order.state = "expired");
        match self.place.call("POST", &format!("{path}/book"), &json!({"mode": "held_or_free"}))? {
            (200, _) => self.note(name, |order| order.state = "booked"),
            // Somebody else has some of them: the shop gives the money back.
            (409, answer) if answer["code"] == "seats_lost" => {}
            (status, answer) => return Err(format!("late book of {name}: {status} {answer}")),
        }
        Ok(())
    }

    fn perhaps_refund(&mut self, name: &str, path: &str, seats: &[String]) -> Result<(), String> {
        let back = match self.rng.random_range(0..100) {
            0..4 => seats,
            4..8 => &seats[..1],
            _ => return Ok(()),
        };
        let state = if back.len() == seats.len() { "refunded" } else { "booked" };
        self.expect("POST", &format!("{path}/refund"), &json!({"seats": back}), state)?;
        self.note(name, |order| (order.state, order.refunded) = (state, back.to_vec()));
        Ok(())
    }

    fn note(&self, name: &str, change: impl FnOnce(&mut Order)) {
        let mut ledger = self.place.ledger.lock().expect("nobody panicked");
        let new = || Order { seats: Vec::new(), refunded: Vec::new(), state: "checkout" };
        change(ledger.0.entry(name.to_owned()).or_insert_with(new));
    }

    fn expect(&self, method: &str, path: &str, body: &Value, state: &str) -> Result<(), String> {
        match self.place.call(method, path, body)? {
            (200, answer) if answer["state"] == state => Ok(()),
            (status, answer) => Err(format!("{method} {path} {body}: expected {state}, got {status} {answer}")),
        }
    }

    /// Gives back what it may still hold.
    pub(super) fn let_go(&mut self, seats: &[String]) -> Result<(), String> {
        for seat in seats {
            let request = json!({"type": "release_seat", "room_id": self.place.room, "seat_id": seat});
            // A connection that breaks may have taken the request with it: what came back to the cart stays for a
            // minute, and would be waited for at the end.
            for _ in 0..RELEASES_MAX {
                if self.ask(&request, seat, "seat_released")?.is_some() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Reads on until its map is this. What is different then, if something is.
    pub(super) fn agree(&mut self, states: &States) -> Result<Option<String>, String> {
        let give_up = now_ns() + MAPS_AGREE_NS;
        while self.map.states != *states && now_ns() < give_up {
            self.read()?;
        }
        let seats = self.map.states.keys().chain(states.keys());
        let mut differ = seats.filter(|seat| self.map.states.get(*seat) != states.get(*seat));
        Ok(differ.next().map(|seat| {
            let [mine, theirs] = [&self.map.states, states].map(|map| map.get(seat).map_or("free", String::as_str));
            format!("the map of {}: seat {seat} is {mine}, and the API says {theirs}", self.id)
        }))
    }

    /// Asks, and reads until the answer. Nothing when the connection broke meanwhile.
    fn ask(&mut self, request: &Value, seat: &str, reply: &str) -> Result<Option<Value>, String> {
        self.connected()?;
        let Some(socket) = &mut self.socket else { return Ok(None) };
        if socket.send(Message::text(request.to_string())).is_err() {
            self.socket = None;
            return Ok(None);
        }
        let give_up = now_ns() + ANSWER_NS;
        while now_ns() < give_up {
            let Some(message) = self.read()? else {
                if self.socket.is_none() {
                    return Ok(None);
                }
                continue;
            };
            let is_own = message["client_id"] == self.id.as_str() && message["seat_id"] == seat;
            if message["type"] == "error" || (message["type"] == reply && is_own) {
                return Ok(Some(message));
            }
        }
        Err(format!("{}: no answer to {request}", self.id))
    }

    /// The next message, if one comes within [`READ_WITHIN`]. It is on the map already.
    fn read(&mut self) -> Result<Option<Value>, String> {
        self.connected()?;
        let Some(socket) = &mut self.socket else { return Ok(None) };
        match socket.read() {
            Ok(Message::Text(text)) => {
                let message = serde_json::from_str(&text).map_err(|error| format!("not JSON: {text}: {error}"))?;
                if let Some(fault) = self.map.take(&message) {
                    self.place.fault(format!("{} saw: {fault}", self.id));
                }
                Ok(Some(message))
            }
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_)) => Ok(None),
            Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            Ok(Message::Close(_)) | Err(_) => {
                self.socket = None;
                Ok(None)
            }
        }
    }

    /// Connects and joins unless it is connected.
    fn connected(&mut self) -> Result<(), String> {
        let give_up = now_ns() + SHOPPER_PATIENCE_NS;
        while self.socket.is_none() {
            match self.connect() {
                Ok(socket) => self.socket = Some(socket),
                Err(why) if now_ns() > give_up => return Err(format!("{}: {why}", self.id)),
                Err(_) => std::thread::park_timeout(READ_WITHIN),
            }
            // Who comes back, or is not let in, goes to the next node.
            self.turn += 1;
        }
        Ok(())
    }

    fn connect(&self) -> Result<WebSocket<TcpStream>, String> {
        let target = self.place.targets.of(self.turn);
        let stream = TcpStream::connect(target.addr).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(|error| error.to_string())?;
        let url = format!("ws://{}{}", target.host, target.path_of(&self.id));
        let (mut socket, _) = tungstenite::client(url.as_str(), stream).map_err(|error| error.to_string())?;
        let join = json!({"type": "join_room", "room_id": self.place.room}).to_string();
        socket.send(Message::text(join)).map_err(|error| error.to_string())?;
        socket.get_mut().set_read_timeout(Some(READ_WITHIN)).map_err(|error| error.to_string())?;
        Ok(socket)
    }
}
