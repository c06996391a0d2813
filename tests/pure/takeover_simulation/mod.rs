//! Several nodes, of which one owns the rooms, from one seed: it dies, stands still or hands over, mail is late, and
//! clients of both protocols look on from all nodes. Real nodes, their letters as bytes, their gates and batches;
//! Redis, the cluster's threads and the sockets are models.
//!
//! The oracle is every client: what it is told follows what it was told before, without a hole and never back, each
//! map is what the room was at its number, what is booked is freed by a refund only, and in the end each map is the
//! owner's. `SIM_SEED` and `SIM_SEEDS` as in `simulation`.

mod fan;
mod machine;
#[cfg(debug_assertions)]
mod planted;
mod redis;
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
    "a connection that ends while its rooms are given away",
    "a node that does not own the rooms dies",
    "a node that stands still",
    "a part that is about to be given away",
    "a part that is forgotten",
    "a part that is taken in",
    "a request that is sent again",
    "a request that its owner does not decide",
    "a request that waits until its room is shown anew",
    "something that a former owner tells",
    "a room that does not go on where it was",
    "a room that goes on where it was under another owner",
    "mail of another node that is lost",
    "somebody who returns before the rooms are served",
    "the owner dies",
    "the rooms are handed over",
];

type Happened = BTreeMap<&'static str, u64>;

fn run(seed: u64) -> Happened {
    let mut world = World::new(seed);
    for _ in 0..world.chance.between(200, 900) {
        world.step();
    }
    world.settle();
    let mut happened = world.happened;
    marks::take().into_iter().for_each(|(what, times)| *happened.entry(what).or_default() += times);
    happened
}

#[test]
fn nobody_sees_a_room_go_back() {
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
