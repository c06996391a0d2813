//! A whole on-sale played by a planned crowd: `multiplex`, `arena`, `stadium`, `flash`, `storm`, `soak`.
//!
//! Invariants: what a user does follows from its plan, its own generator and its own map; a timer of an earlier
//! connection is stale. Never here: the numbers of the model (they are in [`crate::plan`]).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use hdrhistogram::Histogram;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::storm::Storm;
use crate::client::{Ask, Reply};
use crate::measure::{Code, histogram};
use crate::names::{Seat, Who};
use crate::num::nanos;
use crate::oracle::Reason;
use crate::plan::{Fate, Model, Role, Taste, User};
use crate::second::ask::Wish;
use crate::session::{Script, Session};
use crate::worker::{Reading, Worker};

/// Time between two sips of a slow reader.
const SIP_NS: u64 = 100_000_000;
/// Time after which a refused connection is tried again.
const AGAIN_NS: u64 = 200_000_000;
/// Seats that a bot holds at most.
const BOT_SEATS_MAX: usize = 4;

/// What all threads share.
#[derive(Debug)]
pub struct Common {
    /// The plan of every user.
    pub plan: Vec<User>,
    /// The model behind it.
    pub model: Model,
    /// What durations are multiplied with.
    pub scale: f64,
    /// Users begin anew when their seats are gone.
    pub cycle: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Action {
    Arrive,
    Click,
    Fate,
    Reconnect,
    Bot,
    Sip,
    Extend,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) rng: SmallRng,
    pub(super) wish: Vec<Seat>,
    refusals: u32,
    /// Counts connections, so that timers of earlier ones are stale.
    life: u32,
    done: bool,
}

/// The script.
#[derive(Debug)]
pub struct Sale {
    /// From the storm to being a member again, in microseconds.
    pub back_us: Histogram<u64>,
    /// Users who gave up.
    pub gave_up: u64,
    /// Users who had all their seats.
    pub served: u64,
    /// The storm, if there is to be one.
    pub storm: Option<Storm>,
    common: Arc<Common>,
    pub(super) taste: Taste,
    pub(super) users: Vec<State>,
    timers: BinaryHeap<Reverse<(u64, Who, u32, Action)>>,
    end: u64,
}

impl Sale {
    /// The script of one thread.
    #[must_use]
    pub fn new(common: Arc<Common>, taste: Taste, storm: Option<Storm>) -> Self {
        let state = |user: &User| State {
            rng: SmallRng::seed_from_u64(user.seed),
            wish: Vec::new(),
            refusals: 0,
            life: 0,
            done: false,
        };
        let users = common.plan.iter().map(state).collect();
        Self {
            back_us: histogram(),
            gave_up: 0,
            served: 0,
            storm,
            common,
            taste,
            users,
            timers: BinaryHeap::new(),
            end: 0,
        }
    }

    pub(super) fn user(&self, who: Who) -> &User {
        &self.common.plan[who as usize]
    }

    pub(super) fn later(&mut self, who: Who, at: u64, action: Action) {
        if at < self.end {
            self.timers.push(Reverse((at, who, self.users[who as usize].life, action)));
        }
    }

    /// A user has become a member: what it does first.
    fn enter(&mut self, session: &Session, who: Who, now: u64) {
        let (role, look) = (self.user(who).role, nanos(self.user(who).look));
        let state = &mut self.users[who as usize];
        (state.refusals, state.done) = (0, false);
        state.wish.clear();
        match role {
            Role::Human | Role::Sniper if !session.crowd.clients[who as usize].held.is_empty() => {
                self.got_all(who, now)
            }
            Role::Human | Role::Sniper => self.later(who, now + look, Action::Click),
            Role::Bot => {
                let gap = self.bot_gap();
                let first = now + self.users[who as usize].rng.random_range(0..=gap);
                self.later(who, first, Action::Bot);
            }
            Role::Slow => self.later(who, now + SIP_NS, Action::Sip),
            Role::Deaf => {}
        }
    }

    /// Whether the user only watches, and reads so slowly that its `room_joined` is no event to act on.
    fn is_spectator(&self, who: Who) -> bool {
        matches!(self.user(who).role, Role::Slow | Role::Deaf)
    }

    fn bot_gap(&self) -> u64 {
        nanos(self.common.scale / self.common.model.bot_rate)
    }

    fn perform(&mut self, session: &mut Session, worker: &mut Worker, who: Who, action: Action, due: u64, now: u64) {
        match action {
            Action::Arrive => {
                if worker.is_closed(who as usize) {
                    session.connect(worker, self, who, now);
                    if self.is_spectator(who) {
                        self.enter(session, who, now);
                    }
                }
            }
            Action::Click => self.click(session, worker, who, due, now),
            Action::Fate => self.fate(session, worker, who, due, now),
            Action::Reconnect => {
                if worker.is_open(who as usize) {
                    session.crowd.measure.totals.reconnects += 1;
                    let politely = self.users[who as usize].rng.random();
                    self.cut(session, worker, who, politely);
                    self.later(who, now, Action::Arrive);
                }
            }
            Action::Extend => {
                let has_cart = session.crowd.second.as_ref().is_some_and(|second| second.client(who).deadline_ms > 0);
                if has_cart {
                    session.crowd.wish(worker, who, Wish::Extend, due, now);
                }
            }
            Action::Bot => {
                self.bot(session, worker, who, due, now);
                let next = due + self.bot_gap();
                self.later(who, next, Action::Bot);
            }
            Action::Sip => {
                let bytes = self.common.model.slow_bytes_per_sec * SIP_NS as f64 / 1e9;
                worker.allow_sip(who as usize, usize::try_from(crate::num::whole(bytes)).expect("a few kilobytes"));
                self.later(who, now + SIP_NS, Action::Sip);
            }
        }
    }

    fn cut(&mut self, session: &mut Session, worker: &mut Worker, who: Who, politely: bool) {
        session.crowd.cut(worker, who, politely);
        self.users[who as usize].life += 1;
    }

    fn click(&mut self, session: &mut Session, worker: &mut Worker, who: Who, due: u64, now: u64) {
        let (role, group) = (self.user(who).role, self.user(who).group);
        let missing = group.saturating_sub(session.crowd.clients[who as usize].held.len());
        if missing == 0 {
            return self.got_all(who, now);
        }
        if session.crowd.second.is_some() && role == Role::Human {
            return self.want_group(session, worker, who, missing, (due, now));
        }
        let state = &mut self.users[who as usize];
        if state.wish.is_empty() {
            let crowd = &session.crowd;
            let free = |seat: Seat| crowd.is_free(who, seat);
            state.wish = match role {
                Role::Sniper => self.taste.best(&mut state.rng, &free).into_iter().collect(),
                Role::Human | Role::Bot | Role::Slow | Role::Deaf => self.taste.group(&mut state.rng, missing, &free),
            };
        }
        match state.wish.pop() {
            Some(seat) => {
                session.crowd.ask(worker, who, Ask::Select, seat, due, now);
            }
            // Nothing free was found: that is a disappointment like a refusal.
            None => self.disappointed(who, now),
        }
    }

    pub(super) fn disappointed(&mut self, who: Who, now: u64) {
        let retry = &self.common.model.retry_secs;
        let state = &mut self.users[who as usize];
        state.wish.clear();
        state.refusals += 1;
        if state.refusals >= self.common.model.give_up {
            state.done = true;
            self.gave_up += 1;
            return;
        }
        let wait = state.rng.random_range(retry[0]..=retry[1]) * self.common.scale;
        self.later(who, now + nanos(wait), Action::Click);
    }

    pub(super) fn got_all(&mut self, who: Who, now: u64) {
        let (fate, after) = (self.user(who).fate, nanos(self.user(who).fate_after));
        self.users[who as usize].done = true;
        self.served += 1;
        if matches!(fate, Fate::Release | Fate::Drop) {
            self.later(who, now + after, Action::Fate);
        }
    }

    fn fate(&mut self, session: &mut Session, worker: &mut Worker, who: Who, due: u64, now: u64) {
        match self.user(who).fate {
            Fate::Keep | Fate::Silent => {}
            Fate::Release if session.crowd.second.is_some() => {
                session.crowd.wish(worker, who, Wish::ReleaseAll, due, now);
            }
            Fate::Release => {
                for (seat, _) in session.crowd.clients[who as usize].held.clone() {
                    session.crowd.ask(worker, who, Ask::Release, seat, due, now);
                }
            }
            Fate::Drop => {
                self.cut(session, worker, who, false);
                session.crowd.forget_session(who);
                if self.common.cycle {
                    let look = nanos(self.user(who).look);
                    self.later(who, now + look, Action::Arrive);
                }
            }
        }
    }

    /// A bot takes what it finds, gives the oldest back when it has enough, and tries what it must not.
    fn bot(&mut self, session: &mut Session, worker: &mut Worker, who: Who, due: u64, now: u64) {
        let held = &session.crowd.clients[who as usize].held;
        let rng = &mut self.users[who as usize].rng;
        let draw: f64 = rng.random();
        let (ask, seat) = if held.len() >= BOT_SEATS_MAX {
            (Ask::Release, held[0].0)
        } else if draw < 0.1 {
            // Somebody else's seat, or a free one: must be refused.
            (Ask::Release, self.taste.any(rng))
        } else if draw < 0.3 {
            (Ask::Select, self.taste.any(rng))
        } else {
            let crowd = &session.crowd;
            let found = self.taste.anywhere(rng, &|seat| crowd.is_free(who, seat));
            (Ask::Select, found.unwrap_or_else(|| self.taste.any(rng)))
        };
        if session.crowd.second.is_some() && self.bot_in_carts(session, worker, who, (ask, seat), (due, now)) {
            return;
        }
        session.crowd.ask(worker, who, ask, seat, due, now);
    }

    /// Drops every socket, or lets the server be restarted, when the time for that has come.
    fn weather(&mut self, session: &mut Session, worker: &mut Worker, now: u64) {
        let Some(mut storm) = self.storm.take() else { return };
        if storm.breaks(now) {
            storm.begin(session, now);
            if !storm.by_server() {
                for who in session.mine.clone() {
                    if !worker.is_closed(who as usize) {
                        self.cut(session, worker, who, false);
                        self.come_back(&mut storm, who, now);
                    }
                }
            }
        }
        storm.look(session);
        self.storm = Some(storm);
    }

    fn come_back(&mut self, storm: &mut Storm, who: Who, now: u64) {
        if !self.is_spectator(who) {
            storm.away(who);
        }
        let spread = nanos(storm.back_secs);
        let at = now + self.users[who as usize].rng.random_range(0..=spread);
        self.later(who, at, Action::Arrive);
    }
}

impl Script for Sale {
    fn begin(&mut self, session: &mut Session, start: u64, begin: u64, end: u64) {
        self.end = end;
        if let Some(storm) = &mut self.storm {
            storm.set_time(begin + (end - begin) / 2);
        }
        for who in session.mine.clone() {
            let arrives = self.user(who).arrives;
            if arrives > 0.0 {
                self.later(who, start + nanos(arrives), Action::Arrive);
            } else {
                self.enter(session, who, start);
            }
            for at in self.user(who).reconnects.clone() {
                // These timers hold for every connection of the user.
                self.timers.push(Reverse((start + nanos(at), who, u32::MAX, Action::Reconnect)));
            }
        }
    }

    fn due(&mut self, session: &mut Session, worker: &mut Worker, now: u64) -> u64 {
        self.weather(session, worker, now);
        while let Some(Reverse((due, who, life, action))) = self.timers.peek().copied() {
            if due > now {
                break;
            }
            self.timers.pop();
            let calm = self.storm.as_ref().is_none_or(Storm::is_calm);
            let valid = life == self.users[who as usize].life || (life == u32::MAX && calm);
            if valid && due < self.end {
                self.perform(session, worker, who, action, due, now);
            }
        }
        let next = self.timers.peek().map_or(u64::MAX, |Reverse((due, ..))| *due);
        next.min(self.storm.as_ref().map_or(u64::MAX, |storm| storm.next(now)))
    }

    fn reply(&mut self, session: &mut Session, _worker: &mut Worker, who: Who, reply: Reply, now: u64) {
        if now >= self.end || self.end == 0 || self.is_spectator(who) {
            return;
        }
        if reply == Reply::Joined {
            if let Some(took) = self.storm.as_mut().and_then(|storm| storm.back(session, who, now)) {
                self.back_us.saturating_record(took / 1_000);
            }
            return self.enter(session, who, now);
        }
        if !matches!(self.user(who).role, Role::Human | Role::Sniper) {
            return;
        }
        let gone = session.crowd.clients[who as usize].held.is_empty();
        match reply {
            Reply::Won(_) if self.users[who as usize].done => {}
            // The whole group at once: nothing is left to click on.
            Reply::Won(_) if self.has_group(session, who) => self.got_all(who, now),
            Reply::Won(_) => {
                let gap = nanos(self.user(who).click_gap);
                self.later(who, now + gap, Action::Click);
            }
            Reply::Refused(Ask::Select, _, Code::LimitExceeded) => self.got_all(who, now),
            Reply::Refused(Ask::Select, ..) => self.disappointed(who, now),
            Reply::Freed(_) | Reply::Ended(_, Reason::Expired | Reason::Unsaid) if gone && self.common.cycle => {
                self.enter(session, who, now)
            }
            Reply::Nothing
            | Reply::Joined
            | Reply::Left
            | Reply::Freed(_)
            | Reply::Refused(..)
            | Reply::Ended(..)
            | Reply::Pong => {}
        }
    }

    fn lost(&mut self, _session: &mut Session, who: Who, now: u64) -> bool {
        self.users[who as usize].life += 1;
        let Some(mut storm) = self.storm.take() else { return false };
        let excused = !storm.is_calm() && storm.by_server();
        if excused {
            if storm.is_away(who) {
                self.later(who, now + AGAIN_NS, Action::Arrive);
            } else {
                self.come_back(&mut storm, who, now);
            }
        }
        self.storm = Some(storm);
        excused
    }

    fn reading(&self, who: Who) -> (Reading, bool) {
        match self.user(who).role {
            Role::Human | Role::Sniper | Role::Bot => (Reading::Eager, false),
            Role::Slow => (Reading::Sipping, false),
            Role::Deaf => (Reading::Sipping, true),
        }
    }
}
