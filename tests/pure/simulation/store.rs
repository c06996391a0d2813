//! A store as a shard sees it: it takes batches and says, some time later, that they are committed. What is in them is
//! the business of `store_simulation`.

use std::sync::Arc;

use butaca::engine::ids::ShardId;
use butaca::engine::time::Now;
use butaca::persist::link::StoreLink;

/// A lease that outlives every run.
const LEASE_MS: u64 = 10_000_000;

pub(crate) struct Store {
    pub(crate) link: Arc<StoreLink>,
    /// Batches that were taken and are not committed.
    taken: Vec<(ShardId, u64)>,
    is_stopped: bool,
}

impl Store {
    pub(crate) fn new(shards: usize, now: Now) -> Self {
        let link = Arc::new(StoreLink::new(shards));
        link.status.renewed(now.mono, LEASE_MS);
        link.status.set_connected();
        link.note_restored((0..shards).map(|_| Vec::new()).collect());
        Self { link, taken: Vec::new(), is_stopped: false }
    }

    /// It does not answer from now on.
    pub(crate) fn stop(&mut self) {
        self.is_stopped = true;
        self.link.status.set_away("it does not answer".into());
    }

    /// It answers again.
    pub(crate) fn go_on(&mut self) {
        if std::mem::take(&mut self.is_stopped) {
            self.link.status.set_connected();
        }
    }

    /// Commits what it took last time, and takes what is there.
    pub(crate) fn work(&mut self, _now: Now) {
        if self.is_stopped {
            return;
        }
        for (shard, number) in self.taken.drain(..) {
            self.link.note_committed(shard, number);
        }
        let offers = self.link.queue.take(0, 0).offers;
        self.taken.extend(offers.into_iter().map(|(shard, offer)| (shard, offer.number)));
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.taken.is_empty()
    }
}
