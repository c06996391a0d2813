//! Halls from one seed: the second protocol with layouts that change, the best seats, tokens of the shop, and a server
//! that is killed and goes in good order. Real nodes, their gate, their batches and the real pump, real JSON both ways;
//! sockets, mail and the disk are models.
//!
//! The oracle: nobody acts for anybody whom it has not proven to be, or with a token that is over, or in a room that
//! its token is not for; no cart is lost within its grace, and none that its owner was told of by a crash; resume never
//! skips; `select_best` chooses what the contract says, found by trying everything; who goes is told so before.
//!
//! `SIM_SEED` and `SIM_SEEDS` as in `simulation`.

mod client;
mod halls;
#[cfg(debug_assertions)]
mod planted;
mod server;
mod tokens;
mod truth;
mod world;

use std::collections::BTreeMap;

use butaca::marks;

use crate::simulation::{Replay, number_from_environment};
use world::World;

/// Seeds of an ordinary run.
const SEEDS: u64 = 600;

/// What must have happened in it.
const FAULTS: &[&str] = &[
    "a client that goes",
    "a crash",
    "a drain",
    "a map that comes with another layout",
    "a night",
    "a power failure that loses something",
    "a token that runs out",
    "another layout under carts",
    "seats that were chosen",
];

type Happened = BTreeMap<&'static str, u64>;

fn run(seed: u64) -> Happened {
    let mut world = World::new(seed);
    for _ in 0..world.chance.between(60, 300) {
        world.step();
    }
    world.settle();
    let mut happened = world.into_happened();
    marks::take().into_iter().for_each(|(what, times)| *happened.entry(what).or_default() += times);
    happened
}

#[test]
fn no_seed_breaks_a_promise_of_a_hall() {
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
