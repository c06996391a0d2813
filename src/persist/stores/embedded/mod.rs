//! The embedded store: a log-structured store (fjall) in `DATA_DIR`, for a server without Redis.
//!
//! A commit is one batch of its journal. In `durable` mode it is synced before the commit returns; in `window` mode it
//! is handed to the system, which a kill of the process does not undo, and synced behind the commits ([`sync_behind`]),
//! unless an answer to the backend waits for it: what was sold outlives a loss of power in both modes.
//! With each batch the store counts what it has (`tally`), and says so beside itself (`witness`); a start compares
//! (`recover`). Invariants: one process at a time uses a directory (a locked file); after an error the store is closed
//! and opened again, which recovers what was committed; files that cannot be read any more are put aside, never
//! deleted. Never here: threads of our own, batches of shards.

mod journal;
mod keys;
mod library;
mod look;
mod place;
mod recover;
mod salvage;
pub mod sync_behind;
mod tally;
mod witness;

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use crate::acts::chapter::chapters;
use crate::engine::ids::RoomId;
use crate::engine::time::WallMillis;
use crate::persist::batch::{Deltas, RoomDelta};

use self::keys::{TALLY, key_of, log_key, prefix_of, split, take_in};
use self::library::{Library, LibraryError, Write};
use self::look::look;
use self::place::Place;
pub use self::place::make_data_dir;
use self::recover::{Start, failed, start};
use self::salvage::Salvage;
use self::sync_behind::{Behind, Syncer};
use self::tally::Tally;
use self::witness::Witness;
use super::identity::{Identity, NoIdentity};
use super::store::{Continuity, Loaded, LogShare, Store, StoreError, Taken};

/// The embedded store with its directory.
pub struct EmbeddedStore {
    place: Place,
    _lock: Identity,
    behind: Option<Behind>,
    open: Option<Open>,
    /// After the last batch that was committed.
    tally: Tally,
    witness: Witness,
    /// What the start has read, until it is asked for.
    loaded: Option<Loaded>,
    /// Where the chapters of the log stand that are there, the oldest first.
    chapters: VecDeque<u64>,
    /// Whether what was committed may be gone and that was not yet passed on: a sync has failed, or the files were put
    /// aside. Only writing everything again helps.
    is_lost: bool,
}

struct Open {
    library: Library,
    /// With [`EmbeddedStore::behind`].
    syncer: Option<Syncer>,
}

impl EmbeddedStore {
    /// Opens the store in this directory, which is made if it is not there. A commit is synced before it returns, or,
    /// with `behind`, after it. With `accepts_loss` the store begins with what is left when something is missing.
    ///
    /// # Errors
    /// When another server uses the directory, it cannot be used, or something is missing and that is not accepted.
    pub fn open(dir: &Path, behind: Option<Behind>, accepts_loss: bool) -> Result<Self, StoreError> {
        let away = |error: io::Error| StoreError::Away(format!("DATA_DIR {}: {error}", dir.display()));
        make_data_dir(dir).map_err(away)?;
        let lock = match Identity::lock(&dir.join("butaca.lock"), "embedded") {
            Ok(lock) => lock,
            Err(NoIdentity::Taken) => {
                let text = format!("another server uses DATA_DIR {}", dir.display());
                return Err(StoreError::Taken(Taken { text, lease_ms: None }));
            }
            Err(NoIdentity::Io(error)) => return Err(away(error)),
        };
        let place = Place::new(dir);
        let Start { library, tally, witness, mut loaded } = start(&place, accepts_loss)?;
        let chapters = std::mem::take(&mut loaded.chapters).into();
        let (loaded, open, is_lost) = (Some(loaded), None, false);
        let mut store = Self { place, _lock: lock, behind, open, tally, witness, loaded, chapters, is_lost };
        store.put(library)?;
        Ok(store)
    }

    /// The library is open: what is written is synced behind it.
    fn put(&mut self, library: Library) -> Result<&Open, StoreError> {
        assert!(self.open.is_none(), "the files are open once");
        let start = |behind: &Behind| Syncer::start(&self.place.holds(), behind.clone(), self.tally.number);
        let syncer = self.behind.as_ref().map(start).transpose();
        let syncer = syncer.map_err(|error| failed("syncing", &error.to_string()))?;
        Ok(self.open.insert(Open { library, syncer }))
    }

    fn opened(&mut self) -> Result<&Open, StoreError> {
        match self.open.take() {
            Some(open) => Ok(self.open.insert(open)),
            None => self.reopened(),
        }
    }

    /// Opens the files again after an error. When they have suffered, empty ones take their place: the shards still
    /// have everything, and write it again.
    fn reopened(&mut self) -> Result<&Open, StoreError> {
        let library = match self.reopen() {
            Err(LibraryError::Unreadable(text)) => {
                tracing::error!("the embedded store cannot be read any more ({text})");
                self.begin_anew().and_then(|()| Library::open(&self.place.holds()))
            }
            other => other,
        };
        let library = library.map_err(|error| failed("opening", error.text()))?;
        self.put(library)
    }

    fn reopen(&mut self) -> Result<Library, LibraryError> {
        let away = |error: io::Error| LibraryError::Away(error.to_string());
        let seen = look(&self.place.holds(), &mut |_| ()).map_err(away)?;
        if let Some(fault) = seen.fault() {
            return Err(LibraryError::Unreadable(fault.to_owned()));
        }
        seen.cut().map_err(away)?;
        let library = Library::open(&self.place.holds())?;
        let stored = library.get(TALLY)?.and_then(|bytes| Tally::decode(bytes.as_ref())).unwrap_or_default();
        if stored.number < self.tally.number {
            return Err(LibraryError::Unreadable("the last of its batches are missing".into()));
        }
        // What was written when the error came may be there.
        self.tally = stored;
        Ok(library)
    }

    fn begin_anew(&mut self) -> Result<(), LibraryError> {
        let tally = Tally { number: self.tally.next_number(), ..Tally::default() };
        if let Some(aside) = Salvage::default().write(&self.place, tally)? {
            tracing::error!("the files of the embedded store are now in {}", aside.display());
        }
        (self.tally, self.is_lost) = (tally, true);
        Ok(())
    }

    /// Does something with the open store; after an error it is opened anew the next time.
    fn with<T>(
        &mut self,
        doing: &str,
        what: impl FnOnce(&Open, Tally) -> Result<T, LibraryError>,
    ) -> Result<T, StoreError> {
        self.opened()?;
        let open = self.open.as_ref().expect("it was just opened");
        let done = what(open, self.tally);
        if done.is_err() {
            self.shut();
        }
        done.map_err(|error| failed(doing, error.text()))
    }

    /// One batch: these changes, what the log has of them, and the tally that they make. It is synced behind, unless
    /// the caller does that.
    fn write(&mut self, deltas: &Deltas, log: LogShare<'_>, syncs_behind: bool) -> Result<(), StoreError> {
        let is_synced = self.behind.is_none() || log.is_awaited;
        self.loaded = None;
        let before = self.tally.number;
        let coming = chapters(log.coming);
        let ends: Vec<u64> = coming.iter().map(|(place, _)| *place).collect();
        let going: Vec<u64> = log
            .going
            .last()
            .map_or(Vec::new(), |last| self.chapters.iter().copied().take_while(|place| place <= last).collect());
        self.tally = self.with("writing", |open, mut tally| {
            let mut writes = changes(&open.library, deltas, &mut tally)?;
            tally.number = tally.next_number();
            writes.extend(coming.into_iter().map(|(place, events)| (log_key(place), Some(events))));
            writes.extend(going.iter().map(|place| (log_key(*place), None)));
            writes.push((TALLY.to_vec(), Some(tally.encode().to_vec())));
            open.library.commit(writes, is_synced)?;
            match &open.syncer {
                Some(syncer) if is_synced => syncer.note_synced(tally.number),
                Some(syncer) if syncs_behind => syncer.note_written(tally.number),
                Some(_) | None => {}
            }
            Ok(tally)
        })?;
        self.chapters.drain(..going.len());
        self.chapters.extend(ends);
        assert!(self.tally.number > before, "batches are numbered upwards, through every reopening");
        let synced = self.open.as_ref().and_then(|open| open.syncer.as_ref()).map(Syncer::synced);
        let synced = synced.unwrap_or(self.tally.number);
        assert!(synced <= self.tally.number, "nothing is synced before it is written");
        let noted = self.witness.note(self.tally, synced);
        noted.map_err(|error| failed("witnessing", &error.to_string()))
    }

    /// Closes the store, with what is written synced.
    fn shut(&mut self) {
        let Some(open) = self.open.take() else { return };
        let synced = match open.syncer.map_or(Ok(self.tally.number), Syncer::finish) {
            Ok(synced) => synced,
            Err(error) => {
                tracing::warn!("the embedded store was not synced: {error}");
                self.is_lost = true;
                return;
            }
        };
        if let Err(error) = self.witness.note(self.tally, synced).and_then(|()| self.witness.sync()) {
            tracing::warn!("what the embedded store should have was not written: {error}");
        }
    }

    /// Closes the store when a sync has failed: nobody can know what of it is on the disk. It counts as away until
    /// something new could be written and synced.
    fn check_sync(&mut self) -> Result<(), StoreError> {
        let unsynced = |error| StoreError::Away(format!("syncing the embedded store failed: {error}"));
        if let Some(error) = self.open.as_ref().and_then(|open| open.syncer.as_ref()?.error()) {
            self.shut();
            return Err(unsynced(error));
        }
        let Some(behind) = self.behind.clone().filter(|_| self.is_lost) else { return Ok(()) };
        self.write(&Deltas::new(), LogShare::default(), false)?;
        behind.sync_now(&self.place.holds()).map_err(|error| unsynced(error.to_string()))
    }

    fn continuity(&mut self) -> Continuity {
        if std::mem::take(&mut self.is_lost) { Continuity::Lost } else { Continuity::Kept }
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.shut();
    }
}

impl Store for EmbeddedStore {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        if let Some(loaded) = self.loaded.take() {
            return Ok(loaded);
        }
        self.with("reading", |open, _| {
            let mut loaded = Loaded::default();
            open.library.each(&mut |key, value| take_in(key, value, &mut loaded))?;
            Ok(loaded)
        })
    }

    fn rooms(&mut self) -> Result<Vec<RoomId>, StoreError> {
        self.with("reading", |open, _| {
            let mut rooms: Vec<RoomId> = Vec::new();
            open.library.each(&mut |key, _| {
                if let Some((room, _)) = split(key).filter(|(room, _)| rooms.last() != Some(room)) {
                    rooms.push(room);
                }
            })?;
            Ok(rooms)
        })
    }

    fn commit_logged(&mut self, deltas: &Deltas, log: LogShare<'_>, _: WallMillis) -> Result<Continuity, StoreError> {
        self.check_sync()?;
        self.write(deltas, log, true)?;
        Ok(self.continuity())
    }

    fn renew(&mut self, _: WallMillis) -> Result<Continuity, StoreError> {
        self.check_sync()?;
        self.opened()?;
        Ok(self.continuity())
    }

    fn lease_ms(&self) -> u64 {
        u64::MAX
    }

    fn close(&mut self) {
        self.shut();
    }
}

/// The changes as the library is to make them, counted. A key stands there once: a batch of the library has no order.
fn changes(library: &Library, deltas: &Deltas, tally: &mut Tally) -> Result<Vec<Write>, LibraryError> {
    let mut writes = Vec::new();
    for (room, delta) in deltas {
        if delta.replace {
            forget(library, room, delta, tally, &mut writes)?;
        }
        for (name, bytes) in delta.records(room) {
            let key = key_of(room, name);
            let before = if delta.replace { None } else { library.get(&key)? };
            if let Some(before) = before {
                tally.remove(&key, before.as_ref());
            }
            if let Some(bytes) = &bytes {
                tally.add(&key, bytes);
            }
            writes.push((key, bytes));
        }
    }
    Ok(writes)
}

/// Removes the seats of a room that the delta does not name; those that it names it writes itself.
fn forget(
    library: &Library,
    room: &RoomId,
    delta: &RoomDelta,
    tally: &mut Tally,
    writes: &mut Vec<Write>,
) -> Result<(), LibraryError> {
    let prefix = prefix_of(room);
    library.each_with(&prefix, &mut |key, value| {
        tally.remove(key, value);
        let name = std::str::from_utf8(&key[prefix.len()..]).ok();
        if name.is_none_or(|name| !delta.names(name)) {
            writes.push((key.to_vec(), None));
        }
    })
}
