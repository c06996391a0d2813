//! One life of a server: nodes, the pump of its store thread, and their mail, which comes when it may.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use butaca::acts::ring::Ring;
use butaca::audience::budget::Budget;
use butaca::audience::pace::Pace;
use butaca::auth::session::SessionTokens;
use butaca::engine::command::{ApiAnswer, ApiTicket, LayoutName, Request, RoomPlan, SaleRequest};
use butaca::engine::ids::{ClientId, RoomId, ShardId, shard_of};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{CartRules, Rules, Shard};
use butaca::engine::time::Now;
use butaca::node::acts::Acts;
use butaca::node::hot::HotRooms;
use butaca::node::letters::{Letter, Moving};
use butaca::node::observer::Observer;
use butaca::node::{
    self, Arrival, Bounds, Event, Moment, Next, Node, Opening, Order, Random, SecondRules, Source, Taken,
};
use butaca::persist::link::StoreLink;
use butaca::persist::stores::store::Store;
use butaca::persist::thread::pump::Pump;
use butaca::persist::thread::restore::sift;
use butaca::wire::message::{BroadcastUserInfo, Message};

use super::disk::Disk;
use super::halls;
use super::truth::Shared;
use crate::simulation::second::requests::{self, Asked};

/// How long a hold lives.
pub(crate) const HOLD_MS: u64 = 400;
/// How long seats wait after a restart for a client of the first protocol.
pub(crate) const GRACE_MS: u64 = 100;
/// A lease that outlives every run.
const LEASE_MS: u64 = 100_000_000;

/// What a life of a server begins with: what its disk says, given to the shards, and the ways to the store.
pub(crate) struct Past {
    pub(crate) link: Arc<StoreLink>,
    pub(crate) pump: Pump,
    pub(crate) ring: Arc<Ring>,
    /// Events that were stored at the start and that no reader sees.
    passed_over: usize,
}

impl Past {
    /// The disk is read at one moment, and the shards serve from another one on. `plan_of`: layouts by their names.
    /// `log_max`: events that the log keeps.
    pub(crate) fn read(
        shards: usize,
        (hold_ms, log_max): (u64, usize),
        (read_at, now): (Now, Now),
        disk: &mut Disk,
        plan_of: impl Fn(&LayoutName) -> Option<RoomPlan>,
    ) -> Self {
        let mut loaded = disk.load().expect("it is in memory");
        let stored = std::mem::take(&mut loaded.log);
        let mut restored = sift(loaded, read_at.wall, hold_ms, shards, |_| true);
        let bare = restored.furnish(plan_of);
        assert!(bare.is_empty(), "every layout is at hand");
        for (_, event) in &stored {
            let numbers = &mut restored.log[shard_of(event.room.as_str(), shards).index()].numbers;
            let n = numbers.entry(event.room.clone()).or_default();
            *n = event.n.max(*n);
        }
        let ring = Arc::new(Ring::new(log_max));
        ring.open(stored, read_at.wall);
        let mut pump = Pump::new(shards).with_log(Some(Arc::clone(&ring)));
        pump.begin(&restored);
        let link = Arc::new(StoreLink::new(shards));
        link.status.renewed(now.mono, LEASE_MS);
        link.status.set_connected();
        link.note_restored_log(std::mem::take(&mut restored.log));
        link.note_restored_rooms(std::mem::take(&mut restored.rooms));
        link.note_restored(std::mem::take(&mut restored.shards));
        let passed_over = disk.places().len() - ring.places().len();
        Self { link, pump, ring, passed_over }
    }

    /// The store thread takes what there is, and tries to commit it.
    pub(crate) fn commit(&mut self, now: Now, disk: &mut Disk) {
        self.link.status.renewed(now.mono, LEASE_MS);
        if self.pump.is_idle() {
            self.pump.add(self.link.queue.take(0, 0).offers, now.wall);
        }
        if self.pump.is_idle() {
            return;
        }
        match self.pump.commit(disk, now.wall) {
            Ok(committed) => {
                self.link.status.set_connected();
                committed.batches.iter().for_each(|&(shard, number)| self.link.note_committed(shard, number));
                let (stored, seen) = (disk.places(), self.ring.places());
                // What a start has passed over goes with the next that goes.
                let is_all = stored.ends_with(&seen) && stored.len() <= seen.len() + self.passed_over;
                assert!(is_all, "readers see {seen:?}, and the store has {stored:?}");
            }
            Err(_) => _ = self.link.status.set_away("a fault".into()),
        }
    }

    /// Whether the store has all that these shards have decided.
    pub(crate) fn has_all(&self, nodes: &[Node]) -> bool {
        let is_taken = (0..nodes.len()).all(|shard| self.link.queue.is_free(ShardId::new(shard)));
        is_taken && self.pump.is_idle() && !nodes.iter().any(Node::is_saving)
    }
}

/// What is the same in every life of a server.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) shards: usize,
    pub(crate) is_durable: bool,
    /// Events that the log keeps.
    pub(crate) log_max: usize,
}

/// What one shard has for another.
enum Mail {
    Letter(Letter),
    /// A connection, which keeps its slot and its generation.
    Socket {
        slot: u32,
        generation: u32,
        moving: Moving,
    },
}

pub(crate) struct Server {
    pub(crate) nodes: Vec<Node>,
    pub(crate) past: Past,
    orders: Vec<Order>,
    /// From each shard to each.
    mail: Vec<VecDeque<Mail>>,
    /// Where connections of the first protocol are, by slot, with their generation; nowhere while they move.
    homes: BTreeMap<u32, (Option<usize>, u32)>,
}

impl Server {
    /// Starts from what the disk has: it is read at one moment, and the shards serve from another one on.
    pub(crate) fn start(plan: Plan, (read_at, now): (Now, Now), disk: &mut Disk, truth: &Shared) -> Self {
        let Plan { seed, shards, is_durable, log_max } = plan;
        let past = Past::read(shards, (HOLD_MS, log_max), (read_at, now), disk, |name| halls::plan(&name.id));
        let (hot, budget) = (HotRooms::default(), Budget::default());
        let node = |id: ShardId| {
            let rules = Rules { hold_ttl_ms: HOLD_MS, seats_per_client_max: 4 };
            let carts =
                CartRules { grace_ms: 200, extends_max: 1, life_max_ms: 700, warn_ms: 0, ..CartRules::default() };
            let seats = Shard::new(id, shards, Seeds::replayed(seed ^ now.mono.0, id), rules).with_carts(carts);
            let (hot, budget, store) = (hot.clone(), budget.clone(), Some(Arc::clone(&past.link)));
            let rules = node_rules(is_durable);
            let parts = node::Parts { id, shards, rules, bounds: Bounds::default(), seats, hot, budget, store };
            let acts = Acts::new(Arc::clone(&past.ring), true);
            let mut node = Node::new(parts).with_tokens(SessionTokens::new([1, 1])).with_acts(Some(acts));
            let truth = Arc::clone(truth);
            node.observe(Observer::new(move |observed| {
                truth.lock().unwrap_or_else(std::sync::PoisonError::into_inner).hear(&observed);
            }));
            node
        };
        let nodes = (0..shards).map(ShardId::new).map(node).collect();
        let mail = std::iter::repeat_with(VecDeque::new).take(shards * shards).collect();
        let (orders, homes) = Default::default();
        let mut server = Self { nodes, past, orders, mail, homes };
        server.begin_turn(now);
        (0..shards).for_each(|shard| _ = server.handle(shard, Event::Store));
        server
    }

    pub(crate) fn begin_turn(&mut self, now: Now) {
        let at = Moment { now, ns: now.mono.0 * 1_000_000 };
        self.nodes.iter_mut().for_each(|node| node.begin_turn(at));
    }

    pub(crate) fn handle(&mut self, shard: usize, event: Event<'_>) -> Next {
        let next = self.nodes[shard].handle(event, &mut self.orders);
        self.conclude(shard);
        next
    }

    /// Bytes are taken by nobody, who is to go goes, and letters are posted.
    fn conclude(&mut self, shard: usize) {
        loop {
            self.send(shard);
            let orders = std::mem::take(&mut self.orders);
            if orders.is_empty() {
                break;
            }
            for order in orders {
                if let Order::Drained(slot) | Order::End(slot) = order {
                    self.homes.remove(&slot);
                    self.nodes[shard].handle(Event::Ended { slot }, &mut self.orders);
                }
            }
        }
        let shards = self.nodes.len();
        for to in 0..shards {
            let letters = self.nodes[shard].letters(ShardId::new(to)).drain(..).map(Mail::Letter);
            self.mail[shard * shards + to].extend(letters);
        }
    }

    /// The oldest mail on this way arrives. Nothing when there is none.
    pub(crate) fn deliver(&mut self, from: usize, to: usize) -> bool {
        let shards = self.nodes.len();
        let Some(mail) = self.mail[from * shards + to].pop_front() else { return false };
        match mail {
            Mail::Letter(letter) => _ = self.handle(to, Event::Letter(letter)),
            Mail::Socket { slot, generation, moving } => {
                self.homes.insert(slot, (Some(to), generation));
                if self.handle(to, Event::Arrived { slot, generation, moving }) == Next::Move {
                    self.hand_over(to, slot);
                }
            }
        }
        true
    }

    /// All mail arrives, and what is written for it.
    pub(crate) fn deliver_all(&mut self) {
        let shards = self.nodes.len();
        while (0..shards * shards).any(|way| self.deliver(way / shards, way % shards)) {}
    }

    /// A connection that is to move leaves, unless it stays.
    fn hand_over(&mut self, shard: usize, slot: u32) {
        let departed = self.nodes[shard].depart(slot);
        self.conclude(shard);
        let (_, generation) = self.homes[&slot];
        let Some((to, moving)) = departed else { return };
        self.homes.insert(slot, (None, generation));
        let way = shard * self.nodes.len() + to.index();
        self.mail[way].push_back(Mail::Socket { slot, generation, moving });
    }

    fn send(&mut self, shard: usize) {
        let node = &mut self.nodes[shard];
        while let Some(send) = node.next_send(Source::Replies) {
            let taken = Taken::Bytes(send.bytes.len());
            node.sent(taken, &mut self.orders);
        }
        node.take_orders(&mut self.orders);
    }

    /// A session connects, or does so again.
    pub(crate) fn connect(&mut self, shard: usize, slot: u32, generation: u32, person: u128) {
        self.handle(shard, Event::Opened { slot, generation });
        let client = ClientId::new(&format!("c{}", 50 + person)).expect("a name");
        let random = Random { session: person + 7, incarnation: u64::from(generation) };
        let arrival = Arrival::of(client, Opening::Second(random));
        self.handle(shard, Event::Upgraded { slot, arrival });
    }

    /// The same with the first protocol.
    pub(crate) fn connect_first(&mut self, shard: usize, slot: u32, generation: u32, client: ClientId) {
        self.homes.insert(slot, (Some(shard), generation));
        self.handle(shard, Event::Opened { slot, generation });
        self.handle(shard, Event::Upgraded { slot, arrival: Arrival::of(client, Opening::First) });
    }

    /// Asks with it. Nothing while the connection cannot be asked. Returns whether it moves now.
    pub(crate) fn ask_first(&mut self, slot: u32, request: Request<'_>) -> bool {
        let Some(&(Some(shard), _)) = self.homes.get(&slot) else { return false };
        if !self.nodes[shard].takes_requests(slot) {
            return false;
        }
        let moves = self.handle(shard, Event::Message { slot, message: Message::Request(request) }) == Next::Move;
        if moves {
            self.hand_over(shard, slot);
        }
        moves
    }

    /// The connection breaks. Not while it moves.
    pub(crate) fn break_first(&mut self, slot: u32) -> bool {
        let Some(&(home, _)) = self.homes.get(&slot) else { return true };
        let Some(shard) = home else { return false };
        self.homes.remove(&slot);
        self.handle(shard, Event::Ended { slot });
        true
    }

    pub(crate) fn ask(&mut self, shard: usize, slot: u32, id: u64, asked: &Asked) {
        if self.nodes[shard].takes_requests(slot) {
            requests::ask(slot, id, asked, |event| self.handle(shard, event));
        }
    }

    pub(crate) fn sell(&mut self, room: &RoomId, request: SaleRequest, reply_to: ApiTicket) {
        let shard = shard_of(room.as_str(), self.nodes.len()).index();
        self.handle(shard, Event::Sale { room: room.clone(), request: Box::new(request), reply_to });
    }

    /// What the backend is answered, as far as it may be.
    pub(crate) fn answers(&mut self) -> Vec<ApiAnswer> {
        self.nodes.iter_mut().flat_map(|node| std::mem::take(node.api_answers())).collect()
    }

    /// The store thread takes what there is, and tries to commit it.
    pub(crate) fn pump(&mut self, now: Now, disk: &mut Disk) {
        self.past.commit(now, disk);
    }

    /// Whether something is on its way between shards.
    pub(crate) fn has_mail(&self) -> bool {
        !self.mail.iter().all(VecDeque::is_empty)
    }

    pub(crate) fn is_idle(&self) -> bool {
        !self.has_mail() && self.past.has_all(&self.nodes)
    }
}

fn node_rules(is_durable: bool) -> node::Rules {
    node::Rules {
        share: BroadcastUserInfo::Full,
        pace: Pace { factor: 0, max_ns: 0 },
        hot_room_members: 1_000,
        slow_consumer_ms: 1_000,
        silence_ms: 60_000,
        hold_ttl_ms: HOLD_MS,
        restore_grace_ms: GRACE_MS,
        is_durable,
        second: SecondRules { grace_ms: 200, ..SecondRules::default() },
    }
}

/// Shared with the shards.
pub(crate) fn truth() -> Shared {
    Arc::new(Mutex::default())
}
