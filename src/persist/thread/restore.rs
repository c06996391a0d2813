//! Which of the stored holds are still true at a start.
//!
//! Invariants: a restored hold ends when it was to end, and never later than a new one would, whatever the wall clock
//! did in between; the holds of a shard come in the order in which they end, as its queue of deadlines needs them.
//! Pure: what was read and the time come in as arguments. Never here: I/O.

use crate::engine::ids::{RoomId, SeatId, shard_of};
use crate::engine::time::WallMillis;
use crate::limits::{ROOM_HOLDS_MAX, SHARD_HOLDS_MAX};
use crate::planted::{Bug, has};

use crate::persist::record::StoredHold;
use crate::persist::stores::store::{Damage, Loaded};

/// What a server starts with.
#[derive(Default, Debug)]
pub struct Restored {
    /// The holds of each shard, by the time they end.
    pub shards: Vec<Vec<StoredHold>>,
    /// Holds that were over by now, or whose records cannot be read; the store is to forget them.
    pub expired: Vec<(RoomId, SeatId)>,
    /// Holds that now end earlier than the store has it, because the wall clock was set back; the store is to learn it.
    pub shortened: Vec<StoredHold>,
    /// Records that were skipped.
    pub skipped: u64,
    /// What is missing, when that was accepted.
    pub damage: Option<Damage>,
}

impl Restored {
    /// How many holds are given back.
    #[must_use]
    pub fn holds(&self) -> usize {
        self.shards.iter().map(Vec::len).sum()
    }
}

/// Sorts out what was loaded: what is over is dropped, the rest keeps its deadline, but lives no longer than
/// `hold_ttl_ms` from now. `is_user_info` says whether a text may be sent to clients as `user_info`.
#[must_use]
pub fn sift(
    loaded: Loaded,
    now: WallMillis,
    hold_ttl_ms: u64,
    shards: usize,
    is_user_info: fn(&str) -> bool,
) -> Restored {
    let mut restored = Restored { skipped: loaded.skipped, damage: loaded.damage, ..Restored::default() };
    restored.shards.resize_with(shards, Vec::new);
    // What cannot be read was skipped, and is to be forgotten as well.
    let count = (loaded.holds.len() + loaded.unreadable.len()) as u64 + restored.skipped;
    restored.expired = loaded.unreadable;
    for mut hold in loaded.holds {
        if hold.held.expires_at <= now {
            restored.expired.push((hold.room, hold.seat));
            continue;
        }
        let place = &mut restored.shards[shard_of(hold.room.as_str(), shards).index()];
        if place.len() >= SHARD_HOLDS_MAX || !is_user_info(&hold.held.user_info) {
            restored.skipped += 1;
            continue;
        }
        let latest = now.after(hold_ttl_ms);
        let latest = if has(Bug::EternalHold) { WallMillis(u64::MAX) } else { latest };
        if hold.held.expires_at > latest {
            hold.held.expires_at = latest;
            hold.held.at = hold.held.at.min(now);
            restored.shortened.push(hold.clone());
        }
        hold.held.at = hold.held.at.min(now);
        place.push(hold);
    }
    for holds in &mut restored.shards {
        holds.sort_by_key(|hold| hold.held.expires_at);
        assert!(holds.len() <= SHARD_HOLDS_MAX, "a shard gets no more than it may own");
        debug_assert!(holds.iter().all(|hold| hold.held.expires_at > now), "what is over is not given back");
    }
    let sorted = restored.holds() as u64 + restored.expired.len() as u64 + restored.skipped;
    assert_eq!(sorted, count, "each record is given back, to be forgotten or skipped");
    assert!(restored.shortened.len() <= restored.holds(), "what is shortened is given back");
    restored
}

const _: () = assert!(ROOM_HOLDS_MAX <= SHARD_HOLDS_MAX);
