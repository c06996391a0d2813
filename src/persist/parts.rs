//! What the cluster's thread and the shards of a node share: news about parts one way, acknowledgements and letters to
//! other nodes the other way.
//!
//! Invariants: nobody waits here for longer than a moment; the letters from one shard to another one keep their order;
//! a grant is given by the cluster's thread alone. Never here: who owns what; how a letter travels.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::acts::event::Resumed;
use crate::cluster::names::PartId;
use crate::engine::command::{Position, RestoredRoom};
use crate::engine::ids::{RoomId, ShardId, ShardSet, Spread};
use crate::engine::time::Millis;
use crate::persist::nodes::NodesStatus;
use crate::persist::record::StoredHold;

/// What the cluster's thread tells shards. The first five go to the shard of the part, the others to all of them.
#[derive(Debug)]
pub enum PartNews {
    /// Take these rooms in; nothing is decided about them before [`PartNews::Serve`]. Answered with
    /// [`PartAck::Loaded`].
    Load { part: PartId, fence: u64, stored: Box<StoredPart> },
    /// Decide about the part from now on.
    Serve { part: PartId },
    /// Decide no more about it. Answered with [`PartAck::Settled`] when the store has everything that was decided.
    Freeze { part: PartId, fence: u64 },
    /// The store has lost something of the part: all of it is to be written again.
    Rewrite { part: PartId },
    /// It is another node's: its rooms are forgotten, and what was not told of them never is. Answered with
    /// [`PartAck::Forgotten`].
    Forget { part: PartId, fence: u64 },
    /// Commands about the part go to this address from now on; `None`: they wait. Who looks at its rooms asks there for
    /// what they are.
    Moved { part: PartId, to: Option<ShardId> },
    /// Mail from these addresses was lost: what they feed is to be asked for again.
    Hole { from: ShardSet },
    /// The life behind these addresses has ended: its connections are gone. Answered with [`PartAck::Purged`].
    Ended { of: ShardSet },
}

/// What a store had of a part.
#[derive(Default, Debug)]
pub struct StoredPart {
    /// Its rooms, but for what v1 connections held.
    pub rooms: BTreeMap<RoomId, RestoredRoom>,
    /// What those held, in the order in which it ends.
    pub holds: Vec<StoredHold>,
    /// What concerns the log.
    pub log: Resumed,
    /// Where its rooms stood when another node gave it away; nothing after a crash: then what was told last is not
    /// known.
    pub lives: Vec<(RoomId, Position)>,
}

/// What shards answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PartAck {
    /// To [`PartNews::Load`].
    Loaded { part: PartId, fence: u64 },
    /// To [`PartNews::Freeze`].
    Settled { part: PartId, fence: u64 },
    /// To [`PartNews::Forget`].
    Forgotten { part: PartId, fence: u64 },
    /// To [`PartNews::Ended`], by this shard.
    Purged { shard: ShardId, of: ShardSet },
}

/// A letter to a shard of another node, on its way out.
#[derive(Debug)]
pub struct Outgoing<L> {
    /// The shard that writes it.
    pub from: ShardId,
    /// The address.
    pub to: ShardId,
    /// The letter.
    pub letter: L,
}

/// What both sides share. `L` is a letter.
#[derive(Debug)]
pub struct PartLink<L> {
    spread: Spread,
    lease_ms: u64,
    grants: Box<[AtomicU64]>,
    out: Mutex<Out<L>>,
    bell: Condvar,
    nodes: Arc<NodesStatus>,
}

#[derive(Debug)]
struct Out<L> {
    acks: Vec<PartAck>,
    letters: Vec<Outgoing<L>>,
    is_rung: bool,
    /// Where the rooms of parts that are given away stand.
    lives: BTreeMap<PartId, Vec<(RoomId, Position)>>,
}

/// What the cluster's thread found.
#[derive(Debug)]
pub struct Found<L> {
    /// What shards have answered, in order.
    pub acks: Vec<PartAck>,
    /// Letters to other nodes, those of a shard in order.
    pub letters: Vec<Outgoing<L>>,
}

impl<L> PartLink<L> {
    /// For a node with this spread of rooms, which has parts, and leases of this length.
    #[must_use]
    pub fn new(spread: Spread, lease_ms: u64) -> Self {
        let parts = spread.parts().expect("a cluster has parts");
        let grants = std::iter::repeat_with(AtomicU64::default).take(usize::from(parts)).collect();
        let out = Out { acks: Vec::new(), letters: Vec::new(), is_rung: false, lives: BTreeMap::new() };
        Self { spread, lease_ms, grants, out: Mutex::new(out), bell: Condvar::new(), nodes: Arc::default() }
    }

    /// How rooms are spread over parts and shards.
    #[must_use]
    pub fn spread(&self) -> Spread {
        self.spread
    }

    /// How the cluster is doing.
    #[must_use]
    pub fn nodes(&self) -> &Arc<NodesStatus> {
        &self.nodes
    }

    /// How long a lease lasts.
    #[must_use]
    pub fn lease_ms(&self) -> u64 {
        self.lease_ms
    }

    /// This node decides about the part until then; never, when that is 0.
    pub fn grant(&self, part: PartId, until: Millis) {
        self.grants[part.index()].store(until.0, Ordering::Release);
    }

    /// Whether this node may decide about the part now.
    #[must_use]
    pub fn may_decide(&self, part: PartId, now: Millis) -> bool {
        now.0 < self.grants[part.index()].load(Ordering::Acquire)
    }

    /// A shard answers.
    pub fn ack(&self, ack: PartAck) {
        self.ring(|out| out.acks.push(ack));
    }

    /// A shard leaves a part with its rooms standing here, before it says that it has settled.
    pub fn leave(&self, part: PartId, lives: Vec<(RoomId, Position)>) {
        self.out.lock().unwrap_or_else(PoisonError::into_inner).lives.insert(part, lives);
    }

    /// For the cluster's thread: where the rooms of a part that is given away stand, for the next owner.
    #[must_use]
    pub fn take_lives(&self, part: PartId) -> Vec<(RoomId, Position)> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner).lives.remove(&part).unwrap_or_default()
    }

    /// Posts a shard's letters of one turn, and leaves none.
    pub fn post(&self, from: ShardId, to: ShardId, letters: &mut Vec<L>) {
        if letters.is_empty() {
            return;
        }
        self.ring(|out| out.letters.extend(letters.drain(..).map(|letter| Outgoing { from, to, letter })));
    }

    /// Letters that have not been taken: who reads sockets waits at a bound.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.out.lock().unwrap_or_else(PoisonError::into_inner).letters.len()
    }

    /// Wakes the thread.
    pub fn wake(&self) {
        self.ring(|_| {});
    }

    /// For the cluster's thread: waits up to `ms` for something, and takes all of it.
    pub fn take(&self, ms: u64) -> Found<L> {
        let out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let is_quiet = |out: &mut Out<L>| !out.is_rung;
        let waited = self.bell.wait_timeout_while(out, Duration::from_millis(ms), is_quiet);
        let (mut out, _) = waited.unwrap_or_else(PoisonError::into_inner);
        out.is_rung = false;
        Found { acks: std::mem::take(&mut out.acks), letters: std::mem::take(&mut out.letters) }
    }

    fn ring(&self, change: impl FnOnce(&mut Out<L>)) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut out);
        let was_rung = std::mem::replace(&mut out.is_rung, true);
        drop(out);
        if !was_rung {
            self.bell.notify_one();
        }
    }
}
