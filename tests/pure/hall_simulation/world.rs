//! Halls, their visitors and their server, moved by chance.

use std::collections::BTreeMap;
use std::sync::Arc;

use butaca::engine::command::{LayoutName, Owner, RoomPatch, RoomPlan, RoomSettings, SaleRequest};
use butaca::engine::time::{Millis, Now, WallMillis};
use butaca::limits::SESSION_TOKEN_MS;
use butaca::node::Random;
use serde_json::{Value, json};

use super::client::Client;
use super::server::{Plan, Server};
use super::tokens::{self, Shown};
use super::truth::{Shared, Truth};
use crate::sale_simulation::disk::Disk;
use crate::simulation::frames::{Room, Seat};
use crate::simulation::names;
use kit::chance::Chance;

const PEOPLE: usize = 4;
const ROOMS: usize = 2;
/// Requests that a client sends before it reads.
const PIPELINED_MAX: usize = 4;
/// Rounds in which everything must come to rest.
const ROUNDS_MAX: usize = 100;

pub(crate) struct World {
    plan: Plan,
    pub(crate) chance: Chance,
    pub(crate) happened: BTreeMap<&'static str, u64>,
    disk: Disk,
    syncs_first: bool,
    server: Server,
    truth: Shared,
    now: Now,
    people: Vec<Client>,
    sessions: u128,
    tickets: u64,
}

fn plan_of(truth: &Shared) -> impl Fn(&LayoutName) -> Option<RoomPlan> {
    let truth = Arc::clone(truth);
    move |name| {
        let truth = truth.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        truth.halls.iter().find(|hall| hall.name() == *name).map(super::halls::Hall::plan)
    }
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0x4a11_0000);
        let now = Now { mono: Millis(1_000), wall: WallMillis(1_768_473_000_000) };
        let (shards, is_durable) = (chance.between(1, 2), chance.percent(50));
        let authority = chance.percent(50).then(tokens::authority);
        let syncs_first = is_durable || chance.percent(30);
        let plan = Plan { seed, shards, is_durable, authority };
        let (mut disk, truth) = (Disk::new(syncs_first), Shared::default());
        let server = Server::start(&plan, (now, now), &mut disk, &truth, plan_of(&truth));
        let people = (0..PEOPLE).map(|_| Client::default()).collect();
        let (happened, sessions, tickets) = (BTreeMap::new(), 0, 0);
        let mut world =
            Self { plan, chance, happened, disk, syncs_first, server, truth, now, people, sessions, tickets };
        world.furnish();
        world
    }

    fn note(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }

    fn truth(&self) -> std::sync::MutexGuard<'_, Truth> {
        self.truth.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Room 0 is a hall in every run.
    fn furnish(&mut self) {
        let hall = self.chance.below(3);
        let (layout, plan) = {
            let truth = self.truth();
            (truth.halls[hall].name(), truth.halls[hall].plan())
        };
        let settings = RoomSettings { layout: Some(layout), ..RoomSettings::default() };
        self.sell(0, SaleRequest::PutRoom { settings, plan: Some(plan) });
    }

    fn sell(&mut self, room: Room, request: SaleRequest) {
        self.tickets += 1;
        self.server.begin_turn(self.now);
        self.server.sell(&names::room_id(room), request, self.tickets);
    }

    /// Lets one thing happen.
    pub(crate) fn step(&mut self) {
        let person = self.chance.below(PEOPLE);
        match self.chance.below(1_000) {
            0..400 => self.act(person),
            400..640 => self.turn(),
            640..740 => {
                let ms = self.chance.between(1, 60);
                self.pass_time(ms);
            }
            740..860 => self.server.pump(&mut self.disk),
            860..910 => self.leave(person),
            910..940 => self.show_token(person),
            940..970 => self.change_layout(),
            970..985 => self.stop(false),
            985..995 => self.stop(true),
            _ => self.sleep(),
        }
        self.server.nodes.iter().for_each(butaca::node::Node::check_invariants);
    }

    fn act(&mut self, person: usize) {
        self.server.begin_turn(self.now);
        let Some(socket) = self.people[person].socket else { return self.connect(person) };
        for _ in 0..self.chance.between(1, 3) {
            if self.server.sockets[socket].up.len() < PIPELINED_MAX && !self.people[person].has_ended() {
                let request = self.choose(person);
                self.ask(person, request);
            }
        }
        if self.chance.percent(70) {
            self.server.read();
        }
        self.read(person);
    }

    fn ask(&mut self, person: usize, request: Value) {
        let Some(socket) = self.people[person].socket else { return };
        let of = &self.server.sockets[socket];
        if !of.is_closing && !of.is_over {
            let text = self.people[person].ask(request);
            self.server.sockets[socket].up.push_back(text);
        }
    }

    fn connect(&mut self, person: usize) {
        self.sessions += 1;
        let random = Random { session: self.sessions, incarnation: self.chance.next() };
        let shown = self.plan.authority.is_some() && self.chance.percent(60);
        let shown = shown.then(|| tokens::token(&mut self.chance, person, self.now.wall));
        let shard = self.chance.below(self.plan.shards);
        let socket = self.server.sockets.len();
        let is_good = |shown: &Shown| shown.proves.is_some() && shown.ends_at > self.now.wall;
        let let_in = shown.as_ref().filter(|shown| is_good(shown)).map(|shown| shown.ends_at);
        {
            let mut truth = self.truth();
            truth.proven.resize(socket + 1, Default::default());
            if self.plan.authority.is_none() {
                let session = Owner::Session(butaca::engine::command::SessionId::new(random.session));
                truth.proven[socket].owners.insert(session, WallMillis(u64::MAX));
            } else if let Some(proven) = shown.as_ref().and_then(|shown| shown.proves.clone()) {
                truth.proven[socket] = proven;
            }
        }
        self.people[person].connect(socket, let_in);
        let token = shown.as_ref().map(|shown| shown.text.as_str());
        self.server.connect(shard, 50 + person / 2, random, token);
        if self.plan.authority.is_none() && self.chance.percent(80) {
            self.resume(person);
        }
    }

    /// It goes on as a session of before, or of somebody else whose token it does not quite have.
    fn resume(&mut self, person: usize) {
        let known = self.people[person].tokens.len();
        if known == 0 {
            return;
        }
        let newest = self.chance.percent(80);
        let at = if newest { known - 1 } else { self.chance.below(known) };
        let token = self.people[person].tokens[at].clone();
        let mut text = token.text;
        if self.chance.percent(10) {
            let at = self.chance.below(text.len() - 2);
            let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
            text.replace_range(at..=at, other);
        } else if let Some(socket) = self.people[person].socket {
            let session = butaca::auth::session::read_session(&token.session).expect("a session");
            let mut truth = self.truth();
            truth.proven[socket].owners.insert(Owner::Session(session), WallMillis(u64::MAX));
        }
        let rooms: Vec<&str> = ["r0", "r1"].into_iter().filter(|_| self.chance.percent(70)).collect();
        self.ask(person, json!({"type": "resume", "session_token": text, "rooms": rooms}));
    }

    fn show_token(&mut self, person: usize) {
        if self.plan.authority.is_none() {
            return self.act(person);
        }
        let Some(socket) = self.people[person].socket else { return };
        let of = if self.chance.percent(90) { person } else { self.chance.below(PEOPLE) };
        let shown = tokens::token(&mut self.chance, of, self.now.wall);
        let is_own = tokens::subject(of) == tokens::subject(person);
        // Another person's token would make another person of it: then all that it is told is that one's.
        if !is_own && self.people[person].let_in.is_none() {
            return;
        }
        if let Some(proven) = shown.proves.filter(|_| is_own) {
            let mut truth = self.truth();
            let of = &mut truth.proven[socket];
            for (owner, until) in proven.owners {
                let known = of.owners.entry(owner).or_insert(until);
                *known = until.max(*known);
            }
            (of.room, of.seats_max) = (proven.room, proven.seats_max);
        }
        self.ask(person, json!({"type": "auth", "token": shown.text}));
    }

    fn choose(&mut self, person: usize) -> Value {
        let (room, kind) = (self.chance.below(ROOMS), self.chance.below(100));
        let room_id = format!("r{room}");
        let own: Vec<Seat> = self.people[person].carts.get(&room).into_iter().flatten().copied().collect();
        let name = |seats: &[Seat]| seats.iter().map(|seat| format!("s{seat}")).collect::<Vec<_>>();
        let some = |chance: &mut Chance, most: usize| {
            let all: std::collections::BTreeSet<Seat> =
                (0..chance.between(1, most)).map(|_| chance.below(super::halls::SEATS)).collect();
            all.into_iter().collect::<Vec<_>>()
        };
        match kind {
            0..20 => {
                let mut join = json!({"type": "join_room", "room_id": room_id});
                if let Some(since) = self.people[person].since(room).filter(|_| self.chance.percent(80)) {
                    join["since"] = since;
                }
                join
            }
            20..25 => json!({"type": "leave_room", "room_id": room_id}),
            25..45 => {
                let seats = some(&mut self.chance, 3);
                let release: Vec<Seat> = own.into_iter().filter(|seat| !seats.contains(seat)).take(1).collect();
                json!({"type": "select_seats", "room_id": room_id, "seats": name(&seats), "release": name(&release)})
            }
            45..70 => self.choose_best(&room_id, &own),
            70..80 if !own.is_empty() => {
                json!({"type": "release_seats", "room_id": room_id, "seats": name(&own[..1])})
            }
            70..82 => json!({"type": "release_seats", "room_id": room_id, "seats": name(&some(&mut self.chance, 2))}),
            82..87 => json!({"type": "release_seats", "room_id": room_id, "all": true}),
            87..92 => json!({"type": "extend_hold", "room_id": room_id}),
            92..96 => json!({"type": "sync", "room_id": room_id}),
            _ => json!({"type": "ping"}),
        }
    }

    fn choose_best(&mut self, room: &str, own: &[Seat]) -> Value {
        let quantity = self.chance.between(1, 4);
        let mut best = json!({"type": "select_best", "room_id": room, "quantity": quantity});
        if self.chance.percent(25) {
            best["adjacent"] = false.into();
        }
        if self.chance.percent(20) {
            best["sections"] = Value::from(vec![["A", "B"][self.chance.below(2)]]);
        }
        if self.chance.percent(20) {
            best["categories"] = Value::from(vec![["gold", "blue"][self.chance.below(2)]]);
        }
        if self.chance.percent(10) {
            best["accessible"] = 1.into();
        }
        if !own.is_empty() && self.chance.percent(40) {
            let release: Vec<String> = own.iter().map(|seat| format!("s{seat}")).collect();
            best["release"] = json!(release);
        }
        best
    }

    fn read(&mut self, person: usize) {
        let Some(socket) = self.people[person].socket else { return };
        let bytes = std::mem::take(&mut self.server.sockets[socket].down);
        let (truth, now) = (Arc::clone(&self.truth), self.now.wall);
        let truth = truth.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.people[person].read(bytes, now, &truth);
        if self.server.sockets[socket].is_over {
            self.people[person].disconnect();
        }
    }

    fn leave(&mut self, person: usize) {
        self.server.begin_turn(self.now);
        if let Some(socket) = self.people[person].socket {
            self.note("a client that goes");
            self.server.hang_up(socket);
            self.people[person].disconnect();
        }
    }

    fn turn(&mut self) {
        self.server.begin_turn(self.now);
        self.server.turn();
        for person in 0..PEOPLE {
            let Some(socket) = self.people[person].socket else { continue };
            let is_over = |until: WallMillis| until < self.now.wall;
            if self.people[person].is_answered() && self.people[person].let_in.is_some_and(is_over) {
                self.note("a token that runs out");
                let of = &self.server.sockets[socket];
                assert!(of.is_closing || of.is_over, "person {person} stays with a token that is over");
            }
        }
    }

    fn pass_time(&mut self, ms: usize) {
        let ms = ms as u64;
        self.server.pump(&mut self.disk);
        self.turn();
        self.now = Now { mono: self.now.mono.after(ms), wall: self.now.wall.after(ms) };
        self.turn();
    }

    /// Another layout, while people look at the room and have seats in it.
    fn change_layout(&mut self) {
        let hall = self.chance.below(3);
        let (layout, plan) = {
            let truth = self.truth();
            (truth.halls[hall].name(), truth.halls[hall].plan())
        };
        if !self.truth().map_of(0).is_empty() {
            self.note("another layout under carts");
        }
        let patch = RoomPatch { layout: Some(Some(layout)), ..RoomPatch::default() };
        self.sell(0, SaleRequest::PatchRoom { patch, plan: Some(plan) });
    }

    /// Half a day passes: every token of a session that was given before is over.
    fn sleep(&mut self) {
        self.settle();
        self.note("a night");
        while !self.server.has_saved_all() {
            self.server.pump(&mut self.disk);
            self.turn();
        }
        let ms = SESSION_TOKEN_MS + 1;
        self.now = Now { mono: self.now.mono.after(ms), wall: self.now.wall.after(ms) };
        self.settle();
    }

    /// The process goes, killed or in good order, and another one starts with what the store has.
    fn stop(&mut self, in_order: bool) {
        self.server.begin_turn(self.now);
        let mut keeps = true;
        if in_order {
            self.note("a drain");
            self.server.drain();
            let mut rounds = 0;
            while !self.server.has_saved_all() || self.server.sockets.iter().any(|socket| !socket.is_over) {
                self.server.pump(&mut self.disk);
                self.server.turn();
                rounds += 1;
                assert!(rounds < ROUNDS_MAX, "a drain without an end");
            }
            self.truth().all_is_safe();
        } else {
            self.note("a crash");
            if self.server.has_saved_all() {
                self.truth().all_is_safe();
            }
            if self.chance.percent(30) && self.disk.lose_power() {
                self.note("a power failure that loses something");
                keeps = self.syncs_first;
            }
        }
        // What has left may arrive all the same.
        (0..PEOPLE).for_each(|person| self.read(person));
        let told = self.told();
        self.people.iter_mut().for_each(Client::disconnect);
        let (away, reading) = (self.chance.below(120) as u64, self.chance.below(20) as u64);
        let later = |now: Now, ms: u64| Now { mono: now.mono.after(ms), wall: now.wall.after(ms) };
        let read_at = later(self.now, away);
        self.now = later(read_at, reading);
        self.truth().forgets_connections();
        // Every life draws its own numbers.
        self.plan.seed = self.plan.seed.wrapping_add(1 << 32);
        self.server = Server::start(&self.plan, (read_at, self.now), &mut self.disk, &self.truth, plan_of(&self.truth));
        let shards: Vec<_> = self.server.nodes.iter().map(butaca::node::Node::seats).collect();
        self.truth().begin_anew(self.now, &shards, &told, keeps);
        self.furnish();
    }

    /// What has happened in the run.
    pub(crate) fn into_happened(mut self) -> BTreeMap<&'static str, u64> {
        let chosen = self.truth().chosen;
        self.happened.extend((chosen > 0).then_some(("seats that were chosen", chosen)));
        self.happened
    }

    /// What people have been told that they hold, as far as nothing that they have asked for since is open.
    fn told(&self) -> Vec<(Room, Seat, Owner)> {
        let mut told = Vec::new();
        let owners: Vec<_> = (0..PEOPLE).map(|person| self.owner(person)).collect();
        let is_open = |of: &Owner| {
            let mut all = self.people.iter().zip(&owners);
            all.any(|(client, owner)| owner.as_ref() == Some(of) && !client.is_answered())
        };
        for (client, owner) in self.people.iter().zip(&owners).filter(|_| self.plan.is_durable) {
            let Some(owner) = owner.as_ref().filter(|owner| !is_open(owner)) else { continue };
            for (&room, seats) in &client.carts {
                told.extend(seats.iter().map(|&seat| (room, seat, owner.clone())));
            }
        }
        told
    }

    fn owner(&self, person: usize) -> Option<Owner> {
        match self.plan.authority {
            Some(_) => Some(Owner::Subject(tokens::subject(person).into())),
            None => self.people[person].owner(),
        }
    }

    /// Everything comes to rest, and everybody knows what there is.
    pub(crate) fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            self.pass_time(20);
            (0..PEOPLE).for_each(|person| self.read(person));
            let is_read = self.server.sockets.iter().all(|socket| socket.up.is_empty() && socket.down.is_empty());
            let is_answered = self.people.iter().all(Client::is_answered);
            if is_read && is_answered && self.server.has_saved_all() {
                break;
            }
        }
        self.truth().all_is_safe();
        let truth = self.truth();
        for (person, client) in self.people.iter().enumerate().filter(|(_, client)| client.socket.is_some()) {
            if let Some(owner) = self.owner(person) {
                client.check_at_rest(&owner, &truth);
            }
        }
    }
}
