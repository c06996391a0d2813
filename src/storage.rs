//! Starts the store that the configuration names, and passes the store thread's news on to the shards.
//!
//! Invariants: no shard serves before the store was read, unless the operator has said that it need not be; a server
//! that finds another one at its store ends with one line. Never here: seats, sockets.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use crate::acts::ring::Ring;
use crate::auth::session::SessionTokens;
use crate::clock::Clock;
use crate::cluster::names::NodeName;
use crate::config::{Config, Nodes, Store as Kind, StoreSettings};
use crate::engine::command::{LayoutName, RoomPlan};
use crate::engine::ids::{ShardId, Spread};
use crate::layout::catalog::Catalog;
use crate::log;
use crate::neighbours::Ours;
use crate::node::letters::Letter;
use crate::opening::{self, Shared};
use crate::peers::{self, Peers};
use crate::persist::link::StoreLink;
use crate::persist::parts::PartLink;
use crate::persist::stores::embedded::EmbeddedStore;
use crate::persist::stores::embedded::sync_behind::Behind;
use crate::persist::stores::redis::parts::PartsConfig;
use crate::persist::stores::redis::{RedisConfig, RedisStore, owner};
use crate::persist::stores::store::Store;
use crate::persist::thread::writer::{self, Opener, Report, Setup, StoreEvent};
use crate::runtime::board::Board;
use crate::runtime::mailbox::Mesh;
use crate::wire::message;

/// Exit code when another server is the writer (`EX_TEMPFAIL` of sysexits).
pub(crate) const EXIT_TAKEN: u8 = 75;
/// Exit code when the configuration names a store that cannot be (`EX_CONFIG` of sysexits).
const EXIT_STORE: u8 = 78;

/// The store thread and what it shares with the shards.
pub(crate) struct Storage {
    pub(crate) link: Arc<StoreLink>,
    /// What a node among several shares with its shards.
    pub(crate) parts: Option<Arc<PartLink<Letter>>>,
    threads: Threads,
}

/// Who writes to the store.
enum Threads {
    /// The store thread.
    One(JoinHandle<()>),
    /// Those of a node among several.
    Node(Box<Peers>),
}

impl Storage {
    /// Starts the store thread; nothing with `STORE=memory`. Returns when the store was read, or when the first attempt
    /// has failed: then the server goes on as starting.
    ///
    /// # Errors
    /// The exit code and one line: another server is the writer, or the store cannot be.
    pub(crate) fn start(
        settings: &StoreSettings,
        hold_ttl_ms: u64,
        (layouts, shared, acts): (&Catalog, Option<Shared>, &Arc<Ring>),
        mesh: &Mesh,
        (clock, tokens): (Clock, &SessionTokens),
    ) -> Result<Option<Self>, (u8, String)> {
        let link = Arc::new(StoreLink::new(mesh.shards()));
        let is_durable = settings.promise.is_durable();
        // In window mode the sale goes on with what is left, and says so.
        let accepts_loss = settings.accept_loss || !is_durable;
        let opener = match settings.promise.store {
            Kind::Memory => {
                acts.open(Vec::new(), clock.now().wall);
                return Ok(None);
            }
            Kind::Embedded => {
                let behind = Behind::new(Arc::clone(&link.status), clock);
                embedded(&settings.data_dir, (!is_durable).then_some(behind), accepts_loss)
            }
            Kind::Redis => redis(settings, hold_ttl_ms, accepts_loss, (tokens.clone(), shared.clone()))?,
        };
        let setup = Setup {
            is_durable,
            starts_without_store: settings.start_without_store,
            accepts_loss: settings.accept_loss,
            hold_ttl_ms,
            is_user_info: message::is_object,
            clock,
            log: Some(Arc::clone(acts)),
        };
        let (verdict, verdicts) = channel();
        let report = report(Arc::clone(&link), (layouts.clone(), shared), mesh.clone(), verdict);
        let (queue, status) = (Arc::clone(&link.queue), Arc::clone(&link.status));
        let no_thread = |error: io::Error| (EXIT_STORE, format!("cannot start the store thread: {error}"));
        let thread = writer::start(setup, opener, queue, status, report).map_err(no_thread)?;
        match verdicts.recv() {
            Ok(Some(line)) => Err((EXIT_TAKEN, line)),
            Ok(None) | Err(_) => Ok(Some(Self { link, parts: None, threads: Threads::One(thread) })),
        }
    }

    /// Starts the threads of a node among several; returns when Redis was reached, or the first attempt has failed.
    ///
    /// # Errors
    /// The exit code and one line: the namespace is not one of these nodes, or Redis cannot be.
    pub(crate) fn join(
        (config, nodes, port): (&Config, &Nodes, u16),
        acts: &Arc<Ring>,
        (mesh, board): (&Mesh, &Arc<Board>),
        (clock, tokens): (Clock, &SessionTokens),
    ) -> Result<Self, (u8, String)> {
        let link = Arc::new(StoreLink::new(mesh.shards()));
        let spread = Spread::over(mesh.shards()).with_parts(nodes.parts);
        let parts = Arc::new(PartLink::new(spread, nodes.lease_ms));
        let redis = PartsConfig {
            settings: config.store.redis.clone(),
            hold_ttl_ms: config.rooms.hold_ttl_ms,
            lease_ms: nodes.lease_ms,
            log_events_max: config.acts.events_max,
        };
        let setup = peers::Setup {
            redis,
            node: nodes.name.clone().map_or_else(|| own_name(port), Ok)?,
            parts: nodes.parts,
            is_durable: config.store.promise.is_durable(),
            accepts_loss: config.store.accept_loss,
            is_user_info: message::is_object,
            clock,
            log: Arc::clone(acts),
            tokens: tokens.clone(),
            fresh: fresh_secret("a node"),
        };
        let (verdict, verdicts) = channel();
        let ours = Ours { mesh: mesh.clone(), board: Arc::clone(board), verdict };
        let no_thread = |error: io::Error| (EXIT_STORE, format!("cannot start the cluster's thread: {error}"));
        let peers = Peers::start(setup, ours, &link, &parts).map_err(no_thread)?;
        board.first_comes(peers.drain());
        board.shelf.clone().map_or(Ok(()), opening::follow).map_err(no_thread)?;
        match verdicts.recv() {
            Ok(Err(refused)) => Err(refused),
            Ok(Ok(())) | Err(_) => Ok(Self { link, parts: Some(parts), threads: Threads::Node(Box::new(peers)) }),
        }
    }

    /// The shards have ended: commits what they left and lets another server in.
    pub(crate) fn finish(self) {
        match self.threads {
            Threads::Node(peers) => peers.finish(),
            Threads::One(thread) => {
                self.link.queue.close();
                if thread.join().is_err() {
                    tracing::error!("the store thread panicked");
                }
            }
        }
    }
}

/// The name of a node that was given none.
fn own_name(port: u16) -> Result<NodeName, (u8, String)> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = NodeName::new(&format!("{}:{port}", host.trim()));
    name.ok_or_else(|| (EXIT_STORE, "the host name is no name of a node: set NODE_ID".into()))
}

/// Carries what the store thread says to where it belongs. The first word decides whether the server starts.
fn report(
    link: Arc<StoreLink>,
    (layouts, shared): (Catalog, Option<Shared>),
    mesh: Mesh,
    verdict: Sender<Option<String>>,
) -> Report {
    // After the verdict nobody listens any more, and that is no error.
    let decide = move |line: Option<String>| verdict.send(line).is_ok();
    Box::new(move |event| {
        let wake_all = || (0..mesh.shards()).for_each(|shard| mesh.wake(ShardId::new(shard)));
        match event {
            StoreEvent::Opened(mut restored) => {
                let plan = |name: &LayoutName| layouts.get(&name.id, &name.version).map(RoomPlan);
                for room in restored.furnish(plan) {
                    tracing::warn!(%room, "its layout is not there: nobody gets a seat until it is put anew");
                }
                let (holds, expired, skipped) = (restored.holds(), restored.expired.len(), restored.skipped);
                tracing::info!(holds, expired, skipped, "the store was read");
                link.note_restored_log(restored.log);
                link.note_restored_rooms(restored.rooms);
                link.note_restored(restored.shards);
                decide(None);
                wake_all();
            }
            StoreEvent::Waiting => {
                decide(None);
            }
            StoreEvent::Refused(line) => {
                if !decide(Some(line.clone())) {
                    log::say(&format!("butaca: {line}"));
                    log::finish();
                    std::process::exit(EXIT_TAKEN.into());
                }
            }
            StoreEvent::Committed { shard, number } => {
                link.note_committed(shard, number);
                mesh.wake(shard);
            }
            StoreEvent::FullStateOwed => {
                link.note_full_state_owed();
                shared.iter().for_each(Shared::rewrite);
                wake_all();
            }
            StoreEvent::Deposed(_) => wake_all(),
        }
    })
}

/// A secret from the system's randomness.
pub(crate) fn fresh_secret(what: &str) -> [u64; 2] {
    let system = RandomState::new();
    [0, 1].map(|half| system.hash_one((what, half)))
}

fn embedded(dir: &Path, behind: Option<Behind>, accepts_loss: bool) -> Opener {
    let dir = dir.to_owned();
    Box::new(move |_| Ok(Box::new(EmbeddedStore::open(&dir, behind.clone(), accepts_loss)?) as Box<dyn Store>))
}

fn redis(
    settings: &StoreSettings,
    hold_ttl_ms: u64,
    accepts_loss: bool,
    (tokens, layouts): (SessionTokens, Option<Shared>),
) -> Result<Opener, (u8, String)> {
    let redis = RedisConfig { settings: settings.redis.clone(), hold_ttl_ms, accepts_loss };
    redis.check().map_err(|line| (EXIT_STORE, line))?;
    let identity = Arc::new(owner::identity(&settings.data_dir, &redis.settings.namespace));
    let about = owner::about();
    Ok(Box::new(move |wall| {
        let mut store = RedisStore::open(&redis, &identity, &about, wall)?;
        // Whoever serves these rooms next must know the sessions that hold seats in them.
        tokens.learn(store.secret(fresh_secret("tokens of sessions"))?);
        layouts.as_ref().map_or(Ok(()), Shared::read)?;
        Ok(Box::new(store) as Box<dyn Store>)
    }))
}
