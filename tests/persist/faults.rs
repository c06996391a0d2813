//! Each way in which Redis can fail, at the level of the store thread: it is said within two seconds, nothing is lost,
//! and everything is caught up within two seconds of its end.

use std::time::Duration;

use crate::proxy::{Fault, Proxy};
use crate::redis_server::RedisServer;
use crate::rig::{Rig, held, redis_config, redis_opener};

const SAID_WITHIN: Duration = Duration::from_secs(2);
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(2);

/// A fault begins, is named in the figures, ends, and what was offered meanwhile is committed.
fn check(words: &str, rig: &mut Rig, begin: impl FnOnce(), end: impl FnOnce()) {
    rig.store(("room", "before"), Some(held("ana", 1)));
    begin();
    let batch = rig.offer(("room", "during"), Some(held("ana", 2)));
    let said = rig.until("the failure is named", |figures| {
        !figures.is_connected && figures.error.as_ref().is_some_and(|error| error.contains(words))
    });
    assert!(said < SAID_WITHIN, "it took {said:?} to say {:?}", rig.figures().error);
    assert!(rig.status.may_grant(crate::rig::now().mono), "the sale goes on");
    end();
    let caught_up = rig.committed(batch);
    assert!(caught_up < CAUGHT_UP_WITHIN, "it took {caught_up:?}");
    rig.until("it is well again", |figures| figures.is_connected && figures.error.is_none());
}

/// What the next server is given back.
fn seats_after(rig: Rig, server: &RedisServer) -> Vec<String> {
    rig.finish();
    let next = Rig::start(redis_opener(redis_config(&server.url()), "next"));
    let restored = next.opened();
    let mut seats: Vec<_> = restored.shards.iter().flatten().map(|hold| hold.seat.to_string()).collect();
    seats.sort();
    next.finish();
    seats
}

/// A fault of the network, through the proxy.
fn check_network(fault: Fault, words: &str) {
    let server = RedisServer::start();
    let proxy = Proxy::start(&server.socket());
    let mut rig = Rig::start(redis_opener(redis_config(&proxy.url()), "one"));
    rig.opened();
    check(words, &mut rig, || proxy.set(fault), || proxy.set(Fault::None));
    assert_eq!(seats_after(rig, &server), ["before", "during"]);
}

#[test]
fn black_hole() {
    check_network(Fault::BlackHole, "");
}

#[test]
fn refused_connections() {
    check_network(Fault::Refuse, "");
}

#[test]
fn garbage_in_replies() {
    check_network(Fault::Garbage, "");
}

/// A starved machine may add the 250 ms that an answer has left, so it has several tries; if 500 ms were too long, each
/// would fail.
#[test]
fn slow_is_not_away() {
    let server = RedisServer::start();
    let proxy = Proxy::start(&server.socket());
    let mut rig = Rig::start(redis_opener(redis_config(&proxy.url()), "one"));
    rig.opened();
    proxy.set(Fault::Delay { ms: 500 });
    let mut tries = 0..5;
    let calm = tries.any(|_| {
        let before = rig.figures().failures;
        for n in 1..4 {
            rig.store(("room", &format!("seat {n}")), Some(held("ana", n)));
        }
        rig.figures().failures == before
    });
    assert!(calm, "an answer after 500 ms counts as none");
    proxy.set(Fault::None);
    assert_eq!(seats_after(rig, &server), ["seat 1", "seat 2", "seat 3"]);
}

#[test]
fn a_connection_cut_every_100_ms_loses_nothing() {
    let server = RedisServer::start();
    let proxy = Proxy::start(&server.socket());
    let mut rig = Rig::start(redis_opener(redis_config(&proxy.url()), "one"));
    rig.opened();
    proxy.set(Fault::CutAfter { ms: 100 });
    for n in 10..40 {
        rig.store(("room", &format!("seat {n}")), Some(held("ana", n)));
    }
    proxy.set(Fault::None);
    assert_eq!(seats_after(rig, &server).len(), 30);
}

#[test]
fn down_later() {
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let mut rig = Rig::start(redis_opener(redis_config(&server.url()), "one"));
    rig.opened();
    rig.store(("room", "before"), Some(held("ana", 1)));
    server.kill();
    let batch = rig.offer(("room", "during"), Some(held("ana", 2)));
    let said = rig.until("the failure is named", |figures| !figures.is_connected);
    assert!(said < SAID_WITHIN);
    server.restart(&["--appendonly", "yes", "--appendfsync", "always"]);
    assert!(rig.committed(batch) < CAUGHT_UP_WITHIN);
    assert_eq!(rig.figures().full_states, 0);
    assert_eq!(seats_after(rig, &server), ["before", "during"]);
}

#[test]
fn down_later_is_noticed_by_an_idle_server_too() {
    let mut server = RedisServer::start();
    let rig = Rig::start(redis_opener(redis_config(&server.url()), "one"));
    rig.opened();
    server.kill();
    assert!(rig.until("the failure is named", |figures| !figures.is_connected) < SAID_WITHIN);
    rig.crash();
}

#[test]
fn down_at_the_start() {
    let mut server = RedisServer::start();
    server.kill();
    let rig = Rig::start(redis_opener(redis_config(&server.url()), "one"));
    assert!(rig.until("the failure is named", |figures| figures.error.is_some()) < SAID_WITHIN);
    assert!(!rig.status.may_grant(crate::rig::now().mono), "nothing is granted before the store was read");
    server.restart(&["--save", ""]);
    assert_eq!(rig.opened().holds(), 0);
    rig.finish();
}

#[test]
fn wrong_password_and_no_password() {
    let check_password = |url: String, words: &str| {
        let rig = Rig::start(redis_opener(redis_config(&url), "one"));
        let said = rig.until("the failure is named", |figures| figures.error.is_some());
        let error = rig.figures().error.expect("it is there");
        assert!(error.to_lowercase().contains(words), "{error}");
        assert!(!error.contains("secret"), "{error}");
        assert!(said < SAID_WITHIN);
        rig.crash();
    };
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    check_password(format!("{}?pass=secret", server.url()), "password");
    check_password(server.url(), "auth");
    let rig = Rig::start(redis_opener(redis_config(&format!("{}?pass=right", server.url())), "one"));
    rig.opened();
    rig.finish();
}

#[test]
fn a_full_disk_under_redis() {
    let server = RedisServer::start_with(&["--save", "1 1", "--appendonly", "no"]);
    let mut rig = Rig::start(redis_opener(redis_config(&server.url()), "one"));
    rig.opened();
    let refuse = || {
        // A directory where the file should go makes every save fail, as a full disk does.
        std::fs::create_dir(server.dir().join("dump.rdb")).expect("the directory is ours");
        let _: String = server.ask(&["BGSAVE"]);
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        loop {
            let info: String = server.ask(&["INFO", "persistence"]);
            if info.contains("rdb_last_bgsave_status:err") {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "{info}");
        }
    };
    let mend = || {
        let _: String = server.ask(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
    };
    check("MISCONF", &mut rig, refuse, mend);
    assert_eq!(seats_after(rig, &server), ["before", "during"]);
}

#[test]
fn a_replica_that_takes_no_writes() {
    let server = RedisServer::start();
    let mut rig = Rig::start(redis_opener(redis_config(&server.url()), "one"));
    rig.opened();
    let demote = || {
        let _: String = server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    };
    let promote = || {
        let _: String = server.ask(&["REPLICAOF", "NO", "ONE"]);
    };
    check("READONLY", &mut rig, demote, promote);
    assert_eq!(seats_after(rig, &server), ["before", "during"]);
}

#[test]
fn loading() {
    let mut server = RedisServer::start_with(&["--save", "3600 1"]);
    let fill = "for i = 1, 1500 do redis.call('SET', 'other:' .. i, i) end return redis.status_reply('OK')";
    let _: String = server.ask(&["EVAL", fill, "0"]);
    let mut rig = Rig::start(redis_opener(redis_config(&server.url()), "one"));
    rig.opened();
    rig.store(("room", "before"), Some(held("ana", 1)));
    let _: String = server.ask(&["SAVE"]);
    server.restart_loading(&["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"]);
    let batch = rig.offer(("room", "during"), Some(held("ana", 2)));
    rig.until("the failure is named", |figures| figures.error.as_ref().is_some_and(|error| error.contains("LOADING")));
    rig.committed(batch);
    assert_eq!(seats_after(rig, &server), ["before", "during"]);
}

#[test]
fn a_store_that_was_emptied_gets_a_full_state() {
    let server = RedisServer::start();
    let mut rig = Rig::start(redis_opener(redis_config(&server.url()), "one"));
    rig.opened();
    rig.store(("room", "before"), Some(held("ana", 1)));
    let _: String = server.ask(&["FLUSHALL"]);
    rig.offer(("room", "during"), Some(held("ana", 2)));
    rig.wait("a full state is owed", |event| {
        matches!(event, butaca::persist::thread::writer::StoreEvent::FullStateOwed).then_some(())
    });
    rig.crash();
}
