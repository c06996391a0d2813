//! Redis that has lost something while no server looked, and keys of somebody else.

use std::sync::Arc;

use butaca::limits::store::REDIS_SEATS_PER_CALL_MAX;
use butaca::persist::batch::{Deltas, RoomDelta};
use butaca::persist::stores::identity::Identity;
use butaca::persist::stores::redis::RedisStore;
use butaca::persist::stores::store::{Damage, Loaded, Store, StoreError};
use butaca::persist::thread::writer::StoreEvent;

use crate::redis_server::RedisServer;
use crate::rig::{Rig, delta, held, now, redis_config, redis_opener, room, seat};

/// Starts a server on it, which reads everything and ends in order.
fn start(server: &RedisServer, accepts_loss: bool) -> Result<Loaded, StoreError> {
    let mut config = redis_config(&server.url());
    config.accepts_loss = accepts_loss;
    let mut store = RedisStore::open(&config, &Arc::new(Identity::passing("one")), "one", now().wall)?;
    let loaded = store.load()?;
    // An idle server looks at every part.
    store.renew(now().wall)?;
    store.close();
    Ok(loaded)
}

/// Twenty rooms with two holds each.
fn filled() -> RedisServer {
    let server = RedisServer::start();
    let mut store =
        RedisStore::open(&redis_config(&server.url()), &Arc::new(Identity::passing("one")), "one", now().wall)
            .expect("it is ours");
    for n in 0..40 {
        let place = (&*format!("room {}", n / 2), &*format!("{n}"));
        store.commit(&delta(place, Some(held("ana", n))), now().wall).expect("it is there");
    }
    store.renew(now().wall).expect("it is there");
    store.close();
    server
}

fn keys(server: &RedisServer, pattern: &str) -> Vec<String> {
    let mut keys: Vec<String> = server.ask(&["KEYS", pattern]);
    keys.sort();
    assert!(!keys.is_empty(), "{pattern}");
    keys
}

fn delete(server: &RedisServer, keys: &[String]) {
    let command: Vec<&str> = ["DEL"].into_iter().chain(keys.iter().map(String::as_str)).collect();
    let deleted: usize = server.ask(&command);
    assert_eq!(deleted, keys.len());
}

/// The loss is seen until it is accepted, then the rest is given back, and after that nothing is missing any more.
fn check(server: &RedisServer, missing: u64, back: usize) {
    for _ in 0..2 {
        let Err(StoreError::Damaged(Damage { missing: seen, text })) = start(server, false) else { panic!("not seen") };
        assert!(seen == missing && text.contains("\"test\"") && !text.contains('\n'), "{text}");
    }
    let loaded = start(server, true).expect("the loss is accepted");
    assert_eq!((loaded.holds.len(), loaded.damage.map(|damage| damage.missing)), (back, Some(missing)));
    let again = start(server, false).expect("what is left is whole");
    assert_eq!((again.holds.len(), again.damage), (back, None));
}

#[test]
fn a_room_that_was_evicted_is_missed() {
    let server = filled();
    delete(&server, &keys(&server, "*:room:room 3"));
    check(&server, 2, 38);
}

#[test]
fn a_hold_that_was_deleted_is_missed() {
    let server = filled();
    let _: i64 = server.ask(&["HDEL", &keys(&server, "*:room:room 3")[0], "6"]);
    check(&server, 1, 39);
}

#[test]
fn a_part_that_is_gone_is_missed() {
    let server = filled();
    let room = &keys(&server, "*:room:room 3")[0];
    let (part, _) = room.split_once("}:").expect("it has a hash tag");
    let all: usize =
        keys(&server, &format!("{part}}}:room:*")).iter().map(|key| server.ask::<usize>(&["HLEN", key])).sum();
    delete(&server, &keys(&server, &format!("{part}}}:*")));
    // What the part had is not known any more.
    check(&server, 0, 40 - all);
}

#[test]
fn what_is_only_listed_twice_is_found_by_the_other_list() {
    let server = filled();
    delete(&server, &keys(&server, "*:rooms"));
    assert_eq!(start(&server, false).expect("the counts name the rooms").holds.len(), 40);
    let server = filled();
    delete(&server, &keys(&server, "*:counts"));
    assert_eq!(start(&server, false).expect("nothing says that something is missing").holds.len(), 40);
}

#[test]
fn an_emptied_redis_and_one_of_an_older_server_are_taken_as_they_are() {
    let server = filled();
    let _: String = server.ask(&["FLUSHALL"]);
    assert_eq!(start(&server, false).expect("nobody was here").holds.len(), 0);
}

#[test]
fn no_ordinary_life_is_taken_for_a_loss() {
    let server = RedisServer::start();
    let full = |name: &str, count: usize| {
        let seats = (0..count).map(|n| (seat(&format!("{n}")), Some(held("ana", 1)))).collect();
        Deltas::from([(room(name), RoomDelta { replace: true, seats, ..RoomDelta::default() })])
    };
    for round in 0..4_u64 {
        let mut store =
            RedisStore::open(&redis_config(&server.url()), &Arc::new(Identity::passing("one")), "one", now().wall)
                .expect("it is ours");
        let before = store.load().expect("it is there").holds.len();
        assert_eq!(before, if round == 0 { 0 } else { REDIS_SEATS_PER_CALL_MAX * 2 + 7 + 3 });
        store.commit(&full("large", REDIS_SEATS_PER_CALL_MAX * 2 + 7), now().wall).expect("it is there");
        store.commit(&full("small", 5), now().wall).expect("it is there");
        store.commit(&delta(("small", "0"), None), now().wall).expect("it is there");
        store.commit(&delta(("small", "1"), None), now().wall).expect("it is there");
        store.commit(&full("empty", 0), now().wall).expect("it is there");
        store.commit(&delta(("gone", "1"), Some(held("ana", 1))), now().wall).expect("it is there");
        store.commit(&delta(("gone", "1"), None), now().wall).expect("it is there");
        // A kill: nothing is given back.
        drop(store);
        assert!(start(&server, false).expect("it is whole").damage.is_none(), "round {round}");
    }
}

#[test]
fn records_that_cannot_be_read_are_missed_once_and_then_forgotten() {
    let server = filled();
    let _: i64 = server.ask(&["HSET", &keys(&server, "*:room:room 3")[0], "6", "nonsense"]);
    let Err(StoreError::Damaged(damage)) = start(&server, false) else { panic!("not seen") };
    assert_eq!(damage.missing, 1);
    let rig = Rig::start(redis_opener(redis_config(&server.url()), "one"));
    assert_eq!(rig.opened().holds(), 39);
    rig.until("it is said", |figures| figures.is_damaged && figures.restored_damaged == 1);
    rig.finish();
    assert_eq!(start(&server, false).expect("it is whole").holds.len(), 39);
}

#[test]
fn a_key_of_somebody_else_is_named_and_left_alone() {
    let of_room = |name: &str| {
        let keys = keys(&filled(), &format!("*:room:{name}"));
        keys[0].clone()
    };
    for key in ["{test:7}:rooms".to_owned(), "{test:0}:fence".into(), "{test:lease}:lease".into(), of_room("room 3")] {
        let server = if key.contains("room:") { filled() } else { RedisServer::start() };
        let _: i64 = server.ask(&["DEL", &key]);
        let _: i64 = server.ask(&["LPUSH", &key, "theirs"]);
        let Err(StoreError::Away(text)) = start(&server, false) else { panic!("{key} is not ours") };
        assert!(text.contains("WRONGTYPE") && text.contains(&key) && text.contains("list"), "{text}");
        let theirs: String = server.ask(&["LINDEX", &key, "0"]);
        assert_eq!(theirs, "theirs");
    }
}

#[test]
fn in_durable_mode_the_server_waits_for_the_word() {
    let server = filled();
    delete(&server, &keys(&server, "*:room:room 3"));
    let mut config = redis_config(&server.url());
    config.accepts_loss = false;
    let rig = Rig::start(redis_opener(config, "one"));
    rig.wait("it waits", |event| matches!(event, StoreEvent::Waiting).then_some(()));
    let says = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains("ACCEPT_LOSS=1"));
    rig.until("it says why", |figures| figures.restored_damaged == 2 && says(&figures.error));
    rig.finish();
}
