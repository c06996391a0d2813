//! What the nodes share: the records of all rooms, and who owns them under which fence.

use std::collections::{BTreeMap, BTreeSet};

use butaca::engine::ids::RoomId;
use butaca::engine::time::WallMillis;
use butaca::persist::batch::Deltas;
use butaca::persist::stores::store::{Continuity, Loaded, LogShare, Store, StoreError};

/// Redis.
#[derive(Default)]
pub(crate) struct Redis {
    records: BTreeMap<(RoomId, String), Vec<u8>>,
    /// The life that owns the rooms.
    pub(crate) owner: Option<usize>,
    pub(crate) fence: u64,
}

impl Store for Redis {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded::default();
        self.records.iter().for_each(|((room, name), bytes)| loaded.take_in(room, name, bytes));
        assert_eq!(loaded.skipped, 0, "every record is read");
        Ok(loaded)
    }

    fn rooms(&mut self) -> Result<Vec<RoomId>, StoreError> {
        let rooms: BTreeSet<RoomId> = self.records.keys().map(|(room, _)| room.clone()).collect();
        Ok(rooms.into_iter().collect())
    }

    fn commit_logged(&mut self, deltas: &Deltas, _: LogShare<'_>, _: WallMillis) -> Result<Continuity, StoreError> {
        for (room, delta) in deltas {
            if delta.replace {
                self.records.retain(|(of, _), _| of != room);
            }
            for (name, bytes) in delta.records(room) {
                let key = (room.clone(), name.to_owned());
                match bytes {
                    Some(bytes) => _ = self.records.insert(key, bytes),
                    None => _ = self.records.remove(&key),
                }
            }
        }
        Ok(Continuity::Kept)
    }

    fn renew(&mut self, _: WallMillis) -> Result<Continuity, StoreError> {
        Ok(Continuity::Kept)
    }

    fn lease_ms(&self) -> u64 {
        1_000_000
    }

    fn close(&mut self) {}
}
