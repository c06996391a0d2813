//! What must be true when the sale is over: the shop's book, the API's lists, the log, the relay's sink and every map
//! tell the same.

use std::collections::BTreeMap;

use serde_json::Value;

use super::STACK_BYTES;
use super::log::{Reader, difference};
use super::map::States;
use super::place::Place;
use super::replay::Replay;
use super::shopper::Shopper;
use super::sink::Sink;
use crate::clock::now_ns;
use crate::limits::SHOPPER_PATIENCE_NS;
use crate::out::say;

/// The log as it was read from before the sale on, and as it was followed meanwhile.
pub(super) struct Told {
    pub(super) begin: Reader,
    pub(super) followed: Vec<Value>,
}

/// Compares the book with what the API lists, order by order and seat by seat.
pub(super) fn compare_book(place: &Place, booked: &BTreeMap<String, String>) -> Result<(), String> {
    let ledger = place.ledger.lock().expect("nobody panicked");
    ledger.judge(booked).into_iter().for_each(|fault| place.fault(fault));
    for (name, order) in &ledger.0 {
        let (status, answer) = place.call("GET", &format!("/orders/{name}"), &Value::Null)?;
        let refunded = answer["refunded"].as_array().map_or(0, Vec::len);
        if status != 200 || answer["state"] != order.state || refunded != order.refunded.len() {
            place.fault(format!("order {name} is {order:?} in the book, and the API says {status} {answer}"));
        }
    }
    Ok(())
}

/// Replays the log, and compares what it gives with the API's lists and with the book. How many events it has.
pub(super) fn compare_log(
    place: &Place,
    mut told: Told,
    states: &States,
    booked: &BTreeMap<String, String>,
) -> Result<Vec<Value>, String> {
    let log = told.begin.rest(place)?;
    difference("what was told meanwhile", &told.followed, &log).into_iter().for_each(|fault| place.fault(fault));
    let replay = Replay::of(&log);
    replay.faults.iter().for_each(|fault| place.fault(fault.clone()));
    let seats = states.keys().chain(replay.seats.keys().filter(|seat| !states.contains_key(*seat)));
    for seat in seats {
        let (mine, theirs) = (replay.seats.get(seat), states.get(seat));
        let is_same = mine.map(|seat| seat.state) == theirs.map(String::as_str);
        if !is_same || mine.and_then(|seat| seat.order.as_ref()) != booked.get(seat) {
            place.fault(format!(
                "seat {seat} is {mine:?} by the log, and the API says {theirs:?} {:?}",
                booked.get(seat)
            ));
        }
    }
    let ledger = place.ledger.lock().expect("nobody panicked");
    for (name, order) in &ledger.0 {
        let mine = replay.orders.get(name);
        if mine.is_none_or(|mine| mine.state != order.state || mine.refunded != order.refunded) {
            place.fault(format!("order {name} is {order:?} in the book and {mine:?} by the log"));
        }
    }
    if replay.orders.len() != ledger.0.len() {
        place.fault(format!("the log has {} orders, and the book {}", replay.orders.len(), ledger.0.len()));
    }
    Ok(log)
}

/// Waits until the sink has as much as the log, and compares.
pub(super) fn compare_sink(place: &Place, sink: &Sink, log: &[Value]) {
    let give_up = now_ns() + SHOPPER_PATIENCE_NS;
    while sink.len() < log.len() && now_ns() < give_up {
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    let (events, faults, repeats) = sink.account();
    faults.into_iter().chain(difference("the sink", &events, log)).for_each(|fault| place.fault(fault));
    say(&format!("the sink has {} events, {repeats} came again", events.len()));
}

/// Compares every map with what the API lists.
pub(super) fn compare_maps(place: &Place, shoppers: Vec<Shopper<'_>>, states: &States) {
    std::thread::scope(|scope| {
        for mut one in shoppers {
            let look = move || match one.agree(states) {
                Ok(None) => {}
                Ok(Some(fault)) | Err(fault) => place.fault(fault),
            };
            let spawned = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, look);
            spawned.expect("the machine has threads for all");
        }
    });
}
