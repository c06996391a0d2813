//! What all threads may know at any time: counts, whether the server drains, which rooms are hot. Atomics, no locks on
//! a hot path.
//!
//! Invariant: nothing here decides about seats; a stale value costs a detour and never a wrong answer. Never here:
//! queues.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::audience::budget::Budget;
use crate::auth::bans::Bans;
use crate::auth::token::Authority;
use crate::engine::ids::{ShardId, Spread};
use crate::layout::catalog::Catalog;
use crate::node::hot::HotRooms;
use crate::persist::nodes::NodesStatus;
use crate::persist::stores::shelf::Keeper;
use crate::runtime::executor::Executor;

/// One shard's public figures.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// Turns taken: stands still when the shard does.
    pub(crate) turns: AtomicU64,
    /// The shard serves.
    pub(crate) serving: AtomicBool,
    /// Rooms that it owns.
    pub(crate) rooms: AtomicUsize,
    /// Seats held in them.
    pub(crate) holds: AtomicUsize,
    /// Times the watchdog rang for it.
    pub(crate) pokes: AtomicU64,
}

/// What comes before a drain.
struct BeforeDrain(Box<dyn Fn() + Send + Sync>);

impl fmt::Debug for BeforeDrain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BeforeDrain")
    }
}

/// The board.
#[derive(Debug)]
pub(crate) struct Board {
    pulses: Box<[Pulse]>,
    /// Open sockets of all shards, HTTP requests included: what `MAX_CONNECTIONS` bounds.
    connections: AtomicUsize,
    /// Those among them that are WebSockets: counted from the upgrade until they begin to close, also while one is on
    /// its way between two shards.
    websockets: AtomicUsize,
    draining: AtomicBool,
    /// What comes before a drain.
    before: OnceLock<BeforeDrain>,
    /// What the shards run on.
    pub(crate) executor: Executor,
    /// The rooms that are hot.
    pub(crate) hot: HotRooms,
    by_ip: Mutex<HashMap<IpAddr, usize>>,
    /// A private address from which nearly everybody comes has reached its limit.
    pub(crate) undeclared_proxy: AtomicBool,
    /// What all shards' memory takes, and may take.
    pub(crate) budget: Budget,
    /// Clients that may not come back yet.
    pub(crate) bans: Arc<Bans>,
    /// Where layouts that are put are kept, when anything is.
    pub(crate) shelf: Option<Arc<dyn Keeper>>,
    /// Over what rooms are spread.
    pub(crate) spread: Spread,
    /// Checks the tokens of the shop, when they are asked for.
    pub(crate) authority: Option<Arc<Authority>>,
    /// All plans of halls.
    pub(crate) layouts: Catalog,
    /// How the cluster is doing, when there is one.
    pub(crate) nodes: OnceLock<Arc<NodesStatus>>,
}

impl Board {
    pub(crate) fn new(shards: usize, executor: Executor, budget: Budget) -> Self {
        Self {
            pulses: (0..shards).map(|_| Pulse::default()).collect(),
            connections: AtomicUsize::new(0),
            websockets: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            before: OnceLock::new(),
            executor,
            hot: HotRooms::default(),
            by_ip: Mutex::default(),
            undeclared_proxy: AtomicBool::new(false),
            budget,
            bans: Arc::default(),
            authority: None,
            shelf: None,
            spread: Spread::over(shards),
            layouts: Catalog::default(),
            nodes: OnceLock::new(),
        }
    }

    pub(crate) fn pulse(&self, shard: ShardId) -> &Pulse {
        &self.pulses[shard.index()]
    }

    pub(crate) fn pulses(&self) -> &[Pulse] {
        &self.pulses
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Counts a new connection and returns how many there are now.
    pub(crate) fn connected(&self) -> usize {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn disconnected(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn websockets(&self) -> usize {
        self.websockets.load(Ordering::Relaxed)
    }

    /// A connection has become a WebSocket: to be said before its client can know.
    pub(crate) fn websocket_opened(&self) {
        self.websockets.fetch_add(1, Ordering::Relaxed);
    }

    /// It is none any more.
    pub(crate) fn websocket_ended(&self) {
        self.websockets.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a new connection from an address and returns how many that has now.
    pub(crate) fn connected_from(&self, ip: IpAddr) -> usize {
        let mut by_ip = self.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_ip.entry(ip).or_default();
        *count += 1;
        *count
    }

    pub(crate) fn disconnected_from(&self, ip: IpAddr) {
        let mut by_ip = self.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_ip.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                by_ip.remove(&ip);
            }
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Before the drain this is to be done; whoever does it says when it is over ([`Board::drain`]).
    pub(crate) fn first_comes(&self, what: Box<dyn Fn() + Send + Sync>) {
        let is_first = self.before.set(BeforeDrain(what)).is_ok();
        debug_assert!(is_first, "one thing comes first");
    }

    /// Begins what comes before the drain. Says whether there is such a thing.
    pub(crate) fn begin_drain(&self) -> bool {
        self.before.get().inspect(|before| (before.0)()).is_some()
    }

    /// Whether this shard serves.
    pub(crate) fn serves(&self, shard: ShardId) -> bool {
        self.pulse(shard).serving.load(Ordering::Acquire)
    }

    /// Whether all shards serve.
    pub(crate) fn is_serving(&self) -> bool {
        self.pulses.iter().all(|pulse| pulse.serving.load(Ordering::Acquire))
    }
}
