//! One load thread from the first connect to the last check: open, run, drain, audit, close.
//!
//! Owns: the stages and the housekeeping that all scenarios share. Invariant: no stage lasts longer than its limit.
//! Never here: what clients do in the running stage; that is the [`Script`]'s.

mod run;
mod shared;

use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use run::run;
pub use shared::{Live, Mark, Marks, Settings, Shared};

use crate::client::{Ask, Crowd, Reply};
use crate::measure::quantile_ms;
use crate::names::Who;
use crate::oracle::Digest;
use crate::proc::{Usage, usage};
use crate::second::Second;
use crate::worker::{Reading, Worker};

/// A drain in which messages still arrive lasts so many times its limit.
const DRAINS_MAX: u64 = 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    Waiting,
    Warming,
    Running,
    Draining,
    Done,
}

/// What the clients do.
pub trait Script {
    /// The running stage begins at `start`; its measured window is from `begin` to `end`.
    fn begin(&mut self, session: &mut Session, start: u64, begin: u64, end: u64);
    /// Does what is due; returns when to be called next.
    fn due(&mut self, session: &mut Session, worker: &mut Worker, now: u64) -> u64;
    /// A message meant something for a client.
    fn reply(&mut self, session: &mut Session, worker: &mut Worker, who: Who, reply: Reply, now: u64);
    /// A connection ended. `true`: that was to be expected.
    fn lost(&mut self, _session: &mut Session, _who: Who, _now: u64) -> bool {
        false
    }
    /// How a client reads, and whether anything is expected of it.
    fn reading(&self, _who: Who) -> (Reading, bool) {
        (Reading::Eager, false)
    }
    /// Whether everything is done before the time is over.
    fn is_over(&self) -> bool {
        false
    }
}

/// The state of one thread that scripts may use.
#[derive(Debug)]
pub struct Session {
    /// The clients.
    pub crowd: Crowd,
    /// What holds for all threads.
    pub settings: Arc<Settings>,
    /// What the threads share.
    pub shared: Arc<Shared>,
    /// This thread's number.
    pub thread: usize,
    /// This thread's clients.
    pub mine: Vec<Who>,
    /// The moments that were looked at.
    pub marks: Marks,
    /// Rooms that several threads watch, as this thread knows them at the end.
    pub digests: Vec<Option<Digest>>,
    /// Why rooms could not be asked over HTTP, one line each.
    pub unasked: Vec<String>,
    stage: Stage,
    next_open: usize,
    opening: usize,
    opened: usize,
    begin: u64,
    end: u64,
    deadline: u64,
    messages: u64,
    /// Fresh snapshots were asked for.
    compared: bool,
    next_look: u64,
    next_sweep: u64,
    published: [u64; 6],
}

impl Session {
    fn new(settings: Arc<Settings>, shared: Arc<Shared>, thread: usize) -> Self {
        let rooms = settings.names.rooms();
        let threads = settings.threads;
        // Whole rooms stay in one thread where there are enough of them.
        let of_thread = |who: usize| if rooms >= threads { settings.room_of[who] % threads } else { who % threads };
        let population = settings.room_of.len();
        let mine: Vec<Who> = (0..population).filter(|who| of_thread(*who) == thread).map(crate::num::index32).collect();
        let mut crowd = Crowd::new(Arc::clone(&settings.names), settings.room_of.clone(), &mine);
        if settings.second {
            let second = Second::new(rooms, population, settings.expiry_grace_ms);
            crowd.second = Some(Box::new(second));
        }
        Self {
            crowd,
            settings,
            shared,
            thread,
            mine,
            marks: Marks::default(),
            digests: Vec::new(),
            unasked: Vec::new(),
            stage: Stage::Opening,
            next_open: 0,
            opening: 0,
            opened: 0,
            begin: u64::MAX,
            end: u64::MAX,
            deadline: u64::MAX,
            messages: 0,
            compared: false,
            next_look: 0,
            next_sweep: 0,
            published: [0; 6],
        }
    }

    /// Whether commands may still be sent.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Warming | Stage::Running)
    }

    fn mark(&self, worker: &Worker, now: u64) -> Mark {
        let lead = self.thread == 0;
        let server = self.settings.server_pid.filter(|_| lead).map(usage).unwrap_or_default();
        let own = if lead { usage(std::process::id()) } else { Usage::default() };
        Mark { ns: now, server, own, traffic: worker.traffic, deliveries: self.crowd.measure.totals.deliveries }
    }

    /// Opens more connections, as many at a time as allowed.
    fn open_more(&mut self, worker: &mut Worker, script: &impl Script, now: u64) {
        while self.opening < self.settings.inflight && self.next_open < self.mine.len() {
            let who = self.mine[self.next_open];
            self.next_open += 1;
            if self.settings.late.get(who as usize).copied().unwrap_or(false) {
                continue;
            }
            self.opening += 1;
            self.connect(worker, script, who, now);
            if worker.is_closed(who as usize) {
                self.opening -= 1;
            }
        }
    }

    /// Connects one client the way its script wants.
    pub fn connect(&mut self, worker: &mut Worker, script: &impl Script, who: Who, now: u64) {
        let (reading, deaf) = script.reading(who);
        if reading == Reading::Sipping {
            self.crowd.clients[who as usize].slow = true;
            self.crowd.set_deaf(who);
        }
        debug_assert!(!deaf || reading == Reading::Sipping, "who does not read cannot read eagerly");
        self.crowd.connect(worker, who, reading, now);
    }

    /// A connection of the opening stage is through, or has failed.
    fn settled_one(&mut self) {
        if self.stage == Stage::Opening && self.opening > 0 {
            self.opening -= 1;
            self.opened += 1;
        }
    }

    /// Performs what a stage needs; returns when to be called next.
    fn advance(&mut self, worker: &mut Worker, script: &mut impl Script, now: u64) -> u64 {
        match self.stage {
            Stage::Opening => {
                self.open_more(worker, script, now);
                let all = self.next_open >= self.mine.len() && self.opening == 0;
                if all || now > self.marks.opening.ns + self.settings.open_ns {
                    self.marks.opened = self.mark(worker, now);
                    self.shared.ready.fetch_add(1, Ordering::SeqCst);
                    self.stage = Stage::Waiting;
                }
                now + 1_000_000
            }
            Stage::Waiting => self.wait_for_all(script, now),
            Stage::Warming | Stage::Running => {
                self.cross_borders(worker, now);
                if now >= self.end || script.is_over() || self.shared.abort.load(Ordering::Relaxed) {
                    self.marks.end = self.mark(worker, now);
                    self.end = now;
                    self.stage = Stage::Draining;
                    self.make_sure(worker, now);
                    self.deadline = now + self.settings.drain_ns;
                    return now + 1_000_000;
                }
                let border = if self.stage == Stage::Warming { self.begin } else { self.end };
                script.due(self, worker, now).min(border)
            }
            Stage::Draining => {
                // As long as anything arrives the server is late, not silent.
                if worker.traffic.messages != self.messages {
                    self.messages = worker.traffic.messages;
                    self.deadline = (now + self.settings.drain_ns).min(self.end + DRAINS_MAX * self.settings.drain_ns);
                }
                self.make_sure(worker, now);
                if now >= self.deadline || self.is_quiet(worker) {
                    self.compare_or_end(worker, now);
                }
                now + 5_000_000
            }
            Stage::Done => now + 5_000_000,
        }
    }

    /// Whoever has heard nothing since `room_joined` and waits for no answer pings: behind the pong no full state can
    /// follow. Asked again while draining, since a join may be answered only then, with its full state still on the
    /// way.
    fn make_sure(&mut self, worker: &mut Worker, now: u64) {
        if self.crowd.second.is_some() {
            return;
        }
        for who in self.mine.clone() {
            let idle = self.crowd.pending(who) == 0 && worker.is_open(who as usize);
            if idle && self.crowd.oracle.is_awaiting(who) && !self.crowd.clients[who as usize].slow {
                self.crowd.ask(worker, who, Ask::Ping, 0, now, now);
            }
        }
    }

    /// When everything has come, fresh snapshots are asked for, once: they must say the same.
    fn compare_or_end(&mut self, worker: &mut Worker, now: u64) {
        if self.crowd.second.is_none() || std::mem::replace(&mut self.compared, true) {
            self.stage = Stage::Done;
            return;
        }
        let mine = self.mine.clone();
        self.crowd.ask_for_snapshots(worker, &mine, now);
        self.deadline = now + self.settings.drain_ns;
    }

    fn wait_for_all(&mut self, script: &mut impl Script, now: u64) -> u64 {
        if self.thread == 0
            && self.shared.ready.load(Ordering::SeqCst) == self.settings.threads
            && self.shared.start.load(Ordering::SeqCst) == 0
        {
            self.shared.start.store(now + 100_000_000, Ordering::SeqCst);
        }
        let start = self.shared.start.load(Ordering::SeqCst);
        if start == 0 || now < start {
            return now + 1_000_000;
        }
        self.begin = start + self.settings.warmup_ns;
        self.end = self.begin + self.settings.run_ns;
        self.crowd.measure.set_window(self.begin, self.end);
        self.stage = Stage::Warming;
        script.begin(self, start, self.begin, self.end);
        now
    }

    fn cross_borders(&mut self, worker: &Worker, now: u64) {
        if self.stage == Stage::Warming && now >= self.begin {
            self.stage = Stage::Running;
            self.marks.begin = self.mark(worker, now);
        }
    }

    /// Whether every reply and every event has come.
    fn is_quiet(&self, worker: &Worker) -> bool {
        let open = |who: &&Who| worker.is_open(**who as usize) && !self.crowd.clients[**who as usize].slow;
        let answered = self.mine.iter().filter(open).all(|who| self.crowd.pending(*who) == 0);
        answered && if self.crowd.plain { self.plain_missing() == 0 } else { self.crowd.is_settled() }
    }

    /// For servers without `seq`: events that somebody should have got by the sums of the room.
    #[must_use]
    pub fn plain_missing(&self) -> u64 {
        let rooms = self.settings.names.rooms();
        (0..rooms)
            .map(|room| {
                let got = self.crowd.oracle.members(room).iter().map(|who| self.crowd.got[*who as usize]);
                let most = got.clone().max().unwrap_or(0);
                got.map(|got| most - got).sum::<u64>()
            })
            .sum()
    }

    /// Figures for the display, the time slices and the search for overdue holds.
    fn look(&mut self, worker: &Worker, now: u64) {
        if now < self.next_look {
            return;
        }
        self.next_look = now + 100_000_000;
        let held = self.crowd.held_count();
        self.crowd.measure.level(held, worker.live as u64, now);
        if now >= self.next_sweep && !self.crowd.plain && self.crowd.second.is_none() {
            self.next_sweep = now + 1_000_000_000;
            let drained = self.crowd.wall_ms(worker.traffic.drained_ns);
            self.crowd.oracle.sweep(drained, self.settings.expiry_grace_ms);
        }
        let totals = &self.crowd.measure.totals;
        let figures = [
            worker.live as u64,
            totals.commands,
            totals.deliveries,
            totals.refused,
            held,
            self.crowd.oracle.findings.total(),
        ];
        let live = &self.shared.live;
        let cells = [&live.connections, &live.commands, &live.deliveries, &live.refused, &live.held, &live.violations];
        for ((cell, figure), published) in cells.into_iter().zip(figures).zip(&mut self.published) {
            cell.fetch_add(figure.wrapping_sub(*published), Ordering::Relaxed);
            *published = figure;
        }
        let micros = crate::num::whole(quantile_ms(&self.crowd.measure.delivery, 0.99) * 1_000.0);
        live.p99_us.store(micros, Ordering::Relaxed);
    }
}
