//! The embedded store: a log-structured store (fjall) in `DATA_DIR`, for a server without Redis.
//!
//! A commit is one batch of its journal. In `durable` mode it is synced before the commit returns; in `window` mode it is
//! handed to the system, which a kill of the process does not undo, and synced behind the commits
//! ([`super::sync_behind`]). The key of a seat is the room, its length first, and the seat, so no two seats share a key and
//! a room's seats lie together.
//! Invariants: one process at a time uses a directory (a locked file); after an error the store is closed and opened again,
//! which recovers what was committed; a directory that cannot be read any more is put aside, never deleted.
//! Never here: threads of our own, batches of shards.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};

use crate::engine::ids::{RoomId, SeatId};
use crate::engine::time::WallMillis;

use crate::persist::batch::{Deltas, RoomDelta};
use crate::persist::record::{self, StoredHold};

use super::identity::{Identity, NoIdentity};
use super::store::{Continuity, Loaded, Store, StoreError};
use super::sync_behind::{Behind, Syncer};

/// Memory for what is written and not yet sorted into files. Each time it is full the library syncs with the lock of its
/// journal, and a commit waits; so it is as large as a journal may well be.
const MEMTABLE_BYTES: u64 = 32 * 1024 * 1024;
/// Memory for blocks that were read. Reading happens at a start only.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;
/// The key of no seat, since no room has an empty id: it can be removed to see whether the disk takes anything.
const NO_SEAT: &[u8] = &[0];
/// Disk for the journals; the least that the library allows.
const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;

/// The embedded store with its directory.
pub struct EmbeddedStore {
    path: PathBuf,
    _lock: Identity,
    behind: Option<Behind>,
    open: Option<Open>,
    /// Whether a sync has failed and that was not yet passed on: what was written before it may be gone after a power
    /// failure, and only writing it again helps.
    is_lost: bool,
}

struct Open {
    db: Database,
    holds: Keyspace,
    /// With [`EmbeddedStore::behind`].
    syncer: Option<Syncer>,
}

impl EmbeddedStore {
    /// Opens the store in this directory, which is made if it is not there. A commit is synced before it returns, or, with
    /// `behind`, after it.
    ///
    /// # Errors
    /// When another server uses the directory, or it cannot be used.
    pub fn open(dir: &Path, behind: Option<Behind>) -> Result<Self, StoreError> {
        let away = |error: io::Error| StoreError::Away(format!("DATA_DIR {}: {error}", dir.display()));
        fs::create_dir_all(dir).map_err(away)?;
        let lock = match Identity::lock(&dir.join("butaca.lock"), "embedded") {
            Ok(lock) => lock,
            Err(NoIdentity::Taken) => {
                return Err(StoreError::Taken(format!("another server uses DATA_DIR {}", dir.display())));
            }
            Err(NoIdentity::Io(error)) => return Err(away(error)),
        };
        let mut store = Self { path: dir.join("holds"), _lock: lock, behind, open: None, is_lost: false };
        store.opened()?;
        Ok(store)
    }

    fn opened(&mut self) -> Result<&Open, StoreError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => match open(&self.path, self.behind.as_ref()) {
                Ok(open) => open,
                Err(error) if is_unreadable(&error) => {
                    self.put_aside(&error)?;
                    open(&self.path, self.behind.as_ref()).map_err(|error| failed("opening", &error))?
                }
                Err(error) => return Err(failed("opening", &error)),
            },
        };
        Ok(self.open.insert(open))
    }

    /// A store that is damaged beyond its own recovery keeps its files under another name, and a new one begins.
    fn put_aside(&self, error: &fjall::Error) -> Result<(), StoreError> {
        let free = (1..).map(|n| self.path.with_extension(format!("damaged-{n}"))).find(|path| !path.exists());
        let aside = free.expect("some number is free");
        tracing::error!("the embedded store cannot be read ({error}): its files are now in {}", aside.display());
        fs::rename(&self.path, &aside).map_err(|error| StoreError::Away(format!("DATA_DIR: {error}")))
    }

    /// What could be read of a damaged store begins a new one.
    fn write_anew(&mut self, loaded: &Loaded) -> Result<(), StoreError> {
        let mut deltas = Deltas::new();
        for StoredHold { room, seat, held } in &loaded.holds {
            deltas.entry(room.clone()).or_default().seats.insert(seat.clone(), Some(held.clone()));
        }
        self.commit(&deltas, WallMillis::default()).map(drop)
    }

    /// Does something with the open store; after an error it is opened anew the next time.
    fn with<T>(&mut self, doing: &str, what: impl FnOnce(&Open) -> Result<T, fjall::Error>) -> Result<T, StoreError> {
        let done = what(self.opened()?);
        if done.is_err() {
            self.shut();
        }
        done.map_err(|error| failed(doing, &error))
    }

    /// Closes the store, with what is written synced.
    fn shut(&mut self) {
        let syncer = self.open.as_mut().and_then(|open| open.syncer.take());
        if let Some(Err(error)) = syncer.map(Syncer::finish) {
            tracing::warn!("the embedded store was not synced: {error}");
            self.is_lost = true;
        }
        self.open = None;
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
        self.with("writing", |open| open.holds.remove(NO_SEAT))?;
        behind.sync_now(&self.path).map_err(|error| unsynced(error.to_string()))
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
        let mut loaded = Loaded::default();
        let damage = read(self.opened()?, &mut loaded).err();
        if let Some(error) = damage {
            self.shut();
            if !is_unreadable(&error) {
                return Err(failed("reading", &error));
            }
            self.put_aside(&error)?;
            loaded.skipped += 1;
            self.write_anew(&loaded)?;
        }
        Ok(loaded)
    }

    fn rooms(&mut self) -> Result<Vec<RoomId>, StoreError> {
        self.with("reading", |open| {
            let mut rooms: Vec<RoomId> = Vec::new();
            for entry in open.holds.iter() {
                let key = entry.key()?;
                if let Some((room, _)) = split(&key).filter(|(room, _)| rooms.last() != Some(room)) {
                    rooms.push(room);
                }
            }
            Ok(rooms)
        })
    }

    fn commit(&mut self, deltas: &Deltas, _: WallMillis) -> Result<Continuity, StoreError> {
        self.check_sync()?;
        self.with("writing", |open| {
            // One batch is one entry of the journal, so a crash leaves all of it or nothing, also of a room that is replaced.
            let mode = if open.syncer.is_some() { PersistMode::Buffer } else { PersistMode::SyncData };
            let mut batch = open.db.batch().durability(Some(mode));
            let mut bytes = Vec::new();
            for (room, delta) in deltas {
                if delta.replace {
                    forget(open, &mut batch, room, delta)?;
                }
                for (seat, held) in &delta.seats {
                    let key = key_of(room, seat);
                    let Some(held) = held else {
                        batch.remove(&open.holds, key);
                        continue;
                    };
                    bytes.clear();
                    record::encode(room, seat, held, &mut bytes);
                    batch.insert(&open.holds, key, &bytes[..]);
                }
            }
            batch.commit()?;
            open.syncer.iter().for_each(Syncer::note_written);
            Ok(())
        })?;
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

fn open(path: &Path, behind: Option<&Behind>) -> Result<Open, fjall::Error> {
    let db =
        Database::builder(path).cache_size(CACHE_BYTES).max_journaling_size(JOURNAL_BYTES).worker_threads(1).open()?;
    let holds = db.keyspace("holds", || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES))?;
    let syncer = behind.map(|behind| Syncer::start(path, behind.clone())).transpose()?;
    Ok(Open { db, holds, syncer })
}

fn read(open: &Open, loaded: &mut Loaded) -> Result<(), fjall::Error> {
    for entry in open.holds.iter() {
        let (key, value) = entry.into_inner()?;
        match hold_of(&key, &value) {
            Some(hold) => loaded.holds.push(hold),
            None => loaded.skipped += 1,
        }
    }
    Ok(())
}

/// Removes the seats of a room that the delta does not name. Those that it names must not be removed here too: a batch of
/// the library has no order within itself.
fn forget(open: &Open, batch: &mut OwnedWriteBatch, room: &RoomId, delta: &RoomDelta) -> Result<(), fjall::Error> {
    let prefix = prefix_of(room);
    for entry in open.holds.prefix(&prefix) {
        let key = entry.key()?;
        let seat = std::str::from_utf8(&key[prefix.len()..]).ok().and_then(SeatId::new);
        if seat.is_none_or(|seat| !delta.seats.contains_key(&seat)) {
            batch.remove(&open.holds, key);
        }
    }
    Ok(())
}

fn prefix_of(room: &RoomId) -> Vec<u8> {
    let room = room.as_str();
    let mut key = vec![u8::try_from(room.len()).expect("an id has at most 128 bytes")];
    key.extend_from_slice(room.as_bytes());
    key
}

fn key_of(room: &RoomId, seat: &SeatId) -> Vec<u8> {
    let mut key = prefix_of(room);
    key.extend_from_slice(seat.as_str().as_bytes());
    key
}

fn split(key: &[u8]) -> Option<(RoomId, SeatId)> {
    let (&len, rest) = key.split_first()?;
    let (room, seat) = rest.split_at_checked(usize::from(len))?;
    Some((RoomId::new(std::str::from_utf8(room).ok()?)?, SeatId::new(std::str::from_utf8(seat).ok()?)?))
}

fn hold_of(key: &[u8], value: &[u8]) -> Option<StoredHold> {
    let (room, seat) = split(key)?;
    let held = record::decode(&room, &seat, value).ok()?;
    Some(StoredHold { room, seat, held })
}

/// Whether the files are damaged, as opposed to a disk that is full or a file that may not be opened.
fn is_unreadable(error: &fjall::Error) -> bool {
    match io_error(error) {
        Some(error) => matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData),
        None => !matches!(error, fjall::Error::Locked | fjall::Error::Poisoned),
    }
}

fn io_error(error: &fjall::Error) -> Option<&io::Error> {
    if let fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) = error {
        Some(error)
    } else {
        None
    }
}

fn failed(doing: &str, error: &fjall::Error) -> StoreError {
    let text = io_error(error).map_or_else(|| error.to_string(), ToString::to_string);
    StoreError::Away(format!("{doing} the embedded store failed: {text}"))
}
