//! From the command line to a run: shapes, limits, scripts, and what is written at the end.
//!
//! Invariants: everything that is wrong with the flags is said before the first socket; a population that does not fit
//! the file limit is cut down with a note. Never here: what happens during a run.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::{
    Cli, Command, Common, ContendArgs, Durability, FlowArgs, MultiArgs, OnsaleArgs, QuietArgs, SaleArgs, StormArgs,
};
use crate::limits::{FILES_BESIDE, SOURCES_MAX, THREADS_MAX};
use crate::names::{Hall, Names, fresh_tag};
use crate::num::{nanos, round};
use crate::outcome::{Outcome, Shape};
use crate::plan;
use crate::run::{Wishes, conclude, execute};
use crate::scenario::contend::Contend;
use crate::scenario::flow::{Flow, Pace, SEATS_EACH};
use crate::scenario::multi::Multi;
use crate::scenario::onsale::OnSale;
use crate::scenario::quiet::Quiet;
use crate::scenario::sale::{self, Sale};
use crate::scenario::storm::Storm;
use crate::session::{Script, Settings};
use crate::target::Target;
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
        Command::Check(args) => Ok(crate::check::run(&Target::parse(&args.place.url)?)),
        Command::Interactive(args) => {
            crate::interactive::run(&Target::parse(&args.place.url)?, &args.client_id, args.room.as_deref())
        }
        Command::Compare(args) => crate::compare::run(&args.a, &args.b),
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

/// Says whether anybody is there.
fn preflight(addr: SocketAddrV4) -> Result<(), String> {
    match crate::http::get(addr, "/health", Duration::from_secs(5)) {
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
        let target = Target::parse(&common.place.url)?;
        if room_of.len() > room_for_connections() {
            return Err(format!(
                "{} clients do not fit the limit of open files, which leaves {}",
                room_of.len(),
                room_for_connections()
            ));
        }
        preflight(target.addr)?;
        let shape = Shape {
            clients: room_of.len(),
            rooms,
            seats: hall.seats(),
            hall: [hall.blocks, hall.rows, hall.row_seats],
            threads: common.threads,
            secs,
            time_scale: 1.0,
            rate: None,
        };
        let settings = Settings {
            target: Arc::new(target),
            names: Arc::new(Names::new(&fresh_tag(common.seed), rooms, hall)),
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
            url: self.common.place.url.clone(),
            seed: self.common.seed,
            shape: self.shape,
            notes: self.notes,
            ..Outcome::default()
        };
        let (mut outcome, scripts) = conclude(ended, &settings, self.wishes, outcome);
        finish(&mut outcome, &scripts);
        print!("{}", crate::report::table::render(&outcome));
        if let Some(path) = &self.common.json {
            crate::report::json::write(path, &outcome)?;
        }
        if let Some(path) = &self.common.report {
            crate::report::html::write(path, &outcome)?;
        }
        Ok(outcome.verdict.exit_code)
    }
}

fn multi(args: &MultiArgs, command_line: &str) -> Result<u8, String> {
    at_least_one("--clients", args.clients)?;
    let seats = Hall::of(crate::num::index32(args.clients) + 1);
    let common = Common { threads: 1, ..args.common.clone() };
    let job = Job::new("multi", &common, seats, 1, vec![0; args.clients], 30.0)?;
    job.go(vec![Multi::default()], command_line, |_, scripts| {
        for (who, seen) in scripts[0].seen.iter().enumerate() {
            println!(
                "client {who:>3}: won {}, refused {}, gave back {}, pongs {}",
                seen.won, seen.refused, seen.freed, seen.pongs
            );
        }
    })
}

fn onsale(args: &OnsaleArgs, command_line: &str) -> Result<u8, String> {
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

fn quiet(scenario: &'static str, args: &QuietArgs, command_line: &str) -> Result<u8, String> {
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

fn flow(scenario: &'static str, args: &FlowArgs, command_line: &str) -> Result<u8, String> {
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

fn contend(args: &ContendArgs, command_line: &str) -> Result<u8, String> {
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

/// Hall, rooms, viewers and seconds of a sale.
fn sale_shape(scenario: &str, args: &SaleArgs) -> (Hall, usize, usize, f64) {
    let stadium = |rooms: usize| {
        let rooms = rooms.clamp(1, 100);
        Hall { blocks: crate::num::index32(100 / rooms), rows: 25, row_seats: 20 }
    };
    let rooms = args.rooms;
    match scenario {
        "arena" => {
            (Hall { blocks: 40, rows: 18, row_seats: 25 }, rooms.unwrap_or(1), args.viewers.unwrap_or(10_000), 90.0)
        }
        "flash" => {
            (Hall { blocks: 1, rows: 20, row_seats: 25 }, rooms.unwrap_or(1), args.viewers.unwrap_or(5_000), 60.0)
        }
        "stadium" => (stadium(rooms.unwrap_or(1)), rooms.unwrap_or(1), args.viewers.unwrap_or(15_000), 90.0),
        "storm" => (stadium(rooms.unwrap_or(100)), rooms.unwrap_or(100), args.viewers.unwrap_or(15_000), 60.0),
        _ => {
            let rooms = rooms.unwrap_or(2_000);
            let secs = if scenario == "soak" { 600.0 } else { 60.0 };
            (Hall { blocks: 1, rows: 10, row_seats: 15 }, rooms, args.viewers.unwrap_or(rooms * 10), secs)
        }
    }
}

fn sale(scenario: &'static str, args: &SaleArgs, storm: Option<&StormArgs>, command_line: &str) -> Result<u8, String> {
    args.model.check()?;
    if !(args.time_scale > 0.0 && args.time_scale <= 100.0) {
        return Err(format!("--time-scale {}: must be above 0 and at most 100", args.time_scale));
    }
    let (hall, mut rooms, mut viewers, usual_secs) = sale_shape(scenario, args);
    at_least_one("--rooms", rooms)?;
    at_least_one("--viewers", viewers)?;
    let (wanted, most) = (viewers, room_for_connections().saturating_sub(100));
    if viewers > most {
        rooms = (rooms * most / viewers).max(1);
        viewers = most;
    }
    let seed = args.common.seed;
    let secs = args.common.secs.unwrap_or(usual_secs * args.time_scale);
    let by_rank = matches!(scenario, "stadium" | "storm") && rooms > 1;
    let room_of = if by_rank {
        plan::rooms_by_rank(seed, viewers, rooms, args.model.zipf)
    } else {
        (0..viewers).map(|who| who % rooms).collect()
    };
    let users = plan::users(seed, &args.model, viewers, secs, args.time_scale);
    let mut job = Job::new(scenario, &args.common, hall, rooms, room_of, secs)?;
    if viewers < wanted {
        job.notes
            .push(format!("{wanted} viewers do not fit the limit of open files; {viewers} viewers in {rooms} rooms"));
    }
    job.shape.time_scale = args.time_scale;
    job.settings.late = users.iter().map(|user| user.arrives > 0.0).collect();
    let restarted = storm.is_some_and(|storm| storm.restart_cmd.is_some());
    // After a restart what nobody adopts stays for the restore grace.
    job.wishes.expect_empty = !restarted;
    job.pid.file = storm.and_then(|storm| storm.server_pid_file.clone());
    let common = Arc::new(sale::Common {
        plan: users,
        model: args.model.clone(),
        scale: args.time_scale,
        cycle: scenario == "soak",
    });
    let taste = plan::Taste::new(hall, &args.model);
    let make_storm = || {
        storm.map(|storm| {
            Storm::new(
                viewers,
                storm.back_secs * args.time_scale,
                storm.restart_cmd.clone(),
                safe_after(storm.durability),
            )
        })
    };
    let scripts: Vec<Sale> =
        (0..args.common.threads).map(|_| Sale::new(Arc::clone(&common), taste.clone(), make_storm())).collect();
    job.go(scripts, command_line, sale_figures)
}

/// How long before a crash a hold must have been acknowledged to be sure to survive it.
fn safe_after(durability: Durability) -> u64 {
    match durability {
        Durability::Memory => u64::MAX,
        // The promise is 100 ms; the rest is for the crash to become visible here.
        Durability::Window => 250_000_000,
        Durability::Durable => 0,
    }
}

fn sale_figures(outcome: &mut Outcome, scripts: &[Sale]) {
    outcome.figure("users_served", scripts.iter().map(|script| script.served).sum::<u64>() as f64);
    outcome.figure("users_gave_up", scripts.iter().map(|script| script.gave_up).sum::<u64>() as f64);
    let mut back = crate::measure::histogram();
    for script in scripts {
        back.add(&script.back_us).expect("the bounds are the same");
    }
    if !back.is_empty() {
        let dropped: u64 = scripts.iter().filter_map(|script| script.storm.as_ref()).map(|storm| storm.dropped).sum();
        outcome.figure("storm_dropped", dropped as f64);
        outcome.figure("storm_back", back.len() as f64);
        for (name, quantile) in [("storm_back_ms_p50", 0.5), ("storm_back_ms_p99", 0.99), ("storm_back_ms_max", 1.0)] {
            outcome.figure(name, crate::measure::quantile_ms(&back, quantile));
        }
    }
}
