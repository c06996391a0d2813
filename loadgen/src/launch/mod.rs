//! From the command line to a run: shapes, limits, scripts, and what is written at the end.
//!
//! Invariants: everything that is wrong with the flags is said before the first socket; a population that does not fit
//! the file limit is cut down with a note. Never here: what happens during a run.

mod bench;
mod sales;

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use bench::{contend, flow, multi, onsale, quiet};
use sales::sale;

use crate::cli::{Cli, Command, Common, Protocol};
use crate::hall::Api;
use crate::limits::{
    FILES_BESIDE, HALL_SEATS_MAX, SELLER_CART_SEATS, SELLERS_MAX, SHOPPERS_MAX, SOURCES_MAX, THREADS_MAX,
};
use crate::names::{Hall, Names, fresh_tag};
use crate::num::nanos;
use crate::out::say;
use crate::outcome::{Outcome, Shape};
use crate::run::{Wishes, conclude, execute};
use crate::session::{Script, Settings};
use crate::target::{Target, Targets};
use crate::watch::Pid;

/// Wrong usage.
pub const EXIT_USAGE: u8 = 2;

/// A run that is ready to begin.
struct Job<'a> {
    scenario: &'static str,
    common: &'a Common,
    settings: Settings,
    wishes: Wishes,
    pid: Pid,
    shape: Shape,
    notes: Vec<String>,
}

/// Carries out the command line; returns the exit code.
///
/// # Errors
/// One line about wrong usage.
pub fn launch(cli: &Cli, command_line: &str) -> Result<u8, String> {
    match &cli.command {
        Command::Check(args) => {
            let target = Target::parse(&args.place.url)?;
            preflight(target.addr)?;
            if args.protocol == Protocol::V1 {
                return Ok(crate::check::run(&target));
            }
            let api = args.api.as_ref().map(|url| Api::new(url, args.api_key.as_deref())).transpose()?;
            Ok(crate::check::second::run(&target, api))
        }
        Command::Interactive(args) => {
            crate::interactive::run(&Target::parse(&args.place.url)?, &args.client_id, args.room.as_deref())
        }
        Command::Hall(args) => {
            let hall = Hall { blocks: args.blocks, rows: args.rows, row_seats: args.row_seats };
            let seats = args.blocks.checked_mul(args.rows).and_then(|rows| rows.checked_mul(args.row_seats));
            if !seats.is_some_and(|seats| (1..=HALL_SEATS_MAX).contains(&seats)) {
                return Err(format!("hall: from 1 to {HALL_SEATS_MAX} seats"));
            }
            say(&crate::hall::plan(hall));
            Ok(0)
        }
        Command::Purchase(args) => {
            at_least_one("--shoppers", args.shoppers)?;
            at_least_one("--seats", args.seats)?;
            at_least_one("--orders", args.orders)?;
            if args.shoppers > SHOPPERS_MAX.min(room_for_connections()) {
                return Err(format!("--shoppers {}: more than threads or open files allow", args.shoppers));
            }
            Targets::parse(&args.place.url)?.iter().try_for_each(|node| preflight(node.addr))?;
            crate::purchase::run(args)
        }
        Command::Orders(args) => {
            for (flag, value) in [("--rooms", args.rooms), ("--seats", args.seats), ("--sellers", args.sellers)] {
                at_least_one(flag, value)?;
            }
            let is_too_much = args.sellers > SELLERS_MAX || args.seats > SELLER_CART_SEATS;
            if is_too_much || args.rate.is_some_and(|rate| !(0.1..=1e6).contains(&rate)) {
                return Err(format!(
                    "orders: at most {SELLERS_MAX} --sellers and {SELLER_CART_SEATS} --seats, --rate from 0.1 to 1,000,000"
                ));
            }
            crate::orders::run(args)
        }
        Command::Compare(args) => crate::compare::run(&args.a, &args.b),
        Command::Curves(args) => crate::report::curves::run(&args.from, &args.into),
        Command::Multi(args) => multi(args, command_line),
        Command::Onsale(args) => onsale(args, command_line),
        Command::Connect(args) => quiet("connect", args, command_line),
        Command::Idle(args) => quiet("idle", args, command_line),
        Command::Fanout(args) => flow("fanout", args, command_line),
        Command::Rooms(args) => flow("rooms", args, command_line),
        Command::Closed(args) => flow("closed", args, command_line),
        Command::Contend(args) => contend(args, command_line),
        Command::Multiplex(args) => sale("multiplex", args, None, command_line),
        Command::Arena(args) => sale("arena", args, None, command_line),
        Command::Stadium(args) => sale("stadium", args, None, command_line),
        Command::Flash(args) => sale("flash", args, None, command_line),
        Command::Storm(args) => sale("storm", &args.sale, Some(args), command_line),
        Command::Soak(args) => sale("soak", args, None, command_line),
    }
}

/// How long a server may say that it is starting.
const STARTING_NS: u64 = 20_000_000_000;

/// Says whether anybody is there, and waits while it is starting.
fn preflight(addr: SocketAddrV4) -> Result<(), String> {
    let give_up = crate::clock::now_ns() + STARTING_NS;
    let mut answer = crate::http::get(addr, "/health", Duration::from_secs(5));
    while matches!(&answer, Ok(answer) if answer.status == 503) && crate::clock::now_ns() < give_up {
        std::thread::park_timeout(Duration::from_millis(20));
        answer = crate::http::get(addr, "/health", Duration::from_secs(5));
    }
    match answer {
        Ok(answer) if answer.status == 200 => Ok(()),
        Ok(answer) => {
            Err(format!("{addr}: /health answers {}: {}", answer.status, String::from_utf8_lossy(&answer.body)))
        }
        Err(error) => Err(format!(
            "{addr}: no server answers there ({error}); start one, for example with `cargo run --release`, or name it with --url"
        )),
    }
}

fn check_common(common: &Common) -> Result<(), String> {
    let secs = [
        ("--secs", common.secs.unwrap_or(1.0)),
        ("--warmup", common.warmup.unwrap_or(0.0)),
        ("--drain", common.drain),
        ("--open-timeout", common.open_timeout),
    ];
    if let Some((flag, value)) = secs.iter().find(|(_, value)| !(0.0..=1e6).contains(value)) {
        return Err(format!("{flag} {value}: must be from 0 to 1,000,000 seconds"));
    }
    if !(1..=THREADS_MAX).contains(&common.threads) {
        return Err(format!("--threads {}: must be from 1 to {THREADS_MAX}", common.threads));
    }
    if !(1..=SOURCES_MAX).contains(&common.sources) {
        return Err(format!("--sources {}: must be from 1 to {SOURCES_MAX}", common.sources));
    }
    if common.inflight == 0 {
        return Err("--inflight 0: must be 1 or more".to_owned());
    }
    Ok(())
}

fn at_least_one(flag: &str, value: usize) -> Result<(), String> {
    if value == 0 { Err(format!("{flag} 0: must be 1 or more")) } else { Ok(()) }
}

/// How many connections this process can have.
fn room_for_connections() -> usize {
    let files = crate::net::socket::raise_file_limit();
    usize::try_from(files.saturating_sub(FILES_BESIDE)).unwrap_or(usize::MAX)
}

/// The names of a run; its rooms are made where that is wanted.
fn names(common: &Common, rooms: usize, hall: Hall) -> Result<Names, String> {
    let halls = &common.halls;
    let tag = halls.tag.clone().unwrap_or_else(|| fresh_tag(common.seed));
    if !tag.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) || tag.is_empty() {
        return Err(format!("--tag {tag}: lower-case letters and digits"));
    }
    let names = match &halls.layout {
        None => Names::new(&tag, rooms, hall),
        Some(file) => {
            let seats = crate::hall::seats_of(file)?;
            // What is clicked on by itself are rows of twenty, whatever the plan looks like.
            let count = crate::num::index32(seats.len());
            let row_seats = count.clamp(1, 20);
            Names::new(&tag, rooms, Hall { blocks: 1, rows: count / row_seats, row_seats }).with_seats(seats)
        }
    };
    if let Some(url) = &halls.api {
        let plan = match &halls.layout {
            Some(file) => std::fs::read_to_string(file).map_err(|error| format!("--layout: {error}"))?,
            None => crate::hall::plan(hall),
        };
        Api::new(url, halls.api_key.as_deref())?.make_rooms(&names, &format!("{tag}hall"), &plan)?;
    }
    Ok(names)
}

impl<'a> Job<'a> {
    /// A run of the population `room_of` in rooms of `hall`.
    fn new(
        scenario: &'static str,
        common: &'a Common,
        hall: Hall,
        rooms: usize,
        room_of: Vec<usize>,
        secs: f64,
    ) -> Result<Self, String> {
        check_common(common)?;
        let mut targets = Targets::parse(&common.place.url)?;
        let second = common.protocol == Protocol::V2;
        if second {
            targets = targets.second();
        }
        if room_of.len() > room_for_connections() {
            return Err(format!(
                "{} clients do not fit the limit of open files, which leaves {}",
                room_of.len(),
                room_for_connections()
            ));
        }
        targets.iter().try_for_each(|node| preflight(node.addr))?;
        let names = names(common, rooms, hall)?;
        let shape = Shape {
            clients: room_of.len(),
            rooms,
            seats: names.hall.seats(),
            hall: [names.hall.blocks, names.hall.rows, names.hall.row_seats],
            threads: common.threads,
            secs,
            time_scale: 1.0,
            rate: None,
        };
        let settings = Settings {
            targets: Arc::new(targets),
            names: Arc::new(names),
            second,
            room_of,
            threads: common.threads,
            cores: common.cores.clone(),
            inflight: common.inflight,
            sources: common.sources,
            warmup_ns: nanos(common.warmup.unwrap_or(0.0)),
            run_ns: nanos(common.secs.unwrap_or(secs)),
            drain_ns: nanos(common.drain),
            open_ns: nanos(common.open_timeout),
            server_pid: common.server_pid,
            expiry_grace_ms: common.expiry_grace_ms,
            audit: !common.no_audit,
            plain: common.plain_v1,
            late: Vec::new(),
        };
        let wishes = Wishes {
            show: !common.quiet,
            stats: !common.no_stats,
            late_ms: common.late_ms,
            judge_busy: true,
            expect_empty: true,
        };
        let pid = Pid { number: common.server_pid, file: None };
        Ok(Self { scenario, common, settings, wishes, pid, shape, notes: Vec::new() })
    }

    /// Runs it; `finish` adds what only the scenario knows.
    fn go<S: Script + Send>(
        self,
        scripts: Vec<S>,
        command_line: &str,
        finish: impl FnOnce(&mut Outcome, &[S]),
    ) -> Result<u8, String> {
        let when = crate::clock::date_text(crate::clock::wall_ms());
        let settings = Arc::new(self.settings);
        let ended =
            execute(&settings, &self.pid, scripts, self.wishes).map_err(|error| format!("could not begin: {error}"))?;
        let outcome = Outcome {
            scenario: self.scenario.to_owned(),
            command: command_line.to_owned(),
            when,
            url: self.common.place.url.join(" "),
            seed: self.common.seed,
            shape: self.shape,
            notes: self.notes,
            ..Outcome::default()
        };
        let (mut outcome, scripts) = conclude(ended, &settings, self.wishes, outcome);
        finish(&mut outcome, &scripts);
        say(&crate::report::table::render(&outcome));
        if let Some(path) = &self.common.json {
            crate::report::json::write(path, &outcome)?;
        }
        if let Some(path) = &self.common.report {
            crate::report::html::write(path, &outcome)?;
        }
        Ok(outcome.verdict.exit_code)
    }
}
