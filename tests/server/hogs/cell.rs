//! A cgroup with little memory, version 1 or 2, for one server. Never here: what happens in it.

use std::fs;
use std::path::{Path, PathBuf};

/// A cgroup, removed at its end.
pub(super) struct Cell(PathBuf);

impl Cell {
    /// A new one, or nothing where this process may make none.
    pub(super) fn make(number: usize, bytes: u64) -> Option<Self> {
        let name = format!("butaca-hogs-{}-{number}", std::process::id());
        let kinds = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        kinds.iter().find_map(|(root, limit)| {
            let folder = Path::new(root).join(&name);
            fs::create_dir(&folder).ok()?;
            let cell = Self(folder);
            let has_limit = cell.0.join(limit).exists() && fs::write(cell.0.join(limit), bytes.to_string()).is_ok();
            has_limit.then_some(cell)
        })
    }

    /// The commands of a shell that enters it.
    pub(super) fn entering(&self) -> String {
        format!("echo $$ > {}/cgroup.procs", self.0.display())
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        // A process that ended a moment ago may still be counted in it.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
    }
}
