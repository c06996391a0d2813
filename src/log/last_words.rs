//! What a panic says, and that it ends the process.
//!
//! Invariants: the process ends within [`LOG_FINISH_MS`](crate::limits::log::LOG_FINISH_MS) and a little, whichever
//! thread panics and even when nobody reads the log; the last words wait in the same queue as all lines, and no line is
//! lost for them. They do not go through the subscriber: it may be what panicked, and `LOG_LEVEL=off` must not hide
//! them.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write as _;
use std::panic::PanicHookInfo;
use std::thread;

use serde_json::json;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use super::{FORMAT, QUEUE, finish};
use crate::config::LogFormat;

/// A panic is a bug of ours: the whole process ends, so that a supervisor restarts the whole and no port stays half
/// served.
pub fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        match FORMAT.get() {
            Some(&format) => {
                QUEUE.push_last(line(format, &words(panic)).into_bytes());
                finish();
            }
            // Nothing is served yet.
            None => report(panic),
        }
        std::process::abort();
    }));
}

fn words(panic: &PanicHookInfo<'_>) -> String {
    let thread = thread::current();
    let place = panic.location().map_or_else(|| "an unknown place".into(), ToString::to_string);
    let why = panic.payload_as_str().unwrap_or("no message");
    let mut words = format!("thread '{}' panicked at {place}: {why}", thread.name().unwrap_or("unnamed"));
    // As always, `RUST_BACKTRACE=1` asks for it.
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        write!(words, "\n{trace}").expect("a String takes everything");
    }
    words
}

fn line(format: LogFormat, words: &str) -> String {
    let mut now = String::new();
    SystemTime.format_time(&mut Writer::new(&mut now)).expect("a String takes everything");
    match format {
        LogFormat::Text => format!("{now} ERROR {words}\n"),
        LogFormat::Json => format!("{}\n", json!({"timestamp": now, "level": "ERROR", "message": words})),
    }
}

#[cfg(test)]
mod tests {
    use super::line;
    use crate::config::LogFormat;

    #[test]
    fn the_words_look_like_every_other_line() {
        let text = line(LogFormat::Text, "thread 'x' panicked");
        assert!(text.ends_with(" ERROR thread 'x' panicked\n") && text.starts_with("20"), "{text}");
        let json = line(LogFormat::Json, "a \"b\"\nc");
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&read["level"], &read["message"]), (&"ERROR".into(), &"a \"b\"\nc".into()));
        assert_eq!(json.matches('\n').count(), 1, "one object a line");
    }
}
