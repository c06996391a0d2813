//! Everybody wants the same seat at the same time, seat after seat. The winner then lets it go.

use crate::client::{Ask, Reply};
use crate::measure::{Code, histogram};
use crate::names::{Seat, Who};
use crate::session::{Script, Session};
use crate::worker::Worker;
use hdrhistogram::Histogram;

/// Longest wait for the answers of one round.
const ROUND_NS: u64 = 5_000_000_000;

/// The script.
#[derive(Debug)]
pub struct Contend {
    /// Rounds to play.
    pub rounds: u32,
    /// Rounds that exactly one client won.
    pub won_once: u32,
    /// Rounds that several won.
    pub won_by_many: u32,
    /// Rounds that nobody won.
    pub won_by_nobody: u32,
    /// Answers.
    pub decisions: u64,
    /// From the first send of a round to its last answer, in microseconds.
    pub round_us: Histogram<u64>,
    round: u32,
    waiting: usize,
    winners: Vec<Who>,
    since: u64,
    over: bool,
}

impl Contend {
    /// So many rounds.
    #[must_use]
    pub fn new(rounds: u32) -> Self {
        Self {
            rounds,
            won_once: 0,
            won_by_many: 0,
            won_by_nobody: 0,
            decisions: 0,
            round_us: histogram(),
            round: 0,
            waiting: 0,
            winners: Vec::new(),
            since: 0,
            over: false,
        }
    }

    fn seat(&self, session: &Session) -> Seat {
        self.round % session.settings.names.hall.seats()
    }

    fn finish_round(&mut self, session: &mut Session, worker: &mut Worker, now: u64) {
        self.round_us.saturating_record((now - self.since) / 1_000);
        match self.winners.len() {
            0 => self.won_by_nobody += 1,
            1 => self.won_once += 1,
            _ => self.won_by_many += 1,
        }
        let seat = self.seat(session);
        for who in std::mem::take(&mut self.winners) {
            session.crowd.ask(worker, who, Ask::Release, seat, now, now);
        }
        self.round += 1;
    }

    fn begin_round(&mut self, session: &mut Session, worker: &mut Worker, now: u64) {
        let (seat, count) = (self.seat(session), session.mine.len());
        (self.since, self.waiting) = (now, 0);
        for shift in 0..count {
            // Another client is first each time.
            let who = session.mine[(shift + self.round as usize * 7) % count];
            self.waiting += usize::from(session.crowd.ask(worker, who, Ask::Select, seat, now, now));
        }
    }
}

impl Script for Contend {
    fn begin(&mut self, _session: &mut Session, _start: u64, _begin: u64, _end: u64) {}

    fn due(&mut self, session: &mut Session, worker: &mut Worker, now: u64) -> u64 {
        if self.waiting > 0 && now < self.since + ROUND_NS {
            return self.since + ROUND_NS;
        }
        if self.since > 0 && !self.over {
            self.finish_round(session, worker, now);
        }
        self.over = self.over || self.round >= self.rounds;
        if !self.over {
            self.begin_round(session, worker, now);
        }
        now + ROUND_NS
    }

    fn reply(&mut self, session: &mut Session, worker: &mut Worker, who: Who, reply: Reply, now: u64) {
        match reply {
            Reply::Won(_) => self.winners.push(who),
            Reply::Refused(Ask::Select, _, Code::SeatTaken | Code::SeatsUnavailable) => {}
            Reply::Nothing
            | Reply::Joined
            | Reply::Left
            | Reply::Freed(_)
            | Reply::Refused(..)
            | Reply::Ended(..)
            | Reply::Pong => return,
        }
        self.decisions += 1;
        self.waiting = self.waiting.saturating_sub(1);
        if self.waiting == 0 {
            self.due(session, worker, now);
        }
    }

    fn is_over(&self) -> bool {
        self.over
    }
}
