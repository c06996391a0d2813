//! The embedded store in `window` mode: a slow disk delays no write, and one that fails is not believed.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use butaca::persist::status::StoreStatus;
use butaca::persist::stores::embedded::EmbeddedStore;
use butaca::persist::stores::embedded::sync_behind::{Behind, sync_data};
use butaca::persist::stores::store::{Continuity, LogShare, Store, StoreError};
use butaca::persist::thread::writer::Opener;

use crate::rig::{Rig, clock, delta, held, now};

/// What only a failing test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A disk whose syncs do what the test says.
#[derive(Default)]
struct Disk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_stuck: bool,
    fails: bool,
    begun: usize,
    done: usize,
}

impl Disk {
    fn sync(&self, file: &File) -> io::Result<()> {
        let mut state = self.state.lock().expect("nobody panics with the lock");
        state.begun += 1;
        self.changed.notify_all();
        let (mut state, _) =
            self.changed.wait_timeout_while(state, PATIENCE, |state| state.is_stuck).expect("nobody panics with it");
        if state.fails {
            return Err(io::Error::other("the disk is broken"));
        }
        state.done += 1;
        sync_data(file)
    }

    fn set(&self, set: impl FnOnce(&mut State)) {
        set(&mut self.state.lock().expect("nobody panics with the lock"));
        self.changed.notify_all();
    }

    fn until(&self, is_so: impl Fn(&State) -> bool) {
        let state = self.state.lock().expect("nobody panics with the lock");
        let waited = self.changed.wait_timeout_while(state, PATIENCE, |state| !is_so(state));
        assert!(!waited.expect("nobody panics with it").1.timed_out(), "waited in vain for a sync");
    }

    fn behind(self: &Arc<Self>, status: Arc<StoreStatus>) -> Behind {
        let disk = Arc::clone(self);
        Behind { sync: Arc::new(move |file| disk.sync(file)), status, clock: clock() }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("it is ours");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let there = to.join(path.file_name().expect("it has a name"));
        if path.is_dir() {
            copy(&path, &there);
        } else {
            fs::copy(&path, there).expect("it is ours");
        }
    }
}

/// The files as they are at this moment, which is what a kill of the process would leave.
fn seats_after_kill(dir: &Path) -> usize {
    let place = tempfile::tempdir().expect("a directory");
    copy(dir, place.path());
    let mut store = EmbeddedStore::open(place.path(), None, false).expect("a copy opens");
    store.load().expect("a copy can be read").holds.len()
}

fn write(store: &mut EmbeddedStore, n: u64) -> Result<Continuity, StoreError> {
    store.commit(&delta(("room", &format!("seat {n}")), Some(held("ana", n))), now().wall)
}

/// The same with an answer that waits for it.
fn sell(store: &mut EmbeddedStore, n: u64) {
    let sold = delta(("room", &format!("seat {n}")), Some(held("ana", n)));
    let awaited = LogShare { is_awaited: true, ..LogShare::default() };
    store.commit_logged(&sold, awaited, now().wall).expect("it is written");
}

#[test]
fn a_sync_that_takes_long_delays_no_write() {
    let (dir, disk, status) = (tempfile::tempdir().expect("a directory"), Arc::new(Disk::default()), Arc::default());
    let figures = |status: &StoreStatus| status.figures(now().mono);
    let mut store = EmbeddedStore::open(dir.path(), Some(disk.behind(Arc::clone(&status))), false).expect("it is ours");
    disk.set(|state| state.is_stuck = true);
    write(&mut store, 0).expect("it is written");
    disk.until(|state| state.begun == 1);
    for n in 1..20 {
        write(&mut store, n).expect("it is written, although the sync of the first one goes on");
    }
    assert_eq!(seats_after_kill(dir.path()), 20);
    // That is safe from a kill and not from a power failure, which is told when it has been so for long.
    let is_told = |figures: &butaca::figures::store::StoreFigures| {
        figures.error.as_ref().is_some_and(|error| error.contains("not synced")) && !figures.is_connected
    };
    crate::rig::until("it is told", || is_told(&figures(&status)));
    disk.set(|state| state.is_stuck = false);
    // The one sync that follows covers all that was written meanwhile.
    crate::rig::until("all is synced", || figures(&status).unsynced_ms == 0);
    disk.until(|state| state.done == 2);
    assert!(figures(&status).error.is_none(), "{:?}", figures(&status));
    store.close();
    disk.until(|state| state.begun == 2);
}

/// What was sold is synced before its answer, by the store's own thread: the one that syncs behind may hang.
#[test]
fn what_is_awaited_is_synced_at_once() {
    let (dir, disk, status) = (tempfile::tempdir().expect("a directory"), Arc::new(Disk::default()), Arc::default());
    let unsynced = |status: &StoreStatus| status.figures(now().mono.after(1)).unsynced_ms > 0;
    let mut store = EmbeddedStore::open(dir.path(), Some(disk.behind(Arc::clone(&status))), false).expect("it is ours");
    disk.set(|state| state.is_stuck = true);
    sell(&mut store, 0);
    assert!(!unsynced(&status) && disk.state.lock().expect("nobody panics with the lock").begun == 0);
    write(&mut store, 1).expect("it is written");
    disk.until(|state| state.begun == 1);
    assert!(unsynced(&status));
    sell(&mut store, 2);
    assert!(!unsynced(&status), "its sync covers what was written before");
    disk.set(|state| state.is_stuck = false);
    store.close();
    assert_eq!(seats_after_kill(dir.path()), 3);
}

#[test]
fn closing_syncs_what_is_written() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), Arc::new(Disk::default()));
    let mut store = EmbeddedStore::open(dir.path(), Some(disk.behind(Arc::default())), false).expect("it is ours");
    for n in 0..50 {
        write(&mut store, n).expect("it is written");
    }
    store.close();
    disk.until(|state| state.begun > 0 && state.begun == state.done);
    assert_eq!(seats_after_kill(dir.path()), 50);
}

#[test]
fn a_sync_that_fails_is_told_until_the_disk_is_well_and_then_all_is_written_again() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), Arc::new(Disk::default()));
    let status = Arc::new(StoreStatus::default());
    let (path, behind) = (dir.path().to_owned(), disk.behind(Arc::clone(&status)));
    let opener: Opener =
        Box::new(move |_| Ok(Box::new(EmbeddedStore::open(&path, Some(behind.clone()), false)?) as Box<dyn Store>));
    let mut rig = Rig::start(opener);
    rig.opened();
    rig.store(("room", "before"), Some(held("ana", 1)));
    disk.until(|state| state.done == 1);
    disk.set(|state| state.fails = true);
    rig.store(("room", "during"), Some(held("ana", 2)));
    // Nothing more is written: an idle server notices it too, and does not believe the disk before it has synced.
    rig.until("it is told again and again", |figures| {
        figures.failures > 3 && figures.error.as_ref().is_some_and(|error| error.contains("the disk is broken"))
    });
    let waiting = rig.offer(("room", "waiting"), Some(held("ana", 3)));
    disk.set(|state| state.fails = false);
    rig.committed(waiting);
    rig.until("it is well again", |figures| figures.is_connected && figures.error.is_none());
    rig.finish();
    assert_eq!(seats_after_kill(dir.path()), 3);
}

#[test]
fn a_failed_sync_is_passed_on_as_a_loss() {
    let (dir, disk, status) = (tempfile::tempdir().expect("a directory"), Arc::new(Disk::default()), Arc::default());
    let mut store = EmbeddedStore::open(dir.path(), Some(disk.behind(status)), false).expect("it is ours");
    assert_eq!(write(&mut store, 0), Ok(Continuity::Kept));
    disk.until(|state| state.done == 1);
    disk.set(|state| state.fails = true);
    assert_eq!(write(&mut store, 1), Ok(Continuity::Kept), "it is not known yet");
    disk.until(|state| state.begun == 2);
    crate::rig::until("it is noticed", || store.renew(now().wall).is_err());
    assert!(matches!(write(&mut store, 2), Err(StoreError::Away(_))), "nothing was synced since");
    disk.set(|state| state.fails = false);
    assert_eq!(store.renew(now().wall), Ok(Continuity::Lost));
    assert_eq!(write(&mut store, 2), Ok(Continuity::Kept), "a loss is passed on once");
}
