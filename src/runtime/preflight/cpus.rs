//! How many CPUs may be used, and which: the affinity mask and the quota of the cgroup, version 1 or 2.
//!
//! Invariant: at least one CPU, whatever the files say; a file that is missing or strange is no limit.
//! Never here: pinning.

use std::fs;

use rustix::thread::{CpuSet, sched_getaffinity};

use super::cgroup::folders;

/// The CPUs of the affinity mask. When the kernel tells none (more CPUs than a mask holds), as many as the standard
/// library counts.
pub(super) fn affinity() -> Vec<usize> {
    let mask = sched_getaffinity(None).map(|mask| (0..CpuSet::MAX_CPU).filter(|&cpu| mask.is_set(cpu)).collect());
    match mask {
        Ok(ids) if !Vec::is_empty(&ids) => ids,
        _ => (0..std::thread::available_parallelism().map_or(1, usize::from)).collect(),
    }
}

/// Of `allowed` CPUs, as many as the quota pays for, rounded up.
pub(super) fn usable(allowed: usize, quota: Option<Quota>) -> usize {
    quota.map_or(allowed, |quota| quota.cpus().min(allowed)).max(1)
}

/// Microseconds of CPU time in each period of so many microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Quota {
    micros: u64,
    period: u64,
}

impl Quota {
    fn cpus(self) -> usize {
        usize::try_from(self.micros.div_ceil(self.period)).unwrap_or(usize::MAX)
    }
}

/// The tightest quota on the way from this process's cgroup to the root.
pub(super) fn quota() -> Option<Quota> {
    let read = |path: String| fs::read_to_string(path).ok();
    let v2 = folders("").into_iter().filter_map(|at| parse_v2(&read(format!("{at}/cpu.max"))?));
    let v1 = folders("cpu")
        .into_iter()
        .filter_map(|at| parse_v1(&read(format!("{at}/cpu.cfs_quota_us"))?, &read(format!("{at}/cpu.cfs_period_us"))?));
    v2.chain(v1).min_by_key(|quota| quota.cpus())
}

/// `cpu.max` of version 2: `200000 100000`, or `max 100000`.
fn parse_v2(text: &str) -> Option<Quota> {
    let (quota, period) = text.trim().split_once(' ')?;
    parse_v1(quota, period)
}

/// `cpu.cfs_quota_us` and `cpu.cfs_period_us` of version 1; a quota of -1 is none.
fn parse_v1(quota: &str, period: &str) -> Option<Quota> {
    let quota = Quota { micros: quota.trim().parse().ok()?, period: period.trim().parse().ok()? };
    (quota.micros > 0 && quota.period > 0).then_some(quota)
}

#[cfg(test)]
mod tests {
    use super::{Quota, parse_v1, parse_v2, usable};

    #[test]
    fn quotas_of_both_versions_are_read() {
        let quota = |micros, period| Some(Quota { micros, period });
        assert_eq!(parse_v2("200000 100000\n"), quota(200_000, 100_000));
        assert_eq!(parse_v2("max 100000\n"), None);
        assert_eq!(parse_v2("200000"), None);
        assert_eq!(parse_v2("200000 0"), None);
        assert_eq!(parse_v1("50000\n", "100000\n"), quota(50_000, 100_000));
        assert_eq!(parse_v1("-1\n", "100000\n"), None);
        assert_eq!(parse_v1("", ""), None);
    }

    #[test]
    fn a_quota_is_rounded_up_and_leaves_at_least_one_cpu() {
        let check = |allowed, micros, cpus| {
            assert_eq!(usable(allowed, Some(Quota { micros, period: 100_000 })), cpus, "{micros}");
        };
        check(8, 1_000, 1);
        check(8, 100_000, 1);
        check(8, 100_001, 2);
        check(8, 250_000, 3);
        check(2, 900_000, 2);
        assert_eq!(usable(4, None), 4);
        assert_eq!(usable(0, None), 1);
    }
}
