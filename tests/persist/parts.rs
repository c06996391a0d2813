//! Redis as the nodes of a cluster share it: its calls equal the model of the cluster's simulation, whatever is asked;
//! what is committed is read again, once.

use std::collections::BTreeMap;
use std::sync::Arc;

use butaca::acts::event::{Event, Number};
use butaca::cluster::call::{Answer, Call, Kind};
use butaca::cluster::names::{Life, NodeName, PartId};
use butaca::limits::store::REDIS_SEATS_PER_CALL_MAX;
use butaca::persist::batch::{Deltas, Logged, RoomDelta};
use butaca::persist::stores::identity::Identity;
use butaca::persist::stores::redis::RedisStore;
use butaca::persist::stores::redis::parts::mail::Streams;
use butaca::persist::stores::redis::parts::{Begun, Cut, PartStore, PartsConfig, Share, Step};
use redis_model::Redis as Model;

use crate::redis_server::RedisServer;
use crate::rig::{HOLD_TTL_MS, delta, held, now, redis_config, room, seat};
use kit::Chance;

const LEASE_MS: u64 = 60_000;
const PARTS: u16 = 2;

fn config(server: &RedisServer) -> PartsConfig {
    let settings = redis_config(&server.url()).settings;
    PartsConfig { settings, hold_ttl_ms: HOLD_TTL_MS, lease_ms: LEASE_MS, log_events_max: 1_000 }
}

fn open(server: &RedisServer) -> PartStore {
    PartStore::new(&config(server)).expect("the address is good")
}

fn life(node: &str, incarnation: u64) -> Life {
    Life { node: NodeName::new(node).expect("a name"), incarnation }
}

fn call(by: &Life, part: u16, fence: u64, number: u64, kind: Kind) -> Call {
    Call { part: PartId(part), by: by.clone(), fence, number, heard: number - 1, era: None, kind }
}

/// Both, with the same past.
struct Pair {
    server: RedisServer,
    store: PartStore,
    model: Model,
    now: u64,
    /// The era of the store, and one that it had.
    eras: (u64, u64),
    replica: BTreeMap<u16, Vec<String>>,
    beats: u64,
}

impl Pair {
    fn new() -> Self {
        let server = RedisServer::start();
        let store = open(&server);
        let model = Model::new(PARTS, LEASE_MS);
        let mut pair = Self { server, store, model, now: 1, eras: (0, 0), replica: BTreeMap::new(), beats: 0 };
        pair.look();
        pair
    }

    /// Hears the era.
    fn look(&mut self) {
        self.beats += 1;
        let (_, era) = self.store.beat(&life("a", 1), self.beats, b"", self.beats).expect("it is there");
        if era != self.eras.0 {
            self.eras = (era, self.eras.0);
        }
    }

    fn key(part: u16) -> String {
        format!("{{test}}:part:{part}")
    }

    fn end_leases(&mut self) {
        self.now += 2 * LEASE_MS;
        for fields in self.replica.values_mut() {
            if let Some(at) = fields.iter().position(|field| field == "u") {
                fields[at + 1] = "0".into();
            }
        }
        for part in 0..PARTS {
            if self.server.ask::<u64>(&["EXISTS", &Self::key(part)]) == 1 {
                self.server.ask::<u64>(&["HSET", &Self::key(part), "u", "0"]);
            }
        }
    }

    fn replicate(&mut self) {
        self.model.replicate();
        self.replica = (0..PARTS).map(|part| (part, self.server.ask(&["HGETALL", &Self::key(part)]))).collect();
    }

    fn fail_over(&mut self) {
        self.model.fail_over();
        for part in 0..PARTS {
            self.server.ask::<u64>(&["DEL", &Self::key(part)]);
            let fields = self.replica.get(&part).cloned().unwrap_or_default();
            if !fields.is_empty() {
                let key = Self::key(part);
                let words = ["HSET", &key].into_iter().chain(fields.iter().map(String::as_str));
                let words: Vec<&str> = words.collect();
                self.server.ask::<u64>(&words);
            }
        }
        self.server.ask::<u64>(&["DEL", "{test}:era"]);
        self.look();
    }

    /// Asks both the same. `era`: none, the present one, another one.
    fn ask(&mut self, mut call: Call, era: usize) -> Answer {
        call.era = [None, Some(self.model.era), Some(self.model.era + 7)][era];
        let expected = self.model.call(self.now, &call, None);
        call.era = [None, Some(self.eras.0), Some(self.eras.1)][era];
        let (deltas, logged) = (Deltas::new(), Logged::default());
        let share = Share { number: 1, deltas: &deltas, logged: &logged };
        let calls = [call];
        let steps: Vec<Step<'_>> = if calls[0].kind == Kind::Commit {
            Cut::new(&share).steps(&calls).collect()
        } else {
            vec![Step::plain(&calls[0])]
        };
        let found = self.store.calls(&steps).expect("it answers").remove(0);
        let expected = match expected {
            Answer::NewEra { .. } => Answer::NewEra { era: self.eras.0 },
            same @ (Answer::Granted { .. } | Answer::Lost { .. } | Answer::Stale | Answer::Taken { .. }) => same,
        };
        assert_eq!(found, expected, "{:?}", calls[0]);
        found
    }
}

#[test]
fn calls_equal_the_model_whatever_is_asked() {
    let mut chance = Chance::new(14);
    let mut pair = Pair::new();
    let lives = [life("a", 1), life("a", 2), life("b", 1)];
    let mut fences = [0; PARTS as usize];
    let mut met = BTreeMap::<&str, u32>::new();
    for _ in 0..6_000 {
        match chance.below(100) {
            0..=3 => pair.end_leases(),
            4..=5 => pair.replicate(),
            6 => pair.fail_over(),
            _ => {
                let part = chance.below(usize::from(PARTS));
                let by = lives[chance.below(lives.len())].clone();
                let fence: u64 = fences[part];
                let fence =
                    (fence + chance.below(8) as u64).saturating_sub(6).min(fence + 1).max(fence.saturating_sub(1));
                let kind = match chance.below(5) {
                    0 => Kind::Take { above: chance.below(4) as u64 + fence.saturating_sub(2) },
                    1 => Kind::Give { to: lives[chance.below(lives.len())].clone() },
                    2 => Kind::Renew,
                    _ => Kind::Commit,
                };
                let (number, heard) = (chance.below(40) as u64 + 1, chance.below(12) as u64);
                let part_id = PartId(u16::try_from(part).expect("small"));
                let call = Call { part: part_id, by, fence, number, heard, era: None, kind };
                let era = [0, 0, 1, 2][chance.below(4)];
                let answer = pair.ask(call, era);
                *met.entry(match answer {
                    Answer::Granted { fence } => {
                        fences[part] = fence;
                        "granted"
                    }
                    Answer::Lost { .. } => "lost",
                    Answer::Stale => "stale",
                    Answer::Taken { fence, .. } => {
                        fences[part] = fence;
                        "taken"
                    }
                    Answer::NewEra { .. } => "era",
                })
                .or_default() += 1;
            }
        }
    }
    assert!(met.len() == 5 && met.values().all(|count| *count > 50), "every answer is met: {met:?}");
}

fn logged(names: &[(&str, u64)]) -> Logged {
    let event = |(name, n): &(&str, u64)| Event {
        room: room(name),
        n: *n,
        number: Number::Passing,
        text: format!("{{\"n\":{n}}}").into(),
    };
    Logged { events: names.iter().map(event).collect(), has_gap: false }
}

/// A part of this store, taken by this life: its fence.
fn take(store: &mut PartStore, by: &Life, fence: u64) -> u64 {
    let calls = [call(by, 0, fence, 1, Kind::Take { above: 0 })];
    let Answer::Granted { fence } = store.calls(&[Step::plain(&calls[0])]).expect("it answers").remove(0) else {
        panic!("nobody else has it")
    };
    fence
}

fn commit(store: &mut PartStore, calls: &[Call], share: &Share<'_>) -> Vec<Answer> {
    let steps: Vec<_> = Cut::new(share).steps(calls).collect();
    store.calls(&steps).expect("it answers")
}

#[test]
fn what_is_committed_is_loaded_and_stands_in_the_log_once() {
    let server = RedisServer::start();
    let mut store = open(&server);
    let owner = life("a", 1);
    let fence = take(&mut store, &owner, 0);
    let deltas = delta(("x:y", "z"), Some(held("ana", 1)));
    let events = logged(&[("x:y", 1), ("x:y", 2)]);
    let share = Share { number: 1, deltas: &deltas, logged: &events };
    for number in 1..=2 {
        // The answer to the first was lost.
        let answers = commit(&mut store, &[call(&owner, 0, fence, number, Kind::Commit)], &share);
        assert_eq!(answers, [Answer::Granted { fence }]);
    }
    let gap = Logged { has_gap: true, ..logged(&[("x", 7)]) };
    let freed = delta(("x:y", "z"), None);
    let share = Share { number: 2, deltas: &freed, logged: &gap };
    commit(&mut store, &[call(&owner, 0, fence, 3, Kind::Commit)], &share);
    let late = Share { number: 3, deltas: &deltas, logged: &events };
    let answers = commit(&mut store, &[call(&owner, 0, fence, 3, Kind::Commit)], &late);
    assert_eq!(answers, [Answer::Stale], "a call that comes late changes nothing");
    let loaded = store.load(&[PartId(0), PartId(1)], now().wall).expect("it is there");
    assert!(loaded[0].loaded.holds.is_empty() && loaded[0].missing == 0);
    assert_eq!(loaded[0].numbers, [(room("x:y"), 2), (room("x"), 7)].into());
    assert!(loaded[1].numbers.is_empty());
    let page = store.log_behind(0).expect("it is there");
    let found: Vec<_> = page.events.iter().map(|(_, event)| event.as_ref().map(|event| event.n)).collect();
    assert_eq!(found, [Some(1), Some(2), None, Some(7)]);
    assert_eq!(page.events.last().map(|(place, _)| *place), Some(page.last));
    assert!(page.last > now().wall.0 * 1_000 - 60_000_000, "places are those of the clock");
}

#[test]
fn a_large_room_is_replaced_by_several_calls_at_once_or_not_at_all() {
    let server = RedisServer::start();
    let mut store = open(&server);
    let owner = life("a", 1);
    let fence = take(&mut store, &owner, 0);
    let small = delta(("r", "old"), Some(held("ana", 1)));
    let none = Logged::default();
    commit(&mut store, &[call(&owner, 0, fence, 1, Kind::Commit)], &Share { number: 1, deltas: &small, logged: &none });
    let seats = (0..REDIS_SEATS_PER_CALL_MAX + 1).map(|n| (seat(&format!("s{n}")), Some(held("eve", 2)))).collect();
    let large: Deltas = [(room("r"), RoomDelta { replace: true, seats, ..RoomDelta::default() })].into();
    let share = Share { number: 2, deltas: &large, logged: &none };
    assert_eq!(Cut::new(&share).calls(), 2);
    let calls = [2, 3].map(|number| call(&owner, 0, fence, number, Kind::Commit));
    store.calls(&Cut::new(&share).steps(&calls).take(1).collect::<Vec<_>>()).expect("it answers");
    let mut holds = |number_of: usize| {
        let loaded = store.load(&[PartId(0)], now().wall).expect("it is there").remove(0);
        assert_eq!((loaded.loaded.holds.len(), loaded.missing), (number_of, 0));
    };
    holds(1);
    let mut again = open(&server);
    let calls = [4, 5].map(|number| call(&owner, 0, fence, number, Kind::Commit));
    commit(&mut again, &calls, &share);
    holds(REDIS_SEATS_PER_CALL_MAX + 1);
    // Somebody deletes a room: that is seen.
    server.ask::<u64>(&["DEL", "{test}:0:room:r"]);
    let loaded = again.load(&[PartId(0)], now().wall).expect("it is there").remove(0);
    assert_eq!(loaded.missing, REDIS_SEATS_PER_CALL_MAX as u64 + 1);
}

#[test]
fn a_namespace_has_one_number_of_parts_and_no_single_writer() {
    let server = RedisServer::start();
    let mut store = open(&server);
    let wall = now().wall;
    let Begun::Life(first) = store.begin(256, wall, 1).expect("it answers") else { panic!("nobody was here") };
    assert!(first >= wall.0);
    assert_eq!(store.begin(128, wall, 1).expect("it answers"), Begun::OtherParts(256));
    let Begun::Life(second) = store.begin(256, wall, 2).expect("it answers") else { panic!("it has as many") };
    assert!(second > first);
    assert_eq!(store.secret([1, 2]).expect("it answers"), [1, 2]);
    assert_eq!(open(&server).secret([3, 4]).expect("it answers"), [1, 2]);
    let single = RedisStore::open(&redis_config(&server.url()), &Arc::new(Identity::passing("one")), "one", wall);
    let line = "the Redis namespace \"test\" is one of several nodes: CLUSTER=1 joins them";
    assert_eq!(single.err().map(|error| error.to_string()).as_deref(), Some(line));
    server.ask::<String>(&["SET", "{test:lease}:token", "7"]);
    assert_eq!(store.begin(256, wall, 1).expect("it answers"), Begun::SingleWriter);
}

#[test]
fn an_era_ends_with_the_server_and_with_its_keys() {
    let mut server = RedisServer::start();
    let (own, mut beats) = (life("a", 1), 0);
    let mut era = |server: &RedisServer| {
        beats += 1;
        open(server).beat(&own, beats, b"x", beats).expect("it answers").1
    };
    let first = era(&server);
    assert_eq!(era(&server), first);
    server.ask::<String>(&["FLUSHALL"]);
    let second = era(&server);
    assert_ne!(second, first);
    server.restart(&["--save", "", "--appendonly", "no"]);
    assert_ne!(era(&server), second);
}

#[test]
fn the_newest_beat_of_a_node_is_told() {
    let server = RedisServer::start();
    let mut store = open(&server);
    let mut say = |life: &Life, number, says: &[u8]| store.beat(life, number, says, 1).expect("it answers").0;
    say(&life("a", 1), 5, b"a five");
    say(&life("a", 1), 4, b"a four");
    assert_eq!(say(&life("b", 9), 1, b"b one"), [b"a five".to_vec(), b"b one".to_vec()]);
    assert_eq!(say(&life("a", 2), 1, b"a new"), [b"a new".to_vec(), b"b one".to_vec()]);
    [life("a", 1), life("b", 9)].iter().for_each(|life| store.leave(life).expect("it answers"));
    assert_eq!(store.beat(&life("c", 1), 1, b"c", 1).expect("it answers").0, [b"a new".to_vec(), b"c".to_vec()]);
}

#[test]
fn mail_is_read_in_its_order_with_the_log_and_trimmed() {
    let server = RedisServer::start();
    let (mut writer, mut reader) =
        (Streams::new(&config(&server)).expect("an address"), Streams::new(&config(&server)).expect("an address"));
    let (own, other) = (NodeName::new("a").expect("a name"), NodeName::new("b").expect("a name"));
    let entry = |text: &str| Arc::<[u8]>::from(text.as_bytes());
    let entries = [(&own, entry("1")), (&other, entry("x")), (&own, entry("2"))];
    writer.post(entries.iter().map(|(to, bytes)| (*to, bytes))).expect("it answers");
    let mut store = open(&server);
    let owner = life("a", 1);
    let fence = take(&mut store, &owner, 0);
    let (deltas, events) = (Deltas::new(), logged(&[("r", 1)]));
    let share = Share { number: 1, deltas: &deltas, logged: &events };
    commit(&mut store, &[call(&owner, 0, fence, 1, Kind::Commit)], &share);
    let found = reader.read(&own, "0", 0).expect("it answers");
    let texts: Vec<_> = found.mail.iter().map(|(_, bytes)| bytes.clone()).collect();
    assert_eq!(texts, [b"1".to_vec(), b"2".to_vec()]);
    assert!(found.is_whole() && found.log.len() == 1);
    let (last, place) = (&found.mail[1].0, found.log[0].0);
    let nothing = reader.read(&own, last, place).expect("it answers");
    assert!(nothing.mail.is_empty() && nothing.log.is_empty());
    reader.trim(&own, last).expect("it answers");
    reader.empty(&own).expect("it answers");
    assert!(reader.read(&own, "0", place).expect("it answers").mail.is_empty());
}
