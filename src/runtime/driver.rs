//! One shard's turn, top to bottom.
//!
//! wait -> accept, receive, decide -> mail in -> replies out -> passes -> mail out -> what is due -> sleep, and again.
//!
//! Invariants: input never outruns output (inputs a turn are bounded, and passes may take as long as they did);
//! what is due is computed after the passes, which make rooms due; the shard never sleeps on mail, on a socket that was
//! not read to its end or on a room that can be served. Never here: what any of these do.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::engine::command::Input;
use crate::limits::{DRAIN_MS, FLUSH_BYTES_PER_TURN, READS_PER_TURN_MAX, TICK_MS};
use crate::runtime::connection::Phase;
use crate::runtime::core::Core;
use crate::runtime::intake::Intake;
use crate::runtime::listener::Listener;
use crate::runtime::memory::give_back;
use crate::runtime::mesh::Mail;
use crate::runtime::readiness::{Events, Ready, readable_through_glommio};
use crate::runtime::saving::Saving;
use crate::wire::frame;

/// What passes may take of any turn.
const PASSES_NS: u64 = 2_000_000;
/// Passes may take at least this many times what the turn's input took. Then a server with more to do than it can do serves each
/// room after a bounded time, with several events in one send, instead of ever more input or ever smaller sends.
const PASSES_PER_INPUT: u64 = 1;
const TICK_NS: u64 = TICK_MS * 1_000_000;

/// One shard, running.
pub(crate) struct Driver {
    core: Core,
    intake: Intake,
    listener: Listener,
    events: Events,
    ready: Vec<Ready>,
    mail: Vec<Mail>,
    due: Vec<(u32, u32)>,
    next_tick_ns: u64,
    /// When something last happened: while there is traffic the driver waits in the epoll set itself.
    last_event_ns: u64,
    /// When the drain must be over.
    drain_until_ns: Option<u64>,
    /// The connections have been told to go.
    is_closing: bool,
    big_turn: bool,
}

impl Driver {
    pub(crate) fn new(core: Core, listener: OwnedFd) -> io::Result<Self> {
        let listener = Listener::new(listener, &core.readiness)?;
        let intake = Intake::new(core.config.message_bytes_max, core.config.user_info_bytes_max);
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
            drain_until_ns: None,
            is_closing: false,
            big_turn: false,
        })
    }

    /// Serves until the drain is over. Errors: the kernel refuses to wait.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        loop {
            self.sleep().await?;
            self.core.now = self.core.clock.now();
            self.core.now_ns = self.core.clock.nanos();
            self.core.stats.turns += 1;
            self.core.flush_bytes_left = FLUSH_BYTES_PER_TURN;
            self.core.board.pulse(self.core.id).turns.store(self.core.stats.turns, Ordering::Relaxed);

            self.note_ready();
            self.listener.accept(&mut self.core, &mut self.intake);
            self.read_sockets();
            self.take_mail();
            self.core.take_store_news();
            self.core.flush_all();
            self.serve_rooms();
            self.core.flush_all();
            if self.core.now_ns >= self.next_tick_ns {
                self.tick();
                self.core.flush_all();
            }
            self.core.hand_over_changes();
            self.core.lanes.flush();
            if self.is_drained() {
                self.core.hand_over_last();
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
        let quiet = now_ns.saturating_sub(self.last_event_ns) > TICK_NS && self.core.views.next_paced_ns().is_none();
        let saves = self.core.saving.as_ref().is_some_and(Saving::is_busy);
        if quiet && !saves && !self.core.lanes.is_waiting() {
            if self.core.leftovers.take_due(now_ns) {
                self.core.conns.drop_spares();
                give_back();
            }
            self.core.readiness.wake_after(self.until_due(now_ns))?;
            // Parking needs a descriptor; without one the shard waits in the set itself.
            let parked = readable_through_glommio(self.core.readiness.as_fd()).await;
            let timeout = if parked.is_ok() { Duration::ZERO } else { Duration::from_nanos(timeout) };
            self.core.readiness.wait(timeout, &mut self.events, &mut self.ready)?;
        } else {
            self.core.readiness.wait(Duration::from_nanos(timeout), &mut self.events, &mut self.ready)?;
        }
        self.core.mesh.woke(self.core.id);
        Ok(())
    }

    /// How long the shard may wait in the epoll set.
    fn timeout_ns(&self, now_ns: u64) -> u64 {
        let core = &self.core;
        if !core.reads.is_empty() || !core.flushes.is_empty() || core.views.has_work() || core.mesh.depth(core.id) > 0 {
            return 0;
        }
        if core.lanes.is_waiting() {
            return TICK_NS / 10;
        }
        let tick = self.next_tick_ns.saturating_sub(now_ns);
        let due = [core.views.next_paced_ns(), self.listener.next_ns()];
        due.into_iter().flatten().fold(tick, |least, at| least.min(at.saturating_sub(now_ns)))
    }

    /// How long the shard may park: until an expiry, a heartbeat or something that waits for a tick.
    fn until_due(&self, now_ns: u64) -> Duration {
        let core = &self.core;
        let now_ms = now_ns / 1_000_000;
        if !core.gathers.is_empty() || self.listener.next_ns().is_some() || self.drain_until_ns.is_some() {
            return Duration::from_millis(TICK_MS);
        }
        let expiry = core.seats.next_deadline().map(|deadline| deadline.0.saturating_sub(now_ms) + 1);
        let heartbeat = core.wheel.next_in_ms(now_ms);
        let collects = core.leftovers.due_in_ns(now_ns).map(|ns| ns / 1_000_000 + 1);
        let ms = expiry.into_iter().chain(heartbeat).chain(collects).min().unwrap_or(60_000);
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
                    let Some(conn) = core.conns.live(slot, generation) else { continue };
                    if readable {
                        conn.readable = true;
                        conn.hung_up |= hung_up;
                        if !conn.stalled {
                            core.resume_reading(slot);
                        }
                    }
                    let now = core.tenths();
                    if let Some(conn) = core.conns.get_mut(slot)
                        && writable
                        && conn.blocked
                    {
                        conn.blocked = false;
                        // It reads what it is sent: a pong may be far behind that.
                        conn.heard = now;
                        core.queue_flush(slot);
                    }
                }
            }
        }
    }

    /// Reads ready sockets, unless other shards are behind.
    fn read_sockets(&mut self) {
        if self.core.lanes.is_congested() {
            return;
        }
        for _ in 0..READS_PER_TURN_MAX {
            let Some((slot, generation)) = self.core.reads.pop_front() else { return };
            self.core.read(&mut self.intake, slot, generation);
        }
    }

    fn take_mail(&mut self) {
        self.core.mesh.take(self.core.id, &mut self.mail);
        let depth = self.mail.len() as u64;
        if depth == 0 {
            return;
        }
        self.last_event_ns = self.core.now_ns;
        self.core.stats.mesh_received += depth;
        self.core.stats.mesh_depth_high_water = self.core.stats.mesh_depth_high_water.max(depth);
        for mail in self.mail.drain(..) {
            self.core.open_letter(mail);
        }
    }

    /// Serves rooms that are due: small ones first, big ones in slices, for as long as a turn may take.
    fn serve_rooms(&mut self) {
        let core = &mut self.core;
        let began = core.clock.nanos();
        let budget = PASSES_NS.max((began - core.now_ns) * PASSES_PER_INPUT);
        core.views.release_paced(began);
        let mut now = began;
        while let Some(index) = core.views.next(self.big_turn, now) {
            self.big_turn = !self.big_turn;
            now = core.serve_slice(index, now);
            if now - began > budget {
                break;
            }
        }
    }

    fn tick(&mut self) {
        let core = &mut self.core;
        self.next_tick_ns = core.now_ns + TICK_NS;
        if core.seats.next_deadline().is_some_and(|deadline| deadline <= core.now.mono) {
            core.decide(Input::Tick);
        }
        core.wheel.due(core.tenths(), &mut self.due);
        for (slot, generation) in self.due.drain(..) {
            core.check(slot, generation);
        }
        core.tidy_full_states();
        core.finish_late_gathers();
        let counts = core.seats.counts();
        let pulse = core.board.pulse(core.id);
        pulse.rooms.store(counts.rooms, Ordering::Relaxed);
        pulse.holds.store(counts.holds, Ordering::Relaxed);
        if core.board.is_draining() && self.drain_until_ns.is_none() {
            self.drain_until_ns = Some(core.now_ns + DRAIN_MS * 1_000_000);
        }
        let has_told_all = core.saving.as_ref().is_none_or(Saving::has_told_all);
        if self.drain_until_ns.is_some() && has_told_all && !self.is_closing {
            self.is_closing = true;
            core.close_all();
        }
    }

    fn is_drained(&self) -> bool {
        let core = &self.core;
        let Some(until) = self.drain_until_ns else { return false };
        // Not only the own ones: one that is on its way here from another shard must be told, too.
        (self.is_closing && core.board.connections() == 0 && !core.lanes.is_waiting()) || core.now_ns >= until
    }
}

impl Core {
    /// Serves a slice of a room's members and returns the time after it.
    fn serve_slice(&mut self, index: u32, began_ns: u64) -> u64 {
        let mut done = false;
        for _ in 0..crate::runtime::fanout::SLICE_MEMBERS {
            let entry = self.views.get_mut(index);
            let Some(step) = entry.view.step() else {
                done = true;
                break;
            };
            self.serve(index, step);
        }
        let now = self.clock.nanos();
        if done {
            self.stats.passes += 1;
            let entry = self.views.get(index);
            self.stats.fan_out.record(now.saturating_sub(entry.owed_since_ns), entry.view.served_len() as u64);
        }
        self.views.slice_done(index, now - began_ns, done, now);
        now
    }

    /// Looks at a connection whose time has come: a deadline, a heartbeat.
    fn check(&mut self, slot: u32, generation: u32) {
        let now = self.tenths();
        let (ping_after, pong_within) = (self.config.ping_after_ms, self.config.pong_within_ms);
        let Some(conn) = self.conns.live(slot, generation) else { return };
        if conn.check_at > now {
            return;
        }
        let silence_ms = u64::from(now - conn.heard) * 100;
        let tries_again = conn.phase == Phase::Open && std::mem::take(&mut conn.blocked);
        match conn.phase {
            Phase::Http if conn.awaits_answer => self.check_after(slot, 1_000),
            Phase::Preamble | Phase::Http | Phase::Closing => self.end(slot),
            Phase::Open if conn.pinged && silence_ms >= ping_after + pong_within => {
                self.cut_off(slot, frame::CLOSE_NO_PONG, "no pong in time");
            }
            Phase::Open if conn.pinged => self.check_after(slot, ping_after + pong_within - silence_ms),
            Phase::Open if silence_ms >= ping_after => {
                conn.pinged = true;
                self.reply(slot, |out| frame::ping(out, b""));
                // With a long time for the pong, the next ping must not wait for the end of it.
                self.check_after(slot, pong_within.min(ping_after));
            }
            Phase::Open => self.check_after(slot, ping_after - silence_ms),
        }
        if tries_again {
            self.look_again(slot);
            self.queue_flush(slot);
        }
    }

    pub(crate) fn say_goodbye(&mut self, slot: u32) {
        self.close(slot, frame::CLOSE_GOING_AWAY, "the server is shutting down");
    }

    /// The server goes away: every connection is told, after what is queued for it.
    fn close_all(&mut self) {
        let slots: Vec<u32> = self.conns.slots().collect();
        for slot in slots {
            match self.conns.get(slot).map(|conn| conn.phase) {
                Some(Phase::Open) => self.say_goodbye(slot),
                Some(Phase::Preamble | Phase::Http) if self.conns.get(slot).is_some_and(|conn| !conn.awaits_answer) => {
                    self.begin_closing(slot);
                }
                Some(Phase::Preamble | Phase::Http | Phase::Closing) | None => {}
            }
        }
    }
}
