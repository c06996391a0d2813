//! Which embedded store: redb or fjall? Group commits with a sync, recovery of a million holds after a crash, size,
//! CPU.
//!
//! `embedded_store commits|fill|recover redb|redb-quick|fjall DIR`. `fill` ends by `abort`, so that `recover` starts
//! from what a crash leaves. Figures of the process (CPU, bytes written) come from /proc.

use std::fs;
use std::path::Path;
use std::process::abort;
use std::time::{Duration, Instant};

use redb::ReadableTable;

const HOLDS: u64 = 1_000_000;
const ROOMS: u64 = 2_000;
const TABLE: redb::TableDefinition<&[u8], &[u8]> = redb::TableDefinition::new("holds");

enum Store {
    Redb { db: redb::Database, quick: bool },
    Fjall { db: fjall::Database, holds: fjall::Keyspace },
}

impl Store {
    fn open(kind: &str, dir: &Path) -> Self {
        match kind {
            "redb" | "redb-quick" => {
                let db = redb::Database::create(dir.join("holds.redb")).expect("redb opens");
                Self::Redb { db, quick: kind == "redb-quick" }
            }
            "fjall" => {
                let db = fjall::Database::builder(dir).open().expect("fjall opens");
                let holds = db.keyspace("holds", fjall::KeyspaceCreateOptions::default).expect("a keyspace");
                Self::Fjall { db, holds }
            }
            other => panic!("no store called {other}"),
        }
    }

    /// One group, synced: a quarter removals, the rest writes, as a sale with releases and expiries has it.
    fn commit(&self, changes: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>) {
        match self {
            Self::Redb { db, quick } => {
                let mut write = db.begin_write().expect("a transaction");
                write.set_quick_repair(*quick);
                {
                    let mut table = write.open_table(TABLE).expect("a table");
                    for (key, value) in changes {
                        match value {
                            Some(value) => drop(table.insert(&key[..], &value[..]).expect("an insert")),
                            None => drop(table.remove(&key[..]).expect("a removal")),
                        }
                    }
                }
                write.commit().expect("a commit");
            }
            Self::Fjall { db, holds } => {
                let mut batch = db.batch().durability(Some(fjall::PersistMode::SyncData));
                for (key, value) in changes {
                    match value {
                        Some(value) => batch.insert(holds, key, value),
                        None => batch.remove(holds, key),
                    }
                }
                batch.commit().expect("a commit");
            }
        }
    }

    /// Reads every hold: how many, and the sum of their bytes so that nothing is optimised away.
    fn read_all(&self) -> (u64, u64) {
        let (mut count, mut bytes) = (0, 0);
        let mut take = |key: &[u8], value: &[u8]| {
            count += 1;
            bytes += (key.len() + value.len()) as u64;
        };
        match self {
            Self::Redb { db, .. } => {
                let read = redb::ReadableDatabase::begin_read(db).expect("a transaction");
                let table = read.open_table(TABLE).expect("a table");
                for entry in table.iter().expect("an iterator") {
                    let (key, value) = entry.expect("an entry");
                    take(key.value(), value.value());
                }
            }
            Self::Fjall { holds, .. } => {
                for entry in holds.iter() {
                    let (key, value) = entry.into_inner().expect("an entry");
                    take(&key, &value);
                }
            }
        }
        (count, bytes)
    }
}

/// The key of hold `i`: the room, length first, and the seat.
fn key(i: u64) -> Vec<u8> {
    let (room, seat) = (format!("show-{:06}", i % ROOMS), format!("B{}-R{}-{}", i % 97, i % 31, i / ROOMS));
    let mut key = vec![u8::try_from(room.len()).expect("short")];
    key.extend_from_slice(room.as_bytes());
    key.extend_from_slice(seat.as_bytes());
    key
}

/// 140 bytes: what a record with a small `user_info` takes.
fn value(i: u64) -> Vec<u8> {
    format!("{i:020}client-{:08}{{\"name\":\"Somebody {i:012}\",\"colour\":\"#a0b0c0\"}}{:060}", i * 7 % 100_000, i).into_bytes()
}

/// User and system time of this process in microseconds.
fn cpu_us() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("procfs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime");
    ticks * 10_000
}

fn written_bytes() -> u64 {
    let io = fs::read_to_string("/proc/self/io").expect("procfs");
    io.lines().find_map(|l| l.strip_prefix("write_bytes: ")).and_then(|n| n.parse().ok()).expect("write_bytes")
}

fn dir_bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).expect("a directory").map(|e| e.expect("an entry"));
    entries.map(|e| if e.path().is_dir() { dir_bytes(&e.path()) } else { e.metadata().map_or(0, |m| m.len()) }).sum()
}

/// Commits groups of one size for five seconds over 200,000 seats and prints a line.
fn commits(store: &Store, kind: &str, size: u64) {
    let (started, cpu, written) = (Instant::now(), cpu_us(), written_bytes());
    let (mut latencies, mut n) = (Vec::new(), 0_u64);
    while started.elapsed() < Duration::from_secs(5) {
        let group = (0..size).map(|i| {
            let hold = (n + i).wrapping_mul(2_654_435_761) % 200_000;
            (key(hold), (!(n + i).is_multiple_of(4)).then(|| value(hold)))
        });
        let at = Instant::now();
        store.commit(group);
        latencies.push(at.elapsed());
        n += size;
    }
    latencies.sort_unstable();
    let at = |q: usize| latencies[(latencies.len() - 1) * q / 100].as_micros();
    println!(
        "commits {kind} group={size} commits/s={:.0} changes/s={:.0} p50_us={} p99_us={} cpu_us/change={:.2} written/change={}",
        latencies.len() as f64 / 5.0,
        n as f64 / started.elapsed().as_secs_f64(),
        at(50),
        at(99),
        (cpu_us() - cpu) as f64 / n as f64,
        (written_bytes() - written) / n
    );
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, what, kind, dir] = args.as_slice() else { panic!("usage: embedded_store commits|fill|recover STORE DIR") };
    let dir = Path::new(dir);
    fs::create_dir_all(dir).expect("a directory");
    let (started, cpu) = (Instant::now(), cpu_us());
    let store = Store::open(kind, dir);
    let opened = started.elapsed();
    match what.as_str() {
        "commits" => [1, 64, 1_024].into_iter().for_each(|size| commits(&store, kind, size)),
        "fill" => {
            for group in 0..HOLDS.div_ceil(1_024) {
                let last = ((group + 1) * 1_024).min(HOLDS);
                store.commit((group * 1_024..last).map(|i| (key(i), Some(value(i)))));
            }
            println!("fill {kind} secs={:.2} cpu_us/change={:.2}", started.elapsed().as_secs_f64(), (cpu_us() - cpu) as f64 / HOLDS as f64);
            abort();
        }
        "recover" => {
            let (count, bytes) = store.read_all();
            println!(
                "recover {kind} holds={count} bytes={bytes} open_ms={} total_ms={} cpu_ms={} file_mb={}",
                opened.as_millis(),
                started.elapsed().as_millis(),
                (cpu_us() - cpu) / 1_000,
                dir_bytes(dir) / 1_000_000
            );
        }
        other => panic!("nothing called {other}"),
    }
}
