//! One shard as the runtime drives it: its connections, views and mail, around the real engine and the real audience.
//!
//! A turn goes as a real one: mail in, sockets read, ticks, passes, outboxes, mail out; but any part of it may be left
//! for later by chance. It decides nothing about seats. See `deliver` for how frames reach connections.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use butaca::audience::outbox::Outbox;
use butaca::audience::view::View;
use butaca::engine::command::{Caller, Effects, Input, Ticket};
use butaca::engine::ids::{ClientId, ConnId, ShardId, ShardSet};
use butaca::engine::shard::Shard;
use butaca::engine::time::Now;

use super::chance::Chance;
use super::frames::{Frames, Message, Request, Room};
use super::mail::{BACKLOG_MAX, HandOver, Letter, Peer, Pipe};
use super::names;
use super::oracle::Oracle;

/// What may wait for one connection before its requests wait.
const OUTBOUND_BYTES: usize = 600;
/// What a connection may be behind in the log of a room, and what may be copied of it.
pub(crate) const LAG_BYTES: usize = 240;
/// The log of a room on a shard.
pub(crate) const LOG_BYTES: usize = 320;
/// Requests of one connection that another shard has not answered.
const REMOTE_MAX: usize = 6;
/// Requests that one read brings.
const READ_MAX: usize = 4;
/// Members of a room above which it is hot: who joins is not sent to its owner any more.
const HOT_MEMBERS: usize = 3;

/// What all shards and clients of a run share.
pub(crate) struct Shared {
    pub(crate) chance: Chance,
    pub(crate) pipes: Vec<Pipe>,
    pub(crate) frames: Frames,
    pub(crate) oracle: Oracle,
    /// Rooms whose members are spread over the shards.
    pub(crate) hot: BTreeSet<Room>,
    pub(crate) happened: BTreeMap<&'static str, u64>,
}

impl Shared {
    /// Counts that something which the simulation is for has happened.
    pub(crate) fn note(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }

    /// Sends what the socket takes, which is less than it could now and then.
    pub(crate) fn send(&mut self, pipe: usize, bytes: &[u8]) -> usize {
        let len = if self.chance.percent(15) { self.chance.below(bytes.len() + 1) } else { bytes.len() };
        self.pipes[pipe].send(&bytes[..len])
    }
}

pub(crate) struct Conn {
    pub(crate) pipe: usize,
    pub(crate) client: ClientId,
    /// Requests that were received and not looked at.
    pub(crate) unread: VecDeque<Request>,
    /// The rooms it looks at, and where it stands in their views.
    pub(crate) rooms: BTreeMap<Room, u32>,
    pub(crate) touched: ShardSet,
    /// It was handed over and stays.
    pub(crate) is_settled: bool,
    /// Requests that the owner of `remote_at` has not answered.
    pub(crate) remote: usize,
    pub(crate) remote_at: Option<ShardId>,
    pub(crate) outbox: Outbox,
    /// Its socket was full when something was last sent.
    pub(crate) blocked: bool,
}

pub(crate) struct Node {
    pub(crate) id: ShardId,
    shards: usize,
    pub(crate) shard: Shard,
    pub(crate) now: Now,
    pub(crate) conns: Vec<Option<Conn>>,
    generations: Vec<u32>,
    pub(crate) views: BTreeMap<Room, View>,
    /// Letters for each other shard that no mailbox has taken.
    pub(crate) out: Vec<VecDeque<Letter>>,
    /// Connections too slow to be served, ended when the effects at hand are performed.
    pub(crate) too_slow: Vec<u32>,
}

impl Node {
    pub(crate) fn new(id: ShardId, shards: usize, shard: Shard) -> Self {
        let (now, conns, generations, views, too_slow) = Default::default();
        let out = (0..shards).map(|_| VecDeque::new()).collect();
        Self { id, shards, shard, now, conns, generations, views, out, too_slow }
    }

    /// Takes a socket.
    pub(crate) fn accept(&mut self, pipe: usize, client: ClientId) -> u32 {
        let slot = self.conns.iter().position(Option::is_none).unwrap_or_else(|| {
            self.conns.push(None);
            self.generations.push(0);
            self.conns.len() - 1
        });
        let (unread, rooms, outbox) = Default::default();
        let touched = ShardSet::EMPTY;
        let (is_settled, remote, remote_at, blocked) = (false, 0, None, false);
        self.conns[slot] =
            Some(Conn { pipe, client, unread, rooms, touched, is_settled, remote, remote_at, outbox, blocked });
        u32::try_from(slot).expect("few connections")
    }

    pub(crate) fn id_of(&self, slot: u32) -> ConnId {
        ConnId::new(self.id, slot, self.generations[slot as usize])
    }

    /// The slot of a connection that is still there.
    pub(crate) fn find(&self, conn: ConnId) -> Option<u32> {
        let slot = conn.slot();
        let is_there = self.conns.get(slot as usize).is_some_and(Option::is_some) && self.id_of(slot) == conn;
        is_there.then_some(slot)
    }

    pub(crate) fn conn(&mut self, slot: u32) -> &mut Conn {
        self.conns[slot as usize].as_mut().expect("the connection is there")
    }

    fn vacate(&mut self, slot: u32) -> Conn {
        self.generations[slot as usize] += 1;
        self.conns[slot as usize].take().expect("the connection is there")
    }

    /// Lets the engine decide, tells the oracle, and performs what comes of it.
    pub(crate) fn decide(&mut self, input: Input<'_>, shared: &mut Shared) {
        let mut effects = Effects::new();
        self.shard.handle(self.now, input, &mut effects);
        shared.oracle.observe((self.id, &self.shard), self.now, &input, &effects);
        for effect in effects {
            self.perform(effect, shared);
        }
        self.end_too_slow(shared);
    }

    pub(crate) fn end_too_slow(&mut self, shared: &mut Shared) {
        for slot in std::mem::take(&mut self.too_slow) {
            if self.conns[slot as usize].is_some() {
                shared.note("too slow even for a full state");
                self.end(slot, shared);
            }
        }
    }

    pub(crate) fn is_congested(&self) -> bool {
        self.out.iter().any(|lane| lane.len() >= BACKLOG_MAX)
    }

    /// Reads one socket and answers what it may. Ends it when its client has gone.
    pub(crate) fn read(&mut self, slot: u32, shared: &mut Shared) {
        let count = shared.chance.between(1, READ_MAX);
        let Some(conn) = self.conns[slot as usize].as_mut() else { return };
        let pipe = &mut shared.pipes[conn.pipe];
        if conn.unread.is_empty() {
            let count = count.min(pipe.up.len());
            conn.unread.extend(pipe.up.drain(..count));
        }
        let is_over = pipe.peer == Peer::Gone && (conn.unread.is_empty() || !conn.outbox.is_empty());
        if is_over {
            return self.end(slot, shared);
        }
        while let Some(request) = self.next_request(slot, shared) {
            self.request(slot, request, shared);
        }
    }

    /// The next request that may be looked at now. Replies come in the order of the requests: while one shard has open
    /// requests of a connection, no other may answer.
    fn next_request(&mut self, slot: u32, shared: &mut Shared) -> Option<Request> {
        let (id, shards, is_congested) = (self.id, self.shards, self.is_congested());
        let conn = self.conns[slot as usize].as_mut()?;
        let request = *conn.unread.front()?;
        let decider = request.room().map_or(id, |room| names::owner(room, shards));
        let waits = conn.remote > 0 && conn.remote_at != Some(decider);
        if waits || is_congested || conn.remote >= REMOTE_MAX || conn.outbox.weight() > OUTBOUND_BYTES {
            shared.note("a request that waits");
            return None;
        }
        conn.unread.pop_front()
    }

    fn request(&mut self, slot: u32, request: Request, shared: &mut Shared) {
        let conn = self.id_of(slot);
        let client = self.conn(slot).client.clone();
        let Some(room) = request.room() else {
            return self.reply(slot, Message::Pong, shared);
        };
        if let (Request::Join(_), Some(to)) = (request, self.better_place(slot, room, shared)) {
            return self.hand_over(slot, to, request, shared);
        }
        let owner = names::owner(room, self.shards);
        self.conn(slot).touched.insert(owner);
        if owner == self.id {
            return self.command(conn, &client, request, shared);
        }
        let entry = self.conn(slot);
        entry.remote += 1;
        entry.remote_at = Some(owner);
        shared.note("a request for another shard");
        self.out[owner.index()].push_back(Letter::Command { conn, client, request });
    }

    /// Decides a request for a room that is owned here.
    pub(crate) fn command(&mut self, conn: ConnId, client: &ClientId, request: Request, shared: &mut Shared) {
        let caller = Caller { conn, client, ticket: Ticket::default() };
        let (room, seat) = match request {
            Request::Join(room) | Request::Leave(room) => (room, 0),
            Request::Select(room, seat, _) | Request::Release(room, seat) => (room, seat),
            Request::Ping => unreachable!("a ping is answered where it arrives"),
        };
        let (room, seat) = (names::room_id(room), names::seat_id(seat));
        let (room, seat) = (room.as_str(), seat.as_str());
        match request {
            Request::Join(_) => self.decide(Input::Join { caller, room }, shared),
            Request::Leave(_) => self.decide(Input::Leave { caller, room }, shared),
            Request::Select(.., tag) => {
                let user_info = &names::user_info(tag);
                self.decide(Input::Select { caller, room, seat, user_info }, shared);
            }
            Request::Release(..) => self.decide(Input::Release { caller, room, seat }, shared),
            Request::Ping => {}
        }
    }

    /// The shard that should serve a connection that has touched no room: the room's owner, unless the room is hot.
    fn better_place(&mut self, slot: u32, room: Room, shared: &Shared) -> Option<ShardId> {
        let owner = names::owner(room, self.shards);
        let (id, conn) = (self.id, self.conn(slot));
        let may_move = !conn.is_settled && conn.touched.is_empty();
        (may_move && owner != id && !shared.hot.contains(&room)).then_some(owner)
    }

    fn hand_over(&mut self, slot: u32, to: ShardId, join: Request, shared: &mut Shared) {
        let conn = self.conn(slot);
        let sent = shared.send(conn.pipe, conn.outbox.unsent());
        conn.outbox.advance(sent);
        if conn.outbox.unsent_len() > 0 {
            shared.note("a full socket that stays");
            conn.is_settled = true;
            return self.request(slot, join, shared);
        }
        shared.note("a hand-over");
        let Conn { pipe, client, mut unread, .. } = self.vacate(slot);
        if !unread.is_empty() {
            shared.note("a hand-over with requests behind the join");
        }
        unread.push_front(join);
        self.out[to.index()].push_back(Letter::HandOver(HandOver { pipe, client, unread }));
    }

    /// A connection came over from another shard.
    pub(crate) fn arrive(&mut self, letter: HandOver, shared: &mut Shared) {
        let HandOver { pipe, client, unread } = letter;
        if shared.pipes[pipe].peer == Peer::Gone {
            shared.note("a client that went during its hand-over");
        }
        let slot = self.accept(pipe, client);
        let conn = self.conn(slot);
        conn.unread = unread;
        conn.is_settled = true;
    }

    /// Ends a connection: it leaves its views, and every shard that may know it hears of it.
    pub(crate) fn end(&mut self, slot: u32, shared: &mut Shared) {
        let conn = self.id_of(slot);
        let rooms: Vec<Room> = self.conn(slot).rooms.keys().copied().collect();
        rooms.into_iter().for_each(|room| self.leave_view(slot, room));
        let entry = self.vacate(slot);
        shared.pipes[entry.pipe].is_closed = true;
        for shard in entry.touched.iter() {
            if shard == self.id {
                self.decide(Input::Gone { conn }, shared);
            } else {
                self.out[shard.index()].push_back(Letter::Gone { conn });
            }
        }
    }

    /// A room with many members is hot until somebody joins when it has few.
    pub(crate) fn note_heat(&self, room: Room, shared: &mut Shared) {
        let members = self.shard.members(names::room_id(room).as_str()).map_or(0, |members| members.total);
        if members >= HOT_MEMBERS {
            shared.note("a hot room");
            shared.hot.insert(room);
        } else {
            shared.hot.remove(&room);
        }
    }

    /// What is true of a shard at any time: its views and connections name each other, and what waits is bounded.
    pub(crate) fn check(&self) {
        for view in self.views.values() {
            assert!(!view.is_empty(), "a view without members is kept");
            assert!(view.log_len() <= LOG_BYTES, "{} bytes of a log are kept", view.log_len());
            view.check_invariants();
        }
        let memberships: usize = self.conns.iter().flatten().map(|conn| conn.rooms.len()).sum();
        assert_eq!(self.views.values().map(View::len).sum::<usize>(), memberships);
        for conn in self.conns.iter().flatten() {
            let unsent = conn.outbox.unsent_len();
            assert!(unsent <= OUTBOX_BYTES_MAX, "{unsent} bytes wait for {}", conn.client);
            assert!(conn.remote <= REMOTE_MAX && conn.unread.len() <= READ_MAX + 1);
        }
        for lane in &self.out {
            assert!(lane.len() <= LANE_MAX, "{} letters wait for a mailbox", lane.len());
        }
    }
}

/// What an outbox can reach: its bound, and above it one read of replies, what other shards still answer, and a full
/// state of each room.
pub(crate) const OUTBOX_BYTES_MAX: usize =
    OUTBOUND_BYTES + (READ_MAX + REMOTE_MAX) * REPLY_BYTES_MAX + 4 * STATE_BYTES_MAX;
const REPLY_BYTES_MAX: usize = 60 + STATE_BYTES_MAX;
const STATE_BYTES_MAX: usize = 60 + 60 * 6;
/// What one lane can reach: the backlog at which reading stops, and what a turn begun below it can add.
const LANE_MAX: usize = BACKLOG_MAX + 200;
