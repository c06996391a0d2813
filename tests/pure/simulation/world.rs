//! A whole service in one thread: shards, mail, sockets, clients and a clock, moved by chance.
//!
//! Each step lets one thing happen, in any order that a real service could show, and the faults with them: the table of
//! [`World::step`] names them. After each step everything that is bounded or must agree is checked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use butaca::audience::budget::Budget;
use butaca::auth::session::SessionTokens;
use butaca::engine::ids::ShardId;
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{Counts, Rules, Shard};
use butaca::engine::time::{Millis, Now, WallMillis};
use butaca::limits::TICK_MS;
use butaca::limits::store::STORE_REFUSE_MS;
use butaca::node::hot::HotRooms;
use butaca::node::observer::Observer;
use butaca::node::{self, Event, Node, Opening, Source};

use super::client::{Client, Pace};
use super::frames::{self, Request, SECOND_NAMES};
use super::oracle::Oracle;
use super::pipe::{Peer, Pipe, Up};
use super::second;
use super::settings;
use super::shell::{Mail, Shared, Shell};
use super::store::Store;
use kit::Chance;

/// Requests that a client sends before it waits for the server to read some.
pub(crate) const PIPELINED_MAX: usize = 24;
/// Mail that a mailbox takes from one shard. At the bound it waits at the sender.
const MAILBOX_MAX: usize = 16;
/// Mail that waits at a sender, above which it reads no sockets.
const BACKLOG_MAX: usize = 8;
/// Rounds in which everything that waits must come to rest.
const ROUNDS_MAX: usize = 600;

pub(crate) struct World {
    pub(crate) shared: Shared,
    shells: Vec<Shell>,
    /// Mail that has been posted and not taken in: from, to.
    lanes: Vec<Vec<VecDeque<Mail>>>,
    clients: Vec<Client>,
    pub(crate) seconds: Vec<second::client::Client>,
    store: Option<Store>,
    now: Now,
    rules: Rules,
    grace_ms: u64,
    pub(crate) rooms: usize,
    pub(crate) seats: usize,
    selects: u64,
    /// Steps for which a shard does nothing.
    stalled: Vec<usize>,
    pub(crate) is_draining: bool,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let shards = chance.between(1, 3);
        let rules = Rules {
            hold_ttl_ms: chance.between(20, 200) as u64,
            seats_per_client_max: u32::try_from(chance.below(4)).expect("small"),
        };
        let carts = settings::cart_rules(&mut chance, rules.hold_ttl_ms);
        let oracle = Arc::new(Mutex::new(Oracle::new(rules, carts, shards)));
        let now = Now { mono: Millis(1), wall: WallMillis(1_768_473_000_000) };
        let store = chance.percent(50).then(|| Store::new(shards, now));
        let is_durable = store.is_some() && chance.percent(70);
        let node_rules = settings::node_rules(&mut chance, (rules, carts), is_durable);
        let (hot, budget) = (HotRooms::default(), Budget::default());
        let shell = |id: ShardId| {
            let seats = Shard::new(id, shards, Seeds::replayed(seed, id), rules).with_carts(carts);
            let (hot, budget) = (hot.clone(), budget.clone());
            let store = store.as_ref().map(|store| Arc::clone(&store.link));
            let mut node = Node::new(node::Parts {
                id,
                shards,
                rules: node_rules,
                bounds: settings::BOUNDS,
                seats,
                hot,
                budget,
                store,
            })
            .with_tokens(SessionTokens::new([seed, 1]));
            let oracle = Arc::clone(&oracle);
            node.observe(Observer::new(move |observed| {
                oracle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).hear(id, observed);
            }));
            Shell::new(id, shards, node)
        };
        let shells = (0..shards).map(ShardId::new).map(shell).collect();
        let lanes = (0..shards).map(|_| (0..shards).map(|_| VecDeque::new()).collect()).collect();
        let (clients, rooms, seats) = (chance.between(2, 8), chance.between(1, 4), chance.between(1, 5));
        // Some clients share a name.
        let of_second = [0, 0, clients / 2, clients][chance.below(4)];
        let seconds = (0..of_second).map(|client| second::client::Client::new(SECOND_NAMES + client / 2)).collect();
        let clients = (of_second..clients).map(|client| Client::new(client * 2 / 3)).collect();
        let (pipes, happened) = Default::default();
        let shared = Shared { chance, pipes, oracle, happened };
        let (selects, stalled, is_draining) = (0, vec![0; shards], false);
        let grace_ms = carts.grace_ms;
        Self {
            shared,
            shells,
            lanes,
            clients,
            seconds,
            store,
            now,
            rules,
            grace_ms,
            rooms,
            seats,
            selects,
            stalled,
            is_draining,
        }
    }

    /// Lets one thing happen.
    pub(crate) fn step(&mut self) {
        let client = self.shared.chance.below(self.clients.len() + self.seconds.len());
        let shell = self.shared.chance.below(self.shells.len());
        let ttl = usize::try_from(self.rules.hold_ttl_ms).expect("small");
        self.stalled.iter_mut().for_each(|steps| *steps = steps.saturating_sub(1));
        match self.shared.chance.below(1_000) {
            0..430 => self.turn(shell),
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
            935..945 => self.step_wall_clock(),
            945..950 => self.upset_store(),
            950..970 => self.drop_client(client, Peer::Gone, "a client that goes"),
            970..980 => self.drop_client(client, Peer::Silent, "a client that goes unnoticed"),
            980..990 => self.notice_silent(),
            _ => {
                self.shared.note("a shard that stalls");
                self.stalled[shell] = self.shared.chance.between(5, 40);
            }
        }
        self.check();
    }

    /// The store stops answering for a while, says that it has lost something, or is back.
    fn upset_store(&mut self) {
        let Some(store) = self.store.as_mut() else { return };
        match self.shared.chance.below(3) {
            0 => {
                self.shared.note("a store that loses something");
                store.link.note_full_state_owed();
            }
            1 => {
                self.shared.note("a store that does not answer");
                store.stop();
                self.pass_time(usize::try_from(STORE_REFUSE_MS).expect("small"));
            }
            _ => store.go_on(),
        }
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
    fn turn(&mut self, shell: usize) {
        if self.stalled[shell] > 0 {
            return;
        }
        self.commit();
        let ns = self.now.mono.0 * 1_000_000;
        self.shells[shell].begin_turn(self.now);
        self.take_mail(shell, false);
        let is_congested = self.is_congested(shell);
        let (shell_at, shared) = (&mut self.shells[shell], &mut self.shared);
        shell_at.handle(Event::Store, shared);
        shell_at.note_writable(shared);
        for slot in shell_at.slots() {
            if shared.chance.percent(60) && !is_congested {
                shell_at.read(slot, false, shared);
            }
        }
        if shared.chance.percent(80) {
            shell_at.flush(Source::Replies, shared);
        }
        let slices = shared.chance.below(4);
        shell_at.serve(slices, ns, shared);
        if shared.chance.percent(60) {
            shell_at.flush(Source::Replies, shared);
        }
        if shared.chance.percent(60) {
            shell_at.handle(Event::Tick, shared);
        } else {
            shared.note("a late tick");
        }
        shell_at.node.hand_over_changes();
        self.post_mail(shell);
    }

    /// The store thread works now and then.
    fn commit(&mut self) {
        if let Some(store) = self.store.as_mut()
            && self.shared.chance.percent(60)
        {
            store.work(self.now);
        }
    }

    fn is_congested(&mut self, shell: usize) -> bool {
        (0..self.shells.len()).any(|to| self.shells[shell].post(ShardId::new(to)).len() >= BACKLOG_MAX)
    }

    /// Takes in mail: of each sender's, in order, so much of it as chance delivers.
    fn take_mail(&mut self, shell: usize, all: bool) {
        for from in 0..self.shells.len() {
            let waiting = self.lanes[from][shell].len();
            let count = if all { waiting } else { self.shared.chance.below(waiting + 1) };
            if count < waiting {
                self.shared.note("mail that is delayed");
            }
            let mail: Vec<Mail> = self.lanes[from][shell].drain(..count).collect();
            for mail in mail {
                self.shells[shell].open(mail, &mut self.shared);
            }
        }
    }

    fn post_mail(&mut self, shell: usize) {
        for to in 0..self.shells.len() {
            let (out, lane) = (self.shells[shell].post(ShardId::new(to)), &mut self.lanes[shell][to]);
            let free = MAILBOX_MAX - lane.len();
            if out.len() > free {
                self.shared.note("a full mailbox");
            }
            lane.extend(out.drain(..free.min(out.len())));
        }
    }

    /// A client connects, or sends so many requests at most.
    fn act(&mut self, client: usize, requests_max: usize) {
        if client >= self.clients.len() {
            return self.act_second(client - self.clients.len(), requests_max);
        }
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
                70..90 => Request::Release(room, seat),
                90..93 => Request::Bad,
                _ => Request::Ping,
            };
            if self.shared.pipes[pipe].up.len() < PIPELINED_MAX {
                self.shared.pipes[pipe].up.push_back(Up::First(request));
                self.clients[client].open.push_back(request);
            }
        }
    }

    fn connect(&mut self, client: usize) {
        let (pipe, pace) = self.new_pipe();
        let client = &mut self.clients[client];
        client.connect(pipe, pace);
        let name = client.name;
        self.accept(pipe, name, Opening::First);
    }

    pub(crate) fn accept(&mut self, pipe: usize, name: usize, opening: Opening) {
        let chance = &mut self.shared.chance;
        let shell = chance.below(self.shells.len());
        let hint = chance.percent(20).then(|| chance.below(self.rooms));
        self.shells[shell].begin_turn(self.now);
        self.shells[shell].accept(pipe, (name, opening), hint, &mut self.shared);
    }

    /// A socket, and how its client reads.
    pub(crate) fn new_pipe(&mut self) -> (usize, Pace) {
        let chance = &mut self.shared.chance;
        let capacity = [300, 300, 1_500, 40_000][chance.below(4)];
        let pace = [Pace::Fast, Pace::Fast, Pace::Fast, Pace::Slow, Pace::Never][chance.below(5)];
        match pace {
            Pace::Fast => {}
            Pace::Slow => self.shared.note("a client that reads slowly"),
            Pace::Never => self.shared.note("a client that never reads"),
        }
        self.shared.pipes.push(Pipe::new(capacity));
        (self.shared.pipes.len() - 1, pace)
    }

    fn drop_client(&mut self, client: usize, peer: Peer, what: &'static str) {
        if client >= self.clients.len() {
            return self.drop_second(client - self.clients.len(), peer, what);
        }
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
        if client >= self.clients.len() {
            return self.second_reads(client - self.clients.len(), all);
        }
        let client = &mut self.clients[client];
        let Some(number) = client.pipe else { return };
        let pipe = &mut self.shared.pipes[number];
        let count = match client.pace {
            _ if all => pipe.down.len(),
            Pace::Fast => pipe.down.len(),
            Pace::Slow => self.shared.chance.below(250).min(pipe.down.len()),
            Pace::Never => return,
        };
        client.inbox.extend(pipe.down.drain(..count));
        let is_over = pipe.is_closed && pipe.down.is_empty();
        let oracle = self.shared.oracle();
        let lagged = oracle.lagged.contains(&number);
        while let Some(message) = frames::read(&mut client.inbox) {
            client.read(message, &oracle, lagged);
        }
        drop(oracle);
        if is_over {
            assert!(
                !self.is_draining || matches!(client.closed, Some(1001 | 4008)),
                "a drain that says no goodbye: {:?}",
                client.closed
            );
            client.disconnect();
        }
    }

    fn check(&self) {
        self.shells.iter().for_each(|shell| shell.node.check_invariants());
        assert!(self.lanes.iter().flatten().all(|lane| lane.len() <= MAILBOX_MAX), "a mailbox over its bound");
    }

    /// Lets everything that waits happen, without a new request and without time passing, and compares all maps.
    pub(crate) fn settle(&mut self) {
        self.notice_silent();
        self.stalled.fill(0);
        if let Some(store) = self.store.as_mut() {
            store.go_on();
        }
        let mut rounds = 0;
        while !self.is_at_rest() {
            rounds += 1;
            assert!(rounds <= ROUNDS_MAX, "it does not come to rest: {:?}", self.unrest());
            // Rooms wait for their time, and what waits for a tick waits for it.
            self.pass_time(usize::try_from(TICK_MS).expect("small"));
            (0..self.shells.len()).for_each(|shell| self.full_turn(shell));
            (0..self.clients.len() + self.seconds.len()).for_each(|client| self.client_reads(client, true));
            self.check();
        }
        if !self.is_draining {
            self.check_at_rest();
        }
    }

    fn full_turn(&mut self, shell: usize) {
        if let Some(store) = self.store.as_mut() {
            store.work(self.now);
        }
        let ns = self.now.mono.0 * 1_000_000;
        self.shells[shell].begin_turn(self.now);
        self.take_mail(shell, true);
        let (shell_at, shared) = (&mut self.shells[shell], &mut self.shared);
        shell_at.handle(Event::Store, shared);
        shell_at.note_writable(shared);
        shell_at.slots().into_iter().for_each(|slot| shell_at.read(slot, true, shared));
        shell_at.flush(Source::Replies, shared);
        shell_at.serve(100, ns, shared);
        shell_at.flush(Source::Replies, shared);
        shell_at.handle(Event::Tick, shared);
        shell_at.flush(Source::Replies, shared);
        shell_at.node.hand_over_changes();
        self.post_mail(shell);
    }

    fn is_at_rest(&self) -> bool {
        let no_mail = self.lanes.iter().flatten().all(VecDeque::is_empty);
        let shells = self.shells.iter().all(|shell| shell.is_at_rest(&self.shared));
        let store = self.store.as_ref().is_none_or(Store::is_idle);
        let pipes = &self.shared.pipes;
        let first = self.clients.iter().filter_map(|client| client.pipe);
        let second = self.seconds.iter().filter_map(|client| client.pipe);
        let mut clients = first.chain(second).map(|pipe| &pipes[pipe]);
        no_mail && shells && store && clients.all(|pipe| pipe.down.is_empty() && !pipe.is_closed)
    }

    /// What waits in each shard.
    fn unrest(&self) -> Vec<String> {
        self.shells.iter().map(|shell| shell.unrest(&self.shared)).collect()
    }

    /// Everybody has read everything: every request is answered and every map is the truth.
    fn check_at_rest(&self) {
        let oracle = self.shared.oracle();
        for client in &self.clients {
            assert!(client.open.is_empty() && client.inbox.is_empty(), "requests without a reply: {:?}", client.open);
            for (&room, known) in &client.rooms {
                assert!(!known.is_torn, "a hole in room {room} that nothing mends");
                assert_eq!(
                    Some((known.epoch, known.seq)),
                    oracle.present(room),
                    "the last that is known of room {room}"
                );
                client.check_map(room, &oracle);
            }
        }
        self.check_seconds_at_rest(&oracle);
        let looking: usize = self.clients.iter().map(|client| client.rooms.len()).sum();
        let looking = looking + self.seconds.iter().map(|client| client.rooms.len()).sum::<usize>();
        let members: usize = self.shells.iter().map(|shell| shell.node.counts().members).sum();
        assert_eq!((members, oracle.memberships()), (looking, looking), "members that do not look");
        assert!(self.shells.iter().all(|shell| shell.node.waiting_bytes() == 0), "a log is kept for nobody");
    }

    /// Everybody goes, and nothing is left. Or the server goes, and everybody is told.
    pub(crate) fn finish(&mut self) {
        if self.shared.chance.percent(30) {
            return self.drain();
        }
        self.settle();
        for client in 0..self.clients.len() + self.seconds.len() {
            self.drop_client(client, Peer::Silent, "the last to go");
        }
        self.settle();
        // Carts wait for their sessions.
        self.pass_time(usize::try_from(self.grace_ms).expect("small"));
        (0..self.shells.len()).for_each(|shell| self.full_turn(shell));
        self.settle();
        for shell in &self.shells {
            assert_eq!(shell.node.counts(), Counts::default(), "something is left");
            assert_eq!(shell.node.next_deadline(), None);
            assert!(shell.slots().is_empty());
        }
        self.shared.oracle().assert_empty();
    }

    /// The server goes away in the middle of everything: what was decided is told, and every client gets a close frame.
    fn drain(&mut self) {
        self.is_draining = true;
        for shell in &mut self.shells {
            shell.begin_turn(self.now);
            shell.handle(Event::Drain, &mut self.shared);
        }
        self.notice_silent();
        // All may be at rest already: a drain goes on with a tick, which comes in any case.
        (0..self.shells.len()).for_each(|shell| self.full_turn(shell));
        self.settle();
        let connections = self.shells.iter().map(|shell| shell.slots().len()).sum();
        assert_eq!(connections, 0, "a connection that outlives the drain");
        for shell in &mut self.shells {
            shell.begin_turn(self.now);
            assert!(shell.has_said_goodbye && shell.node.is_drained(connections), "the drain does not end");
        }
    }
}
