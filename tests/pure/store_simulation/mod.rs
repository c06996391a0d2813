//! Lives of a server on a store that fails, from one seed: selects, releases, ends of connections, deadlines, batches
//! that are delayed, repeated and lost, syncs that come late or fail, crashes and power failures at any step, orderly
//! ends, a rival that takes over.
//!
//! The oracle: in durable mode nothing that was told is lost; in both modes every seat whose change the store is known
//! to have is after a crash exactly as it was, so that only the window is lost and there are no ghosts, and after a
//! power failure so is every seat whose change is synced, which in durable mode it is before anybody is told; no hold
//! outlives its deadline; nobody is granted a seat by a deposed server in durable mode; each room is told in order,
//! without a hole.

mod disk;
mod oracle;
#[cfg(debug_assertions)]
mod planted;
mod server;

use std::collections::{BTreeMap, BTreeSet};

use butaca::engine::command::{Caller, Input, Ticket};
use butaca::engine::ids::{ClientId, ConnId, Origin, RoomId, SeatId, ShardId};
use butaca::engine::shard::Rules;
use butaca::engine::time::{Millis, Now, WallMillis};
use butaca::persist::stores::store::Store;
use butaca::persist::thread::restore::{Restored, sift};

use disk::{Access, Disk, LEASE_MS, Mood};
use kit::Chance;
use oracle::Oracle;
use server::Server;

/// Seeds of an ordinary run.
const SEEDS: u64 = 2_000;
/// What must have happened in it.
const FAULTS: &[&str] = &[
    "a batch that fails",
    "a crash",
    "a store that loses everything",
    "a step of the wall clock",
    "a power failure",
    "a sync that fails",
    "an answer that is lost",
    "an orderly end",
    "half a batch",
    "selects that are undone",
    "a loss that is not heard of",
    "a rival takes over",
    "a rival takes over when the lease has ended",
    "a select that is refused for want of the lease",
];
const CLIENTS: usize = 6;

struct World {
    chance: Chance,
    shards: usize,
    rules: Rules,
    grace_ms: u64,
    is_durable: bool,
    disk: Disk,
    server: Server,
    oracle: Oracle,
    now: Now,
    /// The present connection of each client, and how many there have been.
    conns: [Option<ConnId>; CLIENTS],
    generation: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0x5704_e000);
        let shards = chance.between(1, 2);
        let rules = Rules { hold_ttl_ms: chance.between(1_000, 20_000) as u64, seats_per_client_max: 0 };
        let is_durable = chance.percent(50);
        let now = Now { mono: Millis(1), wall: WallMillis(1_768_473_000_000) };
        let server = Server::new(now, shards, seed, 1, rules, is_durable);
        let lease_ends = now.mono.after(LEASE_MS);
        Self {
            shards,
            rules,
            grace_ms: chance.between(100, 5_000) as u64,
            is_durable,
            disk: Disk::new(lease_ends, is_durable),
            server,
            oracle: Oracle::default(),
            now,
            conns: [None; CLIENTS],
            generation: 0,
            chance,
        }
    }

    fn step(&mut self) {
        match self.chance.below(1_000) {
            0..480 => self.act(),
            480..680 => {
                let index = self.chance.below(self.shards);
                self.server.turn(index, self.now, &mut self.oracle);
            }
            680..840 => self.pump(),
            840..880 => self.server.renew(self.now, &mut self.disk),
            880..940 => {
                let ms = self.chance.between(1, 400) as u64;
                self.pass(ms);
            }
            940..960 => self.disconnect(),
            960..985 => self.change_mood(),
            985..990 => self.end(true),
            990..997 => self.end(false),
            _ => self.rival(),
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now = Now { mono: self.now.mono.after(ms), wall: self.now.wall.after(ms) };
        // A shard that is busy has not looked at the clock yet.
        if self.chance.percent(30) {
            return;
        }
        for node in &mut self.server.nodes {
            node.decide(self.now, Input::Tick, &mut self.oracle);
        }
    }

    fn act(&mut self) {
        let number = self.chance.below(CLIENTS);
        let client = ClientId::new(&format!("client {number}")).expect("an id");
        let conn = *self.conns[number].get_or_insert_with(|| {
            self.generation += 1;
            ConnId::new(ShardId::new(0), u32::try_from(number).expect("small"), self.generation)
        });
        let (room, seat) = (format!("room {}", self.chance.below(4)), format!("seat {}", self.chance.below(5)));
        let (room, seat) = (room.as_str(), seat.as_str());
        let caller =
            Caller { conn, client: &client, origin: Origin::UNKNOWN, ticket: Ticket::default(), identity: None };
        let input = match self.chance.below(10) {
            0..2 => Input::Join { caller, room },
            2..7 => Input::Select { caller, room, seat, user_info: "{}" },
            _ => Input::Release { caller, room, seat },
        };
        self.server.node(room).decide(self.now, input, &mut self.oracle);
    }

    fn disconnect(&mut self) {
        let number = self.chance.below(CLIENTS);
        if let Some(conn) = self.conns[number].take() {
            for node in &mut self.server.nodes {
                node.decide(self.now, Input::Gone { conn }, &mut self.oracle);
            }
        }
    }

    fn pump(&mut self) {
        match self.disk.mood {
            Mood::Well => {}
            Mood::Fails => self.oracle.note("a batch that fails"),
            Mood::AnswerLost => self.oracle.note("an answer that is lost"),
            Mood::Partial => self.oracle.note("half a batch"),
            Mood::Loses => self.oracle.note("a store that loses everything"),
            Mood::LosesUnheard => self.oracle.note("a loss that is not heard of"),
        }
        self.server.pump(self.now, &mut self.disk);
        if matches!(self.disk.mood, Mood::Loses | Mood::LosesUnheard) {
            self.disk.mood = Mood::Well;
        }
        match self.chance.below(100) {
            0..50 if !self.is_durable => self.disk.sync(),
            // The store is told to write everything again, as after a loss.
            50..52 if !self.is_durable => {
                self.oracle.note("a sync that fails");
                self.disk.is_lost = true;
            }
            _ => {}
        }
    }

    fn change_mood(&mut self) {
        let faults = [Mood::Fails, Mood::AnswerLost, Mood::Partial, Mood::Loses, Mood::LosesUnheard];
        let fault = faults[self.chance.below(faults.len())];
        let is_loss = matches!(fault, Mood::Loses | Mood::LosesUnheard);
        let is_well = self.chance.percent(if is_loss { 85 } else { 40 });
        self.disk.mood = if is_well { Mood::Well } else { fault };
    }

    /// The server ends, in order or not, and the next one begins with what is stored.
    fn end(&mut self, orderly: bool) {
        self.oracle.note(if orderly { "an orderly end" } else { "a crash" });
        let mut unsynced = BTreeSet::new();
        if orderly {
            self.disk.mood = Mood::Well;
            self.server.stop(self.now, &mut self.disk);
        } else if self.chance.percent(40) {
            self.oracle.note("a power failure");
            self.disk.lose_power();
            if !self.is_durable {
                unsynced.clone_from(&self.disk.unsynced);
            }
        }
        let mut is_stepped = false;
        if self.chance.percent(20) {
            self.oracle.note("a step of the wall clock");
            is_stepped = true;
            let ms = self.chance.between(0, 60_000) as u64;
            let wall = self.now.wall.0;
            self.now.wall = WallMillis(if self.chance.percent(50) { wall + ms } else { wall - ms });
        }
        let token = self.disk.newest + 1;
        self.disk.newest = token;
        let restored = self.load(token);
        if !is_stepped {
            self.check(orderly, &unsynced, &restored);
        }
        self.begin(token, &restored);
    }

    fn load(&mut self, token: u64) -> Restored {
        let loaded = Access { disk: &mut self.disk, token }.load().expect("a disk can be read");
        let restored = sift(loaded, self.now.wall, self.rules.hold_ttl_ms, self.shards, |_| true);
        for hold in restored.shards.iter().flatten() {
            let ends = hold.held.expires_at;
            assert!(
                ends > self.now.wall && ends <= self.now.wall.after(self.rules.hold_ttl_ms),
                "a hold outlives its deadline"
            );
        }
        restored
    }

    fn begin(&mut self, token: u64, restored: &Restored) {
        let seed = self.chance.next();
        self.conns = [None; CLIENTS];
        self.disk.lease_ends = self.now.mono.after(LEASE_MS);
        self.disk.is_lost = false;
        self.server = Server::new(self.now, self.shards, seed, token, self.rules, self.is_durable);
        let happened = std::mem::take(&mut self.oracle.happened);
        self.oracle = Oracle::default();
        self.oracle.happened = happened;
        for hold in restored.shards.iter().flatten() {
            let place = (hold.room.clone(), hold.seat.clone());
            self.oracle.held.insert(place, (hold.held.client.clone(), hold.held.expires_at));
        }
        self.server.restore(self.now, self.grace_ms, restored, &mut self.disk, &mut self.oracle);
    }

    /// What is given back, against what was true and what was told.
    fn check(&self, orderly: bool, unsynced: &BTreeSet<(RoomId, SeatId)>, restored: &Restored) {
        let holds = restored.shards.iter().flatten();
        let back: BTreeMap<(RoomId, SeatId), (ClientId, WallMillis)> = holds
            .map(|hold| ((hold.room.clone(), hold.seat.clone()), (hold.held.client.clone(), hold.held.expires_at)))
            .collect();
        if self.server.is_unsure() || self.disk.is_lost {
            return;
        }
        let mut truth = BTreeMap::new();
        for node in &self.server.nodes {
            for room in node.shard.rooms() {
                for held in node.shard.selections(room.as_str()).expect("it is listed").iter() {
                    let expires_at = held.expires_at.expect("a hold ends");
                    if expires_at > self.now.wall {
                        truth.insert((room.clone(), held.seat.clone()), (held.client.clone(), expires_at));
                    }
                }
            }
        }
        let is_safe = |place: &(RoomId, SeatId)| {
            let is_open = self.server.first.contains(place);
            orderly
                || !is_open
                    && !unsynced.contains(place)
                    && self.server.nodes.iter().all(|node| !node.unsafe_seats.contains_key(place))
        };
        for place in truth.keys().chain(back.keys()).filter(|place| is_safe(place)) {
            assert_eq!(back.get(place), truth.get(place), "{place:?}: what is stored is not what was");
        }
        if self.is_durable {
            for (place, told) in self.oracle.held.iter().filter(|(place, told)| truth.get(place) == Some(told)) {
                assert_eq!(back.get(place), Some(told), "{place:?}: what was told is lost");
            }
        }
    }

    /// Another server takes the store over while this one goes on. In durable mode the old one can tell nobody of a new
    /// hold then; in window mode the lease has to be over first, and the old one knows.
    fn rival(&mut self) {
        let is_over = self.disk.lease_ends <= self.now.mono;
        if !self.is_durable && !is_over {
            return;
        }
        self.oracle.note(if is_over { "a rival takes over when the lease has ended" } else { "a rival takes over" });
        let token = self.disk.newest + 1;
        self.disk.newest = token;
        let restored = self.load(token);
        let before: Vec<_> = self.oracle.held.keys().cloned().collect();
        self.disk.mood = Mood::Well;
        for _ in 0..40 {
            self.act();
            let index = self.chance.below(self.shards);
            self.server.turn(index, self.now, &mut self.oracle);
            self.pump();
        }
        let granted =
            self.oracle.held.keys().find(|place| !before.contains(place) && self.was_not_stored(place, &restored));
        assert_eq!(granted, None, "a deposed server grants a seat");
        self.begin(token, &restored);
    }

    fn was_not_stored(&self, (room, seat): &(RoomId, SeatId), restored: &Restored) -> bool {
        !restored.shards.iter().flatten().any(|hold| hold.room == *room && hold.seat == *seat)
    }
}

fn run(seed: u64) -> BTreeMap<&'static str, u64> {
    let mut world = World::new(seed);
    for _ in 0..world.chance.between(100, 700) {
        world.step();
    }
    world.end(true);
    world.oracle.happened
}

fn run_seeds(first: u64, count: u64) -> BTreeMap<&'static str, u64> {
    let mut happened = BTreeMap::new();
    for seed in first..first + count {
        let _replay = crate::simulation::Replay(seed);
        run(seed).into_iter().for_each(|(what, times)| *happened.entry(what).or_default() += times);
    }
    happened
}

#[test]
fn nothing_acknowledged_is_lost() {
    if let Some(seed) = crate::simulation::number_from_environment("SIM_SEED") {
        println!("{:#?}", run_seeds(seed, 1));
        return;
    }
    let seeds = crate::simulation::number_from_environment("SIM_SEEDS").unwrap_or(SEEDS);
    let happened = run_seeds(0, seeds);
    println!("{seeds} seeds: {happened:#?}");
    let missing: Vec<_> = FAULTS.iter().filter(|what| !happened.contains_key(*what)).collect();
    assert!(seeds < SEEDS || missing.is_empty(), "never happened: {missing:?}");
}
