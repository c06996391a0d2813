//! The result of a run as plain data: what `--json` writes, what the table and the page show, what `compare` reads.
//!
//! Never here: how it was measured.

use std::collections::BTreeMap;

use hdrhistogram::{Counter, Histogram};
use serde::Serialize;

use crate::measure::{Measure, Totals, quantile_ms};
use crate::num::round;
use crate::oracle::violation::Findings;
use crate::watch::Sample;

/// Quantiles in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Quantiles {
    /// How many there were.
    pub n: u64,
    /// The median.
    pub p50: f64,
    /// 90 %
    pub p90: f64,
    /// 99 %
    pub p99: f64,
    /// 99.9 %
    pub p999: f64,
    /// The worst.
    pub max: f64,
}

impl Quantiles {
    /// Of a histogram of microseconds.
    #[must_use]
    pub fn of<T: Counter>(histogram: &Histogram<T>) -> Self {
        let at = |quantile| round(quantile_ms(histogram, quantile), 3);
        Self { n: histogram.len(), p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1.0) }
    }
}

/// Points of the percentile plot: quantile and milliseconds.
#[must_use]
pub fn percentile_curve(histogram: &Histogram<u64>) -> Vec<[f64; 2]> {
    let steps = histogram
        .iter_quantiles(4)
        .map(|step| [step.quantile_iterated_to(), step.value_iterated_to() as f64 / 1_000.0]);
    steps.filter(|[quantile, _]| *quantile < 1.0).take(200).collect()
}

/// What was run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Shape {
    /// Clients.
    pub clients: usize,
    /// Rooms.
    pub rooms: usize,
    /// Seats of a room.
    pub seats: u32,
    /// Blocks, rows of a block, seats of a row.
    pub hall: [u32; 3],
    /// Load threads.
    pub threads: usize,
    /// Length of the measured window.
    pub secs: f64,
    /// What all durations of the user model were multiplied with.
    pub time_scale: f64,
    /// Commands a second that were asked for, in scenarios with a fixed rate.
    pub rate: Option<f64>,
}

/// How a run ended.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// `clean`, `violated` or `void`.
    pub name: String,
    /// 0, 1 or 3.
    pub exit_code: u8,
    /// Why the figures do not count, when they do not.
    pub void: Vec<String>,
}

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latencies {
    /// From the due time of a command to its answer.
    pub reply: Quantiles,
    /// From the due time of a select to each other member.
    pub delivery: Quantiles,
    /// The same where the reader joined only after that: how old the events were that it had to catch up with.
    pub catching_up: Quantiles,
    /// From connect to joined.
    pub open: Quantiles,
    /// How late the generator itself was.
    pub lag: Quantiles,
}

/// Curves for the percentile plot.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Curves {
    /// Of replies.
    pub reply: Vec<[f64; 2]>,
    /// Of deliveries.
    pub delivery: Vec<[f64; 2]>,
}

/// One slice of the run.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Point {
    /// Seconds since the window began.
    pub t: f64,
    /// Commands a second.
    pub commands: f64,
    /// Events a second.
    pub deliveries: f64,
    /// Refusals a second.
    pub refusals: f64,
    /// Held seats.
    pub held: u64,
    /// Open connections.
    pub live: u64,
    /// Median of due to delivered.
    pub delivery_p50: f64,
    /// 99 % of due to delivered.
    pub delivery_p99: f64,
    /// Median of due to answered.
    pub reply_p50: f64,
    /// 99 % of due to answered.
    pub reply_p99: f64,
}

/// Selects and refusals by seat, over all rooms.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Heat {
    /// Selects.
    pub attempts: Vec<u32>,
    /// Refusals as taken.
    pub contested: Vec<u32>,
}

/// A whole run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// The scenario.
    pub scenario: String,
    /// The command line that repeats it.
    pub command: String,
    /// When it began, UTC.
    pub when: String,
    /// The server.
    pub url: String,
    /// The seed.
    pub seed: u64,
    /// What was run.
    pub shape: Shape,
    /// How it ended.
    pub verdict: Verdict,
    /// What was wrong.
    pub findings: Findings,
    /// Sums over the whole run.
    pub totals: BTreeMap<&'static str, u64>,
    /// Commands a second inside the window.
    pub commands_per_s: f64,
    /// Events a second inside the window.
    pub deliveries_per_s: f64,
    /// Latencies.
    pub latency_ms: Latencies,
    /// What it cost, and other figures of this scenario.
    pub figures: BTreeMap<String, f64>,
    /// Refusals by code.
    pub refusals: BTreeMap<&'static str, u64>,
    /// The server sends no `seq`.
    pub plain: bool,
    /// Remarks.
    pub notes: Vec<String>,
    /// Curves for the percentile plot.
    pub curves: Curves,
    /// The run in slices.
    pub series: Vec<Point>,
    /// The server from outside.
    pub server: Vec<Sample>,
    /// The rows of the shards.
    pub shards: Vec<BTreeMap<String, f64>>,
    /// Contention by seat.
    pub heat: Heat,
}

fn totals(totals: &Totals) -> BTreeMap<&'static str, u64> {
    BTreeMap::from([
        ("adopted", totals.adopted),
        ("caught_up", totals.caught_up),
        ("commands", totals.commands),
        ("cut_as_slow", totals.cut_as_slow),
        ("deliveries", totals.deliveries),
        ("expired", totals.expired),
        ("freed", totals.freed),
        ("joins", totals.joins),
        ("lost_connections", totals.lost),
        ("reconnects", totals.reconnects),
        ("refused", totals.refused),
        ("slow_closed", totals.slow_closed),
        ("won", totals.won),
    ])
}

/// What was held and open; a slice in which nobody looked, because the thread had no CPU, repeats the one before.
fn levels_of(part: &crate::measure::Slice, before: &mut (u64, u64)) -> (u64, u64) {
    if part.seen {
        *before = (part.held, part.live);
    }
    *before
}

impl Outcome {
    /// Takes over what was measured in a window of `secs` seconds.
    pub fn take(&mut self, measure: &Measure, secs: f64) {
        self.totals = totals(&measure.totals);
        self.commands_per_s = round(measure.window_commands as f64 / secs, 1);
        self.deliveries_per_s = round(measure.window_deliveries as f64 / secs, 1);
        self.latency_ms = Latencies {
            reply: Quantiles::of(&measure.reply),
            delivery: Quantiles::of(&measure.delivery),
            catching_up: Quantiles::of(&measure.catching_up),
            open: Quantiles::of(&measure.open),
            lag: Quantiles::of(&measure.lag),
        };
        self.refusals = measure.refusals.iter().map(|(code, count)| (code.name(), *count)).collect();
        self.curves = Curves { reply: percentile_curve(&measure.reply), delivery: percentile_curve(&measure.delivery) };
        self.heat = Heat { attempts: measure.attempts.clone(), contested: measure.contested.clone() };
        let slice = measure.slice_secs();
        let mut levels = (0, 0);
        let point = |(index, part): (usize, &crate::measure::Slice)| Point {
            t: round(index as f64 * slice, 2),
            commands: round(part.commands as f64 / slice, 1),
            deliveries: round(part.deliveries as f64 / slice, 1),
            refusals: round(part.refusals as f64 / slice, 1),
            held: levels_of(part, &mut levels).0,
            live: levels.1,
            delivery_p50: round(quantile_ms(&part.delivery, 0.5), 3),
            delivery_p99: round(quantile_ms(&part.delivery, 0.99), 3),
            reply_p50: round(quantile_ms(&part.reply, 0.5), 3),
            reply_p99: round(quantile_ms(&part.reply, 0.99), 3),
        };
        // The last slice may be a short one, which would look like a collapse.
        let whole = |point: &Point| point.t + slice <= secs + slice / 10.0;
        self.series = measure.slices.iter().enumerate().map(point).filter(whole).collect();
    }

    /// Writes down a figure.
    pub fn figure(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_owned(), value);
    }
}
