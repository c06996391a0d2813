//! One life of a server: shards with their pending changes and gates, the queue and the pump. What it tells goes to the
//! oracle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use butaca::engine::command::{Effect, Effects, Input, RestoredHold};
use butaca::engine::ids::{Epoch, RoomId, SeatId, ShardId, shard_of};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{Rules, Shard};
use butaca::engine::time::{Millis, Now, WallMillis};
use butaca::persist::queue::Queue;
use butaca::persist::shard::gate::Gate;
use butaca::persist::shard::pending::Pending;
use butaca::persist::shard::undo::undo;
use butaca::persist::status::StoreStatus;
use butaca::persist::stores::store::{Continuity, Store, StoreError};
use butaca::persist::thread::pump::Pump;
use butaca::persist::thread::restore::Restored;

use super::disk::{Access, Disk, LEASE_MS, Mood};
use super::oracle::Oracle;

pub(crate) struct Server {
    pub(crate) token: u64,
    pub(crate) nodes: Vec<Node>,
    status: Arc<StoreStatus>,
    /// A renewal of the lease whose answer has not come yet: when it was asked for.
    asked: Option<Millis>,
    queue: Arc<Queue>,
    pump: Pump,
    /// What the store thread has said and the shards have not heard: the last batch of each shard.
    slips: Vec<u64>,
    owes_full_state: Vec<bool>,
    /// What the start makes of stored holds, until that is committed.
    pub(crate) first: BTreeSet<(RoomId, SeatId)>,
    pub(crate) is_deposed: bool,
}

pub(crate) struct Node {
    pub(crate) shard: Shard,
    pub(crate) pending: Pending,
    gate: Option<Gate>,
    status: Arc<StoreStatus>,
    effects: Effects,
    /// Seats whose last change the store is not known to have, with the batch that brings it.
    pub(crate) unsafe_seats: BTreeMap<(RoomId, SeatId), u64>,
}

impl Server {
    pub(crate) fn new(now: Now, shards: usize, seed: u64, token: u64, rules: Rules, is_durable: bool) -> Self {
        let (queue, status) = (Arc::new(Queue::new(shards)), Arc::new(StoreStatus::default()));
        let nodes = (0..shards).map(ShardId::new).map(|id| Node {
            shard: Shard::new(id, shards, Seeds::replayed(seed, id), rules),
            pending: Pending::new(id, Arc::clone(&queue), Arc::clone(&status)),
            gate: is_durable.then(Gate::default),
            status: Arc::clone(&status),
            effects: Effects::new(),
            unsafe_seats: BTreeMap::new(),
        });
        let nodes = nodes.collect();
        let pump = Pump::new(shards);
        status.renewed(now.mono, LEASE_MS);
        Self {
            token,
            nodes,
            status,
            asked: None,
            queue,
            pump,
            slips: vec![0; shards],
            owes_full_state: vec![false; shards],
            first: BTreeSet::new(),
            is_deposed: false,
        }
    }

    pub(crate) fn restore(
        &mut self,
        now: Now,
        grace_ms: u64,
        restored: &Restored,
        disk: &mut Disk,
        oracle: &mut Oracle,
    ) {
        self.pump.begin(restored);
        self.first = restored.expired.iter().cloned().collect();
        if !restored.shortened.is_empty() {
            // As the store thread does. One that cannot be written to keeps the server from starting.
            disk.mood = Mood::Well;
            self.pump(now, disk);
        }
        for (node, holds) in self.nodes.iter_mut().zip(&restored.shards) {
            for stored in holds {
                let held = &stored.held;
                let hold = RestoredHold {
                    client: &held.client,
                    origin: held.origin,
                    user_info: &held.user_info,
                    at: held.at,
                    expires_at: held.expires_at,
                    ends: now.mono.after(held.expires_at.0 - now.wall.0),
                    waits_until: now.mono.after(grace_ms),
                    seq: held.seq,
                };
                let input = Input::Restore { room: stored.room.as_str(), seat: stored.seat.as_str(), hold };
                node.decide(now, input, oracle);
            }
            let rooms: Vec<(RoomId, Epoch, u64)> = node
                .shard
                .rooms()
                .map(|room| {
                    let state = node.shard.selections(room.as_str()).expect("it is listed");
                    (room.clone(), state.epoch, state.seq)
                })
                .collect();
            rooms.into_iter().for_each(|(room, epoch, seq)| oracle.begins(&room, epoch, seq));
        }
    }

    pub(crate) fn node(&mut self, room: &str) -> &mut Node {
        let shards = self.nodes.len();
        &mut self.nodes[shard_of(room, shards).index()]
    }

    /// The store thread takes what is there and tries to commit it.
    pub(crate) fn pump(&mut self, now: Now, disk: &mut Disk) {
        if self.is_deposed {
            return;
        }
        if self.pump.is_idle() {
            self.pump.add(self.queue.take(0, 0).offers, WallMillis::default());
        }
        if self.pump.is_idle() {
            return;
        }
        let mut access = Access { disk, token: self.token };
        match self.pump.commit(&mut access, now.wall) {
            Ok(committed) => {
                self.first.clear();
                for (shard, number) in committed.batches {
                    self.slips[shard.index()] = number;
                }
                if committed.continuity == Continuity::Lost {
                    self.owes_full_state.iter_mut().for_each(|owes| *owes = true);
                }
            }
            Err(StoreError::Away(_) | StoreError::Damaged(_)) => {}
            Err(StoreError::Deposed(_) | StoreError::Taken(_)) => self.is_deposed = true,
        }
    }

    /// The store thread asks for the lease again, or hears the answer, which may take its time or never come.
    pub(crate) fn renew(&mut self, now: Now, disk: &mut Disk) {
        if let Some(asked) = self.asked.take() {
            return self.status.renewed(asked, LEASE_MS);
        }
        let is_answered = !matches!(disk.mood, Mood::AnswerLost | Mood::LosesUnheard);
        if self.is_deposed || matches!(disk.mood, Mood::Fails) {
            return;
        }
        match (Access { disk, token: self.token }).renew(now.wall) {
            Ok(_) => {
                disk.lease_ends = now.mono.after(LEASE_MS);
                self.asked = is_answered.then_some(now.mono);
            }
            Err(_) => self.is_deposed = true,
        }
    }

    /// Whether the store has lost something that is not known to be there again.
    pub(crate) fn is_unsure(&self) -> bool {
        self.owes_full_state.contains(&true) || self.nodes.iter().any(|node| !node.pending.is_sure())
    }

    /// A turn of one shard's persistence.
    pub(crate) fn turn(&mut self, index: usize, now: Now, oracle: &mut Oracle) {
        let node = &mut self.nodes[index];
        if std::mem::take(&mut self.owes_full_state[index]) {
            node.pending.owe_full_state();
        }
        node.tell_committed(self.slips[index], oracle);
        node.give_up_overdue(now, oracle);
        node.pending.flush(now.mono, &node.shard);
    }

    /// The orderly end: everything is handed over and committed.
    pub(crate) fn stop(&mut self, now: Now, disk: &mut Disk) {
        for node in &mut self.nodes {
            node.pending.flush_last(now.mono, &node.shard);
        }
        while !(self.is_deposed || self.pump.is_idle() && self.queue_is_empty()) {
            self.pump(now, disk);
        }
    }

    fn queue_is_empty(&mut self) -> bool {
        self.pump.add(self.queue.take(0, 0).offers, WallMillis::default());
        self.pump.is_idle()
    }
}

impl Node {
    pub(crate) fn decide(&mut self, now: Now, input: Input<'_>, oracle: &mut Oracle) {
        if matches!(input, Input::Select { .. }) && !self.status.may_grant(now.mono) {
            return oracle.note("a select that is refused for want of the lease");
        }
        self.shard.handle(now, input, &mut self.effects);
        for effect in std::mem::take(&mut self.effects) {
            self.save_and_tell(now, effect, oracle);
        }
    }

    fn save_and_tell(&mut self, now: Now, effect: Effect, oracle: &mut Oracle) {
        if let Effect::Change(change) = &effect {
            self.pending.record(now.mono, change);
            self.unsafe_seats.insert((change.room.clone(), change.seat.clone()), self.pending.number());
        }
        let batch = self.pending.number();
        match &mut self.gate {
            Some(gate) if !gate.admits(&effect) => gate.withhold(now.mono, batch, (effect, None)),
            Some(_) | None => oracle.told(&effect),
        }
    }

    fn tell_committed(&mut self, batch: u64, oracle: &mut Oracle) {
        if batch == 0 {
            return;
        }
        let safe = self.pending.committed(batch);
        self.unsafe_seats.retain(|_, needed| *needed > safe);
        while let Some((effect, _)) = self.gate.as_mut().and_then(|gate| gate.next_committed(safe)) {
            oracle.told(&effect);
        }
    }

    fn give_up_overdue(&mut self, now: Now, oracle: &mut Oracle) {
        if !self.gate.as_ref().is_some_and(|gate| gate.is_overdue(now.mono)) {
            return;
        }
        oracle.note("selects that are undone");
        self.decide(now, Input::Tick, oracle);
        let gate = self.gate.as_mut().expect("it was just looked at");
        // The selects that are undone are among these; the batch that is being filled will say so to the store.
        self.unsafe_seats.values_mut().for_each(|needed| *needed = self.pending.number());
        let (effects, _) = undo(now, gate, &mut self.pending, &mut self.shard);
        effects.iter().for_each(|effect| oracle.told(effect));
    }
}
