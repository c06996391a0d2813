//! Forty of a kind who send as fast as the server takes it, and beside them an innocent client, somebody who asks for
//! `/health`, and an operator who ends the server.
//!
//! The waits are asserted at the full size only (`scripts/long.sh hogs`, a release build on a machine with nothing
//! else to do): they are the machine's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use std::time::Duration;

use rustix::process::Signal;

use super::attacks::Scene;
use super::cell::Cell;
use super::flooders::{FLOODS, Flood};
use super::innocent::{Innocent, Waits};
use super::{CELL_BYTES, resident, second};
use crate::harness::client::select;
use crate::harness::server::limited;
use crate::harness::wait::{now, size};
use crate::harness::{Client, Server};

/// What an innocent client waits, all but one of a hundred times.
const INNOCENT_MS: f64 = 50.0;
/// What `/health` takes, also the slowest.
const HEALTH_MS: f64 = 100.0;
/// How long the end takes after SIGTERM.
const END_MS: f64 = 5_000.0;

struct Outcome {
    name: String,
    before: Waits,
    during: Waits,
    health: Waits,
    end_ms: f64,
    peak_mib: u64,
}

impl Outcome {
    fn row(&self) -> String {
        let Self { name, before, during, health, end_ms, peak_mib } = self;
        format!("| {name} | {before} | {during} | {health} | {end_ms:.0} | {peak_mib} |")
    }

    fn faults(&self) -> Vec<String> {
        let is = [
            ("the innocent", self.during.part(99), INNOCENT_MS),
            ("/health", self.health.part(100), HEALTH_MS),
            ("the end", self.end_ms, END_MS),
        ];
        let over = is.into_iter().filter(|&(_, is, most)| is >= most);
        over.map(|(what, is, _)| format!("{}: {what} {is:.1} ms", self.name)).collect()
    }
}

/// How long `/health` takes, on a connection of its own each time, until it is over.
fn ask_health(server: &Server, is_over: &AtomicBool) -> Waits {
    let mut waits = Vec::new();
    while !is_over.load(Ordering::Acquire) {
        let began = now();
        assert_eq!(server.get("/health").status, 200);
        waits.push(u64::try_from(began.elapsed().as_micros()).expect("short"));
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Waits::of(waits)
}

fn ms_since(began: std::time::Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1_000.0
}

/// From SIGTERM until the process is no more; whoever started it has not asked yet.
fn end(server: &Server) -> f64 {
    server.signal(Signal::TERM);
    let began = now();
    let status = format!("/proc/{}/status", server.pid());
    let is_there = || std::fs::read_to_string(&status).is_ok_and(|text| !text.contains("State:\tZ"));
    while is_there() && ms_since(began) < 3.0 * END_MS {
        std::thread::park_timeout(Duration::from_millis(10));
    }
    ms_since(began)
}

/// With the bounds of rates that a server has by itself, or with none.
fn run(flood: Flood, rates: bool, cell: Option<&Cell>, full: bool) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let rate = if rates { "50" } else { "0" };
    let settings = [
        ("SHARDS", "2"),
        ("RATE_MESSAGES_PER_S", rate),
        ("DATA_DIR", folder.path().to_str().expect("plain")),
        ("MEMORY_BUDGET_BYTES", "268435456"),
    ];
    let server = Server::run(limited(&cell.map_or("true".into(), Cell::entering), &settings));
    second::stadium(&Scene { server: &server, full });
    let mut holder = Client::connect(&server, "holder");
    holder.send(&select("f", "A"));
    let innocent = Innocent::beside(&server);
    innocent.watch(if full { 500 } else { 100 });
    let before = innocent.waits();
    let (is_over, is_quiet) = (AtomicBool::new(false), AtomicBool::new(false));
    let (during, health, end_ms, peak_mib) = scope(|threads| {
        threads.spawn(|| flood.rage(&server, if full { 40 } else { 6 }, &is_over));
        let asking = threads.spawn(|| ask_health(&server, &is_quiet));
        innocent.watch(if full { 2_500 } else { 300 });
        let (during, peak) = (innocent.waits(), resident(&server));
        is_quiet.store(true, Ordering::Release);
        let health = asking.join().expect("/health is answered");
        innocent.ends();
        // A drain waits for those who do not heed it: here that is tried at the full size only.
        is_over.store(!full, Ordering::Release);
        let end_ms = end(&server);
        is_over.store(true, Ordering::Release);
        (during, health, end_ms, peak / 1024 / 1024)
    });
    let (status, log) = server.ended();
    assert!(status.success(), "{}: {status} {log}", flood.name);
    let name = format!("{}{}", flood.name, if rates { "" } else { ", no rates" });
    Outcome { name, before, during, health, end_ms, peak_mib }
}

/// One kind after the other, each with and without bounds of rates.
#[test]
fn forty_of_each_kind_alone() {
    let full = size("HOGS_FULL", 0) > 0;
    let only = size("HOGS_ONLY", usize::MAX);
    let (from, to) = (size("HOGS_FROM", 0), size("HOGS_TO", usize::MAX));
    let (mut lines, mut faults) = (Vec::new(), Vec::new());
    lines.push(
        "| flood | innocent before: p50, p99, worst (ms) | during | /health | end (ms) | resident (MiB) |".to_owned(),
    );
    lines.push("| --- | --- | --- | --- | --- | --- |".to_owned());
    for (number, &flood) in FLOODS.iter().enumerate() {
        for rates in [true, false] {
            let is_sampled = full || (!rates && number.is_multiple_of(3));
            if !is_sampled || size("HOGS_RATES", usize::from(rates)) != usize::from(rates) {
                continue;
            }
            if (only != usize::MAX && only != number) || number < from || number >= to {
                continue;
            }
            let cell = Cell::make(100 + number, CELL_BYTES);
            let outcome = run(flood, rates, cell.as_ref(), full);
            lines.push(outcome.row());
            println!("{}", outcome.row());
            faults.append(&mut outcome.faults());
        }
    }
    println!("\n{}", lines.join("\n"));
    assert!(!full || faults.is_empty(), "{faults:#?}");
}
