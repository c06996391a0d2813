//! A log that the test writes and the relay reads, with the faults of a server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::site::{Answer, Request, serve};

#[derive(Default)]
struct State {
    events: Vec<Value>,
    numbers: HashMap<String, i64>,
    /// Answers instead of events.
    instead: Option<u16>,
    key: Option<String>,
    asked: usize,
    /// Every so many questions go wrong: unanswered, 503, or cut off in the middle of a line.
    fault_every: Option<usize>,
}

/// The log of a server.
pub(crate) struct Log {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Log {
    pub(crate) fn new() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let address = serve({
            let state = Arc::clone(&state);
            move |request| state.lock().expect("nobody panicked").answer(request)
        });
        Self { url: format!("http://{address}"), state }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked")
    }

    /// Writes an event of a room.
    pub(crate) fn write(&self, room: &str, kind: &str, order: Option<&str>, seats: &[&str]) {
        let mut state = self.state();
        let (cursor, n) = (state.events.len() + 1, state.numbers.entry(room.into()).or_default());
        *n += 1;
        let mut event = json!({
            "id": format!("{room}/00000000000000e1/{n}"), "cursor": format!("at {cursor}"), "type": kind,
            "time": "2026-01-15T10:30:00.000Z", "room": room, "epoch": "00000000000000e1", "n": n, "first_seq": n,
            "seq": n, "seats": seats,
        });
        if let Some(order) = order {
            event["order"] = order.into();
            event["owner"] = json!({"holder": "till"});
        }
        state.events.push(event);
    }

    /// Writes this many orders, each with its whole life, in a few rooms.
    pub(crate) fn write_orders(&self, from: usize, count: usize) {
        for number in from..from + count {
            let (room, order) = (format!("room {}", number % 3), format!("order/{number}"));
            let (one, two) = (format!("A-{number}"), format!("B-{number}"));
            let seats = [one.as_str(), two.as_str()];
            self.write(&room, "seat.held", None, &seats);
            self.write(&room, "order.checkout", Some(&order), &seats);
            match number % 4 {
                0 => self.write(&room, "order.cancelled", Some(&order), &seats),
                1 => self.write(&room, "order.booked", Some(&order), &seats),
                2 => {
                    self.write(&room, "order.booked", Some(&order), &seats);
                    self.write(&room, "order.refunded", Some(&order), &seats[..1]);
                }
                _ => {
                    self.write(&room, "order.expired", Some(&order), &seats);
                    self.write(&room, "order.booked", Some(&order), &seats);
                    self.write(&room, "order.refunded", Some(&order), &seats);
                }
            }
        }
    }

    /// In which state the order of this number ends, and how many of its seats were refunded.
    pub(crate) fn end_of(number: usize) -> (&'static str, usize) {
        [("cancelled", 0), ("booked", 0), ("booked", 1), ("refunded", 2)][number % 4]
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        self.state().events.clone()
    }

    pub(crate) fn answer_instead(&self, status: Option<u16>) {
        self.state().instead = status;
    }

    pub(crate) fn fail_every(&self, questions: usize) {
        self.state().fault_every = Some(questions);
    }

    pub(crate) fn want_key(&self, key: &str) {
        self.state().key = Some(key.into());
    }

    pub(crate) fn asked(&self) -> usize {
        self.state().asked
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Option<Answer> {
        self.asked += 1;
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        assert_eq!(path, "/v1/events");
        let named = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let has_key = self.key.as_ref().is_none_or(|key| request.header("authorization") == format!("Bearer {key}"));
        let after = named("after").map(|cursor| cursor.replace("at+", "").parse::<usize>().expect("a cursor of ours"));
        if !has_key {
            return Some((401, None, "{\"title\":\"There is no such key\"}".into()));
        }
        // Only what has a cursor can be too old.
        if let Some(status) = self.instead.filter(|&status| status != 410 || after.is_some()) {
            return Some((status, Some("retry-after: 0".into()), "{\"title\":\"not now\"}".into()));
        }
        let limit: usize = named("limit").expect("a limit").parse().expect("a number");
        assert!(named("wait_s").is_some_and(|seconds| seconds.parse::<u64>().is_ok_and(|seconds| seconds <= 60)));
        let events = self.events.iter().skip(after.unwrap_or(0)).take(limit);
        let body: String = events.map(|event| format!("{event}\n")).collect();
        match self.fault_every.filter(|every| self.asked.is_multiple_of(*every)).map(|every| self.asked / every % 3) {
            None => Some((200, None, body)),
            Some(0) => None,
            Some(1) => Some((503, None, String::new())),
            // Cut off: it says more than it has.
            Some(_) => Some((200, Some(format!("content-length: {}", body.len() + 9)), body[..body.len() / 2].into())),
        }
    }
}
