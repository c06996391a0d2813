//! The machines, the mail between them, the clients, and what goes wrong.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError};

use butaca::engine::command::{ApiTicket, BookMode, CancelTo, OwnerName, Position, Request, SaleRequest};
use butaca::engine::ids::{ClientId, OrderId, RoomId};
use butaca::engine::time::{Millis, Now, WallMillis};
use butaca::node::{Arrival, Event, Opening, Random};
use butaca::persist::parts::PartAck;
use butaca::wire::message::Message;
use kit::Chance;

use super::fan::Fan;
use super::machine::{Entry, Machine, PATIENCE_MS};
use super::redis::Redis;
use super::truth::{ROOMS, Shared, state_of};
use crate::simulation::frames::{Room, SECOND_NAMES};
use crate::simulation::names;
use crate::simulation::second::requests::{self, Asked, Set};

const MACHINES: usize = 3;
const SEATS: usize = 5;
const FANS: usize = 7;
/// Lives of nodes in one run: each has an address.
const LIVES_MAX: usize = 50;
/// Nothing waits longer for the store: what would be undone is not looked at here.
const PUMP_MS: u64 = 500;

pub(crate) struct World {
    pub(crate) chance: Chance,
    seed: u64,
    now: u64,
    lives: usize,
    machines: Vec<Option<Machine>>,
    /// Until when a machine stands still.
    still: Vec<u64>,
    /// When what it has decided was committed last.
    pumped: Vec<u64>,
    /// The mail of each life.
    streams: BTreeMap<usize, VecDeque<Entry>>,
    redis: Redis,
    /// To whom the rooms are being handed over.
    handing: Option<usize>,
    fans: Vec<Fan>,
    orders: u64,
    truth: Shared,
    pub(crate) happened: BTreeMap<&'static str, u64>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let fan = |at: usize| Fan::new(if at % 3 == 2 { SECOND_NAMES + at } else { at }, at % 3 == 2);
        let mut world = Self {
            chance: Chance::new(seed),
            seed,
            now: 1_000,
            lives: 0,
            machines: (0..MACHINES).map(|_| None).collect(),
            still: vec![0; MACHINES],
            pumped: vec![0; MACHINES],
            streams: BTreeMap::new(),
            redis: Redis::default(),
            handing: None,
            fans: (0..FANS).map(fan).collect(),
            orders: 0,
            truth: Shared::default(),
            happened: BTreeMap::new(),
        };
        (0..MACHINES).for_each(|at| world.start(at));
        world
    }

    fn note(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }

    fn at(&self) -> Now {
        Now { mono: Millis(self.now), wall: WallMillis(1_000_000 + self.now) }
    }

    fn machine_of(&self, life: usize) -> Option<usize> {
        self.machines.iter().position(|machine| machine.as_ref().is_some_and(|machine| machine.life == life))
    }

    fn runs(&self, at: usize) -> bool {
        self.machines[at].is_some() && self.still[at] <= self.now
    }

    fn any(&mut self) -> Option<usize> {
        let running: Vec<usize> = (0..MACHINES).filter(|&at| self.runs(at)).collect();
        (!running.is_empty()).then(|| running[self.chance.below(running.len())])
    }

    fn start(&mut self, at: usize) {
        if self.lives >= LIVES_MAX {
            return;
        }
        let mut machine = Machine::new(self.lives, self.seed, self.at(), &self.truth);
        self.lives += 1;
        machine.moved(self.redis.owner);
        self.streams.insert(machine.life, VecDeque::new());
        (self.machines[at], self.still[at]) = (Some(machine), 0);
        if self.redis.owner.is_none() {
            self.take(at, Vec::new());
        }
    }

    /// A machine takes the rooms, and the others hear of it sooner or later.
    fn take(&mut self, at: usize, lives: Vec<(RoomId, Position)>) {
        let (now, redis) = (self.at(), &mut self.redis);
        let taker = self.machines[at].as_mut().expect("it runs");
        taker.load(now, redis, lives);
        let life = taker.life;
        let others = self.machines.iter_mut().flatten().filter(|machine| machine.life != life);
        others.for_each(|machine| machine.moved(Some(life)));
    }

    /// An event for a machine, and what follows at once.
    fn turn(&mut self, at: usize, event: Event<'_>) {
        let now = self.at();
        let Some(machine) = self.machines[at].as_mut() else { return };
        machine.turn(now, event);
        self.follow(at);
    }

    /// Bytes reach their clients, and acknowledgements the cluster's thread.
    fn follow(&mut self, at: usize) {
        let Some(machine) = self.machines[at].as_mut() else { return };
        let (sent, ended) = (std::mem::take(&mut machine.sent), std::mem::take(&mut machine.ended));
        let acks = machine.acks();
        for (slot, bytes) in sent {
            if let Some(fan) = self.fans.iter_mut().find(|fan| fan.at == (at, slot) && !fan.is_closed) {
                fan.inbox.extend_from_slice(&bytes);
            }
        }
        let truth = Arc::clone(&self.truth);
        let truth = truth.lock().unwrap_or_else(PoisonError::into_inner);
        self.fans.iter_mut().filter(|fan| fan.at.0 == at && !fan.is_closed).for_each(|fan| fan.read(&truth));
        drop(truth);
        self.fans
            .iter_mut()
            .filter(|fan| fan.at.0 == at && ended.contains(&fan.at.1))
            .for_each(|fan| fan.is_closed = true);
        acks.into_iter().for_each(|ack| self.acked(at, ack));
    }

    fn acked(&mut self, at: usize, ack: PartAck) {
        let Some(machine) = self.machines[at].as_mut() else { return };
        let is_owner = self.redis.owner == Some(machine.life);
        match ack {
            PartAck::Loaded { fence, .. } if is_owner && fence == self.redis.fence => machine.serve(),
            PartAck::Settled { fence, .. } if is_owner && fence == self.redis.fence => {
                let Some(to) = self.handing.take() else { return };
                if self.runs(to) {
                    self.note("the rooms are handed over");
                    let machine = self.machines[at].as_mut().expect("looked at above");
                    let lives = machine.lives();
                    machine.forget(fence);
                    self.take(to, lives);
                } else {
                    self.machines[at].as_mut().expect("looked at above").serve();
                }
            }
            _ => {}
        }
    }

    fn hear(&mut self, at: usize) {
        let now = self.at();
        let acks = self.machines[at].as_mut().map(|machine| machine.hear(now)).unwrap_or_default();
        acks.into_iter().for_each(|ack| self.acked(at, ack));
        self.follow(at);
    }

    fn deliver(&mut self, at: usize, is_lost: bool) {
        let now = self.at();
        let Some(machine) = self.machines[at].as_mut() else { return };
        let Some(entry) = self.streams.get_mut(&machine.life).and_then(VecDeque::pop_front) else { return };
        machine.read(now, &entry, is_lost);
        self.follow(at);
    }

    fn post(&mut self, at: usize) {
        let Some((to, entry)) = self.machines[at].as_mut().and_then(|machine| machine.outbox.pop_front()) else {
            return;
        };
        if let Some(stream) = self.streams.get_mut(&to) {
            stream.push_back(entry);
        }
    }

    fn pump(&mut self, at: usize) {
        let now = self.at();
        self.pumped[at] = self.now;
        let Some(machine) = self.machines[at].as_mut() else { return };
        machine.pump(now, &mut self.redis);
        self.follow(at);
    }

    fn pass(&mut self, ms: u64) {
        self.now += ms;
        for at in 0..MACHINES {
            if self.runs(at) {
                if self.pumped[at] + PUMP_MS <= self.now {
                    self.pump(at);
                }
                self.turn(at, Event::Tick);
            }
        }
    }

    pub(crate) fn step(&mut self) {
        let Some(at) = self.any() else { return self.pass(100) };
        if self.pumped[at] + PUMP_MS <= self.now {
            self.pump(at);
        }
        match self.chance.below(100) {
            0..25 => {
                let fan = self.chance.below(FANS);
                self.act(fan);
            }
            25..40 => self.sell(),
            40..60 => {
                let is_lost = self.chance.below(60) == 0;
                self.deliver(at, is_lost);
            }
            60..72 => self.post(at),
            72..82 => self.pump(at),
            82..90 => self.hear(at),
            90..98 => {
                let ms = self.chance.between(1, 120) as u64;
                self.pass(ms);
            }
            _ => self.accident(),
        }
    }

    fn accident(&mut self) {
        let at = self.chance.below(MACHINES);
        let owner = self.redis.owner.and_then(|life| self.machine_of(life));
        let is_owners = self.chance.percent(60);
        match self.chance.below(10) {
            _ if self.machines[at].is_none() => self.start(at),
            0..3 => self.kill(owner.filter(|_| is_owners).unwrap_or(at)),
            3..5 => self.stand_still(at),
            _ => self.hand_over(at),
        }
    }

    fn hand_over(&mut self, to: usize) {
        let Some(owner) = self.redis.owner.and_then(|life| self.machine_of(life)).filter(|owner| *owner != to) else {
            return;
        };
        let is_there = self.machines[to].is_some();
        let machine = self.machines[owner].as_mut().expect("it was found");
        if self.handing.is_none() && machine.decides() && is_there {
            machine.freeze(self.redis.fence);
            self.handing = Some(to);
        }
    }

    /// The lease of the owner has ended: another one takes the rooms, if there is one.
    fn depose(&mut self, life: usize) {
        self.redis.owner = None;
        self.handing = None;
        let fence = self.redis.fence;
        for machine in self.machines.iter_mut().flatten() {
            if machine.life == life {
                machine.forget(fence);
            }
            machine.moved(None);
        }
        let takers: Vec<usize> = (0..MACHINES).filter(|&at| self.runs(at)).collect();
        if !takers.is_empty() {
            let taker = takers[self.chance.below(takers.len())];
            self.take(taker, Vec::new());
        }
    }

    fn kill(&mut self, at: usize) {
        let Some(machine) = self.machines[at].take() else { return };
        let life = machine.life;
        self.streams.remove(&life);
        let is_owner = self.redis.owner == Some(life);
        self.note(if is_owner { "the owner dies" } else { "a node that does not own the rooms dies" });
        self.fans.iter_mut().filter(|fan| fan.at.0 == at).for_each(|fan| fan.is_closed = true);
        if is_owner {
            self.depose(life);
        } else if self.handing == Some(at) {
            // The owner goes on when it hears that it has settled.
        }
        self.machines.iter_mut().flatten().for_each(|machine| machine.end_of(life));
    }

    fn stand_still(&mut self, at: usize) {
        let Some(machine) = &self.machines[at] else { return };
        let life = machine.life;
        self.note("a node that stands still");
        self.still[at] = self.now + self.chance.between(100, 4_000) as u64;
        if self.redis.owner == Some(life) && self.chance.percent(70) && (0..MACHINES).any(|other| self.runs(other)) {
            self.depose(life);
        }
    }

    fn connect(&mut self, fan: usize) {
        let Some(at) = self.any() else { return };
        let machine = self.machines[at].as_mut().expect("it runs");
        let slot = machine.slots;
        machine.slots += 1;
        self.fans[fan].connect((at, slot));
        let client = names::client_id(self.fans[fan].name);
        let random = Random { session: u128::from(self.chance.next()), incarnation: 1 };
        let opening = if self.fans[fan].is_second { Opening::Second(random) } else { Opening::First };
        self.turn(at, Event::Opened { slot, generation: 0 });
        self.turn(at, Event::Upgraded { slot, arrival: Arrival::of(client, opening) });
    }

    /// A client does something.
    fn act(&mut self, fan: usize) {
        if self.fans[fan].is_closed {
            return self.connect(fan);
        }
        let (at, slot) = self.fans[fan].at;
        let is_ready = self.machines[at].as_mut().is_some_and(|machine| machine.node.takes_requests(slot));
        if !self.runs(at) || !is_ready {
            return;
        }
        if self.chance.percent(4) {
            self.fans[fan].is_closed = true;
            return self.turn(at, Event::HungUp { slot });
        }
        let (room, seat) = (self.chance.below(ROOMS), self.chance.below(SEATS));
        let is_member = self.fans[fan].rooms.contains_key(&room);
        let what = if is_member { self.chance.below(10) } else { 9 };
        if self.fans[fan].is_second {
            self.ask_second(fan, what, (room, seat))
        } else {
            self.ask_first(fan, what, (room, seat))
        }
    }

    fn ask_first(&mut self, fan: usize, what: usize, (room, seat): (Room, usize)) {
        let (at, slot) = self.fans[fan].at;
        let (room, seat) = (names::room_id(room), names::seat_id(seat));
        let (room, seat) = (room.as_str(), seat.as_str());
        let request = match what {
            0..5 => Request::Select { room, seat, user_info: "{}" },
            5..8 => Request::Release { room, seat },
            _ => Request::Join { room },
        };
        self.turn(at, Event::Message { slot, message: Message::Request(request) });
    }

    fn ask_second(&mut self, fan: usize, what: usize, (room, seat): (Room, usize)) {
        let (at, slot) = self.fans[fan].at;
        self.fans[fan].asked += 1;
        let id = self.fans[fan].asked;
        let seats = Set::of([seat]);
        let asked = match what {
            0..5 => Asked::Select { room, seats, release: Set::default() },
            5..8 => Asked::Release { room, seats },
            _ => Asked::Join { room, since: None },
        };
        requests::ask(slot, id, &asked, |event| {
            self.turn(at, event);
            butaca::node::Next::ReadOn
        });
    }

    /// The shop does something, at the owner.
    fn sell(&mut self) {
        let Some(at) = self.redis.owner.and_then(|life| self.machine_of(life)).filter(|&at| self.runs(at)) else {
            return;
        };
        let machine = self.machines[at].as_mut().expect("it runs");
        machine.node.api_answers().clear();
        if !machine.decides() {
            return;
        }
        let room = self.chance.below(ROOMS);
        let order = |number: u64| OrderId::new(&format!("o{number}")).expect("a name");
        let any = if self.orders == 0 { 0 } else { self.chance.next() % self.orders };
        let request = match self.chance.below(10) {
            0..4 => {
                let fan = &self.fans[self.chance.below(FANS)];
                let client: ClientId = names::client_id(fan.name);
                self.orders += 1;
                SaleRequest::Checkout {
                    order: order(self.orders),
                    owner: OwnerName::Client(client),
                    seats: None,
                    ttl_ms: None,
                }
            }
            4..7 => SaleRequest::Book { order: order(self.orders), mode: BookMode::Held },
            7 => SaleRequest::Book { order: order(any), mode: BookMode::HeldOrFree },
            8 => SaleRequest::Refund { order: order(any), seats: None },
            _ => SaleRequest::Cancel { order: order(self.orders), to: CancelTo::Cart },
        };
        let reply_to = ApiTicket(self.chance.next() >> 1);
        self.turn(at, Event::Sale { room: names::room_id(room), request: Box::new(request), reply_to });
    }

    /// Nothing goes wrong any more, and everything that is under way arrives.
    pub(crate) fn settle(&mut self) {
        self.still.fill(0);
        (0..MACHINES)
            .filter(|&at| self.machines[at].is_none())
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|at| self.start(at));
        if self.redis.owner.is_none()
            && let Some(taker) = self.any()
        {
            self.take(taker, Vec::new());
        }
        for _ in 0..PATIENCE_MS / 50 + 40 {
            for at in 0..MACHINES {
                for _ in 0..4 {
                    self.hear(at);
                    self.pump(at);
                }
                for _ in 0..50 {
                    self.post(at);
                }
            }
            for at in 0..MACHINES {
                for _ in 0..150 {
                    self.deliver(at, false);
                }
            }
            self.pass(50);
        }
        self.check();
    }

    fn check(&self) {
        let owner = self.redis.owner.and_then(|life| self.machine_of(life)).expect("somebody has the rooms");
        let owner = &self.machines[owner].as_ref().expect("it was found").node;
        assert!(owner.decides("r0"), "nobody decides in the end");
        for room in 0..ROOMS {
            if let Some(state) = state_of(room, owner.seats()) {
                let open = self.fans.iter().filter(|fan| !fan.is_closed);
                open.for_each(|fan| fan.is_up_to_date(room, &state));
            }
        }
    }
}
