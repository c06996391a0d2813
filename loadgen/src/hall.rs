//! Rooms with a layout: the plan of a hall of equal rows, and rooms that are made through the API of the shop's
//! backend.
//!
//! Invariant: the seats of a plan that is made here are numbered as [`Hall`] numbers them. Never here: WebSockets.

use std::fmt::Write as _;
use std::net::SocketAddrV4;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use serde::Deserialize;

use crate::http;
use crate::names::{Hall, Names};
use crate::target::Targets;

const WITHIN: Duration = Duration::from_secs(20);

/// The plan of a hall, in our JSON.
#[must_use]
pub fn plan(hall: Hall) -> String {
    let mut json = String::from("{\"seats\":[");
    for seat in 0..hall.seats() {
        let (block, row, place) = hall.place(seat);
        let comma = if seat == 0 { "" } else { "," };
        let (x, y) = (u64::from(block) * 40 + u64::from(place), row);
        let (block, row, place) = (block + 1, row + 1, place + 1);
        write!(
            json,
            r#"{comma}{{"id":"{block}-{row}-{place}","section":"{block}","row":"{row}","number":{place},"category":"a","x":{x},"y":{y}}}"#
        )
        .expect("a String takes everything");
    }
    json.push_str("]}");
    json
}

/// The names of the seats of a plan, in its order.
///
/// # Errors
/// One line: it cannot be read.
pub fn seats_of(file: &Path) -> Result<Vec<String>, String> {
    #[derive(Deserialize)]
    struct Seat {
        id: String,
    }
    #[derive(Deserialize)]
    struct Plan {
        seats: Vec<Seat>,
    }
    let text = std::fs::read(file).map_err(|error| format!("--layout {}: {error}", file.display()))?;
    let plan: Plan = serde_json::from_slice(&text).map_err(|error| format!("--layout {}: {error}", file.display()))?;
    Ok(plan.seats.into_iter().map(|seat| seat.id).collect())
}

/// The API of the shop's backend.
#[derive(Clone, Debug)]
pub struct Api {
    addrs: Vec<SocketAddrV4>,
    /// Calls that were made, by all who share this: each goes to the next node.
    calls: Arc<AtomicUsize>,
    head: String,
}

impl Api {
    /// Reads `http://127.0.0.1:8000`.
    ///
    /// # Errors
    /// One line: it is no address of this machine.
    pub fn new(url: &str, key: Option<&str>) -> Result<Self, String> {
        Self::of(&[url.to_owned()], key)
    }

    /// The same for one URL a node, of which there is at least one.
    ///
    /// # Errors
    /// One line: one of them is no address of this machine.
    pub fn of(urls: &[String], key: Option<&str>) -> Result<Self, String> {
        let sockets: Vec<String> = urls.iter().map(|url| url.replacen("http://", "ws://", 1)).collect();
        let targets = Targets::parse(&sockets).map_err(|error| error.replace("--url ws", "--api http"))?;
        let key = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
        let addrs = targets.iter().map(|target| target.addr).collect();
        Ok(Self { addrs, calls: Arc::default(), head: format!("Content-Type: application/json\r\n{key}") })
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.addrs.len()
    }

    /// Where it is; the first node.
    #[must_use]
    pub fn addr(&self) -> SocketAddrV4 {
        self.addrs[0]
    }

    /// The lines of a head that every call has, each with its end.
    #[must_use]
    pub fn head(&self) -> &str {
        &self.head
    }

    /// Asks, and expects a good answer; returns its body.
    ///
    /// # Errors
    /// One line: what was asked and what was answered.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Result<Vec<u8>, String> {
        let answer = self.call(method, path, body).map_err(|error| format!("{method} {path}: {error}"))?;
        if (200..300).contains(&answer.status) {
            return Ok(answer.body);
        }
        Err(format!("{method} {path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body)))
    }

    /// Asks, and takes any answer.
    ///
    /// # Errors
    /// When there is none.
    pub fn call(&self, method: &str, path: &str, body: &str) -> std::io::Result<http::Answer> {
        let addr = self.addrs[self.calls.fetch_add(1, Relaxed) % self.addrs.len()];
        http::send(addr, (method, path), &self.head, body.as_bytes(), WITHIN)
    }

    /// Makes all rooms of a run, with this plan under the name `id`.
    ///
    /// # Errors
    /// One line: what was not done.
    pub fn make_rooms(&self, names: &Names, id: &str, plan: &str) -> Result<(), String> {
        self.ask("PUT", &format!("/v1/layouts/{id}"), plan)?;
        (0..names.rooms()).try_for_each(|room| {
            let path = format!("/v1/rooms/{}", names.room(room));
            self.ask("PUT", &path, &format!(r#"{{"layout":"{id}","sale":"open"}}"#)).map(|_| ())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::plan;
    use crate::names::{Hall, Names};

    #[test]
    fn a_plan_has_the_seats_of_its_hall_in_their_order() {
        let hall = Hall { blocks: 2, rows: 3, row_seats: 4 };
        let json: serde_json::Value = serde_json::from_str(&plan(hall)).expect("JSON");
        let names = Names::new("t", 1, hall);
        let seats = json["seats"].as_array().expect("a list");
        assert_eq!(seats.len(), 24);
        for (at, seat) in (0..).zip(seats) {
            assert_eq!(seat["id"].as_str(), Some(&*names.seat(at)));
        }
    }
}
