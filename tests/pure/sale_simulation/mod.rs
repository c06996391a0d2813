//! A sale from one seed: carts by sockets, a shop that asks by the API, calls that are lost, repeated and answered
//! late, a store that fails, and crashes at every step of every order. Real nodes, their gate, their batches and the
//! real pump; sockets, mail and the disk are models.
//!
//! The oracle: a seat is booked once, and booked until somebody asks for its refund; a late booking takes no seat from
//! anybody; what the shop was told is true after every crash, of orders and of rooms; a refusal changes nothing; a seat
//! that is taken is one of the room's layout; a visitor takes none while the sale is shut; who holds a seat with the
//! first protocol is there; nothing is held for longer than it may, whatever the clock does; the log has no hole, every
//! event of it follows from those before, and after each commit it says what the store's records say; readers see what
//! the store has, and who reads too late is told.
//!
//! `SIM_SEED` and `SIM_SEEDS` as in `simulation`.

pub(crate) mod disk;
mod halls;
mod log;
#[cfg(debug_assertions)]
mod planted;
mod rooms;
pub(crate) mod server;
mod truth;
mod world;

use std::collections::BTreeMap;

use butaca::marks;

use crate::simulation::{Replay, number_from_environment};
use world::World;

/// Seeds of an ordinary run.
const SEEDS: u64 = 1_000;

/// What must have happened in it.
const FAULTS: &[&str] = &[
    "a call that is lost",
    "a call that is repeated",
    "a commit that fails",
    "a clock that is set back",
    "a clock that is set forward",
    "a commit whose answer is lost",
    "a connection that moves",
    "a crash",
    "a crash with answers under way",
    "a late booking",
    "a late booking that finds its seats lost",
    "a partial refund",
    "a power failure that loses something",
    "a reader of the log that is too late",
    "a room that gets a layout",
    "a room that is deleted",
    "a room that is made",
    "a room that keeps what it is",
    "a v1 client that pays",
    "a payment that fails",
    "an answer that comes late",
    "an answer to the backend that is withheld",
    "an order that is booked",
    "an order that runs out",
    "mail under way at a crash",
    "seats that are blocked",
    "selects that are undone",
];

type Happened = BTreeMap<&'static str, u64>;

fn run(seed: u64) -> Happened {
    let mut world = World::new(seed);
    for _ in 0..world.chance.between(60, 300) {
        world.step();
    }
    world.settle();
    let mut happened = world.happened;
    marks::take().into_iter().for_each(|(what, times)| *happened.entry(what).or_default() += times);
    happened
}

#[test]
fn no_seed_sells_a_seat_twice() {
    let (first, count) = match number_from_environment("SIM_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number_from_environment("SIM_SEEDS").unwrap_or(SEEDS)),
    };
    let mut happened = Happened::new();
    for seed in first..first + count {
        let _replay = Replay(seed);
        run(seed).into_iter().for_each(|(what, times)| *happened.entry(what).or_default() += times);
    }
    println!("{count} seeds: {happened:#?}");
    let missing: Vec<_> = FAULTS.iter().filter(|what| !happened.contains_key(*what)).collect();
    assert!(count < SEEDS || missing.is_empty(), "never happened: {missing:?}");
}
