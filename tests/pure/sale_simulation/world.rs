//! A shop, its visitors and its server, moved by chance.

use std::collections::{BTreeMap, VecDeque};

use butaca::engine::command::{
    ApiAnswer, ApiTicket, BookMode, CancelTo, LayoutName, OrderState, OwnerName, Places, Reject, Request, RoomPatch,
    RoomSettings, Sale, SaleAnswer, SaleRequest, SessionId, Wanted, Whose,
};
use butaca::engine::ids::{OrderId, RoomId, SeatId};
use butaca::engine::time::{Millis, Now, WallMillis};
use butaca::limits::store::STORE_REFUSE_MS;
use butaca::node::Event;

use super::disk::{Disk, Mood};
use super::halls;
use super::log::Follower;
use super::server::{self, Plan, Server};
use super::truth::{Shared, Truth};
use crate::simulation::names;
use crate::simulation::second::requests::{Asked, Set};
use kit::chance::Chance;

const PEOPLE: usize = 3;
/// Visitors who speak the first protocol.
const FIRSTS: usize = 2;
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
    /// Whether each visitor who speaks the first protocol is connected.
    firsts: [bool; FIRSTS],
    follower: Follower,
    /// How often the clock was set.
    clock_sets: usize,
    /// Until when seats wait for clients from before a restart.
    grace_until: Millis,
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
        let log_max = if chance.percent(60) { chance.between(4, 20) } else { 100_000 };
        let plan = Plan { seed, shards, is_durable, log_max };
        let server = Server::start(plan, (now, now), &mut disk, &truth);
        Self {
            plan,
            chance,
            happened: BTreeMap::new(),
            disk,
            server,
            truth,
            now,
            people: [false; PEOPLE],
            generations: 0,
            ids: 0,
            tickets: 0,
            calls: VecDeque::new(),
            answers: VecDeque::new(),
            firsts: [false; FIRSTS],
            follower: Follower::default(),
            clock_sets: 0,
            grace_until: Millis::default(),
        }
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
        match self.chance.below(1_150) {
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
            980..1_000 => self.crash(),
            1_000..1_090 => self.visit_first(),
            1_090..1_130 => self.some_mail(),
            1_130..1_145 => self.follow(),
            _ => self.set_clock(),
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

    /// Somebody with the first protocol does something.
    fn visit_first(&mut self) {
        let first = self.chance.below(FIRSTS);
        let slot = u32::try_from(PEOPLE + first).expect("few");
        self.server.begin_turn(self.now);
        if !self.firsts[first] {
            self.generations += 1;
            self.firsts[first] = true;
            let shard = self.chance.below(self.plan.shards);
            return self.server.connect_first(shard, slot, self.generations, names::client_id(first));
        }
        let (room, seat) = (names::room_id(self.chance.below(ROOMS)), names::seat_id(self.chance.below(SEATS)));
        let (room, seat) = (room.as_str(), seat.as_str());
        let request = match self.chance.below(20) {
            0..5 => Request::Join { room },
            5..15 => Request::Select { room, seat, user_info: "{}" },
            15..17 => Request::Release { room, seat },
            17 => Request::Leave { room },
            _ => {
                let has_gone = self.server.break_first(slot);
                self.firsts[first] = !has_gone;
                return;
            }
        };
        if self.server.ask_first(slot, request) {
            self.note("a connection that moves");
        }
    }

    /// Some of the mail between shards arrives.
    fn some_mail(&mut self) {
        self.server.begin_turn(self.now);
        for _ in 0..self.chance.between(1, 4) {
            let (from, to) = (self.chance.below(self.plan.shards), self.chance.below(self.plan.shards));
            self.server.deliver(from, to);
        }
        self.take_answers();
    }

    /// Somebody reads on in the log.
    fn follow(&mut self) {
        let limit = self.chance.between(1, 12);
        if self.follower.read(&self.server.past.ring, limit) {
            self.note("a reader of the log that is too late");
        }
    }

    /// The clock on the wall is set, by a little or by minutes.
    fn set_clock(&mut self) {
        let ms_max = if self.chance.percent(50) { 1_000 } else { 300_000 };
        let ms = self.chance.between(1, ms_max) as u64;
        let wall = self.now.wall.0;
        let (wall, what) = if self.chance.percent(50) {
            (wall + ms, "a clock that is set forward")
        } else {
            (wall - ms, "a clock that is set back")
        };
        self.now.wall = WallMillis(wall);
        self.clock_sets += 1;
        self.note(what);
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
                let owner = match chance.below(20) {
                    0..13 => OwnerName::Session(session),
                    13..16 => OwnerName::Holder("kiosk".into()),
                    _ => OwnerName::Client(names::client_id(chance.below(FIRSTS))),
                };
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
            94..97 => {
                let booked = some.into_iter().map(|seat| (seat, order.clone())).collect();
                SaleRequest::Reconcile { booked: Some(booked), blocked: None, dry_run: chance.percent(30) }
            }
            97..99 => SaleRequest::GetOrder { order },
            _ => SaleRequest::GetRoom,
        }
    }

    /// Something about a room as a whole.
    fn choose_of_room(&mut self) -> SaleRequest {
        let chance = &mut self.chance;
        let hall = halls::HALLS[chance.below(halls::HALLS.len())].0;
        let plan = chance.percent(50).then(|| halls::plan(hall).expect("it is one of them"));
        let layout = plan.as_ref().map(|plan| LayoutName::of(&plan.0));
        let opens_at = Some(self.now.wall.after(chance.between(1, 200) as u64));
        let sale = [Sale::Open, Sale::Open, Sale::Paused, Sale::Scheduled { opens_at }][chance.below(4)];
        match chance.below(10) {
            0..4 => {
                let hold_ms = chance.percent(30).then_some(250);
                SaleRequest::PutRoom { settings: RoomSettings { sale, hold_ms, layout, ..Default::default() }, plan }
            }
            4..6 => {
                let patch = RoomPatch { layout: Some(layout), ..RoomPatch::default() };
                SaleRequest::PatchRoom { patch, plan }
            }
            6..8 => {
                SaleRequest::PatchRoom { patch: RoomPatch { sale: Some(sale), ..RoomPatch::default() }, plan: None }
            }
            _ => SaleRequest::DeleteRoom { force: chance.percent(40) },
        }
    }

    /// The shop calls. A call may be lost on its way.
    fn call(&mut self) {
        let room = names::room_id(self.chance.below(ROOMS));
        let request = if self.chance.percent(8) { self.choose_of_room() } else { self.choose() };
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
                if matches!(order.owner, Some(OwnerName::Client(_))) {
                    self.note("a v1 client that pays");
                }
                let what = match order.state {
                    OrderState::Booked if order.refunded.is_empty() => "an order that is booked",
                    OrderState::Booked => "a partial refund",
                    OrderState::Cancelled => "a payment that fails",
                    OrderState::Expired => "an order that runs out",
                    _ => return,
                };
                self.note(what);
            }
            SaleAnswer::Room { is_new: true, .. } => self.note("a room that is made"),
            SaleAnswer::Room { room, .. } if room.settings.as_ref().is_some_and(|of| of.layout.is_some()) => {
                self.note("a room that gets a layout");
            }
            SaleAnswer::Deleted => self.note("a room that is deleted"),
            SaleAnswer::Refused { reject: Reject::RoomDiffers, .. } => self.note("a room that keeps what it is"),
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
        if self.chance.percent(50) {
            self.server.deliver_all();
        }
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
        (self.people, self.firsts) = ([false; PEOPLE], [false; FIRSTS]);
        if self.server.has_mail() {
            self.note("mail under way at a crash");
        }
        self.disk.mood = Mood::Well;
        if self.chance.percent(30) && self.disk.lose_power() {
            self.note("a power failure that loses something");
            // It has read what is no more.
            self.follower = Follower::default();
        }
        let (away, reading) = (self.chance.below(300), self.chance.below(60));
        self.pass_time(away);
        let read_at = self.now;
        self.pass_time(reading);
        self.server = Server::start(self.plan, (read_at, self.now), &mut self.disk, &self.truth);
        let shards: Vec<_> = self.server.nodes.iter().map(butaca::node::Node::seats).collect();
        let now = (self.clock_sets < 2).then_some(self.now.wall);
        self.truth().begin_anew(now, &shards);
        self.grace_until = self.now.mono.after(server::GRACE_MS);
        if self.chance.percent(30) {
            self.settle();
        }
    }

    /// Everything comes to rest, and the log is compared with what is taken.
    pub(crate) fn settle(&mut self) {
        self.disk.mood = Mood::Well;
        let mut rounds = 0;
        loop {
            self.server.deliver_all();
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
        let (firsts, is_waited_for) = (self.firsts, self.now.mono <= self.grace_until);
        self.truth().check_holders(|client| is_waited_for || firsts[names::number(client)]);
        self.disk.is_ahead = false;
    }
}
