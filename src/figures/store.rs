//! The figures of the store. The store thread fills them in; everybody else reads them.
//!
//! Changes are in one of three places: on the way to the store thread or with it (`backlog_*`), written, or synced. A
//! kill of the process costs the first, a power failure the first two. Only the embedded store in `window` mode tells
//! the second from the third (`unsynced_ms`); elsewhere a commit is as safe as the store can make it. Never here: what
//! follows from a figure.

use super::histogram::Histogram;
use super::row::Json::{Hidden, Key};
use super::row::Kind::{Counter, Gauge};
use super::row::Unit::{Bytes, Count, Flag, Micros, Millis, Words};
use super::row::{Json, Kind, Row, STATS_ONLY, Scope, Slot, Unit};

/// The figures of the store at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreFigures {
    /// Whether there is a store: not with `STORE=memory`.
    pub is_used: bool,
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
    /// Whether something was missing at the start.
    pub is_damaged: bool,
    /// Holds that were missing at the start, at least.
    pub restored_damaged: u64,
    /// Times a backlog overflowed, or the store lost something, and a shard sent its full state.
    pub full_states: u64,
    /// Changes that the store thread has taken and not committed.
    pub backlog_entries: u64,
    /// The same in bytes of memory.
    pub backlog_bytes: u64,
    /// Age of the oldest of them.
    pub backlog_ms: u64,
    /// How long ago the oldest change was committed that is written and not synced.
    pub unsynced_ms: u64,
    /// Duration of a sync behind the commits.
    pub sync_us: Histogram,
    /// Duration of a commit.
    pub commit_us: Histogram,
    /// Changes in a group.
    pub group_entries: Histogram,
    /// Age of a group's oldest change when it was committed.
    pub lag_ms: Histogram,
}

impl Default for StoreFigures {
    fn default() -> Self {
        Self {
            is_used: false,
            is_connected: false,
            error: None,
            is_deposed: false,
            commits: 0,
            changes: 0,
            failures: 0,
            restored: 0,
            skipped: 0,
            is_damaged: false,
            restored_damaged: 0,
            full_states: 0,
            backlog_entries: 0,
            backlog_bytes: 0,
            backlog_ms: 0,
            unsynced_ms: 0,
            sync_us: Histogram::fine(),
            commit_us: Histogram::fine(),
            group_entries: Histogram::fine(),
            lag_ms: Histogram::fine(),
        }
    }
}

type Field = for<'a> fn(&'a mut StoreFigures) -> Slot<'a>;
type StoreRow = Row<StoreFigures>;

const fn one(name: &'static str, json: Json, kind: Kind, unit: Unit, help: &'static str, slot: Field) -> StoreRow {
    Row { name, json, kind, unit, help, scope: Scope::Server, labels: &[], slot }
}

const fn stats_only(json: &'static str, kind: Kind, unit: Unit, help: &'static str, slot: Field) -> StoreRow {
    one(STATS_ONLY, Key(json), kind, unit, help, slot)
}

/// Every figure of the store.
#[rustfmt::skip]
pub const ROWS: &[StoreRow] = &[
    one("butaca_store_used", Hidden, Gauge, Flag,
        "1 when holds are kept in a store", |s| Slot::Flag(&mut s.is_used)),
    one("butaca_store_connected", Key("connected"), Gauge, Flag,
        "1 while the store answers", |s| Slot::Flag(&mut s.is_connected)),
    stats_only("error", Gauge, Words, "Why it does not", |s| Slot::Words(&mut s.error)),
    stats_only("deposed", Gauge, Flag, "Whether another server is the writer", |s| Slot::Flag(&mut s.is_deposed)),
    one("butaca_store_backlog_entries", Key("backlog_entries"), Gauge, Count("changes"),
        "Changes that are not committed", |s| Slot::Number(&mut s.backlog_entries)),
    stats_only("backlog_bytes", Gauge, Bytes, "The same in bytes", |s| Slot::Number(&mut s.backlog_bytes)),
    one("butaca_store_commits_total", Key("commits"), Counter, Count("groups"),
        "Groups committed", |s| Slot::Number(&mut s.commits)),
    one("butaca_store_changes_total", Key("changes"), Counter, Count("changes"),
        "Changes committed", |s| Slot::Number(&mut s.changes)),
    one("butaca_store_errors_total", Key("failures"), Counter, Count("commits"),
        "Commits that failed", |s| Slot::Number(&mut s.failures)),
    stats_only("restored", Gauge, Count("holds"), "Holds given back at the start", |s| Slot::Number(&mut s.restored)),
    stats_only("skipped", Gauge, Count("records"), "Records skipped at the start", |s| Slot::Number(&mut s.skipped)),
    one("butaca_store_damaged", Key("damaged"), Gauge, Flag,
        "1 when something was missing from the store at the start", |s| Slot::Flag(&mut s.is_damaged)),
    one("butaca_store_restored_damaged", Key("restored_damaged"), Gauge, Count("holds"),
        "Holds that were missing from the store at the start, at least", |s| Slot::Number(&mut s.restored_damaged)),
    stats_only("full_states", Counter, Count("full states"),
        "Full states that shards sent because changes were lost", |s| Slot::Number(&mut s.full_states)),
    one("butaca_store_lag_seconds", Key("backlog_ms"), Gauge, Millis,
        "Age of the oldest change that is not committed", |s| Slot::Number(&mut s.backlog_ms)),
    one("butaca_store_unsynced_seconds", Key("unsynced_ms"), Gauge, Millis,
        "How long a committed change waits for the disk's sync", |s| Slot::Number(&mut s.unsynced_ms)),
    one("butaca_store_commit_seconds", Key("commit_us"), Kind::Histogram, Micros,
        "Time of a commit", |s| Slot::Histogram(&mut s.commit_us)),
    stats_only("sync_us", Kind::Histogram, Micros, "Time of a sync behind it", |s| Slot::Histogram(&mut s.sync_us)),
    stats_only("group_entries", Kind::Histogram, Count("changes"),
        "Changes in a group", |s| Slot::Histogram(&mut s.group_entries)),
    stats_only("lag_ms", Kind::Histogram, Millis,
        "Age of a group's oldest change when it was committed", |s| Slot::Histogram(&mut s.lag_ms)),
];
