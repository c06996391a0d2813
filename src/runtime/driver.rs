//! One shard's turn, top to bottom.
//!
//! wait -> accept, receive, decide -> mail in -> replies out -> passes -> mail out -> what is due -> sleep, and again.
//!
//! Invariants: input never outruns output (what a turn reads is bounded in time, a socket is looked at once, and passes
//! may take as long as that did); what is due is computed after the passes, which make rooms due; the shard never
//! sleeps on mail, on a socket that was not read to its end or on a room that can be served. Never here: what any of
//! these do.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::limits::{
    FRAMES_PER_CLOCK, MAIL_NS_PER_TURN, PASSES_NS_PER_TURN, PASSES_PER_INPUT, READS_PER_TURN_MAX, RELIEF_MS, TICK_MS,
};
use crate::node::Event;
use crate::runtime::core::Core;
use crate::runtime::intake::Intake;
use crate::runtime::listener::Listener;
use crate::runtime::mail::Mail;
use crate::runtime::memory::give_back;
use crate::runtime::readiness::{Events, Ready};

const TICK_NS: u64 = TICK_MS * 1_000_000;

/// One shard, running.
pub(crate) struct Driver {
    core: Core,
    intake: Intake,
    listener: Listener,
    events: Events,
    ready: Vec<Ready>,
    /// Mail that is to be opened, the last first.
    mail: Vec<Mail>,
    due: Vec<(u32, u32)>,
    next_tick_ns: u64,
    /// When something last happened: while there is traffic the driver waits in the epoll set itself.
    last_event_ns: u64,
}

impl Driver {
    pub(crate) fn new(core: Core, listener: OwnedFd) -> io::Result<Self> {
        let listener = Listener::new(listener, &core.readiness)?;
        let intake = Intake::new(core.connections.message_bytes_max, core.connections.user_info_bytes_max);
        Ok(Self {
            core,
            intake,
            listener,
            events: Events::new(),
            ready: Vec::new(),
            mail: Vec::new(),
            due: Vec::new(),
            next_tick_ns: 0,
            last_event_ns: 0,
        })
    }

    /// Serves until the drain is over. Errors: the kernel refuses to wait.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        loop {
            self.sleep().await?;
            self.core.begin_turn();
            self.core.declare_rooms();
            self.note_ready();
            self.listener.accept(&mut self.core, &mut self.intake);
            self.read_sockets();
            self.take_mail();
            self.core.handle(Event::Store);
            self.core.flush_all();
            self.serve_rooms();
            self.core.flush_all();
            if self.core.now_ns >= self.next_tick_ns {
                self.tick();
                self.core.flush_all();
            }
            self.core.go_on_abroad();
            self.core.answer_desk();
            self.core.node.hand_over_changes();
            self.core.lanes.take_letters(&mut self.core.node);
            self.core.lanes.flush();
            if self.is_drained() {
                self.core.node.hand_over_last();
                return Ok(());
            }
        }
    }

    /// Waits for as long as nothing has to be done.
    async fn sleep(&mut self) -> io::Result<()> {
        self.ready.clear();
        let now_ns = self.core.clock.nanos();
        let timeout = self.timeout_ns(now_ns);
        if timeout == 0 {
            return self.core.readiness.wait(Duration::ZERO, &mut self.events, &mut self.ready);
        }
        if !self.core.mesh.falls_asleep(self.core.id) {
            return self.core.readiness.wait(Duration::ZERO, &mut self.events, &mut self.ready);
        }
        let quiet = now_ns.saturating_sub(self.last_event_ns) > TICK_NS && self.core.node.next_paced_ns().is_none();
        let saves = self.core.node.is_saving();
        if quiet && !saves && !self.core.lanes.is_waiting() {
            let freed = self.core.node.take_freed();
            self.core.leftovers.freed(freed);
            if self.core.leftovers.take_due(now_ns) {
                self.core.node.give_back();
                give_back();
            }
            let rest = self.core.board.executor.park(&self.core.readiness, self.until_due(now_ns)).await?;
            self.core.readiness.wait(rest, &mut self.events, &mut self.ready)?;
        } else {
            self.core.readiness.wait(Duration::from_nanos(timeout), &mut self.events, &mut self.ready)?;
        }
        self.core.mesh.woke(self.core.id);
        Ok(())
    }

    /// How long the shard may wait in the epoll set.
    fn timeout_ns(&self, now_ns: u64) -> u64 {
        let core = &self.core;
        if !core.reads.is_empty() || core.node.has_work() || core.mesh.depth(core.id) > 0 || !self.mail.is_empty() {
            return 0;
        }
        if core.lanes.is_waiting() {
            return TICK_NS / 10;
        }
        let tick = self.next_tick_ns.saturating_sub(now_ns);
        let due = [core.node.next_paced_ns(), self.listener.next_ns()];
        due.into_iter().flatten().fold(tick, |least, at| least.min(at.saturating_sub(now_ns)))
    }

    /// How long the shard may park: until an expiry, a heartbeat or something that waits for a tick.
    fn until_due(&self, now_ns: u64) -> Duration {
        let core = &self.core;
        let now_ms = now_ns / 1_000_000;
        let site_waits = !core.gathers.is_empty() || !core.bodies.is_empty() || core.node.has_errands();
        if site_waits
            || core.node.waits_for_owners()
            || self.listener.next_ns().is_some()
            || core.node.is_draining()
            || core.node.has_paused()
        {
            return Duration::from_millis(TICK_MS);
        }
        let expiry = core.node.next_deadline().map(|deadline| deadline.0.saturating_sub(now_ms) + 1);
        let heartbeat = core.wheel.next_in_ms(now_ms);
        let collects = core.leftovers.due_in_ns(now_ns) / 1_000_000 + 1;
        let relief = core.node.is_watched().then_some(RELIEF_MS);
        let ms = expiry.into_iter().chain(heartbeat).chain(relief).fold(collects, u64::min);
        Duration::from_millis(ms)
    }

    /// Sorts what the kernel reported.
    fn note_ready(&mut self) {
        let core = &mut self.core;
        if !self.ready.is_empty() {
            self.last_event_ns = core.now_ns;
        }
        for ready in self.ready.drain(..) {
            match ready {
                Ready::Listener => self.listener.called(),
                Ready::Alarm | Ready::Timer => {}
                Ready::Connection { slot, generation, readable, writable, hung_up } => {
                    let Some(socket) = core.sockets.live(slot, generation) else { continue };
                    if readable {
                        socket.readable = true;
                        socket.hung_up |= hung_up;
                        if !socket.stalled {
                            core.resume_reading(slot);
                        }
                    }
                    let now = core.tenths();
                    if let Some(socket) = core.sockets.get_mut(slot)
                        && writable
                        && socket.full
                    {
                        // It reads what it is sent: a pong may be far behind that.
                        socket.heard = now;
                        core.writable(slot);
                    }
                }
            }
        }
    }

    /// Reads ready sockets, each once and for as long as a turn may take, unless other shards are behind.
    fn read_sockets(&mut self) {
        if self.core.lanes.is_congested() {
            return;
        }
        self.core.reading_since_ns = self.core.clock.nanos();
        // What is put back into the list waits for the next turn: one socket that always has more must not keep this
        // one.
        for _ in 0..self.core.reads.len().min(READS_PER_TURN_MAX) {
            let Some((slot, generation)) = self.core.reads.pop_front() else { return };
            self.core.read(&mut self.intake, slot, generation);
            if self.core.has_read_enough() {
                return;
            }
        }
    }

    fn take_mail(&mut self) {
        if self.mail.is_empty() {
            self.core.mesh.take(self.core.id, &mut self.mail);
            // It is opened from its end.
            self.mail.reverse();
            let depth = self.mail.len() as u64;
            self.core.node.figures.mesh_received += depth;
            self.core.node.figures.mesh_depth_high_water = self.core.node.figures.mesh_depth_high_water.max(depth);
        }
        if self.mail.is_empty() {
            return;
        }
        self.last_event_ns = self.core.now_ns;
        let began = self.core.clock.nanos();
        let mut opened: u32 = 0;
        while let Some(mail) = self.mail.pop() {
            self.core.open(mail);
            opened += 1;
            // Requests of a crowd on other shards come as mail, and one may cost as much as many frames.
            if opened.is_multiple_of(FRAMES_PER_CLOCK) && self.core.clock.nanos() - began > MAIL_NS_PER_TURN {
                break;
            }
        }
    }

    /// Serves rooms that are due, in slices, for as long as a turn may take.
    fn serve_rooms(&mut self) {
        let core = &mut self.core;
        let began = core.clock.nanos();
        let budget = PASSES_NS_PER_TURN.max((began - core.now_ns) * PASSES_PER_INPUT);
        let mut now = began;
        while now - began <= budget && core.node.next_slice(now) {
            core.send_slice();
            let slice_began = std::mem::replace(&mut now, core.clock.nanos());
            core.node.slice_done(slice_began, now);
        }
    }

    fn tick(&mut self) {
        let core = &mut self.core;
        self.next_tick_ns = core.now_ns + TICK_NS;
        if core.board.is_draining() && !core.node.is_draining() {
            core.handle(Event::Drain);
        }
        core.handle(Event::Tick);
        core.wheel.due(core.tenths(), &mut self.due);
        for (slot, generation) in self.due.drain(..) {
            core.check(slot, generation);
        }
        core.go_on_with_answers();
        let counts = core.node.counts();
        let pulse = core.board.pulse(core.id);
        pulse.rooms.store(counts.rooms, Ordering::Relaxed);
        pulse.holds.store(counts.holds, Ordering::Relaxed);
    }

    fn is_drained(&self) -> bool {
        // Not only the own connections: one that is on its way here from another shard must be told, too.
        self.mail.is_empty()
            && !self.core.lanes.is_waiting()
            && self.core.node.is_drained(self.core.board.connections())
    }
}

impl Core {
    /// Acts on mail of another shard.
    fn open(&mut self, mail: Mail) {
        match mail {
            Mail::Letter(letter) => _ = self.handle(Event::Letter(letter)),
            Mail::Socket(travelling) => self.arrive(*travelling),
            Mail::Ask { by, question } => self.asked(by, question),
            Mail::Told { to, told } => self.told(to, *told),
            Mail::Part(news) => _ = self.handle(Event::Part(news)),
            Mail::Desk { ticket, question } => self.asked_by_desk(ticket, question),
        }
    }
}
