//! One writer at a time.

use std::sync::Arc;

use butaca::persist::stores::identity::{Identity, NoIdentity};
use butaca::persist::stores::redis::{RedisConfig, RedisStore};
use butaca::persist::stores::store::{Continuity, Store, StoreError};
use butaca::persist::thread::writer::StoreEvent;

use crate::redis_server::RedisServer;
use crate::rig::{Rig, delta, held, now, redis_config, redis_opener};

fn open(server: &RedisServer, name: &str) -> Result<RedisStore, StoreError> {
    RedisStore::open(&redis_config(&server.url()), &Arc::new(Identity::passing(name)), name, now().wall)
}

/// Ends the lease as time would.
fn end_lease(server: &RedisServer) {
    let _: i64 = server.ask(&["DEL", "{test:lease}:lease"]);
}

#[test]
fn a_second_server_is_told_who_is_there() {
    let server = RedisServer::start();
    let mut first = open(&server, "first").expect("nobody else is there");
    let Err(StoreError::Taken(taken)) = open(&server, "second") else { panic!("two writers") };
    let text = taken.text;
    assert!(text.contains("first") && text.contains("\"test\"") && !text.contains('\n'), "{text}");
    first.close();
    open(&server, "second").expect("the lease was given back");
}

/// A lease that a test can wait for.
fn short_lease(server: &RedisServer) -> RedisConfig {
    let mut config = redis_config(&server.url());
    config.settings.lease_ms = 1_000;
    config
}

#[test]
fn a_second_server_waits_as_long_as_a_lease_and_then_refuses_to_start() {
    let server = RedisServer::start();
    let rig = Rig::start(redis_opener(short_lease(&server), "first"));
    rig.opened();
    let began = std::time::Instant::now();
    let second = Rig::start(redis_opener(short_lease(&server), "second"));
    second.wait("it waits", |event| matches!(event, StoreEvent::Waiting).then_some(()));
    second.until("it says for whom", |figures| {
        figures.error.as_ref().is_some_and(|text| text.contains("first") && text.contains("its lease ends in"))
    });
    let line = second.wait("a refusal", |event| if let StoreEvent::Refused(line) = event { Some(line) } else { None });
    assert!(line.contains("first"), "{line}");
    assert!(began.elapsed() >= std::time::Duration::from_secs(2), "the other one could have been dead");
    assert!(rig.status.may_grant(now().mono), "and the first goes on");
    rig.finish();
}

#[test]
fn a_server_elsewhere_takes_over_when_the_lease_of_a_dead_one_ends() {
    let server = RedisServer::start();
    let dead = RedisStore::open(&short_lease(&server), &Arc::new(Identity::passing("dead")), "dead", now().wall);
    drop(dead.expect("nobody else is there"));
    let rig = Rig::start(redis_opener(short_lease(&server), "second"));
    rig.opened();
    assert!(rig.status.may_grant(now().mono) && rig.figures().error.is_none());
    rig.finish();
}

#[test]
fn a_deposed_writer_changes_nothing_in_any_room() {
    let server = RedisServer::start();
    let mut old = open(&server, "old").expect("nobody else is there");
    old.commit(&delta(("known", "1"), Some(held("ana", 1))), now().wall).expect("it is the writer");
    end_lease(&server);
    let mut new = open(&server, "new").expect("the lease has ended");
    for room in ["known", "unknown", "another"] {
        let late = old.commit(&delta((room, "2"), Some(held("eve", 2))), now().wall);
        assert!(matches!(late, Err(StoreError::Deposed(_))), "{late:?}");
    }
    assert!(matches!(old.renew(now().wall), Err(StoreError::Deposed(_))));
    old.close();
    assert_eq!(new.renew(now().wall), Ok(Continuity::Kept), "a deposed writer does not give the other's lease back");
    assert_eq!(new.load().expect("it is there").holds.len(), 1);
}

#[test]
fn a_deposed_server_stops_granting_at_once() {
    let server = RedisServer::start();
    let mut rig = Rig::start(redis_opener(redis_config(&server.url()), "old"));
    rig.opened();
    rig.store(("room", "1"), Some(held("ana", 1)));
    assert!(rig.status.may_grant(now().mono));
    end_lease(&server);
    let _new = open(&server, "new").expect("the lease has ended");
    rig.offer(("room", "2"), Some(held("ana", 2)));
    rig.wait("the deposition", |event| matches!(event, StoreEvent::Deposed(_)).then_some(()));
    assert!(!rig.status.may_grant(now().mono));
    assert!(rig.figures().is_deposed && rig.figures().error.is_some());
}

#[test]
fn an_idle_server_learns_of_its_deposition_within_two_seconds() {
    let server = RedisServer::start();
    let rig = Rig::start(redis_opener(redis_config(&server.url()), "old"));
    rig.opened();
    end_lease(&server);
    let _new = open(&server, "new").expect("the lease has ended");
    let took = rig.until("it knows", |figures| figures.is_deposed);
    assert!(took < std::time::Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_lease_that_ran_out_is_taken_again_if_nobody_else_had_it() {
    let server = RedisServer::start();
    let mut store = open(&server, "one").expect("nobody else is there");
    store.commit(&delta(("room", "1"), Some(held("ana", 1))), now().wall).expect("it is the writer");
    end_lease(&server);
    assert_eq!(store.renew(now().wall), Ok(Continuity::Kept));
    assert!(matches!(open(&server, "two"), Err(StoreError::Taken(_))));
    let _: String = server.ask(&["FLUSHALL"]);
    assert_eq!(store.renew(now().wall), Ok(Continuity::Lost), "it is still alone, and an idle server notices too");
    let next = store.commit(&delta(("room", "2"), Some(held("ana", 2))), now().wall);
    assert_eq!(next, Ok(Continuity::Kept));
}

#[test]
fn a_dead_server_s_lease_is_taken_over_at_once_on_the_same_machine() {
    let server = RedisServer::start();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("identity");
    let config = redis_config(&server.url());
    let locked = Identity::lock(&file, "fresh1").expect("nobody has it");
    assert!(matches!(Identity::lock(&file, "fresh2"), Err(NoIdentity::Taken)), "it lives");
    // The store of a process that has ended has no file open any more.
    let ended = Arc::new(Identity::passing(locked.name()));
    drop(locked);
    let mut dead = RedisStore::open(&config, &ended, "dead", now().wall).expect("nobody else is there");
    let identity = Arc::new(Identity::lock(&file, "fresh3").expect("the owner has ended"));
    assert_eq!(identity.name(), "fresh1");
    let _next = RedisStore::open(&config, &identity, "next", now().wall).expect("the other is dead");
    assert!(matches!(dead.commit(&delta(("room", "1"), None), now().wall), Err(StoreError::Deposed(_))));
}
