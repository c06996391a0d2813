//! `onsale`: commands at a fixed rate, whatever the server does. Each is due at its time, picks a client, and selects a
//! seat that is free on that client's own map, or gives one back.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::client::{Ask, Reply};
use crate::names::{Seat, Who};
use crate::session::{Script, Session};
use crate::worker::Worker;

/// Seats a client tries to hold at most.
const SEATS_MAX: usize = 4;

/// The script.
#[derive(Debug)]
pub struct OnSale {
    rate: f64,
    rng: SmallRng,
    next: f64,
    gap: f64,
    end: u64,
}

impl OnSale {
    /// So many commands a second over all threads.
    #[must_use]
    pub fn new(seed: u64, thread: usize, rate: f64) -> Self {
        let rng = SmallRng::seed_from_u64(seed ^ (thread as u64) << 32);
        Self { rate, rng, next: 0.0, gap: f64::MAX, end: 0 }
    }

    fn command(&mut self, session: &mut Session, worker: &mut Worker, due: u64, now: u64) {
        let who = session.mine[self.rng.random_range(0..session.mine.len())];
        let held = &session.crowd.clients[who as usize].held;
        let give_back = !held.is_empty() && (held.len() >= SEATS_MAX || self.rng.random_bool(0.4));
        if give_back {
            let (seat, _) = held[self.rng.random_range(0..held.len())];
            session.crowd.ask(worker, who, Ask::Release, seat, due, now);
        } else {
            let seat = self.wanted(session, who);
            session.crowd.ask(worker, who, Ask::Select, seat, due, now);
        }
    }

    /// Low numbers are wanted most: the square of an even draw.
    fn wanted(&mut self, session: &Session, who: Who) -> Seat {
        let seats = session.settings.names.hall.seats();
        let mut seat = 0;
        for _ in 0..8 {
            let draw: f64 = self.rng.random();
            seat = u32::try_from(crate::num::whole(draw * draw * f64::from(seats)))
                .expect("below the number of seats")
                .min(seats - 1);
            if session.crowd.is_free(who, seat) {
                return seat;
            }
        }
        // All of them taken: then this one will be refused, which is a case of its own.
        seat
    }
}

impl Script for OnSale {
    fn begin(&mut self, session: &mut Session, start: u64, _begin: u64, end: u64) {
        let share = session.mine.len() as f64 / session.settings.room_of.len() as f64;
        (self.next, self.gap, self.end) = (start as f64, 1e9 / (self.rate * share), end);
    }

    fn due(&mut self, session: &mut Session, worker: &mut Worker, now: u64) -> u64 {
        while self.next <= now as f64 && self.next < self.end as f64 && !session.mine.is_empty() {
            let due = crate::num::whole(self.next);
            self.command(session, worker, due, now);
            // Arrivals of many independent people are a Poisson process.
            let draw: f64 = self.rng.random();
            self.next += -(1.0 - draw).ln() * self.gap;
        }
        crate::num::whole(self.next)
    }

    fn reply(&mut self, _session: &mut Session, _worker: &mut Worker, _who: Who, _reply: Reply, _now: u64) {}
}
