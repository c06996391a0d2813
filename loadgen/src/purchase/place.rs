//! What all shoppers share: the room, the backend's API, the shop's book, and the violations that were seen.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use serde_json::Value;

use super::ledger::{Booked, Ledger};
use super::map::States;
use crate::clock::now_ns;
use crate::hall::Api;
use crate::limits::SHOPPER_PATIENCE_NS;
use crate::target::Targets;

/// The sale.
pub(super) struct Place {
    pub(super) targets: Targets,
    pub(super) api: Api,
    pub(super) room: String,
    pub(super) seats: usize,
    pub(super) ledger: Mutex<Ledger>,
    pub(super) faults: Mutex<Vec<String>>,
    /// Orders that were tried.
    pub(super) tried: AtomicUsize,
    /// Times that a call was made again because the server was away or could not answer.
    pub(super) again: AtomicUsize,
}

impl Place {
    /// Asks the API about the room until there is an answer that means something: every call is idempotent by its name.
    pub(super) fn call(&self, method: &str, path: &str, body: &Value) -> Result<(u16, Value), String> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let path = format!("/v1/rooms/{}{path}", self.room);
        let give_up = now_ns() + SHOPPER_PATIENCE_NS;
        loop {
            let said = match self.api.call(method, &path, &body) {
                Ok(answer) if answer.status != 503 => {
                    let json = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
                    return Ok((answer.status, json));
                }
                Ok(answer) => String::from_utf8_lossy(&answer.body).into_owned(),
                Err(error) => error.to_string(),
            };
            if now_ns() > give_up {
                return Err(format!("{method} {path}: no answer: {said}"));
            }
            self.again.fetch_add(1, Relaxed);
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Notes a violation.
    pub(super) fn fault(&self, line: String) {
        self.faults.lock().expect("nobody panicked").push(line);
    }

    /// What is listed once nothing is under way any more: carts whose owners a crash drove away come to their end.
    pub(super) fn settled(&self) -> Result<(States, Booked), String> {
        let give_up = now_ns() + 2 * SHOPPER_PATIENCE_NS;
        loop {
            let listed = self.listed()?;
            let is_settled = listed.0.values().all(|state| state == "booked" || state == "blocked");
            if is_settled || now_ns() > give_up {
                return Ok(listed);
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// All seats that are not free, and the orders of those that are booked.
    pub(super) fn listed(&self) -> Result<(States, Booked), String> {
        let (mut states, mut booked) = (States::new(), Booked::new());
        let mut after = String::new();
        loop {
            let (status, page) = self.call("GET", &format!("/seats?limit=1000{after}"), &Value::Null)?;
            let all = page["seats"].as_array().ok_or_else(|| format!("GET seats: {status} {page}"))?;
            for one in all {
                let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
                if text("state") == "booked" {
                    booked.insert(text("seat"), text("order"));
                }
                states.insert(text("seat"), text("state"));
            }
            match page["next"].as_str() {
                // Names of seats here need no encoding.
                Some(next) => after = format!("&after={next}"),
                None => return Ok((states, booked)),
            }
        }
    }
}
