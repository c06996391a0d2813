//! The figures of the server as a whole, and those that the kernel counts for its process.
//!
//! Never here: reading `/proc` (that is `runtime/process.rs`).

use super::row::Json::{Hidden, Key};
use super::row::Kind::{Counter, Gauge};
use super::row::Unit::{Bytes, Count, Flag, Seconds};
use super::row::{Kind, Label, Row, Scope, Slot, Unit};

/// What shards can run on, by their names in `RUNTIME`, `/health`, `/stats` and `/metrics`.
pub const RUNTIMES: &[&str] = &["glommio", "threads"];

/// What no shard knows by itself.
#[derive(Clone, Default, Debug)]
pub struct ServerFigures {
    /// Open WebSockets, those on their way between two shards included.
    pub websockets: u64,
    /// Most connections that are accepted.
    pub connections_max: u64,
    /// Whether new work is taken: not while starting and draining.
    pub is_serving: bool,
    /// Lines of the log that nobody took.
    pub log_lines_dropped: u64,
    /// What the shards run on: 1 for that one of [`RUNTIMES`], 0 for the others.
    pub runtimes: [u64; RUNTIMES.len()],
    /// 1 once a private address from which nearly everybody comes has reached its limit.
    pub undeclared_proxy: u64,
    /// What clients made grow, by kind.
    pub memory: MemoryFigures,
    /// What all of it may take together.
    pub memory_budget_bytes: u64,
}

impl ServerFigures {
    /// The name of what the shards run on.
    pub(super) fn runtime(&self) -> Option<&'static str> {
        let at = self.runtimes.iter().position(|&runs| runs == 1);
        at.map(|at| RUNTIMES[at])
    }
}

/// What the memory of all shards takes, as it is counted.
#[derive(Clone, Copy, Default, Debug)]
pub struct MemoryFigures {
    /// What waits for slow readers.
    pub outboxes: u64,
    /// Logs of rooms that slow readers are behind in.
    pub logs: u64,
    /// Full states.
    pub full_states: u64,
    /// Bodies of HTTP answers.
    pub http_bodies: u64,
    /// Answers that wait for the store.
    pub withheld: u64,
    /// Holds.
    pub holds: u64,
    /// The log of acts.
    pub acts: u64,
    /// Bodies that the shop's backend sends.
    pub api_bodies: u64,
}

/// What the kernel counts for the process.
#[derive(Clone, Default, Debug)]
pub struct ProcessFigures {
    /// Resident memory.
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub open_files: u64,
    /// Most open file descriptors.
    pub files_max: u64,
    /// CPU time, user and system.
    pub cpu_seconds: f64,
    /// When the process started, in seconds since 1970.
    pub start_seconds: f64,
}

const fn one<T>(
    name: &'static str,
    kind: Kind,
    unit: Unit,
    help: &'static str,
    labels: &'static [Label],
    slot: for<'a> fn(&'a mut T) -> Slot<'a>,
) -> Row<T> {
    Row { name, json: Hidden, kind, unit, help, scope: Scope::Server, labels, slot }
}

/// The same, in `/stats` too.
const fn shown<T>(row: Row<T>, key: &'static str) -> Row<T> {
    Row { json: Key(key), ..row }
}

const RUNTIME: &[Label] = &[Label { name: "runtime", values: RUNTIMES }];
/// Memory of one kind: one figure with a label.
const fn memory(
    key: &'static str,
    labels: &'static [Label],
    slot: for<'a> fn(&'a mut ServerFigures) -> Slot<'a>,
) -> Row<ServerFigures> {
    shown(one("butaca_memory_bytes", Gauge, Bytes, "What clients made grow, in bytes of memory", labels, slot), key)
}

const VERSION: &[Label] = &[Label { name: "version", values: &[env!("CARGO_PKG_VERSION")] }];

/// Every figure of the server.
#[rustfmt::skip]
pub const ROWS: &[Row<ServerFigures>] = &[
    one("butaca_active_connections", Gauge, Count("connections"),
        "Open WebSockets", &[], |s| Slot::Number(&mut s.websockets)),
    one("butaca_connections_max", Gauge, Count("connections"),
        "Most open sockets that are accepted", &[], |s| Slot::Number(&mut s.connections_max)),
    one("butaca_serving", Gauge, Flag,
        "1 while the server takes work, 0 while it starts or drains", &[], |s| Slot::Flag(&mut s.is_serving)),
    shown(one("butaca_log_lines_dropped_total", Counter, Count("lines"),
        "Lines of the log that were lost because nobody took them", &[], |s| Slot::Number(&mut s.log_lines_dropped)),
        "log_lines_dropped"),
    one("butaca_runtime", Gauge, Count("runtimes"),
        "1 for what the shards run on, 0 for what they could run on", RUNTIME, |s| Slot::Numbers(&mut s.runtimes)),
    one("butaca_undeclared_proxy", Gauge, Count("addresses"),
        "1 once a private address from which nearly everybody comes has reached its limit: set TRUSTED_PROXIES", &[],
        |s| Slot::Number(&mut s.undeclared_proxy)),
    memory("memory_outboxes", &[Label { name: "kind", values: &["outboxes"] }],
        |s| Slot::Number(&mut s.memory.outboxes)),
    memory("memory_logs", &[Label { name: "kind", values: &["logs"] }],
        |s| Slot::Number(&mut s.memory.logs)),
    memory("memory_full_states", &[Label { name: "kind", values: &["full_states"] }],
        |s| Slot::Number(&mut s.memory.full_states)),
    memory("memory_http_bodies", &[Label { name: "kind", values: &["http_bodies"] }],
        |s| Slot::Number(&mut s.memory.http_bodies)),
    memory("memory_withheld", &[Label { name: "kind", values: &["withheld"] }],
        |s| Slot::Number(&mut s.memory.withheld)),
    memory("memory_holds", &[Label { name: "kind", values: &["holds"] }],
        |s| Slot::Number(&mut s.memory.holds)),
    memory("memory_acts", &[Label { name: "kind", values: &["acts"] }],
        |s| Slot::Number(&mut s.memory.acts)),
    memory("memory_api_bodies", &[Label { name: "kind", values: &["api_bodies"] }],
        |s| Slot::Number(&mut s.memory.api_bodies)),
    shown(one("butaca_memory_budget_bytes", Gauge, Bytes,
        "What all of it may take together", &[], |s| Slot::Number(&mut s.memory_budget_bytes)), "memory_budget"),
    one("butaca_build_info", Gauge, Count("versions"), "The version that runs", VERSION, |_| Slot::One),
];

/// Every figure of the process, under the names that all exporters use.
#[rustfmt::skip]
pub const PROCESS_ROWS: &[Row<ProcessFigures>] = &[
    one("process_resident_memory_bytes", Gauge, Bytes,
        "Resident memory", &[], |p| Slot::Number(&mut p.resident_bytes)),
    one("process_open_fds", Gauge, Count("files"), "Open file descriptors", &[], |p| Slot::Number(&mut p.open_files)),
    one("process_max_fds", Gauge, Count("files"),
        "Most open file descriptors", &[], |p| Slot::Number(&mut p.files_max)),
    one("process_cpu_seconds_total", Counter, Seconds,
        "CPU time, user and system", &[], |p| Slot::Real(&mut p.cpu_seconds)),
    one("process_start_time_seconds", Gauge, Seconds,
        "When the process started, since 1970", &[], |p| Slot::Real(&mut p.start_seconds)),
];
