//! One shard's node with its sockets: carries events in, and orders and bytes out.
//!
//! Invariants: one thread owns a core and nothing in it is borrowed across an await; a socket and its session have the
//! same slot and generation, and end together; orders are carried out before the next event.
//!
//! Never here: what a message means, who is owed what, when a turn ends.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::net::{Shutdown, shutdown};

use crate::clock::Clock;
use crate::config::{self, Connections, Listen, Promise, Rooms};
use crate::engine::ids::ShardId;
use crate::engine::time::Now;
use crate::limits::BLOCKED_RETRY_MS;
use crate::node::letters::Letter;
use crate::node::{Event, Moment, Next, Node, Order, Send, Source, Taken};
use crate::persist::parts::PartLink;
use crate::runtime::board::Board;
use crate::runtime::desk::{Asker, Declared, Desk};
use crate::runtime::doorstep::Doorstep;
use crate::runtime::mailbox::{Lanes, Mesh};
use crate::runtime::memory::Leftovers;
use crate::runtime::origins::Origins;
use crate::runtime::readiness::Readiness;
use crate::runtime::send_ring::Sender;
use crate::runtime::site::Health;
use crate::runtime::site::gathers::Gathers;
use crate::runtime::site::rooms::Bodies;
use crate::runtime::socket::{Phase, Sockets, Tenths, Watched};
use crate::runtime::wheel::Wheel;

/// What a shard's shell is made of.
pub(crate) struct Parts {
    pub(crate) id: ShardId,
    pub(crate) listen: Arc<Listen>,
    pub(crate) connections: Connections,
    pub(crate) rooms: Rooms,
    pub(crate) promise: Promise,
    pub(crate) site: Arc<config::Site>,
    /// Connections that all shards together may have.
    pub(crate) connections_max: usize,
    pub(crate) node: Node,
    pub(crate) mesh: Mesh,
    /// The way to other nodes, when there are some.
    pub(crate) abroad: Option<Arc<PartLink<Letter>>>,
    pub(crate) board: Arc<Board>,
    /// Where the API finds answers.
    pub(crate) desk: Arc<Desk>,
    /// The rooms of the file that this shard owns.
    pub(crate) declared: Declared,
    pub(crate) readiness: Readiness,
    pub(crate) clock: Clock,
    /// Hashes addresses.
    pub(crate) origins: Origins,
}

/// One shard.
pub(crate) struct Core {
    pub(crate) id: ShardId,
    pub(crate) listen: Arc<Listen>,
    pub(crate) connections: Connections,
    pub(crate) rooms: Rooms,
    pub(crate) promise: Promise,
    pub(crate) site: Arc<config::Site>,
    pub(crate) connections_max: usize,
    pub(crate) node: Node,
    pub(crate) sockets: Sockets,
    pub(crate) mesh: Mesh,
    pub(crate) lanes: Lanes,
    pub(crate) board: Arc<Board>,
    pub(crate) desk: Arc<Desk>,
    /// Who waits for the shards of other nodes, by the number of the question.
    pub(crate) askers: HashMap<u32, Asker>,
    /// The rooms of the file that are not there yet.
    pub(crate) declared: Declared,
    /// When they are asked for again.
    pub(crate) declare_at_ms: u64,
    pub(crate) readiness: Readiness,
    pub(crate) wheel: Wheel,
    pub(crate) gathers: Gathers,
    pub(crate) bodies: Bodies,
    pub(crate) health: Option<Health>,
    pub(crate) clock: Clock,
    pub(crate) origins: Origins,
    /// This turn's time.
    pub(crate) now: Now,
    pub(crate) now_ns: u64,
    /// When this turn began to accept, or to read.
    pub(crate) reading_since_ns: u64,
    pub(crate) orders: Vec<Order>,
    /// How slices are sent.
    pub(crate) sender: Sender,
    /// Messages read, to measure one in so many.
    pub(crate) messages: u32,
    /// Sockets to be read: slot and generation.
    pub(crate) reads: VecDeque<(u32, u32)>,
    /// Broken connections, ended at the end of the phase.
    broken: Vec<(u32, u32)>,
    pub(crate) leftovers: Leftovers,
    /// Connections that have asked for nothing yet.
    pub(crate) doorstep: Doorstep,
}

impl Core {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { id, listen, connections, rooms, promise, site, .. } = parts;
        let Parts { connections_max, node, mesh, abroad, board, desk, declared, readiness, clock, origins, .. } = parts;
        let sender = Sender::new(board.executor);
        Self {
            id,
            listen,
            connections,
            rooms,
            promise,
            site,
            connections_max,
            node,
            sockets: Sockets::default(),
            lanes: Lanes::new(id, mesh.clone()).with_abroad(abroad),
            mesh,
            board,
            desk,
            askers: HashMap::new(),
            declared,
            declare_at_ms: 0,
            readiness,
            wheel: Wheel::default(),
            gathers: Gathers::default(),
            bodies: Bodies::default(),
            health: None,
            now: clock.now(),
            now_ns: clock.nanos(),
            reading_since_ns: 0,
            clock,
            origins,
            orders: Vec::new(),
            sender,
            messages: 0,
            reads: VecDeque::new(),
            broken: Vec::new(),
            leftovers: Leftovers::default(),
            doorstep: Doorstep::default(),
        }
    }

    /// A turn begins: its time is read.
    pub(crate) fn begin_turn(&mut self) {
        (self.now, self.now_ns) = (self.clock.now(), self.clock.nanos());
        self.reading_since_ns = self.now_ns;
        self.node.begin_turn(Moment { now: self.now, ns: self.now_ns });
        self.node.figures.turns += 1;
        self.board.pulse(self.id).turns.store(self.node.figures.turns, Ordering::Relaxed);
    }

    /// This turn's time as sockets keep it.
    pub(crate) fn tenths(&self) -> Tenths {
        Tenths::try_from(self.now.mono.0 / 100).expect("thirteen years")
    }

    /// Tells the node what has happened, and does what it orders.
    pub(crate) fn handle(&mut self, event: Event<'_>) -> Next {
        let next = self.node.handle(event, &mut self.orders);
        self.carry_out();
        next
    }

    /// Does what the node orders because of what it was told or asked last.
    pub(crate) fn take_orders(&mut self) {
        self.node.take_orders(&mut self.orders);
        self.carry_out();
    }

    pub(crate) fn carry_out(&mut self) {
        while !self.orders.is_empty() {
            let mut orders = std::mem::take(&mut self.orders);
            orders.drain(..).for_each(|order| self.obey(order));
            if self.orders.is_empty() {
                self.orders = orders;
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::ReadOn(slot) => {
                if self.sockets.get(slot).is_some_and(|socket| socket.stalled) {
                    self.resume_reading(slot);
                }
            }
            Order::Closing(slot) => {
                if let Some(socket) = self.sockets.get_mut(slot) {
                    if socket.phase == Phase::Open {
                        self.board.websocket_ended();
                    }
                    socket.phase = Phase::Closing;
                    socket.unread = None;
                }
                self.check_after(slot, self.connections.close_within_ms);
            }
            Order::Drained(slot) => {
                let Some(socket) = self.sockets.get(slot) else { return };
                if socket.hung_up {
                    return self.end(slot);
                }
                // The peer sees the end at once; what it still sends is read and dropped, since unread bytes would turn
                // our close into a reset that could overtake the close frame.
                shutdown(&socket.fd, Shutdown::Write).ok();
            }
            Order::End(slot) => self.end(slot),
            Order::Goodbye => self.close_http(),
            Order::Serves => self.board.pulse(self.id).serving.store(true, Ordering::Release),
        }
    }

    /// Looks at the connection again after `ms`.
    pub(crate) fn check_after(&mut self, slot: u32, ms: u64) {
        let at = self.tenths() + Tenths::try_from(ms / 100).expect("settings are bounded by a day");
        let generation = self.sockets.generation(slot);
        if let Some(socket) = self.sockets.get_mut(slot) {
            socket.check_at = at;
            self.wheel.put(slot, generation, at);
        }
    }

    /// Sends what has been queued for the connections of this phase, each with one send, and ends what broke. At the
    /// budget of a turn the rest waits for the next one.
    pub(crate) fn flush_all(&mut self) {
        let mut flushed = 0;
        loop {
            while self.send_next(Source::Replies) {
                flushed += 1;
            }
            let ended = self.end_broken();
            if !ended {
                break;
            }
        }
        if flushed > 0 {
            // The whole phase counts for each of its replies: the clock is read once.
            self.node.figures.reply.record(self.clock.nanos().saturating_sub(self.now_ns), flushed);
        }
    }

    /// Sends what has been queued for one connection.
    pub(crate) fn flush(&mut self, slot: u32) {
        while self.send_next(Source::Slot(slot)) {}
    }

    /// Sends the next bytes of the node, and says whether there were any.
    pub(crate) fn send_next(&mut self, source: Source) -> bool {
        let Some(Send { slot, bytes }) = self.node.next_send(source) else {
            self.take_orders();
            return false;
        };
        let socket = self.sockets.get(slot).expect("a session has a socket");
        let len = bytes.len();
        let sent = socket.send(bytes);
        let is_full = sent.as_ref().is_ok_and(|&sent| sent < len);
        match sent {
            Ok(sent) => self.node.sent(Taken::Bytes(sent), &mut self.orders),
            Err(_) => {
                self.broken.push((slot, self.sockets.generation(slot)));
                self.node.sent(Taken::Broken, &mut self.orders);
            }
        }
        if is_full {
            self.blocked(slot);
        }
        self.carry_out();
        true
    }

    /// Ends the connections that are broken, and says whether there were any.
    pub(crate) fn end_broken(&mut self) -> bool {
        let broken = std::mem::take(&mut self.broken);
        for &(slot, generation) in &broken {
            if self.sockets.live(slot, generation).is_some() {
                self.end(slot);
            }
        }
        !broken.is_empty()
    }

    /// The connection is broken: it ends at the end of the phase.
    pub(crate) fn breaks(&mut self, slot: u32) {
        self.broken.push((slot, self.sockets.generation(slot)));
    }

    /// The kernel forgets to say that a socket is writable when it was refused memory, rather than room in the socket,
    /// while nothing was in flight (the limit `tcp_mem`): nothing comes back then that could wake anybody. So a blocked
    /// connection tries again by itself.
    pub(crate) fn look_again(&mut self, slot: u32) {
        let within = self.tenths() + Tenths::try_from(BLOCKED_RETRY_MS / 100).expect("a second");
        if self.sockets.get(slot).is_some_and(|socket| socket.check_at > within) {
            self.check_after(slot, BLOCKED_RETRY_MS);
        }
    }

    /// The socket is full: its connection waits until it is writable.
    pub(crate) fn blocked(&mut self, slot: u32) {
        let generation = self.sockets.generation(slot);
        let Some(socket) = self.sockets.get_mut(slot) else { return };
        socket.full = true;
        let (open, watched) = (socket.phase == Phase::Open, socket.watched);
        // One that is not watched yet will be, for this as well.
        if watched == Watched::Reads {
            socket.watched = Watched::Writes;
        }
        if open {
            self.look_again(slot);
        }
        if watched != Watched::Reads {
            return;
        }
        let Some(socket) = self.sockets.get(slot) else { return };
        // Edge-triggered, but asking for it reports at once when the socket has become writable in between.
        if self.readiness.watch_writes(&socket.fd, slot, generation).is_err() {
            self.breaks(slot);
        }
    }

    /// The socket takes bytes again, or is tried again.
    pub(crate) fn writable(&mut self, slot: u32) {
        if let Some(socket) = self.sockets.get_mut(slot) {
            socket.full = false;
        }
        self.handle(Event::Writable { slot });
    }

    /// Puts the connection into the list of sockets to be read.
    pub(crate) fn resume_reading(&mut self, slot: u32) {
        let generation = self.sockets.generation(slot);
        let Some(socket) = self.sockets.get_mut(slot) else { return };
        if !socket.read_queued {
            socket.read_queued = true;
            self.reads.push_back((slot, generation));
        }
    }

    /// Ends the WebSocket with our close frame: the connection's holds are released now, and it goes when the peer has
    /// hung up or [`Connections::close_within_ms`] are over.
    pub(crate) fn close(&mut self, slot: u32, code: u16, reason: &'static str) {
        self.handle(Event::Close { slot, code, reason });
    }

    /// Ends the connection now.
    pub(crate) fn end(&mut self, slot: u32) {
        self.handle(Event::Ended { slot });
        let socket = self.sockets.remove(slot);
        self.gathers.forget(slot);
        self.leftovers.ended();
        self.uncount(socket.phase, socket.peer.as_deref().copied());
    }

    /// The server goes away: those who ask by HTTP are closed, too, unless an answer is being collected for them.
    fn close_http(&mut self) {
        let asks = |phase| matches!(phase, Phase::Preamble | Phase::Http);
        let all = self.sockets.iter().filter(|(_, socket)| asks(socket.phase) && !socket.awaits_answer);
        let slots: Vec<u32> = all.map(|(slot, _)| slot).collect();
        for slot in slots {
            self.handle(Event::Finish { slot });
        }
    }

    /// A connection that had been counted has ended in this phase.
    pub(crate) fn uncount(&self, phase: Phase, peer: Option<IpAddr>) {
        self.board.disconnected();
        if phase == Phase::Open {
            self.board.websocket_ended();
        }
        if let Some(ip) = peer {
            self.board.disconnected_from(ip);
        }
    }
}
