//! How long a part is without anybody who decides: after the death of a node, and in a hand-over.

use super::{LEASE_MS, NODES, PARTS, World};
use crate::simulation::Replay;
use butaca::limits::cluster::CLUSTER_HAND_OVER_MS;

/// Three nodes that have been up for a while, on a network that works: 10 ms each way.
fn settled(seed: u64) -> World {
    let mut world = World::new(seed);
    world.is_calm = true;
    (world.delay_ms, world.turn_ms) = (10, 10);
    while world.time < 5 * LEASE_MS {
        world.step();
    }
    assert!((0..PARTS).all(|part| world.deciding(part).len() == 1), "every part has its owner");
    world
}

/// The longest time that a part was without anybody, within so long.
fn longest_gap(world: &mut World, ms: u64) -> u64 {
    let end = world.time + ms;
    let mut last = [world.time; PARTS as usize];
    let mut longest = 0;
    while world.time < end {
        world.step();
        for part in 0..PARTS {
            let seen = &mut last[usize::from(part)];
            longest = longest.max(world.time - *seen);
            if world.deciding(part).len() == 1 {
                *seen = world.time;
            }
        }
    }
    longest
}

#[test]
fn the_rooms_of_a_dead_node_are_back_within_the_lease_and_a_second() {
    let gap = |seed| {
        let _replay = Replay(seed);
        let mut world = settled(seed);
        world.kill(usize::try_from(seed).expect("small") % NODES, u64::MAX);
        longest_gap(&mut world, 4 * LEASE_MS)
    };
    let longest = (0..60).map(gap).max().expect("seeds");
    println!("longest gap after a death: {longest} ms with a lease of {LEASE_MS} ms");
    assert!(longest <= LEASE_MS + 1_000, "{longest} ms");
}

#[test]
fn a_hand_over_takes_less_than_its_bound() {
    let gap = |seed| {
        let _replay = Replay(seed);
        let mut world = settled(seed);
        let index = usize::try_from(seed).expect("small") % NODES;
        world.drain(index);
        world.machines[index].leaves = false;
        let gap = longest_gap(&mut world, 2 * LEASE_MS);
        let node = world.machines[index].node.as_ref().expect("it lives");
        assert!(node.member.is_empty(), "everything is handed over");
        gap
    };
    let longest = (0..60).map(gap).max().expect("seeds");
    println!("longest gap in a hand-over: {longest} ms");
    assert!(longest <= CLUSTER_HAND_OVER_MS, "{longest} ms");
}

#[test]
fn who_has_left_after_its_hand_over_is_given_nothing_back() {
    let gap = |seed| {
        let _replay = Replay(seed);
        let mut world = settled(seed);
        let index = usize::try_from(seed).expect("small") % NODES;
        world.drain(index);
        world.machines[index].leaves = false;
        // It is gone before its next beat says that it drains, but has told who has its parts now.
        let is_empty = |world: &World| world.machines[index].node.as_ref().expect("it lives").member.is_empty();
        while !is_empty(&world) {
            world.step();
        }
        let told_all = world.time + 200;
        while world.time < told_all {
            world.step();
        }
        world.leave(index, u64::MAX);
        longest_gap(&mut world, 4 * LEASE_MS)
    };
    let longest = (0..60).map(gap).max().expect("seeds");
    println!("longest gap after a node has left: {longest} ms");
    assert!(longest <= CLUSTER_HAND_OVER_MS, "{longest} ms");
}
