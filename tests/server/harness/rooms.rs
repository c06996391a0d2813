//! Rooms by their owner, and names that no other test uses.

use std::sync::atomic::{AtomicUsize, Ordering};

use butaca::engine::ids::shard_of;

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A name that begins with `prefix` and was not given away before by this process.
pub(crate) fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A room that this one of `shards` shards owns.
pub(crate) fn room_on(shard: usize, shards: usize) -> String {
    loop {
        let room = unique("room");
        if shard_of(&room, shards).index() == shard {
            return room;
        }
    }
}
