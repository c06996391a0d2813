//! What the log says of an act, where that is not plain from the change of a seat alone.

use std::sync::Arc;

use butaca::acts::ring::Ring;
use butaca::audience::budget::Budget;
use butaca::audience::pace::Pace;
use butaca::engine::command::{ApiTicket, BookMode, OwnerName, SaleAnswer, SaleRequest, Wanted};
use butaca::engine::ids::{OrderId, RoomId, SeatId, ShardId};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{CartRules, Rules, Shard};
use butaca::engine::time::{Millis, Now, WallMillis};
use butaca::node::acts::Acts;
use butaca::node::hot::HotRooms;
use butaca::node::{self, Bounds, Event, Moment, Node, Parts, SecondRules};
use butaca::wire::message::BroadcastUserInfo;

/// A node without a store: it shows events at once.
struct Seller {
    node: Node,
    log: Arc<Ring>,
}

fn seat(name: &str) -> SeatId {
    SeatId::new(name).expect("a name")
}

fn order(name: &str) -> OrderId {
    OrderId::new(name).expect("a name")
}

impl Seller {
    fn new() -> Self {
        let (id, log) = (ShardId::new(0), Arc::new(Ring::new(1_000)));
        let seats = Shard::new(id, 1, Seeds::replayed(1, id), Rules { hold_ttl_ms: 60_000, seats_per_client_max: 0 });
        let rules = node::Rules {
            share: BroadcastUserInfo::Full,
            pace: Pace { factor: 1, max_ns: 10_000_000 },
            hot_room_members: 3,
            slow_consumer_ms: 500,
            silence_ms: 3_000,
            hold_ttl_ms: 60_000,
            restore_grace_ms: 0,
            is_durable: false,
            second: SecondRules::default(),
        };
        let (bounds, hot, budget) = (Bounds::default(), HotRooms::default(), Budget::default());
        let seats = seats.with_carts(CartRules::default());
        let parts = Parts { id, shards: 1, rules, bounds, seats, hot, budget, store: None };
        let mut node = Node::new(parts).with_acts(Some(Acts::new(Arc::clone(&log), true)));
        let now = Now { mono: Millis(1_000), wall: WallMillis(1_768_473_000_000) };
        node.begin_turn(Moment { now, ns: 1 });
        Self { node, log }
    }

    fn sell(&mut self, request: SaleRequest) {
        let (room, reply_to) = (RoomId::new("show").expect("a name"), ApiTicket(1));
        self.node.handle(Event::Sale { room, request: Box::new(request), reply_to }, &mut Vec::new());
        for answer in std::mem::take(self.node.api_answers()) {
            assert!(!matches!(answer.answer, SaleAnswer::Refused { .. }), "{answer:?}");
        }
    }

    /// Sells the seats from a cart to a booked order.
    fn books(&mut self, name: &str, seats: &[&str]) {
        let seats: Vec<SeatId> = seats.iter().map(|name| seat(name)).collect();
        self.sell(SaleRequest::Hold { holder: "till".into(), wanted: Wanted::Seats(seats.clone()), ttl_ms: None });
        let owner = OwnerName::Holder("till".into());
        self.sell(SaleRequest::Checkout { order: order(name), owner, seats: Some(seats), ttl_ms: None });
        self.sell(SaleRequest::Book { order: order(name), mode: BookMode::Held });
    }

    /// Events behind the first so many: type, order and seats.
    fn told(&self, behind: usize) -> Vec<String> {
        let page = self.log.read(None, 1_000, None).expect("the log is whole");
        let line = |(_, text): &(u64, Arc<str>)| {
            let event: serde_json::Value = serde_json::from_str(text).expect("JSON");
            let word = |name: &str| event[name].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", word("type"), word("order"), event["seats"])
        };
        page.events.iter().skip(behind).map(line).collect()
    }
}

/// A seat that two orders have had one after the other belongs to the second one, whichever of them was made first.
#[test]
fn a_refund_names_the_order_that_has_the_seat() {
    for (first, second) in [("a", "b"), ("b", "a")] {
        let mut seller = Seller::new();
        seller.books(first, &["1", "2"]);
        seller.sell(SaleRequest::Refund { order: order(first), seats: Some(vec![seat("1")]) });
        seller.books(second, &["1", "3"]);
        let before = seller.told(0).len();
        // The shop's database says that nothing of that was sold.
        seller.sell(SaleRequest::Reconcile { booked: Some(Vec::new()), blocked: None, dry_run: false });
        let mut told = seller.told(before);
        told.sort();
        let expected = |name: &str, seats: &str| format!("order.refunded {name} {seats}");
        let mut all = [expected(first, "[\"2\"]"), expected(second, "[\"1\",\"3\"]")];
        all.sort();
        assert_eq!(told, all);
    }
}

/// The same where the shop says that the seat is the first one's after all, and the other order keeps what it has.
#[test]
fn a_seat_that_goes_back_to_its_first_order_is_refunded_by_the_second() {
    let mut seller = Seller::new();
    seller.books("a", &["1", "2"]);
    seller.sell(SaleRequest::Refund { order: order("a"), seats: Some(vec![seat("1")]) });
    seller.books("b", &["1", "3"]);
    let before = seller.told(0).len();
    let booked = [("1", "a"), ("3", "b")].map(|(name, of)| (seat(name), order(of))).into();
    seller.sell(SaleRequest::Reconcile { booked: Some(booked), blocked: None, dry_run: false });
    let told = seller.told(before);
    let refunds = ["order.refunded a [\"2\"]", "order.refunded b [\"1\"]"];
    assert!(refunds.iter().all(|event| told[..2].contains(&(*event).to_owned())), "{told:?}");
    assert_eq!(told[2..], ["order.booked a [\"1\"]"]);
}
