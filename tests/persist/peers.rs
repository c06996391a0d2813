//! The threads of two nodes on one real Redis, with shards that say yes to everything: parts are taken, handed over and
//! given back, what is committed is there, letters and events reach the other node.

use std::collections::BTreeMap;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use butaca::acts::event::{Event, Number};
use butaca::acts::ring::Ring;
use butaca::auth::session::SessionTokens;
use butaca::cluster::entry::Letter;
use butaca::cluster::names::{NodeName, PartId};
use butaca::engine::ids::{RoomId, ShardId, Spread, part_of};
use butaca::peers::{Peers, Reads, Setup, Shards, Verdict, Writes};
use butaca::persist::batch::{Batch, Logged};
use butaca::persist::link::StoreLink;
use butaca::persist::parts::{PartAck, PartLink, PartNews};
use butaca::persist::queue::Offer;
use butaca::persist::stores::redis::parts::{PartStore, PartsConfig};
use butaca::persist::thread::restore::Restored;

use crate::redis_server::RedisServer;
use crate::rig::{HOLD_TTL_MS, clock, held, redis_config, seat, until};

const PARTS: u16 = 8;
const SHARDS: usize = 2;
const LEASE_MS: u64 = 2_000;

/// What the shards of a node were told.
#[derive(Default)]
struct Told {
    /// Where each part is.
    moved: BTreeMap<PartId, Option<ShardId>>,
    /// How many rooms each part had when it was loaded.
    loaded: BTreeMap<PartId, usize>,
    letters: Vec<(ShardId, String)>,
    ended: u64,
    is_drained: bool,
    replaced: Option<String>,
}

#[derive(Clone)]
struct Fakes {
    parts: Arc<PartLink<String>>,
    told: Arc<Mutex<Told>>,
    verdict: Sender<Verdict>,
}

struct Plain(usize);

impl Writes<String> for Plain {
    fn write(&mut self, to: ShardId, letter: &String, out: &mut Vec<Letter>) -> bool {
        let to = u8::try_from(to.index() - self.0).expect("small");
        out.push(Letter { kind: to, bytes: letter.clone().into_bytes() });
        true
    }

    fn finish(&mut self, _: &mut Vec<Letter>) {}
}

impl Reads<String> for Plain {
    fn read(&mut self, letter: &Letter) -> Result<Option<(ShardId, String)>, String> {
        let text = String::from_utf8(letter.bytes.clone()).map_err(|why| why.to_string())?;
        Ok(Some((ShardId::new(letter.kind.into()), text)))
    }

    fn hole(&mut self) {}
}

impl Shards for Fakes {
    type Letter = String;
    type Writer = Plain;
    type Reader = Plain;

    fn tell(&self, to: ShardId, news: PartNews) -> Result<(), PartNews> {
        let mut told = self.told.lock().expect("nobody panics with the lock");
        match news {
            PartNews::Load { part, fence, stored } => {
                told.loaded.insert(part, stored.rooms.len() + stored.holds.len());
                self.parts.ack(PartAck::Loaded { part, fence });
            }
            PartNews::Freeze { part, fence } => self.parts.ack(PartAck::Settled { part, fence }),
            PartNews::Forget { part, fence } => self.parts.ack(PartAck::Forgotten { part, fence }),
            PartNews::Ended { of } => {
                told.ended += 1;
                self.parts.ack(PartAck::Purged { shard: to, of });
            }
            PartNews::Moved { part, to } => _ = told.moved.insert(part, to),
            PartNews::Serve { .. } | PartNews::Rewrite { .. } | PartNews::Hole { .. } => {}
        }
        Ok(())
    }

    fn deliver(&self, to: ShardId, letter: String) -> Result<(), String> {
        self.told.lock().expect("nobody panics with the lock").letters.push((to, letter));
        Ok(())
    }

    fn wake(&self, _: ShardId) {}

    fn writer(&self, base: usize, _: usize) -> Plain {
        Plain(base)
    }

    fn reader(&self, base: usize, _: usize) -> Plain {
        Plain(base)
    }

    fn furnish(&self, _: &mut Restored) {}

    fn decided(&self, verdict: Verdict) {
        drop(self.verdict.send(verdict));
    }

    fn drained(&self) {
        self.told.lock().expect("nobody panics with the lock").is_drained = true;
    }

    fn replaced(&self, line: String) {
        self.told.lock().expect("nobody panics with the lock").replaced = Some(line);
    }
}

struct Node {
    peers: Peers,
    link: Arc<StoreLink>,
    parts: Arc<PartLink<String>>,
    told: Arc<Mutex<Told>>,
    log: Arc<Ring>,
}

fn config(server: &RedisServer) -> PartsConfig {
    let settings = redis_config(&server.url()).settings;
    PartsConfig { settings, hold_ttl_ms: HOLD_TTL_MS, lease_ms: LEASE_MS, log_events_max: 100 }
}

impl Node {
    fn try_start(server: &RedisServer, name: &str, parts: u16) -> Result<Self, (u8, String)> {
        let (verdict, verdicts) = channel();
        let link = Arc::new(StoreLink::new(SHARDS));
        let spread = Spread::over(SHARDS).with_parts(parts);
        let parts_link = Arc::new(PartLink::new(spread, LEASE_MS));
        let (told, log) = (Arc::<Mutex<Told>>::default(), Arc::new(Ring::new(100)));
        let setup = Setup {
            redis: config(server),
            node: NodeName::new(name).expect("a name"),
            parts,
            is_durable: true,
            accepts_loss: false,
            is_user_info: |_| true,
            clock: clock(),
            log: Arc::clone(&log),
            tokens: SessionTokens::new([1, 2]),
            fresh: [3, 4],
        };
        let shards = Fakes { parts: Arc::clone(&parts_link), told: Arc::clone(&told), verdict };
        let peers = Peers::start(setup, shards, &link, &parts_link).expect("threads");
        verdicts.recv().expect("it says something")?;
        Ok(Self { peers, link, parts: parts_link, told, log })
    }

    fn start(server: &RedisServer, name: &str) -> Self {
        Self::try_start(server, name, PARTS).expect("it starts")
    }

    /// The parts about which this node decides.
    fn decides(&self) -> Vec<u16> {
        let now = clock().now().mono;
        (0..PARTS).filter(|part| self.parts.may_decide(PartId(*part), now)).collect()
    }

    /// One of its shards hands over a batch.
    fn offer(&self, shard: ShardId, number: u64, batch: Batch) {
        let since = clock().now().mono;
        self.link.queue.offer(shard, Offer { number, batch, since }).expect("its place is free");
    }
}

/// A room of this part.
fn room_of(part: u16) -> RoomId {
    let names = (0..).map(|n| format!("room {n}"));
    let name = names.into_iter().find(|name| part_of(name, PARTS) == part).expect("one of many");
    RoomId::new(&name).expect("an id")
}

fn shard_of(part: u16) -> ShardId {
    Spread::over(SHARDS).with_parts(PARTS).shard_of_part(part)
}

#[test]
fn two_nodes_share_parts_mail_and_the_log_and_one_leaves_with_nothing_lost() {
    let server = RedisServer::start();
    let one = Node::start(&server, "one");
    until("a node by itself has everything", || one.decides().len() == usize::from(PARTS));

    // What it commits is there, with its event.
    let (room, shard) = (room_of(3), shard_of(3));
    let mut batch = Batch::default();
    batch.put(&room, seat("1"), Some(held("ana", 1)));
    let event = Event { room: room.clone(), n: 1, number: Number::Passing, text: "{\"n\":1}".into() };
    batch.log(Logged { events: vec![event], has_gap: false });
    one.offer(shard, 1, batch);
    until("the batch is committed", || one.link.committed(shard) == 1);
    until("its event is shown", || one.log.read(None, 10, None).is_ok_and(|page| page.events.len() == 1));

    // Another one gets its share, and no part is with both.
    let two = Node::start(&server, "two");
    until("both have some", || {
        // In this order: parts go from the first one to the second one.
        let of_two = two.decides();
        let of_one = one.decides();
        assert!(of_one.iter().all(|part| !of_two.contains(part)), "{of_one:?} and {of_two:?}");
        !of_one.is_empty() && !of_two.is_empty() && of_one.len() + of_two.len() == usize::from(PARTS)
    });
    let page = two.log.read(None, 10, None).expect("it begins there");
    assert_eq!(page.events, one.log.read(None, 10, None).expect("it begins there").events);
    let of_two = two.decides();
    let where_is = |part: u16| one.told.lock().expect("nobody panics with the lock").moved[&PartId(part)];
    let elsewhere = || of_two.iter().all(|part| where_is(*part).is_some_and(|to| to.index() >= SHARDS));
    until("the first one knows where they are", elsewhere);

    // Letters go to whom they are addressed.
    let part = of_two[0];
    let to = where_is(part).expect("somebody has it");
    one.parts.post(ShardId::new(0), to, &mut vec!["hello".into(), "again".into()]);
    let expected = ["hello", "again"].map(|text| (shard_of(part), text.to_owned()));
    until("the letters are there", || two.told.lock().expect("nobody panics with the lock").letters == expected);

    // The first one leaves.
    one.peers.drain()();
    until("all is handed over", || one.told.lock().expect("nobody panics with the lock").is_drained);
    until("the second one has everything", || two.decides().len() == usize::from(PARTS));
    assert!(one.decides().is_empty());
    one.peers.finish();
    assert_eq!(
        two.told.lock().expect("nobody panics with the lock").loaded[&PartId(3)],
        1,
        "the hold came with its part"
    );
    until("it is noticed that the first one has gone", || {
        two.told.lock().expect("nobody panics with the lock").ended >= SHARDS as u64
    });
    two.peers.finish();
}

#[test]
fn a_node_lives_through_a_redis_that_dies_and_takes_everything_again() {
    let mut server = RedisServer::start();
    let node = Node::start(&server, "one");
    until("it has everything", || node.decides().len() == usize::from(PARTS));
    server.kill();
    until("it notices", || !node.link.status.is_connected());
    until("its leases are over", || node.decides().is_empty());
    let (room, shard) = (room_of(5), shard_of(5));
    let mut batch = Batch::default();
    batch.put(&room, seat("1"), Some(held("ana", 1)));
    node.offer(shard, 1, batch);
    server.restart(&["--save", "", "--appendonly", "no"]);
    until("it has everything again", || node.decides().len() == usize::from(PARTS));
    until("its batch is done with", || node.link.committed(shard) == 1);
    node.peers.finish();
    let mut store = PartStore::new(&config(&server)).expect("the address is good");
    store.load(&[PartId(5)], clock().now().wall).expect("it answers");
}

#[test]
fn a_namespace_of_others_is_refused_with_one_line() {
    let server = RedisServer::start();
    let one = Node::start(&server, "one");
    let refused = Node::try_start(&server, "two", PARTS + 1).err();
    assert_eq!(refused, Some((78, "PARTS=9: the Redis namespace \"test\" has 8 parts".into())));
    server.ask::<String>(&["SET", "{test:lease}:token", "7"]);
    let refused = Node::try_start(&server, "two", PARTS).err();
    assert_eq!(refused, Some((78, "CLUSTER=1: a single server uses the Redis namespace \"test\"".into())));
    let again = RedisServer::start();
    let (older, newer) = (Node::start(&again, "one"), Node::start(&again, "one"));
    until("it is told that it is replaced", || {
        older.told.lock().expect("nobody panics with the lock").replaced.is_some()
    });
    assert!(newer.told.lock().expect("nobody panics with the lock").replaced.is_none());
    [one, older, newer].into_iter().for_each(|node| node.peers.finish());
}
