//! What the machine grants, found out before any executor starts: io_uring, locked memory, open files, CPUs.
//!
//! Invariant: a line says what is missing and how to get it, because glommio would panic with a misleading text. Never
//! here: settings, and anything that runs longer than the check.

mod cpus;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::{FILES_RESERVE, FILES_RESERVE_PER_SHARD, MEMLOCK_BYTES_MIN, RING_ENTRIES};

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
}

impl Machine {
    /// Checks everything and raises what may be raised.
    ///
    /// # Errors
    /// One line that says what is missing and how to mend it.
    pub fn check() -> Result<Self, String> {
        let locked = raised(Resource::Memlock);
        if locked < MEMLOCK_BYTES_MIN {
            return Err(memlock_line(locked));
        }
        probe_io_uring().map_err(|errno| io_uring_line(errno, io_uring_disabled().as_deref()))?;
        let cpu_ids = cpus::affinity();
        let cpus_usable = cpus::usable(cpu_ids.len(), cpus::quota());
        Ok(Self { cpu_ids, cpus_usable, files_max: raised(Resource::Nofile) })
    }

    /// How many connections the open files allow, when `shards` shards run. A tiny limit is split in halves.
    #[must_use]
    pub fn connections_max(&self, shards: usize) -> usize {
        let reserve = FILES_RESERVE + FILES_RESERVE_PER_SHARD * shards as u64;
        let connections = self.files_max - reserve.min(self.files_max / 2);
        usize::try_from(connections).unwrap_or(usize::MAX)
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

/// Makes a ring as a shard will and closes it.
#[allow(
    unsafe_code,
    reason = "the system call takes a raw structure; without ATTACH_WQ it reads no descriptor from it"
)]
fn probe_io_uring() -> Result<(), Errno> {
    let mut params = rustix::io_uring::io_uring_params::default();
    // SAFETY: the only condition is that `wq_fd` is open when ATTACH_WQ is set, and no flag is set.
    unsafe { rustix::io_uring::io_uring_setup(RING_ENTRIES, &mut params) }.map(drop)
}

fn io_uring_disabled() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()
}

fn memlock_line(bytes: u64) -> String {
    format!(
        "locked memory is limited to {} KiB and io_uring needs {} KiB: raise it with `ulimit -l 8192`, \
         LimitMEMLOCK=8M (systemd) or --ulimit memlock=8388608 (docker)",
        bytes / 1024,
        MEMLOCK_BYTES_MIN / 1024
    )
}

/// Why the kernel refused a ring, and what to do. `disabled` is the content of `kernel.io_uring_disabled`.
fn io_uring_line(errno: Errno, disabled: Option<&str>) -> String {
    match (errno, disabled.map(str::trim)) {
        (Errno::PERM, Some("1")) => "io_uring is refused: kernel.io_uring_disabled is 1, so only members of \
             kernel.io_uring_group may use it: `sysctl kernel.io_uring_disabled=0`, or add this user's group there"
            .into(),
        (Errno::PERM, Some("2")) => {
            "io_uring is refused: kernel.io_uring_disabled is 2: `sysctl kernel.io_uring_disabled=0`".into()
        }
        (Errno::PERM | Errno::ACCESS, _) => {
            "io_uring is refused by a seccomp or security profile: in a container run with \
             --security-opt seccomp=docker/seccomp.json, under systemd allow @aio"
                .into()
        }
        (Errno::NOSYS, _) => "io_uring is missing: it needs Linux 5.8 or later built with CONFIG_IO_URING (gVisor and \
             WSL 1 have none), or a seccomp profile hides it: docker/seccomp.json allows it"
            .into(),
        (Errno::NOMEM, _) => {
            "io_uring got no memory: raise locked memory with `ulimit -l 8192`, LimitMEMLOCK=8M (systemd) or \
             --ulimit memlock=8388608 (docker), or give the container more memory"
                .into()
        }
        (Errno::MFILE | Errno::NFILE, _) => "io_uring got no file descriptor: raise `ulimit -n`".into(),
        (errno, _) => format!("io_uring is refused: {errno}"),
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::{Machine, io_uring_line, memlock_line};

    #[test]
    fn this_machine_passes_and_grants_something() {
        let machine = Machine::check().expect("the tests need io_uring");
        assert!(machine.cpus_usable >= 1 && machine.cpus_usable <= machine.cpu_ids.len());
        assert!(machine.connections_max(1) > 0);
    }

    #[test]
    fn connections_are_what_the_open_files_leave() {
        let machine = |files_max| Machine { cpu_ids: vec![0], cpus_usable: 1, files_max };
        assert_eq!(machine(20_000).connections_max(2), 19_904);
        assert_eq!(machine(64).connections_max(1), 32);
        assert!(machine(u64::MAX).connections_max(64) > 1_000_000);
    }

    #[test]
    fn each_refusal_is_one_line_with_its_cure() {
        let check = |errno, disabled, word: &str| {
            let line = io_uring_line(errno, disabled);
            assert!(line.contains(word) && !line.contains('\n'), "{line}");
            assert!(!line.contains("  "), "{line}");
        };
        check(Errno::PERM, Some("0\n"), "seccomp=docker/seccomp.json");
        check(Errno::PERM, None, "seccomp");
        check(Errno::PERM, Some("1\n"), "io_uring_group");
        check(Errno::PERM, Some("2\n"), "sysctl kernel.io_uring_disabled=0");
        check(Errno::NOSYS, None, "5.8");
        check(Errno::NOMEM, None, "ulimit -l");
        check(Errno::MFILE, None, "ulimit -n");
        check(Errno::INVAL, None, "refused");
        assert!(memlock_line(65_536).contains("64 KiB"));
    }
}
