//! `purchase`: shoppers with sockets buy through the API of the shop's backend while an operator blocks seats, and an
//! oracle compares three accounts of it: the shop's book, what the API lists, and every shopper's map.
//!
//! What must hold: booked seats are paid orders, no seat is in two orders, nothing booked is ever free without a
//! refund, every map is what the API says.

mod ledger;
mod map;
mod place;
mod shopper;

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
use crate::target::Target;
use ledger::Ledger;
use place::Place;
use shopper::Shopper;

/// What a thread of a shopper needs: it parses JSON and no more.
const STACK_BYTES: usize = 512 * 1024;

/// Runs the sale and says what came of it; the exit code.
///
/// # Errors
/// One line: it could not begin.
pub fn run(args: &PurchaseArgs) -> Result<u8, String> {
    let place = Place {
        target: Target::parse(&args.place.url)?,
        api: Api::new(&args.api, args.api_key.as_deref())?,
        room: format!("{}sale", fresh_tag(args.seed)),
        seats: args.seats,
        ledger: Mutex::new(Ledger::default()),
        faults: Mutex::default(),
        tried: AtomicUsize::new(0),
        again: AtomicUsize::new(0),
    };
    match place.api.call("PUT", &format!("/v1/rooms/{}", place.room), "{\"hold_ms\":60000}") {
        Ok(answer) if answer.status < 300 => {}
        Ok(answer) => return Err(format!("--api: {} {}", answer.status, String::from_utf8_lossy(&answer.body))),
        Err(error) => return Err(format!("--api {}: {error}", args.api)),
    }
    let began = now_ns();
    let is_over = AtomicBool::new(false);
    let shoppers: Vec<Shopper> = std::thread::scope(|scope| {
        let operator = scope.spawn(|| operate(&place, args.seed, &is_over));
        let all = (0..args.shoppers).map(|number| {
            let place = &place;
            let shop = move || noted(place, Shopper::new(place, number, args.seed), |one| one.shop(args.orders));
            std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, shop)
        });
        let all: Vec<_> = all.map(|one| one.expect("the machine has threads for all")).collect();
        if let Some(command) = &args.restart_cmd {
            restart(&place, command, args.shoppers * args.orders / 2);
        }
        let all = all.into_iter().map(|one| one.join().expect("a shopper does not panic")).collect();
        is_over.store(true, Relaxed);
        operator.join().expect("the operator does not panic");
        all
    });
    compare(&place, shoppers)?;
    Ok(conclude(&place, now_ns() - began))
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

/// Runs the command once half of the orders are tried.
fn restart(place: &Place, command: &str, half: usize) {
    while place.tried.load(Relaxed) < half {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    say(&format!("restart: {command}"));
    match std::process::Command::new("sh").args(["-c", command]).status() {
        Ok(status) if status.success() => {}
        Ok(status) => place.fault(format!("--restart-cmd: {status}")),
        Err(error) => place.fault(format!("--restart-cmd: {error}")),
    }
}

/// Compares the book with what the API lists, order by order and seat by seat, and with every map.
fn compare(place: &Place, shoppers: Vec<Shopper>) -> Result<(), String> {
    let (states, booked) = place.settled()?;
    let ledger = place.ledger.lock().expect("nobody panicked");
    ledger.judge(&booked).into_iter().for_each(|fault| place.fault(fault));
    for (name, order) in &ledger.0 {
        let (status, answer) = place.call("GET", &format!("/orders/{name}"), &Value::Null)?;
        let refunded = answer["refunded"].as_array().map_or(0, Vec::len);
        if status != 200 || answer["state"] != order.state || refunded != order.refunded.len() {
            place.fault(format!("order {name} is {order:?} in the book, and the API says {status} {answer}"));
        }
    }
    std::thread::scope(|scope| {
        for mut one in shoppers {
            let states = &states;
            let look = move || match one.agree(states) {
                Ok(None) => {}
                Ok(Some(fault)) | Err(fault) => place.fault(fault),
            };
            let spawned = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, look);
            spawned.expect("the machine has threads for all");
        }
    });
    Ok(())
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
