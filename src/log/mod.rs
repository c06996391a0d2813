//! The log: one subscriber for `tracing`, whose lines a thread of its own writes to standard error.
//!
//! Invariants: no other thread writes to a descriptor of the log, so one that is full, closed or hangs costs lines and
//! nothing else; standard output belongs to what was asked for (the banner, `--print-config`); a message body or a
//! `user_info` is never an argument of a log line; libraries speak only when something is wrong.
//! Never here: deciding what is worth a line.
//!
//! Why not the crate `tracing-appender`? Its queue is bounded in lines and not in bytes, it does not count the lines
//! that could not be written, and at the end, when the queue is full because nobody reads, it waits and reports with
//! `println!`, which can hang and panic itself. A panic hook cannot wait for it either.

mod last_words;
mod queue;
mod writer;

use std::io::{self, IsTerminal, stderr};
use std::sync::OnceLock;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;
use crate::limits::log::LOG_FINISH_MS;
use queue::Queue;

pub use last_words::end_on_panic;
pub use writer::print_aside;

/// What waits for standard error. There is one, as there is one standard error.
static QUEUE: Queue = Queue::new();
/// How lines are written; set when the thread that writes them runs.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Starts logging. Called once, before the first thread.
///
/// # Errors
/// When the system gives no thread for it.
pub fn start(level: LevelFilter, format: LogFormat) -> io::Result<()> {
    writer::start(&QUEUE)?;
    FORMAT.get_or_init(|| format);
    // glommio registers buffers that nothing here uses, and warns, over several lines, where 8 MiB of locked memory are
    // too little for that: each counts as the 2 MiB page that it lies in.
    let rings = ("glommio::sys::uring", LevelFilter::ERROR);
    let filter = Targets::new().with_default(level.min(LevelFilter::WARN)).with_targets([("butaca", level), rings]);
    // What the subscriber cannot do it would report with `eprintln!`, which can hang, and panics when it fails.
    let lines = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(ToQueue)
        .with_target(false)
        .log_internal_errors(false);
    match format {
        LogFormat::Text => lines.with_ansi(stderr().is_terminal()).finish().with(filter).init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().with(filter).init(),
    }
    Ok(())
}

/// Says one line whatever is logged: why the server ends.
pub fn say(line: &str) {
    QUEUE.push_last(format!("{line}\n").into_bytes());
}

/// Waits until what was logged is written, at most [`LOG_FINISH_MS`]: the last act of an orderly end.
pub fn finish() {
    QUEUE.finish(Duration::from_millis(LOG_FINISH_MS));
}

/// Lines that were lost because nobody took them.
pub fn lines_dropped() -> u64 {
    QUEUE.dropped()
}

/// The subscriber's way into the queue: it writes each line at once.
#[derive(Clone, Copy)]
struct ToQueue;

impl io::Write for ToQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        QUEUE.push(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for ToQueue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}
