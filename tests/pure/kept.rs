//! What a store keeps is what was: a shop is driven at random, everything that its shard wants kept goes through
//! batches and records into a map, and a second shard that starts from that map alone is compared with the first.
//!
//! On the way the effects are folded into what everybody may know, and the fold is compared with the shard: numbers
//! without a hole, states that follow from each other, carts as they were told.

use std::collections::BTreeMap;
use std::sync::Arc;

use butaca::engine::command::{
    ApiTicket, BookMode, Caller, CancelTo, CartRequest, CartView, Change, ChangeKind, Effect, Effects, Identity, Input,
    OrderState, Owner, OwnerName, Places, RestoredHold, RoomPatch, RoomSettings, Sale, SaleAnswer, SaleRequest,
    SeatStatus, SeatsQuery, SessionId, Ticket, Wanted, Whose,
};
use butaca::engine::ids::{ClientId, ConnId, OrderId, Origin, RoomId, SeatId, ShardId};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{CartRules, Rules, Shard};
use butaca::engine::time::{Millis, Now, WallMillis};
use butaca::persist::batch::{Batch, Group};
use butaca::persist::stores::store::Loaded;
use butaca::persist::thread::restore::sift;
use proptest::prelude::{ProptestConfig, Strategy, any, proptest};

const HOLD_MS: u64 = 400;
const RULES: Rules = Rules { hold_ttl_ms: HOLD_MS, seats_per_client_max: 3 };
const CARTS: CartRules =
    CartRules { grace_ms: 150, extends_max: 1, life_max_ms: 700, warn_ms: 100, only_declared: false, room_keep_ms: 0 };
const ROOMS: [&str; 2] = ["r", "Zürich"];
const SEATS: [&str; 5] = ["A1", "A2", "A3", "B1", "B2"];
const ORDERS: [&str; 3] = ["o1", "o2", "o3"];
const PEOPLE: u32 = 4;

/// What the records of a store are: by room and name.
type Disk = BTreeMap<(RoomId, String), Vec<u8>>;

struct Shop {
    shard: Shard,
    now: Now,
    effects: Effects,
    disk: Disk,
    /// What everybody may know: the life, the number and the states of each room.
    known: BTreeMap<RoomId, (u64, u64, BTreeMap<SeatId, SeatStatus>)>,
    /// The carts as their connections were told last.
    carts: BTreeMap<(ConnId, RoomId), Arc<CartView>>,
    generations: [u32; PEOPLE as usize],
}

fn shard() -> Shard {
    let id = ShardId::new(0);
    Shard::new(id, 1, Seeds::replayed(3, id), RULES).with_carts(CARTS)
}

fn room(number: u8) -> &'static str {
    ROOMS[usize::from(number) % ROOMS.len()]
}

fn seats(bits: u8) -> Vec<SeatId> {
    let named = SEATS.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
    named.map(|(_, name)| SeatId::new(name).expect("a name")).collect()
}

fn order(number: u8) -> OrderId {
    OrderId::new(ORDERS[usize::from(number) % ORDERS.len()]).expect("a name")
}

impl Shop {
    fn new() -> Self {
        let now = Now { mono: Millis(1_000), wall: WallMillis(1_768_473_000_000) };
        let (effects, disk, known, carts) = (Effects::new(), Disk::new(), BTreeMap::new(), BTreeMap::new());
        Self { shard: shard(), now, effects, disk, known, carts, generations: [0; PEOPLE as usize] }
    }

    fn handle(&mut self, input: Input<'_>) {
        self.effects.clear();
        self.shard.handle(self.now, input, &mut self.effects);
        self.shard.check_invariants();
        let mut batch = Batch::default();
        for effect in &self.effects {
            match effect {
                Effect::Change(change) => batch.record(change),
                Effect::Keep(kept) => batch.keep(kept),
                _ => {}
            }
        }
        commit(&mut self.disk, batch);
        for effect in std::mem::take(&mut self.effects) {
            self.learn(&effect);
        }
        self.compare();
    }

    fn learn(&mut self, effect: &Effect) {
        match effect {
            Effect::Change(change) => self.learn_change(change),
            Effect::Cart(told) => {
                let key = (told.to.conn(), told.room.clone());
                let (epoch, seq, _) = self.known.entry(told.room.clone()).or_insert((told.epoch.0, 0, BTreeMap::new()));
                if *epoch == told.epoch.0 {
                    assert_eq!(*seq, told.seq, "a cart is told behind its changes");
                }
                self.carts.insert(key, Arc::clone(&told.cart));
            }
            Effect::Entered(entered) => {
                self.carts.insert((entered.to.conn, entered.room.clone()), Arc::clone(&entered.cart));
            }
            Effect::Refused { details: Some(details), room, .. } => {
                let state = self.known.get(room).map(|(.., seats)| seats);
                for (seat, status) in &details.conflicts {
                    let is = state.and_then(|seats| seats.get(seat)).copied().unwrap_or_default();
                    assert_eq!(is, *status, "a refusal that lies about {seat}");
                }
            }
            Effect::Api(answer) => {
                if let SaleAnswer::Order { order, .. } = &answer.answer {
                    let state = &self.known.get(&answer.room).map(|(.., seats)| seats.clone()).unwrap_or_default();
                    let expected = match order.state {
                        OrderState::Checkout => SeatStatus::Checkout,
                        OrderState::Booked => SeatStatus::Booked,
                        _ => return,
                    };
                    let standing = order.seats.iter().filter(|seat| !order.refunded.contains(seat));
                    assert!(
                        standing.into_iter().all(|seat| state.get(seat) == Some(&expected)),
                        "{order:?} in {state:?}"
                    );
                }
            }
            _ => {}
        }
    }

    fn learn_change(&mut self, change: &Change) {
        let fresh = || (change.epoch.0, 0, BTreeMap::new());
        let known = self.known.entry(change.room.clone()).or_insert_with(fresh);
        if known.0 != change.epoch.0 {
            assert!(known.2.is_empty(), "a room with seats begins anew");
            *known = fresh();
        }
        assert_eq!(change.seq, known.1 + 1, "a hole in the history of {}", change.room);
        known.1 = change.seq;
        let before = known.2.get(&change.seat).copied().unwrap_or_default();
        match &change.kind {
            ChangeKind::Selected { status, was, .. } => {
                assert_eq!(before, *was, "{change:?}");
                assert_ne!(status, was, "a change that changes nothing");
                known.2.insert(change.seat.clone(), *status);
            }
            ChangeKind::Released { .. } => assert!(known.2.remove(&change.seat).is_some(), "{change:?}"),
        }
        assert_eq!(change.held as usize, known.2.len());
    }

    /// The shard says what its effects have said.
    fn compare(&self) {
        for room in ROOMS {
            let told = self.known.get(room).map(|(.., seats)| seats.clone()).unwrap_or_default();
            let state = self.shard.selections(room);
            let is: BTreeMap<SeatId, SeatStatus> =
                state.iter().flat_map(|state| state.iter()).map(|seat| (seat.seat.clone(), seat.status)).collect();
            assert_eq!(is, told, "what is taken in {room}");
        }
        for ((conn, room), told) in &self.carts {
            let is = self.shard.cart_of(*conn, room.as_str());
            // An order that is over is told with what became of it.
            assert_eq!(is.seats, told.seats, "the cart of {conn:?} in {room}");
            assert_eq!((is.expires_at, &is.orders), (told.expires_at, &told.orders), "the cart of {conn:?} in {room}");
        }
    }

    fn conn(&self, who: u8) -> ConnId {
        let slot = u32::from(who) % PEOPLE;
        ConnId::new(ShardId::new(0), slot, self.generations[slot as usize])
    }

    fn identity(&self, who: u8) -> Identity {
        let slot = u32::from(who) % PEOPLE;
        let owner =
            if slot < 2 { Owner::Session(SessionId::new(u128::from(slot) + 7)) } else { Owner::Subject("sub".into()) };
        Identity { owner, incarnation: u64::from(self.generations[slot as usize]), max_seats: None }
    }

    fn op(&mut self, [what, who, place, bits]: [u8; 4]) {
        let room = room(place);
        let identity = self.identity(who);
        let client = ClientId::new(["ana", "ben"][usize::from(who) % 2]).expect("a name");
        let (origin, ticket) = (Origin::UNKNOWN, Ticket(1));
        let caller = Caller { conn: self.conn(who), client: &client, origin, ticket, identity: Some(&identity) };
        // The last one speaks v1 without a token, on a connection of its own.
        let old = Caller { conn: ConnId::new(ShardId::new(0), 99, 0), identity: None, ..caller };
        let cart = |request| (request, ());
        let request = match what % 24 {
            0 => Some(cart(CartRequest::Join { since: None })),
            1 => Some(cart(CartRequest::Leave)),
            2..=5 => {
                let (seats, release) = (seats(bits & 0x1f), seats(if what & 64 != 0 { bits >> 3 } else { 0 }));
                Some(cart(CartRequest::Select { seats, release, user_info: "{}".into() }))
            }
            6 => Some(cart(CartRequest::Release { seats: seats(bits) })),
            7 => Some(cart(CartRequest::ReleaseAll)),
            8 => Some(cart(CartRequest::Extend)),
            _ => None,
        };
        if let Some((request, ())) = request {
            return self.handle(Input::Cart { caller, room, request: &request });
        }
        match what % 24 {
            9 => {
                let seat = SEATS[usize::from(bits) % SEATS.len()];
                self.handle(Input::Select { caller: old, room, seat, user_info: "{}" });
            }
            10 => {
                let seat = SEATS[usize::from(bits) % SEATS.len()];
                self.handle(Input::Release { caller: old, room, seat });
            }
            11 => {
                let conn = self.conn(who);
                self.carts.retain(|(of, _), _| *of != conn);
                self.handle(Input::Gone { conn });
                self.generations[usize::from(who) % PEOPLE as usize] += 1;
            }
            12 => {
                self.carts.retain(|(of, _), _| *of != old.conn);
                self.handle(Input::Gone { conn: old.conn });
            }
            13 | 14 => {
                let ms = u64::from(bits) / 2;
                self.now = Now { mono: self.now.mono.after(ms), wall: self.now.wall.after(ms) };
                self.handle(Input::Tick);
            }
            _ => {
                let request = self.sale(what, place, bits);
                self.handle(Input::Sale { room, request: &request, reply_to: ApiTicket(1) });
            }
        }
    }

    fn sale(&self, what: u8, place: u8, bits: u8) -> SaleRequest {
        let order = order(place / 2);
        let some = seats(bits & 0x1f);
        let only = (bits & 0x80 != 0).then(|| some.clone());
        match what % 24 {
            15 | 16 => {
                let owner = match bits % 5 {
                    0 => OwnerName::Session(SessionId::new(7)),
                    1 => OwnerName::Session(SessionId::new(8)),
                    2 => OwnerName::Subject("sub".into()),
                    3 => OwnerName::Holder("kiosk".into()),
                    _ => OwnerName::Client(ClientId::new("ana").expect("a name")),
                };
                SaleRequest::Checkout { order, owner, seats: only, ttl_ms: Some(500) }
            }
            17 => SaleRequest::Book { order, mode: BookMode::Held },
            18 => SaleRequest::Book { order, mode: BookMode::HeldOrFree },
            19 => SaleRequest::Cancel { order, to: if bits & 1 == 0 { CancelTo::Cart } else { CancelTo::Free } },
            20 => SaleRequest::Refund { order, seats: only },
            21 => match bits % 3 {
                0 => SaleRequest::Hold { holder: "kiosk".into(), wanted: Wanted::Seats(some), ttl_ms: Some(300) },
                1 => SaleRequest::Release { whose: Whose::Owner(OwnerName::Subject("sub".into())), reason: None },
                _ => SaleRequest::Release { whose: Whose::Seats(some), reason: None },
            },
            22 => {
                let what = Places { seats: some, sections: Vec::new() };
                match bits % 3 {
                    0 => SaleRequest::Unblock { what, label: None },
                    release => SaleRequest::Block { what, label: "crew".into(), release_held: release == 1 },
                }
            }
            _ => match bits % 6 {
                0 => SaleRequest::PutRoom {
                    settings: RoomSettings { hold_ms: Some(200), ..RoomSettings::default() },
                    plan: None,
                },
                1 => SaleRequest::PatchRoom {
                    patch: RoomPatch { sale: Some(Sale::Paused), ..RoomPatch::default() },
                    plan: None,
                },
                2 => SaleRequest::PatchRoom {
                    patch: RoomPatch { sale: Some(Sale::Open), ..RoomPatch::default() },
                    plan: None,
                },
                3 => SaleRequest::DeleteRoom { force: bits & 0x80 != 0 },
                4 => SaleRequest::Seats { query: SeatsQuery { limit: 9, ..SeatsQuery::default() } },
                _ => SaleRequest::Reconcile {
                    booked: Some(some.into_iter().map(|seat| (seat, order.clone())).collect()),
                    blocked: None,
                    dry_run: bits & 0x80 != 0,
                },
            },
        }
    }

    /// The process dies, and another one starts from what was kept.
    fn restart(&mut self) {
        let before = self.picture(true);
        let mut loaded = Loaded::default();
        self.disk.iter().for_each(|((room, name), bytes)| loaded.take_in(room, name, bytes));
        assert_eq!(loaded.skipped, 0, "every record is read");
        let restored = sift(loaded, self.now.wall, HOLD_MS, 1, |_| true);
        let mut batch = Batch::default();
        restored.expired.iter().for_each(|(room, seat)| batch.put(room, seat.clone(), None));
        restored.ended.iter().for_each(|kept| batch.keep(kept));
        commit(&mut self.disk, batch);
        self.shard = shard();
        self.carts.clear();
        self.known.clear();
        self.generations = self.generations.map(|generation| generation + 1);
        let waits_until = self.now.mono.after(10_000);
        for (room, was) in &restored.rooms[0] {
            self.restore(Input::RestoreRoom { room: room.as_str(), was, waits_until });
        }
        for stored in &restored.shards[0] {
            let held = &stored.held;
            let hold = RestoredHold {
                client: &held.client,
                origin: held.origin,
                user_info: &held.user_info,
                at: held.at,
                expires_at: held.expires_at,
                ends: self.now.mono.after(held.expires_at.0 - self.now.wall.0),
                waits_until,
                seq: held.seq,
            };
            self.restore(Input::Restore { room: stored.room.as_str(), seat: stored.seat.as_str(), hold });
        }
        assert_eq!(self.picture(true), before, "what was kept is not what was");
        for room in self.shard.rooms() {
            let state = self.shard.selections(room.as_str()).expect("it is listed");
            let seats = state.iter().map(|seat| (seat.seat.clone(), seat.status)).collect();
            self.known.insert(room.clone(), (state.epoch.0, state.seq, seats));
        }
        // What a full state would keep is what is kept.
        let mut full = Batch::default();
        for room in self.shard.rooms() {
            let state = self.shard.selections(room.as_str()).expect("it is listed");
            full.replace(room, state.seq, state.claims(), self.shard.beside(room.as_str()).into_iter());
        }
        let mut anew = Disk::new();
        commit(&mut anew, full);
        let names = |disk: &Disk| disk.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&anew), names(&self.disk), "a full state is what was kept");
    }

    fn restore(&mut self, input: Input<'_>) {
        self.effects.clear();
        self.shard.handle(self.now, input, &mut self.effects);
        self.shard.check_invariants();
    }

    /// All that survives: seats with their holders, until when, and orders.
    fn picture(&mut self, _: bool) -> Vec<String> {
        let mut lines = Vec::new();
        for room in ROOMS {
            let Some(state) = self.shard.selections(room) else { continue };
            for (seat, claim) in state.claims() {
                let (client, status) = (seat.client, seat.status.word());
                lines.push(format!("{room} {} {status} {client} {:?} {claim:?}", seat.seat, seat.expires_at));
            }
            for order in ORDERS {
                let request = SaleRequest::GetOrder { order: OrderId::new(order).expect("a name") };
                let mut effects = Effects::new();
                let input = Input::Sale { room, request: &request, reply_to: ApiTicket(1) };
                self.shard.handle(self.now, input, &mut effects);
                let Some(Effect::Api(answer)) = effects.pop() else { panic!("no answer") };
                if let SaleAnswer::Order { mut order, .. } = answer.answer {
                    // A connection does not outlive the process: its name does.
                    order.seats.sort_unstable();
                    lines.push(format!("{room} {order:?}"));
                }
            }
        }
        lines.sort_unstable();
        lines
    }
}

/// Makes what is in the batch so, through its records.
fn commit(disk: &mut Disk, batch: Batch) {
    let mut group = Group::default();
    group.add(ShardId::new(0), 1, batch);
    for (room, delta) in group.deltas() {
        if delta.replace {
            disk.retain(|(of, _), _| of != room);
        }
        for (name, bytes) in delta.records(room) {
            let key = (room.clone(), name.to_owned());
            match bytes {
                Some(bytes) => _ = disk.insert(key, bytes),
                None => _ = disk.remove(&key),
            }
        }
    }
}

fn op() -> impl Strategy<Value = [u8; 4]> {
    any::<[u8; 4]>()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_is_what_was(ops in proptest::collection::vec(op(), 1..150), dies in 0..4_usize) {
        let mut shop = Shop::new();
        let count = ops.len();
        for (at, op) in ops.into_iter().enumerate() {
            shop.op(op);
            if dies > 0 && at % (count / dies + 1) == count / (dies + 1) {
                shop.restart();
            }
        }
        shop.restart();
    }
}
