//! The sales: their halls and crowds, and the storm.

use std::sync::Arc;

use super::{Job, at_least_one, room_for_connections};
use crate::cli::{Durability, SaleArgs, StormArgs};
use crate::names::Hall;
use crate::outcome::Outcome;
use crate::plan;
use crate::scenario::sale::{self, Sale};
use crate::scenario::storm::Storm;

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

pub(super) fn sale(
    scenario: &'static str,
    args: &SaleArgs,
    storm: Option<&StormArgs>,
    command_line: &str,
) -> Result<u8, String> {
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
        // The promise is 100 ms; the rest is for a machine that this program shares with the server.
        Durability::Window => 250_000_000,
        Durability::Durable => 0,
    }
}

fn sale_figures(outcome: &mut Outcome, scripts: &[Sale]) {
    outcome.figure("users_served", scripts.iter().map(|script| script.served).sum::<u64>() as f64);
    outcome.figure("users_gave_up", scripts.iter().map(|script| script.gave_up).sum::<u64>() as f64);
    let nearly_all = f64::from(outcome.shape.seats) * outcome.shape.rooms as f64 * 0.99;
    if let Some(point) = outcome.series.iter().find(|point| point.held as f64 >= nearly_all) {
        outcome.figure("secs_until_99_percent_held", point.t);
    }
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
