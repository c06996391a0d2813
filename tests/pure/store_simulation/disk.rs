//! A store that fails in every way that a real one can: not at all, after the fact, in part, twice, and by losing
//! things. What it has written survives the end of a server, what it has synced a power failure too.

use std::collections::{BTreeMap, BTreeSet};

use butaca::engine::ids::{RoomId, SeatId};
use butaca::engine::time::{Millis, WallMillis};
use butaca::persist::batch::Deltas;
use butaca::persist::record::{Held, StoredHold};
use butaca::persist::stores::store::{Continuity, Loaded, LogShare, Store, StoreError};

/// What the next commit does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    Well,
    /// Nothing happens, and it says so.
    Fails,
    /// It happens, and the answer is lost.
    AnswerLost,
    /// Only the first rooms are written, and it fails.
    Partial,
    /// Everything it had is lost before the commit, which it notices.
    Loses,
    /// The same, and the answer that says so is lost.
    LosesUnheard,
}

type Place = (RoomId, SeatId);

pub(crate) struct Disk {
    /// What is written.
    pub(crate) holds: BTreeMap<Place, Held>,
    /// What is synced, and the seats that were written since.
    synced: BTreeMap<Place, Held>,
    pub(crate) unsynced: BTreeSet<Place>,
    /// Whether a commit is synced before it returns.
    syncs_first: bool,
    pub(crate) mood: Mood,
    /// The token of the newest writer, and until when no other can take its place.
    pub(crate) newest: u64,
    pub(crate) lease_ends: Millis,
    /// Whether a loss is still to be heard of.
    pub(crate) is_lost: bool,
}

impl Disk {
    pub(crate) fn new(lease_ends: Millis, syncs_first: bool) -> Self {
        Self {
            holds: BTreeMap::new(),
            synced: BTreeMap::new(),
            unsynced: BTreeSet::new(),
            syncs_first,
            mood: Mood::Well,
            newest: 1,
            lease_ends,
            is_lost: false,
        }
    }

    pub(crate) fn sync(&mut self) {
        self.synced.clone_from(&self.holds);
        self.unsynced.clear();
    }

    pub(crate) fn lose_power(&mut self) {
        self.holds.clone_from(&self.synced);
    }
}

/// For how long a writer has the lease.
pub(crate) const LEASE_MS: u64 = 1_500;

/// The disk as one server sees it.
pub(crate) struct Access<'a> {
    pub(crate) disk: &'a mut Disk,
    pub(crate) token: u64,
}

impl Access<'_> {
    fn check(&self) -> Result<(), StoreError> {
        if self.token < self.disk.newest { Err(StoreError::Deposed("deposed".into())) } else { Ok(()) }
    }

    fn apply(&mut self, deltas: &Deltas, rooms_max: usize) {
        for (room, delta) in deltas.iter().take(rooms_max) {
            if delta.replace {
                let gone = self.disk.holds.extract_if(.., |(of, _), _| of == room);
                self.disk.unsynced.extend(gone.map(|(place, _)| place));
            }
            for (seat, held) in &delta.seats {
                let key = (room.clone(), seat.clone());
                self.disk.unsynced.insert(key.clone());
                match held {
                    Some(held) => _ = self.disk.holds.insert(key, held.clone()),
                    None => _ = self.disk.holds.remove(&key),
                }
            }
        }
    }
}

impl Store for Access<'_>
where
    Self: Send,
{
    fn load(&mut self) -> Result<Loaded, StoreError> {
        // A start syncs what it finds.
        self.disk.sync();
        let holds = self.disk.holds.iter();
        let holds =
            holds.map(|((room, seat), held)| StoredHold { room: room.clone(), seat: seat.clone(), held: held.clone() });
        Ok(Loaded { holds: holds.collect(), ..Loaded::default() })
    }

    fn rooms(&mut self) -> Result<Vec<RoomId>, StoreError> {
        self.check()?;
        let mut rooms: Vec<RoomId> = self.disk.holds.keys().map(|(room, _)| room.clone()).collect();
        rooms.dedup();
        Ok(rooms)
    }

    fn commit_logged(&mut self, deltas: &Deltas, _: LogShare<'_>, _: WallMillis) -> Result<Continuity, StoreError> {
        self.check()?;
        let away = || Err(StoreError::Away("a fault".into()));
        match self.disk.mood {
            Mood::Well => self.apply(deltas, usize::MAX),
            Mood::Fails => return away(),
            Mood::AnswerLost => {
                self.apply(deltas, usize::MAX);
                return away();
            }
            Mood::Partial => {
                self.apply(deltas, deltas.len() / 2);
                return away();
            }
            Mood::Loses | Mood::LosesUnheard => {
                self.disk.unsynced.extend(std::mem::take(&mut self.disk.holds).into_keys());
                self.disk.is_lost = true;
                self.apply(deltas, usize::MAX);
                if self.disk.mood == Mood::LosesUnheard {
                    return away();
                }
            }
        }
        if self.disk.syncs_first {
            self.disk.sync();
        }
        Ok(if std::mem::take(&mut self.disk.is_lost) { Continuity::Lost } else { Continuity::Kept })
    }

    fn renew(&mut self, _: WallMillis) -> Result<Continuity, StoreError> {
        self.check().map(|()| Continuity::Kept)
    }

    fn lease_ms(&self) -> u64 {
        LEASE_MS
    }

    fn close(&mut self) {}
}
