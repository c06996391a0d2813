//! A disk of its own for a test, so that it can be full.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system in memory, mounted on a directory.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Nothing, and a line that says so, where this process may not mount.
    pub fn new(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(dir.path());
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(dir));
        }
        println!("NOT RUN: this process may not mount a file system, so no disk can be full");
        None
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Takes all space but `left` bytes.
    pub fn fill(&self, left: u64) {
        assert!(fs::write(self.ballast(), vec![1; 64 << 20]).is_err(), "the disk is not small");
        let len = fs::metadata(self.ballast()).expect("it was written").len();
        let file = File::options().write(true).open(self.ballast()).expect("it was written");
        file.set_len(len.checked_sub(left).expect("it is larger")).expect("it is ours");
    }

    /// Gives the space back.
    pub fn free(&self) {
        fs::remove_file(self.ballast()).expect("it was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "what was mounted can be unmounted");
    }
}
