//! A shop, its visitors and its server, moved by chance.

use std::collections::{BTreeMap, VecDeque};

use butaca::engine::command::{
    ApiAnswer, ApiTicket, BookMode, CancelTo, OrderState, OwnerName, Places, Reject, SaleAnswer, SaleRequest,
    SessionId, Wanted, Whose,
};
use butaca::engine::ids::{OrderId, RoomId, SeatId};
use butaca::engine::time::{Millis, Now, WallMillis};
use butaca::limits::store::STORE_REFUSE_MS;
use butaca::node::Event;

use super::disk::{Disk, Mood};
use super::server::{self, Plan, Server};
use super::truth::{Shared, Truth};
use crate::simulation::names;
use crate::simulation::second::requests::{Asked, Set};
use kit::chance::Chance;

const PEOPLE: usize = 3;
const ROOMS: usize = 2;
const SEATS: usize = 5;
const ORDERS: usize = 4;
/// Rounds in which everything must come to rest.
const ROUNDS_MAX: usize = 100;

pub(crate) struct World {
    plan: Plan,
    pub(crate) chance: Chance,
    pub(crate) happened: BTreeMap<&'static str, u64>,
    disk: Disk,
    server: Server,
    truth: Shared,
    now: Now,
    /// Whether each visitor is connected.
    people: [bool; PEOPLE],
    generations: u32,
    ids: u64,
    tickets: u64,
    /// Calls that may come again.
    calls: VecDeque<(RoomId, SaleRequest)>,
    /// Answers that the shop has not read.
    answers: VecDeque<ApiAnswer>,
}

fn seats(set: Set) -> Vec<SeatId> {
    set.iter().map(names::seat_id).collect()
}

fn order_id(number: usize) -> OrderId {
    OrderId::new(&format!("o{number}")).expect("a name")
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0x5a1e_0000);
        let (shards, is_durable) = (chance.between(1, 2), chance.percent(50));
        let now = Now { mono: Millis(1_000), wall: WallMillis(1_768_473_000_000) };
        let syncs_first = is_durable || chance.percent(30);
        let (mut disk, truth) = (Disk::new(syncs_first), server::truth());
        let plan = Plan { seed, shards, is_durable };
        let server = Server::start(plan, (now, now), &mut disk, &truth);
        let (happened, calls, answers) = Default::default();
        let (people, generations, ids, tickets) = ([false; PEOPLE], 0, 0, 0);
        Self { plan, chance, happened, disk, server, truth, now, people, generations, ids, tickets, calls, answers }
    }

    fn note(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }

    fn truth(&self) -> std::sync::MutexGuard<'_, Truth> {
        self.truth.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn pass_time(&mut self, ms: usize) {
        let ms = ms as u64;
        self.now = Now { mono: self.now.mono.after(ms), wall: self.now.wall.after(ms) };
    }

    /// Lets one thing happen.
    pub(crate) fn step(&mut self) {
        match self.chance.below(1_000) {
            0..250 => self.visit(),
            250..520 => self.call(),
            520..560 => self.call_again(),
            560..680 => self.turn(),
            680..800 => self.pump(),
            800..880 => self.read_answer(),
            880..950 => {
                let ms = self.chance.between(1, 120);
                self.pass_time(ms);
                self.turn();
            }
            950..965 => self.upset(),
            965..980 => self.leave(),
            _ => self.crash(),
        }
        self.server.begin_turn(self.now);
        self.server.nodes.iter().for_each(butaca::node::Node::check_invariants);
    }

    fn visit(&mut self) {
        let person = self.chance.below(PEOPLE);
        let (shard, slot) = (person % self.plan.shards, u32::try_from(person).expect("few"));
        self.server.begin_turn(self.now);
        if !self.people[person] {
            self.generations += 1;
            self.people[person] = true;
            return self.server.connect(shard, slot, self.generations, person as u128);
        }
        let room = self.chance.below(ROOMS);
        let some = Set::of((0..self.chance.between(1, 2)).map(|_| self.chance.below(SEATS)).collect::<Vec<_>>());
        let asked = match self.chance.below(10) {
            0..6 => Asked::Select { room, seats: some, release: Set::default() },
            6 => Asked::Release { room, seats: some },
            7 | 8 => Asked::ReleaseAll(room),
            _ => Asked::Extend(room),
        };
        self.ids += 1;
        self.server.ask(shard, slot, self.ids, &asked);
    }

    fn leave(&mut self) {
        let person = self.chance.below(PEOPLE);
        if std::mem::take(&mut self.people[person]) {
            self.server.begin_turn(self.now);
            self.server.handle(person % self.plan.shards, Event::Ended { slot: u32::try_from(person).expect("few") });
        }
    }

    fn choose(&mut self) -> SaleRequest {
        let chance = &mut self.chance;
        let order = order_id(chance.below(ORDERS));
        let some = seats(Set::of((0..chance.between(1, 2)).map(|_| chance.below(SEATS)).collect::<Vec<_>>()));
        let whole = chance.percent(70);
        let only = || (!whole).then(|| some.clone());
        let places = Places { seats: some.clone(), sections: Vec::new() };
        match chance.below(100) {
            0..35 => {
                let session = SessionId::new(chance.below(PEOPLE) as u128 + 7);
                let owner =
                    if chance.percent(85) { OwnerName::Session(session) } else { OwnerName::Holder("kiosk".into()) };
                SaleRequest::Checkout { order, owner, seats: only(), ttl_ms: Some(chance.between(50, 500) as u64) }
            }
            35..50 => SaleRequest::Book { order, mode: BookMode::Held },
            50..65 => SaleRequest::Book { order, mode: BookMode::HeldOrFree },
            65..75 => {
                let to = if chance.percent(50) { CancelTo::Cart } else { CancelTo::Free };
                SaleRequest::Cancel { order, to }
            }
            75..82 => SaleRequest::Refund { order, seats: only() },
            82..86 => SaleRequest::Hold { holder: "kiosk".into(), wanted: Wanted::Seats(some), ttl_ms: Some(300) },
            86..88 => SaleRequest::Release { whose: Whose::Seats(some), reason: None },
            88..91 => SaleRequest::Block { what: places, label: "crew".into(), release_held: whole },
            91..94 => SaleRequest::Unblock { what: places, label: None },
            94..96 => {
                let booked = some.into_iter().map(|seat| (seat, order.clone())).collect();
                SaleRequest::Reconcile { booked: Some(booked), blocked: None, dry_run: whole }
            }
            _ => SaleRequest::GetOrder { order },
        }
    }

    /// The shop calls. A call may be lost on its way.
    fn call(&mut self) {
        let room = names::room_id(self.chance.below(ROOMS));
        let request = self.choose();
        self.calls.push_back((room.clone(), request.clone()));
        if self.calls.len() > 6 {
            self.calls.pop_front();
        }
        if self.chance.percent(5) {
            return self.note("a call that is lost");
        }
        self.sell(&room, request);
    }

    fn call_again(&mut self) {
        if self.calls.is_empty() {
            return;
        }
        let (room, request) = self.calls[self.chance.below(self.calls.len())].clone();
        self.note("a call that is repeated");
        self.sell(&room, request);
    }

    fn sell(&mut self, room: &RoomId, request: SaleRequest) {
        self.tickets += 1;
        self.server.begin_turn(self.now);
        self.server.sell(room, request, ApiTicket(self.tickets));
        self.take_answers();
    }

    fn take_answers(&mut self) {
        self.answers.extend(self.server.answers());
    }

    fn read_answer(&mut self) {
        if self.answers.len() > 1 {
            self.note("an answer that comes late");
        }
        let Some(ApiAnswer { to, answer, .. }) = self.answers.pop_front() else { return };
        self.truth().told(to, &answer);
        match &answer {
            SaleAnswer::Order { order, .. } => {
                let what = match order.state {
                    OrderState::Booked if order.refunded.is_empty() => "an order that is booked",
                    OrderState::Booked => "a partial refund",
                    OrderState::Cancelled => "a payment that fails",
                    OrderState::Expired => "an order that runs out",
                    _ => return,
                };
                self.note(what);
            }
            SaleAnswer::Blocks { changed, .. } if !changed.is_empty() => self.note("seats that are blocked"),
            SaleAnswer::Refused { reject: Reject::SeatsLost, .. } => {
                self.note("a late booking that finds its seats lost");
            }
            _ => {}
        }
    }

    /// A turn of every shard.
    fn turn(&mut self) {
        self.server.begin_turn(self.now);
        for shard in 0..self.plan.shards {
            self.server.handle(shard, Event::Store);
            self.server.handle(shard, Event::Tick);
            self.server.nodes[shard].hand_over_changes();
        }
        self.take_answers();
    }

    fn pump(&mut self) {
        match self.disk.mood {
            Mood::Well => {}
            Mood::Fails => self.note("a commit that fails"),
            Mood::AnswerLost => self.note("a commit whose answer is lost"),
        }
        self.server.pump(self.now, &mut self.disk);
    }

    /// The store is as it is from now on; while it fails so much time may pass that it is given up.
    fn upset(&mut self) {
        self.disk.mood = [Mood::Well, Mood::Well, Mood::Fails, Mood::AnswerLost][self.chance.below(4)];
        if self.disk.mood == Mood::Fails && self.chance.percent(50) {
            self.turn();
            self.pump();
            self.pass_time(usize::try_from(STORE_REFUSE_MS).expect("small"));
            self.turn();
        }
    }

    /// The process dies, or the whole machine. What the store has is what the next one starts with.
    fn crash(&mut self) {
        self.note("a crash");
        if !self.answers.is_empty() {
            self.note("a crash with answers under way");
        }
        // What has left may arrive all the same.
        while self.chance.percent(50) && !self.answers.is_empty() {
            self.read_answer();
        }
        self.answers.clear();
        self.people = [false; PEOPLE];
        self.disk.mood = Mood::Well;
        if self.chance.percent(30) && self.disk.lose_power() {
            self.note("a power failure that loses something");
        }
        let (away, reading) = (self.chance.below(300), self.chance.below(60));
        self.pass_time(away);
        let read_at = self.now;
        self.pass_time(reading);
        self.server = Server::start(self.plan, (read_at, self.now), &mut self.disk, &self.truth);
        let shards: Vec<_> = self.server.nodes.iter().map(butaca::node::Node::seats).collect();
        self.truth().begin_anew(&shards);
        if self.chance.percent(30) {
            self.settle();
        }
    }

    /// Everything comes to rest, and the log is compared with what is taken.
    pub(crate) fn settle(&mut self) {
        self.disk.mood = Mood::Well;
        let mut rounds = 0;
        loop {
            self.pump();
            self.turn();
            if self.server.is_idle() {
                break;
            }
            rounds += 1;
            assert!(rounds < ROUNDS_MAX, "it does not come to rest");
        }
        while !self.answers.is_empty() {
            self.read_answer();
        }
        self.truth().check_log(self.disk.logged());
        self.disk.is_ahead = false;
    }
}
