//! The cluster's thread: when what is done. It begins a life of this node in Redis, then takes turns: news of shards
//! and of other nodes, batches, a tick, a heartbeat, calls, rooms of parts, commits.
//!
//! Invariants: acknowledgements of shards are taken before their batches, so that a batch that was handed over before
//! one is taken with it; a turn waits for Redis at most as long as an answer may take. Never here: what an order means
//! ([`super::parts`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::book::Book;
use super::parts::Cluster;
use super::reader::Reader;
use super::sender::Sender;
use super::shared::Shared;
use super::{Setup, Shards};
use crate::acts::event::Placed;
use crate::cluster::mail::Outbox;
use crate::cluster::names::Life;
use crate::engine::time::Millis;
use crate::limits::cluster::{CLUSTER_BEAT_MS, CLUSTER_DRAIN_MS, CLUSTER_TICK_MS};
use crate::limits::store::{
    STORE_BATCH_ENTRIES_MAX, STORE_FINISH_MS, STORE_GATHER_MS, STORE_RETRY_MS, STORE_RETRY_MS_MAX,
};
use crate::persist::link::StoreLink;
use crate::persist::parts::PartLink;
use crate::persist::stores::redis::parts::mail::Streams;
use crate::persist::stores::redis::parts::{Begun, PartStore};
use crate::persist::stores::store::StoreError;

/// Exit code when the configuration names what cannot be (`EX_CONFIG` of sysexits).
const EXIT_CONFIG: u8 = 78;

/// What a thread starts with.
pub(super) struct Start<S: Shards> {
    pub(super) setup: Setup,
    pub(super) shards: S,
    pub(super) link: Arc<StoreLink>,
    pub(super) parts: Arc<PartLink<S::Letter>>,
    pub(super) shared: Arc<Shared>,
}

/// What Redis has said to a node that begins.
struct Opened {
    store: PartStore,
    life: Life,
    log: Vec<Placed>,
    last_place: u64,
}

impl<S: Shards> Start<S> {
    pub(super) fn run(self) {
        let shared = Arc::clone(&self.shared);
        let end = || shared.end();
        let Some(opened) = self.open() else { return end() };
        match self.begin(opened) {
            Ok((mut cluster, threads)) => {
                Turns::new(cluster.now()).run(&mut cluster);
                cluster.leave();
                end();
                cluster.parts_link().wake();
                threads.into_iter().for_each(|thread| drop(thread.join()));
            }
            Err(line) => {
                tracing::error!("{line}");
                end();
            }
        }
    }

    /// Begins a life, however long that takes; nothing when this server must not start, or ends.
    fn open(&self) -> Option<Opened> {
        let mut retry_ms = STORE_RETRY_MS;
        let (mut is_first, mut is_drained) = (true, false);
        loop {
            match self.open_once() {
                Ok(opened) => {
                    if is_first {
                        self.shards.decided(Ok(()));
                    }
                    return Some(opened);
                }
                Err(Ok(line)) if is_first => {
                    self.shards.decided(Err((EXIT_CONFIG, line)));
                    return None;
                }
                Err(Ok(text)) => _ = self.link.status.set_away(text),
                Err(Err(error)) => {
                    if self.link.status.set_away(error.to_string()) {
                        tracing::warn!("the store is away: {error}");
                    }
                    if std::mem::take(&mut is_first) {
                        self.shards.decided(Ok(()));
                    }
                }
            }
            if self.shared.is_draining() && !std::mem::replace(&mut is_drained, true) {
                self.shards.drained();
            }
            if self.link.queue.pause(retry_ms) {
                return None;
            }
            retry_ms = (retry_ms * 2).min(STORE_RETRY_MS_MAX);
        }
    }

    /// What is there, or why this server must not start, or that Redis is away.
    fn open_once(&self) -> Result<Opened, Result<String, StoreError>> {
        let Setup { redis, node, parts, clock, tokens, fresh, .. } = &self.setup;
        let namespace = &redis.settings.namespace;
        let mut store = PartStore::new(redis).map_err(Ok)?;
        let incarnation = match store.begin(*parts, clock.now().wall, fresh[0]).map_err(Err)? {
            Begun::Life(incarnation) => incarnation,
            Begun::OtherParts(found) => {
                return Err(Ok(format!("PARTS={parts}: the Redis namespace \"{namespace}\" has {found} parts")));
            }
            Begun::SingleWriter => {
                return Err(Ok(format!("CLUSTER=1: a single server uses the Redis namespace \"{namespace}\"")));
            }
        };
        tokens.learn(store.secret(*fresh).map_err(Err)?);
        Streams::new(redis).map_err(Ok)?.empty(node).map_err(Err)?;
        let (mut log, mut last_place, mut behind) = (Vec::new(), 0, 0);
        loop {
            let page = store.log_behind(behind).map_err(Err)?;
            last_place = page.last.max(last_place);
            let Some((last, _)) = page.events.last() else { break };
            behind = *last;
            for (place, event) in page.events {
                // What was before a gap cannot be read on.
                match event {
                    Some(event) => log.push((place, event)),
                    None => log.clear(),
                }
            }
            if !page.is_full {
                break;
            }
        }
        Ok(Opened { store, life: Life { node: node.clone(), incarnation }, log, last_place: last_place.max(behind) })
    }

    fn begin(self, opened: Opened) -> Result<(Cluster<S>, Vec<std::thread::JoinHandle<()>>), String> {
        let Self { setup, shards, link, parts, shared } = self;
        let Opened { store, life, log, last_place } = opened;
        let book = Arc::new(Mutex::new(Book::new(life.clone(), parts.spread().shards())));
        setup.log.open_shared(log, last_place);
        let sender = Sender {
            shards: shards.clone(),
            parts: Arc::clone(&parts),
            shared: Arc::clone(&shared),
            book: Arc::clone(&book),
            queue: Arc::clone(&link.queue),
            streams: Streams::new(&setup.redis)?,
            outbox: Outbox::new(life.clone()),
            clock: setup.clock,
            writers: BTreeMap::new(),
        };
        let reader = Reader {
            shards: shards.clone(),
            shared: Arc::clone(&shared),
            book: Arc::clone(&book),
            queue: Arc::clone(&link.queue),
            nodes: Arc::clone(parts.nodes()),
            streams: Streams::new(&setup.redis)?,
            own: life.clone(),
            log: Arc::clone(&setup.log),
            clock: setup.clock,
            place: last_place,
        };
        let no_thread = |error| format!("cannot start a thread: {error}");
        let threads = vec![
            std::thread::Builder::new().name("mail out".into()).spawn(move || sender.run()).map_err(no_thread)?,
            std::thread::Builder::new().name("mail in".into()).spawn(move || reader.run()).map_err(no_thread)?,
        ];
        let incarnation = life.incarnation;
        let nothing = parts.spread().shards();
        tracing::info!(node = life.node.as_str(), incarnation, "a node of the cluster");
        link.status.set_connected();
        link.status.set_unserved(Some("it is not known yet which server has which rooms".into()));
        let cluster = Cluster::new(setup, (shards.clone(), Arc::clone(&link), parts, shared), (store, life, book));
        // Nothing is this node's yet: its shards may serve what others have.
        link.note_restored(std::iter::repeat_with(Vec::new).take(nothing).collect());
        (0..nothing).for_each(|shard| shards.wake(crate::engine::ids::ShardId::new(shard)));
        Ok((cluster, threads))
    }
}

/// When what is due.
struct Turns {
    next_tick: Millis,
    next_beat: Millis,
    /// When a drain is over, whoever has the parts.
    drained_at: Option<Millis>,
    is_drained: bool,
    /// When the process no longer waits for this thread.
    ends_at: Option<Millis>,
    retry_ms: u64,
}

impl Turns {
    fn new(now: Millis) -> Self {
        Self { next_tick: now, next_beat: now, drained_at: None, is_drained: false, ends_at: None, retry_ms: 0 }
    }

    fn run<S: Shards>(&mut self, cluster: &mut Cluster<S>) {
        loop {
            let is_last = self.take(cluster);
            self.drain(cluster);
            let done = self.ask(cluster);
            cluster.report();
            cluster.flush_news();
            match done {
                Ok(()) => self.retry_ms = 0,
                Err(error) => {
                    cluster.note_away(&error);
                    self.retry_ms = (self.retry_ms * 2).clamp(STORE_RETRY_MS, STORE_RETRY_MS_MAX);
                    cluster.queue().pause(self.retry_ms);
                }
            }
            let now = cluster.now();
            if is_last {
                let ends_at = *self.ends_at.get_or_insert(now.after(STORE_FINISH_MS));
                if cluster.is_idle() || now >= ends_at {
                    return;
                }
            }
        }
    }

    /// Takes what has come, after a wait. Says whether nothing comes any more.
    fn take<S: Shards>(&mut self, cluster: &mut Cluster<S>) -> bool {
        let is_full = cluster.backlog() > STORE_BATCH_ENTRIES_MAX;
        let queue = cluster.queue();
        // What waits already waits for Redis alone.
        let idle_ms = if cluster.is_busy() { 0 } else { self.next_tick.since(cluster.now()) };
        let gather_ms = if cluster.is_durable() { 0 } else { STORE_GATHER_MS };
        if is_full {
            // The shards keep what comes, in their bounds.
            cluster.take_news();
            return queue.pause(STORE_RETRY_MS);
        }
        cluster.take_news();
        let taken = queue.take(idle_ms, gather_ms);
        let is_last = taken.is_last && taken.offers.is_empty();
        cluster.take_batches(taken.offers);
        is_last
    }

    /// What is asked of Redis in this turn.
    fn ask<S: Shards>(&mut self, cluster: &mut Cluster<S>) -> Result<(), StoreError> {
        let now = cluster.now();
        if now >= self.next_tick {
            self.next_tick = now.after(CLUSTER_TICK_MS);
            cluster.tick();
        }
        cluster.call()?;
        if now >= self.next_beat {
            cluster.beat()?;
            self.next_beat = now.after(CLUSTER_BEAT_MS);
        }
        cluster.read_parts()?;
        cluster.commit()
    }

    /// A node that is to end hands its parts over, and says when that is done.
    fn drain<S: Shards>(&mut self, cluster: &mut Cluster<S>) {
        if self.is_drained || !cluster.is_draining() {
            return;
        }
        let now = cluster.now();
        let ends_at = match self.drained_at {
            Some(ends_at) => ends_at,
            None => {
                cluster.drain();
                *self.drained_at.insert(now.after(CLUSTER_DRAIN_MS))
            }
        };
        if cluster.has_nothing() || cluster.is_alone() || now >= ends_at {
            self.is_drained = true;
            cluster.drained();
        }
    }
}
