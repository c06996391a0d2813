//! What the kernel says about a process: CPU, waiting for a CPU, memory.
//!
//! Invariant: a process that is gone reads as zero. Never here: conclusions.

use std::collections::BTreeMap;
use std::fs;

/// One look at a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// CPU time of its threads, user and system.
    pub cpu_ns: u64,
    /// Time in which its threads were ready to run and had no CPU.
    pub wait_ns: u64,
    /// Resident memory.
    pub rss_bytes: u64,
}

/// Looks at a process.
#[must_use]
pub fn usage(pid: u32) -> Usage {
    let (mut exact_ns, mut wait_ns) = (0, 0);
    if let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) {
        for thread in threads.flatten() {
            let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            let mut fields = text.split_whitespace().map(|field| field.parse::<u64>().unwrap_or(0));
            exact_ns += fields.next().unwrap_or(0);
            wait_ns += fields.next().unwrap_or(0);
        }
    }
    // schedstat knows living threads only, /proc/PID/stat counts in hundredths of a second but forgets nobody.
    Usage { cpu_ns: exact_ns.max(ticks(pid) * 10_000_000), wait_ns, rss_bytes: rss(pid) }
}

/// CPU time of each thread of a process in nanoseconds, by its name; those of one name together.
#[must_use]
pub fn threads(pid: u32) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return all };
    for task in tasks.flatten() {
        let text = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let ns = text("schedstat").split_whitespace().next().and_then(|field| field.parse::<u64>().ok());
        *all.entry(text("comm").trim().to_owned()).or_default() += ns.unwrap_or(0);
    }
    all
}

fn ticks(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let behind_name = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
    behind_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

fn rss(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1_024
}

/// How many threads of this machine could run at once.
#[must_use]
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
