//! One shard of the service, without sockets: what a request means, who is owed what, when a room is served, what the
//! store forbids, when a slow member skips, when a drain is over.
//!
//! One door in: [`Node::handle`] takes what has happened and appends what the shell must do. Sends are pulled out of
//! it: [`Node::next_send`] borrows the bytes where they are, [`Node::sent`] says how many left. Letters to other shards
//! are collected during a turn ([`Node::letters`]). The runtime and the simulation drive the same node.
//!
//! The way of a request: `requests` (who decides it) -> `deciding` (the engine decides; `saving`, the store's hook) ->
//! `effects` (who is told) -> `delivery` (what leaves). Invariants: effects are performed in the order in which they
//! were decided, so performing one never decides; replies of a connection come in the order of its requests; a session
//! that has ended is known to no feed and to no engine from that moment on.
//!
//! Never here: descriptors, clocks, glommio, files, threads.

pub mod acts;
pub mod afar;
mod check;
mod closing;
mod deciding;
mod delivery;
mod effects;
pub mod errand;
mod excess;
mod full_state;
pub mod hot;
mod identity;
pub mod letters;
mod membership;
mod memory;
mod moving;
pub mod observer;
mod parking;
pub mod parted;
mod parts;
mod placement;
pub mod proofs;
pub mod rate;
mod reading;
mod relief;
mod requests;
mod resync;
mod saving;
pub mod second;
mod session;
mod store_news;

use std::collections::{BTreeMap, VecDeque};

use crate::audience::feeds::Feeds;
use crate::audience::full_states::FullStates;
use crate::audience::maps::Maps;
use crate::audience::outbox::Kind;
use crate::audience::shared::SharedBytes;
use crate::auth::session::SessionTokens;
use crate::engine::command::{ApiAnswer, ApiTicket, Effects, Input, SaleRequest};
use crate::engine::ids::{ClientId, RoomId, ShardId};
use crate::engine::shard::{Counts, Shard};
use crate::engine::time::{Millis, Now};
use crate::figures::shard::ShardStats;
use crate::persist::parts::PartNews;
use crate::wire::frame;
use crate::wire::message::{BadMessage, Message};
use crate::wire::v2::request as v2;

/// What a session takes in the table of them.
#[cfg(test)]
pub(crate) const SESSION_BYTES: usize = size_of::<crate::slots::Place<session::Session>>();

use acts::Acts;
use delivery::{Flushing, Offers, Slice};
pub use delivery::{Send, Source, Taken};
use full_state::Got;
use hot::HotRooms;
use identity::Entrance;
use letters::{Letter, Moving, Post};
use memory::Memory;
use observer::Observer;
use parted::Parted;
pub use parts::{Bounds, Parts, Rules};
use proofs::Proofs;
use rate::Bucket;
use saving::Saving;
pub use second::Random;
pub use second::SecondRules;
use session::Sessions;

/// A moment: both clocks, and the monotonic one in nanoseconds, for pacing.
#[derive(Clone, Copy, Default, Debug)]
pub struct Moment {
    /// Both clocks.
    pub now: Now,
    /// The monotonic one.
    pub ns: u64,
}

/// How a WebSocket begins.
#[derive(Clone, Copy, Default, Debug)]
pub enum Opening {
    /// It speaks the first protocol.
    #[default]
    First,
    /// It speaks the second, as a fresh session that is made of this.
    Second(Random),
}

/// How a WebSocket comes.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// What it calls itself.
    pub client: ClientId,
    /// A room that it says it will join.
    pub hint: Option<RoomId>,
    /// What it speaks.
    pub opening: Opening,
    /// The token that it shows.
    pub token: Option<&'a str>,
}

impl<'a> Arrival<'a> {
    /// Of a client that says nothing more.
    #[must_use]
    pub fn of(client: ClientId, opening: Opening) -> Self {
        Self { client, hint: None, opening, token: None }
    }
}

/// What has happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A socket has come; the shell gave it this slot and generation.
    Opened { slot: u32, generation: u32 },
    /// It is a WebSocket now.
    Upgraded { slot: u32, arrival: Arrival<'a> },
    /// A WebSocket came over from another shard.
    Arrived { slot: u32, generation: u32, moving: Moving },
    /// A message was read. Only when [`Node::takes_requests`].
    Message { slot: u32, message: Message<'a> },
    /// A message was read that is none. Only when [`Node::takes_requests`].
    Bad { slot: u32, bad: &'a BadMessage<'a> },
    /// The same from a connection that speaks the second protocol.
    Second { slot: u32, message: v2::Message<'a> },
    /// The same.
    BadSecond { slot: u32, bad: &'a v2::BadRequest<'a> },
    /// The socket takes bytes again.
    Writable { slot: u32 },
    /// The peer will send nothing more: what it is owed already still leaves.
    HungUp { slot: u32 },
    /// Everything that will be sent has been queued.
    Finish { slot: u32 },
    /// Ends the WebSocket with our close frame, behind everything that is queued.
    Close { slot: u32, code: u16, reason: &'static str },
    /// Ends the WebSocket with our close frame; what is queued is dropped, since it does not take it.
    CutOff { slot: u32, code: u16, reason: &'static str },
    /// The socket is closed or broken.
    Ended { slot: u32 },
    /// Another shard has written.
    Letter(Letter),
    /// The shop's backend asks for something of a room that this shard owns.
    Sale { room: RoomId, request: Box<SaleRequest>, reply_to: ApiTicket },
    /// The cluster's thread tells something about parts.
    Part(PartNews),
    /// The store may have news.
    Store,
    /// [`crate::limits::TICK_MS`] have passed, or more.
    Tick,
    /// The server goes away.
    Drain,
}

/// What the shell must do, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Requests of this connection, which waited, may be read again.
    ReadOn(u32),
    /// Our last word is queued: nothing that it sends counts, and it has a bounded time to take what is left.
    Closing(u32),
    /// It is closing, and everything has left.
    Drained(u32),
    /// It has got everything: close it.
    End(u32),
    /// The drain has come so far that those who ask by HTTP are to be closed, too.
    Goodbye,
    /// What was held before a restart is held again: the shard serves.
    Serves,
}

/// How reading goes on behind a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// With the next one, if [`Node::takes_requests`].
    ReadOn,
    /// Not here: [`Node::depart`] follows.
    Move,
}

/// One shard.
#[derive(Debug)]
pub struct Node {
    id: ShardId,
    shards: usize,
    rules: Rules,
    bounds: Bounds,
    seats: Shard,
    sessions: Sessions,
    feeds: Feeds,
    full_states: FullStates,
    hot: HotRooms,
    post: Post,
    saving: Option<Saving>,
    /// What it counts.
    pub figures: ShardStats,
    at: Moment,
    orders: Vec<Order>,
    effects: Effects,
    /// Effects are being performed: nothing may be decided.
    is_performing: bool,
    /// Sessions whose open requests have all been answered and that have something parked.
    unparks: Vec<(u32, u32)>,
    /// Sessions with bytes to flush.
    flushes: VecDeque<u32>,
    /// Sessions for which nothing is queued any more.
    idle: Vec<(u32, u32)>,
    /// Sessions too slow to be served.
    too_slow: Vec<(u32, u32)>,
    /// Sessions that are not read because they sent too many messages.
    paused: Vec<(u32, u32)>,
    /// Gives and checks proofs, when there is a key.
    proofs: Option<Proofs>,
    /// Gives and checks the tokens of sessions, when there is a key.
    tokens: Option<SessionTokens>,
    /// Who is let in.
    entrance: Entrance,
    /// What members of the second protocol were told lately.
    maps: Maps,
    /// When it was last looked through what nobody needs of that.
    deltas_tidied: Millis,
    /// Sessions for which something is to be asked.
    go_on: Vec<(u32, u32)>,
    /// Sessions that go on with another connection.
    superseded: Vec<(u32, u32)>,
    /// Feeds with members that wait for the map, and whether they are to be told all of the room again.
    mapless: Vec<(u32, bool)>,
    /// The tokens of addresses from which messages came lately.
    origins: BTreeMap<u64, Bucket>,
    flush_bytes_left: u64,
    flushing: Option<Flushing>,
    slice: Option<Slice>,
    offers: Offers,
    /// It is a big room's turn.
    big_turn: bool,
    /// It is the turn of a tick.
    tick_turn: bool,
    drain: closing::Drain,
    observer: Option<Observer>,
    memory: Memory,
    /// The large full state that each connection got last.
    got: BTreeMap<u32, Got>,
    /// What the shop's backend is to be answered, to be taken out at the end of the turn.
    api_answers: Vec<ApiAnswer>,
    /// Where what it decides is logged, when that is wanted.
    acts: Option<Acts>,
    /// Of a node among several: what it knows of the others.
    parted: Option<Box<Parted>>,
}

impl Node {
    /// A shard without connections. With a store it serves after [`Order::Serves`].
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { id, shards, rules, bounds, seats, hot, budget, store } = parts;
        Self {
            id,
            shards,
            rules,
            bounds,
            seats,
            sessions: Sessions::new(id, &budget),
            feeds: Feeds::new(rules.pace, rules.second.tick_ms * 1_000_000, &budget),
            full_states: FullStates::new(&budget, bounds.full_states),
            hot,
            post: Post::new(id, shards),
            saving: store.map(|link| Saving::new(id, link, rules.is_durable)),
            figures: ShardStats::default(),
            at: Moment::default(),
            orders: Vec::new(),
            effects: Effects::new(),
            is_performing: false,
            unparks: Vec::new(),
            flushes: VecDeque::new(),
            idle: Vec::new(),
            too_slow: Vec::new(),
            paused: Vec::new(),
            proofs: None,
            tokens: None,
            entrance: Entrance::default(),
            maps: Maps::default(),
            deltas_tidied: Millis::default(),
            go_on: Vec::new(),
            superseded: Vec::new(),
            mapless: Vec::new(),
            origins: BTreeMap::new(),
            flush_bytes_left: bounds.flush_bytes,
            flushing: None,
            slice: None,
            offers: Offers::default(),
            big_turn: false,
            tick_turn: false,
            drain: closing::Drain::default(),
            observer: None,
            memory: Memory::new(&budget),
            got: BTreeMap::new(),
            api_answers: Vec::new(),
            acts: None,
            parted: None,
        }
    }

    /// Lets somebody hear every decision from now on.
    pub fn observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    /// A turn begins.
    pub fn begin_turn(&mut self, at: Moment) {
        debug_assert!(self.offers.is_empty() && self.flushing.is_none(), "a send of the last turn was never reported");
        self.at = at;
        self.flush_bytes_left = self.bounds.flush_bytes;
    }

    /// The one door: does what follows from `event`, and appends what the shell must do. The time is the turn's.
    pub fn handle(&mut self, event: Event<'_>, orders: &mut Vec<Order>) -> Next {
        assert!(self.offers.is_empty(), "what was offered is reported before anything happens");
        let mut next = Next::ReadOn;
        match event {
            Event::Opened { slot, generation } => self.sessions.open(slot, generation),
            Event::Upgraded { slot, arrival } => {
                next = self.upgraded(slot, arrival);
            }
            Event::Arrived { slot, generation, moving } => next = self.arrived(slot, generation, moving),
            Event::Message { slot, message } if self.admits(slot, &message) => next = self.message(slot, message),
            Event::Bad { slot, bad } if self.admits_bad(slot, bad) => self.refuse(slot, bad),
            Event::Second { slot, message } if self.admits_second(slot, &message) => {
                next = self.second_message(slot, message);
            }
            Event::BadSecond { slot, bad } if self.admits_bad_second(slot, bad) => self.refuse_bad(slot, bad),
            Event::Message { .. } | Event::Bad { .. } | Event::Second { .. } | Event::BadSecond { .. } => {}
            Event::Writable { slot } => self.writable(slot),
            Event::HungUp { slot } => self.hung_up(slot),
            Event::Finish { slot } => self.begin_closing(slot),
            Event::Close { slot, code, reason } => self.close(slot, code, reason),
            Event::CutOff { slot, code, reason } => self.cut_off(slot, code, reason),
            Event::Ended { slot } => self.ended(slot),
            Event::Letter(letter) => self.open_letter(letter),
            Event::Sale { room, request, reply_to } => self.sell(&room, &request, reply_to),
            Event::Part(news) => self.part_news(news),
            Event::Store => self.take_store_news(),
            Event::Tick => self.tick(),
            Event::Drain => self.drain.begin(self.at.ns),
        }
        self.follow_up();
        orders.append(&mut self.orders);
        next
    }

    /// Appends what the shell must do because of what has left: to be asked for when [`Node::next_send`] has no more.
    pub fn take_orders(&mut self, orders: &mut Vec<Order>) {
        self.follow_up();
        orders.append(&mut self.orders);
    }

    /// What must not be done while effects are being performed or bytes are offered, since it decides: who has got
    /// everything goes on, requests that waited are decided, and those too slow to be served are closed.
    fn follow_up(&mut self) {
        loop {
            let some_are_left = self.follow_up_once();
            if !some_are_left {
                return;
            }
        }
    }

    /// What one of these brings up may be another of them.
    fn follow_up_once(&mut self) -> bool {
        while let Some((slot, generation)) = self.idle.pop() {
            if self.sessions.live(slot, generation).is_some() {
                self.drained(slot);
            }
        }
        while let Some((feed, rejoin)) = self.mapless.pop() {
            self.want_maps(feed, rejoin);
        }
        while let Some((slot, generation)) = self.go_on.pop() {
            if self.sessions.live(slot, generation).is_some() {
                self.go_on_asking(slot);
            }
        }
        while let Some((slot, generation)) = self.unparks.pop() {
            if self.sessions.live(slot, generation).is_some() {
                self.unpark(slot);
            }
        }
        let goes_on = self.mend_lost() | self.pump_queued();
        for (slot, generation) in std::mem::take(&mut self.too_slow) {
            self.close_too_slow(slot, generation);
        }
        for (slot, generation) in std::mem::take(&mut self.superseded) {
            if self.sessions.live(slot, generation).is_some() {
                self.close(slot, frame::CLOSE_ELSEWHERE, "the session goes on elsewhere");
            }
        }
        goes_on
            || !(self.go_on.is_empty()
                && self.unparks.is_empty()
                && self.mapless.is_empty()
                && self.superseded.is_empty())
    }

    /// Queues bytes that are never dropped, behind what the connection is owed of its rooms: what the wire and the site
    /// answer by themselves.
    pub fn answer(&mut self, slot: u32, write: impl FnOnce(&mut Vec<u8>)) {
        self.take_owed(slot);
        self.write(slot, Kind::Reply, write);
    }

    /// The same with bytes that others are sent, too.
    pub fn answer_shared(&mut self, slot: u32, bytes: SharedBytes) {
        self.take_owed(slot);
        if let Some(out) = self.sessions.outbox(slot) {
            out.share_bytes(Kind::Reply, bytes);
        }
        self.queue_flush(slot);
    }

    /// The letters for one shard, to be taken out at the end of the turn.
    pub fn letters(&mut self, to: ShardId) -> &mut Vec<Letter> {
        self.post.lane(to)
    }

    /// Letters written since the start.
    #[must_use]
    pub fn posted(&self) -> u64 {
        self.post.posted
    }

    /// Whether the turn has something to send or to serve at once.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.flushes.is_empty() || self.feeds.has_work()
    }

    /// When the next room may be served that has to wait for its time, in nanoseconds.
    #[must_use]
    pub fn next_paced_ns(&self) -> Option<u64> {
        self.feeds.next_paced_ns()
    }

    /// When something ends by itself.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        self.seats.next_deadline()
    }

    /// How much the shard owns.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.seats.counts()
    }

    /// The rooms that it owns, to be read.
    #[must_use]
    pub fn seats(&self) -> &Shard {
        &self.seats
    }

    /// The shard is quiet: gives up buffers that are kept for busy turns.
    pub fn give_back(&mut self) {
        self.sessions.drop_spares();
        self.feeds.give_back();
    }

    /// Once a tick: what is due ends, those who waited for a full state get another chance, memory goes back.
    fn tick(&mut self) {
        if self.seats.next_deadline().is_some_and(|deadline| deadline <= self.at.now.mono) {
            self.decide(Input::Tick);
        }
        self.tidy_full_states();
        self.end_pauses();
        self.end_tokens();
        self.relieve();
        self.look_after_parts();
        self.go_on_with_drain();
    }
}
