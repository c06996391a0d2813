//! The log: one subscriber for `tracing`, on standard error.
//!
//! Invariants: standard output belongs to what was asked for (the banner, `--print-config`); a message body or a
//! `user_info` is never an argument of a log line; libraries speak only when something is wrong.
//! Never here: deciding what is worth a line.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

/// Starts logging. Called once, before the first thread.
pub fn start(level: LevelFilter, format: LogFormat) {
    // glommio registers buffers that nothing here uses, and warns, over several lines, where 8 MiB of locked memory are
    // too little for that: each counts as the 2 MiB page that it lies in.
    let rings = ("glommio::sys::uring", LevelFilter::ERROR);
    let filter = Targets::new().with_default(level.min(LevelFilter::WARN)).with_targets([("butaca", level), rings]);
    // A line that cannot be written is lost: the subscriber would report that with `eprintln!`, which panics for the same
    // reason, and a panic ends the process.
    let lines = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(stderr)
        .with_target(false)
        .log_internal_errors(false);
    match format {
        LogFormat::Text => lines.with_ansi(stderr().is_terminal()).finish().with(filter).init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().with(filter).init(),
    }
}
