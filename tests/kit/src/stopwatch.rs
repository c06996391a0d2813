//! A stopwatch for promises of "within two seconds", on machines that may have no CPU for those who promised.
//!
//! A thread sleeps for a few milliseconds again and again and adds up how late it was woken. On a machine with nothing
//! else to do that is nothing, and the stopwatch is an ordinary one. On one that is short of CPUs the others that a
//! promise needs were late by as much, one after the other, and that is not theirs to answer for.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const NAP: Duration = Duration::from_millis(5);
/// What a timer may be late by on an idle machine.
const USUAL: Duration = Duration::from_millis(1);
/// Who works in a row for an answer: a shard, the store's thread, the store, a proxy, the test.
const IN_A_ROW: u32 = 5;

static LATE_NS: AtomicU64 = AtomicU64::new(0);

fn now() -> Instant {
    Instant::now()
}

/// How late the machine has been in all, since somebody first asked.
fn late() -> Duration {
    static METER: OnceLock<()> = OnceLock::new();
    METER.get_or_init(|| {
        std::thread::spawn(|| {
            loop {
                let began = now();
                std::thread::park_timeout(NAP);
                let late = began.elapsed().saturating_sub(NAP + USUAL);
                LATE_NS.fetch_add(u64::try_from(late.as_nanos()).expect("small"), Ordering::Relaxed);
            }
        });
    });
    Duration::from_nanos(LATE_NS.load(Ordering::Relaxed))
}

/// Runs from [`Stopwatch::start`] on.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    began: Instant,
    late: Duration,
}

impl Stopwatch {
    pub fn start() -> Self {
        let late = late();
        Self { began: now(), late }
    }

    /// The time since the start, without what the machine itself was late by.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed().saturating_sub(self.held_up())
    }

    /// What the machine may have held a chain of waiting threads up by since the start.
    pub fn held_up(&self) -> Duration {
        (late() - self.late) * IN_A_ROW
    }
}
