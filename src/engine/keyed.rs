//! How the engine hashes: SipHash begun with a secret, so that nobody can choose ids that collide, and the same seed
//! gives the same maps in the same order. Never here: a source of randomness.

use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// Makes hashers that start with the shard's seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyed(u64);

/// A map whose order an outsider can neither predict nor provoke.
pub(super) type KeyedMap<K, V> = HashMap<K, V, Keyed>;

impl Keyed {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl BuildHasher for Keyed {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

/// A bijection of `u64` whose result shows nothing of its argument's order (`SplitMix64`'s finalizer).
pub(super) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
