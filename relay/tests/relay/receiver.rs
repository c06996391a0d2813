//! A receiver of webhooks as a shop would write one: it checks the signature before it reads anything, and knows an
//! event that comes twice by its id.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kit::wait::wall_ms;
use ring::hmac;
use serde_json::Value;

use super::site::{Answer, Request, serve};

/// The secret of the tests, as the file of the relay has it.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[derive(Default)]
struct State {
    taken: Vec<Value>,
    known: HashSet<String>,
    next: HashMap<String, i64>,
    repeats: usize,
    asked: usize,
    fault_every: Option<usize>,
    /// The id of an event that is refused, and how.
    poison: Option<(String, u16)>,
}

/// Takes events.
pub(crate) struct Receiver {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    pub(crate) fn new() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let address = serve({
            let state = Arc::clone(&state);
            move |request| {
                check_signature(request);
                state.lock().expect("nobody panicked").answer(request)
            }
        });
        Self { url: format!("http://{address}/hook"), state }
    }

    /// Every so many messages are refused for now, or taken without an answer.
    pub(crate) fn fail_every(&self, messages: usize) {
        self.state.lock().expect("nobody panicked").fault_every = Some(messages);
    }

    /// Refuses this event for good, or none.
    pub(crate) fn refuse(&self, id: Option<(&str, u16)>) {
        self.state.lock().expect("nobody panicked").poison = id.map(|(id, status)| (id.to_owned(), status));
    }

    /// What it has taken, each event once.
    pub(crate) fn taken(&self) -> Vec<Value> {
        self.state.lock().expect("nobody panicked").taken.clone()
    }

    pub(crate) fn repeats(&self) -> usize {
        self.state.lock().expect("nobody panicked").repeats
    }
}

/// As the specification of Standard Webhooks says, by nothing of the relay's.
fn check_signature(request: &Request) {
    let [id, timestamp, signature] =
        ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|n| request.header(n));
    let age_s = (wall_ms() / 1000).abs_diff(timestamp.parse().expect("seconds"));
    assert!(age_s < 300, "it is {age_s} s old");
    let key = BASE64_STANDARD.decode(&SECRET["whsec_".len()..]).expect("it is base64");
    let tag = BASE64_STANDARD.decode(signature.strip_prefix("v1,").expect("its version")).expect("it is base64");
    let signed = format!("{id}.{timestamp}.{}", request.body);
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes(), &tag).expect("it is signed by the relay");
    assert_eq!(request.header("content-type"), "application/cloudevents+json; charset=utf-8");
}

impl State {
    fn answer(&mut self, request: &Request) -> Option<Answer> {
        self.asked += 1;
        let event: Value = serde_json::from_str(&request.body).expect("it is JSON");
        let (id, data) = (event["id"].as_str().expect("a name").to_owned(), event["data"].clone());
        assert_eq!((&event["specversion"], &event["id"], &event["type"]), (&"1.0".into(), &data["id"], &data["type"]));
        if let Some((poison, status)) = &self.poison
            && *poison == id
        {
            return Some((*status, None, "I do not\nknow this".into()));
        }
        let fault =
            self.fault_every.filter(|every| self.asked.is_multiple_of(*every)).map(|every| self.asked / every % 3);
        match fault {
            Some(0) => return Some((503, None, String::new())),
            Some(1) => return Some((429, Some("retry-after: 0".into()), String::new())),
            _ => {}
        }
        self.take(id, data);
        // Taken, but the answer is lost.
        if fault.is_some() { None } else { Some((204, None, String::new())) }
    }

    fn take(&mut self, id: String, data: Value) {
        if !self.known.insert(id) {
            self.repeats += 1;
            return;
        }
        let (room, n) = (data["room"].as_str().expect("a room"), data["n"].as_i64().expect("a number"));
        let next = self.next.entry(room.to_owned()).or_insert(1);
        assert_eq!(n, *next, "in order in {room}");
        *next += 1;
        self.taken.push(data);
    }
}
