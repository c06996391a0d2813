//! Selectors that select and release seats of their own in turn: at a fixed rate (`fanout`, `rooms`) or as fast as they
//! are answered (`closed`). Nobody is refused, so the figures are those of delivery alone.

use crate::client::{Ask, Reply};
use crate::names::{Seat, Who};
use crate::session::{Script, Session};
use crate::worker::Worker;

/// Seats of each selector.
pub const SEATS_EACH: u32 = 4;

/// How the selectors are paced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many commands a second over all selectors of the run, whatever the server does.
    Rate(f64),
    /// So many commands of each selector unanswered at any time.
    Window(usize),
}

#[derive(Clone, Copy, Debug)]
struct Selector {
    who: Who,
    /// The first of its own seats.
    seat: Seat,
    step: u32,
}

/// The script.
#[derive(Debug)]
pub struct Flow {
    pace: Pace,
    members: usize,
    selectors_each: usize,
    selectors: Vec<Selector>,
    /// Client to selector.
    selector_of: Vec<Option<usize>>,
    next: f64,
    gap: f64,
    turn: usize,
    end: u64,
}

impl Flow {
    /// Rooms of `members` members, the first `selectors_each` of which select.
    #[must_use]
    pub fn new(pace: Pace, members: usize, selectors_each: usize) -> Self {
        Self {
            pace,
            members,
            selectors_each,
            selectors: Vec::new(),
            selector_of: Vec::new(),
            next: 0.0,
            gap: f64::MAX,
            turn: 0,
            end: 0,
        }
    }

    fn send(&mut self, session: &mut Session, worker: &mut Worker, index: usize, due: u64, now: u64) {
        let selector = self.selectors[index];
        let ask = if selector.step.is_multiple_of(2) { Ask::Select } else { Ask::Release };
        let seat = selector.seat + selector.step / 2 % SEATS_EACH;
        if session.crowd.ask(worker, selector.who, ask, seat, due, now) {
            self.selectors[index].step = selector.step.wrapping_add(1);
        }
    }
}

impl Script for Flow {
    fn begin(&mut self, session: &mut Session, start: u64, _begin: u64, end: u64) {
        let (members, each) = (self.members, self.selectors_each);
        let place = |who: &Who| *who as usize % members;
        let mut chosen: Vec<Who> = session
            .mine
            .iter()
            .copied()
            .filter(|who| place(who) < each && session.crowd.room_of(*who) == *who as usize / members)
            .collect();
        // Neighbours in the schedule are in different rooms.
        chosen.sort_by_key(|who| (place(who), *who));
        let all = session.settings.names.rooms() * each;
        self.selectors = chosen
            .iter()
            .map(|who| Selector { who: *who, seat: crate::num::index32(place(who)) * SEATS_EACH, step: 0 })
            .collect();
        self.selector_of = vec![None; session.settings.room_of.len()];
        for (index, selector) in self.selectors.iter().enumerate() {
            self.selector_of[selector.who as usize] = Some(index);
        }
        if let Pace::Rate(rate) = self.pace {
            self.gap = 1e9 * all as f64 / (rate * self.selectors.len() as f64);
        }
        (self.next, self.end) = (start as f64, end);
    }

    fn due(&mut self, session: &mut Session, worker: &mut Worker, now: u64) -> u64 {
        match self.pace {
            Pace::Rate(_) => {
                while self.next <= now as f64 && self.next < self.end as f64 && !self.selectors.is_empty() {
                    let due = crate::num::whole(self.next);
                    self.send(session, worker, self.turn, due, now);
                    self.turn = (self.turn + 1) % self.selectors.len();
                    self.next += self.gap;
                }
                crate::num::whole(self.next)
            }
            Pace::Window(window) => {
                // Only at the beginning: afterwards each answer brings the next command.
                if self.turn == 0 {
                    self.turn = 1;
                    let count = self.selectors.len();
                    for index in 0..window * count {
                        self.send(session, worker, index % count, now, now);
                    }
                }
                now + 10_000_000
            }
        }
    }

    fn reply(&mut self, session: &mut Session, worker: &mut Worker, who: Who, reply: Reply, now: u64) {
        let answered = matches!(reply, Reply::Won(_) | Reply::Freed(_) | Reply::Refused(..));
        if answered
            && matches!(self.pace, Pace::Window(_))
            && session.is_running()
            && let Some(index) = self.selector_of.get(who as usize).copied().flatten()
        {
            self.send(session, worker, index, now, now);
        }
    }
}
