//! Several nodes and a Redis from one seed: calls that are late, lost or come twice, nodes that are cut off, stopped,
//! killed and started again, clocks that run apart, failovers that lose the last entries, drains.
//!
//! The oracle: no part has two nodes that may decide, at any moment; what is committed continues what was committed,
//! and no command is in it twice; no view has a hole that nobody has seen; and when all is quiet again each part is
//! served by the node that should have it, every command has its answer and every view is what the owner has.

mod bounds;
mod node;
#[cfg(debug_assertions)]
mod planted;

use std::collections::{BTreeMap, BTreeSet};

use butaca::cluster::member::{Event, Rules};
use butaca::cluster::names::{Life, NodeName, PartId};
use butaca::engine::time::Millis;

use kit::Chance;
use node::{Ask, Node, Said};
use redis_model::Redis;

/// Seeds of an ordinary run.
const SEEDS: u64 = 2_000;
const NODES: usize = 3;
const PARTS: u16 = 4;
const LEASE_MS: u64 = 2_000;
/// What must have happened in an ordinary run.
const FAULTS: &[&str] = &[
    "a call is lost",
    "a call comes twice",
    "a drain",
    "a failover",
    "a hand-over that took too long",
    "a hole",
    "a hole at the end",
    "a kill",
    "a loss is heard of",
    "a node has left",
    "a node is cut off",
    "a node is deposed",
    "a part is handed over",
    "a sender has started again",
    "a stop",
    "a command is answered again",
    "a command is sent again",
    "an answer is lost",
    "an entry comes twice",
    "an era begins",
];

/// One machine: what is there of it whether or not its process lives.
struct Machine {
    name: NodeName,
    node: Option<Node>,
    /// Its clock runs so many thousandths as fast as time, and began so long ago.
    rate: u64,
    offset: u64,
    stopped_until: u64,
    cut_until: u64,
    starts_at: u64,
    /// It drains, and ends when everything is handed over.
    leaves: bool,
}

impl Machine {
    fn now(&self, time: u64) -> Millis {
        Millis(self.offset + time * self.rate / 1_000)
    }
}

/// On its way to Redis, or back when it has an answer.
struct Packet {
    machine: usize,
    life: Life,
    sent_at: Millis,
    ask: Ask,
    said: Option<Said>,
}

struct World {
    chance: Chance,
    time: u64,
    machines: Vec<Machine>,
    redis: Redis,
    redis_rate: u64,
    /// By the time at which they arrive.
    packets: BTreeMap<(u64, u64), Packet>,
    packet: u64,
    incarnation: u64,
    is_durable: bool,
    /// In how many of a hundred steps the replica catches up.
    replicates: u64,
    is_calm: bool,
    /// The longest way of a call that is not late, and the longest turn.
    delay_ms: usize,
    turn_ms: usize,
    happened: BTreeMap<&'static str, u64>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0xc105_7e50);
        let machine = |number: usize, chance: &mut Chance| Machine {
            name: NodeName::new(&format!("node-{number}:8001")).expect("a name"),
            node: None,
            rate: chance.between(960, 1_040) as u64,
            offset: chance.between(1, 1_000_000) as u64,
            stopped_until: 0,
            cut_until: 0,
            starts_at: chance.between(0, 3_000) as u64,
            leaves: false,
        };
        Self {
            time: 0,
            machines: (0..NODES).map(|number| machine(number, &mut chance)).collect(),
            redis: Redis::new(PARTS, LEASE_MS),
            redis_rate: chance.between(960, 1_040) as u64,
            packets: BTreeMap::new(),
            packet: 0,
            incarnation: 0,
            is_durable: chance.percent(50),
            replicates: [3, 30][chance.below(2)],
            is_calm: false,
            delay_ms: chance.between(2, 60),
            turn_ms: 50,
            happened: BTreeMap::new(),
            chance,
        }
    }

    fn note(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }

    fn step(&mut self) {
        self.time += self.chance.between(1, self.turn_ms) as u64;
        self.start_machines();
        self.carry();
        for machine in 0..NODES {
            self.turn(machine);
        }
        if self.replicates > 0 && (self.chance.percent(self.replicates) || self.is_calm) {
            self.redis.replicate();
        }
        self.check_owners();
    }

    fn start_machines(&mut self) {
        for machine in &mut self.machines {
            if machine.node.is_none() && machine.starts_at <= self.time {
                self.incarnation += 1;
                let life = Life { node: machine.name.clone(), incarnation: self.incarnation };
                let rules = Rules { parts: PARTS, lease_ms: LEASE_MS, shards: 2, version: 1 };
                machine.node = Some(Node::new(life, rules, self.is_durable));
            }
        }
    }

    fn turn(&mut self, index: usize) {
        let (time, machine) = (self.time, &mut self.machines[index]);
        if machine.stopped_until > time {
            return;
        }
        let now = machine.now(time);
        let Some(node) = &mut machine.node else { return };
        if !self.is_calm && self.chance.percent(20) {
            let (part, conn) = (self.chance.below(usize::from(PARTS)), self.chance.below(2) as u64);
            let part = PartId(u16::try_from(part).expect("small"));
            let wanted = (self.chance.below(3) as u64, self.chance.percent(60));
            node.want(now, part, conn, wanted);
        }
        node.turn(now);
        let is_over = machine.leaves && node.member.is_empty();
        self.send(index, now);
        if is_over && self.chance.percent(10) {
            let until = self.time + self.chance.between(100, 5_000) as u64;
            self.leave(index, until);
        }
    }

    /// What the node has asked goes on its way.
    fn send(&mut self, index: usize, now: Millis) {
        let Some(node) = &mut self.machines[index].node else { return };
        let (asks, life) = (std::mem::take(&mut node.asks), node.life.clone());
        for ask in asks {
            if self.is_lost(index) {
                self.note("a call is lost");
                continue;
            }
            let times = if !self.is_calm && self.chance.percent(2) { 2 } else { 1 };
            if times == 2 {
                self.note("a call comes twice");
            }
            for _ in 0..times {
                let (life, ask) = (life.clone(), ask.clone());
                self.put(Packet { machine: index, life, sent_at: now, ask, said: None });
            }
        }
    }

    fn is_lost(&mut self, machine: usize) -> bool {
        self.machines[machine].cut_until > self.time || !self.is_calm && self.chance.percent(1)
    }

    fn put(&mut self, packet: Packet) {
        // A call may be very late, for instance from a connection that its caller has given up.
        let is_late = !self.is_calm && self.chance.percent(2);
        let delay = if is_late { self.chance.between(1, 2_500) } else { self.chance.between(0, self.delay_ms) };
        self.packet += 1;
        self.packets.insert((self.time + delay as u64, self.packet), packet);
    }

    fn carry(&mut self) {
        while let Some(entry) = self.packets.first_entry().filter(|entry| entry.key().0 <= self.time) {
            let packet = entry.remove();
            if packet.said.is_some() { self.arrive(packet) } else { self.serve(packet) }
        }
    }

    fn serve(&mut self, mut packet: Packet) {
        let now = self.time * self.redis_rate / 1_000;
        let redis = &mut self.redis;
        let said = match &packet.ask {
            Ask::Call { call, data, .. } => Said::Call(redis.call(now, call, data.as_ref())),
            Ask::Load { part, .. } => Said::Loaded(redis.data(part.0).clone()),
            Ask::Post { entries } => {
                entries.iter().for_each(|(to, _, bytes)| redis.post(to, bytes));
                Said::Posted
            }
            Ask::Read { after, .. } => Said::Entries(redis.read(&packet.life.node, *after)),
            Ask::Beat { beat } => Said::Beats { beats: redis.beat(beat), era: redis.era },
        };
        if self.is_lost(packet.machine) {
            return self.note("an answer is lost");
        }
        packet.said = Some(said);
        self.put(packet);
    }

    fn arrive(&mut self, mut packet: Packet) {
        let machine = &mut self.machines[packet.machine];
        if machine.stopped_until > self.time {
            // It waits in the socket.
            self.packet += 1;
            self.packets.insert((machine.stopped_until, self.packet), packet);
            return;
        }
        let now = machine.now(self.time);
        let Some(node) = machine.node.as_mut().filter(|node| node.life == packet.life) else { return };
        let said = packet.said.take().expect("it is an answer");
        node.said(now, packet.sent_at, &packet.ask, said);
        self.send(packet.machine, now);
    }

    fn fault(&mut self) {
        let index = self.chance.below(NODES);
        let until = self.time + self.chance.between(100, 5_000) as u64;
        match self.chance.below(12) {
            0..3 => {
                self.note("a stop");
                self.machines[index].stopped_until = until;
            }
            3..6 => {
                self.note("a node is cut off");
                self.machines[index].cut_until = until;
            }
            6..8 => self.kill(index, until),
            8..10 => self.drain(index),
            _ => self.fail_over(),
        }
    }

    fn fail_over(&mut self) {
        self.note("a failover");
        self.redis.fail_over();
        // Connections to the old one are gone, with what was on its way.
        self.packets.retain(|_, packet| packet.said.is_some());
    }

    /// The last news never reach one node, and nothing follows that would show it.
    fn lose_the_end(&mut self) {
        self.is_calm = true;
        (0..120).for_each(|_| self.step());
        let index = self.chance.below(NODES);
        self.machines[(index + 1) % NODES].cut_until = self.time + LEASE_MS;
        self.replicates = 0;
        let now = self.machines[index].now(self.time);
        if let Some(node) = &mut self.machines[index].node {
            (0..PARTS).for_each(|part| node.want(now, PartId(part), 0, (0, true)));
        }
        (0..16).for_each(|_| self.step());
        self.fail_over();
        self.replicates = 30;
    }

    fn kill(&mut self, index: usize, until: u64) {
        self.note("a kill");
        (self.machines[index].node, self.machines[index].leaves) = (None, false);
        self.machines[index].starts_at = until;
    }

    /// A drain is over: the node says that it is no more, and ends.
    fn leave(&mut self, index: usize, until: u64) {
        self.note("a node has left");
        let machine = &mut self.machines[index];
        if machine.cut_until <= self.time {
            self.redis.leave(&machine.name);
            // Its last beat is not on the way any more: it asks one thing after the other.
            self.packets.retain(|_, of| of.machine != index || !matches!(of.ask, Ask::Beat { .. }));
        }
        (machine.node, machine.starts_at, machine.leaves) = (None, until, false);
    }

    fn drain(&mut self, index: usize) {
        let now = self.machines[index].now(self.time);
        if self.machines[index].stopped_until > self.time {
            return;
        }
        if let Some(node) = &mut self.machines[index].node {
            node.member.handle(now, Event::Drain, &mut Vec::new());
            self.machines[index].leaves = self.chance.percent(50);
            self.note("a drain");
        }
    }

    fn deciding(&self, part: u16) -> Vec<&Life> {
        let decides = |machine: &Machine| {
            let node = machine.node.as_ref()?;
            node.member.may_decide(PartId(part), machine.now(self.time)).then_some(())
        };
        let deciding = self.machines.iter().filter(|machine| decides(machine).is_some());
        deciding.filter_map(|machine| machine.node.as_ref().map(|node| &node.life)).collect()
    }

    fn check_owners(&self) {
        for part in 0..PARTS {
            let deciding = self.deciding(part);
            assert!(deciding.len() < 2, "part {part} has two owners: {deciding:?}");
            let Some(life) = deciding.first() else { continue };
            let nodes = self.machines.iter().filter_map(|machine| machine.node.as_ref());
            let fence = nodes.filter(|node| node.life == **life).find_map(|node| node.fence(part)).expect("it decides");
            assert!(!self.redis.was_given(part, life, fence), "{life:?} decides about part {part}, which it gave away");
        }
    }

    /// Everything works again, and drained nodes are started anew.
    fn calm(&mut self) {
        self.is_calm = true;
        for machine in &mut self.machines {
            (machine.cut_until, machine.stopped_until) = (0, 0);
        }
        for index in 0..NODES {
            let now = self.machines[index].now(self.time);
            let machine = &mut self.machines[index];
            if machine.node.as_mut().is_some_and(|node| !node.member.beat(now, Vec::new()).ready) {
                machine.node = None;
            }
            (machine.starts_at, machine.leaves) = (self.time, false);
        }
        let end = self.time + 10 * LEASE_MS;
        while self.time < end {
            self.step();
        }
    }

    fn check_quiet(&self) {
        let nodes = || self.machines.iter().map(|machine| (machine, machine.node.as_ref().expect("it is started")));
        for (_, node) in nodes() {
            assert_eq!(node.asked.unanswered(), 0, "commands of {:?} have no answer", node.life);
        }
        let owners: BTreeSet<_> = (0..PARTS).map(|part| self.deciding(part)).collect();
        assert!(owners.iter().all(|owners| owners.len() == 1), "a part has nobody: {owners:?}");
        for part in 0..PARTS {
            let owner = self.deciding(part)[0];
            let truth = &self.redis.data(part).seats;
            for (machine, node) in nodes() {
                let (sees, seats) = node.sees(part, machine.now(self.time));
                assert_eq!(sees.as_ref(), Some(owner), "{:?} knows who owns part {part}", node.life);
                assert_eq!(seats, Some(truth), "{:?} sees part {part} of {owner:?}", node.life);
            }
        }
    }
}

fn run(seed: u64) -> BTreeMap<&'static str, u64> {
    let mut world = World::new(seed);
    let steps = world.chance.between(100, 600);
    // Some runs see much, others next to nothing.
    let faults = [0, 5, 20][world.chance.below(3)];
    for _ in 0..steps {
        if world.chance.below(1_000) < faults {
            world.fault();
        }
        world.step();
    }
    if faults > 0 && world.chance.percent(50) {
        world.lose_the_end();
    }
    world.calm();
    world.check_quiet();
    world.happened
}

fn run_seeds(first: u64, count: u64) -> BTreeMap<&'static str, u64> {
    let mut happened = BTreeMap::new();
    for seed in first..first + count {
        let _replay = crate::simulation::Replay(seed);
        run(seed).into_iter().for_each(|(what, times)| *happened.entry(what).or_default() += times);
        #[cfg(debug_assertions)]
        butaca::marks::take().into_iter().for_each(|(what, times)| *happened.entry(what).or_default() += times);
    }
    happened
}

#[test]
fn no_part_has_two_owners() {
    if let Some(seed) = crate::simulation::number_from_environment("SIM_SEED") {
        println!("{:#?}", run_seeds(seed, 1));
        return;
    }
    let seeds = crate::simulation::number_from_environment("SIM_SEEDS").unwrap_or(SEEDS);
    let happened = std::thread::scope(|scope| {
        let half = scope.spawn(|| run_seeds(0, seeds / 2));
        let mut happened = run_seeds(seeds / 2, seeds - seeds / 2);
        let half = half.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        half.into_iter().for_each(|(what, times)| *happened.entry(what).or_default() += times);
        happened
    });
    println!("{seeds} seeds: {happened:#?}");
    let missing: Vec<_> = FAULTS.iter().filter(|what| !happened.contains_key(*what)).collect();
    assert!(!cfg!(debug_assertions) || seeds < SEEDS || missing.is_empty(), "never happened: {missing:?}");
}
