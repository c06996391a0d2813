//! The store thread: takes what the shards offer, commits it as one group, reports that, and keeps trying.
//!
//! Invariants: batches of a shard are committed in their order; a group that failed is tried again until it is
//! committed or another server has become the writer; a start reads the store before it writes anything. Never here:
//! what a store is, what a shard does with an answer.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::acts::event::Placed;
use crate::acts::ring::Ring;
use crate::clock::Clock;
use crate::engine::ids::ShardId;
use crate::engine::time::{Millis, WallMillis};
use crate::limits::store::{
    REDIS_RENEW_MS, STORE_FINISH_MS, STORE_GATHER_MS, STORE_LEASE_MARGIN_MS, STORE_RETRY_MS, STORE_RETRY_MS_MAX,
};
use crate::persist::queue::Queue;
use crate::persist::status::{Commit, StoreStatus};
use crate::persist::stores::store::{Continuity, Damage, Loaded, Store, StoreError, Taken};

use super::pump::{Committed, Pump};
use super::restore::{Restored, sift};

/// What the store thread tells the rest of the server.
#[derive(Debug)]
pub enum StoreEvent {
    /// The store was read: the server may start with this.
    Opened(Restored),
    /// The store could not be read yet, and the server is not to start without it. Told once for each attempt.
    Waiting,
    /// Another server is the writer: this one must not start. One line for the operator.
    Refused(String),
    /// The shard's batches up to this number are committed.
    Committed {
        /// The shard.
        shard: ShardId,
        /// The last of its batches that was in the group.
        number: u64,
    },
    /// The store has lost what it had: every shard owes its full state.
    FullStateOwed,
    /// Another server has become the writer: no seat may be granted any more. One line for the operator.
    Deposed(String),
}

/// How the store thread works.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Whether somebody waits for each commit: then nothing is gathered.
    pub is_durable: bool,
    /// Whether the server starts empty when the store is away. What the store has is then overwritten when it is back.
    pub starts_without_store: bool,
    /// Whether the operator has said that what is missing may be.
    pub accepts_loss: bool,
    /// How long a hold lives.
    pub hold_ttl_ms: u64,
    /// Whether a text may be sent to clients as `user_info`.
    pub is_user_info: fn(&str) -> bool,
    /// The clocks.
    pub clock: Clock,
    /// Where events are shown once they are committed.
    pub log: Option<Arc<Ring>>,
}

/// Makes the store, or says why that is not possible now.
pub type Opener = Box<dyn FnMut(WallMillis) -> Result<Box<dyn Store>, StoreError> + Send>;

/// Takes what the store thread tells. It is called on that thread and must not wait.
pub type Report = Box<dyn Fn(StoreEvent) + Send>;

/// Starts the store thread. It ends when the queue is closed and what was offered is committed, or when it cannot be.
///
/// # Errors
/// When the system gives no thread.
pub fn start(
    setup: Setup,
    opener: Opener,
    queue: Arc<Queue>,
    status: Arc<StoreStatus>,
    report: Report,
) -> io::Result<JoinHandle<()>> {
    let pump = Pump::new(queue.shards()).with_log(setup.log.clone());
    let thread = StoreThread {
        setup,
        queue,
        status,
        report,
        pump,
        next_renewal: Millis::default(),
        last_commit_ms: 0,
        end: None,
        waits_until: None,
    };
    std::thread::Builder::new().name("store".into()).spawn(move || thread.run(opener))
}

struct StoreThread {
    setup: Setup,
    queue: Arc<Queue>,
    status: Arc<StoreStatus>,
    report: Report,
    pump: Pump,
    next_renewal: Millis,
    /// How long the commit took that ended just now.
    last_commit_ms: u64,
    /// When the process no longer waits for this thread.
    end: Option<Millis>,
    /// When the lease that another server had at the start is over, unless that server lives.
    waits_until: Option<Millis>,
}

/// Why the store thread stops.
struct Stop;

impl StoreThread {
    fn run(mut self, opener: Opener) {
        let Some(mut store) = self.open(opener) else { return };
        while self.turn(&mut *store).is_ok() {}
        store.close();
    }

    /// Opens the store, however long it takes; nothing when this server must not start or is no longer wanted.
    fn open(&mut self, mut opener: Opener) -> Option<Box<dyn Store>> {
        let (mut is_started, mut retry_ms) = (false, STORE_RETRY_MS);
        loop {
            let mut is_taken = false;
            match self.open_once(&mut opener, is_started) {
                Ok(store) => return Some(store),
                Err(StoreError::Away(text)) => self.note_away(text),
                Err(StoreError::Damaged(damage)) => {
                    self.wait_for_consent(damage);
                    return None;
                }
                Err(StoreError::Taken(Taken { text, .. }) | StoreError::Deposed(text)) if is_started => {
                    self.depose(text);
                    return None;
                }
                Err(StoreError::Taken(taken)) => {
                    is_taken = true;
                    if !self.may_wait_for(&taken) {
                        (self.report)(StoreEvent::Refused(taken.text));
                        return None;
                    }
                    // It says how many seconds are left: no news for the log.
                    self.status.set_away(taken.text);
                }
                Err(StoreError::Deposed(text)) => {
                    (self.report)(StoreEvent::Refused(text));
                    return None;
                }
            }
            if self.setup.starts_without_store && !is_started && !is_taken {
                is_started = true;
                self.status.set_grant_until(Millis(u64::MAX));
                (self.report)(StoreEvent::Opened(self.sift(Loaded::default()).0));
            } else if !is_started {
                (self.report)(StoreEvent::Waiting);
            }
            if self.queue.pause(retry_ms) {
                return None;
            }
            retry_ms = (retry_ms * 2).min(STORE_RETRY_MS_MAX);
        }
    }

    /// Whether the lease that stands in the way may still be that of a dead server. When it should have ended and has
    /// not, its owner lives.
    fn may_wait_for(&mut self, taken: &Taken) -> bool {
        let Some(lease_ms) = taken.lease_ms else { return false };
        let now = self.setup.clock.now().mono;
        let until = *self.waits_until.get_or_insert_with(|| {
            tracing::warn!("waiting: {}", taken.text);
            now.after(lease_ms.saturating_add(STORE_LEASE_MARGIN_MS))
        });
        now < until
    }

    fn open_once(&mut self, opener: &mut Opener, is_started: bool) -> Result<Box<dyn Store>, StoreError> {
        let now = self.setup.clock.now();
        let mut store = opener(now.wall)?;
        if is_started {
            self.note_renewal(now.mono, store.lease_ms());
            self.status.set_connected();
            (self.report)(StoreEvent::FullStateOwed);
            return Ok(store);
        }
        let loaded = store.load()?;
        if loaded.newer > 0 && !self.setup.accepts_loss {
            // It would take for free what a later server has sold.
            let text = format!("{} records were written by a later version of this server", loaded.newer);
            return Err(StoreError::Damaged(Damage { missing: loaded.newer, text }));
        }
        let (restored, log) = self.sift(loaded);
        self.note_renewal(now.mono, store.lease_ms());
        self.status.set_connected();
        self.status.set_restored(restored.holds() as u64, restored.skipped);
        if let Some(damage) = &restored.damage {
            tracing::error!("{}", damage.text);
            self.status.set_damaged(damage.missing, &damage.text, self.setup.accepts_loss);
        }
        self.pump.begin(&restored);
        if !restored.shortened.is_empty() {
            // Before anybody is told of the new deadlines, so that another crash cannot bring the old ones back.
            if let Err(error) = self.pump.commit(&mut *store, now.wall) {
                // The next attempt reads everything again, and begins with that.
                self.pump = Pump::new(self.queue.shards()).with_log(self.setup.log.clone());
                return Err(error);
            }
        }
        if let Some(ring) = &self.setup.log {
            ring.open(log, now.wall);
        }
        (self.report)(StoreEvent::Opened(restored));
        Ok(store)
    }

    /// Something that was confirmed is missing: the server does not start until it is started with the word that it
    /// may.
    fn wait_for_consent(&mut self, damage: Damage) {
        self.status.set_damaged(damage.missing, &damage.text, false);
        self.note_away(format!("{}; start with ACCEPT_LOSS=1 to sell with what is left", damage.text));
        (self.report)(StoreEvent::Waiting);
        while !self.queue.pause(STORE_RETRY_MS_MAX) {}
    }

    /// What the server starts with, and the log.
    fn sift(&self, mut loaded: Loaded) -> (Restored, Vec<Placed>) {
        let wall = self.setup.clock.now().wall;
        let log = std::mem::take(&mut loaded.log);
        let mut restored = sift(loaded, wall, self.setup.hold_ttl_ms, self.queue.shards(), self.setup.is_user_info);
        log.iter().for_each(|(_, event)| restored.count_on(&event.room, event.n, self.queue.shards()));
        (restored, log)
    }

    /// Renews, waits, takes and commits.
    fn turn(&mut self, store: &mut dyn Store) -> Result<(), Stop> {
        self.renew_if_due(store)?;
        let now = self.setup.clock.now().mono;
        let idle_ms = if self.pump.is_idle() { self.next_renewal.since(now) } else { 0 };
        // What came during a long commit has been gathered already.
        let gather_ms = if self.setup.is_durable { 0 } else { STORE_GATHER_MS.saturating_sub(self.last_commit_ms) };
        self.last_commit_ms = 0;
        debug_assert!(gather_ms <= STORE_GATHER_MS, "gathering is bounded");
        let taken = self.queue.take(idle_ms, gather_ms);
        let is_last = taken.is_last && taken.offers.is_empty();
        self.pump.add(taken.offers, self.setup.clock.now().wall);
        self.note_backlog();
        self.commit(store)?;
        assert!(self.pump.is_idle(), "the thread neither waits nor ends with something that it has not committed");
        if is_last { Err(Stop) } else { Ok(()) }
    }

    /// Commits what there is, however often it must be tried.
    fn commit(&mut self, store: &mut dyn Store) -> Result<(), Stop> {
        let mut retry_ms = STORE_RETRY_MS;
        while !self.pump.is_idle() {
            let clock = self.setup.clock;
            let (started, at_us) = (clock.now(), clock.micros());
            match self.pump.commit(store, started.wall) {
                Ok(committed) => {
                    assert!(self.pump.is_idle(), "a commit takes all there is");
                    let took_us = clock.micros().saturating_sub(at_us);
                    self.note_commit(started.mono, took_us, committed);
                }
                Err(StoreError::Away(text) | StoreError::Damaged(Damage { text, .. })) => {
                    self.note_away(text);
                    let is_closed = self.queue.pause(retry_ms);
                    if is_closed && self.is_over() {
                        return Err(Stop);
                    }
                    retry_ms = (retry_ms * 2).min(STORE_RETRY_MS_MAX);
                }
                Err(StoreError::Deposed(text) | StoreError::Taken(Taken { text, .. })) => {
                    self.depose(text);
                    return Err(Stop);
                }
            }
        }
        Ok(())
    }

    fn note_commit(&mut self, started: Millis, took_us: u64, committed: Committed) {
        let Committed { entries, since, batches, continuity } = committed;
        self.last_commit_ms = took_us / 1_000;
        self.status.add_commit(Commit { entries, started, took_us, since: since.unwrap_or(started) });
        self.note_backlog();
        self.note_back();
        for (shard, number) in batches {
            (self.report)(StoreEvent::Committed { shard, number });
        }
        self.note_continuity(continuity);
    }

    fn note_continuity(&self, continuity: Continuity) {
        if continuity == Continuity::Lost {
            tracing::warn!("the store has lost what it had: writing the full state");
            (self.report)(StoreEvent::FullStateOwed);
        }
    }

    fn renew_if_due(&mut self, store: &mut dyn Store) -> Result<(), Stop> {
        let now = self.setup.clock.now();
        if now.mono < self.next_renewal {
            return Ok(());
        }
        match store.renew(now.wall) {
            Ok(continuity) => {
                self.note_renewal(now.mono, store.lease_ms());
                self.note_back();
                self.note_continuity(continuity);
            }
            Err(StoreError::Away(text) | StoreError::Damaged(Damage { text, .. })) => {
                self.note_away(text);
                self.next_renewal = self.setup.clock.now().mono.after(STORE_RETRY_MS_MAX);
            }
            Err(StoreError::Deposed(text) | StoreError::Taken(Taken { text, .. })) => {
                self.depose(text);
                return Err(Stop);
            }
        }
        Ok(())
    }

    fn note_renewal(&mut self, asked: Millis, lease_ms: u64) {
        self.status.renewed(asked, lease_ms);
        self.next_renewal = asked.after(REDIS_RENEW_MS);
        debug_assert!(self.next_renewal > asked, "the lease is renewed again");
    }

    fn note_back(&self) {
        if !self.status.is_connected() {
            tracing::info!("the store is back");
        }
        self.status.set_connected();
    }

    fn note_away(&self, text: String) {
        if self.status.set_away(text.clone()) {
            tracing::warn!("the store is away: {text}");
        }
    }

    fn note_backlog(&self) {
        let (entries, bytes, since) = self.pump.backlog();
        self.status.set_backlog(entries, bytes, since);
    }

    fn depose(&self, text: String) {
        tracing::error!("another server has taken over, no seat is granted any more: {text}");
        self.status.set_deposed(text.clone());
        assert!(!self.status.may_grant(self.setup.clock.now().mono), "who is no longer the writer grants nothing");
        (self.report)(StoreEvent::Deposed(text));
    }

    /// Whether the process has waited long enough. The first call starts the clock.
    fn is_over(&mut self) -> bool {
        let now = self.setup.clock.now().mono;
        now >= *self.end.get_or_insert(now.after(STORE_FINISH_MS))
    }
}
