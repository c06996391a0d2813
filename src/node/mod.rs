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

mod closing;
mod deciding;
mod delivery;
mod effects;
mod excess;
mod full_state;
pub mod hot;
pub mod letters;
mod memory;
mod moving;
pub mod observer;
mod placement;
pub mod proofs;
pub mod rate;
mod reading;
mod relief;
mod requests;
mod resync;
mod saving;
mod session;
mod store_news;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::audience::budget::Budget;
use crate::audience::feeds::{Feeds, Pace};
use crate::audience::full_states::{FullStateBounds, FullStates};
use crate::audience::outbox::Kind;
use crate::audience::shared::SharedBytes;
use crate::engine::command::{ApiAnswer, ApiTicket, Effects, Input, SaleRequest};
use crate::engine::ids::{ClientId, RoomId, ShardId, shard_of};
use crate::engine::shard::{Counts, Shard};
use crate::engine::time::{Millis, Now};
use crate::figures::shard::ShardStats;
use crate::limits::{
    FLUSH_BYTES_PER_TURN, OPEN_REQUESTS_MAX, OUTBOUND_QUEUE_BYTES, ROOM_LOG_BYTES_MAX, SHARED_STATE_BYTES_MIN,
    SLICE_MEMBERS,
};
use crate::persist::link::StoreLink;
use crate::wire::message::{BadMessage, BroadcastUserInfo, Message};

/// What a session takes in the table of them.
#[cfg(test)]
pub(crate) const SESSION_BYTES: usize = size_of::<crate::slots::Place<session::Session>>();

use delivery::{Flushing, Offered, Slice};
pub use delivery::{Send, Source, Taken};
use full_state::Got;
use hot::HotRooms;
use letters::{Letter, Moving, Post};
use memory::Memory;
use observer::Observer;
use proofs::Proofs;
use rate::{Bucket, Rate};
use saving::Saving;
use session::{Sessions, Stage};

/// What the operator decides about a shard.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How much of `user_info` strangers see.
    pub share: BroadcastUserInfo,
    /// How passes are spread over time.
    pub pace: Pace,
    /// Members from which on a room is spread over all shards.
    pub hot_room_members: usize,
    /// How long a full state may be on its way before a consumer that drops events again is closed.
    pub slow_consumer_ms: u64,
    /// How long a peer may be silent, and how long its socket may take nothing, however much it says meanwhile.
    pub silence_ms: u64,
    /// The life of a hold, which bounds that of one from before a restart.
    pub hold_ttl_ms: u64,
    /// How long a hold from before a restart waits for its client.
    pub restore_grace_ms: u64,
    /// Nobody is told of a change before the store has it.
    pub is_durable: bool,
}

/// The bounds of a shard. The defaults are the server's, without a rate; a simulation reaches smaller ones sooner.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// What waits for one connection, in bytes.
    pub queue_bytes: usize,
    /// The log of one room, in bytes.
    pub log_bytes: usize,
    /// Requests of one connection that are not answered.
    pub open_requests: u16,
    /// What leaves as replies and full states in one turn, in bytes.
    pub flush_bytes: u64,
    /// Members that are served before other rooms get their turn.
    pub slice_members: usize,
    /// Bytes from which on a full state is shared.
    pub shared_state_bytes: usize,
    /// Full states on their way.
    pub full_states: FullStateBounds,
    /// How often messages of one connection may come.
    pub rate: Rate,
    /// How often messages from one address may come to this shard.
    pub origin_rate: Rate,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            queue_bytes: OUTBOUND_QUEUE_BYTES,
            log_bytes: ROOM_LOG_BYTES_MAX,
            open_requests: OPEN_REQUESTS_MAX,
            flush_bytes: FLUSH_BYTES_PER_TURN,
            slice_members: SLICE_MEMBERS,
            shared_state_bytes: SHARED_STATE_BYTES_MIN,
            full_states: FullStateBounds::default(),
            rate: Rate::OFF,
            origin_rate: Rate::OFF,
        }
    }
}

/// What a shard is made of.
#[derive(Debug)]
pub struct Parts {
    /// Which one it is.
    pub id: ShardId,
    /// How many there are.
    pub shards: usize,
    /// What the operator decides.
    pub rules: Rules,
    /// Its bounds.
    pub bounds: Bounds,
    /// The rooms that it owns.
    pub seats: Shard,
    /// The table that all shards share.
    pub hot: HotRooms,
    /// What the memory of all shards takes, and may take.
    pub budget: Budget,
    /// The way to the store, when there is one.
    pub store: Option<Arc<StoreLink>>,
}

/// A moment: both clocks, and the monotonic one in nanoseconds, for pacing.
#[derive(Clone, Copy, Default, Debug)]
pub struct Moment {
    /// Both clocks.
    pub now: Now,
    /// The monotonic one.
    pub ns: u64,
}

/// What has happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A socket has come; the shell gave it this slot and generation.
    Opened { slot: u32, generation: u32 },
    /// It is a WebSocket of this client now. `hint` is a room that it says it will join.
    Upgraded { slot: u32, client: ClientId, hint: Option<RoomId> },
    /// A WebSocket came over from another shard.
    Arrived { slot: u32, generation: u32, moving: Moving },
    /// A message was read. Only when [`Node::takes_requests`].
    Message { slot: u32, message: Message<'a> },
    /// A message was read that is none. Only when [`Node::takes_requests`].
    Bad { slot: u32, bad: &'a BadMessage<'a> },
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
    /// The tokens of addresses from which messages came lately.
    origins: BTreeMap<u64, Bucket>,
    flush_bytes_left: u64,
    flushing: Option<Flushing>,
    slice: Option<Slice>,
    offered: Option<Offered>,
    /// It is a big room's turn.
    big_turn: bool,
    drain: closing::Drain,
    observer: Option<Observer>,
    memory: Memory,
    /// The large full state that each connection got last.
    got: BTreeMap<u32, Got>,
    /// What the shop's backend is to be answered, to be taken out at the end of the turn.
    api_answers: Vec<ApiAnswer>,
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
            feeds: Feeds::new(rules.pace, &budget),
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
            origins: BTreeMap::new(),
            flush_bytes_left: bounds.flush_bytes,
            flushing: None,
            slice: None,
            offered: None,
            big_turn: false,
            drain: closing::Drain::default(),
            observer: None,
            memory: Memory::new(&budget),
            got: BTreeMap::new(),
            api_answers: Vec::new(),
        }
    }

    /// Lets somebody hear every decision from now on.
    pub fn observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    /// A turn begins.
    pub fn begin_turn(&mut self, at: Moment) {
        debug_assert!(self.offered.is_none() && self.flushing.is_none(), "a send of the last turn was never reported");
        self.at = at;
        self.flush_bytes_left = self.bounds.flush_bytes;
    }

    /// The one door: does what follows from `event`, and appends what the shell must do. The time is the turn's.
    pub fn handle(&mut self, event: Event<'_>, orders: &mut Vec<Order>) -> Next {
        let mut next = Next::ReadOn;
        match event {
            Event::Opened { slot, generation } => self.sessions.open(slot, generation),
            Event::Upgraded { slot, client, hint } => next = self.upgraded(slot, client, hint.as_ref()),
            Event::Arrived { slot, generation, moving } => next = self.arrived(slot, generation, moving),
            Event::Message { slot, message } if self.admits(slot, &message) => next = self.message(slot, message),
            Event::Bad { slot, bad } if self.admits_bad(slot, bad) => self.refuse(slot, bad),
            Event::Message { .. } | Event::Bad { .. } => {}
            Event::Writable { slot } => self.writable(slot),
            Event::HungUp { slot } => self.hung_up(slot),
            Event::Finish { slot } => self.begin_closing(slot),
            Event::Close { slot, code, reason } => self.close(slot, code, reason),
            Event::CutOff { slot, code, reason } => self.cut_off(slot, code, reason),
            Event::Ended { slot } => self.ended(slot),
            Event::Letter(letter) => self.open_letter(letter),
            Event::Sale { room, request, reply_to } => self.sell(&room, &request, reply_to),
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

    /// What must not be done while effects are being performed or bytes are offered, since it decides: who has got everything
    /// goes on, requests that waited are decided, and those too slow to be served are closed.
    fn follow_up(&mut self) {
        while let Some((slot, generation)) = self.idle.pop() {
            if self.sessions.live(slot, generation).is_some() {
                self.drained(slot);
            }
        }
        while let Some((slot, generation)) = self.unparks.pop() {
            if self.sessions.live(slot, generation).is_some() {
                self.unpark(slot);
            }
        }
        for (slot, generation) in std::mem::take(&mut self.too_slow) {
            self.close_too_slow(slot, generation);
        }
    }

    /// Who owns a room.
    fn owner(&self, room: &str) -> ShardId {
        shard_of(room, self.shards)
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

    /// The name of a connection in letters.
    #[must_use]
    pub fn conn_id(&self, slot: u32) -> crate::engine::ids::ConnId {
        self.sessions.id(slot)
    }

    /// The slot of a connection that has not ended and is not ending.
    #[must_use]
    pub fn find(&self, conn: crate::engine::ids::ConnId) -> Option<u32> {
        self.sessions.find(conn)
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
        self.relieve();
        self.go_on_with_drain();
    }

    /// Panics when an invariant of this module or its parts does not hold.
    pub fn check_invariants(&self) {
        let mut members = 0;
        for (slot, session) in self.sessions.iter() {
            for membership in session.memberships.iter() {
                assert_eq!(self.feeds.get(membership.feed).view.slot_at(membership.at), slot, "they name each other");
                members += 1;
            }
            assert!(session.open_requests() <= self.bounds.open_requests, "the open requests are bounded");
            assert!(session.parked.is_none() || session.stage != Stage::Closing, "who is closing waits for nothing");
        }
        for feed in self.feeds.iter() {
            feed.view.check_invariants();
            assert!(!feed.view.is_empty() || feed.ring.is_some(), "a feed that nobody reads is kept");
            assert!(feed.view.log_len() <= self.bounds.log_bytes, "{} bytes of a log", feed.view.log_len());
        }
        assert_eq!(self.feeds.iter().map(|feed| feed.view.len()).sum::<usize>(), members);
        assert!(self.effects.is_empty() && !self.is_performing, "what was decided has been told");
    }
}
