//! The numbers of `stats.rs` as Prometheus text, format 0.0.4.
//!
//! Invariants: every series exists from the first scrape on, so that a rate never misses its first step; label values
//! come from tables of this program or are shard numbers, never from a client.
//! Never here: collecting. The only file that names prometheus-client.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::stats::{BUCKET_NANOS, COMMANDS, Histogram, OUTCOMES, REFUSALS, ShardStats, StoreStats};

/// The `Content-Type` of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All numbers of one moment.
#[derive(Clone, Default, Debug)]
pub struct Snapshot {
    /// With the shard's number. A shard that did not answer in time is missing, rather than counting from 0 again.
    pub shards: Vec<(usize, ShardStats)>,
    /// Whether there is a store: 0 with `STORE=memory`.
    pub store_used: bool,
    /// Of the store thread.
    pub store: StoreStats,
    /// Of the process.
    pub process: ProcessStats,
    /// Open WebSockets, those on their way between two shards included.
    pub websockets: u64,
    /// Most connections that are accepted.
    pub connections_max: u64,
    /// Whether new work is taken: 0 while starting and draining.
    pub serving: bool,
}

/// What the kernel counts for the process.
#[derive(Clone, Default, Debug)]
pub struct ProcessStats {
    /// Resident memory.
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub open_files: u64,
    /// Most open file descriptors.
    pub files_max: u64,
    /// CPU time, user and system.
    pub cpu_seconds: f64,
    /// When the process started, in seconds since 1970.
    pub start_seconds: f64,
}

/// The text of a scrape.
#[must_use]
pub fn text(snapshot: Snapshot) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(snapshot));
    let mut text = String::with_capacity(32 * 1024);
    encode_registry(&mut text, &registry).expect("a String takes everything");
    text
}

/// One number for each shard: name, help, which field.
type PerShard = (&'static str, &'static str, fn(&ShardStats) -> u64);

const GAUGES: [PerShard; 7] = [
    ("connections", "Open sockets, those of HTTP requests included", |s| s.connections),
    ("rooms", "Rooms with a member or a hold", |s| s.rooms),
    ("members", "Memberships of rooms", |s| s.members),
    ("seats_held", "Held seats", |s| s.holds),
    ("outbound_queue_bytes", "Bytes that slow connections have not had, queued or in logs", |s| s.outbound_queue_bytes),
    ("outbound_queue_high_water_bytes", "Most bytes that ever waited for one connection", |s| {
        s.outbound_queue_high_water
    }),
    ("mesh_depth_high_water", "Most messages ever taken from the mailbox at once", |s| s.mesh_depth_high_water),
];

const COUNTERS: [PerShard; 12] = [
    ("deliveries_total", "Room events handed to members' sockets", |s| s.deliveries),
    ("sends_total", "System calls that sent", |s| s.sends),
    ("bytes_sent_total", "Bytes sent", |s| s.bytes_sent),
    ("bytes_received_total", "Bytes received", |s| s.bytes_received),
    ("slow_consumers_total", "Times a connection fell behind its queue's bound", |s| s.slow_consumers),
    ("resyncs_total", "Full states sent instead of dropped events", |s| s.resyncs),
    ("mesh_messages_total", "Messages posted to other shards", |s| s.mesh_sent),
    ("watchdog_pokes_total", "Times the watchdog had to wake the shard", |s| s.watchdog_pokes),
    ("turns_total", "Turns of the driver", |s| s.turns),
    ("accepts_total", "Connections accepted", |s| s.accepts),
    ("passes_total", "Passes over a room's members", |s| s.passes),
    ("merged_frames_total", "Frames sent together with one before them", |s| s.merged_frames),
];

/// Writes one family: its header, then its samples.
struct Family<'a, 'e> {
    encoder: &'a mut DescriptorEncoder<'e>,
}

impl Family<'_, '_> {
    /// Numbers with their labels. The crate writes OpenMetrics, where a counter is declared without `_total`; in the
    /// older text, which every tool reads, it is declared under the name of its samples. So a counter is declared
    /// under the full name and its samples go through the gauge encoder, which adds no suffix.
    fn numbers<const LABELS: usize>(
        &mut self,
        kind: MetricType,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([(&'static str, String); LABELS], f64)>,
    ) -> fmt::Result {
        let name = format!("butaca_{name}");
        let mut metric = self.encoder.encode_descriptor(&name, help, None, kind)?;
        for (labels, value) in samples {
            metric.encode_family(&labels.as_slice())?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn one(&mut self, kind: MetricType, name: &str, help: &str, value: f64) -> fmt::Result {
        self.encoder.encode_descriptor(name, help, None, kind)?.encode_gauge(&value)
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        let bounds = BUCKET_NANOS.iter().map(|&nanos| seconds(nanos)).chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(histogram.counts().iter().copied()).collect();
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        metric.encode_histogram::<NoLabelSet>(seconds(histogram.sum_nanos()), histogram.count(), &buckets, None)
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let mut family = Family { encoder: &mut encoder };
        self.of_shards(&mut family)?;
        self.of_all(&mut family)?;
        self.of_store(&mut family)?;
        self.of_process(&mut family)
    }
}

impl Snapshot {
    fn of_shards(&self, family: &mut Family) -> fmt::Result {
        let by_shard = |read: fn(&ShardStats) -> u64| {
            self.shards.iter().map(move |(at, shard)| ([("shard", at.to_string())], float(read(shard))))
        };
        for (name, help, read) in GAUGES {
            family.numbers(MetricType::Gauge, name, help, by_shard(read))?;
        }
        for (name, help, read) in COUNTERS {
            family.numbers(MetricType::Counter, name, help, by_shard(read))?;
        }
        let handovers = self.shards.iter().flat_map(|(at, shard)| {
            [("in", shard.handovers_in), ("out", shard.handovers_out)].map(|(direction, count)| {
                ([("shard", at.to_string()), ("direction", direction.to_owned())], float(count))
            })
        });
        family.numbers(MetricType::Counter, "handovers_total", "Sockets handed between shards", handovers)
    }

    /// What is not skewed between shards, or has too many series to tell them apart.
    fn of_all(&self, family: &mut Family) -> fmt::Result {
        let mut all = ShardStats::default();
        self.shards.iter().for_each(|(_, shard)| all.merge(shard));
        let commands = COMMANDS.iter().flat_map(|(command, kind)| {
            let counts = all.commands[*command as usize];
            OUTCOMES.iter().zip(counts).map(move |((_, result), count)| {
                ([("type", (*kind).to_owned()), ("result", (*result).to_owned())], float(count))
            })
        });
        family.numbers(MetricType::Counter, "commands_total", "Commands by type and result", commands)?;
        let refused = REFUSALS.iter().zip(all.refused).map(|((_, why), n)| ([("reason", (*why).to_owned())], float(n)));
        family.numbers(MetricType::Counter, "refused_connections_total", "Connections that were not taken", refused)?;
        let websockets = float(self.websockets);
        family.one(MetricType::Gauge, "butaca_active_connections", "Open WebSockets", websockets)?;
        let max = float(self.connections_max);
        family.one(MetricType::Gauge, "butaca_connections_max", "Most open sockets that are accepted", max)?;
        let serving = f64::from(u8::from(self.serving));
        family.one(
            MetricType::Gauge,
            "butaca_serving",
            "1 while the server takes work, 0 while it starts or drains",
            serving,
        )?;
        let version = [([("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0)];
        family.numbers(MetricType::Gauge, "build_info", "The version that runs", version)?;
        family.histogram(
            "butaca_decision_seconds",
            "Time the engine took for a command, one in sixteen measured",
            &all.decision,
        )?;
        family.histogram(
            "butaca_reply_seconds",
            "Time from reading a command to handing its reply to the kernel",
            &all.reply,
        )?;
        family.histogram(
            "butaca_fan_out_seconds",
            "Time from a change to the pass that carried it to a member",
            &all.fan_out,
        )
    }

    fn of_store(&self, family: &mut Family) -> fmt::Result {
        let store = &self.store;
        #[rustfmt::skip]
        let numbers = [
            (MetricType::Gauge, "butaca_store_used", "1 when holds are kept in a store", u64::from(self.store_used)),
            (MetricType::Gauge, "butaca_store_connected", "1 while the store answers", u64::from(store.connected)),
            (MetricType::Gauge, "butaca_store_backlog_entries", "Changes that are not committed", store.backlog_entries),
            (MetricType::Counter, "butaca_store_commits_total", "Groups committed", store.commits),
            (MetricType::Counter, "butaca_store_changes_total", "Changes committed", store.changes),
            (MetricType::Counter, "butaca_store_errors_total", "Commits that failed", store.errors),
        ];
        for (kind, name, help, value) in numbers {
            family.one(kind, name, help, float(value))?;
        }
        let ages = [
            ("butaca_store_lag_seconds", "Age of the oldest change that is not committed", store.lag_ms),
            (
                "butaca_store_unsynced_seconds",
                "How long a committed change waits for the disk's sync",
                store.unsynced_ms,
            ),
        ];
        for (name, help, ms) in ages {
            family.one(MetricType::Gauge, name, help, float(ms) / 1e3)?;
        }
        family.histogram("butaca_store_commit_seconds", "Time of a commit", &store.commit)
    }

    fn of_process(&self, family: &mut Family) -> fmt::Result {
        let process = &self.process;
        #[rustfmt::skip]
        let numbers = [
            (MetricType::Gauge, "process_resident_memory_bytes", "Resident memory", float(process.resident_bytes)),
            (MetricType::Gauge, "process_open_fds", "Open file descriptors", float(process.open_files)),
            (MetricType::Gauge, "process_max_fds", "Most open file descriptors", float(process.files_max)),
            (MetricType::Counter, "process_cpu_seconds_total", "CPU time, user and system", process.cpu_seconds),
            (MetricType::Gauge, "process_start_time_seconds", "When the process started, since 1970", process.start_seconds),
        ];
        numbers.into_iter().try_for_each(|(kind, name, help, value)| family.one(kind, name, help, value))
    }
}

fn seconds(nanos: u64) -> f64 {
    float(nanos) / 1e9
}

/// Prometheus counts in floating point; beyond 2^53 it loses single units, which no rate notices.
#[allow(clippy::cast_precision_loss, reason = "the format itself is floating point")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::{Snapshot, text};
    use crate::stats::{Command, Outcome, ShardStats};

    fn sample() -> Snapshot {
        let mut shard = ShardStats { connections: 3, handovers_out: 2, sends: 1 << 40, ..ShardStats::default() };
        shard.count(Command::Select, Outcome::SeatTaken);
        shard.decision.record(300, 4);
        shard.fan_out.record(u64::MAX / 4, 1);
        Snapshot { shards: vec![(0, shard), (1, ShardStats::default())], websockets: 2, ..Snapshot::default() }
    }

    #[test]
    fn numbers_stand_under_their_names_and_labels() {
        let text = text(sample());
        for line in [
            "# TYPE butaca_connections gauge",
            "butaca_connections{shard=\"0\"} 3.0",
            "butaca_active_connections 2.0",
            "# TYPE butaca_sends_total counter",
            "butaca_sends_total{shard=\"0\"} 1099511627776.0",
            "butaca_handovers_total{shard=\"0\",direction=\"out\"} 2.0",
            "butaca_commands_total{type=\"select_seat\",result=\"seat_taken\"} 1.0",
            "butaca_commands_total{type=\"ping\",result=\"ok\"} 0.0",
            "butaca_refused_connections_total{reason=\"per_ip\"} 0.0",
            "butaca_decision_seconds_bucket{le=\"2.5e-7\"} 0",
            "butaca_decision_seconds_bucket{le=\"5e-7\"} 4",
            "butaca_decision_seconds_bucket{le=\"+Inf\"} 4",
            "butaca_fan_out_seconds_bucket{le=\"5.0\"} 0",
            "butaca_fan_out_seconds_bucket{le=\"+Inf\"} 1",
            "butaca_store_connected 0.0",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn every_family_is_declared_once_and_no_sample_is_undeclared() {
        let text = text(sample());
        let declared: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let mut once = declared.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), declared.len());
        for sample in text.lines().filter(|line| !line.starts_with('#')) {
            let name = sample.split(['{', ' ']).next().expect("a sample begins with its name");
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(declared.contains(&family), "{name} is not declared");
        }
    }
}
