//! Redis as a store: what is written, how it is read back, and what stays behind.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use butaca::engine::ids::{ShardId, shard_of};
use butaca::limits::{REDIS_KEEP_MS, REDIS_SEATS_PER_CALL_MAX};
use butaca::persist::batch::{Batch, Deltas, RoomDelta};
use butaca::persist::identity::Identity;
use butaca::persist::redis::RedisStore;
use butaca::persist::store::Store;

use crate::redis_server::RedisServer;
use crate::rig::{HOLD_TTL_MS, Rig, SHARDS, delta, held, now, redis_config, redis_opener, room, seat};

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
    config.compat_json = Some(|_, _, _| b"{}".to_vec());
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
    assert_eq!(compat, "{}");
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
        Deltas::from([(room("big"), RoomDelta { replace: true, seats })])
    };
    store.commit(&full("a"), now().wall).expect("it is there");
    store.commit(&full("b"), now().wall).expect("it is there");
    let loaded = store.load().expect("it is there");
    assert_eq!(loaded.holds.len(), seats);
    assert!(loaded.holds.iter().all(|hold| hold.seat.as_str().starts_with('b')));
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
            (room(&format!("room {group}.{n}")), RoomDelta { replace: false, seats })
        });
        store.commit(&rooms.collect(), now().wall).expect("it is there");
    }
    store.close();
    let started = Instant::now();
    let rig = Rig::start(redis_opener(redis_config(&server.url()), "next"));
    assert_eq!(rig.opened().holds(), 100_000);
    let took = started.elapsed();
    println!("100,000 holds restored in {took:?}");
    assert!(took.as_millis() < 2_000, "{took:?}");
    rig.finish();
}
