//! `kill -9` while a server reads its store, again and again: nothing is lost by it.

use std::sync::Arc;
use std::time::Instant;

use butaca::config::RedisSettings;
use butaca::engine::command::SeatStatus;
use butaca::engine::ids::{ClientId, Origin, RoomId, SeatId};
use butaca::engine::time::WallMillis;
use butaca::limits::HOLD_TTL_MS;
use butaca::limits::store::REDIS_LEASE_MS;
use butaca::persist::batch::{Deltas, RoomDelta};
use butaca::persist::record::Held;
use butaca::persist::stores::embedded::EmbeddedStore;
use butaca::persist::stores::identity::Identity;
use butaca::persist::stores::redis::{RedisConfig, RedisStore};
use butaca::persist::stores::store::Store;

use crate::harness::wait::{size, wall_ms};
use crate::harness::{Server, eventually};
use crate::home::{Home, held, kill};

const ROOMS: usize = 200;
const SEATS: usize = 100;
/// As many again that are over when the first server starts.
const OVER: usize = 20;

fn holds() -> Deltas {
    let now = WallMillis(wall_ms());
    let held = |expires_at: WallMillis| Held {
        status: SeatStatus::Held,
        claim: None,
        client: ClientId::new("ana").expect("a valid id"),
        user_info: "{}".into(),
        at: WallMillis(now.0 - 1_000),
        expires_at,
        seq: 7,
        origin: Origin::UNKNOWN,
    };
    let rooms = (0..ROOMS).map(|room| {
        let living = (0..SEATS).map(|seat| (format!("{seat}"), now.after(HOLD_TTL_MS)));
        let over = (0..OVER).map(|seat| (format!("over {seat}"), WallMillis(now.0 - 1)));
        let seats = living.chain(over).map(|(seat, ends)| (SeatId::new(&seat).expect("valid"), Some(held(ends))));
        let delta = RoomDelta { replace: false, seats: seats.collect(), ..RoomDelta::default() };
        (RoomId::new(&format!("room-{room}")).expect("a valid id"), delta)
    });
    rooms.collect()
}

fn redis(home: &Home) -> RedisStore {
    let settings = RedisSettings {
        url: Some(home.redis.as_ref().expect("it is Redis").url()),
        host: String::new(),
        port: 0,
        password: None,
        db: 0,
        namespace: "butaca".into(),
        lease_ms: REDIS_LEASE_MS,
        compat_keys: false,
        sentinels: Vec::new(),
        sentinel_master: String::new(),
        cluster_nodes: Vec::new(),
    };
    let config = RedisConfig { settings, hold_ttl_ms: HOLD_TTL_MS, accepts_loss: true };
    RedisStore::open(&config, &Arc::new(Identity::passing("earlier")), "an earlier server", WallMillis(wall_ms()))
        .expect("nobody else is there")
}

fn check(mut home: Home) {
    home.set("RESTORE_GRACE_MS", "600000");
    let mut store: Box<dyn Store> = match home.redis {
        Some(_) => Box::new(redis(&home)),
        None => Box::new(EmbeddedStore::open(&home.data_dir(), None, false).expect("it is ours")),
    };
    store.commit(&holds(), WallMillis(wall_ms())).expect("it is there");
    store.close();
    drop(store);
    // The first start says how long one takes; the blows are spread over that time.
    let began = Instant::now();
    kill(home.start());
    let takes = began.elapsed();
    let rounds = size("RECOVERY_ROUNDS", 10);
    for round in 0..rounds {
        let mut child = home.command().spawn().expect("it runs");
        std::thread::park_timeout(takes * u32::try_from(round % 10).expect("below 10") / 10);
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
    }
    let server = home.start();
    println!("{rounds} blows within the {takes:?} of a start");
    assert_eq!(restored(&server), ROOMS * SEATS);
    assert_eq!(held(&server, "room-7").len(), SEATS);
}

fn restored(server: &Server) -> usize {
    eventually("it has everything", || {
        let held = server.stats()["temporary_selections"].as_u64().expect("a number");
        (held > 0).then(|| usize::try_from(held).expect("few"))
    })
}

#[test]
fn a_crash_while_the_embedded_store_is_read_loses_nothing() {
    check(Home::embedded("window"));
    check(Home::embedded("durable"));
}

#[test]
fn a_crash_while_redis_is_read_loses_nothing() {
    check(Home::redis("window"));
    check(Home::redis("durable"));
}
