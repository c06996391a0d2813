//! Rows as Prometheus text, format 0.0.4.
//!
//! Invariants: a figure is declared once, and its samples follow at once; every series exists from the first scrape
//! on, so that a rate never misses its first step. Never here: collecting.

use std::fmt::Write as _;

use super::histogram::{BUCKETS, Histogram};
use super::nodes::{self, NodesFigures};
use super::row::{Kind, Label, Row, STATS_ONLY, Scope, Slot, Unit};
use super::server::{self, ProcessFigures, ServerFigures};
use super::shard::{self, ShardStats};
use super::store::{self, StoreFigures};

/// The `Content-Type` of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All figures of one moment.
#[derive(Clone, Default, Debug)]
pub struct Snapshot {
    /// With the shard's number. A shard that did not answer in time is missing, rather than counting from 0 again.
    pub shards: Vec<(usize, ShardStats)>,
    /// Of the whole server.
    pub server: ServerFigures,
    /// Of the store thread.
    pub store: StoreFigures,
    /// Of the nodes of a cluster.
    pub nodes: NodesFigures,
    /// Of the process.
    pub process: ProcessFigures,
}

/// The text of a scrape.
#[must_use]
pub fn text(mut snapshot: Snapshot) -> String {
    let mut all = ShardStats::default();
    snapshot.shards.iter().for_each(|(_, shard)| all.merge(shard.clone()));
    let mut writer = Writer { text: String::with_capacity(32 * 1024), declared: STATS_ONLY };
    writer.rows(shard::ROWS, &mut snapshot.shards, &mut all);
    writer.rows(server::ROWS, &mut [], &mut snapshot.server);
    writer.rows(store::ROWS, &mut [], &mut snapshot.store);
    writer.rows(nodes::ROWS, &mut [], &mut snapshot.nodes);
    writer.rows(server::PROCESS_ROWS, &mut [], &mut snapshot.process);
    writer.text
}

/// The text as far as it is written.
struct Writer {
    text: String,
    /// The figure that was declared last.
    declared: &'static str,
}

impl Writer {
    /// Writes all rows: of each shard, or of all together.
    fn rows<T>(&mut self, rows: &[Row<T>], shards: &mut [(usize, T)], all: &mut T) {
        for row in rows.iter().filter(|row| row.name != STATS_ONLY) {
            self.declare(row);
            match row.scope {
                Scope::Server => self.figure(row, "", (row.slot)(all)),
                Scope::Shard => {
                    for (number, shard) in shards.iter_mut() {
                        self.figure(row, &format!("shard=\"{number}\""), (row.slot)(shard));
                    }
                }
            }
        }
    }

    /// Rows of one name stand together and make one figure.
    fn declare<T>(&mut self, row: &Row<T>) {
        if self.declared == row.name {
            return;
        }
        self.declared = row.name;
        let kind = match row.kind {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::HighWater => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {} {}", row.name, row.help));
        self.line(format_args!("# TYPE {} {kind}", row.name));
    }

    fn figure<T>(&mut self, row: &Row<T>, shard: &str, slot: Slot<'_>) {
        let mut sample = |at: usize, value: f64| {
            let labels = labels(row.labels, at, shard);
            self.line(format_args!("{}{labels} {:?}", row.name, value / row.unit.divisor()));
        };
        match slot {
            Slot::Number(number) => sample(0, float(*number)),
            Slot::Numbers(numbers) => numbers.iter().enumerate().for_each(|(at, number)| sample(at, float(*number))),
            Slot::Real(number) => sample(0, *number),
            Slot::Flag(flag) => sample(0, f64::from(u8::from(*flag))),
            Slot::One => sample(0, 1.0),
            Slot::Histogram(histogram) => self.histogram(row.name, row.unit, histogram),
            Slot::Words(_) => unreachable!("words are in /stats only"),
        }
    }

    fn histogram(&mut self, name: &str, unit: Unit, histogram: &Histogram) {
        self.line(format_args!("{name}_sum {:?}", float(histogram.sum()) / unit.divisor()));
        self.line(format_args!("{name}_count {}", histogram.count()));
        let per_nanos = match unit {
            Unit::Micros => 1_000,
            Unit::Millis => 1_000_000,
            Unit::Nanos | Unit::Count(_) | Unit::Bytes | Unit::Seconds | Unit::Flag | Unit::Words => 1,
        };
        for (nanos, seconds) in BUCKETS {
            let count = histogram.count_up_to(nanos / per_nanos);
            self.line(format_args!("{name}_bucket{{le=\"{seconds}\"}} {count}"));
        }
        self.line(format_args!("{name}_bucket{{le=\"+Inf\"}} {}", histogram.count()));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a String takes everything");
    }
}

/// The labels of number `at`, in braces, or nothing. The last label changes fastest.
fn labels(labels: &[Label], at: usize, shard: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = at;
    for label in labels.iter().rev() {
        parts.push(format!("{}=\"{}\"", label.name, label.values[rest % label.values.len()]));
        rest /= label.values.len();
    }
    debug_assert_eq!(rest, 0, "there is a number for each combination of values");
    parts.extend((!shard.is_empty()).then(|| shard.to_owned()));
    parts.reverse();
    if parts.is_empty() { String::new() } else { format!("{{{}}}", parts.join(",")) }
}

/// Prometheus counts in floating point; beyond 2^53 it loses single units, which no rate notices.
#[allow(clippy::cast_precision_loss, reason = "the format itself is floating point")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::{Snapshot, text};
    use crate::figures::row::{Json, Kind, Row, Slot, Unit};
    use crate::figures::shard::{Command, ShardStats};
    use crate::figures::{server, shard, store};
    use crate::wire::code::Code;

    fn sample() -> Snapshot {
        let mut shard = ShardStats { connections: 3, handovers_out: 2, sends: 1 << 40, ..ShardStats::default() };
        shard.count(Command::Select, Err(Code::SeatTaken));
        shard.decision.record(300, 4);
        shard.fan_out.record(u64::MAX / 4, 1);
        let mut snapshot = Snapshot { shards: vec![(0, shard), (1, ShardStats::default())], ..Snapshot::default() };
        snapshot.server.websockets = 2;
        snapshot.server.runtimes = [1, 0];
        snapshot.store.backlog_ms = 250;
        [0, 2, 3, 7_000_000].into_iter().for_each(|us| snapshot.store.commit_us.record(us, 1));
        snapshot
    }

    #[test]
    fn numbers_stand_under_their_names_and_labels() {
        let text = text(sample());
        for line in [
            "# HELP butaca_connections Open sockets, those of HTTP requests included",
            "# TYPE butaca_connections gauge",
            "butaca_connections{shard=\"0\"} 3.0",
            "butaca_active_connections 2.0",
            "butaca_runtime{runtime=\"glommio\"} 1.0",
            "butaca_runtime{runtime=\"threads\"} 0.0",
            "# TYPE butaca_sends_total counter",
            "butaca_sends_total{shard=\"0\"} 1099511627776.0",
            "butaca_handovers_total{shard=\"0\",direction=\"out\"} 2.0",
            "butaca_commands_total{type=\"select_seat\",result=\"seat_taken\"} 1.0",
            "butaca_commands_total{type=\"ping\",result=\"ok\"} 0.0",
            "butaca_refused_connections_total{reason=\"per_ip\"} 0.0",
            "butaca_decision_seconds_sum 1.2e-6",
            "butaca_decision_seconds_bucket{le=\"2.5e-7\"} 0",
            "butaca_decision_seconds_bucket{le=\"5e-7\"} 4",
            "butaca_decision_seconds_bucket{le=\"+Inf\"} 4",
            "butaca_fan_out_seconds_bucket{le=\"5.0\"} 0",
            "butaca_fan_out_seconds_bucket{le=\"+Inf\"} 1",
            "butaca_store_connected 0.0",
            "butaca_store_lag_seconds 0.25",
            "butaca_store_commit_seconds_sum 7.000005",
            "butaca_store_commit_seconds_count 4",
            "butaca_store_commit_seconds_bucket{le=\"2.5e-7\"} 1",
            "butaca_store_commit_seconds_bucket{le=\"0.0000025\"} 2",
            "butaca_store_commit_seconds_bucket{le=\"0.000005\"} 3",
            "butaca_store_commit_seconds_bucket{le=\"5.0\"} 3",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn every_figure_is_declared_once_and_no_sample_is_undeclared() {
        let text = text(sample());
        let declared: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let mut once = declared.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), declared.len());
        for sample in text.lines().filter(|line| !line.starts_with('#')) {
            let name = sample.split(['{', ' ']).next().expect("a sample begins with its name");
            let figure = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(declared.contains(&figure), "{name} is not declared");
        }
    }

    /// The name of a figure follows from its kind and unit, its help says something, and each combination of labels has
    /// one number.
    fn is_well_described<T>(rows: &[Row<T>], of: &mut T) {
        for row in rows {
            let name = row.name.strip_suffix("_total").unwrap_or(row.name);
            let help = row.help;
            assert!(help.len() >= 8 && !help.ends_with('.') && !help.contains('\n'), "{help:?} is no help");
            assert!(row.name != super::STATS_ONLY || row.json != Json::Hidden, "{help}: nobody sees it");
            let (slot, lens) = ((row.slot)(of), row.labels.iter().map(|label| label.values.len()));
            let fits = match (row.unit, &slot) {
                (Unit::Count(what), Slot::Number(_) | Slot::Numbers(_) | Slot::Histogram(_) | Slot::One) => {
                    !what.is_empty()
                }
                (Unit::Bytes, Slot::Number(_)) => row.name.contains("bytes") || row.json == Json::Key("backlog_bytes"),
                (Unit::Seconds | Unit::Nanos | Unit::Micros | Unit::Millis, Slot::Number(_) | Slot::Histogram(_))
                | (Unit::Seconds, Slot::Real(_)) => name.ends_with("_seconds") || row.name == super::STATS_ONLY,
                (Unit::Flag, Slot::Flag(_)) => true,
                (Unit::Words, Slot::Words(_)) => row.name == super::STATS_ONLY,
                _ => false,
            };
            assert!(fits, "{help}: {:?} does not fit {slot:?} or the name {}", row.unit, row.name);
            let numbers = if let Slot::Numbers(numbers) = &slot { numbers.len() } else { 1 };
            assert_eq!(numbers, lens.product::<usize>(), "{help}: one number for each combination of labels");
            if row.name != super::STATS_ONLY {
                assert_eq!(row.kind == Kind::Counter, row.name.ends_with("_total"), "{}", row.name);
            }
            assert_eq!(row.kind == Kind::Histogram, matches!(slot, Slot::Histogram(_)), "{help}");
        }
    }

    #[test]
    fn every_row_is_well_described() {
        let mut snapshot = sample();
        is_well_described(shard::ROWS, &mut snapshot.shards[0].1);
        is_well_described(store::ROWS, &mut snapshot.store);
        is_well_described(server::ROWS, &mut snapshot.server);
        is_well_described(server::PROCESS_ROWS, &mut snapshot.process);
    }
}
