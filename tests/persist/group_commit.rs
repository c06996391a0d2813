//! Orders that come while a commit goes on share the next one, in both stores and both modes: a sale is bound by what
//! the disk takes, not by how often it is asked.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use butaca::engine::command::{Kept, KeptEntry, KeptOrder, OrderState};
use butaca::engine::ids::{ClientId, OrderId, RoomId, ShardId, shard_of};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{Rules, Shard};
use butaca::engine::time::WallMillis;
use butaca::persist::batch::Deltas;
use butaca::persist::shard::pending::Pending;
use butaca::persist::stores::embedded::EmbeddedStore;
use butaca::persist::stores::store::{Continuity, Loaded, LogShare, Store, StoreError};
use butaca::persist::thread::writer::Opener;

use crate::redis_server::RedisServer;
use crate::rig::{HOLD_TTL_MS, Rig, SHARDS, now, redis_config, redis_opener, room, seat};

/// Orders of each shard that come while the first is committed.
const CROWD: usize = 20;

/// A store that says when a commit begins, and begins it when it may.
struct Slow {
    store: Box<dyn Store>,
    /// How many orders the commit has.
    begins: Sender<usize>,
    may: Receiver<()>,
}

impl Store for Slow {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        self.store.load()
    }

    fn rooms(&mut self) -> Result<Vec<RoomId>, StoreError> {
        self.store.rooms()
    }

    fn commit_logged(&mut self, deltas: &Deltas, log: LogShare<'_>, now: WallMillis) -> Result<Continuity, StoreError> {
        assert!(log.is_awaited, "answers wait for it, so it is synced");
        let orders = deltas.values().flat_map(|delta| delta.beside.values().flatten());
        let orders = orders.filter(|entry| matches!(entry, KeptEntry::Order(..))).count();
        self.begins.send(orders).expect("the test listens");
        self.may.recv().expect("the test says when");
        self.store.commit_logged(deltas, log, now)
    }

    fn renew(&mut self, now: WallMillis) -> Result<Continuity, StoreError> {
        self.store.renew(now)
    }

    fn lease_ms(&self) -> u64 {
        self.store.lease_ms()
    }

    fn close(&mut self) {
        self.store.close();
    }
}

/// One shard's side: what it decides goes to the store thread turn by turn.
struct Seller {
    id: ShardId,
    pending: Pending,
    seats: Shard,
    room: RoomId,
    sold: usize,
}

impl Seller {
    fn new(rig: &Rig, id: ShardId) -> Self {
        let name = (0..).map(|n: u32| format!("room {n}")).find(|name| shard_of(name, SHARDS) == id);
        let rules = Rules { hold_ttl_ms: HOLD_TTL_MS, seats_per_client_max: 0 };
        let seats = Shard::new(id, SHARDS, Seeds::replayed(1, id), rules);
        Self { id, pending: rig.pending(id), seats, room: room(&name.expect("rooms are spread")), sold: 0 }
    }

    /// An order is booked, an answer waits for that, and a turn ends. Returns the number of its batch.
    fn sell(&mut self) -> u64 {
        self.sold += 1;
        let id = OrderId::new(&format!("order {}", self.sold)).expect("a name");
        let order = KeptOrder {
            owner: None,
            client: ClientId::new("till").expect("a name"),
            state: OrderState::Booked,
            seats: vec![seat(&format!("seat {}", self.sold))],
            refunded: Vec::new(),
            expires_at: None,
        };
        let entry = KeptEntry::Order(id, Some(order.into()));
        let number = self.pending.number();
        self.pending.keep(now().mono, &Kept { room: self.room.clone(), entry });
        self.pending.expect();
        self.turn();
        number
    }

    fn turn(&mut self) {
        self.pending.flush(now().mono, &self.seats);
    }
}

fn check(mut opener: Opener, is_durable: bool) {
    let ((begins, begun), (may, waits)) = (channel(), channel());
    let mut waits = Some(waits);
    let opener: Opener = Box::new(move |wall| {
        let (begins, may) = (begins.clone(), waits.take().expect("it is opened once"));
        Ok(Box::new(Slow { store: opener(wall)?, begins, may }) as Box<dyn Store>)
    });
    let rig = Rig::start_as(opener, is_durable, false);
    rig.opened();
    let mut sellers: Vec<Seller> = (0..SHARDS).map(|id| Seller::new(&rig, ShardId::new(id))).collect();
    sellers[0].sell();
    assert_eq!(begun.recv(), Ok(1), "nobody waits for company");
    let mut last = [0; SHARDS];
    for _ in 0..CROWD {
        sellers.iter_mut().zip(&mut last).for_each(|(seller, last)| *last = seller.sell());
    }
    // The first of each shard has left before the others came, which share one batch a shard.
    for expected in [SHARDS, SHARDS * (CROWD - 1)] {
        may.send(()).expect("a commit waits");
        assert_eq!(begun.recv(), Ok(expected));
        sellers.iter_mut().for_each(Seller::turn);
    }
    may.send(()).expect("a commit waits");
    for (seller, last) in sellers.iter().zip(last) {
        rig.committed((seller.id, last));
    }
    rig.finish();
}

fn embedded(dir: &Path) -> Opener {
    let dir = dir.to_owned();
    Box::new(move |_| Ok(Box::new(EmbeddedStore::open(&dir, None, false)?) as Box<dyn Store>))
}

#[test]
fn orders_share_a_commit_of_the_embedded_store() {
    for is_durable in [true, false] {
        let dir = tempfile::tempdir().expect("a directory");
        check(embedded(dir.path()), is_durable);
    }
}

#[test]
fn orders_share_a_commit_of_redis() {
    for is_durable in [true, false] {
        let server = RedisServer::start();
        check(redis_opener(redis_config(&server.url()), "one"), is_durable);
    }
}
