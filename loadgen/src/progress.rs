//! The live display: a bar where there is a terminal, a line every few seconds where there is none.
//!
//! Never here: figures that are not displayed.

use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::clock::now_ns;
use crate::session::Shared;

/// Without a terminal a line is written this often.
const LINE_EVERY_NS: u64 = 5_000_000_000;

/// The display of one run.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    length_ns: u64,
    show: bool,
    last: (u64, u64, u64),
    rates: (f64, f64),
    next_line: u64,
}

impl Progress {
    /// A display of a run of `length_ns`; with `show` off it stays dark.
    #[must_use]
    pub fn new(show: bool, length_ns: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(length_ns / 1_000_000), ProgressDrawTarget::stderr_with_hz(10));
        if !show {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{bar:24.cyan/blue} {percent:>3} % {msg}")
            .expect("the template is a constant");
        bar.set_style(style);
        Self { bar, length_ns, show, last: (now_ns(), 0, 0), rates: (0.0, 0.0), next_line: now_ns() + LINE_EVERY_NS }
    }

    /// Brings the display up to date.
    pub fn show(&mut self, shared: &Shared, stats_answer: &AtomicBool) {
        if !self.show {
            return;
        }
        let now = now_ns();
        let live = &shared.live;
        let get = |cell: &std::sync::atomic::AtomicU64| cell.load(Ordering::Relaxed);
        let (commands, deliveries) = (get(&live.commands), get(&live.deliveries));
        let passed = now - self.last.0;
        if passed > 500_000_000 {
            let rate = |new: u64, old: u64| new.saturating_sub(old) as f64 * 1e9 / passed as f64;
            self.rates = (rate(commands, self.last.1), rate(deliveries, self.last.2));
            self.last = (now, commands, deliveries);
        }
        let start = shared.start.load(Ordering::Relaxed);
        let done = if start == 0 { 0 } else { now.saturating_sub(start).min(self.length_ns) };
        let stage = match (start, done == self.length_ns) {
            (0, _) => "opening",
            (_, false) => "running",
            (_, true) => "checking",
        };
        let text = format!(
            "{stage}: {} open, {:.0} commands/s, {:.0} events/s, p99 {:.1} ms, {} refused, {} held, {} violations{}",
            get(&live.connections),
            self.rates.0,
            self.rates.1,
            get(&live.p99_us) as f64 / 1_000.0,
            get(&live.refused),
            get(&live.held),
            get(&live.violations),
            if stats_answer.load(Ordering::Relaxed) { "" } else { ", no /stats" },
        );
        if self.bar.is_hidden() && now >= self.next_line {
            eprintln!("{text}");
            self.next_line = now + LINE_EVERY_NS;
        }
        self.bar.set_position(done / 1_000_000);
        self.bar.set_message(text);
    }

    /// Takes the display away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
