//! Rooms by their owner, and names that no other test uses.

use std::sync::atomic::{AtomicUsize, Ordering};

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A name that begins with `prefix` and was not given away before by this process.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The shard that owns a room, of so many: FNV-1a, finished by SplitMix64, and the high half of a product.
pub fn owner(room: &str, shards: usize) -> usize {
    let hash = room.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from(((hash >> 32) * shards as u64) >> 32).expect("below the number of shards")
}

/// A room that this one of `shards` shards owns.
pub fn room_on(shard: usize, shards: usize) -> String {
    loop {
        let room = unique("room");
        if owner(&room, shards) == shard {
            return room;
        }
    }
}
