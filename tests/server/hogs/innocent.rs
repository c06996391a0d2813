//! An innocent client: it pings, selects and releases in a room of its own on each shard, and notes how long it waits.
//!
//! Never here: attacks.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::harness::client::{release, select};
use crate::harness::wait::now;
use crate::harness::{Client, Server, room_on};

/// How long it rests between two rounds of three questions: it stays below the rate that every connection has.
const REST: Duration = Duration::from_millis(70);

/// How long somebody waited for answers, sorted, in microseconds.
pub(super) struct Waits(Vec<u64>);

impl Waits {
    pub(super) fn of(mut waits: Vec<u64>) -> Self {
        waits.sort_unstable();
        Self(waits)
    }

    /// What so many of a hundred waited at most, in milliseconds.
    pub(super) fn part(&self, of_hundred: usize) -> f64 {
        let at = (self.0.len() * of_hundred / 100).min(self.0.len().saturating_sub(1));
        self.0.get(at).map_or(0.0, |&us| f64::from(u32::try_from(us).unwrap_or(u32::MAX)) / 1_000.0)
    }

    pub(super) fn worst_ms(&self) -> u64 {
        self.0.last().map_or(0, |us| us / 1_000)
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}, {:.1}, {:.1}", self.part(50), self.part(99), self.part(100))
    }
}

/// The clients of both shards, and what they noted.
pub(super) struct Innocent {
    threads: Vec<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
    waits: Arc<Mutex<Vec<u64>>>,
}

impl Innocent {
    pub(super) fn beside(server: &Server) -> Self {
        let (is_over, waits) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let start = |shard| {
            let room = room_on(shard, 2);
            let mut client = Client::join(server, "innocent", &room);
            let (is_over, waits) = (Arc::clone(&is_over), Arc::clone(&waits));
            std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    ask(&mut client, &room, &waits);
                    std::thread::park_timeout(REST);
                }
            })
        };
        Self { threads: vec![start(0), start(1)], is_over, waits }
    }

    /// Lets it go on for this time.
    pub(super) fn watch(&self, ms: u64) {
        let began = now();
        while began.elapsed() < Duration::from_millis(ms) {
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// What it waited since this was last asked.
    pub(super) fn waits(&self) -> Waits {
        Waits::of(std::mem::take(&mut *self.waits.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// It was served to the end.
    pub(super) fn ends(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().expect("the innocent is served to the end"));
    }
}

fn ask(client: &mut Client, room: &str, waits: &Mutex<Vec<u64>>) {
    let questions = [
        (r#"{"type":"ping"}"#.to_owned(), "pong"),
        (select(room, "innocent seat"), "seat_selected"),
        (release(room, "innocent seat"), "seat_released"),
    ];
    for (question, answer) in questions {
        let began = now();
        client.send(&question);
        loop {
            let got = client.json();
            if got["type"] == answer {
                break;
            }
            assert_ne!(got["code"], "rate_limited", "{got}");
            // A store that was slow for a second refuses, and what matters is how long it takes in all.
            if got["code"] == "persistence_unavailable" {
                std::thread::park_timeout(REST);
                client.send(&question);
            }
        }
        let us = u64::try_from(began.elapsed().as_micros()).expect("short");
        waits.lock().unwrap_or_else(PoisonError::into_inner).push(us);
    }
}
