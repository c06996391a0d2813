//! One shard: a select and its release with the passes that tell everybody, from the request to the bytes, without
//! sockets.

use std::hint::black_box;

use butaca::audience::budget::Budget;
use butaca::audience::pace::Pace;
use butaca::engine::command::Request;
use butaca::engine::ids::{ClientId, ShardId};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{self, Shard};
use butaca::engine::time::{Millis, Now, WallMillis};
use butaca::limits::{HOLD_TTL_MS, RESTORE_GRACE_MS, SLOW_CONSUMER_MS};
use butaca::node::hot::HotRooms;
use butaca::node::{
    Arrival, Bounds, Event, Moment, Node, Opening, Order, Parts, Rules, SecondRules, Send, Source, Taken,
};
use butaca::wire::message::{BroadcastUserInfo, Message};

use super::{USER_INFO, Work};

pub(crate) const WORKS: [&str; 2] = ["select_of_20", "select_of_1000"];

const ROOM: &str = "hamlet";

/// A shard with so many members in one room, and what its shell keeps.
struct Shell {
    node: Node,
    orders: Vec<Order>,
    ns: u64,
}

impl Shell {
    fn new(members: u32) -> Self {
        let id = ShardId::new(0);
        let rules = shard::Rules { hold_ttl_ms: HOLD_TTL_MS, seats_per_client_max: 10 };
        let node = Node::new(Parts {
            id,
            shards: 1,
            rules: Rules {
                share: BroadcastUserInfo::Full,
                pace: Pace { factor: 0, max_ns: 0 },
                hot_room_members: 32,
                slow_consumer_ms: SLOW_CONSUMER_MS,
                silence_ms: SLOW_CONSUMER_MS,
                hold_ttl_ms: HOLD_TTL_MS,
                restore_grace_ms: RESTORE_GRACE_MS,
                is_durable: false,
                second: SecondRules::default(),
            },
            bounds: Bounds::default(),
            seats: Shard::new(id, 1, Seeds::replayed(7, id), rules),
            hot: HotRooms::default(),
            budget: Budget::default(),
            store: None,
        });
        let mut shell = Self { node, orders: Vec::new(), ns: 0 };
        shell.begin_turn();
        for slot in 0..members {
            let client = ClientId::new(&format!("client-{slot:04}")).expect("a name");
            shell.handle(Event::Opened { slot, generation: 0 });
            shell.handle(Event::Upgraded { slot, arrival: Arrival::of(client, Opening::First) });
            shell.ask(slot, Request::Join { room: ROOM });
        }
        shell.send();
        shell
    }

    fn begin_turn(&mut self) {
        self.ns += 1_000_000;
        let now = Now { mono: Millis(1), wall: WallMillis(1_768_473_000_000) };
        self.node.begin_turn(Moment { now, ns: self.ns });
    }

    fn handle(&mut self, event: Event<'_>) {
        black_box(self.node.handle(event, &mut self.orders));
        self.orders.clear();
    }

    fn ask(&mut self, slot: u32, request: Request<'_>) {
        assert!(self.node.takes_requests(slot), "nothing waits");
        self.handle(Event::Message { slot, message: Message::Request(request) });
    }

    /// Sends everything to sockets that take it all.
    fn send(&mut self) {
        self.pull(Source::Replies);
        while self.node.next_slice(self.ns) {
            self.pull(Source::Slice);
            self.node.slice_done(self.ns, self.ns);
        }
    }

    fn pull(&mut self, source: Source) {
        while let Some(Send { bytes, .. }) = self.node.next_send(source) {
            let len = black_box(bytes).len();
            self.node.sent(Taken::Bytes(len), &mut self.orders);
        }
        self.node.take_orders(&mut self.orders);
        self.orders.clear();
    }
}

pub(crate) fn prepare(name: &str) -> Work {
    let mut shell = Shell::new(if name == "select_of_20" { 20 } else { 1_000 });
    Box::new(move || {
        shell.begin_turn();
        shell.ask(0, Request::Select { room: ROOM, seat: "A1", user_info: USER_INFO });
        shell.send();
        shell.begin_turn();
        shell.ask(0, Request::Release { room: ROOM, seat: "A1" });
        shell.send();
    })
}
