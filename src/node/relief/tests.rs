//! A node without sockets, with little memory: what gives way, and that it all comes back.

use std::collections::BTreeMap;

use crate::audience::budget::{Budget, KINDS, Kind};
use crate::audience::pace::Pace;
use crate::engine::command::Request;
use crate::engine::ids::{ClientId, ShardId};
use crate::engine::keyed::Seeds;
use crate::engine::shard::{Rules as SeatRules, Shard};
use crate::engine::time::{Millis, Now, WallMillis};
use crate::limits::{
    FULL_STATE_AGAIN_MS, LAG_OF_CONNECTION_FACTOR, MEMORY_BUDGET_BYTES_MIN, PRESSED_CONSUMER_MS, RELIEF_MS,
    SLOW_CONSUMER_MS, USER_INFO_BYTES_PER_CONNECTION_MAX,
};
use crate::node::hot::HotRooms;
use crate::node::{Bounds, Event, Moment, Node, Order, Parts, Rules, Source, Taken};
use crate::wire::message::{BroadcastUserInfo, Message};

const SILENCE_MS: u64 = 20_000;

/// A node, and what each of its sockets has taken. A socket takes everything unless it stands still.
struct Stage {
    node: Node,
    ms: u64,
    taken: BTreeMap<u32, Vec<u8>>,
    still: Vec<u32>,
    /// Sockets that take so many bytes more, and then stand still.
    room_left: BTreeMap<u32, usize>,
    orders: Vec<Order>,
}

impl Stage {
    fn new(budget: &Budget) -> Self {
        let rules = Rules {
            share: BroadcastUserInfo::Full,
            pace: Pace { factor: 0, max_ns: 0 },
            hot_room_members: 32,
            slow_consumer_ms: SLOW_CONSUMER_MS,
            silence_ms: SILENCE_MS,
            hold_ttl_ms: 3_600_000,
            restore_grace_ms: 0,
            is_durable: false,
            second: crate::node::SecondRules::default(),
        };
        let seats = SeatRules { hold_ttl_ms: 3_600_000, seats_per_client_max: 100 };
        let seeds = Seeds { ids: [1, 2], connections: [3, 4], epochs: [5, 6] };
        let id = ShardId::new(0);
        let node = Node::new(Parts {
            id,
            shards: 1,
            rules,
            bounds: Bounds::default(),
            seats: Shard::new(id, 1, seeds, seats),
            hot: HotRooms::default(),
            budget: budget.clone(),
            store: None,
        });
        let mut stage = Self {
            node,
            ms: 0,
            taken: BTreeMap::new(),
            still: Vec::new(),
            room_left: BTreeMap::new(),
            orders: Vec::new(),
        };
        stage.pass(0);
        stage
    }

    /// Time passes, tick by tick of a tenth of a second.
    fn pass(&mut self, ms: u64) {
        let until = self.ms + ms;
        loop {
            let now = Now { mono: Millis(self.ms), wall: WallMillis(1_000_000 + self.ms) };
            self.node.begin_turn(Moment { now, ns: self.ms * 1_000_000 });
            self.handle(Event::Tick);
            self.flush();
            if self.ms >= until {
                break;
            }
            self.ms += RELIEF_MS;
        }
        self.node.count_memory();
        self.node.check_invariants();
    }

    fn handle(&mut self, event: Event<'_>) {
        self.node.handle(event, &mut self.orders);
    }

    fn connect(&mut self, slot: u32, name: &str) {
        self.handle(Event::Opened { slot, generation: 0 });
        let client = ClientId::new(name).expect("a name");
        self.handle(Event::Upgraded { slot, arrival: crate::node::Arrival::of(client, crate::node::Opening::First) });
        self.taken.insert(slot, Vec::new());
    }

    /// Asks, as long as the node takes requests of this connection. Says whether it did.
    fn ask(&mut self, slot: u32, request: Request<'_>) -> bool {
        let takes = self.node.takes_requests(slot);
        if takes {
            self.handle(Event::Message { slot, message: Message::Request(request) });
        }
        takes
    }

    fn hold(&mut self, slot: u32, room: &str, seats: std::ops::Range<u32>) {
        let user_info = format!(r#"{{"x":"{}"}}"#, "y".repeat(4_000));
        for seat in seats {
            self.ask(slot, Request::Select { room, seat: &format!("S{slot} {seat}"), user_info: &user_info });
        }
        self.flush();
    }

    fn flush(&mut self) {
        while self.send(Source::Replies) {}
        while self.node.next_slice(self.ms * 1_000_000) {
            while self.send(Source::Slice) {}
            self.node.slice_done(0, 0);
        }
        while self.send(Source::Replies) {}
        self.node.take_orders(&mut self.orders);
    }

    fn send(&mut self, source: Source) -> bool {
        let Some(send) = self.node.next_send(source) else { return false };
        let mut len = if self.still.contains(&send.slot) { 0 } else { send.bytes.len() };
        if let Some(left) = self.room_left.get_mut(&send.slot) {
            len = len.min(*left);
            *left -= len;
        }
        self.taken.get_mut(&send.slot).expect("it is connected").extend_from_slice(&send.bytes[..len]);
        self.node.sent(Taken::Bytes(len), &mut self.orders);
        true
    }

    /// How often a text stands in what the socket took since it was last asked.
    fn count(&mut self, slot: u32, text: &str) -> usize {
        self.flush();
        let taken = std::mem::take(self.taken.get_mut(&slot).expect("it is connected"));
        String::from_utf8_lossy(&taken).matches(text).count()
    }

    fn is_closing(&self, slot: u32) -> bool {
        self.orders.contains(&Order::Closing(slot))
    }

    fn end_all(&mut self) {
        for slot in std::mem::take(&mut self.taken).into_keys() {
            self.handle(Event::Ended { slot });
        }
        // Full states and bodies are kept for a moment.
        self.pass(2_000);
    }
}

fn nothing_is_left(stage: &mut Stage, budget: &Budget) {
    stage.end_all();
    for (kind, label) in KINDS {
        assert_eq!(budget.used(kind), 0, "{label}");
    }
}

const STATE: &str = "current_selections";

/// Who joins again and again while nothing has happened gets a large full state once a second, and at once when
/// something has.
#[test]
fn a_second_join_tells_nothing_that_is_known() {
    let budget = Budget::of(MEMORY_BUDGET_BYTES_MIN);
    let mut stage = Stage::new(&budget);
    stage.connect(0, "holder");
    stage.connect(1, "viewer");
    stage.hold(0, "r", 0..5);
    let join = |stage: &mut Stage| {
        assert!(stage.ask(1, Request::Join { room: "r" }));
        stage.count(1, STATE)
    };
    assert_eq!((join(&mut stage), join(&mut stage), join(&mut stage)), (1, 0, 0));
    stage.pass(FULL_STATE_AGAIN_MS);
    assert_eq!(stage.count(1, STATE), 1);
    stage.hold(0, "r", 5..6);
    assert_eq!((join(&mut stage), join(&mut stage)), (1, 0), "something has happened");
    stage.pass(FULL_STATE_AGAIN_MS);
    assert_eq!(stage.count(1, STATE), 1);
    assert!(stage.ask(1, Request::Leave { room: "r" }));
    assert_eq!(join(&mut stage), 1, "who has left has forgotten");
    assert_eq!((0..100).map(|_| join(&mut stage)).sum::<usize>(), 0);
    stage.pass(FULL_STATE_AGAIN_MS);
    assert_eq!(stage.count(1, STATE), 1, "one for all that it asked for, since it forgets a room that it joins");
    nothing_is_left(&mut stage, &budget);
}

/// Joins of those who do not read never take more than the share of full states, whatever happens between them.
#[test]
fn full_states_wait_for_memory() {
    let budget = Budget::of(MEMORY_BUDGET_BYTES_MIN);
    let mut stage = Stage::new(&budget);
    let share = budget.max(Kind::FullStates);
    for slot in 0..30 {
        stage.connect(slot, "holder");
        stage.hold(slot, "r", 0..15);
    }
    // Each has the name of who changes the room, so that no older state will do.
    let readers = 100..300;
    for slot in readers.clone() {
        stage.connect(slot, "holder");
        stage.still.push(slot);
        stage.ask(0, Request::Release { room: "r", seat: "S0 0" });
        stage.hold(0, "r", 0..1);
        stage.ask(slot, Request::Join { room: "r" });
        stage.flush();
        assert!(budget.used(Kind::FullStates) <= share + 3 * 1024 * 1024, "one more at most");
    }
    assert!(stage.node.figures.states_deferred > 0);
    stage.connect(400, "innocent");
    stage.ask(400, Request::Join { room: "r" });
    stage.pass(2 * PRESSED_CONSUMER_MS);
    assert_eq!(stage.count(400, STATE), 1, "who reads gets it as soon as those who do not are gone");
    assert!(!stage.is_closing(400) && readers.clone().any(|slot| stage.is_closing(slot)));
    nothing_is_left(&mut stage, &budget);
}

/// Replies of those who do not read come to no more than the share, and who reads is read on.
#[test]
fn outboxes_share_what_there_is() {
    let budget = Budget::of(MEMORY_BUDGET_BYTES_MIN);
    let mut stage = Stage::new(&budget);
    let most = budget.max(Kind::Outboxes) + 2 * 1024 * 1024;
    stage.connect(1_000, "innocent");
    for slot in 0..400 {
        stage.connect(slot, "greedy");
        stage.still.push(slot);
        while stage.ask(slot, Request::Leave { room: "a room with a name" }) {
            stage.flush();
        }
        stage.node.count_memory();
        assert!(budget.used(Kind::Outboxes) <= most, "{} of {most}", budget.used(Kind::Outboxes));
    }
    assert!(stage.ask(1_000, Request::Leave { room: "r" }), "who reads is read");
    assert_eq!(stage.count(1_000, "room_left"), 1);
    stage.pass(PRESSED_CONSUMER_MS + 1_000);
    assert!((0..400).all(|slot| stage.is_closing(slot)) && !stage.is_closing(1_000), "memory is short: patience too");
    nothing_is_left(&mut stage, &budget);
}

/// Without pressure a socket that takes nothing is closed after the usual time, though its client goes on talking.
#[test]
fn who_takes_nothing_is_closed_in_time() {
    let budget = Budget::of(MEMORY_BUDGET_BYTES_MIN);
    let mut stage = Stage::new(&budget);
    stage.connect(0, "mute");
    stage.still.push(0);
    for _ in 0..(SILENCE_MS / 1_000) {
        stage.ask(0, Request::Leave { room: "r" });
        stage.flush();
        assert!(!stage.is_closing(0));
        stage.pass(1_000);
        stage.handle(Event::Writable { slot: 0 });
    }
    stage.pass(1_000);
    assert!(stage.is_closing(0));
    nothing_is_left(&mut stage, &budget);
}

/// Who has been closed for not reading, in the middle of a full state, does not keep that in memory for as long as a
/// closing handshake may take.
#[test]
fn who_was_closed_keeps_nothing_alive() {
    let budget = Budget::of(MEMORY_BUDGET_BYTES_MIN);
    let mut stage = Stage::new(&budget);
    stage.connect(0, "holder");
    stage.connect(1, "mute");
    stage.hold(0, "r", 0..15);
    stage.room_left.insert(1, 1_000);
    assert!(stage.ask(1, Request::Join { room: "r" }));
    stage.pass(SILENCE_MS + RELIEF_MS);
    assert!(stage.is_closing(1) && stage.taken[&1].len() == 1_000, "it was closed in the middle of its full state");
    stage.ask(0, Request::Release { room: "r", seat: "S0 0" });
    stage.pass(2_000);
    assert!(budget.used(Kind::FullStates) > 0, "which must be sent whole, or the close frame is none");
    assert!(!stage.orders.contains(&Order::End(1)));
    stage.pass(SILENCE_MS);
    assert!(stage.orders.contains(&Order::End(1)), "it did not take even that");
    nothing_is_left(&mut stage, &budget);
}

/// One who is behind in many rooms is behind in all of them together.
#[test]
fn a_connection_is_behind_in_all_its_rooms_together() {
    let budget = Budget::default();
    let mut stage = Stage::new(&budget);
    stage.connect(0, "mute");
    let rooms: Vec<String> = (0..20).map(|number| format!("r{number}")).collect();
    rooms.iter().for_each(|room| assert!(stage.ask(0, Request::Join { room })));
    stage.flush();
    stage.still.push(0);
    let bound = LAG_OF_CONNECTION_FACTOR * Bounds::default().queue_bytes;
    let mut slot = 1;
    while stage.node.figures.slow_consumers == 0 {
        for room in &rooms {
            stage.connect(slot, "writer");
            stage.hold(slot, room, 0..16);
            slot += 1;
        }
        stage.pass(RELIEF_MS);
        assert!(stage.node.waiting_bytes() <= 2 * bound as u64, "{}", stage.node.waiting_bytes());
    }
    stage.pass(RELIEF_MS);
    assert_eq!(budget.used(Kind::Logs), 0, "nobody needs the logs any more");
    nothing_is_left(&mut stage, &budget);
}

/// What rooms keep of bursts that are over goes before anybody who is behind, and when the shard is quiet in any case.
#[test]
fn empty_logs_give_their_buffers_back() {
    let budget = Budget::of(MEMORY_BUDGET_BYTES_MIN);
    let mut stage = Stage::new(&budget);
    let share = budget.max(Kind::Logs);
    for slot in 0..800 {
        stage.connect(slot, "burst");
        let room = format!("r{slot}");
        assert!(stage.ask(slot, Request::Join { room: &room }));
        stage.hold(slot, &room, 0..7);
        let seats = (0..7).map(|seat| format!("S{slot} {seat}"));
        seats.for_each(|seat| assert!(stage.ask(slot, Request::Release { room: &room, seat: &seat })));
        if slot % 50 == 0 {
            stage.pass(RELIEF_MS);
            assert!(budget.used(Kind::Logs) <= share, "{} of {share}", budget.used(Kind::Logs));
        }
    }
    assert_eq!(stage.node.figures.slow_consumers, 0, "everybody reads");
    stage.flush();
    assert!(budget.used(Kind::Logs) > 0, "or this is no test");
    stage.node.give_back();
    stage.node.count_memory();
    assert_eq!(budget.used(Kind::Logs), 0);
    nothing_is_left(&mut stage, &budget);
}

/// What one connection may keep in `user_info` is bounded, and what all may.
#[test]
fn holds_are_bounded_in_bytes() {
    let budget = Budget::of(MEMORY_BUDGET_BYTES_MIN);
    let mut stage = Stage::new(&budget);
    stage.connect(0, "a");
    stage.hold(0, "r", 0..20);
    let (got, refused) = (stage.node.counts().holds, stage.count(0, "overloaded"));
    assert_eq!((got, refused), (USER_INFO_BYTES_PER_CONNECTION_MAX / 4_008, 20 - got));
    stage.ask(0, Request::Release { room: "r", seat: "S0 0" });
    stage.hold(0, "r", 0..1);
    assert_eq!((stage.node.counts().holds, stage.count(0, "overloaded")), (got, 0), "what is given back is free");
    for slot in 1..400 {
        stage.connect(slot, "a");
        stage.hold(slot, "r", 0..20);
    }
    stage.node.count_memory();
    let (used, max) = (budget.used(Kind::Holds), budget.max(Kind::Holds));
    assert!(used <= max && used > max - 8 * 1024, "{used} of {max}");
    nothing_is_left(&mut stage, &budget);
}
