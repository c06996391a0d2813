//! Whole turns of one shard with several hostile connections: they join, hold, leave, stop reading, read a little, hang
//! up and come back, with little memory. Nothing breaks, and when all are gone nothing is left of what was counted.

use butaca::audience::budget::{Budget, KINDS};
use butaca::audience::pace::Pace;
use butaca::engine::command::Request;
use butaca::engine::ids::{ClientId, ShardId};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{Rules as SeatRules, Shard};
use butaca::engine::time::{Millis, Now, WallMillis};
use butaca::node::hot::HotRooms;
use butaca::node::{Bounds, Event, Moment, Node, Order, Parts, Rules, Source, Taken};
use butaca::wire::message::{BroadcastUserInfo, Message};

const CONNS: usize = 4;
const ROOMS: [&str; 3] = ["a", "b", "c"];
const EVERYTHING: usize = usize::MAX;

/// One connection: whether it is there, the generation of its slot, and what its socket takes in a turn.
#[derive(Clone, Copy)]
struct Conn {
    is_open: bool,
    generation: u32,
    takes: usize,
}

struct World {
    node: Node,
    budget: Budget,
    ms: u64,
    conns: [Conn; CONNS],
    orders: Vec<Order>,
}

/// Plays the bytes: each two are what happens to whom.
pub fn run(data: &[u8]) {
    let mut world = World::new();
    for step in data.chunks_exact(2).take(600) {
        world.turn(|world| world.step(step[0], step[1]));
    }
    for at in 0..CONNS {
        world.turn(|world| world.end(at));
    }
    // Full states are kept for a moment.
    (0..40).for_each(|_| world.turn(|world| world.pass(100)));
    world.node.count_memory();
    for (kind, label) in KINDS {
        assert_eq!(world.budget.used(kind), 0, "{label}");
    }
    assert_eq!(world.node.counts().members, 0);
}

impl World {
    fn new() -> Self {
        let budget = Budget::of(512 * 1024);
        let rules = Rules {
            share: BroadcastUserInfo::Full,
            pace: Pace { factor: 0, max_ns: 0 },
            hot_room_members: 32,
            slow_consumer_ms: 500,
            silence_ms: 3_000,
            hold_ttl_ms: 2_000,
            restore_grace_ms: 0,
            is_durable: false,
            second: butaca::node::SecondRules::default(),
        };
        let seats = SeatRules { hold_ttl_ms: 2_000, seats_per_client_max: 10 };
        let seeds = Seeds { ids: [1, 2], connections: [3, 4], epochs: [5, 6] };
        let id = ShardId::new(0);
        let bounds = Bounds { queue_bytes: 4_096, log_bytes: 16_384, shared_state_bytes: 512, ..Bounds::default() };
        let node = Node::new(Parts {
            id,
            shards: 1,
            rules,
            bounds,
            seats: Shard::new(id, 1, seeds, seats),
            hot: HotRooms::default(),
            budget: budget.clone(),
            store: None,
        });
        let nobody = Conn { is_open: false, generation: 0, takes: EVERYTHING };
        Self { node, budget, ms: 0, conns: [nobody; CONNS], orders: Vec::new() }
    }

    fn turn(&mut self, what: impl FnOnce(&mut Self)) {
        let now = Now { mono: Millis(self.ms), wall: WallMillis(1_000_000 + self.ms) };
        self.node.begin_turn(Moment { now, ns: self.ms * 1_000_000 });
        what(self);
        self.flush();
        for order in std::mem::take(&mut self.orders) {
            if let Order::End(slot) = order {
                self.end(slot as usize);
            }
        }
        self.orders.clear();
        self.node.check_invariants();
    }

    fn handle(&mut self, event: Event<'_>) {
        self.node.handle(event, &mut self.orders);
    }

    fn step(&mut self, what: u8, with: u8) {
        let (at, room, seat) = (usize::from(what >> 4) % CONNS, ROOMS[usize::from(with) % 3], format!("S{}", with / 8));
        let slot = u32::try_from(at).expect("small");
        let user_info = format!(r#"{{"x":"{}"}}"#, "y".repeat(usize::from(with) * 16));
        match what & 15 {
            0 => self.connect(at),
            1..=3 => self.ask(at, Request::Join { room }),
            4 => self.ask(at, Request::Leave { room }),
            5..=8 => self.ask(at, Request::Select { room, seat: &seat, user_info: &user_info }),
            9 => self.ask(at, Request::Release { room, seat: &seat }),
            10 => self.conns[at].takes = if with > 200 { EVERYTHING } else { usize::from(with) * 8 },
            11 if self.conns[at].is_open => self.handle(Event::Writable { slot }),
            12 => self.pass(u64::from(with) * 4),
            13 if self.conns[at].is_open => self.handle(Event::HungUp { slot }),
            14 if with > 128 => self.end(at),
            14 if self.conns[at].is_open => self.handle(Event::Close { slot, code: 1_000, reason: "" }),
            _ if self.conns[at].is_open => self.handle(Event::CutOff { slot, code: 4_012, reason: "no pong in time" }),
            _ => {}
        }
    }

    fn pass(&mut self, ms: u64) {
        self.ms += ms;
        let now = Now { mono: Millis(self.ms), wall: WallMillis(1_000_000 + self.ms) };
        self.node.begin_turn(Moment { now, ns: self.ms * 1_000_000 });
        self.handle(Event::Tick);
    }

    fn connect(&mut self, at: usize) {
        let conn = &mut self.conns[at];
        if conn.is_open {
            return;
        }
        (conn.is_open, conn.takes) = (true, EVERYTHING);
        let (slot, generation) = (u32::try_from(at).expect("small"), conn.generation);
        self.handle(Event::Opened { slot, generation });
        let client = ClientId::new("somebody").expect("a name");
        self.handle(Event::Upgraded { slot, arrival: butaca::node::Arrival::of(client, butaca::node::Opening::First) });
    }

    fn ask(&mut self, at: usize, request: Request<'_>) {
        let slot = u32::try_from(at).expect("small");
        if self.conns[at].is_open && self.node.takes_requests(slot) {
            self.handle(Event::Message { slot, message: Message::Request(request) });
        }
    }

    fn end(&mut self, at: usize) {
        if std::mem::take(&mut self.conns[at].is_open) {
            self.conns[at].generation += 1;
            self.handle(Event::Ended { slot: u32::try_from(at).expect("small") });
        }
    }

    fn flush(&mut self) {
        let mut left = self.conns.map(|conn| conn.takes);
        while self.send(Source::Replies, &mut left) {}
        while self.node.next_slice(self.ms * 1_000_000) {
            while self.send(Source::Slice, &mut left) {}
            self.node.slice_done(0, 0);
        }
        while self.send(Source::Replies, &mut left) {}
        self.node.take_orders(&mut self.orders);
    }

    fn send(&mut self, source: Source, left: &mut [usize; CONNS]) -> bool {
        let Some(send) = self.node.next_send(source) else { return false };
        let left = &mut left[send.slot as usize];
        let taken = send.bytes.len().min(*left);
        *left -= taken;
        self.node.sent(Taken::Bytes(taken), &mut self.orders);
        true
    }
}
