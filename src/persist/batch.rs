//! What has changed since the last hand-over to the store: at most one entry a seat.
//!
//! Invariants: the last write of a seat wins; `entries` and `bytes` are those of what is in the batch, so that both can
//! be bounded. The order of rooms and seats follows from their ids alone, so that a simulation can be replayed.
//! Never here: encodings, threads, I/O.

use std::collections::{BTreeMap, BTreeSet};

use crate::acts::event::Event;
use crate::engine::command::{Change, ChangeKind, Claim, Kept, KeptEntry, OrderState, Selection};
use crate::engine::ids::{RoomId, SeatId, ShardId, shard_of};
use crate::limits::store::{STORE_BATCH_BYTES_MAX, STORE_BATCH_ENTRIES_MAX};
use crate::planted::{Bug, has};

use super::record::{self, Held, NEVER, beside};

/// The changes of one room.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct RoomDelta {
    /// Whether `seats` is all there is: what the store has of the room is forgotten first.
    pub replace: bool,
    /// The seats that changed; `None` for one that is free now.
    pub seats: BTreeMap<SeatId, Option<Held>>,
    /// What changed beside them, by the name of its record; `None` for what is not there any more.
    pub beside: BTreeMap<String, Option<KeptEntry>>,
}

impl RoomDelta {
    /// How many records it writes or removes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seats.len() + self.beside.len()
    }

    /// Whether it writes and removes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it writes or removes the record of this name.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        if beside::is_name(name) { self.beside.contains_key(name) } else { self.seats.contains_key(name) }
    }

    /// Whether something in it does not end by itself within the life of a hold.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        let is_cart = |entry: &KeptEntry| matches!(entry, KeptEntry::Cart(..));
        self.beside.values().flatten().any(|entry| !is_cart(entry))
            || self.seats.values().flatten().any(Held::is_lasting)
    }

    /// The records to write, by name, and those to remove.
    pub fn records<'a>(&'a self, room: &'a RoomId) -> impl Iterator<Item = (&'a str, Option<Vec<u8>>)> {
        let seats = self.seats.iter().map(move |(seat, held)| {
            let bytes = held.as_ref().map(|held| {
                let mut bytes = Vec::new();
                record::encode(room, seat, held, &mut bytes);
                bytes
            });
            (seat.as_str(), bytes)
        });
        let beside = self.beside.iter().map(move |(name, entry)| {
            let bytes = entry.as_ref().map(|entry| {
                let mut bytes = Vec::new();
                beside::encode(room, name, entry, &mut bytes);
                bytes
            });
            (name.as_str(), bytes)
        });
        seats.chain(beside)
    }
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
    /// What of the log is to be in the same commit.
    log: Logged,
    /// Whether an answer to the backend waits for it.
    is_awaited: bool,
}

/// Events on their way to the log.
#[derive(Default, Debug)]
pub struct Logged {
    /// In their order.
    pub events: Vec<Event>,
    /// Some before them are missing.
    pub has_gap: bool,
}

impl Logged {
    /// Whether the log is as it was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && !self.has_gap
    }

    /// These come behind.
    pub fn merge(&mut self, newer: Self) {
        self.events.extend(newer.events);
        self.has_gap |= newer.has_gap;
    }
}

/// What the planted defect forgets.
fn is_booked(entry: &KeptEntry) -> bool {
    matches!(entry, KeptEntry::Order(_, Some(order)) if order.state == OrderState::Booked)
}

impl Batch {
    /// These events are to be in one commit with the changes.
    pub fn log(&mut self, events: Logged) {
        self.log.merge(events);
    }

    /// An answer to the backend waits for it: it is not gathered for, and synced before it counts as committed.
    pub fn expect(&mut self) {
        self.is_awaited = true;
    }

    /// Whether one does.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.is_awaited
    }

    /// Takes the events out.
    pub fn take_log(&mut self) -> Logged {
        std::mem::take(&mut self.log)
    }

    /// Takes a change in.
    pub fn record(&mut self, change: &Change) {
        let held = match &change.kind {
            ChangeKind::Selected { status, at, expires_at, user_info, origin, claim, .. } => Some(Held {
                status: *status,
                claim: claim.as_deref().cloned(),
                client: change.client.clone(),
                user_info: user_info.clone(),
                at: *at,
                expires_at: expires_at.unwrap_or(NEVER),
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

    /// Takes in what changed beside the seats.
    pub fn keep(&mut self, kept: &Kept) {
        if has(Bug::BookingNotKept) && is_booked(&kept.entry) {
            return;
        }
        if has(Bug::DeletedOrderStays) && matches!(kept.entry, KeptEntry::Order(_, None))
            || has(Bug::SettingsNotKept) && matches!(kept.entry, KeptEntry::Settings(Some(_)))
        {
            return;
        }
        let name = beside::name(&kept.entry);
        let is_there = match &kept.entry {
            KeptEntry::Cart(_, cart) => cart.is_some(),
            KeptEntry::Order(_, order) => order.is_some(),
            KeptEntry::Settings(settings) => settings.is_some(),
            KeptEntry::Events(n) => n.is_some(),
        };
        self.put_beside(&kept.room, name, is_there.then(|| kept.entry.clone()));
    }

    fn put_beside(&mut self, room: &RoomId, name: String, entry: Option<KeptEntry>) {
        let delta = self.rooms.entry(room.clone()).or_default();
        self.entries += 1;
        self.bytes += cost_beside(room, &name, entry.as_ref());
        if let Some(before) = delta.beside.insert(name.clone(), entry) {
            self.entries -= 1;
            self.bytes -= cost_beside(room, &name, before.as_ref());
        }
    }

    /// All that there is of the room: seats, each with by what right it is somebody's, and what is kept beside them.
    pub fn replace<'a>(
        &mut self,
        room: &RoomId,
        seq: u64,
        seats: impl Iterator<Item = (Selection<'a>, Option<Claim>)>,
        beside: impl Iterator<Item = Kept>,
    ) {
        self.forget(room);
        self.rooms.insert(room.clone(), RoomDelta { replace: true, ..RoomDelta::default() });
        for (held, claim) in seats {
            let (client, user_info) = (held.client.clone(), held.user_info.into());
            let (at, origin) = (held.at, held.origin);
            let (status, expires_at) = (held.status, held.expires_at.unwrap_or(NEVER));
            let held_as = Held { status, claim, client, user_info, at, expires_at, seq, origin };
            self.put(room, held.seat.clone(), Some(held_as));
        }
        beside.for_each(|kept| self.keep(&kept));
    }

    /// Begins a full state: of the shard's rooms these exist, and no others.
    pub fn begin_full(&mut self, existing: BTreeSet<RoomId>) {
        assert!(self.existing.is_none(), "a full state begins once");
        let is_awaited = self.is_awaited;
        *self = Self { existing: Some(existing), log: self.take_log(), is_awaited, ..Self::default() };
    }

    /// Takes a later batch of the same shard in.
    pub fn merge(&mut self, mut newer: Self) {
        self.log.merge(newer.take_log());
        newer.is_awaited |= self.is_awaited;
        self.is_awaited = newer.is_awaited;
        if newer.existing.is_some() {
            newer.log = self.take_log();
            *self = newer;
            return;
        }
        for (room, delta) in newer.rooms {
            if delta.replace {
                self.forget(&room);
                self.rooms.insert(room.clone(), RoomDelta { replace: true, ..RoomDelta::default() });
            }
            for (seat, held) in delta.seats {
                self.put(&room, seat, held);
            }
            for (name, entry) in delta.beside {
                self.put_beside(&room, name, entry);
            }
        }
        debug_assert_eq!(self.entries, self.rooms.values().map(RoomDelta::len).sum::<usize>());
    }

    /// The same in pieces, by what `of` says of each room; the log goes to none of them. Where a full state begins,
    /// each of `whole` begins one; others have the rooms without it.
    #[must_use]
    pub fn cut(mut self, of: impl Fn(&RoomId) -> u16, whole: &[u16]) -> BTreeMap<u16, Self> {
        let mut pieces = BTreeMap::<u16, Self>::new();
        if let Some(existing) = self.existing.take() {
            whole.iter().for_each(|piece| pieces.entry(*piece).or_default().existing = Some(BTreeSet::new()));
            for room in existing {
                let piece = pieces.get_mut(&of(&room));
                piece
                    .and_then(|piece| piece.existing.as_mut())
                    .into_iter()
                    .for_each(|rooms| _ = rooms.insert(room.clone()));
            }
        }
        for (room, delta) in self.rooms {
            let piece = pieces.entry(of(&room)).or_default();
            piece.entries += delta.len();
            piece.bytes += cost_of(&room, &delta);
            piece.rooms.insert(room, delta);
        }
        pieces
    }

    /// These rooms are another one's from now on: what is here of them is forgotten.
    pub fn forget_rooms(&mut self, is_gone: impl Fn(&RoomId) -> bool) {
        let gone: Vec<RoomId> = self.rooms.keys().filter(|room| is_gone(room)).cloned().collect();
        gone.iter().for_each(|room| self.forget(room));
        if let Some(existing) = &mut self.existing {
            existing.retain(|room| !is_gone(room));
        }
        self.log.events.retain(|event| !is_gone(&event.room));
    }

    /// Whether there is nothing to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.existing.is_none() && self.log.is_empty()
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
            self.entries -= delta.len();
            self.bytes -= cost_of(room, &delta);
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

    /// Turns the beginnings of full states into changes: what is stored of these shards and no longer exists is
    /// emptied.
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

    /// Whether an answer to the backend waits for it.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.batch.is_awaited
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

/// About what the changes of a room take in memory.
fn cost_of(room: &RoomId, delta: &RoomDelta) -> usize {
    let beside = delta.beside.iter().map(|(name, entry)| cost_beside(room, name, entry.as_ref()));
    let seats = delta.seats.iter().map(|(seat, held)| cost(room, seat, held.as_ref()));
    beside.chain(seats).sum()
}

/// About what something beside the seats takes in memory.
fn cost_beside(room: &RoomId, name: &str, entry: Option<&KeptEntry>) -> usize {
    const AROUND: usize = 192;
    let seats = match entry {
        Some(KeptEntry::Order(_, Some(order))) => order.seats.len() + order.refunded.len(),
        Some(_) | None => 0,
    };
    AROUND + room.as_str().len() + name.len() + 32 * seats
}

/// About what an entry takes in memory: its texts and the tree around them.
fn cost(room: &RoomId, seat: &SeatId, held: Option<&Held>) -> usize {
    const AROUND: usize = 96;
    let texts = held.map_or(0, |held| held.client.as_str().len() + held.user_info.len());
    AROUND + room.as_str().len() + seat.as_str().len() + texts
}
