//! What the threads of a run share: settings, barriers, figures for the display.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use crate::names::Names;
use crate::proc::Usage;
use crate::target::Targets;
use crate::worker::Traffic;

/// What all threads of a run need to know.
#[derive(Debug)]
pub struct Settings {
    /// The server, or the nodes.
    pub targets: Arc<Targets>,
    /// The names.
    pub names: Arc<Names>,
    /// The room of every client.
    pub room_of: Vec<usize>,
    /// How many load threads there are.
    pub threads: usize,
    /// CPUs to pin them to, in turn; none: not pinned.
    pub cores: Vec<usize>,
    /// Connections that may be opening at once.
    pub inflight: usize,
    /// Source addresses.
    pub sources: usize,
    /// Length of the running stage before the measured window.
    pub warmup_ns: u64,
    /// Length of the measured window.
    pub run_ns: u64,
    /// Longest wait for late events afterwards.
    pub drain_ns: u64,
    /// Longest wait for all connections.
    pub open_ns: u64,
    /// The server's process.
    pub server_pid: Option<u32>,
    /// How late a hold may expire.
    pub expiry_grace_ms: u64,
    /// Whether rooms are compared over HTTP at the end.
    pub audit: bool,
    /// The second protocol is spoken.
    pub second: bool,
    /// Servers without `seq` are accepted, and only counted.
    pub plain: bool,
    /// Whether connections resist the end: the sockets of these clients are opened by the script, not at the beginning.
    pub late: Vec<bool>,
}

/// What the threads tell each other and the progress display.
#[derive(Debug, Default)]
pub struct Shared {
    /// Threads whose connections are open.
    pub ready: AtomicUsize,
    /// When the running stage begins; 0: not known yet.
    pub start: AtomicU64,
    /// Threads that are done with draining.
    pub drained: AtomicUsize,
    /// Threads that have published the numbers of their rooms.
    pub published: AtomicUsize,
    /// The highest number of each room that several threads watch.
    pub highest: Vec<AtomicU64>,
    /// Threads that are done with the audit.
    pub audited: AtomicUsize,
    /// Threads that have ended.
    pub ended: AtomicUsize,
    /// The user wants the run to end.
    pub abort: AtomicBool,
    /// Sums for the display.
    pub live: Live,
}

/// Figures for the progress display, one set a thread is added into each.
#[derive(Debug, Default)]
pub struct Live {
    /// Open connections.
    pub connections: AtomicU64,
    /// Commands sent.
    pub commands: AtomicU64,
    /// Events received.
    pub deliveries: AtomicU64,
    /// Refusals.
    pub refused: AtomicU64,
    /// Held seats.
    pub held: AtomicU64,
    /// Violations.
    pub violations: AtomicU64,
    /// p99 of due to delivered, in microseconds, of the slowest thread that reported last.
    pub p99_us: AtomicU64,
}

/// A look at everything at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mark {
    /// When.
    pub ns: u64,
    /// The server.
    pub server: Usage,
    /// This process.
    pub own: Usage,
    /// This thread's loop.
    pub traffic: Traffic,
    /// Events that this thread had received.
    pub deliveries: u64,
}

/// The moments that are looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks {
    /// Before the first connect.
    pub opening: Mark,
    /// All connections are open.
    pub opened: Mark,
    /// The measured window begins.
    pub begin: Mark,
    /// The measured window ends.
    pub end: Mark,
}
