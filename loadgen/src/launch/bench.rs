//! The scenarios that are not sales: `multi`, `onsale` and the shapes that measure one thing each.

use super::{Job, at_least_one};
use crate::cli::{Common, ContendArgs, FlowArgs, MultiArgs, OnsaleArgs, QuietArgs};
use crate::names::Hall;
use crate::num::{nanos, round};
use crate::out::say;
use crate::scenario::contend::Contend;
use crate::scenario::flow::{Flow, Pace, SEATS_EACH};
use crate::scenario::multi::Multi;
use crate::scenario::onsale::OnSale;
use crate::scenario::quiet::Quiet;

pub(super) fn multi(args: &MultiArgs, command_line: &str) -> Result<u8, String> {
    at_least_one("--clients", args.clients)?;
    let seats = Hall::of(crate::num::index32(args.clients) + 1);
    let common = Common { threads: 1, ..args.common.clone() };
    let job = Job::new("multi", &common, seats, 1, vec![0; args.clients], 30.0)?;
    job.go(vec![Multi::default()], command_line, |_, scripts| {
        for (who, seen) in scripts[0].seen.iter().enumerate() {
            say(&format!(
                "client {who:>3}: won {}, refused {}, gave back {}, pongs {}",
                seen.won, seen.refused, seen.freed, seen.pongs
            ));
        }
    })
}

pub(super) fn onsale(args: &OnsaleArgs, command_line: &str) -> Result<u8, String> {
    at_least_one("--clients", args.clients)?;
    at_least_one("--rooms", args.rooms)?;
    at_least_one("--seats", args.seats as usize)?;
    let members = (args.clients as f64 / args.rooms as f64).max(1.0);
    let rate = args.rate.unwrap_or_else(|| (args.clients as f64 / 5.0).min(200_000.0 / members).max(1.0));
    if !(rate > 0.0 && rate <= 1e7) {
        return Err(format!("--rate {rate}: must be above 0 and at most 10,000,000"));
    }
    let room_of = (0..args.clients).map(|who| who % args.rooms).collect();
    let mut job = Job::new("onsale", &args.common, Hall::of(args.seats), args.rooms, room_of, 30.0)?;
    job.shape.rate = Some(rate);
    let scripts = (0..args.common.threads).map(|thread| OnSale::new(args.common.seed, thread, rate)).collect();
    job.go(scripts, command_line, |_, _| {})
}

pub(super) fn quiet(scenario: &'static str, args: &QuietArgs, command_line: &str) -> Result<u8, String> {
    at_least_one("--conns", args.conns)?;
    at_least_one("--members", args.members)?;
    let rooms = args.conns.div_ceil(args.members);
    let room_of = (0..args.conns).map(|who| who / args.members).collect();
    let secs = if scenario == "idle" { 5.0 } else { 0.0 };
    let mut job = Job::new(scenario, &args.common, Hall::of(1), rooms, room_of, secs)?;
    // What is measured is the opening, in which a generator is busy by design.
    job.wishes.judge_busy = false;
    job.go((0..args.common.threads).map(|_| Quiet).collect(), command_line, |_, _| {})
}

pub(super) fn flow(scenario: &'static str, args: &FlowArgs, command_line: &str) -> Result<u8, String> {
    let one_room = scenario == "fanout";
    let rooms = args.rooms.unwrap_or(if one_room { 1 } else { 500 });
    let members = args.members.unwrap_or(if one_room { 1_000 } else { 20 });
    let usual = match scenario {
        "fanout" => 50,
        "closed" => 2,
        _ => members,
    };
    let selectors = args.selectors.unwrap_or(usual).min(members);
    let rate = args.rate.unwrap_or(if one_room { 100.0 } else { 1_000.0 });
    for (flag, value) in
        [("--rooms", rooms), ("--members", members), ("--selectors", selectors), ("--window", args.window)]
    {
        at_least_one(flag, value)?;
    }
    if !(rate > 0.0 && rate <= 1e7) {
        return Err(format!("--rate {rate}: must be above 0 and at most 10,000,000"));
    }
    let hall = Hall { blocks: 1, rows: crate::num::index32(selectors), row_seats: SEATS_EACH };
    let room_of = (0..rooms * members).map(|who| who / members).collect();
    let mut job = Job::new(scenario, &args.common, hall, rooms, room_of, 5.0)?;
    job.settings.warmup_ns = nanos(args.common.warmup.unwrap_or(1.0));
    let pace = if scenario == "closed" { Pace::Window(args.window) } else { Pace::Rate(rate) };
    job.shape.rate = (scenario != "closed").then_some(rate);
    let scripts = (0..args.common.threads).map(|_| Flow::new(pace, members, selectors)).collect();
    job.go(scripts, command_line, |_, _| {})
}

pub(super) fn contend(args: &ContendArgs, command_line: &str) -> Result<u8, String> {
    at_least_one("--conns", args.conns)?;
    at_least_one("--seats", args.seats as usize)?;
    let common = Common { threads: 1, ..args.common.clone() };
    let mut job = Job::new("contend", &common, Hall::of(args.seats), 1, vec![0; args.conns], 600.0)?;
    job.wishes.judge_busy = false;
    job.go(vec![Contend::new(args.seats)], command_line, |outcome, scripts| {
        let contend = &scripts[0];
        let decisions = contend.decisions.max(1) as f64;
        outcome.figure("decisions", decisions);
        outcome.figure("decisions_per_s", round(decisions / outcome.shape.secs.max(1e-3), 1));
        outcome.figure("rounds_won_once", f64::from(contend.won_once));
        outcome.figure("rounds_won_by_many", f64::from(contend.won_by_many));
        outcome.figure("rounds_won_by_nobody", f64::from(contend.won_by_nobody));
        outcome.figure("round_ms_p50", crate::measure::quantile_ms(&contend.round_us, 0.5));
        outcome.figure("round_ms_p99", crate::measure::quantile_ms(&contend.round_us, 0.99));
        if let Some(cpus) = outcome.figures.get("server_cpus").copied() {
            outcome.figure("server_cpu_ns_per_decision", round(cpus * outcome.shape.secs * 1e9 / decisions, 0));
        }
    })
}
