//! What ended while no server looked, and the numbers of events: record and event are one commit.

use std::sync::Arc;

use butaca::acts::event::{Event, Number};
use butaca::acts::ring::Ring;
use butaca::engine::command::{
    ApiTicket, Claim, Input, KeptEntry, KeptOrder, OrderState, Owner, Places, RoomSettings, Sale, SaleRequest,
    SeatStatus,
};
use butaca::engine::ids::{ClientId, OrderId, ShardId};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{Rules, Shard};
use butaca::engine::time::{Millis, Now, WallMillis};
use butaca::limits::store::STORE_FULL_STATE_SEATS_PER_TURN;
use butaca::persist::batch::{Batch, Group};
use butaca::persist::queue::Queue;
use butaca::persist::record::{Held, StoredBeside, StoredHold};
use butaca::persist::shard::pending::Pending;
use butaca::persist::status::StoreStatus;
use butaca::persist::stores::store::Loaded;
use butaca::persist::thread::pump::Pump;
use butaca::persist::thread::restore::sift;

use crate::rig::{HOLD_TTL_MS, held, room, seat};

fn shard() -> ShardId {
    ShardId::new(0)
}

fn stored(name: &str, status: SeatStatus, claim: Claim) -> StoredHold {
    let held = Held { status, claim: Some(claim), expires_at: WallMillis(50), ..held("ana", 1) };
    StoredHold { room: room("r"), seat: seat(name), held }
}

/// An order in checkout of two seats, a cart of two, and a sale that was to open: all of it is over at 100.
fn loaded() -> Loaded {
    let (id, kiosk) = (OrderId::new("o").expect("a name"), Owner::Holder("kiosk".into()));
    let order = KeptOrder {
        owner: Some(kiosk.clone()),
        client: ClientId::new("holder:kiosk").expect("a name"),
        state: OrderState::Checkout,
        seats: vec![seat("1"), seat("2")],
        refunded: Vec::new(),
        expires_at: Some(WallMillis(50)),
    };
    let sale = Sale::Scheduled { opens_at: Some(WallMillis(60)) };
    let settings = RoomSettings { sale, ..RoomSettings::default() };
    let beside = [KeptEntry::Order(id.clone(), Some(Arc::new(order))), KeptEntry::Settings(Some(Arc::new(settings)))];
    let in_order = |name| stored(name, SeatStatus::Checkout, Claim::Order(id.clone()));
    let in_cart = |name| stored(name, SeatStatus::Held, Claim::Cart(kiosk.clone()));
    Loaded {
        holds: vec![in_order("1"), in_order("2"), in_cart("3"), in_cart("4")],
        beside: beside.into_iter().map(|entry| StoredBeside { room: room("r"), entry }).collect(),
        ..Loaded::default()
    }
}

fn group(batch: Batch) -> Group {
    let mut group = Group::default();
    group.add(shard(), 1, batch);
    group
}

struct Rig {
    queue: Arc<Queue>,
    pending: Pending,
    shard: Shard,
}

impl Rig {
    fn new() -> Self {
        let queue = Arc::new(Queue::new(1));
        let pending = Pending::new(shard(), Arc::clone(&queue), Arc::new(StoreStatus::default()));
        let rules = Rules { hold_ttl_ms: HOLD_TTL_MS, seats_per_client_max: 0 };
        Self { queue, pending, shard: Shard::new(shard(), 1, Seeds::replayed(1, shard()), rules) }
    }

    /// The next batch that is handed over, with how many events are in it.
    fn next(&mut self) -> Option<(Group, usize)> {
        self.pending.flush(Millis(1), &self.shard);
        let (_, mut offer) = self.queue.take(0, 0).offers.pop()?;
        let log = offer.batch.take_log();
        Some((group(offer.batch), log.events.len()))
    }
}

#[test]
fn what_lapsed_leaves_the_store_with_its_event() {
    let restored = sift(loaded(), WallMillis(100), HOLD_TTL_MS, 1, |_| true);
    assert_eq!(restored.expired.len(), 4);
    let lapsed = &restored.log[0].lapsed;
    let told: Vec<_> = lapsed.iter().map(|lapsed| lapsed.seats.iter().map(|seat| seat.as_str()).collect()).collect();
    let mut told: Vec<Vec<&str>> = told;
    told.sort();
    assert_eq!(told, [vec![], vec!["1", "2"], vec!["3", "4"]], "a cart is one act, as an order is");
    // With a log the store thread leaves it to the shard, and without one does it itself.
    for (log, entries) in [(Some(Arc::new(Ring::new(9))), 0), (None, 6)] {
        let mut pump = Pump::new(1).with_log(log);
        pump.begin(&restored);
        assert_eq!(pump.backlog().0, entries);
    }
    let mut rig = Rig::new();
    lapsed.iter().for_each(|lapsed| rig.pending.lapse(Millis(1), lapsed));
    let event = |n| Event { room: room("r"), n, number: Number::Kept, text: "{}".into() };
    rig.pending.log(Millis(1), vec![event(1), event(2), event(3)]);
    let (group, events) = rig.next().expect("it is handed over");
    let delta = &group.deltas()[&room("r")];
    assert!(events == 3 && delta.seats.len() == 4 && delta.seats.values().all(Option::is_none));
    let kept: Vec<_> = delta.beside.values().flatten().collect();
    let has = |what: fn(&KeptEntry) -> bool| kept.iter().filter(|entry| what(entry)).count();
    assert_eq!(has(|entry| matches!(entry, KeptEntry::Events(Some(3)))), 1);
    let is_over =
        |entry: &KeptEntry| matches!(entry, KeptEntry::Order(_, Some(order)) if order.state == OrderState::Expired);
    assert_eq!(has(is_over), 1);
    let is_open = |entry: &KeptEntry| matches!(entry, KeptEntry::Settings(Some(of)) if of.sale == Sale::Open);
    assert_eq!(has(is_open), 1);
    assert!(rig.next().is_none(), "that is all of it");
}

/// While a full state is sent in several batches, events wait for its end: so do the numbers that rooms have by them.
#[test]
fn a_number_is_never_there_before_its_event() {
    let mut rig = Rig::new();
    let names: Vec<String> = (0..STORE_FULL_STATE_SEATS_PER_TURN).map(|n| n.to_string()).collect();
    for name in ["a", "b", "c"] {
        let what = Places { seats: names.iter().map(|name| seat(name)).collect(), sections: Vec::new() };
        let request = SaleRequest::Block { what, label: "x".into(), release_held: false };
        let now = Now { mono: Millis(1), wall: WallMillis(1) };
        rig.shard.handle(now, Input::Sale { room: name, request: &request, reply_to: ApiTicket(1) }, &mut Vec::new());
    }
    let event = |name, n| Event { room: room(name), n, number: Number::Kept, text: "{}".into() };
    rig.pending.log(Millis(1), ["a", "b", "c"].map(|name| event(name, 1)).to_vec());
    assert_eq!(rig.next().expect("the first events").1, 3);
    rig.pending.owe_full_state();
    rig.pending.log(Millis(1), vec![event("c", 2)]);
    let (mut batches, mut numbers, mut waits) = (0, Vec::new(), vec![event("b", 2), event("a", 2)]);
    while let Some((mut group, events)) = rig.next() {
        group.resolve(&[], 1);
        batches += 1;
        for (room, delta) in group.deltas() {
            for entry in delta.beside.values().flatten() {
                if let KeptEntry::Events(Some(n)) = entry {
                    numbers.push((room.as_str().to_owned(), *n, events));
                }
            }
        }
        // Something happens behind every batch.
        rig.pending.log(Millis(1), waits.pop().into_iter().collect());
    }
    assert!(batches >= 3, "it takes several: {batches}");
    assert!(numbers.iter().all(|(_, n, events)| *n == 1 || *events > 0), "{numbers:?}");
    let last = |name: &str| numbers.iter().rev().find(|(room, ..)| room == name).map(|(_, n, _)| *n);
    assert_eq!(["a", "b", "c"].map(last), [Some(2); 3]);
}
