//! The maps, and deltas for those who come back, that a shard has encoded lately: once for all who need the same one.
//!
//! Invariants: what is found is of exactly the moment that was asked for; what nobody needs goes soon; there are few.
//! Never here: who needs one, what it says.

use std::sync::Arc;

use super::shared::Shared;
use crate::engine::ids::{Epoch, RoomId};
use crate::engine::time::Millis;
use crate::limits::{MAP_KEPT_MS, MAPS_KEPT_MAX};
use crate::planted::{Bug, has};

/// What bytes tell of a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// The whole map.
    Map,
    /// The same, packed.
    Packed,
    /// What has changed since this number.
    Since(u64),
}

#[derive(Debug)]
struct Kept {
    room: RoomId,
    at: (Epoch, u64),
    what: What,
    bytes: Arc<Shared>,
    used: Millis,
}

/// What was encoded last.
#[derive(Debug, Default)]
pub struct Maps(Vec<Kept>);

impl Maps {
    /// The one of this moment.
    pub fn find(&mut self, room: &RoomId, at: (Epoch, u64), what: What, now: Millis) -> Option<Arc<Shared>> {
        let is_at = |kept: &Kept| kept.at == at || has(Bug::MapOfAnotherMoment);
        let kept = self.0.iter_mut().find(|kept| is_at(kept) && kept.what == what && kept.room == *room)?;
        kept.used = now;
        Some(Arc::clone(&kept.bytes))
    }

    /// Keeps one for the next who needs it.
    pub fn keep(&mut self, room: &RoomId, at: (Epoch, u64), what: What, bytes: &Arc<Shared>, now: Millis) {
        // A map of before is of no use to anybody who comes now.
        self.0.retain(|kept| kept.room != *room || kept.at == at);
        if self.0.len() >= MAPS_KEPT_MAX
            && let Some(oldest) = (0..self.0.len()).min_by_key(|&index| self.0[index].used)
        {
            self.0.swap_remove(oldest);
        }
        self.0.push(Kept { room: room.clone(), at, what, bytes: Arc::clone(bytes), used: now });
    }

    /// The room has not been what was told of it.
    pub fn forget(&mut self, room: &RoomId) {
        self.0.retain(|kept| kept.room != *room);
    }

    /// Memory is short: nothing is kept for the next who needs it.
    pub fn give_back(&mut self) {
        self.0 = Vec::new();
    }

    /// Gives back what nobody has needed for a while.
    pub fn tidy(&mut self, now: Millis) {
        self.0.retain(|kept| now.since(kept.used) < MAP_KEPT_MS);
    }
}

#[cfg(test)]
mod tests {
    use super::{Maps, What};
    use crate::audience::budget::{Budget, Kind};
    use crate::audience::shared::Shared;
    use crate::engine::ids::{Epoch, RoomId};
    use crate::engine::time::Millis;
    use crate::limits::{MAP_KEPT_MS, MAPS_KEPT_MAX};

    #[test]
    fn only_the_same_moment_is_found_and_not_for_long() {
        let (mut maps, room) = (Maps::default(), RoomId::new("r").expect("a name"));
        let bytes = Shared::new(vec![1], Kind::FullStates, &Budget::default());
        let (at, now) = ((Epoch(1), 5), Millis(10));
        maps.keep(&room, at, What::Map, &bytes, now);
        maps.keep(&room, at, What::Since(3), &bytes, now);
        for (at, what, found) in [
            (at, What::Map, true),
            (at, What::Since(3), true),
            (at, What::Since(2), false),
            ((Epoch(1), 6), What::Map, false),
            ((Epoch(2), 5), What::Map, false),
        ] {
            assert_eq!(maps.find(&room, at, what, now).is_some(), found, "{at:?} {what:?}");
        }
        maps.keep(&room, (Epoch(1), 6), What::Map, &bytes, now);
        assert!(maps.find(&room, at, What::Map, now).is_none(), "a newer one takes its place");
        maps.tidy(Millis(10 + MAP_KEPT_MS));
        assert!(maps.find(&room, (Epoch(1), 6), What::Map, now).is_none());
        for number in 0..2 * MAPS_KEPT_MAX {
            let room = RoomId::new(&format!("r{number}")).expect("a name");
            maps.keep(&room, at, What::Map, &bytes, Millis(number as u64));
        }
        assert_eq!(maps.0.len(), MAPS_KEPT_MAX);
        maps.forget(&RoomId::new(&format!("r{}", 2 * MAPS_KEPT_MAX - 1)).expect("a name"));
        assert_eq!(maps.0.len(), MAPS_KEPT_MAX - 1);
    }
}
