//! What stands around a node here, in the place of the runtime: sockets that are plain data.
//!
//! It moves bytes and obeys orders, and decides nothing. Sockets are told of as a kernel tells of them: one that was
//! full is writable once, when its client has read; one whose requests wait is read again only when the node says so.

use std::collections::{BTreeMap, VecDeque};

use butaca::engine::command;
use butaca::engine::ids::ShardId;
use butaca::engine::time::Now;
use butaca::node::letters::{Letter, Moving};
use butaca::node::{Arrival, Event, Moment, Next, Node, Opening, Order, Send, Source, Taken};
use butaca::wire::message::{BadMessage, Fault, Message};

use super::frames::Request;
use super::names;
use super::oracle::Oracle;
use super::pipe::{Peer, Pipe, Up};
use super::second::requests;
use kit::Chance;

/// Requests that one read brings.
pub(crate) const READ_MAX: usize = 4;

/// What all shards and clients of a run share.
pub(crate) struct Shared {
    pub(crate) chance: Chance,
    pub(crate) pipes: Vec<Pipe>,
    pub(crate) oracle: std::sync::Arc<std::sync::Mutex<Oracle>>,
    pub(crate) happened: BTreeMap<&'static str, u64>,
}

impl Shared {
    /// Counts that something which the simulation is for has happened.
    pub(crate) fn note(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }

    pub(crate) fn oracle(&self) -> std::sync::MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Sends what the socket takes, which is less than it could now and then.
    fn send_some(&mut self, socket: &mut Socket, bytes: &[u8]) -> usize {
        let is_short = self.chance.percent(15);
        let len = if is_short { self.chance.below(bytes.len() + 1) } else { bytes.len() };
        let sent = self.pipes[socket.pipe].send(&bytes[..len]);
        socket.full |= sent < bytes.len();
        sent
    }
}

/// A socket of a shard.
struct Socket {
    pipe: usize,
    /// Requests that were received and not looked at.
    unread: VecDeque<Up>,
    /// It is not read before the node says so.
    stalled: bool,
    /// It was full and has not been told since that it is writable.
    full: bool,
    /// Our last word is queued.
    closing: bool,
}

/// A letter, or a socket that moves with what it has sent.
pub(crate) enum Mail {
    Letter(Letter),
    Socket { pipe: usize, unread: VecDeque<Up>, moving: Moving },
}

pub(crate) struct Shell {
    pub(crate) id: ShardId,
    pub(crate) node: Node,
    sockets: Vec<Option<Socket>>,
    generations: Vec<u32>,
    orders: Vec<Order>,
    /// Sockets that move, for each shard.
    out: Vec<VecDeque<Mail>>,
    pub(crate) at: Moment,
    pub(crate) has_said_goodbye: bool,
}

impl Shell {
    pub(crate) fn new(id: ShardId, shards: usize, node: Node) -> Self {
        let (sockets, generations, orders, at) = Default::default();
        let out = (0..shards).map(|_| VecDeque::new()).collect();
        Self { id, node, sockets, generations, orders, out, at, has_said_goodbye: false }
    }

    pub(crate) fn begin_turn(&mut self, now: Now) {
        self.at = Moment { now, ns: now.mono.0 * 1_000_000 };
        self.node.begin_turn(self.at);
    }

    fn admit(&mut self, pipe: usize, unread: VecDeque<Up>) -> u32 {
        let slot = self.sockets.iter().position(Option::is_none).unwrap_or_else(|| {
            self.sockets.push(None);
            self.generations.push(0);
            self.sockets.len() - 1
        });
        self.sockets[slot] = Some(Socket { pipe, unread, stalled: false, full: false, closing: false });
        u32::try_from(slot).expect("few connections")
    }

    /// Takes a new socket, which becomes a WebSocket at once.
    pub(crate) fn accept(
        &mut self,
        pipe: usize,
        (client, opening): (usize, Opening),
        hint: Option<usize>,
        shared: &mut Shared,
    ) {
        let slot = self.admit(pipe, VecDeque::new());
        let generation = self.generations[slot as usize];
        self.handle(Event::Opened { slot, generation }, shared);
        shared.oracle().pipes.insert(self.node.conn_id(slot), pipe);
        let (client, hint) = (names::client_id(client), hint.map(names::room_id));
        if self.handle(Event::Upgraded { slot, arrival: Arrival { hint, ..Arrival::of(client, opening) } }, shared)
            == Next::Move
        {
            self.hand_over(slot, shared);
        }
    }

    pub(crate) fn slots(&self) -> Vec<u32> {
        let used = self.sockets.iter().enumerate().filter(|(_, socket)| socket.is_some());
        used.map(|(slot, _)| u32::try_from(slot).expect("few connections")).collect()
    }

    fn socket(&mut self, slot: u32) -> Option<&mut Socket> {
        self.sockets.get_mut(slot as usize)?.as_mut()
    }

    pub(crate) fn handle(&mut self, event: Event<'_>, shared: &mut Shared) -> Next {
        let next = self.node.handle(event, &mut self.orders);
        self.carry_out(shared);
        next
    }

    fn carry_out(&mut self, shared: &mut Shared) {
        while !self.orders.is_empty() {
            for order in std::mem::take(&mut self.orders) {
                self.obey(order, shared);
            }
        }
    }

    fn obey(&mut self, order: Order, shared: &mut Shared) {
        match order {
            Order::ReadOn(slot) => {
                if let Some(socket) = self.socket(slot) {
                    socket.stalled = false;
                }
            }
            Order::Closing(slot) => {
                if let Some(socket) = self.socket(slot) {
                    socket.closing = true;
                    socket.unread.clear();
                }
            }
            Order::Drained(slot) | Order::End(slot) => self.end(slot, shared),
            Order::Goodbye => self.has_said_goodbye = true,
            Order::Serves => {}
        }
    }

    /// Ends a connection: its client sees the end behind what has left.
    pub(crate) fn end(&mut self, slot: u32, shared: &mut Shared) {
        if self.socket(slot).is_none() {
            return;
        }
        self.handle(Event::Ended { slot }, shared);
        let socket = self.sockets[slot as usize].take().expect("looked at above");
        self.generations[slot as usize] += 1;
        shared.pipes[socket.pipe].is_closed = true;
    }

    /// Reads one socket and answers what it may; notices who has gone.
    pub(crate) fn read(&mut self, slot: u32, all: bool, shared: &mut Shared) {
        let count = if all { READ_MAX } else { shared.chance.between(1, READ_MAX) };
        let Some(socket) = self.socket(slot) else { return };
        let pipe = &mut shared.pipes[socket.pipe];
        if socket.stalled && !socket.closing {
            return shared.note("a request that waits");
        }
        if socket.unread.is_empty() {
            let count = count.min(pipe.up.len());
            socket.unread.extend(pipe.up.drain(..count));
        }
        if socket.closing {
            socket.unread.clear();
            if pipe.peer == Peer::Gone {
                self.end(slot, shared);
            }
            return;
        }
        if pipe.peer == Peer::Gone && socket.unread.is_empty() {
            self.handle(Event::HungUp { slot }, shared);
            return;
        }
        self.look(slot, shared);
    }

    /// Looks at requests that were received, as long as the node takes them.
    fn look(&mut self, slot: u32, shared: &mut Shared) {
        loop {
            if self.node.is_worth_flushing(slot) {
                self.flush(Source::Slot(slot), shared);
            }
            let Some(request) = self.socket(slot).and_then(|socket| socket.unread.front().cloned()) else { return };
            if !self.node.takes_requests(slot) {
                let socket = self.socket(slot).expect("looked at above");
                socket.stalled = !socket.closing;
                return;
            }
            self.socket(slot).expect("looked at above").unread.pop_front();
            let next = match request {
                Up::First(request) => self.ask(slot, request, shared),
                Up::Second(id, asked) => requests::ask(slot, id, &asked, |event| self.handle(event, shared)),
            };
            if next == Next::Move {
                return self.hand_over(slot, shared);
            }
        }
    }

    fn ask(&mut self, slot: u32, request: Request, shared: &mut Shared) -> Next {
        let (room, seat) = match request {
            Request::Join(room) | Request::Leave(room) => (room, 0),
            Request::Select(room, seat, _) | Request::Release(room, seat) => (room, seat),
            Request::Ping => return self.handle(Event::Message { slot, message: Message::Ping }, shared),
            Request::Bad => {
                let (room, seat, request_type) = (None, None, None);
                let bad = BadMessage { fault: Fault::Json, message: "no".into(), room, seat, request_type };
                return self.handle(Event::Bad { slot, bad: &bad }, shared);
            }
        };
        let (room, seat) = (names::room_id(room), names::seat_id(seat));
        let (room, seat) = (room.as_str(), seat.as_str());
        let user_info = if let Request::Select(.., tag) = request { names::user_info(tag) } else { String::new() };
        let asked = match request {
            Request::Join(_) => command::Request::Join { room },
            Request::Leave(_) => command::Request::Leave { room },
            Request::Select(..) => command::Request::Select { room, seat, user_info: &user_info },
            Request::Release(..) | Request::Ping | Request::Bad => command::Request::Release { room, seat },
        };
        self.handle(Event::Message { slot, message: Message::Request(asked) }, shared)
    }

    fn hand_over(&mut self, slot: u32, shared: &mut Shared) {
        self.flush(Source::Slot(slot), shared);
        if self.socket(slot).is_none() {
            return;
        }
        let departed = self.node.depart(slot);
        self.node.take_orders(&mut self.orders);
        self.carry_out(shared);
        let Some((to, moving)) = departed else { return };
        let Socket { pipe, unread, .. } = self.sockets[slot as usize].take().expect("looked at above");
        self.generations[slot as usize] += 1;
        if !unread.is_empty() {
            shared.note("a hand-over with requests behind the join");
        }
        self.out[to.index()].push_back(Mail::Socket { pipe, unread, moving });
    }

    /// Takes mail in.
    pub(crate) fn open(&mut self, mail: Mail, shared: &mut Shared) {
        match mail {
            Mail::Letter(letter) => _ = self.handle(Event::Letter(letter), shared),
            Mail::Socket { pipe, unread, moving } => {
                if shared.pipes[pipe].peer == Peer::Gone {
                    shared.note("a client that went during its hand-over");
                }
                let slot = self.admit(pipe, unread);
                let generation = self.generations[slot as usize];
                shared.oracle().pipes.insert(butaca::engine::ids::ConnId::new(self.id, slot, generation), pipe);
                if self.handle(Event::Arrived { slot, generation, moving }, shared) == Next::Move {
                    self.hand_over(slot, shared);
                }
            }
        }
    }

    /// The mail for another shard.
    pub(crate) fn post(&mut self, to: ShardId) -> &mut VecDeque<Mail> {
        let lane = &mut self.out[to.index()];
        lane.extend(self.node.letters(to).drain(..).map(Mail::Letter));
        lane
    }

    /// Tells the node of the sockets that take bytes again.
    pub(crate) fn note_writable(&mut self, shared: &mut Shared) {
        for slot in self.slots() {
            let socket = self.socket(slot).expect("it is used");
            if socket.full && (!shared.pipes[socket.pipe].is_full() || shared.pipes[socket.pipe].peer == Peer::Gone) {
                socket.full = false;
                self.handle(Event::Writable { slot }, shared);
            }
        }
    }

    /// Sends what there is of this.
    pub(crate) fn flush(&mut self, source: Source, shared: &mut Shared) {
        let broken = self.send(source, shared);
        broken.into_iter().for_each(|slot| self.end(slot, shared));
    }

    /// The same; returns the sockets that turned out to be broken, to be ended.
    fn send(&mut self, source: Source, shared: &mut Shared) -> Vec<u32> {
        let mut broken = Vec::new();
        while let Some(Send { slot, bytes }) = self.node.next_send(source) {
            let socket = self.sockets[slot as usize].as_mut().expect("a session has a socket");
            if shared.pipes[socket.pipe].peer == Peer::Gone {
                broken.push(slot);
                self.node.sent(Taken::Broken, &mut self.orders);
                continue;
            }
            let sent = shared.send_some(socket, bytes);
            self.node.sent(Taken::Bytes(sent), &mut self.orders);
        }
        self.node.take_orders(&mut self.orders);
        self.carry_out(shared);
        broken
    }

    /// Sends what is offered to several members, and returns the sockets that turned out to be broken.
    fn send_offers(&mut self, shared: &mut Shared) -> Vec<u32> {
        let (mut broken, mut taken) = (Vec::new(), Vec::new());
        for Send { slot, bytes } in self.node.offers() {
            let socket = self.sockets[slot as usize].as_mut().expect("a session has a socket");
            if shared.pipes[socket.pipe].peer == Peer::Gone {
                broken.push(slot);
                taken.push(Taken::Broken);
                continue;
            }
            let sent = shared.send_some(socket, bytes);
            taken.push(Taken::Bytes(sent));
        }
        self.node.sent_all(taken.into_iter(), &mut self.orders);
        self.carry_out(shared);
        broken
    }

    /// Serves some slices of rooms that are due.
    pub(crate) fn serve(&mut self, slices: usize, ns: u64, shared: &mut Shared) {
        for _ in 0..slices {
            if !self.node.next_slice(ns) {
                return;
            }
            let mut broken = Vec::new();
            // A shell may ask for one member after the other, or for as many as the slice has.
            while shared.chance.percent(70) && self.node.offer_members() {
                broken.extend(self.send_offers(shared));
            }
            broken.extend(self.send(Source::Slice, shared));
            let cost = shared.chance.below(2_000_000) as u64;
            self.node.slice_done(ns, ns + cost);
            broken.into_iter().for_each(|slot| self.end(slot, shared));
        }
    }

    /// Whether nothing waits here.
    pub(crate) fn is_at_rest(&self, shared: &Shared) -> bool {
        let is_quiet = |socket: &Socket| {
            let pipe = &shared.pipes[socket.pipe];
            socket.unread.is_empty()
                && pipe.up.is_empty()
                && pipe.peer == Peer::There
                && !socket.full
                && !socket.stalled
        };
        let has_mail = self.out.iter().any(|lane| !lane.is_empty());
        let is_idle = !self.node.has_work() && self.node.next_paced_ns().is_none() && !self.node.is_saving();
        let is_idle = is_idle && self.node.waiting_for_full_states() == 0;
        self.sockets.iter().flatten().all(is_quiet) && !has_mail && is_idle && self.node.waiting_bytes() == 0
    }

    /// What waits here, for people.
    pub(crate) fn unrest(&self, shared: &Shared) -> String {
        let waits = |socket: &Socket| {
            let pipe = &shared.pipes[socket.pipe];
            let quiet = socket.unread.is_empty() && pipe.up.is_empty() && !socket.full && !socket.stalled;
            (!quiet || pipe.peer != Peer::There).then(|| {
                let Socket { unread, full, stalled, closing, .. } = socket;
                format!("unread {} full {full} stalled {stalled} closing {closing} {:?}", unread.len(), pipe.peer)
            })
        };
        let sockets: Vec<String> = self.sockets.iter().flatten().filter_map(waits).collect();
        let node = &self.node;
        format!(
            "sockets {sockets:?} mail {} work {} paced {:?} saving {} states {} bytes {}",
            self.out.iter().map(VecDeque::len).sum::<usize>(),
            node.has_work(),
            node.next_paced_ns(),
            node.is_saving(),
            node.waiting_for_full_states(),
            node.waiting_bytes()
        )
    }
}
