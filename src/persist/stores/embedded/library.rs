//! The library that keeps the holds in files (fjall): what we use of it.
//!
//! Invariants: it is only let near files that were found sound (`look.rs`), or copies; one batch is one entry of its
//! journal, so a crash leaves all of it or nothing. The only file that names fjall. Never here: what keys and values
//! mean.

use std::io;
use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::limits::store::{EMBEDDED_CACHE_BYTES, EMBEDDED_JOURNAL_BYTES, EMBEDDED_MEMTABLE_BYTES};

/// Why the library did not do what it was asked.
#[derive(Debug)]
pub(super) enum LibraryError {
    /// The files cannot be read any more.
    Unreadable(String),
    /// The disk is full, a file may not be opened: trying again may help.
    Away(String),
}

impl LibraryError {
    /// In words.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Unreadable(text) | Self::Away(text) => text,
        }
    }
}

impl From<fjall::Error> for LibraryError {
    fn from(error: fjall::Error) -> Self {
        let text = |error: &dyn ToString| error.to_string();
        if let fjall::Error::Io(io) | fjall::Error::Storage(fjall::LsmError::Io(io)) = &error {
            let is_damage = matches!(io.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData);
            return if is_damage { Self::Unreadable(text(io)) } else { Self::Away(text(io)) };
        }
        if matches!(error, fjall::Error::Locked | fjall::Error::Poisoned) {
            return Self::Away(text(&error));
        }
        Self::Unreadable(text(&error))
    }
}

/// A key and its value; `None` removes it.
pub(super) type Write = (Vec<u8>, Option<Vec<u8>>);

/// The open files.
pub(super) struct Library {
    db: Database,
    holds: Keyspace,
}

impl Library {
    /// Opens the files in this directory, which is made if it is not there.
    pub(super) fn open(dir: &Path) -> Result<Self, LibraryError> {
        let builder =
            Database::builder(dir).cache_size(EMBEDDED_CACHE_BYTES).max_journaling_size(EMBEDDED_JOURNAL_BYTES);
        let db = builder.worker_threads(1).open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(EMBEDDED_MEMTABLE_BYTES);
        let holds = db.keyspace("holds", options)?;
        Ok(Self { db, holds })
    }

    /// Hands over every key with its value, in the order of the keys, up to one that cannot be read.
    pub(super) fn each(&self, take: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LibraryError> {
        for entry in self.holds.iter() {
            let (key, value) = entry.into_inner()?;
            take(&key, &value);
        }
        Ok(())
    }

    /// The same of the keys that begin so.
    pub(super) fn each_with(&self, prefix: &[u8], take: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LibraryError> {
        for entry in self.holds.prefix(prefix) {
            let (key, value) = entry.into_inner()?;
            take(&key, &value);
        }
        Ok(())
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<impl AsRef<[u8]> + use<>>, LibraryError> {
        Ok(self.holds.get(key)?)
    }

    /// Makes all of these changes or none. They have no order among themselves, so no key may stand there twice. With
    /// `is_synced` they survive a loss of power when this returns.
    pub(super) fn commit(&self, writes: Vec<Write>, is_synced: bool) -> Result<(), LibraryError> {
        let mode = if is_synced { PersistMode::SyncData } else { PersistMode::Buffer };
        let mut batch = self.db.batch().durability(Some(mode));
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(&self.holds, key, value),
                None => batch.remove(&self.holds, key),
            }
        }
        Ok(batch.commit()?)
    }

    /// Makes all that was committed survive a loss of power.
    pub(super) fn sync(&self) -> Result<(), LibraryError> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }
}
