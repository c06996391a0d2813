//! Where the embedded store is: the names in its directory, and how one set of files takes the place of another.
//!
//! Invariants: what stands under [`Place::holds`] is complete, also after a crash at any moment: a new set is made
//! under another name first; what was there is put aside under a name of its own and never deleted. Never here: what is
//! in the files.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The names in one directory.
#[derive(Clone, Debug)]
pub(super) struct Place {
    dir: PathBuf,
}

impl Place {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The files of the library.
    pub(super) fn holds(&self) -> PathBuf {
        self.dir.join("holds")
    }

    /// What says what should be in them.
    pub(super) fn witness(&self) -> PathBuf {
        self.dir.join("holds.check")
    }

    /// A copy that the library may spoil.
    pub(super) fn trial(&self) -> PathBuf {
        self.dir.join("holds.trial")
    }

    /// A new set of files that is being made.
    pub(super) fn making(&self) -> PathBuf {
        self.dir.join("holds.making")
    }

    /// A new set of files that is complete.
    fn made(&self) -> PathBuf {
        self.dir.join("holds.made")
    }

    /// What a crash left half done: a set that was complete takes its place, everything else begins anew.
    pub(super) fn tidy(&self) -> io::Result<()> {
        remove(&self.trial())?;
        remove(&self.making())?;
        if fs::symlink_metadata(self.holds()).is_ok() {
            return remove(&self.made());
        }
        if self.made().exists() {
            fs::rename(self.made(), self.holds())?;
        }
        Ok(())
    }

    /// The set that was made takes its place. What was there is put aside; says where.
    pub(super) fn swap(&self) -> io::Result<Option<PathBuf>> {
        fs::rename(self.making(), self.made())?;
        let mut aside = None;
        if fs::symlink_metadata(self.holds()).is_ok() {
            let name = |n: u32| self.dir.join(format!("holds.damaged-{n}"));
            let free = (1..).map(name).find(|path| fs::symlink_metadata(path).is_err()).expect("some number is free");
            fs::rename(self.holds(), &free)?;
            aside = Some(free);
        }
        fs::rename(self.made(), self.holds())?;
        File::open(&self.dir)?.sync_all()?;
        Ok(aside)
    }
}

/// Makes `DATA_DIR`, for its owner alone. One that others may read is left as it is, with a word in the log.
///
/// # Errors
/// Those of the disk.
pub fn make_data_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let mode = fs::metadata(dir)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        tracing::warn!("others may look into DATA_DIR {} (mode {mode:03o}): chmod 700 it", dir.display());
    }
    Ok(())
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
