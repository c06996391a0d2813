//! How the store is doing: written by the store thread, read by the shards and by `/health` and `/stats`.
//!
//! Invariant: in each turn a shard reads two atomics and nothing else. The rest is behind a lock, which the store
//! thread and the readers of `/health`, `/stats` and `/metrics` take for moments. Never here: what follows from it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::engine::time::Millis;
use crate::figures::store::StoreFigures;
use crate::limits::store::STORE_UNSYNCED_MS_MAX;
use crate::planted::{Bug, has};

/// The state of the store and of this server's right to grant seats.
#[derive(Debug, Default)]
pub struct StoreStatus {
    is_connected: AtomicBool,
    grant_until: AtomicU64,
    full_states: AtomicU64,
    kept: Mutex<Kept>,
}

/// What is kept behind the lock: the figures but for what depends on the moment, and since when.
#[derive(Debug, Default)]
struct Kept {
    figures: StoreFigures,
    /// The oldest change that is not committed.
    oldest: Option<Millis>,
    /// The oldest change that is committed and not synced.
    unsynced: Option<Millis>,
    /// What was missing at the start, unless that was accepted.
    damage: Option<String>,
    /// Which rooms nobody serves, in a cluster.
    unserved: Option<String>,
}

/// A group that was committed.
#[derive(Clone, Copy, Debug)]
pub struct Commit {
    /// Changes in it.
    pub entries: usize,
    /// When it began.
    pub started: Millis,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// When its oldest change was made.
    pub since: Millis,
}

impl StoreStatus {
    /// Whether the store answers.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Relaxed)
    }

    /// Whether this server may grant seats at this moment: no other can be the writer.
    #[must_use]
    pub fn may_grant(&self, now: Millis) -> bool {
        now.0 < self.grant_until.load(Ordering::Acquire)
    }

    /// A shard sends its full state.
    pub fn count_full_state(&self) {
        self.full_states.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether something was missing at the start that nobody has said may be, or nobody serves some rooms.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        let kept = self.lock();
        kept.damage.is_some() || kept.unserved.is_some()
    }

    /// Some rooms have no node that serves them, in words.
    pub fn set_unserved(&self, text: Option<String>) {
        self.lock().unserved = text;
    }

    /// Whether the store does what is asked of it at this moment, and if not, why, or else what was missing at
    /// the start or is not served.
    #[must_use]
    pub fn health(&self, now: Millis) -> (bool, Option<String>) {
        let kept = self.lock();
        let error = kept.error(now);
        let others = || kept.damage.clone().or_else(|| kept.unserved.clone());
        (self.is_connected() && error.is_none(), error.or_else(others))
    }

    /// The figures of this moment.
    #[must_use]
    pub fn figures(&self, now: Millis) -> StoreFigures {
        let kept = self.lock();
        let error = kept.error(now);
        StoreFigures {
            is_used: true,
            is_connected: self.is_connected() && error.is_none(),
            error,
            full_states: self.full_states.load(Ordering::Relaxed),
            backlog_ms: kept.oldest.map_or(0, |since| now.since(since)),
            unsynced_ms: kept.unsynced_ms(now),
            ..kept.figures.clone()
        }
    }

    /// The store has said that this is the writer, for `lease_ms` from the moment at which it said so. That was after
    /// it was asked, so the right to grant is counted from then, and it ends a little before the store lets another
    /// server in.
    pub fn renewed(&self, asked: Millis, lease_ms: u64) {
        let margin_ms = lease_ms / 10;
        assert!(margin_ms > 0, "a lease is long enough for a margin");
        assert!(!self.lock().figures.is_deposed, "another server is the writer: this one never is again");
        let lease_ms = if has(Bug::LongLease) { lease_ms + lease_ms / 2 } else { lease_ms };
        self.set_grant_until(asked.after(lease_ms - margin_ms));
    }

    /// Until when no other server can become the writer.
    pub(super) fn set_grant_until(&self, until: Millis) {
        self.grant_until.store(until.0, Ordering::Release);
    }

    /// The store answers.
    pub fn set_connected(&self) {
        self.lock().figures.error = None;
        self.is_connected.store(true, Ordering::Relaxed);
    }

    /// The store failed. Returns whether that is news.
    pub fn set_away(&self, error: String) -> bool {
        let figures = &mut self.lock().figures;
        figures.failures += 1;
        let is_news = figures.error.as_ref() != Some(&error);
        figures.error = Some(error);
        self.is_connected.store(false, Ordering::Relaxed);
        is_news
    }

    pub(super) fn set_deposed(&self, error: String) {
        self.set_grant_until(Millis(0));
        self.is_connected.store(false, Ordering::Relaxed);
        let figures = &mut self.lock().figures;
        figures.is_deposed = true;
        figures.error = Some(error);
    }

    /// So many holds were restored, and so many records skipped.
    pub fn set_restored(&self, restored: u64, skipped: u64) {
        let figures = &mut self.lock().figures;
        figures.restored = restored;
        figures.skipped = skipped;
    }

    /// Something was missing when it was read.
    pub fn set_damaged(&self, missing: u64, text: &str, is_accepted: bool) {
        let mut kept = self.lock();
        kept.figures.is_damaged = true;
        kept.figures.restored_damaged = missing;
        kept.damage = (!is_accepted).then(|| text.to_owned());
    }

    /// What waits, and since when.
    pub fn set_backlog(&self, entries: usize, bytes: usize, oldest: Option<Millis>) {
        let mut kept = self.lock();
        kept.figures.backlog_entries = entries as u64;
        kept.figures.backlog_bytes = bytes as u64;
        kept.oldest = oldest;
    }

    /// Since when something is written and not synced.
    pub(super) fn set_unsynced(&self, since: Option<Millis>) {
        self.lock().unsynced = since;
    }

    pub(super) fn add_sync(&self, took_us: u64) {
        self.lock().figures.sync_us.record(took_us, 1);
    }

    /// A group was committed.
    pub fn add_commit(&self, commit: Commit) {
        debug_assert!(commit.since <= commit.started, "a change is made before it is committed");
        let figures = &mut self.lock().figures;
        figures.commits += 1;
        figures.changes += commit.entries as u64;
        figures.commit_us.record(commit.took_us, 1);
        figures.group_entries.record(commit.entries as u64, 1);
        figures.lag_ms.record(commit.started.since(commit.since) + commit.took_us / 1_000, 1);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("nobody panics with the lock")
    }
}

impl Kept {
    /// Why the store does not do what is asked of it.
    fn error(&self, now: Millis) -> Option<String> {
        self.figures.error.clone().or_else(|| late(self.unsynced_ms(now)))
    }

    fn unsynced_ms(&self, now: Millis) -> u64 {
        self.unsynced.map_or(0, |since| now.since(since))
    }
}

/// What is to be said of a disk that does not sync.
fn late(unsynced_ms: u64) -> Option<String> {
    let is_late = unsynced_ms > STORE_UNSYNCED_MS_MAX;
    is_late.then(|| format!("the disk has not synced what was written {unsynced_ms} ms ago"))
}
