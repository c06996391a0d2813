//! A whole service in one thread: shards, mail, sockets, clients and a clock, moved by chance.
//!
//! Each step lets one thing happen, in any order that a real service could show, and the faults with them: the table of
//! [`World::step`] names them. After each step everything that is bounded or must agree is checked.

use std::collections::VecDeque;

use butaca::engine::ids::ShardId;
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{Counts, Rules, Shard};
use butaca::engine::time::{Millis, Now, WallMillis};

use super::chance::Chance;
use super::client::{Client, Pace};
use super::frames::{Frames, Request};
use super::mail::{Letter, MAILBOX_MAX, Peer, Pipe};
use super::names;
use super::node::{Node, Shared};
use super::oracle::Oracle;

/// Requests that a client sends before it waits for the server to read some.
const PIPELINED_MAX: usize = 24;
/// Rounds in which everything that waits must come to rest.
const ROUNDS_MAX: usize = 300;

pub(crate) struct World {
    pub(crate) shared: Shared,
    nodes: Vec<Node>,
    /// Mail that has been posted and not taken in: from, to.
    lanes: Vec<Vec<VecDeque<Letter>>>,
    clients: Vec<Client>,
    now: Now,
    rules: Rules,
    rooms: usize,
    seats: usize,
    selects: u64,
    /// Steps for which a shard does nothing.
    stalled: Vec<usize>,
}

impl World {
    pub(crate) fn new(seed: u64, plant: impl Fn(&mut Shard)) -> Self {
        let mut chance = Chance::new(seed);
        let shards = chance.between(1, 3);
        let rules = Rules {
            hold_ttl_ms: chance.between(20, 200) as u64,
            seats_per_client_max: u32::try_from(chance.below(4)).expect("small"),
        };
        let nodes = (0..shards).map(ShardId::new).map(|id| {
            let mut shard = Shard::new(id, shards, Seeds::replayed(seed, id), rules);
            plant(&mut shard);
            Node::new(id, shards, shard)
        });
        let nodes = nodes.collect();
        let lanes = (0..shards).map(|_| (0..shards).map(|_| VecDeque::new()).collect()).collect();
        let (clients, rooms, seats) = (chance.between(2, 8), chance.between(1, 4), chance.between(1, 5));
        // Some clients share a name.
        let clients = (0..clients).map(|client| Client::new(client * 2 / 3)).collect();
        let (pipes, hot, happened) = Default::default();
        let oracle = Oracle::new(rules, shards);
        let shared = Shared { chance, pipes, frames: Frames::default(), oracle, hot, happened };
        let now = Now { mono: Millis(1), wall: WallMillis(1_768_473_000_000) };
        Self { shared, nodes, lanes, clients, now, rules, rooms, seats, selects: 0, stalled: vec![0; shards] }
    }

    /// Lets one thing happen.
    pub(crate) fn step(&mut self) {
        let client = self.shared.chance.below(self.clients.len());
        let node = self.shared.chance.below(self.nodes.len());
        let ttl = usize::try_from(self.rules.hold_ttl_ms).expect("small");
        self.stalled.iter_mut().for_each(|steps| *steps = steps.saturating_sub(1));
        match self.shared.chance.below(1_000) {
            0..430 => self.turn(node),
            430..620 => self.act(client, 1),
            620..660 => {
                self.shared.note("a burst of requests");
                self.act(client, PIPELINED_MAX);
            }
            660..860 => self.client_reads(client, false),
            860..930 => {
                let ms = self.shared.chance.between(1, ttl / 4);
                self.pass_time(ms);
            }
            930..935 => {
                self.shared.note("a storm of expiries");
                self.pass_time(ttl);
            }
            935..950 => self.step_wall_clock(),
            950..970 => self.drop_client(client, Peer::Gone, "a client that goes"),
            970..980 => self.drop_client(client, Peer::Silent, "a client that goes unnoticed"),
            980..990 => self.notice_silent(),
            _ => {
                self.shared.note("a shard that stalls");
                self.stalled[node] = self.shared.chance.between(5, 40);
            }
        }
        self.check();
    }

    fn pass_time(&mut self, ms: usize) {
        let ms = ms as u64;
        self.now = Now { mono: self.now.mono.after(ms), wall: self.now.wall.after(ms) };
    }

    fn step_wall_clock(&mut self) {
        self.shared.note("a step of the wall clock");
        let ms = self.shared.chance.between(0, 10_000) as u64;
        let wall = self.now.wall.0;
        self.now.wall = WallMillis(if self.shared.chance.percent(50) { wall + ms } else { wall - ms });
    }

    /// One turn of a shard, parts of which may be left for later.
    fn turn(&mut self, node: usize) {
        if self.stalled[node] > 0 {
            return;
        }
        self.take_mail(node, false);
        let (shard, shared) = (&mut self.nodes[node], &mut self.shared);
        shard.now = self.now;
        if shared.chance.percent(60) {
            shard.decide(butaca::engine::command::Input::Tick, shared);
        } else {
            shared.note("a late tick");
        }
        for slot in 0..u32::try_from(shard.conns.len()).expect("few connections") {
            if shared.chance.percent(60) {
                shard.read(slot, shared);
            }
        }
        for room in 0..self.rooms {
            let steps = shared.chance.below(6);
            shard.pass(room, steps, shared);
        }
        for slot in 0..u32::try_from(shard.conns.len()).expect("few connections") {
            if shared.chance.percent(60) {
                shard.flush(slot, shared);
            }
        }
        shard.end_too_slow(shared);
        self.post_mail(node);
    }

    /// Takes in mail: of each sender's, in order, so much of it as chance delivers.
    fn take_mail(&mut self, node: usize, all: bool) {
        self.nodes[node].now = self.now;
        for from in 0..self.nodes.len() {
            let waiting = self.lanes[from][node].len();
            let count = if all { waiting } else { self.shared.chance.below(waiting + 1) };
            if count < waiting {
                self.shared.note("mail that is delayed");
            }
            for letter in self.lanes[from][node].drain(..count) {
                self.nodes[node].open_letter(letter, &mut self.shared);
            }
        }
    }

    fn post_mail(&mut self, node: usize) {
        for to in 0..self.nodes.len() {
            let (out, lane) = (&mut self.nodes[node].out[to], &mut self.lanes[node][to]);
            let free = MAILBOX_MAX - lane.len();
            if out.len() > free {
                self.shared.note("a full mailbox");
            }
            lane.extend(out.drain(..free.min(out.len())));
        }
    }

    /// A client connects, or sends so many requests at most.
    fn act(&mut self, client: usize, requests_max: usize) {
        let chance = &mut self.shared.chance;
        let Some(pipe) = self.clients[client].pipe else { return self.connect(client) };
        if self.shared.pipes[pipe].is_closed {
            return;
        }
        for _ in 0..chance.between(1, requests_max) {
            let (room, seat) = (chance.below(self.rooms), chance.below(self.seats));
            let request = match chance.below(100) {
                0..25 => Request::Join(room),
                25..32 => Request::Leave(room),
                32..70 => {
                    self.selects += 1;
                    Request::Select(room, seat, self.selects)
                }
                70..92 => Request::Release(room, seat),
                _ => Request::Ping,
            };
            if self.shared.pipes[pipe].up.len() < PIPELINED_MAX {
                self.shared.pipes[pipe].up.push_back(request);
                self.clients[client].open.push_back(request);
            }
        }
    }

    fn connect(&mut self, client: usize) {
        let chance = &mut self.shared.chance;
        let node = chance.below(self.nodes.len());
        let capacity = [70, 300, 4_000][chance.below(3)];
        let pace = [Pace::Fast, Pace::Fast, Pace::Fast, Pace::Slow, Pace::Never][chance.below(5)];
        match pace {
            Pace::Fast => {}
            Pace::Slow => self.shared.note("a client that reads slowly"),
            Pace::Never => self.shared.note("a client that never reads"),
        }
        self.shared.pipes.push(Pipe::new(capacity));
        let pipe = self.shared.pipes.len() - 1;
        let client = &mut self.clients[client];
        client.connect(pipe, pace);
        self.nodes[node].accept(pipe, names::client_id(client.name));
    }

    fn drop_client(&mut self, client: usize, peer: Peer, what: &'static str) {
        if let Some(pipe) = self.clients[client].pipe {
            self.shared.note(what);
            self.shared.pipes[pipe].peer = peer;
            self.clients[client].disconnect();
        }
    }

    /// Heartbeats find out who has gone unnoticed.
    fn notice_silent(&mut self) {
        for pipe in self.shared.pipes.iter_mut().filter(|pipe| pipe.peer == Peer::Silent) {
            pipe.peer = Peer::Gone;
        }
    }

    /// A client reads some of what has come, or all of it.
    fn client_reads(&mut self, client: usize, all: bool) {
        let client = &mut self.clients[client];
        let Some(number) = client.pipe else { return };
        let pipe = &mut self.shared.pipes[number];
        let count = match client.pace {
            _ if all => pipe.down.len(),
            Pace::Fast => pipe.down.len(),
            Pace::Slow => self.shared.chance.below(60).min(pipe.down.len()),
            Pace::Never => return,
        };
        client.inbox.extend(pipe.down.drain(..count));
        let is_over = pipe.is_closed && pipe.down.is_empty();
        let lagged = pipe.lagged;
        while let Some(message) = self.shared.frames.read(&mut client.inbox) {
            client.read(message, &self.shared.oracle, lagged);
        }
        if is_over {
            client.disconnect();
        }
    }

    fn check(&self) {
        self.nodes.iter().for_each(Node::check);
        assert!(self.lanes.iter().flatten().all(|lane| lane.len() <= MAILBOX_MAX), "a mailbox over its bound");
    }

    /// Lets everything that waits happen, without a new request and without time passing, and compares all maps.
    pub(crate) fn settle(&mut self) {
        self.notice_silent();
        self.stalled.fill(0);
        let mut rounds = 0;
        while !self.is_at_rest() {
            rounds += 1;
            assert!(rounds <= ROUNDS_MAX, "it does not come to rest");
            (0..self.nodes.len()).for_each(|node| self.full_turn(node));
            (0..self.clients.len()).for_each(|client| self.client_reads(client, true));
            self.check();
        }
        for node in &mut self.nodes {
            node.now = self.now;
            node.decide(butaca::engine::command::Input::Tick, &mut self.shared);
        }
        if !self.is_at_rest() {
            return self.settle();
        }
        self.check_at_rest();
    }

    fn full_turn(&mut self, node: usize) {
        self.take_mail(node, true);
        let (shard, shared) = (&mut self.nodes[node], &mut self.shared);
        let slots = u32::try_from(shard.conns.len()).expect("few connections");
        (0..slots).for_each(|slot| shard.read(slot, shared));
        (0..self.rooms).for_each(|room| shard.pass(room, 100, shared));
        (0..slots).for_each(|slot| shard.flush(slot, shared));
        shard.end_too_slow(shared);
        self.post_mail(node);
    }

    fn is_at_rest(&self) -> bool {
        let pipes = &self.shared.pipes;
        let no_mail = self.lanes.iter().flatten().all(VecDeque::is_empty);
        let nodes = self.nodes.iter().all(|node| {
            let conns = node.conns.iter().flatten().all(|conn| {
                let is_served = conn.unread.is_empty() && conn.remote == 0 && conn.outbox.is_idle() && !conn.blocked;
                is_served && pipes[conn.pipe].up.is_empty() && pipes[conn.pipe].peer == Peer::There
            });
            conns && node.out.iter().all(VecDeque::is_empty) && !node.views.values().any(|view| view.is_due())
        });
        let clients = self.clients.iter().filter_map(|client| client.pipe).map(|pipe| &pipes[pipe]);
        no_mail && nodes && clients.into_iter().all(|pipe| pipe.down.is_empty() && !pipe.is_closed)
    }

    /// Everybody has read everything: every request is answered and every map is the truth.
    fn check_at_rest(&self) {
        let oracle = &self.shared.oracle;
        for client in &self.clients {
            assert!(client.open.is_empty() && client.inbox.is_empty(), "requests without a reply: {:?}", client.open);
            for (&room, known) in &client.rooms {
                assert!(!known.is_torn, "a hole in room {room} that nothing mends");
                assert_eq!(
                    Some((known.epoch, known.seq)),
                    oracle.present(room),
                    "the last that is known of room {room}"
                );
                client.check_map(room, oracle);
            }
        }
        let members = |counts: fn(&Node) -> usize| self.nodes.iter().map(counts).sum::<usize>();
        let looking: usize = self.clients.iter().map(|client| client.rooms.len()).sum();
        assert_eq!(members(|node| node.shard.counts().members), looking, "members that do not look");
        assert_eq!(members(|node| node.views.values().map(butaca::audience::view::View::len).sum()), looking);
        assert_eq!(oracle.memberships(), looking);
        let mut views = self.nodes.iter().flat_map(|node| node.views.values());
        assert!(views.all(|view| view.log_len() == 0), "a log is kept for nobody");
    }

    /// Everybody goes, and nothing is left.
    pub(crate) fn finish(&mut self) {
        self.settle();
        for client in 0..self.clients.len() {
            self.drop_client(client, Peer::Silent, "the last to go");
        }
        self.settle();
        for node in &self.nodes {
            assert_eq!(node.shard.counts(), Counts::default(), "something is left");
            assert_eq!(node.shard.next_deadline(), None);
            assert!(node.conns.iter().all(Option::is_none) && node.views.is_empty());
        }
        self.shared.oracle.assert_empty();
    }
}
