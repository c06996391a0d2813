//! `purchase`: shoppers with sockets buy through the API of the shop's backend while an operator blocks seats, and an
//! oracle compares five accounts of it: the shop's book, what the API lists, its log, the relay's sink, and every
//! shopper's map.
//!
//! What must hold: booked seats are paid orders, no seat is in two orders, nothing booked is ever free without a
//! refund, the log replayed gives the state, the sink has the log, every map is what the API says.

mod ledger;
mod log;
mod map;
mod place;
mod replay;
mod shopper;
mod sink;
mod verdict;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::cli::PurchaseArgs;
use crate::clock::now_ns;
use crate::hall::Api;
use crate::limits::VIOLATIONS_SHOWN_MAX;
use crate::names::fresh_tag;
use crate::out::say;
use crate::target::Targets;
use ledger::Ledger;
use log::Reader;
use place::Place;
use shopper::Shopper;
use sink::Sink;

/// What a thread of a shopper needs: it parses JSON and no more.
const STACK_BYTES: usize = 512 * 1024;

/// Runs the sale and says what came of it; the exit code.
///
/// # Errors
/// One line: it could not begin.
pub fn run(args: &PurchaseArgs) -> Result<u8, String> {
    let place = Place {
        targets: Targets::parse(&args.place.url)?,
        api: Api::of(&args.api, args.api_key.as_deref())?,
        room: format!("{}sale", fresh_tag(args.seed)),
        seats: args.seats,
        ledger: Mutex::new(Ledger::default()),
        faults: Mutex::default(),
        tried: AtomicUsize::new(0),
        again: AtomicUsize::new(0),
    };
    let sink = args.sink.as_deref().map(|at| listen(at, &place.room)).transpose()?;
    let begin = Reader::at_the_end(&place)?;
    place
        .api
        .ask("PUT", &format!("/v1/rooms/{}", place.room), &json!({"hold_ms": args.hold_ms}).to_string())
        .map_err(|why| format!("--api: {why}"))?;
    let began = now_ns();
    let (shoppers, followed) = sell(&place, args, &begin);
    let (states, booked) = place.settled()?;
    verdict::compare_book(&place, &booked)?;
    let followed = followed.and_then(|(mut reader, mut events)| {
        events.extend(reader.rest(&place)?);
        Ok(events)
    })?;
    let log = verdict::compare_log(&place, verdict::Told { begin, followed }, &states, &booked)?;
    say(&format!("the log has {} events", log.len()));
    if let Some(sink) = &sink {
        verdict::compare_sink(&place, sink, &log);
    }
    verdict::compare_maps(&place, shoppers, &states);
    Ok(conclude(&place, now_ns() - began))
}

/// A sink for the events of this room; where it listens is said, so that a relay can be started.
fn listen(at: &str, room: &str) -> Result<Sink, String> {
    let sink = Sink::default();
    let address = sink.listen(at, room).map_err(|error| format!("--sink {at}: {error}"))?;
    say(&format!("sink http://{address}/"));
    Ok(sink)
}

/// What somebody who follows the log got, and how far that is.
type Followed = Result<(Reader, Vec<Value>), String>;

/// The sale: shoppers, an operator, who follows the log, and what dies in between.
fn sell<'a>(place: &'a Place, args: &PurchaseArgs, begin: &Reader) -> (Vec<Shopper<'a>>, Followed) {
    let is_over = AtomicBool::new(false);
    let is_over = &is_over;
    std::thread::scope(|scope| {
        let operator = scope.spawn(|| operate(place, args.seed, is_over));
        let mut reader = begin.clone();
        let follower = scope.spawn(move || reader.follow(place, is_over, 1).map(|events| (reader, events)));
        let all = (0..args.shoppers).map(|number| {
            let shop = move || noted(place, Shopper::new(place, number, args.seed), |one| one.shop(args.orders));
            std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, shop)
        });
        let all: Vec<_> = all.map(|one| one.expect("the machine has threads for all")).collect();
        if let Some(command) = &args.restart_cmd {
            let orders = args.shoppers * args.orders;
            (1..=args.restarts).for_each(|time| restart(place, command, orders * time / (args.restarts + 1)));
        }
        let all = all.into_iter().map(|one| one.join().expect("a shopper does not panic")).collect();
        is_over.store(true, Relaxed);
        operator.join().expect("the operator does not panic");
        (all, follower.join().expect("who follows the log does not panic"))
    })
}

/// Lets a shopper do something; what goes wrong is a violation.
fn noted<'a>(
    place: &Place,
    mut one: Shopper<'a>,
    act: impl FnOnce(&mut Shopper<'a>) -> Result<(), String>,
) -> Shopper<'a> {
    if let Err(why) = act(&mut one) {
        place.fault(why);
    }
    one
}

/// Blocks seats and frees them again, as long as the sale goes on.
fn operate(place: &Place, seed: u64, is_over: &AtomicBool) {
    let mut rng = SmallRng::seed_from_u64(seed ^ 0xb10c);
    while !is_over.load(Relaxed) {
        let seats = json!([format!("s{}", rng.random_range(0..place.seats))]);
        for (path, body) in
            [("/block", json!({"seats": seats, "label": "camera"})), ("/unblock", json!({"seats": seats}))]
        {
            match place.call("POST", path, &body) {
                // Somebody has it, or it is free already.
                Ok((200 | 409, _)) => {}
                Ok((status, answer)) => place.fault(format!("POST {path} {body}: {status} {answer}")),
                Err(why) => place.fault(why),
            }
            std::thread::park_timeout(Duration::from_millis(20));
            // Some stay blocked.
            if rng.random_bool(0.2) {
                break;
            }
        }
    }
}

/// Runs the command once so many orders are tried.
fn restart(place: &Place, command: &str, orders: usize) {
    while place.tried.load(Relaxed) < orders {
        if !place.faults.lock().expect("nobody panicked").is_empty() {
            // It has failed: shoppers may have given up, and would be waited for in vain.
            return;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    say(&format!("restart: {command}"));
    match std::process::Command::new("sh").args(["-c", command]).status() {
        Ok(status) if status.success() => {}
        Ok(status) => place.fault(format!("--restart-cmd: {status}")),
        Err(error) => place.fault(format!("--restart-cmd: {error}")),
    }
}

fn conclude(place: &Place, took_ns: u64) -> u8 {
    let (ledger, faults) =
        (place.ledger.lock().expect("nobody panicked"), place.faults.lock().expect("nobody panicked"));
    let counts: Vec<String> = ledger.counts().iter().map(|(state, count)| format!("{count} {state}")).collect();
    say(&format!("{} orders in {} ms: {}", ledger.0.len(), took_ns / 1_000_000, counts.join(", ")));
    say(&format!("{} calls made again", place.again.load(Relaxed)));
    faults.iter().take(VIOLATIONS_SHOWN_MAX).for_each(|fault| say(&format!("VIOLATION: {fault}")));
    say(&format!("violations: {}", faults.len()));
    u8::from(!faults.is_empty())
}
