//! Everything that can be read of damaged files, and a new store from it.
//!
//! Tables are read by the library, from a copy, up to the first that it cannot read; journals by us, up to the first
//! batch that is not whole. Invariant: the damaged files are not changed. Never here: whether something is missing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::journal::Op;
use super::keys::{TALLY, is_log};
use super::library::{Library, LibraryError};
use super::look::{LOCK, TREES, VERSION, look};
use super::place::Place;
use super::tally::Tally;

/// What could be read.
#[derive(Debug, Default)]
pub(super) struct Salvage {
    /// Every key with its value, but for the tally.
    pub(super) records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The tally that was stored with them.
    pub(super) stored: Option<Tally>,
}

impl Salvage {
    /// Reads what stands under [`Place::holds`].
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn read(place: &Place) -> io::Result<Self> {
        let seen = look(&place.holds(), &mut |_| ())?;
        let mut records = BTreeMap::new();
        if seen.has_tables && seen.trees.is_none() {
            read_tables(place, &mut records)?;
        }
        look(&place.holds(), &mut |ops| ops.into_iter().for_each(|op| apply(op, &mut records)))?;
        let stored = records.remove(TALLY).and_then(|bytes| Tally::decode(&bytes));
        Ok(Self { records, stored })
    }

    /// The tally of what was read, with the number that was stored.
    pub(super) fn tally(&self) -> Tally {
        let mut tally = Tally { number: self.stored.map_or(0, |stored| stored.number), ..Tally::default() };
        let held = self.records.iter().filter(|(key, _)| !is_log(key));
        held.for_each(|(key, value)| tally.add(key, value));
        tally
    }

    /// Makes a new store of what was read, which takes the place of the damaged one. Says where that is now.
    pub(super) fn write(self, place: &Place, tally: Tally) -> Result<Option<PathBuf>, LibraryError> {
        let away = |error: io::Error| LibraryError::Away(error.to_string());
        place.tidy().map_err(away)?;
        let new = Library::open(&place.making())?;
        let writes = self.records.into_iter().map(|(key, value)| (key, Some(value)));
        let tally = (TALLY.to_vec(), Some(tally.encode().to_vec()));
        new.commit(writes.chain([tally]).collect(), true)?;
        new.sync()?;
        drop(new);
        place.swap().map_err(away)
    }
}

fn apply(op: Op, records: &mut BTreeMap<Vec<u8>, Vec<u8>>) {
    match op.value {
        Some(value) => _ = records.insert(op.key, value),
        None => _ = records.remove(&op.key),
    }
}

/// Reads what the tables hold from a copy without journals: the library repairs what it opens.
fn read_tables(place: &Place, records: &mut BTreeMap<Vec<u8>, Vec<u8>>) -> io::Result<()> {
    place.tidy()?;
    let trial = place.trial();
    copy(&place.holds().join(TREES), &trial.join(TREES))?;
    fs::write(trial.join(VERSION.0), VERSION.1)?;
    File::create(trial.join(LOCK))?;
    let read = Library::open(&trial)
        .and_then(|library| library.each(&mut |key, value| _ = records.insert(key.to_vec(), value.to_vec())));
    match read {
        Ok(()) => {}
        Err(LibraryError::Away(text)) => return Err(io::Error::other(text)),
        Err(LibraryError::Unreadable(text)) => tracing::warn!("the tables cannot be read to their end: {text}"),
    }
    place.tidy()
}

/// Copies what is in a directory. What was found sound has no links in it.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}
