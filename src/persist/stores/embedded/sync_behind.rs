//! Syncs what the embedded store has written, behind it: in `window` mode no write waits for a slow disk.
//!
//! Bytes that the system has outlive the process; bytes that are synced outlive a power failure too. A thread of its
//! own syncs as fast as the disk can, through a descriptor of its own, because the library holds the lock of its
//! journal for as long as it syncs. A journal that is no longer the newest was synced by the library when it made the
//! next one. Invariants: a sync covers what was written before it began; after a sync that failed, nothing written
//! since the last good one is trusted, and whoever writes next is told of the failure. Never here: what is written.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use crate::clock::Clock;
use crate::engine::time::Millis;

use crate::persist::status::StoreStatus;

/// How a file is synced.
pub type SyncFile = Arc<dyn Fn(&File) -> io::Result<()> + Send + Sync>;

/// What syncing behind needs.
#[derive(Clone)]
pub struct Behind {
    /// How a file is synced: [`sync_data`] but in tests.
    pub sync: SyncFile,
    /// Where it is told how far the disk is behind.
    pub status: Arc<StoreStatus>,
    /// The clocks.
    pub clock: Clock,
}

/// Syncs a file as the system does.
///
/// # Errors
/// Those of the disk.
pub fn sync_data(file: &File) -> io::Result<()> {
    file.sync_data()
}

/// The thread that syncs one open store.
pub(super) struct Syncer {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

struct Shared {
    behind: Behind,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    /// The last batch that was written, the last that the present sync covers, and the last that is synced.
    last: u64,
    covered: u64,
    synced: u64,
    /// When the oldest change was written that no sync has begun to cover.
    written: Option<Millis>,
    /// The same of those that the present sync covers.
    syncing: Option<Millis>,
    /// Why a sync failed. The thread has ended then.
    error: Option<String>,
    /// Whether nothing more is written.
    is_over: bool,
}

impl Behind {
    /// For a server: the status and the clock that it shows.
    #[must_use]
    pub fn new(status: Arc<StoreStatus>, clock: Clock) -> Self {
        Self { sync: Arc::new(sync_data), status, clock }
    }

    /// Syncs at once.
    pub(super) fn sync_now(&self, dir: &Path) -> io::Result<()> {
        newest(dir, &mut None).and_then(|file| (self.sync)(file))
    }
}

impl fmt::Debug for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Behind").finish_non_exhaustive()
    }
}

impl Syncer {
    /// Starts the thread for the journals in this directory.
    pub(super) fn start(dir: &Path, behind: Behind, synced: u64) -> io::Result<Self> {
        let state = State { last: synced, covered: synced, synced, ..State::default() };
        let shared = Arc::new(Shared { behind, state: Mutex::new(state), wake: Condvar::new() });
        let (dir, its) = (dir.to_owned(), Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("sync".into()).spawn(move || its.run(&dir))?;
        Ok(Self { shared, thread })
    }

    /// The batch of this number was written. It is synced as soon as the disk has time.
    pub(super) fn note_written(&self, number: u64) {
        let now = self.shared.behind.clock.now().mono;
        let mut state = self.shared.lock();
        assert!(number > state.last, "batches are written in the order of their numbers");
        state.last = number;
        state.written.get_or_insert(now);
        self.shared.show(&state);
        drop(state);
        self.shared.wake.notify_one();
    }

    /// The batch of this number was written and synced, and with it all before.
    pub(super) fn note_synced(&self, number: u64) {
        let mut state = self.shared.lock();
        assert!(number > state.last, "batches are written in the order of their numbers");
        (state.last, state.covered, state.synced) = (number, number, number);
        (state.written, state.syncing) = (None, None);
        self.shared.show(&state);
    }

    /// The last batch that is synced.
    pub(super) fn synced(&self) -> u64 {
        self.shared.lock().synced
    }

    /// Why a sync has failed, if one has.
    pub(super) fn error(&self) -> Option<String> {
        self.shared.lock().error.clone()
    }

    /// Syncs what is written, and ends. Returns the last batch that is synced.
    ///
    /// # Errors
    /// Why not everything that was written is synced.
    pub(super) fn finish(self) -> Result<u64, String> {
        self.shared.lock().is_over = true;
        self.shared.wake.notify_one();
        let is_whole = self.thread.join().is_ok();
        self.shared.behind.status.set_unsynced(None);
        let mut state = self.shared.lock();
        match state.error.take() {
            None if is_whole => Ok(state.synced),
            error => Err(error.unwrap_or_else(|| "the thread that syncs has panicked".into())),
        }
    }
}

impl Shared {
    fn run(&self, dir: &Path) {
        let mut journal = None;
        while self.begin() {
            let started = self.behind.clock.micros();
            let result = newest(dir, &mut journal).and_then(|file| (self.behind.sync)(file));
            let took_us = self.behind.clock.micros().saturating_sub(started);
            if !self.end(result, took_us) {
                return;
            }
        }
    }

    /// Waits until there is something to sync; nothing when all is synced that ever will be written.
    fn begin(&self) -> bool {
        let state = self.lock();
        let mut state = self
            .wake
            .wait_while(state, |state| state.written.is_none() && !state.is_over)
            .expect("nobody panics with the lock");
        assert!(state.syncing.is_none(), "one sync at a time");
        state.syncing = state.written.take();
        state.covered = state.last;
        state.syncing.is_some()
    }

    /// Says what became of a sync, and whether others may follow.
    fn end(&self, result: io::Result<()>, took_us: u64) -> bool {
        let mut state = self.lock();
        match result {
            Ok(()) => {
                state.syncing = None;
                assert!(state.covered >= state.synced, "what is synced stays synced");
                state.synced = state.covered;
                self.behind.status.add_sync(took_us);
            }
            Err(error) => state.error = Some(error.to_string()),
        }
        self.show(&state);
        state.error.is_none()
    }

    fn show(&self, state: &State) {
        self.behind.status.set_unsynced(state.syncing.or(state.written));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with the lock")
    }
}

/// The journal that is written to: the one with the highest number. It stays open while it is the newest, so that an
/// error of the disk which happened between two syncs is told to the second one.
fn newest<'a>(dir: &Path, open: &'a mut Option<(u64, File)>) -> io::Result<&'a File> {
    let mut found: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jnl")?.parse().ok());
        if let Some(number) = number.filter(|&number| found.as_ref().is_none_or(|&(highest, _)| number > highest)) {
            found = Some((number, path));
        }
    }
    let (number, path) = found.ok_or_else(|| io::Error::other("the embedded store has no journal"))?;
    let kept = open.take().filter(|&(kept, _)| kept == number);
    let kept = match kept {
        Some(kept) => kept,
        None => (number, File::options().write(true).open(path)?),
    };
    Ok(&open.insert(kept).1)
}
