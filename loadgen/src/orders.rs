//! `orders`: how many orders a second the API sells: checkout and booking, each durable before its answer. With
//! `--rate` it does so many calls a second instead, beside something else that is measured.
//!
//! Each seller has a connection that stays, seats that it holds, and one call at a time. Invariant: an answer that was
//! not expected ends the run. Never here: what a server does with an order.

mod seller;

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde_json::json;

use crate::cli::OrdersArgs;
use crate::clock::now_ns;
use crate::hall::Api;
use crate::measure::{histogram, quantile_ms};
use crate::names::fresh_tag;
use crate::net::epoll::Epoll;
use crate::num::{nanos, round};
use crate::out::say;
use crate::proc::threads;
use seller::{Call, Seller};

/// What was counted in the measured window.
struct Counted {
    calls: BTreeMap<Call, Histogram<u64>>,
    begins: u64,
}

/// Runs it and says what came of it; the exit code.
///
/// # Errors
/// One line: it could not begin, or an answer was not expected.
pub fn run(args: &OrdersArgs) -> Result<u8, String> {
    let api = Api::new(&args.api, args.api_key.as_deref())?;
    let tag = fresh_tag(args.seed);
    let rooms: Vec<String> = (0..args.rooms).map(|room| format!("{tag}r{room}")).collect();
    for room in &rooms {
        api.ask("PUT", &format!("/v1/rooms/{room}"), &json!({"hold_ms": 3_600_000}).to_string())?;
    }
    let mut epoll = Epoll::new().map_err(|error| error.to_string())?;
    let mut sellers = Vec::new();
    for number in 0..args.sellers {
        let seller = Seller::new(&api, &rooms[number % rooms.len()], number, args.seats)?;
        epoll.add(seller.socket(), number as u64).map_err(|error| error.to_string())?;
        sellers.push(seller);
    }
    let begins = now_ns() + nanos(args.warmup);
    let ends = begins + nanos(args.secs);
    let mut counted = Counted { calls: BTreeMap::new(), begins };
    let cpu = Cpu::begin(args.server_pid);
    sell(&mut epoll, &mut sellers, &mut counted, (args.rate, ends))?;
    conclude(args, &counted, now_ns() - begins, &cpu);
    Ok(0)
}

/// Lets all sellers sell until the end; with a rate, calls begin when they are due.
fn sell(
    epoll: &mut Epoll,
    sellers: &mut [Seller],
    counted: &mut Counted,
    (rate, ends): (Option<f64>, u64),
) -> Result<(), String> {
    let every = rate.map(|rate| nanos(1.0 / rate));
    let mut due = now_ns();
    let mut idle: Vec<usize> = (0..sellers.len()).rev().collect();
    loop {
        let now = now_ns();
        if now >= ends {
            return Ok(());
        }
        while every.is_none() || due <= now {
            let Some(next) = idle.pop() else { break };
            let asked = if every.is_some() { due } else { now };
            sellers[next].ask(asked)?;
            due += every.unwrap_or(0);
        }
        let wait = if every.is_some() && !idle.is_empty() { due.saturating_sub(now_ns()) } else { 100_000_000 };
        for index in 0..epoll.wait(wait.min(ends - now)) {
            let number = usize::try_from(epoll.ready(index).token).expect("it was an index");
            if let Some((call, asked)) = sellers[number].take()? {
                let now = now_ns();
                if asked >= counted.begins && now < ends {
                    let times = counted.calls.entry(call).or_insert_with(histogram);
                    times.saturating_record((now - asked) / 1_000);
                }
                idle.push(number);
            }
        }
    }
}

/// CPU time of the server's threads, from a moment on.
struct Cpu {
    pid: Option<u32>,
    before: BTreeMap<String, u64>,
}

impl Cpu {
    fn begin(pid: Option<u32>) -> Self {
        Self { pid, before: pid.map(threads).unwrap_or_default() }
    }

    /// Each thread that worked, in microseconds a unit of `count`.
    fn line(&self, count: u64) -> Option<String> {
        let now = threads(self.pid?);
        let per = |(name, ns): (&String, &u64)| {
            let us = (ns - self.before.get(name).unwrap_or(&0)) as f64 / 1_000.0 / count.max(1) as f64;
            (us >= 0.05).then(|| format!("{name} {}", round(us, 1)))
        };
        Some(now.iter().filter_map(per).collect::<Vec<_>>().join(", "))
    }
}

fn conclude(args: &OrdersArgs, counted: &Counted, took_ns: u64, cpu: &Cpu) {
    let count = |call| counted.calls.get(&call).map_or(0, Histogram::len);
    let orders = count(Call::Book);
    let secs = took_ns as f64 / 1e9;
    say(&format!(
        "{} sellers, {} seats an order, {} rooms, {secs:.1} s: {:.0} orders/s, {:.0} calls/s",
        args.sellers,
        args.seats,
        args.rooms,
        orders as f64 / secs,
        counted.calls.values().map(Histogram::len).sum::<u64>() as f64 / secs,
    ));
    for (call, times) in &counted.calls {
        let at = |quantile| quantile_ms(times, quantile);
        let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
        say(&format!("{}: {} times, p50 {p50} ms, p99 {p99} ms, max {max} ms", call.word(), times.len()));
    }
    if let Some(line) = cpu.line(orders) {
        // The warm-up is in it: a run is long enough for that not to matter, or has none.
        say(&format!("CPU us an order: {line}"));
    }
}
