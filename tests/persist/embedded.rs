//! The embedded store: what it gives back, after whichever end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use butaca::persist::batch::{Deltas, RoomDelta};
use butaca::persist::record;
use butaca::persist::stores::embedded::EmbeddedStore;
use butaca::persist::stores::store::{Store, StoreError};
use butaca::persist::thread::writer::{Opener, StoreEvent};

use crate::rig::{Rig, delta, held, now, room, seat};
use crate::small_disk::SmallDisk;

fn opener(dir: &Path) -> Opener {
    let dir = dir.to_owned();
    Box::new(move |_| Ok(Box::new(EmbeddedStore::open(&dir, None, false)?) as Box<dyn Store>))
}

fn seats(store: &mut EmbeddedStore) -> Vec<String> {
    let mut seats: Vec<_> = store.load().expect("it is there").holds.iter().map(|hold| hold.seat.to_string()).collect();
    seats.sort();
    seats
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut rig = Rig::start(opener(dir.path()));
    assert_eq!(rig.opened().holds(), 0);
    for (n, place) in [("x:y", "z"), ("x", "y:z"), ("x", "gone")].into_iter().enumerate() {
        rig.store(place, Some(held("ana", n as u64)));
    }
    rig.store(("x", "gone"), None);
    rig.finish();
    let rig = Rig::start(opener(dir.path()));
    let restored = rig.opened();
    let mut places: Vec<_> =
        restored.shards.iter().flatten().map(|hold| (hold.room.to_string(), hold.seat.to_string())).collect();
    places.sort();
    assert_eq!(places, [("x".into(), "y:z".into()), ("x:y".into(), "z".into())]);
    assert!(rig.status.may_grant(now().mono.after(1_000_000_000)), "a locked directory is not lost");
    rig.finish();
}

#[test]
fn a_replaced_room_has_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = EmbeddedStore::open(dir.path(), None, false).expect("it is ours");
    for name in ["r", "rr", "s"] {
        store.commit(&delta((name, "old"), Some(held("ana", 1))), now().wall).expect("it is there");
    }
    let seats = [(seat("new"), Some(held("ana", 1)))].into();
    let full = Deltas::from([(room("r"), RoomDelta { replace: true, seats, ..RoomDelta::default() })]);
    store.commit(&full, now().wall).expect("it is there");
    assert_eq!(self::seats(&mut store), ["new", "old", "old"]);
    assert_eq!(store.rooms().expect("it is there").len(), 3);
}

#[test]
fn a_second_server_refuses_to_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let rig = Rig::start(opener(dir.path()));
    rig.opened();
    let second = Rig::start(opener(dir.path()));
    let line = second.wait("a refusal", |event| if let StoreEvent::Refused(line) = event { Some(line) } else { None });
    assert!(line.contains(&dir.path().display().to_string()), "{line}");
    rig.finish();
}

#[test]
fn damaged_files_are_put_aside_and_never_fatal() {
    let dir = tempfile::tempdir().expect("a directory");
    {
        let mut store = EmbeddedStore::open(dir.path(), None, false).expect("it is ours");
        for n in 0..100 {
            let place = ("room", &*format!("{n}"));
            store.commit(&delta(place, Some(held("ana", n))), now().wall).expect("it is there");
        }
    }
    let mut files = Vec::new();
    files_in(&dir.path().join("holds"), &mut files);
    for file in files {
        let len = fs::metadata(&file).expect("it is there").len();
        let noise: Vec<u8> = (0..len.min(4_096)).map(|n| n.to_le_bytes()[0].wrapping_mul(31)).collect();
        fs::write(&file, noise).expect("it is ours");
    }
    assert!(matches!(EmbeddedStore::open(dir.path(), None, false), Err(StoreError::Damaged(_))));
    let mut store = EmbeddedStore::open(dir.path(), None, true).expect("a new one begins");
    assert!(store.load().expect("it is there").holds.len() < 100);
    store.commit(&delta(("room", "after"), Some(held("ana", 1))), now().wall).expect("it is there");
    assert!(seats(&mut store).contains(&"after".to_owned()));
}

fn files_in(dir: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files_in(&path, files) } else { files.push(path) }
    }
}

#[test]
fn a_full_disk_is_an_error_and_heals() {
    let Some(disk) = SmallDisk::new("6m") else { return };
    let dir = disk.path().join("data");
    let mut rig = Rig::start(opener(&dir));
    rig.opened();
    rig.store(("room", "before"), Some(held("ana", 1)));
    disk.fill(0);
    let mut during = Vec::new();
    let mut n = 0;
    while rig.figures().failures == 0 {
        n += 1;
        let mut big = held("ana", n);
        big.user_info = format!("{{\"note\":\"{}\"}}", "x".repeat(4_000)).into();
        during.push(rig.offer(("room", &format!("during {n}")), Some(big)));
        rig.until("it is committed or not", |figures| figures.changes > n || figures.failures > 0);
    }
    rig.until("the failure is named", |figures| figures.error.as_ref().is_some_and(|error| error.contains("space")));
    disk.free();
    let (shard, last) = *during.last().expect("something was offered");
    rig.committed((shard, last));
    rig.finish();
    let mut store = EmbeddedStore::open(&dir, None, false).expect("it is there");
    assert_eq!(seats(&mut store).len(), during.len() + 1);
}

#[test]
fn a_room_that_cannot_be_replaced_stays_as_it_was() {
    let Some(disk) = SmallDisk::new("6m") else { return };
    let dir = disk.path().join("data");
    let mut store = EmbeddedStore::open(&dir, None, false).expect("it is ours");
    let full = |count: u64, bytes: usize| {
        let seats = (0..count).map(|n| {
            let mut held = held("ana", n);
            held.user_info = format!("{{\"note\":\"{}\"}}", "x".repeat(bytes)).into();
            (seat(&format!("{n}")), Some(held))
        });
        Deltas::from([(room("r"), RoomDelta { replace: true, seats: seats.collect(), ..RoomDelta::default() })])
    };
    store.commit(&full(50, 10), now().wall).expect("there is room");
    disk.fill(64 << 10);
    // There is room for the removals and not for what comes in their place.
    assert!(matches!(store.commit(&full(40, 4_000), now().wall), Err(StoreError::Away(_))));
    drop(store);
    let mut store = EmbeddedStore::open(&dir, None, false).expect("it is there");
    assert_eq!(seats(&mut store).len(), 50, "what a crash at this moment would leave");
}

#[test]
fn an_impossible_directory_is_said_and_not_fatal() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let Err(StoreError::Away(text)) = EmbeddedStore::open(file.path(), None, false) else {
        panic!("a file is no directory")
    };
    assert!(text.contains("DATA_DIR"), "{text}");
}

/// Writes as the versions did that counted nothing: records under their keys, and nothing else.
fn write_uncounted(dir: &Path, names: &[&str]) {
    let db = fjall::Database::builder(dir.join("holds")).worker_threads(1).open().expect("it is ours");
    let holds = db.keyspace("holds", fjall::KeyspaceCreateOptions::default).expect("it is ours");
    for name in names {
        let mut bytes = Vec::new();
        record::encode(&room("r"), &seat(name), &held("ana", 1), &mut bytes);
        holds.insert(format!("\u{1}r{name}"), bytes).expect("there is room");
    }
}

#[test]
fn a_store_of_a_version_that_did_not_count_is_taken_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    write_uncounted(dir.path(), &["1", "2"]);
    let check = |names: &[&str]| {
        let mut store = EmbeddedStore::open(dir.path(), None, false).expect("nothing says that it is not whole");
        assert_eq!(seats(&mut store), names);
        store
    };
    let mut store = check(&["1", "2"]);
    store.commit(&delta(("r", "3"), Some(held("ana", 2))), now().wall).expect("there is room");
    store.commit(&delta(("r", "1"), None), now().wall).expect("there is room");
    drop(store);
    drop(check(&["2", "3"]));
    // That version is started once more in between.
    write_uncounted(dir.path(), &["4"]);
    let mut store = check(&["2", "3", "4"]);
    store.commit(&delta(("r", "2"), None), now().wall).expect("there is room");
    drop(store);
    drop(check(&["3", "4"]));
}

#[test]
fn what_it_makes_is_for_its_owner_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let place = dir.path().join("data");
    let mut store = EmbeddedStore::open(&place, None, false).expect("it is ours");
    store.commit(&delta(("r", "1"), Some(held("ana", 1))), now().wall).expect("there is room");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!([mode(&place), mode(&place.join("holds.check"))], [0o700, 0o600]);
    assert_eq!(mode(&place.join("butaca.lock")), 0o600);
}
