//! The store thread with everything around it that a server would have, and holds to store.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use butaca::clock::Clock;
use butaca::config::RedisSettings;
use butaca::engine::command::SeatStatus;
use butaca::engine::ids::{ClientId, Origin, RoomId, SeatId, ShardId, shard_of};
use butaca::engine::time::Now;
use butaca::figures::store::StoreFigures;
use butaca::persist::batch::{Batch, Deltas, RoomDelta};
use butaca::persist::queue::{Offer, Queue};
use butaca::persist::record::Held;
use butaca::persist::shard::pending::Pending;
use butaca::persist::status::StoreStatus;
use butaca::persist::stores::identity::Identity;
use butaca::persist::stores::redis::{RedisConfig, RedisStore};
use butaca::persist::stores::store::Store;
use butaca::persist::thread::restore::Restored;
use butaca::persist::thread::writer::{self, Opener, Setup, StoreEvent};

use crate::stopwatch::Stopwatch;

/// How long holds live in these tests.
pub(crate) const HOLD_TTL_MS: u64 = 300_000;
/// The shards of the rig.
pub(crate) const SHARDS: usize = 2;
/// What no test waits longer for. Only a failing test meets it.
const PATIENCE: Duration = Duration::from_secs(20);

/// The moment this is called.
pub(crate) fn now() -> Now {
    clock().now()
}

pub(crate) fn clock() -> Clock {
    static CLOCK: std::sync::OnceLock<Clock> = std::sync::OnceLock::new();
    *CLOCK.get_or_init(Clock::new)
}

pub(crate) fn room(name: &str) -> RoomId {
    RoomId::new(name).expect("a valid id")
}

pub(crate) fn seat(name: &str) -> SeatId {
    SeatId::new(name).expect("a valid id")
}

/// A hold that was made now.
pub(crate) fn held(client: &str, seq: u64) -> Held {
    let at = now().wall;
    let client = ClientId::new(client).expect("a valid id");
    Held {
        status: SeatStatus::Held,
        claim: None,
        client,
        user_info: r#"{"name":"Ana"}"#.into(),
        at,
        expires_at: at.after(HOLD_TTL_MS),
        seq,
        origin: Origin { address: seq, owner: seq + 1 },
    }
}

/// One change as a group.
pub(crate) fn delta(place: (&str, &str), held: Option<Held>) -> Deltas {
    let seats = [(seat(place.1), held)].into();
    [(room(place.0), RoomDelta { replace: false, seats, ..RoomDelta::default() })].into()
}

/// Redis at this address, in a namespace of its own.
pub(crate) fn redis_config(url: &str) -> RedisConfig {
    let settings = RedisSettings {
        url: Some(url.to_owned()),
        host: String::new(),
        port: 0,
        password: None,
        db: 0,
        namespace: "test".into(),
        lease_ms: 60_000,
        compat_keys: false,
        sentinels: Vec::new(),
        sentinel_master: String::new(),
        cluster_nodes: Vec::new(),
    };
    RedisConfig { settings, hold_ttl_ms: HOLD_TTL_MS, accepts_loss: true }
}

/// Opens Redis as a server with this name.
pub(crate) fn redis_opener(config: RedisConfig, name: &'static str) -> Opener {
    Box::new(move |wall| {
        let store = RedisStore::open(&config, &Arc::new(Identity::passing(name)), name, wall)?;
        Ok(Box::new(store) as Box<dyn Store>)
    })
}

/// Waits until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// A store thread and the places of its shards.
pub(crate) struct Rig {
    queue: Arc<Queue>,
    pub(crate) status: Arc<StoreStatus>,
    events: Receiver<StoreEvent>,
    thread: JoinHandle<()>,
    numbers: [u64; SHARDS],
}

impl Rig {
    /// Starts the thread in `window` mode and does not wait for the store.
    pub(crate) fn start(opener: Opener) -> Self {
        Self::start_as(opener, false, false)
    }

    pub(crate) fn start_as(opener: Opener, is_durable: bool, starts_without_store: bool) -> Self {
        let (queue, status) = (Arc::new(Queue::new(SHARDS)), Arc::new(StoreStatus::default()));
        let (sender, events) = channel();
        let setup = Setup {
            is_durable,
            starts_without_store,
            accepts_loss: false,
            hold_ttl_ms: HOLD_TTL_MS,
            is_user_info: |text| text.starts_with('{'),
            clock: clock(),
            log: None,
        };
        // A test that has ended no longer listens.
        let report = Box::new(move |event| drop(sender.send(event)));
        let thread = writer::start(setup, opener, Arc::clone(&queue), Arc::clone(&status), report).expect("a thread");
        Self { queue, status, events, thread, numbers: [0; SHARDS] }
    }

    /// What the store gave back.
    pub(crate) fn opened(&self) -> Restored {
        self.wait(
            "the store to open",
            |event| if let StoreEvent::Opened(restored) = event { Some(restored) } else { None },
        )
    }

    /// Offers a batch of the room's shard and returns its number.
    pub(crate) fn offer(&mut self, place: (&str, &str), held: Option<Held>) -> (ShardId, u64) {
        let shard = shard_of(place.0, SHARDS);
        self.numbers[shard.index()] += 1;
        let number = self.numbers[shard.index()];
        let mut batch = Batch::default();
        batch.put(&room(place.0), seat(place.1), held);
        let mut offer = Offer { number, batch, since: now().mono };
        let deadline = Instant::now() + PATIENCE;
        while let Err(back) = self.queue.offer(shard, offer) {
            assert!(Instant::now() < deadline, "the place of a shard stays taken");
            offer = back;
            std::thread::yield_now();
        }
        (shard, number)
    }

    /// What a shard hands over by itself, in place of [`Rig::offer`].
    pub(crate) fn pending(&self, shard: ShardId) -> Pending {
        Pending::new(shard, Arc::clone(&self.queue), Arc::clone(&self.status))
    }

    /// Offers a full state of a shard.
    pub(crate) fn offer_batch(&mut self, shard: ShardId, batch: Batch) {
        self.numbers[shard.index()] += 1;
        let offer = Offer { number: self.numbers[shard.index()], batch, since: now().mono };
        self.queue.offer(shard, offer).expect("the place is free");
    }

    /// Waits until a batch is committed, and says how long that took, without what the machine held it up by.
    pub(crate) fn committed(&self, (of, wanted): (ShardId, u64)) -> Duration {
        let started = Stopwatch::start();
        self.wait("a commit", |event| match event {
            StoreEvent::Committed { shard, number } => (shard == of && number >= wanted).then_some(()),
            StoreEvent::Opened(_)
            | StoreEvent::Waiting
            | StoreEvent::Refused(_)
            | StoreEvent::FullStateOwed
            | StoreEvent::Deposed(_) => None,
        });
        started.elapsed()
    }

    /// Offers, and waits until it is committed.
    pub(crate) fn store(&mut self, place: (&str, &str), held: Option<Held>) -> Duration {
        let batch = self.offer(place, held);
        self.committed(batch)
    }

    /// The first event that `pick` takes.
    pub(crate) fn wait<T>(&self, what: &str, mut pick: impl FnMut(StoreEvent) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    if let Some(found) = pick(event) {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("waited in vain for {what}: {:?}", self.figures())
                }
            }
        }
    }

    /// How long it takes until the figures are so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&StoreFigures) -> bool) -> Duration {
        let started = Stopwatch::start();
        let deadline = Instant::now() + PATIENCE;
        while !is_so(&self.figures()) {
            assert!(Instant::now() < deadline, "waited in vain until {what}: {:?}", self.figures());
            std::thread::park_timeout(Duration::from_millis(2));
        }
        started.elapsed()
    }

    pub(crate) fn figures(&self) -> StoreFigures {
        self.status.figures(now().mono)
    }

    /// Ends the thread as the end of a server does.
    pub(crate) fn finish(self) {
        self.queue.close();
        self.thread.join().expect("the store thread does not panic");
    }

    /// Leaves everything as a crash would: nothing more is committed, nothing is given back. The thread stays behind.
    pub(crate) fn crash(self) {
        drop(self.events);
    }
}
