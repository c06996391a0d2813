//! How much memory the process may have: the least of what its cgroups, version 1 or 2, allow and what the machine has.
//!
//! Invariant: a file that is missing or strange is no limit. Never here: who gets how much of it.

use std::fs;

use super::cgroup::folders;

/// In bytes; `usize::MAX` when nothing says anything.
pub(super) fn bytes() -> usize {
    let read = |path: String| fs::read_to_string(path).ok();
    let v2 = folders("").into_iter().filter_map(|at| limit(&read(format!("{at}/memory.max"))?));
    let v1 = folders("memory").into_iter().filter_map(|at| limit(&read(format!("{at}/memory.limit_in_bytes"))?));
    let machine = read("/proc/meminfo".into()).and_then(|text| total(&text));
    v2.chain(v1).chain(machine).min().unwrap_or(usize::MAX)
}

/// `memory.max` of version 2, `536870912` or `max`, or `memory.limit_in_bytes` of version 1, where a very large number
/// is no limit.
fn limit(text: &str) -> Option<usize> {
    text.trim().parse().ok()
}

/// `MemTotal:       24683792 kB` of `/proc/meminfo`.
fn total(text: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok()?.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::{bytes, limit, total};

    #[test]
    fn limits_of_both_versions_and_of_the_machine_are_read() {
        assert_eq!(limit("536870912\n"), Some(536_870_912));
        assert_eq!(limit("max\n"), None);
        assert_eq!(limit(""), None);
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       2048 kB\n"), Some(2_097_152));
        assert_eq!(total("nonsense"), None);
        assert!(bytes() > 1_000_000, "this machine has some");
    }
}
