//! Redis as a store: what is written, how it is read back, and what stays behind.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use butaca::engine::ids::{ShardId, shard_of};
use butaca::limits::store::{REDIS_KEEP_MS, REDIS_SEATS_PER_CALL_MAX};
use butaca::persist::batch::{Batch, Deltas, RoomDelta};
use butaca::persist::stores::identity::Identity;
use butaca::persist::stores::redis::RedisStore;
use butaca::persist::stores::store::{Continuity, Store, StoreError};

use crate::proxy::{Fault, Proxy};
use crate::redis_server::RedisServer;
use crate::rig::{HOLD_TTL_MS, Rig, SHARDS, delta, held, now, redis_config, redis_opener, room, seat};
use crate::stopwatch::Stopwatch;

fn open(server: &RedisServer) -> RedisStore {
    RedisStore::open(&redis_config(&server.url()), &Arc::new(Identity::passing("one")), "one", now().wall)
        .expect("it is ours")
}

#[test]
fn what_was_committed_is_loaded_and_what_was_freed_is_not() {
    let server = RedisServer::start();
    let mut store = open(&server);
    let places = [("x:y", "z"), ("x", "y:z"), ("{room}", "\u{1F3AD} 1"), ("a b", "}{")];
    for (n, place) in places.into_iter().enumerate() {
        store.commit(&delta(place, Some(held("ana", n as u64))), now().wall).expect("it is there");
    }
    store.commit(&delta(("x", "gone"), Some(held("ana", 9))), now().wall).expect("it is there");
    store.commit(&delta(("x", "gone"), None), now().wall).expect("it is there");
    let loaded = store.load().expect("it is there");
    let found: BTreeSet<_> = loaded.holds.iter().map(|hold| (hold.room.as_str(), hold.seat.as_str())).collect();
    assert_eq!(found, places.into_iter().collect());
    assert_eq!(loaded.skipped, 0);
}

#[test]
fn every_key_expires() {
    let server = RedisServer::start();
    let mut config = redis_config(&server.url());
    config.settings.compat_keys = true;
    let mut store =
        RedisStore::open(&config, &Arc::new(Identity::passing("one")), "one", now().wall).expect("it is ours");
    for n in 0..100 {
        store.commit(&delta((&format!("room {n}"), "1"), Some(held("ana", 1))), now().wall).expect("it is there");
    }
    store.renew(now().wall).expect("it is there");
    let keys: Vec<String> = server.ask(&["KEYS", "*"]);
    assert!(keys.len() > 200);
    let stated = i64::try_from(HOLD_TTL_MS + REDIS_KEEP_MS).expect("short");
    for key in &keys {
        let left: i64 = server.ask(&["PTTL", key]);
        assert!(left > 0 && left <= stated, "{key} lives for {left} ms");
    }
    let compat: String = server.ask(&["GET", "selection:room 1:1"]);
    assert!(compat.contains(r#""seat_id":"1""#), "{compat}");
    store.commit(&delta(("room 1", "1"), None), now().wall).expect("it is there");
    let left: i64 = server.ask(&["EXISTS", "selection:room 1:1"]);
    assert_eq!(left, 0);
}

#[test]
fn damaged_and_unknown_records_are_skipped() {
    let server = RedisServer::start();
    let mut store = open(&server);
    for n in 0..4 {
        store.commit(&delta(("room", &format!("{n}")), Some(held("ana", n))), now().wall).expect("it is there");
    }
    let keys: Vec<String> = server.ask(&["KEYS", "*:room:room"]);
    let [key] = keys.as_slice() else { panic!("{keys:?}") };
    let _: i64 = server.ask(&["HSET", key, "1", "nonsense", "2", "", "alien", "\u{1}\u{2}"]);
    let loaded = store.load().expect("it is there");
    assert_eq!((loaded.holds.len(), loaded.skipped), (2, 3));
}

#[test]
fn a_room_larger_than_a_call_is_replaced_as_a_whole() {
    let server = RedisServer::start();
    let mut store = open(&server);
    let seats = REDIS_SEATS_PER_CALL_MAX * 3 + 1;
    let full = |prefix: &str| {
        let seats = (0..seats).map(|n| (seat(&format!("{prefix}{n}")), Some(held("ana", 1)))).collect();
        Deltas::from([(room("big"), RoomDelta { replace: true, seats, ..RoomDelta::default() })])
    };
    store.commit(&full("a"), now().wall).expect("it is there");
    store.commit(&full("b"), now().wall).expect("it is there");
    let loaded = store.load().expect("it is there");
    assert_eq!(loaded.holds.len(), seats);
    assert!(loaded.holds.iter().all(|hold| hold.seat.as_str().starts_with('b')));
}

/// A store whose way to Redis leads through a proxy.
fn open_through_proxy(server: &RedisServer) -> (RedisStore, Proxy) {
    let proxy = Proxy::start(&server.socket());
    let identity = Arc::new(Identity::passing("one"));
    let store = RedisStore::open(&redis_config(&proxy.url()), &identity, "one", now().wall).expect("it is ours");
    (store, proxy)
}

/// How many scripts the server has run.
fn scripts_run(server: &RedisServer) -> u64 {
    let info: String = server.ask(&["INFO", "commandstats"]);
    let calls = info.lines().find_map(|line| line.strip_prefix("cmdstat_eval:calls="));
    calls.and_then(|rest| rest.split(',').next()).map_or(0, |calls| calls.parse().expect("a number"))
}

#[test]
fn a_commit_that_was_given_up_and_comes_late_changes_nothing() {
    let server = RedisServer::start();
    let (mut store, proxy) = open_through_proxy(&server);
    store.commit(&delta(("room", "1"), Some(held("ana", 1))), now().wall).expect("it is there");
    proxy.set(Fault::Late);
    let given_up = delta(("room", "1"), None);
    assert!(matches!(store.commit(&given_up, now().wall), Err(StoreError::Away(_))));
    store.commit(&given_up, now().wall).expect("a new connection is well");
    store.commit(&delta(("room", "1"), Some(held("eve", 3))), now().wall).expect("it is there");
    let before = scripts_run(&server);
    proxy.set(Fault::None);
    let deadline = Instant::now() + Duration::from_secs(20);
    while scripts_run(&server) == before {
        assert!(Instant::now() < deadline, "the late request does not come");
    }
    let loaded = store.load().expect("it is there");
    assert_eq!(loaded.holds.len(), 1, "the seat is hers");
    let next = store.commit(&delta(("room", "2"), Some(held("eve", 4))), now().wall);
    assert_eq!(next, Ok(Continuity::Kept));
}

#[test]
fn a_loss_is_told_until_it_was_heard() {
    let server = RedisServer::start();
    let (mut store, proxy) = open_through_proxy(&server);
    let change = |n| delta(("room", "1"), Some(held("ana", n)));
    store.commit(&change(1), now().wall).expect("it is there");
    let _: String = server.ask(&["FLUSHALL"]);
    proxy.set(Fault::Mute);
    assert!(matches!(store.commit(&change(2), now().wall), Err(StoreError::Away(_))));
    proxy.set(Fault::None);
    assert_eq!(store.commit(&change(2), now().wall), Ok(Continuity::Lost));
    assert_eq!(store.commit(&change(3), now().wall), Ok(Continuity::Kept));
}

#[test]
fn a_room_larger_than_a_call_is_never_seen_half_replaced() {
    let server = RedisServer::start();
    let mut store = open(&server);
    let seats = REDIS_SEATS_PER_CALL_MAX * 3 + 1;
    let full = |client: &str| {
        let seats = (0..seats).map(|n| (seat(&format!("{n}")), Some(held(client, 1)))).collect();
        Deltas::from([(room("big"), RoomDelta { replace: true, seats, ..RoomDelta::default() })])
    };
    store.commit(&full("ana"), now().wall).expect("it is there");
    let keys: Vec<String> = server.ask(&["KEYS", "*:room:big"]);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut looks = 0;
            while !is_done.load(Ordering::Relaxed) || looks == 0 {
                let len: usize = server.ask(&["HLEN", &keys[0]]);
                assert_eq!(len, seats, "what a crash at this moment would leave");
                looks += 1;
            }
        });
        for n in 0..30 {
            store.commit(&full(&format!("client {n}")), now().wall).expect("it is there");
        }
        is_done.store(true, Ordering::Relaxed);
        reader.join().expect("each look finds everything");
    });
}

#[test]
fn a_full_state_of_a_shard_takes_the_place_of_what_was_there() {
    let server = RedisServer::start();
    let mut rig = Rig::start(redis_opener(redis_config(&server.url()), "one"));
    rig.opened();
    let names: Vec<_> = (0..20).map(|n| format!("room {n}")).collect();
    for name in &names {
        rig.store((name, "ghost"), Some(held("ana", 1)));
    }
    let mine = ShardId::new(0);
    let own: Vec<_> = names.iter().filter(|name| shard_of(name, SHARDS) == mine).collect();
    let mut full = Batch::default();
    full.begin_full([room(own[0])].into());
    full.put(&room(own[0]), seat("true"), Some(held("eve", 1)));
    rig.offer_batch(mine, full);
    rig.store((own[0], "later"), Some(held("eve", 2)));
    rig.finish();
    let next = Rig::start(redis_opener(redis_config(&server.url()), "next"));
    let restored = next.opened();
    let seats: Vec<_> = restored.shards[0].iter().map(|hold| hold.seat.to_string()).collect();
    assert_eq!(restored.shards[1].len(), names.len() - own.len(), "the other shard's rooms are as they were");
    assert_eq!(seats.len(), 3, "the room that exists keeps what was not replaced: {seats:?}");
    next.finish();
}

#[test]
fn a_hundred_thousand_holds_are_restored_in_two_seconds() {
    let server = RedisServer::start();
    let mut store = open(&server);
    for group in 0..100 {
        let rooms = (0..20).map(|n| {
            let seats =
                (0..50).map(|seat_n| (seat(&format!("row {seat_n} seat {n}")), Some(held("ana", seat_n)))).collect();
            (room(&format!("room {group}.{n}")), RoomDelta { replace: false, seats, ..RoomDelta::default() })
        });
        store.commit(&rooms.collect(), now().wall).expect("it is there");
    }
    store.close();
    let started = Stopwatch::start();
    let rig = Rig::start(redis_opener(redis_config(&server.url()), "next"));
    assert_eq!(rig.opened().holds(), 100_000);
    let took = started.elapsed();
    println!("100,000 holds restored in {took:?}");
    assert!(took.as_millis() < 2_000, "{took:?}");
    rig.finish();
}

#[test]
fn servers_of_one_namespace_have_one_secret() {
    let server = RedisServer::start();
    let mut store = open(&server);
    let secret = [0x0123_4567_89ab_cdef, u64::MAX];
    assert_eq!(store.secret(secret), Ok(secret));
    assert_eq!(store.secret([7, 7]), Ok(secret), "the first one stays");
    let key = server.ask::<Vec<String>>(&["KEYS", "*:secret"]).pop().expect("it is there");
    assert!(server.ask::<i64>(&["PTTL", &key]) > 86_400_000, "as long as bookings");
    let _: String = server.ask(&["SET", &key, "short"]);
    assert!(store.secret(secret).is_err(), "not ours: nobody is to believe that it is");
}
