//! The log: one subscriber for `tracing`, on standard error.
//!
//! Invariants: standard output belongs to what was asked for (the banner, `--print-config`); a message body or a
//! `user_info` is never an argument of a log line. Never here: deciding what is worth a line.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;

use crate::config::LogFormat;

/// Starts logging. Called once, before the first thread.
pub fn start(level: LevelFilter, format: LogFormat) {
    let subscriber = tracing_subscriber::fmt().with_max_level(level).with_writer(stderr).with_target(false);
    match format {
        LogFormat::Text => subscriber.with_ansi(stderr().is_terminal()).init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
}
