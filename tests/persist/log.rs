//! What a store has of the log: what its readers see, before a restart and after it.

use std::path::Path;
use std::sync::Arc;

use butaca::acts::event::{Event, Number, Placed};
use butaca::acts::ring::Ring;
use butaca::engine::ids::ShardId;
use butaca::persist::batch::{Batch, Logged};
use butaca::persist::queue::Offer;
use butaca::persist::stores::embedded::EmbeddedStore;
use butaca::persist::stores::identity::Identity;
use butaca::persist::stores::redis::RedisStore;
use butaca::persist::stores::store::Store;
use butaca::persist::thread::pump::Pump;

use crate::redis_server::RedisServer;
use crate::rig::{held, now, redis_config, room, seat};

/// Events that the log keeps.
const KEPT: usize = 5;

fn embedded(dir: &Path) -> Box<dyn Store> {
    Box::new(EmbeddedStore::open(dir, None, false).expect("it is ours"))
}

fn redis(server: &RedisServer) -> Box<dyn Store> {
    let identity = Arc::new(Identity::passing("one"));
    Box::new(RedisStore::open(&redis_config(&server.url()), &identity, "one", now().wall).expect("it is ours"))
}

/// One shard, its store thread's pump and the log, in one life of a server.
struct Life {
    store: Box<dyn Store>,
    ring: Arc<Ring>,
    pump: Pump,
    number: u64,
}

impl Life {
    fn begin(mut store: Box<dyn Store>) -> Self {
        let ring = Arc::new(Ring::new(KEPT));
        let log = store.load().expect("it is there").log;
        assert!(log.len() < 3 * KEPT, "what is gone stays gone: {}", log.len());
        ring.open(log, now().wall);
        let pump = Pump::new(1).with_log(Some(Arc::clone(&ring)));
        Self { store, ring, pump, number: 0 }
    }

    /// One commit with these events: of which room, and its number there.
    fn commit(&mut self, events: &[(&str, u64)], has_gap: bool) {
        let mut batch = Batch::default();
        let told = |&(name, n): &(&str, u64)| {
            batch.put(&room(name), seat(&format!("{n}")), Some(held("ana", n)));
            let text = format!("{{\"room\":\"{name}\",\"n\":{n}}}").into();
            Event { room: room(name), n, number: Number::Passing, text }
        };
        let events = events.iter().map(told).collect();
        batch.log(Logged { events, has_gap });
        self.number += 1;
        let offer = Offer { number: self.number, batch, since: now().mono };
        self.pump.add(vec![(ShardId::new(0), offer)], now().wall);
        self.pump.commit(&mut *self.store, now().wall).expect("it is there");
    }

    /// What readers see from the beginning: where each event stands, and what it says.
    fn seen(&self) -> Vec<(u64, Arc<str>)> {
        self.ring.read(None, 100, None).expect("from the beginning").events
    }

    /// Whether who has read up to there may read on.
    fn reads_on(&self, place: u64) -> bool {
        self.ring.read(Some(place), 100, None).is_ok()
    }
}

/// Whatever is committed, in pieces of whatever size: after a restart readers see what they saw before it.
fn is_seen_again(mut open: impl FnMut() -> Box<dyn Store>) {
    let mut numbers = [0_u64; 3];
    let mut life = Life::begin(open());
    for commit in 0..12_usize {
        let mut events = Vec::new();
        // The third room is one of the first commit alone.
        for _ in 0..=commit % 3 {
            let of = if commit == 0 { 2 } else { (commit + events.len()) % 2 };
            numbers[of] += 1;
            events.push((["a", "b", "c"][of], numbers[of]));
        }
        life.commit(&events, false);
        let before = life.seen();
        drop(life);
        life = Life::begin(open());
        assert_eq!(life.seen(), before, "after commit {commit}");
        // Who was too late stays so.
        let (first, _) = before[0];
        assert!(commit < 5 || !life.reads_on(first - 2), "after commit {commit}");
    }
    assert_eq!(life.seen().len(), KEPT);
}

/// Some events are lost while the store is away: nobody may read on over that, also after a restart.
fn has_a_gap_for_ever(mut open: impl FnMut() -> Box<dyn Store>) {
    for is_alone in [false, true] {
        let mut life = Life::begin(open());
        life.commit(&[("a", 1), ("b", 1)], false);
        let (last, _) = *life.seen().last().expect("some were committed");
        let events: &[_] = if is_alone { &[] } else { &[("a", 2)] };
        life.commit(events, true);
        assert!(!life.reads_on(last));
        life.commit(&[("b", 9)], false);
        let before = life.seen();
        assert_eq!(before.len(), 1);
        drop(life);
        let life = Life::begin(open());
        assert_eq!((life.seen(), life.reads_on(last)), (before, false));
    }
}

#[test]
fn readers_of_the_embedded_store_see_the_same_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    is_seen_again(|| embedded(dir.path()));
    let dir = tempfile::tempdir().expect("a directory");
    has_a_gap_for_ever(|| embedded(dir.path()));
}

#[test]
fn readers_of_redis_see_the_same_after_a_restart() {
    let server = RedisServer::start();
    is_seen_again(|| redis(&server));
    let server = RedisServer::start();
    has_a_gap_for_ever(|| redis(&server));
}

/// A commit is one record of the log, however many events it has: a record costs more than what is in it.
#[test]
fn a_commit_is_one_record_of_each_part() {
    let server = RedisServer::start();
    let mut life = Life::begin(redis(&server));
    let events: Vec<(&str, u64)> = (1..=KEPT as u64).map(|n| ("a", n)).collect();
    life.commit(&events, false);
    let keys: Vec<String> = server.ask(&["KEYS", "*:log"]);
    let lengths: Vec<u64> = keys.iter().map(|key| server.ask(&["XLEN", key])).collect();
    assert_eq!(lengths, [1]);
    let log: Vec<Placed> = life.store.load().expect("it is there").log;
    assert_eq!(log.len(), KEPT);
}
