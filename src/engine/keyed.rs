//! How the engine hashes: SipHash-1-3 with a secret key. Nobody can choose ids that collide, and the same seed gives
//! the same maps in the same order with every toolchain. Never here: a source of randomness.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;

use super::ids::{Epoch, ShardId};

/// The secrets of one shard. They are independent, so that what is told of one says nothing about the others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seeds {
    /// Key of the maps whose keys are ids that clients choose.
    pub ids: [u64; 2],
    /// Key of the maps of connections.
    pub connections: [u64; 2],
    /// Key that makes epochs, which clients see.
    pub epochs: [u64; 2],
}

impl Seeds {
    /// The seeds of one shard in a run that can be replayed from one number: for simulations and benchmarks. A server
    /// takes each from the system's randomness.
    #[must_use]
    pub fn replayed(seed: u64, shard: ShardId) -> Self {
        let keyed = Keyed::new([seed, shard.index() as u64]);
        let key = |at: u64| [keyed.number(at), keyed.number(at + 1)];
        Self { ids: key(0), connections: key(2), epochs: key(4) }
    }
}

impl fmt::Debug for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seeds(secret)")
    }
}

/// Makes hashers with one of the shard's keys.
#[derive(Clone, Copy)]
pub(super) struct Keyed([u64; 2]);

/// A map whose order an outsider can neither predict nor provoke.
pub(super) type KeyedMap<K, V> = HashMap<K, V, Keyed>;

impl Keyed {
    pub(super) fn new(key: [u64; 2]) -> Self {
        Self(key)
    }

    /// The epoch of the room that was made as this one of its shard. Two epochs are alike by accident only, and nobody
    /// without the key can tell the next one, or the key, from all that were seen.
    pub(super) fn epoch(self, room_made: u64) -> Epoch {
        Epoch(self.number(room_made))
    }

    fn number(self, at: u64) -> u64 {
        let mut hasher = self.build_hasher();
        hasher.write_u64(at);
        hasher.finish()
    }
}

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0[0], self.0[1])
    }
}

/// Finds things in numbered slots by names that the things themselves have: five bytes a place, where a map would keep
/// each name a second time.
#[derive(Debug)]
pub(super) struct Index {
    keyed: Keyed,
    slots: HashTable<u32>,
}

impl Index {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { keyed, slots: HashTable::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// All slots, in an order that follows from the history and the key.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        self.slots.iter().copied()
    }

    /// The slot of what has this name, as `is_its` says.
    pub(super) fn find(&self, name: &impl Hash, is_its: impl Fn(u32) -> bool) -> Option<u32> {
        self.slots.find(self.keyed.hash_one(name), |&slot| is_its(slot)).copied()
    }

    /// Takes in what has a name that nothing else has.
    pub(super) fn insert<'n, N: Hash + 'n>(&mut self, name: &N, slot: u32, name_of: impl Fn(u32) -> &'n N) {
        let keyed = self.keyed;
        self.slots.insert_unique(keyed.hash_one(name), slot, |&slot| keyed.hash_one(name_of(slot)));
    }

    /// Takes out what has this name and slot.
    pub(super) fn remove(&mut self, name: &impl Hash, slot: u32) {
        let entry = self.slots.find_entry(self.keyed.hash_one(name), |&of| of == slot);
        _ = entry.expect("it is known by its name").remove();
    }
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed(secret)")
    }
}
