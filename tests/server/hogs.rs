//! Hostile clients, each beside an innocent one: the server lives, its memory stays within bounds and comes back, and
//! what the innocent waits for is printed in one table.
//!
//! Each attack runs against a server of its own, in a cgroup of 512 MiB where this process may make one; where it may
//! not, the resident set is held to the same bound by the assertion alone, and the table says so. The sizes are small;
//! `scripts/long.sh hogs` asks for the full ones. Everything is bounded in number and time and stays on loopback.

mod api;
mod attacks;
mod cell;
mod crowds;
mod flooders;
mod innocent;
mod json;
mod second;
mod sockets;

use std::thread::scope;
use std::time::Duration;

use self::attacks::{ATTACKS, Attack, Scene};
use self::cell::Cell;
use self::innocent::{Innocent, Waits};
use self::sockets::Hostile;
use crate::harness::client::release;
use crate::harness::server::limited;
use crate::harness::wait::{now, size};
use crate::harness::{BOUND, Server};

/// What the server may take in all.
const CELL_BYTES: u64 = 512 * 1024 * 1024;
/// Within this time after the attack the memory is back.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// What a server that has served anything at all may keep beside a fifth of what it began with: tables that grew,
/// threads' first pages.
const KEPT_BYTES: u64 = 6 * 1024 * 1024;

/// The resident set, in bytes: before the attack, the most there was, and at the end.
struct Resident {
    before: u64,
    peak: u64,
    after: u64,
}

struct Outcome {
    name: &'static str,
    resident: Resident,
    before: Waits,
    during: Waits,
}

fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("the server lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a running process has memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1_024
}

fn run(attack: &Attack, cell: Option<&Cell>, full: bool) -> Outcome {
    let data = tempfile::tempdir().expect("a folder");
    let folder = data.path().to_str().expect("plain").to_owned();
    // The log of acts keeps what happened, within its share of the budget, for readers who come later: here it is
    // short, since what is asked is whether everything else comes back.
    let common =
        [("SHARDS", "2"), ("RATE_MESSAGES_PER_S", "0"), ("MAX_CONNECTIONS_PER_IP", "0"), ("LOG_EVENTS_MAX", "1000")];
    // Where there is no cell the budget is that of one.
    let budget = (CELL_BYTES / 2).to_string();
    let settings =
        [&common[..], attack.settings, &[("DATA_DIR", &*folder), ("MEMORY_BUDGET_BYTES", &*budget)]].concat();
    let server = Server::run(limited(&cell.map_or("true".into(), Cell::entering), &settings));
    let innocent = Innocent::beside(&server);
    innocent.watch(if full { 3_000 } else { 300 });
    let before = innocent.waits();
    let scene = Scene { server: &server, full };
    (attack.prepare)(&scene);
    let resident_before = resident(&server);
    let (mut peak, done) = (resident_before, std::sync::atomic::AtomicBool::new(false));
    scope(|threads| {
        let fight = threads.spawn(|| {
            let kept = (attack.run)(&scene);
            innocent.watch(if full { 2_000 } else { 300 });
            drop(kept);
            done.store(true, std::sync::atomic::Ordering::Release);
        });
        while !done.load(std::sync::atomic::Ordering::Acquire) && !fight.is_finished() {
            peak = peak.max(resident(&server));
            std::thread::park_timeout(Duration::from_millis(10));
        }
        fight.join().expect("the attack came to its end");
    });
    let during = innocent.waits();
    let after = back(&server, resident_before);
    innocent.ends();
    assert_eq!(server.get("/health").status, 200, "{}", attack.name);
    Outcome { name: attack.name, resident: Resident { before: resident_before, peak, after }, before, during }
}

/// The resident set as soon as it is back, or at the end of the time for that.
fn back(server: &Server, before: u64) -> u64 {
    let began = now();
    loop {
        let is = resident(server);
        if is <= before + before / 5 || began.elapsed() > BACK_WITHIN {
            return is;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

fn row(outcome: &Outcome) -> String {
    let mib = |bytes: u64| bytes / 1024 / 1024;
    let Outcome { name, resident, before, during } = outcome;
    let (peak, after) = (mib(resident.peak), mib(resident.after));
    format!("| {name} | {}, {peak}, {after} | {before} | {during} |", mib(resident.before))
}

/// One attack after the other: nobody is killed, the innocent is served to the end, and memory is back.
#[test]
fn every_attack_alone() {
    let full = size("HOGS_FULL", 0) > 0;
    let only = size("HOGS_ONLY", usize::MAX);
    let mut lines = vec![
        "| attack | resident before, peak, after (MiB) | innocent before: p50, p99, worst (ms) | during |".to_owned(),
        "| --- | --- | --- | --- |".to_owned(),
    ];
    let mut faults = Vec::new();
    for (number, attack) in ATTACKS.iter().enumerate() {
        if only != usize::MAX && only != number {
            continue;
        }
        let cell = Cell::make(number, CELL_BYTES);
        if cell.is_none() && lines.len() == 2 {
            println!("no cgroup can be made here: the bound of memory is asserted, not enforced");
        }
        let outcome = run(attack, cell.as_ref(), full);
        lines.push(row(&outcome));
        println!("{}", lines.last().expect("pushed just now"));
        let Resident { before, peak, after } = outcome.resident;
        if peak > CELL_BYTES {
            faults.push(format!("{}: a peak of {peak} bytes", attack.name));
        }
        if after > before + before / 5 + KEPT_BYTES {
            faults.push(format!("{}: {before} bytes before and {after} after", attack.name));
        }
        assert!(Duration::from_millis(outcome.during.worst_ms()) < BOUND, "{} starves the innocent", attack.name);
    }
    println!("\n{}", lines.join("\n"));
    assert!(faults.is_empty(), "{faults:#?}");
}

/// What `docs/OPERATIONS.md` says that a connection takes whose client asks and asks and never reads, in KiB.
fn documented_kib() -> u64 {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/OPERATIONS.md")).expect("the documents");
    let at = text.split("never reads takes ").nth(1).expect("it is documented");
    at.split(' ').next().and_then(|number| number.parse().ok()).expect("a number of KiB")
}

#[test]
fn a_stalled_connection_takes_what_is_documented_alone() {
    const STALLED: u64 = 100;
    let settings = [("SHARDS", "1"), ("MEMORY_BUDGET_BYTES", "4294967296"), ("RATE_MESSAGES_PER_S", "0")];
    let server = Server::start(&settings);
    // What the first connections make a server keep is not theirs.
    drop((0..STALLED).map(|number| Hostile::open(&server, &format!("first{number}"), false)).collect::<Vec<_>>());
    let (before, seat) = (resident(&server), "s".repeat(128));
    let stalled = |number| {
        let mut socket = Hostile::open(&server, &format!("stalled{number}"), true);
        (0..40).all(|_| socket.train((0..100).map(|_| release("r", &seat))));
        socket
    };
    let _stalled: Vec<Hostile> = (0..STALLED).map(stalled).collect();
    assert!(server.figure("outbound_queue_bytes") > STALLED * 200 * 1024, "they all wait");
    let each = (resident(&server) - before) / STALLED / 1024;
    println!("a stalled connection takes {each} KiB");
    let documented = documented_kib();
    assert!(each <= documented && each * 3 >= documented * 2, "{each} KiB each, documented: {documented}");
}
