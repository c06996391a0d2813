//! Looks at the server from outside while a run goes on: its `/stats` and its process.
//!
//! Invariant: a server that does not answer leaves a gap, never a stop. Never here: the sockets of the run.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::clock::now_ns;
use crate::http::get;
use crate::num::round;
use crate::proc::usage;

/// Time between two looks.
const EVERY: Duration = Duration::from_millis(500);

/// One look at the server.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sample {
    /// Seconds since the running stage began; negative before it.
    pub t: f64,
    /// CPUs in use since the look before.
    pub cpus: Option<f64>,
    /// Resident memory.
    pub rss_mib: Option<f64>,
    /// The numbers of `/stats`.
    pub stats: BTreeMap<String, f64>,
    /// The numbers of each shard's row in `/stats`.
    #[serde(skip)]
    pub shards: Vec<BTreeMap<String, f64>>,
    #[serde(skip)]
    at_ns: u64,
    #[serde(skip)]
    cpu_ns: u64,
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// The looks, in order.
    pub samples: Vec<Sample>,
}

/// Which process is looked at.
#[derive(Clone, Debug, Default)]
pub struct Pid {
    /// Its id.
    pub number: Option<u32>,
    /// A file with its id, which is read each time because a restart changes it.
    pub file: Option<PathBuf>,
}

impl Pid {
    fn now(&self) -> Option<u32> {
        let written = self.file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok());
        written.or(self.number)
    }
}

fn numbers(value: &Value) -> BTreeMap<String, f64> {
    let Some(object) = value.as_object() else { return BTreeMap::new() };
    object.iter().filter_map(|(key, value)| Some((key.clone(), value.as_f64()?))).collect()
}

fn look(addr: SocketAddrV4, pid: &Pid, with_stats: bool) -> Sample {
    let mut sample = Sample { at_ns: now_ns(), ..Sample::default() };
    if let Some(pid) = pid.now() {
        let usage = usage(pid);
        if usage.rss_bytes > 0 {
            sample.rss_mib = Some(round(usage.rss_bytes as f64 / 1_048_576.0, 2));
            sample.cpu_ns = usage.cpu_ns;
        }
    }
    let body = with_stats
        .then(|| get(addr, "/stats", Duration::from_millis(900)).ok())
        .flatten()
        .filter(|answer| answer.status == 200);
    if let Some(value) = body.and_then(|answer| serde_json::from_slice::<Value>(&answer.body).ok()) {
        sample.stats = numbers(&value);
        sample.shards = value["shards"].as_array().map(|rows| rows.iter().map(numbers).collect()).unwrap_or_default();
    }
    sample
}

/// Looks until `stop` is dropped. `connections` is kept up to date for the display.
pub fn watch(addr: SocketAddrV4, pid: &Pid, with_stats: bool, answered: &AtomicBool, stop: &Receiver<()>) -> Seen {
    let mut seen = Seen::default();
    loop {
        let mut sample = look(addr, pid, with_stats);
        answered.store(!sample.stats.is_empty(), Ordering::Relaxed);
        if let Some(last) = seen.samples.last().filter(|last| last.cpu_ns > 0 && sample.cpu_ns >= last.cpu_ns) {
            sample.cpus =
                Some(round((sample.cpu_ns - last.cpu_ns) as f64 / (sample.at_ns - last.at_ns).max(1) as f64, 3));
        }
        seen.samples.push(sample);
        match stop.recv_timeout(EVERY) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    // The rows at the very end are what the balance of the shards is read from.
    seen.samples.push(look(addr, pid, with_stats));
    seen
}

impl Seen {
    /// Writes the times relative to `start`.
    pub fn count_from(&mut self, start: u64) {
        for sample in &mut self.samples {
            sample.t = round((sample.at_ns as f64 - start as f64) / 1e9, 2);
        }
    }

    /// The last rows of the shards; of them the largest connection count is from the middle of the run.
    #[must_use]
    pub fn shards(&self) -> Vec<BTreeMap<String, f64>> {
        let busiest = |sample: &&Sample| sample.shards.iter().filter_map(|shard| shard.get("connections")).sum::<f64>();
        let Some(last) = self.samples.iter().rev().find(|sample| !sample.shards.is_empty()) else { return Vec::new() };
        let Some(busy) = self.samples.iter().max_by(|a, b| busiest(a).total_cmp(&busiest(b))) else {
            return Vec::new();
        };
        let mut rows = last.shards.clone();
        // Counters are right at the end; what comes and goes was right while everybody was there.
        for (row, then) in rows.iter_mut().zip(&busy.shards) {
            for key in ["connections", "rooms", "members"] {
                if let Some(value) = then.get(key) {
                    row.insert(key.to_owned(), *value);
                }
            }
        }
        rows
    }
}
