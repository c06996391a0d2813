//! What the store thread does against a Redis of its own: `cargo bench -p benches --bench store`. Needs `redis-server`.
//!
//! Rate: shards that offer full batches as fast as they are taken. Wait: one change at a time, as in durable mode,
//! beside what a round trip costs by itself.

#![allow(clippy::disallowed_methods, reason = "a benchmark needs a clock")]

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use butaca::clock::Clock;
use butaca::config::RedisSettings;
use butaca::engine::command::SeatStatus;
use butaca::engine::ids::{ClientId, Origin, RoomId, SeatId, ShardId, shard_of};
use butaca::limits::HOLD_TTL_MS;
use butaca::limits::store::REDIS_LEASE_MS;
use butaca::persist::batch::Batch;
use butaca::persist::queue::{Offer, Queue};
use butaca::persist::record::Held;
use butaca::persist::status::StoreStatus;
use butaca::persist::stores::embedded::EmbeddedStore;
use butaca::persist::stores::embedded::sync_behind::Behind;
use butaca::persist::stores::identity::Identity;
use butaca::persist::stores::redis::{RedisConfig, RedisStore};
use butaca::persist::stores::store::Store;
use butaca::persist::thread::writer::{self, Opener, Setup, StoreEvent};

use kit::redis_server::RedisServer;

const SHARDS: usize = 2;
const BATCH: usize = 4_096;
const RATE_FOR: Duration = Duration::from_secs(3);
const WAITS: usize = 3_000;

/// The store thread, and the shards' side of it.
struct Bench {
    queue: Arc<Queue>,
    events: Receiver<StoreEvent>,
    status: Arc<StoreStatus>,
    thread: std::thread::JoinHandle<()>,
    clock: Clock,
    rooms: Vec<Vec<RoomId>>,
    made: u64,
}

impl Bench {
    fn start(opener: Opener, is_durable: bool) -> Self {
        let (queue, status, clock) = (Arc::new(Queue::new(SHARDS)), Arc::new(StoreStatus::default()), Clock::new());
        let (sender, events) = channel();
        let is_user_info = |text: &str| text.starts_with('{');
        let setup = Setup {
            is_durable,
            starts_without_store: false,
            accepts_loss: false,
            hold_ttl_ms: HOLD_TTL_MS,
            is_user_info,
            clock,
            log: None,
        };
        let report = Box::new(move |event| drop(sender.send(event)));
        let thread = writer::start(setup, opener, Arc::clone(&queue), Arc::clone(&status), report).expect("a thread");
        let names = (0..500).map(|n| format!("room {n}"));
        let mut rooms = vec![Vec::new(); SHARDS];
        names.for_each(|name| rooms[shard_of(&name, SHARDS).index()].push(RoomId::new(&name).expect("a valid id")));
        let opened = events.recv().expect("it opens");
        assert!(matches!(opened, StoreEvent::Opened(_)), "{opened:?}");
        Self { queue, events, status, thread, clock, rooms, made: 0 }
    }

    /// A batch of a shard: of four changes one frees a seat.
    fn batch(&mut self, shard: usize, changes: usize) -> Batch {
        let (now, mut batch) = (self.clock.now().wall, Batch::default());
        for _ in 0..changes {
            self.made += 1;
            let n = usize::try_from(self.made).expect("few");
            let held = Held {
                status: SeatStatus::Held,
                claim: None,
                client: ClientId::new(&format!("client {}", n % 5_000)).expect("a valid id"),
                user_info: r#"{"name":"Ana"}"#.into(),
                at: now,
                expires_at: now.after(HOLD_TTL_MS),
                seq: self.made,
                origin: Origin::UNKNOWN,
            };
            let rooms = &self.rooms[shard];
            let seat = SeatId::new(&format!("row {} seat {}", n % 40, n / 7 % 50)).expect("a valid id");
            batch.put(&rooms[n % rooms.len()], seat, (n % 4 != 0).then_some(held));
        }
        batch
    }

    fn offer(&mut self, shard: usize, number: u64, batch: Batch) {
        let mut offer = Offer { number, batch, since: self.clock.now().mono };
        while let Err(back) = self.queue.offer(ShardId::new(shard), offer) {
            offer = back;
            std::thread::yield_now();
        }
    }

    fn rate(mut self, what: &str) {
        let (began, mut number) = (Instant::now(), 0);
        while began.elapsed() < RATE_FOR {
            number += 1;
            for shard in 0..SHARDS {
                let batch = self.batch(shard, BATCH);
                self.offer(shard, number, batch);
            }
        }
        let (took, figures) = (began.elapsed(), self.status.figures(self.clock.now().mono));
        let rate = figures.changes as f64 / took.as_secs_f64();
        println!(
            "{what}: {rate:.0} changes/s; {} commits, {} changes in the median one, {} us p50, {} us p99",
            figures.commits,
            figures.group_entries.quantile(500),
            figures.commit_us.quantile(500),
            figures.commit_us.quantile(990)
        );
        self.finish();
    }

    fn wait(mut self, what: &str) {
        let mut waits = Vec::new();
        for number in 1..=WAITS as u64 {
            let batch = self.batch(0, 1);
            let began = Instant::now();
            self.offer(0, number, batch);
            while !matches!(self.events.recv(), Ok(StoreEvent::Committed { .. })) {}
            waits.push(began.elapsed());
        }
        waits.sort();
        let commit = self.status.figures(self.clock.now().mono).commit_us;
        println!(
            "{what}: one change waits {:?} p50, {:?} p99; its commit takes {} us p50, {} us p99",
            waits[WAITS / 2],
            waits[WAITS * 99 / 100],
            commit.quantile(500),
            commit.quantile(990)
        );
        self.finish();
    }

    fn finish(self) {
        self.queue.close();
        self.thread.join().expect("the store thread does not panic");
    }
}

fn redis(server: &RedisServer) -> Opener {
    let settings = RedisSettings {
        url: Some(server.url()),
        host: String::new(),
        port: 0,
        password: None,
        db: 0,
        namespace: "bench".into(),
        lease_ms: REDIS_LEASE_MS,
        compat_keys: false,
        sentinels: Vec::new(),
        sentinel_master: String::new(),
        cluster_nodes: Vec::new(),
    };
    let config = RedisConfig { settings, hold_ttl_ms: HOLD_TTL_MS, accepts_loss: true };
    let identity = Arc::new(Identity::passing("bench"));
    Box::new(move |wall| Ok(Box::new(RedisStore::open(&config, &identity, "bench", wall)?) as Box<dyn Store>))
}

fn main() {
    let kinds: [(&str, &[&str]); 3] = [
        ("Redis without files", &["--save", "", "--appendonly", "no"]),
        ("Redis with appendfsync everysec", &["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]),
        ("Redis with appendfsync always", &["--save", "", "--appendonly", "yes", "--appendfsync", "always"]),
    ];
    for (what, args) in kinds {
        let server = RedisServer::start_with(args);
        Bench::start(redis(&server), false).rate(&format!("{what}, window"));
        Bench::start(redis(&server), true).wait(&format!("{what}, durable"));
    }
    for is_durable in [false, true] {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().to_owned();
        let behind = (!is_durable).then(|| Behind::new(Arc::default(), Clock::new()));
        let open = move || EmbeddedStore::open(&path, behind.clone(), false);
        let opener: Opener = Box::new(move |_| Ok(Box::new(open()?) as Box<dyn Store>));
        let bench = Bench::start(opener, is_durable);
        if is_durable { bench.wait("embedded, durable") } else { bench.rate("embedded, window") }
    }
}
