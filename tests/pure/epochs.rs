//! What the epochs tell that every client sees: nothing.
//!
//! They were once made by a bijection from a seed, which also keyed the maps. Two of them gave the seed away, and with
//! it the next epoch and ids that collide. That attack is here, with what it was made for, so that it is known to work.

use butaca::engine::command::{Caller, Effect, Effects, Input, Ticket};
use butaca::engine::ids::{ClientId, ConnId, Origin, ShardId};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{Rules, Shard};
use butaca::engine::time::Now;

/// Rooms that an attacker assumes to have been made at most.
const ROOMS_MAX: u64 = 2_000;

/// The bijection of `SplitMix64`.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn unmix(value: u64) -> u64 {
    let unshift = |value: u64, by: u32| (0..3).fold(value, |found, _| value ^ (found >> by));
    let value = unshift(value, 31).wrapping_mul(inverse(0x94d0_49bb_1331_11eb));
    let value = unshift(value, 27).wrapping_mul(inverse(0xbf58_476d_1ce4_e5b9));
    unshift(value, 30)
}

/// The inverse of an odd number modulo 2^64 (Newton).
fn inverse(odd: u64) -> u64 {
    (0..6).fold(odd, |inverse, _| inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse))))
}

/// As it was: the epoch of the room that a shard made as this one.
fn old_epoch(seed: u64, shard: u64, room_made: u64) -> u64 {
    mix(mix(seed ^ mix(shard + 1)).wrapping_add(room_made))
}

/// From one epoch of each of two shards: the seed, and how many rooms the first has made.
fn attack(first: u64, second: u64) -> Option<(u64, u64)> {
    let (first, second) = (unmix(first), unmix(second));
    (1..=ROOMS_MAX).find_map(|rooms_made| {
        let seed = unmix(first.wrapping_sub(rooms_made)) ^ mix(1);
        let others = second.wrapping_sub(mix(seed ^ mix(2)));
        (1..=ROOMS_MAX).contains(&others).then_some((seed, rooms_made))
    })
}

/// The epochs of the first rooms of a shard.
fn epochs(seed: u64, shard: usize, rooms: usize) -> Vec<u64> {
    let id = ShardId::new(shard);
    let rules = Rules { hold_ttl_ms: 1_000, seats_per_client_max: 0 };
    let mut shard = Shard::new(id, 2, Seeds::replayed(seed, id), rules);
    let client = ClientId::new("eve").expect("a valid id");
    let names = (0..).map(|n| format!("room {n}")).filter(|name| butaca::engine::ids::shard_of(name, 2) == id);
    let mut effects = Effects::new();
    for (n, room) in names.take(rooms).enumerate() {
        let caller = Caller {
            conn: ConnId::new(id, u32::try_from(n).expect("few"), 0),
            client: &client,
            origin: Origin::UNKNOWN,
            ticket: Ticket::default(),
            identity: None,
        };
        shard.handle(Now::default(), Input::Join { caller, room: &room }, &mut effects);
    }
    let of = |effect: &Effect| if let Effect::Joined { epoch, .. } = effect { epoch.0 } else { panic!("{effect:?}") };
    effects.iter().map(of).collect()
}

#[test]
fn two_epochs_tell_nothing() {
    let seed = 0x0123_4567_89ab_cdef;
    let seen = (old_epoch(seed, 0, 302), old_epoch(seed, 1, 77));
    assert_eq!(attack(seen.0, seen.1), Some((seed, 302)), "the attack works on what it was made for");
    assert_eq!(mix(unmix(seed)), seed);
    for seed in 0..20 {
        let (first, second) = (epochs(seed, 0, 300), epochs(seed, 1, 60));
        assert_eq!(attack(first[299], second[59]), None, "seed {seed}");
        // Neighbours are no further apart or nearer than chance has it, before and after the bijection is undone.
        for (of, what) in [(mix as fn(u64) -> u64, "mixed"), (unmix, "unmixed"), (|epoch| epoch, "as they are")] {
            let near = |pair: &[u64]| of(pair[1]).wrapping_sub(of(pair[0])).wrapping_add(1 << 32) < 1 << 33;
            assert_eq!(first.windows(2).filter(|pair| near(pair)).count(), 0, "{what}, seed {seed}");
        }
    }
}

#[test]
fn shards_and_starts_have_epochs_of_their_own() {
    let mut all: Vec<u64> = (0..20).flat_map(|seed| [epochs(seed, 0, 100), epochs(seed, 1, 100)].concat()).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}
