//! What the machine grants, found out before any executor starts: io_uring, locked memory, open files, CPUs, memory.
//!
//! Invariant: a line says what is missing and how to get it. Never here: settings, and anything that runs longer than
//! the check.

mod cgroup;
mod cpus;
mod memory;
mod rings;

pub(crate) use rings::io_uring;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::{FILES_RESERVE, FILES_RESERVE_PER_SHARD, MEMORY_BUDGET_BYTES_MIN};

/// Exit code when the machine refuses what the server needs (`EX_OSERR` of sysexits).
pub const EXIT_MACHINE: u8 = 71;

/// What the machine grants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// CPUs on which the process may run, in order. Never empty.
    pub cpu_ids: Vec<usize>,
    /// How many of them it may keep busy: the quota of its cgroup rounded up, at least 1, at most `cpu_ids.len()`.
    pub cpus_usable: usize,
    /// Open files, after the soft limit was raised to the hard one.
    pub files_max: u64,
    /// Bytes of memory that it may have: what its cgroup allows, or what the machine has.
    pub memory_bytes: usize,
}

impl Machine {
    /// Looks, and raises the limit on open files.
    #[must_use]
    pub fn look() -> Self {
        let cpu_ids = cpus::affinity();
        let cpus_usable = cpus::usable(cpu_ids.len(), cpus::quota());
        Self { cpu_ids, cpus_usable, files_max: raised(Resource::Nofile), memory_bytes: memory::bytes() }
    }

    /// The default of `MEMORY_BUDGET_BYTES`: half of the memory, the rest is for the kernel's buffers, the store and
    /// what is bounded by numbers.
    #[must_use]
    pub fn memory_budget_bytes(&self) -> usize {
        (self.memory_bytes / 2).max(MEMORY_BUDGET_BYTES_MIN)
    }

    /// How many connections the open files allow, when `shards` shards run. A tiny limit is split in halves.
    #[must_use]
    pub fn connections_max(&self, shards: usize) -> usize {
        let reserve = FILES_RESERVE + FILES_RESERVE_PER_SHARD * shards as u64;
        let connections = self.files_max - reserve.min(self.files_max / 2);
        usize::try_from(connections).unwrap_or(usize::MAX)
    }
}

/// What holds for all threads, before there are any: what is written is nobody else's to read, whatever the shell
/// allows; and the kernel gives pages of 4 KiB only. mimalloc asks for huge ones, and then one byte of 2 MiB keeps them
/// all: an idle connection took twice the memory, and what a crowd had left did not go back (`perf/notes/v2.md`). A
/// kernel that refuses changes nothing else (`prctl(2)`, `PR_SET_THP_DISABLE`).
pub fn prepare_process() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    if let Err(why) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%why, "the kernel decides about huge pages");
    }
}

/// The limit on a resource after the soft one was raised to the hard one. Unlimited is `u64::MAX`.
fn raised(resource: Resource) -> u64 {
    let limit = getrlimit(resource);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(resource, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        // Some sandboxes refuse the call; then the soft limit holds.
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::Machine;

    #[test]
    fn this_machine_grants_something() {
        let machine = Machine::look();
        assert!(machine.cpus_usable >= 1 && machine.cpus_usable <= machine.cpu_ids.len());
        assert!(machine.connections_max(1) > 0);
    }

    #[test]
    fn connections_are_what_the_open_files_leave() {
        let machine = |files_max| Machine { cpu_ids: vec![0], cpus_usable: 1, files_max, memory_bytes: 1 };
        assert_eq!(machine(20_000).connections_max(2), 19_904);
        assert_eq!(machine(64).connections_max(1), 32);
        assert!(machine(u64::MAX).connections_max(64) > 1_000_000);
    }
}
