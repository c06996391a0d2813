//! The clients of one thread: what they asked, what they hold, and the way from a message to what it means for them.
//!
//! Owns: open requests and holds of each client, the thread's [`Oracle`] and [`Measure`]. Invariants: replies are taken
//! in the order of the requests; every message goes through the oracle. Never here: what a client does next.

mod ask;
mod reply;
mod seen;

use std::collections::VecDeque;
use std::sync::Arc;

pub use ask::Ask;
use ask::Request;
pub use reply::Reply;
use seen::SeenStates;

use crate::limits::{CLOSED_AS_SLOW, PENDING_MAX};
use crate::measure::Measure;
use crate::names::{FREE, Names, Seat, Who};
use crate::oracle::Oracle;
use crate::oracle::violation::Kind as Wrong;
use crate::second::Second;
use crate::second::ask::Wish;
use crate::worker::{Lost, Reading, Worker};

/// One client.
#[derive(Debug, Default)]
pub struct Client {
    /// Seats held by this connection, with the moment of the acknowledgement.
    pub held: Vec<(Seat, u64)>,
    /// Seats that were held when the server went down and must be found again.
    pub expected: Vec<Seat>,
    /// When the present connection was begun.
    pub begun: u64,
    /// When it was told that it is a member; 0: not yet.
    pub joined: u64,
    /// May be cut off as too slow.
    pub slow: bool,
    pending: VecDeque<Request>,
}

impl Client {
    /// Whether this connection holds the seat.
    #[must_use]
    pub fn holds(&self, seat: Seat) -> bool {
        self.held.iter().any(|(held, _)| *held == seat)
    }
}

/// A server that is killed and comes again.
#[derive(Clone, Copy, Debug)]
pub struct Restart {
    /// What was told within this time before the kill may be lost, nanoseconds; 0: nothing may.
    pub window_ns: u64,
    /// When it was killed, at the earliest.
    pub killed: u64,
}

impl Restart {
    /// Whether what was told at `since` must be there again, for a client that sees its connection end at `now`.
    ///
    /// The end of many thousand connections is seen a second and more after the kill: the window counts from the kill.
    pub(crate) fn must_keep(self, since: u64, now: u64) -> bool {
        let end = if self.window_ns == 0 { now } else { now.min(self.killed) };
        since.saturating_add(self.window_ns) < end
    }
}

/// The clients of one thread.
#[derive(Debug)]
pub struct Crowd {
    /// Who is right.
    pub oracle: Oracle,
    /// What it took.
    pub measure: Measure,
    /// The clients.
    pub clients: Vec<Client>,
    /// The server sends no `seq`: nothing but counting is possible.
    pub plain: bool,
    /// While the server is being restarted: which holds must be found again.
    pub restarting: Option<Restart>,
    /// What is known by the second protocol, when the run speaks it.
    pub second: Option<Box<Second>>,
    /// The names.
    pub names: Arc<Names>,
    /// Events that each client got, for servers without `seq`.
    pub got: Vec<u64>,
    room_of: Vec<usize>,
    wall_offset_ms: u64,
    pub(crate) line: Vec<u8>,
    seen: SeenStates,
}

impl Crowd {
    /// `room_of[who]` is the room of every client of the run; `mine` are those of this thread.
    #[must_use]
    pub fn new(names: Arc<Names>, room_of: Vec<usize>, mine: &[Who]) -> Self {
        let clients = room_of.iter().map(|_| Client::default()).collect();
        let seats = names.seats();
        Self {
            oracle: Oracle::new(Arc::clone(&names), &room_of, mine),
            measure: Measure::new(seats),
            clients,
            plain: false,
            restarting: None,
            second: None,
            names,
            got: vec![0; room_of.len()],
            room_of,
            wall_offset_ms: crate::clock::wall_ms() - crate::clock::now_ns() / 1_000_000,
            line: Vec::new(),
            seen: SeenStates::default(),
        }
    }

    /// The room of a client.
    #[must_use]
    pub fn room_of(&self, who: Who) -> usize {
        self.room_of[who as usize]
    }

    /// Wall clock of a monotonic moment.
    #[must_use]
    pub fn wall_ms(&self, now: u64) -> u64 {
        self.wall_offset_ms + now / 1_000_000
    }

    /// Begins to connect a client.
    pub fn connect(&mut self, worker: &mut Worker, who: Who, reading: Reading, now: u64) {
        (self.clients[who as usize].begun, self.clients[who as usize].joined) = (now, 0);
        let name = self.names.client(who);
        if let Err(error) = worker.connect(who as usize, &name, reading) {
            self.measure.totals.lost += 1;
            self.oracle.tell(Wrong::ConnectionLost, who, None, format!("could not connect: {error}"));
        }
    }

    /// Sends a request. `false`: not sent, because the client has no open connection or too much unanswered.
    pub fn ask(&mut self, worker: &mut Worker, who: Who, ask: Ask, seat: Seat, due: u64, now: u64) -> bool {
        if self.second.is_some() {
            return self.wish(worker, who, Wish::of(ask, seat), due, now);
        }
        let client = &mut self.clients[who as usize];
        if !worker.is_open(who as usize) || client.pending.len() >= PENDING_MAX {
            return false;
        }
        client.pending.push_back(Request { ask, seat, due, seq: self.oracle.seq(who) });
        let room = self.room_of[who as usize];
        ask::write(&mut self.line, &self.names, room, ask, seat, due);
        if matches!(ask, Ask::Select | Ask::Release) {
            self.measure.sent(due, now);
            if ask == Ask::Select {
                self.measure.attempts[seat as usize] += 1;
            }
        }
        worker.send_text(who as usize, &self.line);
        true
    }

    /// How many requests are unanswered.
    #[must_use]
    pub fn pending(&self, who: Who) -> usize {
        match &self.second {
            Some(second) => second.client(who).pending.len(),
            None => self.clients[who as usize].pending.len(),
        }
    }

    /// Whether the client is a member of its room.
    #[must_use]
    pub fn is_member(&self, who: Who) -> bool {
        match &self.second {
            Some(second) => second.client(who).joined,
            None => self.oracle.is_member(who),
        }
    }

    /// Whether the seat is free on the client's own map.
    #[inline]
    #[must_use]
    pub fn is_free(&self, who: Who, seat: Seat) -> bool {
        match &self.second {
            Some(second) => second.is_free(who, self.room_of(who), seat),
            None => self.oracle.holder(who, seat) == FREE,
        }
    }

    /// Whether every reply and every event has come that anybody knows of.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match &self.second {
            Some(second) => second.is_settled(&self.room_of),
            None => self.oracle.is_settled(),
        }
    }

    /// Seats that are taken in all rooms.
    #[must_use]
    pub fn held_count(&self) -> u64 {
        self.second.as_ref().map_or_else(|| self.oracle.held_count(), |second| second.taken())
    }

    /// The highest number seen in a room.
    #[must_use]
    pub fn highest(&self, room: usize) -> u64 {
        self.second.as_ref().map_or_else(|| self.oracle.highest(room), |second| second.highest(room))
    }

    /// Other threads have seen this number of a room.
    pub fn expect_number(&mut self, room: usize, seq: u64) {
        match &mut self.second {
            Some(second) => second.expect_number(room, seq),
            None => self.oracle.expect_number(room, seq),
        }
    }

    /// Whether anybody of this thread was told anything of a room.
    #[must_use]
    pub fn knows(&self, room: usize) -> bool {
        self.second.as_ref().map_or_else(|| self.oracle.knows(room), |second| second.knows(room))
    }

    /// Nothing is expected of what this client reads.
    pub fn set_deaf(&mut self, who: Who) {
        self.oracle.set_deaf(who);
        if let Some(second) = &mut self.second {
            second.mine[who as usize].deaf = true;
        }
    }

    /// The connection of a client was ended by us.
    pub fn cut(&mut self, worker: &mut Worker, who: Who, politely: bool) {
        let now = crate::clock::now_ns();
        let there_until = worker.there_until(who as usize, now);
        if politely {
            worker.bid_farewell(who as usize)
        } else {
            worker.cut(who as usize)
        }
        self.forget(who, now, Some(there_until));
    }

    /// The client's next connection is a new session.
    pub fn forget_session(&mut self, who: Who) {
        if let Some(second) = &mut self.second {
            second.mine[who as usize].leave_session();
        }
    }

    /// `by_us`: it ended now, and was there until then at least: the server may have ended it before, and that not have
    /// been read. Otherwise a client that reads late hears of its end late.
    fn forget(&mut self, who: Who, now: u64, by_us: Option<u64>) {
        self.oracle.left(who);
        let wall_ms = self.wall_ms(by_us.unwrap_or(now));
        let client = &mut self.clients[who as usize];
        let held = std::mem::take(&mut client.held);
        if let Some(second) = &mut self.second {
            let held: &[(Seat, u64)] = if by_us.is_some() || self.restarting.is_some() { &held } else { &[] };
            return second.away(who, held, now, self.restarting, wall_ms);
        }
        if let Some(restart) = self.restarting {
            let giving_back =
                |seat: Seat| client.pending.iter().any(|request| request.ask == Ask::Release && request.seat == seat);
            let safe = held.into_iter().filter(|(seat, since)| restart.must_keep(*since, now) && !giving_back(*seat));
            let safe: Vec<_> = safe.collect();
            client.expected.extend(safe.into_iter().map(|(seat, _)| seat));
        }
        client.pending.clear();
    }

    /// The connection of a client ended. `excused`: that was to be expected.
    pub fn lost(&mut self, who: Who, why: &Lost, excused: bool, now: u64) {
        let slow = self.clients[who as usize].slow;
        self.forget(who, now, None);
        if slow {
            self.measure.totals.slow_closed += 1;
        } else if *why == Lost::Closed(CLOSED_AS_SLOW) {
            // Whether that was right depends on how late this program itself was: the verdict decides.
            self.measure.totals.cut_as_slow += 1;
        } else if let Lost::Wrong(what) = why {
            self.oracle.tell(Wrong::BadFraming, who, None, format!("the server sent {what}"));
        } else if !excused {
            self.measure.totals.lost += 1;
            self.oracle.tell(Wrong::ConnectionLost, who, None, format!("{why:?}"));
        }
    }

    /// The end of a run: every request must have had its reply, and every acknowledged hold must have been found again.
    pub fn settle(&mut self, worker: &Worker) {
        if self.second.is_some() {
            return self.settle_second(worker);
        }
        for who in 0..crate::num::index32(self.clients.len()) {
            let client = &self.clients[who as usize];
            let (open, pending, lost) =
                (worker.is_open(who as usize), client.pending.front().copied(), client.expected.clone());
            if let Some(request) = pending.filter(|_| open && !client.slow) {
                let detail = format!("{} of {} was never answered", request.ask.name(), self.names.seat(request.seat));
                self.oracle.tell(Wrong::Unanswered, who, Some(request.seat), detail);
            }
            for seat in lost.into_iter().filter(|_| open) {
                self.oracle.tell(
                    Wrong::LostAcknowledgement,
                    who,
                    Some(seat),
                    "a hold that was acknowledged is gone after the restart".to_owned(),
                );
            }
        }
        if !self.plain {
            self.oracle.settle();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Restart;

    #[test]
    fn the_window_counts_from_the_kill_and_not_from_when_it_was_seen() {
        let window = Restart { window_ns: 250, killed: 1_000 };
        // The connection is seen to end long after the kill; the last line: it broke before the kill.
        for (since, now, must) in [(749, 3_000, true), (750, 3_000, false), (990, 3_000, false), (400, 600, false)] {
            assert_eq!(window.must_keep(since, now), must, "told at {since}, seen to end at {now}");
        }
        let durable = Restart { window_ns: 0, killed: 1_000 };
        assert!(durable.must_keep(2_999, 3_000), "what was acknowledged is there again");
    }
}
