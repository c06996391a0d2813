//! `multi`: n clients at once in one room. Each selects a seat of its own, all want one common seat, each pings, and
//! everything is given back; every client tells what it saw.

use crate::client::{Ask, Reply};
use crate::names::Who;
use crate::session::{Script, Session};
use crate::worker::Worker;

/// What one client saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Seats it won.
    pub won: u32,
    /// Selects that were refused.
    pub refused: u32,
    /// Seats it gave back.
    pub freed: u32,
    /// Pongs.
    pub pongs: u32,
}

/// The script.
#[derive(Debug, Default)]
pub struct Multi {
    /// By client.
    pub seen: Vec<Seen>,
    step: usize,
    open: usize,
    common: Option<Who>,
}

impl Multi {
    /// Sends step number `step` for everybody; returns how many replies will come.
    fn send(&mut self, session: &mut Session, worker: &mut Worker, now: u64) -> usize {
        let mut sent = 0;
        for who in session.mine.clone() {
            let (ask, seat) = match self.step {
                0 => (Ask::Select, who + 1),
                1 => (Ask::Select, 0),
                2 => (Ask::Ping, 0),
                3 => (Ask::Release, who + 1),
                4 if self.common == Some(who) => (Ask::Release, 0),
                _ => continue,
            };
            sent += usize::from(session.crowd.ask(worker, who, ask, seat, now, now));
        }
        sent
    }
}

impl Script for Multi {
    fn begin(&mut self, session: &mut Session, _start: u64, _begin: u64, _end: u64) {
        self.seen = vec![Seen::default(); session.settings.room_of.len()];
    }

    fn due(&mut self, session: &mut Session, worker: &mut Worker, now: u64) -> u64 {
        while self.open == 0 && self.step < 5 {
            self.open = self.send(session, worker, now);
            self.step += 1;
        }
        now + 10_000_000
    }

    fn reply(&mut self, session: &mut Session, worker: &mut Worker, who: Who, reply: Reply, now: u64) {
        let seen = match self.seen.get_mut(who as usize) {
            Some(seen) if session.is_running() => seen,
            _ => return,
        };
        match reply {
            Reply::Won(0) => {
                self.common = Some(who);
                seen.won += 1;
            }
            Reply::Won(_) => seen.won += 1,
            Reply::Refused(..) => seen.refused += 1,
            Reply::Freed(_) => seen.freed += 1,
            Reply::Pong => seen.pongs += 1,
            Reply::Nothing | Reply::Joined | Reply::Left | Reply::Ended(..) => return,
        }
        self.open = self.open.saturating_sub(1);
        self.due(session, worker, now);
    }

    fn is_over(&self) -> bool {
        self.step >= 5 && self.open == 0
    }
}
