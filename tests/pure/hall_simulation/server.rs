//! One life of a server that sells halls: nodes, the pump of their store, mail that comes at once, and sockets that
//! take everything. What clients write is read as the server reads it.

use std::collections::VecDeque;
use std::sync::Arc;

use butaca::audience::budget::Budget;
use butaca::audience::pace::Pace;
use butaca::auth::bans::Bans;
use butaca::auth::session::SessionTokens;
use butaca::auth::token::Authority;
use butaca::engine::command::{ApiTicket, LayoutName, RoomPlan, SaleRequest};
use butaca::engine::ids::{ClientId, ConnId, RoomId, ShardId, shard_of};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{CartRules, Rules, Shard};
use butaca::engine::time::Now;
use butaca::node::acts::Acts;
use butaca::node::hot::HotRooms;
use butaca::node::observer::Observer;
use butaca::node::{
    self, Arrival, Bounds, Event, Moment, Next, Node, Opening, Order, Random, SecondRules, Source, Taken,
};
use butaca::wire::message::BroadcastUserInfo;
use butaca::wire::v2::read::Reader;

use super::truth::Shared;
use crate::sale_simulation::disk::Disk;
use crate::sale_simulation::server::Past;

pub(crate) const HOLD_MS: u64 = 600;
pub(crate) const GRACE_MS: u64 = 150;
pub(crate) const RESTORE_GRACE_MS: u64 = 100;
/// Seats that an owner may have in a room, unless its token says more.
pub(crate) const SEATS_MAX: u32 = 5;
/// How long a connection may be nobody where tokens are asked for.
const AUTH_WITHIN_MS: u64 = 5_000;
/// Turns of passing mail on in which everything must come to rest.
const ROUNDS_MAX: usize = 1_000;

/// What is the same in every life of a server.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) shards: usize,
    pub(crate) is_durable: bool,
    pub(crate) authority: Option<Arc<Authority>>,
}

/// A socket.
#[derive(Default)]
pub(crate) struct Socket {
    at: Option<(usize, u32)>,
    /// What its client has written.
    pub(crate) up: VecDeque<String>,
    /// What the server has.
    pub(crate) down: Vec<u8>,
    /// The server's last word is queued.
    pub(crate) is_closing: bool,
    /// The server has closed it.
    pub(crate) is_over: bool,
}

pub(crate) struct Server {
    pub(crate) nodes: Vec<Node>,
    past: Past,
    pub(crate) sockets: Vec<Socket>,
    /// Of each shard, by slot: which socket is there, and how many were.
    slots: Vec<Vec<(Option<usize>, u32)>>,
    readers: Vec<Reader>,
    now: Now,
    truth: Shared,
}

impl Server {
    /// Starts from what the disk has: it is read at one moment, and the shards serve from another one on.
    pub(crate) fn start(
        plan: &Plan,
        (read_at, now): (Now, Now),
        disk: &mut Disk,
        truth: &Shared,
        plan_of: impl Fn(&LayoutName) -> Option<RoomPlan>,
    ) -> Self {
        let past = Past::read(plan.shards, (HOLD_MS, 1_000_000), (read_at, now), disk, plan_of);
        let (hot, budget, bans) = (HotRooms::default(), Budget::default(), Arc::new(Bans::default()));
        let node = |id: ShardId| {
            let rules = Rules { hold_ttl_ms: HOLD_MS, seats_per_client_max: SEATS_MAX };
            let seats = Shard::new(id, plan.shards, Seeds::replayed(plan.seed ^ now.mono.0, id), rules);
            let carts = CartRules {
                grace_ms: GRACE_MS,
                extends_max: 1,
                life_max_ms: 1_500,
                warn_ms: 100,
                ..CartRules::default()
            };
            let (bounds, hot, budget) = (Bounds::default(), hot.clone(), budget.clone());
            let (shards, store, rules) = (plan.shards, Some(Arc::clone(&past.link)), node_rules(plan.is_durable));
            let seats = seats.with_carts(carts);
            let node = Node::new(node::Parts { id, shards, rules, bounds, seats, hot, budget, store });
            let node = node.with_entrance(plan.authority.clone(), Arc::clone(&bans), AUTH_WITHIN_MS);
            let mut node =
                node.with_tokens(SessionTokens::new([1, 1])).with_acts(Some(Acts::new(Arc::clone(&past.ring), true)));
            let truth = Arc::clone(truth);
            node.observe(Observer::new(move |observed| {
                truth.lock().unwrap_or_else(std::sync::PoisonError::into_inner).hear(id, &observed);
            }));
            node
        };
        let nodes = (0..plan.shards).map(ShardId::new).map(node).collect();
        let (sockets, slots) = (Vec::new(), vec![Vec::new(); plan.shards]);
        let readers = vec![Reader::new(1_000)];
        let mut server = Self { nodes, past, sockets, slots, readers, now, truth: Arc::clone(truth) };
        server.begin_turn(now);
        (0..plan.shards).for_each(|shard| _ = server.handle(shard, Event::Store));
        server.carry();
        server
    }

    pub(crate) fn begin_turn(&mut self, now: Now) {
        self.now = now;
        let at = Moment { now, ns: now.mono.0 * 1_000_000 };
        self.nodes.iter_mut().for_each(|node| node.begin_turn(at));
    }

    fn handle(&mut self, shard: usize, event: Event<'_>) -> Next {
        let mut orders = Vec::new();
        let next = self.nodes[shard].handle(event, &mut orders);
        self.obey(shard, orders);
        next
    }

    fn obey(&mut self, shard: usize, orders: Vec<Order>) {
        for order in orders {
            match order {
                Order::Closing(slot) => {
                    if let Some(socket) = self.socket_at(shard, slot) {
                        socket.is_closing = true;
                        socket.up.clear();
                    }
                }
                Order::Drained(slot) | Order::End(slot) => self.end(shard, slot),
                Order::ReadOn(_) | Order::Goodbye | Order::Serves => {}
            }
        }
    }

    fn socket_at(&mut self, shard: usize, slot: u32) -> Option<&mut Socket> {
        let (socket, _) = *self.slots[shard].get(slot as usize)?;
        Some(&mut self.sockets[socket?])
    }

    fn end(&mut self, shard: usize, slot: u32) {
        let Some(socket) = self.socket_at(shard, slot) else { return };
        (socket.at, socket.is_over) = (None, true);
        let mut orders = Vec::new();
        self.nodes[shard].handle(Event::Ended { slot }, &mut orders);
        self.vacate(shard, slot);
        self.obey(shard, orders);
    }

    fn vacate(&mut self, shard: usize, slot: u32) {
        let place = &mut self.slots[shard][slot as usize];
        *place = (None, place.1 + 1);
    }

    /// The slot and generation of a socket that comes to a shard.
    fn admit(&mut self, shard: usize, socket: usize) -> (u32, u32) {
        let slots = &mut self.slots[shard];
        let slot = slots.iter().position(|(socket, _)| socket.is_none()).unwrap_or_else(|| {
            slots.push((None, 0));
            slots.len() - 1
        });
        let generation = slots[slot].1;
        slots[slot].0 = Some(socket);
        let slot = u32::try_from(slot).expect("few");
        self.sockets[socket].at = Some((shard, slot));
        let conn = ConnId::new(ShardId::new(shard), slot, generation);
        self.truth.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_of(conn, socket);
        (slot, generation)
    }

    /// Somebody connects; returns the number of the socket.
    pub(crate) fn connect(&mut self, shard: usize, name: usize, random: Random, token: Option<&str>) -> usize {
        let socket = self.sockets.len();
        self.sockets.push(Socket::default());
        let (slot, generation) = self.admit(shard, socket);
        self.handle(shard, Event::Opened { slot, generation });
        let client = ClientId::new(&format!("c{name}")).expect("a name");
        let arrival = Arrival { token, ..Arrival::of(client, Opening::Second(random)) };
        if self.handle(shard, Event::Upgraded { slot, arrival }) == Next::Move {
            self.hand_over(shard, slot);
        }
        self.carry();
        socket
    }

    /// The client has gone, and the server notices.
    pub(crate) fn hang_up(&mut self, socket: usize) {
        if let Some((shard, slot)) = self.sockets[socket].at {
            self.end(shard, slot);
        }
        self.carry();
    }

    /// Reads what clients have written, as far as it is taken.
    pub(crate) fn read(&mut self) {
        for socket in 0..self.sockets.len() {
            while let Some((shard, slot)) = self.sockets[socket].at {
                if self.sockets[socket].up.is_empty() || !self.nodes[shard].takes_requests(slot) {
                    break;
                }
                let text = self.sockets[socket].up.pop_front().expect("looked at above");
                let mut reader = self.readers.pop().unwrap_or_else(|| Reader::new(1_000));
                let mut bytes = text.clone().into_bytes();
                let next = match reader.read(&mut bytes) {
                    Ok(message) => self.handle(shard, Event::Second { slot, message }),
                    Err(bad) => panic!("{text} is no request: {bad:?}"),
                };
                self.readers.push(reader);
                if next == Next::Move {
                    self.hand_over(shard, slot);
                }
                self.carry();
            }
        }
    }

    fn hand_over(&mut self, shard: usize, slot: u32) {
        self.send(shard, Source::Slot(slot));
        let Some((Some(socket), _)) = self.slots[shard].get(slot as usize).copied() else { return };
        let departed = self.nodes[shard].depart(slot);
        let mut orders = Vec::new();
        self.nodes[shard].take_orders(&mut orders);
        self.obey(shard, orders);
        let Some((to, moving)) = departed else { return };
        self.vacate(shard, slot);
        let (slot, generation) = self.admit(to.index(), socket);
        if self.handle(to.index(), Event::Arrived { slot, generation, moving }) == Next::Move {
            self.hand_over(to.index(), slot);
        }
    }

    /// Passes letters on and sends what there is to be sent.
    fn carry(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let mut is_quiet = true;
            for from in 0..self.nodes.len() {
                self.send(from, Source::Replies);
                for to in 0..self.nodes.len() {
                    let letters: Vec<_> = self.nodes[from].letters(ShardId::new(to)).drain(..).collect();
                    is_quiet &= letters.is_empty();
                    letters.into_iter().for_each(|letter| _ = self.handle(to, Event::Letter(letter)));
                }
            }
            if is_quiet {
                return;
            }
        }
        panic!("letters without an end");
    }

    fn send(&mut self, shard: usize, source: Source) {
        let mut orders = Vec::new();
        while let Some(send) = self.nodes[shard].next_send(source) {
            let socket = self.slots[shard][send.slot as usize].0.expect("a session has a socket");
            self.sockets[socket].down.extend_from_slice(send.bytes);
            let taken = Taken::Bytes(send.bytes.len());
            self.nodes[shard].sent(taken, &mut orders);
        }
        self.nodes[shard].take_orders(&mut orders);
        self.obey(shard, orders);
    }

    /// A turn of every shard.
    pub(crate) fn turn(&mut self) {
        let ns = self.now.mono.0 * 1_000_000;
        self.begin_turn(self.now);
        for shard in 0..self.nodes.len() {
            self.handle(shard, Event::Store);
        }
        self.read();
        for shard in 0..self.nodes.len() {
            while self.nodes[shard].next_slice(ns) {
                self.send(shard, Source::Slice);
                self.nodes[shard].slice_done(ns, ns);
            }
            self.handle(shard, Event::Tick);
            self.nodes[shard].hand_over_changes();
        }
        self.carry();
    }

    pub(crate) fn sell(&mut self, room: &RoomId, request: SaleRequest, reply_to: u64) {
        let shard = shard_of(room.as_str(), self.nodes.len()).index();
        let (room, request) = (room.clone(), Box::new(request));
        self.handle(shard, Event::Sale { room, request, reply_to: ApiTicket(reply_to) });
        self.nodes.iter_mut().for_each(|node| node.api_answers().clear());
        self.carry();
    }

    pub(crate) fn drain(&mut self) {
        (0..self.nodes.len()).for_each(|shard| _ = self.handle(shard, Event::Drain));
        self.carry();
    }

    pub(crate) fn pump(&mut self, disk: &mut Disk) {
        self.past.commit(self.now, disk);
    }

    pub(crate) fn has_saved_all(&self) -> bool {
        self.past.has_all(&self.nodes)
    }
}

fn node_rules(is_durable: bool) -> node::Rules {
    node::Rules {
        share: BroadcastUserInfo::Full,
        pace: Pace { factor: 0, max_ns: 0 },
        hot_room_members: 3,
        slow_consumer_ms: 1_000,
        silence_ms: 60_000,
        hold_ttl_ms: HOLD_MS,
        restore_grace_ms: RESTORE_GRACE_MS,
        is_durable,
        second: SecondRules { tick_ms: 20, grace_ms: GRACE_MS, ring_max: 8, ..SecondRules::default() },
    }
}
