//! How many CPUs may be used, and which: the affinity mask and the quota of the cgroup, version 1 or 2.
//!
//! Invariant: at least one CPU, whatever the files say; a file that is missing or strange is no limit.
//! Never here: pinning.

use std::fs;

use rustix::thread::{CpuSet, sched_getaffinity};

/// The CPUs of the affinity mask. When the kernel tells none (more CPUs than a mask holds), as many as the standard library counts.
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
    let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
    let folders = |root: &str, path: &str| ancestors(path).map(|at| format!("{root}{at}")).collect::<Vec<_>>();
    let mut quotas = Vec::new();
    if let Some(path) = cgroup_path(&membership, "") {
        let files = folders("/sys/fs/cgroup", path).into_iter();
        quotas.extend(files.filter_map(|at| parse_v2(&fs::read_to_string(format!("{at}/cpu.max")).ok()?)));
    }
    if let Some(path) = cgroup_path(&membership, "cpu") {
        let files = folders("/sys/fs/cgroup/cpu", path).into_iter();
        quotas.extend(files.filter_map(|at| {
            let quota = fs::read_to_string(format!("{at}/cpu.cfs_quota_us")).ok()?;
            parse_v1(&quota, &fs::read_to_string(format!("{at}/cpu.cfs_period_us")).ok()?)
        }));
    }
    quotas.into_iter().min_by_key(|quota| quota.cpus())
}

/// The path of the process in the hierarchy with this controller, `""` for version 2, from `/proc/self/cgroup`.
fn cgroup_path<'a>(membership: &'a str, controller: &str) -> Option<&'a str> {
    membership.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        controllers.split(',').any(|one| one == controller).then_some(path)
    })
}

/// A path and all above it: `/a/b`, `/a`, and the root as an empty text. In a container only the root may exist.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let path = path.trim_end_matches('/');
    std::iter::successors(Some(path), |at| at.rfind('/').map(|slash| &at[..slash]))
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
    use super::{Quota, ancestors, cgroup_path, parse_v1, parse_v2, usable};

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

    #[test]
    fn the_own_cgroup_is_found_in_each_hierarchy() {
        let hybrid = "9:name=systemd:/\n4:memory:/pods/x:y\n2:cpu,cpuacct:/docker/abc\n0::/user.slice\n";
        assert_eq!(cgroup_path(hybrid, "cpu"), Some("/docker/abc"));
        assert_eq!(cgroup_path(hybrid, "memory"), Some("/pods/x:y"));
        assert_eq!(cgroup_path(hybrid, ""), Some("/user.slice"));
        assert_eq!(cgroup_path("0::/\n", "cpu"), None);
        assert_eq!(cgroup_path("nonsense", ""), None);
    }

    #[test]
    fn every_ancestor_is_asked_down_to_the_root() {
        assert_eq!(ancestors("/a/b").collect::<Vec<_>>(), ["/a/b", "/a", ""]);
        assert_eq!(ancestors("/").collect::<Vec<_>>(), [""]);
    }
}
