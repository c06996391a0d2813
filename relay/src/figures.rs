//! What the relay counts, for `/metrics` and for the line that it prints.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::event::Event;
use crate::limits::ROOMS_WATCHED_MAX;

/// Figures of one sink.
pub(crate) struct Figures {
    pub(crate) sink: &'static str,
    /// Events that the sink has taken.
    pub(crate) delivered: AtomicU64,
    /// Tries that failed and were made again.
    pub(crate) retries: AtomicU64,
    /// Questions to the log that failed.
    pub(crate) log_failures: AtomicU64,
    /// Numbers of rooms that did not follow each other.
    pub(crate) holes: AtomicU64,
    /// When the oldest event happened that is read and not yet taken, in milliseconds since 1970; 0 when there is none.
    waiting_since_ms: AtomicU64,
    /// When the log answered last, in milliseconds since 1970.
    answered_ms: AtomicU64,
    last: Mutex<HashMap<String, (String, i64)>>,
}

impl Figures {
    pub(crate) fn new(sink: &'static str, now_ms: u64) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            sink,
            delivered: zero(),
            retries: zero(),
            log_failures: zero(),
            holes: zero(),
            waiting_since_ms: zero(),
            answered_ms: AtomicU64::new(now_ms),
            last: Mutex::default(),
        }
    }

    /// Notes that the log has answered with these events.
    pub(crate) fn read(&self, events: &[Event], now_ms: u64) {
        self.answered_ms.store(now_ms, Relaxed);
        self.waits_for(events, now_ms);
        let holes = self.watch(events);
        self.holes.fetch_add(holes, Relaxed);
    }

    /// Notes that these events are still to be delivered.
    pub(crate) fn waits_for(&self, events: &[Event], now_ms: u64) {
        let since = events.first().map_or(0, |event| event.at_ms().unwrap_or(now_ms).max(1));
        self.waiting_since_ms.store(since, Relaxed);
    }

    /// How long the oldest event that is read waits for the sink.
    pub(crate) fn lag_ms(&self, now_ms: u64) -> u64 {
        match self.waiting_since_ms.load(Relaxed) {
            0 => 0,
            since => now_ms.saturating_sub(since),
        }
    }

    /// How many numbers of rooms do not follow the one before. What comes again counts for nothing.
    fn watch(&self, events: &[Event]) -> u64 {
        let mut last = self.last.lock().expect("nobody panics while it is locked");
        let mut holes = 0;
        for event in events {
            if last.len() >= ROOMS_WATCHED_MAX {
                last.clear();
            }
            let known = last.entry(event.room.clone()).or_insert_with(|| (event.epoch.clone(), event.n));
            if known.0 != event.epoch {
                *known = (event.epoch.clone(), event.n);
            }
            holes += u64::from(event.n > known.1 + 1);
            known.1 = known.1.max(event.n);
        }
        holes
    }

    /// One line for people.
    pub(crate) fn line(&self, now_ms: u64) -> String {
        let [delivered, retries] = [&self.delivered, &self.retries].map(|count| count.load(Relaxed));
        let lag_ms = self.lag_ms(now_ms);
        let mut line = format!("{}: {delivered} events delivered, {retries} tries again, lag {lag_ms} ms", self.sink);
        if let holes @ 1.. = self.holes.load(Relaxed) {
            write!(line, ", {holes} HOLES in the log").expect("a text takes it");
        }
        line
    }
}

/// All figures as Prometheus reads them.
pub(crate) fn metrics(all: &[&Figures], now_ms: u64) -> String {
    let mut text = String::new();
    let mut series = |name: &str, kind: &str, help: &str, value: &dyn Fn(&Figures) -> f64| {
        write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n").expect("a text takes it");
        for figures in all {
            writeln!(text, "{name}{{sink=\"{}\"}} {}", figures.sink, value(figures)).expect("a text takes it");
        }
    };
    let count = |count: &AtomicU64| float(count.load(Relaxed));
    let counter = "counter";
    series("butaca_relay_events_total", counter, "Events that the sink has taken.", &|f| count(&f.delivered));
    series("butaca_relay_retries_total", counter, "Deliveries that failed and were tried again.", &|f| {
        count(&f.retries)
    });
    series("butaca_relay_log_failures_total", counter, "Questions to the log that failed.", &|f| {
        count(&f.log_failures)
    });
    series("butaca_relay_holes_total", counter, "Numbers of rooms that did not follow each other.", &|f| {
        count(&f.holes)
    });
    series("butaca_relay_lag_seconds", "gauge", "How long the oldest event that is read waits for the sink.", &|f| {
        float(f.lag_ms(now_ms)) / 1000.0
    });
    series("butaca_relay_log_silence_seconds", "gauge", "How long ago the log answered.", &|f| {
        float(now_ms.saturating_sub(f.answered_ms.load(Relaxed))) / 1000.0
    });
    text
}

#[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::{Figures, metrics};
    use crate::event::tests::{event, of_room};

    #[test]
    fn holes_and_lag_are_seen() {
        let figures = Figures::new("mongo", 5);
        let at = |n| event(n, "seat.held", None, &[]);
        for (numbers, holes) in [(&[7, 8][..], 0), (&[8, 9], 0), (&[11], 1), (&[9, 10, 12], 1), (&[20], 2)] {
            let events: Vec<_> = numbers.iter().map(|&n| at(n)).collect();
            figures.read(&events, 10);
            assert_eq!(figures.holes.load(Relaxed), holes, "{numbers:?}");
        }
        figures.read(&[of_room("other", 3, "seat.held", None, &[])], 1_768_473_002_000);
        assert_eq!((figures.holes.load(Relaxed), figures.lag_ms(1_768_473_002_000)), (2, 2_000));
        let text = metrics(&[&figures], 1_768_473_004_500);
        assert!(text.contains("butaca_relay_lag_seconds{sink=\"mongo\"} 4.5\n"), "{text}");
        assert!(text.contains("butaca_relay_log_silence_seconds{sink=\"mongo\"} 2.5\n"), "{text}");
        figures.waits_for(&[], 0);
        assert_eq!(figures.lag_ms(9), 0);
        assert!(figures.line(0).ends_with("lag 0 ms, 2 HOLES in the log"));
    }
}
