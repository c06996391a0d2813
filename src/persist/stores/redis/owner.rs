//! Who this server is to Redis, and what it says about itself to the operator of another one.
//!
//! Never here: the lease.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use crate::persist::stores::embedded::make_data_dir;
use crate::persist::stores::identity::Identity;

/// Who this server is to Redis. A locked file in `dir` makes that outlive the process, so that a restart after a crash
/// need not wait until the lease of the dead process ends. Without such a file it waits.
#[must_use]
pub fn identity(dir: &Path, namespace: &str) -> Identity {
    let fresh = format!("{:016x}", RandomState::new().hash_one("the name of this server"));
    let file = dir.join(format!("redis-{}.id", namespace.replace(|c: char| !c.is_ascii_alphanumeric(), "-")));
    let locked = make_data_dir(dir).ok().and_then(|()| Identity::lock(&file, &fresh).ok());
    locked.unwrap_or_else(|| Identity::passing(&fresh))
}

/// Words about this server for the operator of another one.
#[must_use]
pub fn about() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("process {} on {}", std::process::id(), host.trim())
}
