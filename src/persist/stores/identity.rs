//! Who this server is, beyond its process: a locked file that says so.
//!
//! The kernel lets go of the lock when the process ends, however it ends. So whoever gets the lock knows that the
//! server that last held it is dead, and may take over its lease in Redis at once instead of waiting until it runs out.
//! Invariant: at most one living process has an [`Identity`] with this file. Never here: Redis.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A locked file and the name that stands in it.
#[derive(Debug)]
pub struct Identity {
    name: String,
    _locked: Option<File>,
}

/// Why there is no identity.
#[derive(Debug)]
pub enum NoIdentity {
    /// Another living process has it.
    Taken,
    /// The file cannot be made, read or written.
    Io(io::Error),
}

impl Identity {
    /// Locks the file, which is made with `fresh` as the name when it is not there.
    ///
    /// # Errors
    /// When another process has it, or the file cannot be used.
    pub fn lock(path: &Path, fresh: &str) -> Result<Self, NoIdentity> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let mut file = file.map_err(NoIdentity::Io)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => NoIdentity::Taken,
            TryLockError::Error(error) => NoIdentity::Io(error),
        })?;
        let name = name_in(&mut file, fresh).map_err(NoIdentity::Io)?;
        Ok(Self { name, _locked: Some(file) })
    }

    /// An identity that no later process can take up.
    #[must_use]
    pub fn passing(fresh: &str) -> Self {
        Self { name: fresh.to_owned(), _locked: None }
    }

    /// The name, without spaces.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn name_in(file: &mut File, fresh: &str) -> io::Result<String> {
    let mut name = String::new();
    file.take(64).read_to_string(&mut name)?;
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(name);
    }
    file.rewind()?;
    file.set_len(0)?;
    file.write_all(fresh.as_bytes())?;
    file.sync_all()?;
    Ok(fresh.to_owned())
}
