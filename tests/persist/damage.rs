//! Damage to the files of the embedded store: whatever it is, it is seen, nothing panics, and what precedes it is given
//! back.
//!
//! Each damage is made from a seed on a copy of a real store. `DAMAGES=n` asks for more of them, `DAMAGE_SEED=n` for
//! one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use butaca::persist::batch::Deltas;
use butaca::persist::stores::embedded::EmbeddedStore;
use butaca::persist::stores::store::{Loaded, Store, StoreError};
use tempfile::TempDir;

use crate::rig::{held, now, room, seat};

/// Damages of an ordinary run.
const DAMAGES: u64 = 1_000;
/// Damages of a store with tables, which is large.
const TABLE_DAMAGES: u64 = 8;
/// Commits of the store that is damaged.
const COMMITS: u64 = 60;

/// What is held: seat by room and name, with the number that its hold has.
type Held = BTreeMap<(String, String), u64>;

/// A store as a kill has left it, and what it had after each commit.
struct Original {
    dir: TempDir,
    /// What was held after so many commits, and how long the journal was.
    history: Vec<(Held, u64)>,
}

struct Random(u64);

impl Random {
    /// The next number (`SplitMix64`).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("it fits")
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// In memory where the system has that: a thousand stores are made, each with its syncs.
fn directory() -> TempDir {
    let in_memory = Path::new("/dev/shm");
    let found = if in_memory.is_dir() { tempfile::tempdir_in(in_memory) } else { tempfile::tempdir() };
    found.expect("a directory")
}

fn open(dir: &Path, accepts_loss: bool) -> Result<(EmbeddedStore, Loaded), StoreError> {
    let mut opened = EmbeddedStore::open(dir, None, accepts_loss);
    // A process that another test begins at this moment has the lock too, until it runs its program.
    for _ in 0..1_000 {
        if !matches!(opened, Err(StoreError::Taken(_))) {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(2));
        opened = EmbeddedStore::open(dir, None, accepts_loss);
    }
    let mut store = opened?;
    let loaded = store.load()?;
    Ok((store, loaded))
}

fn held_in(loaded: &Loaded) -> Held {
    let key =
        |hold: &butaca::persist::record::StoredHold| ((hold.room.to_string(), hold.seat.to_string()), hold.held.seq);
    loaded.holds.iter().map(key).collect()
}

fn journal(dir: &Path) -> PathBuf {
    let mut journals: Vec<PathBuf> = files(&dir.join("holds"));
    journals.retain(|path| path.extension().is_some_and(|end| end == "jnl"));
    journals.pop().expect("there is a journal")
}

/// All files, but for the lock, in an order that is always the same.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    let parts = entries.into_iter().filter(|path| !path.ends_with("butaca.lock"));
    parts.flat_map(|path| if path.is_dir() && !path.is_symlink() { files(&path) } else { vec![path] }).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("it is ours");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to)
        } else {
            _ = fs::copy(entry.path(), to).expect("it is ours")
        }
    }
}

/// A few changes: some selects, some releases, now and then a room anew.
fn changes(random: &mut Random, number: u64, held_now: &mut Held) -> Deltas {
    let mut deltas = Deltas::new();
    for _ in 0..=random.below(6) {
        let (hall, place) = (format!("hall {}", random.below(3)), format!("{}", random.below(40)));
        let delta = deltas.entry(room(&hall)).or_default();
        if random.below(12) == 0 && delta.seats.is_empty() {
            delta.replace = true;
            held_now.retain(|(of, _), _| *of != hall);
        }
        let is_held = random.below(4) > 0;
        delta.seats.insert(seat(&place), is_held.then(|| held("ana", number)));
        let key = (hall, place);
        if is_held { _ = held_now.insert(key, number) } else { _ = held_now.remove(&key) }
    }
    deltas
}

fn original(seed: u64) -> Original {
    let (live, dir) = (directory(), directory());
    // The library makes a new journal large and cuts it when it opens it again.
    drop(open(live.path(), false).expect("a new one"));
    let (mut store, _) = open(live.path(), false).expect("it is whole");
    let (mut random, mut held_now) = (Random(seed), Held::new());
    let length = || fs::metadata(journal(live.path())).expect("it is there").len();
    let mut history = vec![(held_now.clone(), length())];
    for number in 1..=COMMITS {
        let deltas = changes(&mut random, number, &mut held_now);
        store.commit(&deltas, now().wall).expect("there is room");
        history.push((held_now.clone(), length()));
    }
    copy(live.path(), dir.path());
    Original { dir, history }
}

/// What was done, and the first byte of the journal that is not as it was.
struct Done {
    what: String,
    journal_is_whole_up_to: u64,
}

/// Damages the directory in one of many ways.
fn damage(dir: &Path, random: &mut Random) -> Done {
    let all = files(dir);
    let its_journal = journal(dir);
    // Most of the bytes are in the journal, most of the files are not.
    let path = if random.below(2) == 0 { its_journal.clone() } else { all[random.below(all.len())].clone() };
    let bytes = fs::read(&path).expect("it is ours");
    let at = random.below(bytes.len().max(1));
    let mut new = bytes.clone();
    let what = match random.below(14) {
        0..=3 if !bytes.is_empty() => {
            new[at] ^= 1 << random.below(8);
            format!("a bit at {at}")
        }
        4 => {
            new.truncate(at);
            format!("cut at {at}")
        }
        5 => {
            let len = random.below(3_000);
            new.splice(..len.min(bytes.len()), random.bytes(len.min(bytes.len())));
            "noise in front".into()
        }
        6 => {
            new = b"something else altogether\n".repeat(random.below(200));
            "other text".into()
        }
        7 => {
            let end = (at + random.below(4_096)).min(bytes.len());
            new[at..end].fill(0);
            format!("zeros from {at} to {end}")
        }
        8 => {
            new.extend(random.bytes(200));
            "more at the end".into()
        }
        9 => {
            let from = random.below(bytes.len().max(1)).min(at);
            let part = bytes[from..at].to_vec();
            new.splice(at..at, part);
            format!("{from} to {at} twice")
        }
        10 => return replace(&path, &its_journal, "is missing", |path| fs::remove_file(path)),
        11 => {
            return replace(&path, &its_journal, "is a link", |path| {
                fs::remove_file(path)?;
                symlink("/proc/version", path)
            });
        }
        12 => {
            return replace(&path, &its_journal, "is a directory", |path| {
                fs::remove_file(path)?;
                fs::create_dir(path)
            });
        }
        _ => {
            let names =
                ["9.jnl", "x.jnl", "stray", ".jnl", "0.jnl", "18446744073709551615.jnl", "999999999999999999999.jnl"];
            let stranger = path.parent().expect("a directory").join(names[random.below(names.len())]);
            if !stranger.exists() {
                let len = random.below(500);
                fs::write(&stranger, random.bytes(len)).expect("it is ours");
            }
            return Done { what: format!("a stranger {}", stranger.display()), journal_is_whole_up_to: u64::MAX };
        }
    };
    let whole = bytes.iter().zip(&new).take_while(|(before, after)| before == after).count() as u64;
    fs::write(&path, new).expect("it is ours");
    let journal_is_whole_up_to = if path == its_journal { whole } else { u64::MAX };
    Done { what: format!("{}: {what}", path.display()), journal_is_whole_up_to }
}

fn replace(path: &Path, journal: &Path, what: &str, with: impl Fn(&Path) -> std::io::Result<()>) -> Done {
    with(path).expect("it is ours");
    let journal_is_whole_up_to = if path == journal { 0 } else { u64::MAX };
    Done { what: format!("{} {what}", path.display()), journal_is_whole_up_to }
}

/// What every file holds, to see whether something was changed.
fn picture(dir: &Path) -> String {
    let mut picture = String::new();
    for path in files(dir) {
        let bytes = if path.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() };
        writeln!(
            picture,
            "{} {} {:?}",
            path.display(),
            bytes.len(),
            bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>()
        )
        .expect("a String takes everything");
    }
    picture
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Outcome {
    Whole,
    SeenAndRestored,
    SeenAndNothingLeft,
    Unusable,
}

fn try_one(original: &Original, seed: u64) -> Outcome {
    let dir = directory();
    copy(original.dir.path(), dir.path());
    let mut random = Random(seed);
    let done = damage(dir.path(), &mut random);
    let before = picture(dir.path());
    let (all, _) = original.history.last().expect("there were commits");
    let what = &done.what;
    match open(dir.path(), false) {
        Ok((_, loaded)) => {
            assert_eq!(held_in(&loaded), *all, "{what}: a loss that nobody is told of");
            assert!(loaded.damage.is_none() && loaded.skipped == 0, "{what}");
            return Outcome::Whole;
        }
        Err(StoreError::Damaged(damage)) => {
            assert!(damage.text.contains("of") && !damage.text.contains('\n'), "{damage:?}")
        }
        Err(StoreError::Away(text)) => {
            assert!(what.contains("holds.check"), "{what}: {text}");
            return Outcome::Unusable;
        }
        Err(error) => panic!("{what}: {error}"),
    }
    assert_eq!(picture(dir.path()), before, "{what}: a loss that nobody has accepted changes nothing");
    let (store, loaded) = open(dir.path(), true).unwrap_or_else(|error| panic!("{what}: {error}"));
    let back = held_in(&loaded);
    let damage = loaded.damage.expect("it was refused for it");
    assert!(damage.missing >= (all.len().saturating_sub(back.len())) as u64, "{what}: {damage:?}");
    let preceding = original.history.iter().rposition(|(_, length)| *length <= done.journal_is_whole_up_to);
    let restored = original.history.iter().rposition(|(held, _)| *held == back);
    assert!(restored >= preceding, "{what}: restored is commit {restored:?}, before the damage is {preceding:?}");
    drop(store);
    let (_, again) = open(dir.path(), false).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!((held_in(&again), again.damage), (back, None), "{what}: the new store is whole");
    if restored == Some(0) { Outcome::SeenAndNothingLeft } else { Outcome::SeenAndRestored }
}

fn number(name: &str) -> Option<u64> {
    std::env::vars().find(|(known, _)| known == name).and_then(|(_, value)| value.parse().ok())
}

/// A store so large that most of it is in tables, which the library alone can read.
fn original_with_tables() -> Original {
    let (live, dir) = (directory(), directory());
    let (mut store, _) = open(live.path(), false).expect("a new one");
    let (mut all, mut number) = (Held::new(), 0);
    let tables = live.path().join("holds/keyspaces/1/tables");
    // The second round makes a table that overlaps the first one, the last commits stay in the journal.
    while fs::read_dir(&tables).expect("it is there").count() < 2 || number % 100 != 7 {
        number += 1;
        let mut deltas = Deltas::new();
        let seats = &mut deltas.entry(room("hall")).or_default().seats;
        for place in 0..100 {
            // What the first commits bring is not written again: it is in the tables alone.
            let is_once = number <= 5;
            let place = (if is_once { number * 100 + place } else { place }).to_string();
            let note = "x".repeat(if is_once { 10 } else { 4_000 });
            let mut hold = held("ana", number);
            hold.user_info = format!("{{\"note\":\"{note}\"}}").into();
            seats.insert(seat(&place), Some(hold));
            all.insert(("hall".into(), place), number);
        }
        store.commit(&deltas, now().wall).expect("there is room");
    }
    copy(live.path(), dir.path());
    Original { dir, history: vec![(Held::new(), u64::MAX), (all, u64::MAX)] }
}

#[test]
fn damage_to_tables_is_seen_too() {
    let original = original_with_tables();
    let all = &original.history[1].0;
    let mut outcomes = BTreeMap::new();
    for seed in 0..TABLE_DAMAGES {
        let _replay = Replay(seed);
        let dir = directory();
        copy(original.dir.path(), dir.path());
        let mut random = Random(seed);
        let tables = files(&dir.path().join("holds/keyspaces"));
        let path = &tables[random.below(tables.len())];
        let mut bytes = fs::read(path).expect("it is ours");
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => fs::remove_file(path).expect("it is ours"),
            1 => {
                bytes.truncate(at);
                fs::write(path, bytes).expect("it is ours");
            }
            _ => {
                bytes[at] ^= 1 << random.below(8);
                fs::write(path, bytes).expect("it is ours");
            }
        }
        let outcome = match open(dir.path(), false) {
            Ok((_, loaded)) => {
                assert_eq!(held_in(&loaded), *all, "{}: a loss that nobody is told of", path.display());
                "whole"
            }
            Err(StoreError::Damaged(_)) => {
                let (_, loaded) = open(dir.path(), true).expect("the loss is accepted");
                let back = held_in(&loaded);
                let missing = loaded.damage.expect("it was refused for it").missing;
                assert!(missing >= (all.len() - back.len()) as u64, "{}: {missing}", path.display());
                assert!(!back.is_empty(), "{}: what is in the journal is sound", path.display());
                "seen and restored"
            }
            Err(error) => panic!("{}: {error}", path.display()),
        };
        *outcomes.entry(outcome).or_insert(0) += 1;
    }
    println!("{TABLE_DAMAGES} damages of tables: {outcomes:?}");
}

#[test]
fn whatever_happens_to_the_files_is_seen_and_what_precedes_it_is_restored() {
    let original = original(4_711);
    if let Some(seed) = number("DAMAGE_SEED") {
        println!("{:?}", try_one(&original, seed));
        return;
    }
    let count = number("DAMAGES").unwrap_or(DAMAGES);
    let workers: u64 = 4;
    let outcomes = std::thread::scope(|scope| {
        let of = |worker: u64| {
            let original = &original;
            scope.spawn(move || {
                let seeds = (0..count).filter(|seed| seed % workers == worker);
                let tried = seeds.map(|seed| {
                    let _replay = Replay(seed);
                    try_one(original, seed)
                });
                tried.collect::<Vec<Outcome>>()
            })
        };
        let running: Vec<_> = (0..workers).map(of).collect();
        running.into_iter().flat_map(|worker| worker.join().expect("no seed fails")).collect::<Vec<_>>()
    });
    let mut counts = BTreeMap::new();
    outcomes.iter().for_each(|outcome| *counts.entry(*outcome).or_insert(0_u64) += 1);
    println!("{count} damages: {counts:?}");
    assert!(count < DAMAGES || counts.len() == 4, "each of the ends is met: {counts:?}");
}

/// Says how to repeat what failed.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay: DAMAGE_SEED={} cargo test --test persist whatever_happens", self.0);
        }
    }
}
