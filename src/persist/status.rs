//! How the store is doing: written by the store thread, read by the shards and by `/health` and `/stats`.
//!
//! Invariant: what a shard reads in each turn are two atomics; the rest is behind a lock that the store thread takes for
//! moments and shards never. Never here: what follows from it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use hdrhistogram::Histogram;

use crate::engine::time::Millis;
use crate::limits::STORE_UNSYNCED_MS_MAX;
use crate::stats::{self, StoreStats};

#[cfg(feature = "planted-bugs")]
use super::planted;

/// The state of the store and of this server's right to grant seats.
#[derive(Debug)]
pub struct StoreStatus {
    is_connected: AtomicBool,
    grant_until: AtomicU64,
    full_states: AtomicU64,
    figures: Mutex<Figures>,
}

/// Changes are in one of three places: on the way to the store thread or with it (`backlog`), written, or synced. A kill of
/// the process costs the first, a power failure the first two. Only the embedded store in `window` mode tells the second
/// from the third; elsewhere a commit is as safe as the store can make it.

#[derive(Debug)]
struct Figures {
    error: Option<String>,
    is_deposed: bool,
    commits: u64,
    changes: u64,
    failures: u64,
    restored: u64,
    skipped: u64,
    backlog_entries: usize,
    backlog_bytes: usize,
    oldest: Option<Millis>,
    unsynced: Option<Millis>,
    sync_us: Histogram<u64>,
    commit_us: Histogram<u64>,
    commit: stats::Histogram,
    group_entries: Histogram<u64>,
    lag_ms: Histogram<u64>,
}

/// The figures at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreFigures {
    /// Whether the last thing asked of the store was done.
    pub is_connected: bool,
    /// Why not.
    pub error: Option<String>,
    /// Whether another server has become the writer.
    pub is_deposed: bool,
    /// Groups committed.
    pub commits: u64,
    /// Changes committed.
    pub changes: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Holds given back at the start.
    pub restored: u64,
    /// Records that were skipped at the start.
    pub skipped: u64,
    /// Times a backlog overflowed, or the store lost something, and a shard sent its full state.
    pub full_states: u64,
    /// Changes that the store thread has taken and not committed.
    pub backlog_entries: usize,
    /// The same in bytes of memory.
    pub backlog_bytes: usize,
    /// Age of the oldest of them.
    pub backlog_ms: u64,
    /// How long ago the oldest change was committed that is written and not synced.
    pub unsynced_ms: u64,
    /// Duration of a sync behind the commits.
    pub sync_us: Quantiles,
    /// Duration of a commit.
    pub commit_us: Quantiles,
    /// Changes in a group.
    pub group_entries: Quantiles,
    /// Age of a group's oldest change when it was committed.
    pub lag_ms: Quantiles,
}

/// What a histogram says.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Quantiles {
    /// The median.
    pub p50: u64,
    /// 99 of 100 are not above.
    pub p99: u64,
    /// The highest.
    pub max: u64,
}

/// A group that was committed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Commit {
    pub(super) entries: usize,
    pub(super) started: Millis,
    pub(super) took_us: u64,
    pub(super) since: Millis,
}

impl Default for StoreStatus {
    fn default() -> Self {
        let histogram = |highest: u64| Histogram::new_with_bounds(1, highest, 2).expect("the bounds are in order");
        let figures = Figures {
            error: None,
            is_deposed: false,
            commits: 0,
            changes: 0,
            failures: 0,
            restored: 0,
            skipped: 0,
            backlog_entries: 0,
            backlog_bytes: 0,
            oldest: None,
            unsynced: None,
            sync_us: histogram(60_000_000),
            commit_us: histogram(60_000_000),
            commit: stats::Histogram::default(),
            group_entries: histogram(10_000_000),
            lag_ms: histogram(3_600_000),
        };
        Self {
            is_connected: AtomicBool::new(false),
            grant_until: AtomicU64::new(0),
            full_states: AtomicU64::new(0),
            figures: Mutex::new(figures),
        }
    }
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

    /// The figures of this moment.
    #[must_use]
    pub fn figures(&self, now: Millis) -> StoreFigures {
        let figures = self.lock();
        let unsynced_ms = figures.unsynced_ms(now);
        let error = figures.error.clone().or_else(|| late(unsynced_ms));
        StoreFigures {
            is_connected: self.is_connected() && error.is_none(),
            error,
            is_deposed: figures.is_deposed,
            commits: figures.commits,
            changes: figures.changes,
            failures: figures.failures,
            restored: figures.restored,
            skipped: figures.skipped,
            full_states: self.full_states.load(Ordering::Relaxed),
            backlog_entries: figures.backlog_entries,
            backlog_bytes: figures.backlog_bytes,
            backlog_ms: figures.oldest.map_or(0, |since| now.since(since)),
            unsynced_ms,
            sync_us: Quantiles::of(&figures.sync_us),
            commit_us: Quantiles::of(&figures.commit_us),
            group_entries: Quantiles::of(&figures.group_entries),
            lag_ms: Quantiles::of(&figures.lag_ms),
        }
    }

    /// The same for `/metrics`.
    #[must_use]
    pub fn stats(&self, now: Millis) -> StoreStats {
        let figures = self.lock();
        let unsynced_ms = figures.unsynced_ms(now);
        StoreStats {
            connected: self.is_connected() && late(unsynced_ms).is_none(),
            lag_ms: figures.oldest.map_or(0, |since| now.since(since)),
            unsynced_ms,
            backlog_entries: figures.backlog_entries as u64,
            commits: figures.commits,
            changes: figures.changes,
            errors: figures.failures,
            commit: figures.commit.clone(),
        }
    }

    /// The store has said that this is the writer, for `lease_ms` from the moment at which it said so. That was after it was
    /// asked, so the right to grant is counted from then, and it ends a little before the store lets another server in.
    pub fn renewed(&self, asked: Millis, lease_ms: u64) {
        let margin_ms = lease_ms / 10;
        #[cfg(feature = "planted-bugs")]
        let lease_ms = if planted::has(planted::Bug::LongLease) { lease_ms + lease_ms / 2 } else { lease_ms };
        self.set_grant_until(asked.after(lease_ms - margin_ms));
    }

    /// Until when no other server can become the writer.
    pub(super) fn set_grant_until(&self, until: Millis) {
        self.grant_until.store(until.0, Ordering::Release);
    }

    pub(super) fn set_connected(&self) {
        self.lock().error = None;
        self.is_connected.store(true, Ordering::Relaxed);
    }

    /// The store failed. Returns whether that is news.
    pub(super) fn set_away(&self, error: String) -> bool {
        let mut figures = self.lock();
        figures.failures += 1;
        let is_news = figures.error.as_ref() != Some(&error);
        figures.error = Some(error);
        self.is_connected.store(false, Ordering::Relaxed);
        is_news
    }

    pub(super) fn set_deposed(&self, error: String) {
        self.set_grant_until(Millis(0));
        self.is_connected.store(false, Ordering::Relaxed);
        let mut figures = self.lock();
        figures.is_deposed = true;
        figures.error = Some(error);
    }

    pub(super) fn set_restored(&self, restored: u64, skipped: u64) {
        let mut figures = self.lock();
        figures.restored = restored;
        figures.skipped = skipped;
    }

    pub(super) fn set_backlog(&self, entries: usize, bytes: usize, oldest: Option<Millis>) {
        let mut figures = self.lock();
        figures.backlog_entries = entries;
        figures.backlog_bytes = bytes;
        figures.oldest = oldest;
    }

    /// Since when something is written and not synced.
    pub(super) fn set_unsynced(&self, since: Option<Millis>) {
        self.lock().unsynced = since;
    }

    pub(super) fn add_sync(&self, took_us: u64) {
        self.lock().sync_us.saturating_record(took_us.max(1));
    }

    pub(super) fn add_commit(&self, commit: Commit) {
        let mut figures = self.lock();
        figures.commits += 1;
        figures.changes += commit.entries as u64;
        figures.commit_us.saturating_record(commit.took_us.max(1));
        figures.commit.record(commit.took_us.saturating_mul(1_000), 1);
        figures.group_entries.saturating_record((commit.entries as u64).max(1));
        let lag_ms = commit.started.since(commit.since) + commit.took_us / 1_000;
        figures.lag_ms.saturating_record(lag_ms.max(1));
    }

    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().expect("nobody panics with the lock")
    }
}

impl Figures {
    fn unsynced_ms(&self, now: Millis) -> u64 {
        self.unsynced.map_or(0, |since| now.since(since))
    }
}

/// What is to be said of a disk that does not sync.
fn late(unsynced_ms: u64) -> Option<String> {
    let is_late = unsynced_ms > STORE_UNSYNCED_MS_MAX;
    is_late.then(|| format!("the disk has not synced what was written {unsynced_ms} ms ago"))
}

impl Quantiles {
    fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        Self { p50: histogram.value_at_quantile(0.5), p99: histogram.value_at_quantile(0.99), max: histogram.max() }
    }
}
