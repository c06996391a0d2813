//! What has changed since the last hand-over to the store: at most one entry a seat.
//!
//! Invariants: the last write of a seat wins; `entries` and `bytes` are those of what is in the batch, so that both can be
//! bounded. The order of rooms and seats follows from their ids alone, so that a simulation can be replayed.
//! Never here: encodings, threads, I/O.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::command::{Change, ChangeKind, Selection};
use crate::engine::ids::{RoomId, SeatId, ShardId, shard_of};
use crate::engine::time::WallMillis;
use crate::limits::STORED_WALL_MS_MAX;
use crate::limits::store::{STORE_BATCH_BYTES_MAX, STORE_BATCH_ENTRIES_MAX};
use crate::planted::{Bug, has};

use super::record::Held;

/// The changes of one room.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct RoomDelta {
    /// Whether `seats` is all there is: what the store has of the room is forgotten first.
    pub replace: bool,
    /// The seats that changed; `None` for one that is free now.
    pub seats: BTreeMap<SeatId, Option<Held>>,
}

/// Changes by room.
pub type Deltas = BTreeMap<RoomId, RoomDelta>;

/// The changes of one shard since its last hand-over.
#[derive(Default, Debug)]
pub struct Batch {
    rooms: Deltas,
    /// With a full state: every room that exists. All others of the shard are to be forgotten.
    existing: Option<BTreeSet<RoomId>>,
    entries: usize,
    bytes: usize,
}

impl Batch {
    /// Takes a change in.
    pub fn record(&mut self, change: &Change) {
        let held = match &change.kind {
            ChangeKind::Selected { at, expires_at, user_info, origin, .. } => Some(Held {
                client: change.client.clone(),
                user_info: user_info.clone(),
                at: *at,
                expires_at: expires_at.unwrap_or(WallMillis(STORED_WALL_MS_MAX)),
                seq: change.seq,
                origin: *origin,
            }),
            ChangeKind::Released { .. } => None,
        };
        if has(Bug::ForgottenRelease) && held.is_none() {
            return;
        }
        self.put(&change.room, change.seat.clone(), held);
    }

    /// The seat is held so, or free.
    pub fn put(&mut self, room: &RoomId, seat: SeatId, held: Option<Held>) {
        let cost = cost(room, &seat, held.as_ref());
        if !self.rooms.contains_key(room) {
            self.rooms.insert(room.clone(), RoomDelta::default());
        }
        let delta = self.rooms.get_mut(room).expect("it was just put in");
        if has(Bug::OlderWins) && delta.seats.contains_key(&seat) {
            return;
        }
        self.entries += 1;
        self.bytes += cost;
        let key = seat.clone();
        if let Some(before) = delta.seats.insert(seat, held) {
            self.entries -= 1;
            self.bytes -= self::cost(room, &key, before.as_ref());
        }
    }

    /// All that is held in the room.
    pub fn replace<'a>(&mut self, room: &RoomId, seq: u64, selections: impl Iterator<Item = Selection<'a>>) {
        self.forget(room);
        self.rooms.insert(room.clone(), RoomDelta { replace: true, seats: BTreeMap::new() });
        for held in selections {
            let (client, user_info) = (held.client.clone(), held.user_info.into());
            let (at, origin) = (held.at, held.origin);
            let expires_at = held.expires_at.unwrap_or(WallMillis(STORED_WALL_MS_MAX));
            self.put(room, held.seat.clone(), Some(Held { client, user_info, at, expires_at, seq, origin }));
        }
    }

    /// Begins a full state: of the shard's rooms these exist, and no others.
    pub fn begin_full(&mut self, existing: BTreeSet<RoomId>) {
        assert!(self.existing.is_none(), "a full state begins once");
        *self = Self { existing: Some(existing), ..Self::default() };
    }

    /// Takes a later batch of the same shard in.
    pub fn merge(&mut self, newer: Self) {
        if newer.existing.is_some() {
            *self = newer;
            return;
        }
        for (room, delta) in newer.rooms {
            if delta.replace {
                self.forget(&room);
                self.rooms.insert(room.clone(), RoomDelta { replace: true, seats: BTreeMap::new() });
            }
            for (seat, held) in delta.seats {
                self.put(&room, seat, held);
            }
        }
        debug_assert_eq!(self.entries, self.rooms.values().map(|delta| delta.seats.len()).sum::<usize>());
    }

    /// Whether there is nothing to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.existing.is_none()
    }

    /// Whether it has grown beyond what may wait.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.entries > STORE_BATCH_ENTRIES_MAX || self.bytes > STORE_BATCH_BYTES_MAX
    }

    /// Seats in it.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// About how much memory they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn forget(&mut self, room: &RoomId) {
        if let Some(delta) = self.rooms.remove(room) {
            self.entries -= delta.seats.len();
            self.bytes -= delta.seats.iter().map(|(seat, held)| cost(room, seat, held.as_ref())).sum::<usize>();
        }
    }
}

/// The batches of several shards, committed as one.
#[derive(Default, Debug)]
pub struct Group {
    batch: Batch,
    /// The shards whose full state begins in this group, with the rooms that exist there.
    resets: Vec<(ShardId, BTreeSet<RoomId>)>,
}

impl Group {
    /// Takes in a batch of this shard, one of `shards`. Rooms of different shards are different.
    pub fn add(&mut self, shard: ShardId, shards: usize, mut batch: Batch) {
        if let Some(existing) = batch.existing.take() {
            let gone: Vec<RoomId> =
                self.batch.rooms.keys().filter(|room| shard_of(room.as_str(), shards) == shard).cloned().collect();
            gone.iter().for_each(|room| self.batch.forget(room));
            self.resets.retain(|&(of, _)| of != shard);
            self.resets.push((shard, existing));
            debug_assert!(self.resets.len() <= shards, "a shard begins one full state");
        }
        self.batch.merge(batch);
    }

    /// Whether a full state begins here, so that [`Group::resolve`] must be told what the store has.
    #[must_use]
    pub fn has_resets(&self) -> bool {
        !self.resets.is_empty()
    }

    /// Turns the beginnings of full states into changes: what is stored of these shards and no longer exists is emptied.
    pub fn resolve(&mut self, stored: &[RoomId], shards: usize) {
        for (shard, existing) in std::mem::take(&mut self.resets) {
            if has(Bug::StrangersStay) {
                continue;
            }
            let strangers =
                stored.iter().filter(|room| shard_of(room.as_str(), shards) == shard && !existing.contains(*room));
            for room in strangers {
                self.batch.rooms.entry(room.clone()).or_default().replace = true;
            }
        }
    }

    /// The changes.
    #[must_use]
    pub fn deltas(&self) -> &Deltas {
        &self.batch.rooms
    }

    /// Seats in it.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.batch.entries
    }

    /// About how much memory they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.batch.bytes
    }

    /// Whether there is nothing to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty() && self.resets.is_empty()
    }
}

/// About what an entry takes in memory: its texts and the tree around them.
fn cost(room: &RoomId, seat: &SeatId, held: Option<&Held>) -> usize {
    const AROUND: usize = 96;
    let texts = held.map_or(0, |held| held.client.as_str().len() + held.user_info.len());
    AROUND + room.as_str().len() + seat.as_str().len() + texts
}
