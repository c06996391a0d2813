//! What the kernel counts for this process, read from `/proc` for a scrape.
//!
//! Invariant: a reading costs tens of microseconds, because a scrape may come ten times a second and runs on a shard's
//! thread. Never here: anything about other processes.

use std::fs;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::engine::time::WallMillis;
use crate::figures::server::ProcessFigures;

/// Reads the counters now. `started` is when the process began.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "seconds in floating point are what the format wants")]
pub fn read(started: WallMillis) -> ProcessFigures {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    ProcessFigures {
        resident_bytes: fs::read_to_string("/proc/self/status").map_or(0, |status| resident_bytes(&status)),
        open_files: open_files(),
        files_max: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
        cpu_seconds: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
        start_seconds: started.0 as f64 / 1e3,
    }
}

/// Linux 6.2 and later tell the number of open files as the size of their folder; before, the folder is counted, which
/// takes some milliseconds with 20,000 of them.
fn open_files() -> u64 {
    match fs::metadata("/proc/self/fd").map_or(0, |folder| folder.len()) {
        0 => fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64),
        count => count,
    }
}

/// `VmRSS:     2048 kB` of `/proc/self/status`.
fn resident_bytes(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}

#[cfg(test)]
mod tests {
    use super::{read, resident_bytes};
    use crate::engine::time::WallMillis;

    #[test]
    fn this_process_has_memory_files_and_time() {
        let process = read(WallMillis(5_500));
        assert!(process.resident_bytes > 100_000, "{process:?}");
        assert!(process.open_files >= 3 && process.open_files < process.files_max, "{process:?}");
        assert!(process.cpu_seconds > 0.0 && (process.start_seconds - 5.5).abs() < 1e-9, "{process:?}");
    }

    #[test]
    fn resident_memory_is_read_from_its_line() {
        assert_eq!(resident_bytes("VmSize:\t 9 kB\nVmRSS:\t   2048 kB\n"), 2_097_152);
        assert_eq!(resident_bytes("nonsense"), 0);
    }
}
