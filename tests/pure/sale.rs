//! The sale, line by line: orders from the cart to the booked seat and back, blocks, the shop's word, rooms.

use butaca::engine::command::{
    ApiTicket, BookMode, Caller, CancelTo, CartReason, CartRequest, CartWhy, ChangeKind, Effect, Effects, Identity,
    Input, Owner, OwnerName, Places, Reject, RoomPatch, RoomSettings, Sale, SaleAnswer, SaleRequest, SeatsQuery,
    SessionId, Ticket, Wanted, Whose,
};
use butaca::engine::ids::{ClientId, ConnId, OrderId, Origin, SeatId, ShardId};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{CartRules, Rules, Shard};
use butaca::engine::time::{Millis, Now, WallMillis};

const HOLD_MS: u64 = 300_000;
const TTL_MS: u64 = 900_000;

struct Shop {
    shard: Shard,
    now: u64,
    effects: Effects,
}

fn seats(names: &str) -> Vec<SeatId> {
    names.split_whitespace().map(|name| SeatId::new(name).expect("a name")).collect()
}

fn places(names: &str) -> Places {
    Places { seats: seats(names), sections: Vec::new() }
}

fn order(name: &str) -> OrderId {
    OrderId::new(name).expect("a name")
}

fn session(name: &str) -> SessionId {
    SessionId::new(name.bytes().fold(7, |hash, byte| hash * 31 + u128::from(byte)))
}

fn checkout(name: &str, of: &str, only: Option<&str>) -> SaleRequest {
    let owner = match of.strip_prefix("v1:") {
        Some(client) => OwnerName::Client(ClientId::new(client).expect("a name")),
        None => match of.strip_prefix("holder:") {
            Some(holder) => OwnerName::Holder(holder.into()),
            None => OwnerName::Session(session(of)),
        },
    };
    SaleRequest::Checkout { order: order(name), owner, seats: only.map(seats), ttl_ms: None }
}

fn book(name: &str) -> SaleRequest {
    SaleRequest::Book { order: order(name), mode: BookMode::Held }
}

fn book_late(name: &str) -> SaleRequest {
    SaleRequest::Book { order: order(name), mode: BookMode::HeldOrFree }
}

fn cancel(name: &str, to: CancelTo) -> SaleRequest {
    SaleRequest::Cancel { order: order(name), to }
}

fn refund(name: &str, only: Option<&str>) -> SaleRequest {
    SaleRequest::Refund { order: order(name), seats: only.map(seats) }
}

impl Shop {
    fn new() -> Self {
        let id = ShardId::new(0);
        let rules = Rules { hold_ttl_ms: HOLD_MS, seats_per_client_max: 0 };
        let shard = Shard::new(id, 1, Seeds::replayed(3, id), rules).with_carts(CartRules::default());
        Self { shard, now: 1_000_000, effects: Effects::new() }
    }

    fn input(&mut self, input: Input<'_>) {
        self.effects.clear();
        let now = Now { mono: Millis(self.now), wall: WallMillis(self.now) };
        self.shard.handle(now, input, &mut self.effects);
        self.shard.check_invariants();
    }

    /// What the backend is answered, in one line.
    fn ask(&mut self, request: &SaleRequest) -> String {
        self.input(Input::Sale { room: "r", request, reply_to: ApiTicket(5) });
        let Some(Effect::Api(answer)) = self.effects.last() else { panic!("no answer to {request:?}") };
        assert_eq!((answer.to, answer.room.as_str()), (ApiTicket(5), "r"));
        let names = |seats: &[SeatId]| seats.iter().map(SeatId::as_str).collect::<Vec<_>>().join(" ");
        match &answer.answer {
            SaleAnswer::Order { order, is_new } => {
                let new = if *is_new { "new " } else { "" };
                let back =
                    if order.refunded.is_empty() { String::new() } else { format!(" -{}", names(&order.refunded)) };
                format!("{new}{} {}{back}", order.state.word(), names(&order.seats))
            }
            SaleAnswer::Refused { reject, details } => {
                assert!(self.changes().is_empty(), "a refusal changes nothing");
                let conflicts: Vec<_> =
                    details.conflicts.iter().map(|(seat, status)| format!(" {seat} {}", status.word())).collect();
                format!("{reject:?}{}", conflicts.join(""))
            }
            SaleAnswer::Held { seats, cart } => format!("{} of {}", names(seats), names(&cart.seats)),
            SaleAnswer::Released { seats } => names(seats),
            SaleAnswer::Blocks { changed, released } => format!("{} / {}", names(changed), names(released)),
            SaleAnswer::Reconciled { booked, blocked, freed } => {
                format!("+{} x{} -{}", names(booked), names(blocked), names(freed))
            }
            SaleAnswer::Room { room, is_new } => {
                let sale = room.settings.as_ref().map_or("none", |settings| settings.sale.word());
                format!("{}{sale}", if *is_new { "new " } else { "" })
            }
            SaleAnswer::Deleted => "deleted".to_owned(),
            SaleAnswer::Counts { total, .. } => format!("{total:?}"),
            SaleAnswer::Seats { seats, more } => {
                let all: Vec<_> = seats.iter().map(|seat| format!("{} {}", seat.seat, seat.status.word())).collect();
                format!("{}{}", all.join(", "), if *more { " ..." } else { "" })
            }
        }
    }

    fn conn(number: u32) -> ConnId {
        ConnId::new(ShardId::new(0), number, 0)
    }

    /// A session holds seats.
    fn hold(&mut self, name: &'static str, number: u32, names: &str) -> Option<Reject> {
        let client = ClientId::new(name).expect("a name");
        let identity =
            Identity { owner: Owner::Session(session(name)), incarnation: u64::from(number), max_seats: None };
        let (conn, origin, ticket) = (Self::conn(number), Origin::UNKNOWN, Ticket(1));
        let caller = Caller { conn, client: &client, origin, ticket, identity: Some(&identity) };
        let request = CartRequest::Select { seats: seats(names), release: Vec::new(), user_info: "{}".into() };
        self.input(Input::Cart { caller, room: "r", request: &request });
        self.reject()
    }

    fn hold_v1(&mut self, name: &str, number: u32, seat: &str) -> Option<Reject> {
        let client = ClientId::new(name).expect("a name");
        let (conn, origin, ticket) = (Self::conn(number), Origin::UNKNOWN, Ticket(1));
        let caller = Caller { conn, client: &client, origin, ticket, identity: None };
        self.input(Input::Select { caller, room: "r", seat, user_info: "{}" });
        self.reject()
    }

    fn reject(&self) -> Option<Reject> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Refused { reject, .. } => Some(*reject),
            _ => None,
        })
    }

    fn tick(&mut self, ms: u64) {
        self.now += ms;
        self.input(Input::Tick);
    }

    fn gone(&mut self, number: u32) {
        self.input(Input::Gone { conn: Self::conn(number) });
    }

    fn changes(&self) -> Vec<String> {
        let changes = self.effects.iter().filter_map(|effect| match effect {
            Effect::Change(change) => Some(match &change.kind {
                ChangeKind::Selected { status, .. } => format!("{} {}", change.seat, status.word()),
                ChangeKind::Released { reason } => format!("{} {}", change.seat, reason.word()),
            }),
            _ => None,
        });
        changes.collect()
    }

    /// Why carts were told, with their seats.
    fn told(&self) -> Vec<(u32, CartReason, String)> {
        let told = self.effects.iter().filter_map(|effect| match effect {
            Effect::Cart(told) => match &told.why {
                CartWhy::Changed { reason, .. } => {
                    let seats: Vec<_> = told.cart.seats.iter().map(SeatId::as_str).collect();
                    let orders =
                        told.cart.orders.iter().map(|order| format!("{}={}", order.order, order.status.word()));
                    let all: Vec<_> = seats.into_iter().map(str::to_owned).chain(orders).collect();
                    Some((told.to.conn().slot(), *reason, all.join(" ")))
                }
                _ => None,
            },
            _ => None,
        });
        told.collect()
    }
}

#[test]
fn from_the_cart_to_the_booked_seat_and_back() {
    let mut shop = Shop::new();
    shop.hold("ana", 1, "A1 A2 A3");
    assert_eq!(shop.ask(&checkout("o1", "ana", Some("A1 A2"))), "new checkout A1 A2");
    assert_eq!(shop.changes(), ["A1 checkout", "A2 checkout"]);
    assert_eq!(shop.told(), [(1, CartReason::Checkout, "A3 o1=checkout".to_owned())]);
    assert_eq!(shop.ask(&checkout("o1", "ana", Some("A2 A1"))), "checkout A1 A2", "the same again");
    assert_eq!(shop.changes().len(), 0);
    for (owner, only) in [("ben", None), ("ana", Some("A3")), ("ana", Some("A1"))] {
        assert_eq!(shop.ask(&checkout("o1", owner, only)), "OrderExists");
    }
    assert_eq!(shop.ask(&checkout("o2", "ana", Some("A1"))), "InCheckout A1 checkout");
    assert_eq!(shop.ask(&checkout("o2", "ben", Some("A3"))), "NotOwner A3 held");
    assert_eq!(shop.ask(&checkout("o2", "ben", None)), "NotHeld");
    assert_eq!(shop.hold("ben", 2, "A1"), Some(Reject::SeatsUnavailable));
    shop.gone(1);
    shop.tick(20_000);
    assert_eq!(shop.changes(), ["A3 disconnected"], "no disconnect ends a checkout");
    assert_eq!(shop.ask(&book("o1")), "booked A1 A2");
    assert_eq!(shop.changes(), ["A1 booked", "A2 booked"]);
    assert_eq!(shop.ask(&book("o1")), "booked A1 A2");
    assert_eq!(shop.ask(&book_late("o1")), "booked A1 A2");
    assert_eq!(shop.changes().len(), 0, "the same answer twice");
    shop.tick(TTL_MS * 10);
    assert_eq!(shop.changes().len(), 0, "booked seats do not expire");
    assert_eq!(shop.ask(&cancel("o1", CancelTo::Free)), "OrderEnded");
    assert_eq!(shop.ask(&refund("o1", Some("A2"))), "booked A1 A2 -A2");
    assert_eq!(shop.changes(), ["A2 refunded"]);
    assert_eq!(shop.ask(&refund("o1", Some("A2"))), "booked A1 A2 -A2");
    assert_eq!(shop.ask(&refund("o1", Some("A9"))), "NotOwner A9 free");
    assert_eq!(shop.ask(&refund("o1", None)), "refunded A1 A2 -A2 A1");
    assert_eq!(shop.ask(&refund("o1", None)), "refunded A1 A2 -A2 A1");
    assert_eq!(shop.changes().len(), 0);
    assert_eq!(shop.ask(&book_late("o1")), "OrderEnded", "never after a refund");
    assert_eq!(shop.ask(&checkout("o1", "ana", None)), "OrderExists", "an ended order does not live again");
    assert_eq!(shop.ask(&SaleRequest::GetOrder { order: order("o1") }), "refunded A1 A2 -A2 A1");
    assert_eq!(shop.ask(&book("o9")), "UnknownOrder");
}

#[test]
fn a_payment_that_fails_gives_the_seats_back_to_who_is_there() {
    let mut shop = Shop::new();
    shop.hold("ana", 1, "A1 A2");
    shop.ask(&checkout("o1", "ana", None));
    shop.tick(299_000);
    assert_eq!(shop.ask(&cancel("o1", CancelTo::Cart)), "cancelled A1 A2");
    assert_eq!(shop.changes(), ["A1 held", "A2 held"]);
    assert_eq!(shop.told(), [(1, CartReason::PaymentFailed, "A1 A2".to_owned())]);
    assert_eq!(shop.ask(&cancel("o1", CancelTo::Free)), "cancelled A1 A2", "the final state");
    assert_eq!(shop.changes().len(), 0);
    assert_eq!(shop.ask(&book("o1")), "OrderEnded");
    shop.tick(59_999);
    assert_eq!(shop.changes().len(), 0, "at least a minute");
    shop.tick(1);
    assert_eq!(shop.changes(), ["A1 expired", "A2 expired"]);

    shop.hold("ben", 2, "B1");
    shop.ask(&checkout("o2", "ben", None));
    shop.gone(2);
    shop.tick(10_000);
    assert_eq!(shop.ask(&cancel("o2", CancelTo::Cart)), "cancelled B1");
    assert_eq!(shop.changes(), ["B1 held"], "in the grace it is still there");
    shop.tick(5_000);
    assert_eq!(shop.changes(), ["B1 disconnected"]);

    shop.hold("cid", 3, "C1");
    shop.ask(&checkout("o3", "cid", None));
    shop.gone(3);
    shop.tick(15_000);
    assert_eq!(shop.ask(&cancel("o3", CancelTo::Cart)), "cancelled C1");
    assert_eq!(shop.changes(), ["C1 payment_failed"]);
    shop.hold("dan", 4, "D1");
    shop.ask(&checkout("o4", "dan", None));
    assert_eq!(shop.ask(&cancel("o4", CancelTo::Free)), "cancelled D1");
    assert_eq!(shop.changes(), ["D1 cancelled"]);
    assert_eq!(shop.told(), [(4, CartReason::Cancelled, String::new())]);
}

#[test]
fn a_late_booking_takes_no_seat_from_anybody() {
    let mut shop = Shop::new();
    shop.hold("ana", 1, "A1 A2");
    shop.ask(&checkout("o1", "ana", None));
    shop.tick(TTL_MS);
    assert_eq!(shop.changes(), ["A1 expired", "A2 expired"]);
    assert_eq!(shop.told(), [(1, CartReason::Expired, String::new())]);
    shop.hold("ben", 2, "A2");
    assert_eq!(shop.ask(&book("o1")), "OrderEnded");
    assert_eq!(shop.ask(&book_late("o1")), "SeatsLost A2 held");
    shop.ask(&checkout("o2", "ben", None));
    assert_eq!(shop.ask(&book_late("o1")), "SeatsLost A2 checkout");
    shop.ask(&cancel("o2", CancelTo::Free));
    shop.hold("ana", 3, "A1");
    assert_eq!(shop.ask(&book_late("o1")), "booked A1 A2", "the owner's own cart counts as free");
    assert_eq!(shop.changes(), ["A1 booked", "A2 booked"]);
    assert_eq!(shop.told(), [(3, CartReason::Booked, "o1=booked".to_owned())]);
    assert_eq!(shop.ask(&book_late("o2")), "SeatsLost A2 booked");
}

#[test]
fn v1_connections_and_holders_pay_too() {
    let mut shop = Shop::new();
    assert_eq!(shop.hold_v1("old", 1, "A1"), None);
    assert_eq!(shop.hold_v1("old", 2, "A2"), None);
    assert_eq!(shop.ask(&checkout("o1", "v1:old", None)), "AmbiguousOwner");
    assert_eq!(shop.ask(&checkout("o1", "v1:old", Some("A1 A2"))), "AmbiguousOwner");
    assert_eq!(shop.ask(&checkout("o1", "v1:old", Some("A1"))), "new checkout A1");
    assert_eq!(shop.ask(&cancel("o1", CancelTo::Cart)), "cancelled A1");
    assert_eq!(shop.changes(), ["A1 held"]);
    shop.gone(1);
    assert_eq!(shop.changes(), ["A1 disconnected"]);
    assert_eq!(shop.ask(&checkout("o2", "v1:old", None)), "new checkout A2");
    shop.gone(2);
    assert_eq!(shop.changes().len(), 0);
    assert_eq!(shop.ask(&cancel("o2", CancelTo::Cart)), "cancelled A2");
    assert_eq!(shop.changes(), ["A2 payment_failed"]);

    let hold =
        |names: &str, ttl_ms| SaleRequest::Hold { holder: "kiosk".into(), wanted: Wanted::Seats(seats(names)), ttl_ms };
    assert_eq!(shop.ask(&hold("B1 B2", Some(5_000))), "B1 B2 of B1 B2");
    assert_eq!(shop.ask(&hold("B3", Some(8_000))), "B3 of B1 B2 B3");
    assert_eq!(shop.ask(&hold("B3 B4", None)), "B3 B4 of B1 B2 B3 B4");
    shop.hold("ana", 3, "C1");
    assert_eq!(shop.ask(&hold("C1", None)), "SeatsUnavailable C1 held");
    assert_eq!(shop.ask(&checkout("o3", "holder:kiosk", Some("B1"))), "new checkout B1");
    shop.tick(7_999);
    assert_eq!(shop.changes().len(), 0);
    assert_eq!(shop.ask(&cancel("o3", CancelTo::Cart)), "cancelled B1");
    assert_eq!(shop.ask(&SaleRequest::Release { whose: Whose::Seats(seats("B1 C1")), reason: None }), "B1 C1");
    assert_eq!(shop.told(), [(3, CartReason::ReleasedByOperator, String::new())]);
    let kiosk = SaleRequest::Release { whose: Whose::Owner(OwnerName::Holder("kiosk".into())), reason: None };
    assert_eq!(shop.ask(&kiosk), "B2 B3 B4");
    assert_eq!(shop.ask(&kiosk), "");
}

#[test]
fn blocks_are_for_free_seats_unless_said_otherwise() {
    let mut shop = Shop::new();
    let block =
        |names: &str, release_held| SaleRequest::Block { what: places(names), label: "crew".into(), release_held };
    shop.hold("ana", 1, "A1");
    assert_eq!(shop.ask(&block("A1 A2", false)), "SeatsUnavailable A1 held");
    assert_eq!(shop.ask(&block("A1 A2", true)), "A1 A2 / A1");
    assert_eq!(shop.changes(), ["A1 released_by_operator", "A1 blocked", "A2 blocked"]);
    assert_eq!(shop.ask(&block("A1 A2", false)), " / ", "what is so already changes nothing");
    assert_eq!(shop.hold("ana", 1, "A1"), Some(Reject::SeatsUnavailable));
    assert_eq!(shop.hold_v1("old", 2, "A2"), Some(Reject::SeatTaken));
    let unblock = SaleRequest::Unblock { what: places("A1 A2 A3"), label: None };
    assert_eq!(shop.ask(&unblock), "A1 A2 / ");
    assert_eq!(shop.changes(), ["A1 unblocked", "A2 unblocked"]);
    assert_eq!(shop.ask(&unblock), "UnknownRoom", "nothing is left of a room that nobody made");
}

#[test]
fn the_shops_database_wins_over_holds() {
    let mut shop = Shop::new();
    let reconcile = |booked: &[(&str, &str)], dry_run| SaleRequest::Reconcile {
        booked: Some(booked.iter().map(|(seat, id)| (seats(seat).remove(0), order(id))).collect()),
        blocked: None,
        dry_run,
    };
    shop.hold("ana", 1, "A1 A2");
    shop.hold("ben", 2, "B1");
    shop.ask(&checkout("b", "ben", None));
    assert_eq!(shop.ask(&reconcile(&[("A1", "x"), ("B1", "y")], false)), "SeatsUnavailable B1 checkout");
    assert_eq!(shop.ask(&reconcile(&[("A1", "x"), ("C1", "x"), ("B1", "b")], true)), "+A1 C1 B1 x -");
    assert_eq!(shop.changes().len(), 0);
    assert_eq!(shop.ask(&reconcile(&[("A1", "x"), ("C1", "x"), ("B1", "b")], false)), "+A1 C1 B1 x -");
    assert_eq!(shop.ask(&reconcile(&[("A1", "x"), ("C1", "x"), ("B1", "b")], false)), "+ x -", "twice is once");
    assert_eq!(shop.ask(&book("x")), "booked A1 C1");
    assert_eq!(shop.ask(&reconcile(&[("C1", "x")], false)), "+ x -A1 B1");
    assert_eq!(shop.ask(&book("b")), "OrderEnded");
    assert_eq!(
        shop.ask(&SaleRequest::Seats { query: SeatsQuery { limit: 9, ..SeatsQuery::default() } }),
        "A2 held, C1 booked"
    );
}

#[test]
fn a_room_has_its_sale() {
    let mut shop = Shop::new();
    let settings = |sale| RoomSettings { sale, hold_ms: Some(1_000), ..RoomSettings::default() };
    let opens_at = Some(WallMillis(1_000_500));
    let put = SaleRequest::PutRoom { settings: settings(Sale::Scheduled { opens_at }), plan: None };
    assert_eq!(shop.ask(&put), "new scheduled");
    assert_eq!(shop.ask(&put), "scheduled");
    assert_eq!(shop.ask(&SaleRequest::PutRoom { settings: settings(Sale::Open), plan: None }), "RoomDiffers");
    assert_eq!(shop.hold("ana", 1, "A1"), Some(Reject::SaleNotOpen));
    assert_eq!(shop.hold_v1("old", 2, "A1"), Some(Reject::SaleNotOpen));
    shop.tick(500);
    assert!(shop.effects.iter().any(|effect| matches!(effect, Effect::Room(_))), "it opens by itself");
    assert_eq!(shop.ask(&put), "open");
    assert_eq!(shop.hold("ana", 1, "A1"), None);
    let patch =
        |sale| SaleRequest::PatchRoom { patch: RoomPatch { sale: Some(sale), ..RoomPatch::default() }, plan: None };
    assert_eq!(shop.ask(&patch(Sale::Paused)), "paused");
    assert_eq!(shop.hold("ana", 1, "A2"), Some(Reject::SalePaused));
    assert_eq!(shop.ask(&checkout("o1", "ana", None)), "new checkout A1", "checkout goes on");
    assert_eq!(shop.ask(&SaleRequest::DeleteRoom { force: false }), "OrdersInCheckout");
    assert_eq!(shop.ask(&patch(Sale::Closed)), "closed");
    assert_eq!(shop.hold_v1("old", 2, "A2"), Some(Reject::SaleClosed));
    assert_eq!(shop.ask(&SaleRequest::DeleteRoom { force: true }), "deleted");
    assert_eq!(shop.changes(), ["A1 room_deleted"]);
    assert_eq!(shop.ask(&SaleRequest::GetRoom), "UnknownRoom");
    assert_eq!(shop.hold("ana", 1, "A1"), None, "whoever names it makes it anew");
    assert_eq!(shop.ask(&SaleRequest::GetRoom), "none");
    assert_eq!(shop.ask(&patch(Sale::Open)), "none", "so it is already");
    let alone = RoomPatch { no_orphans: Some(true), ..RoomPatch::default() };
    assert_eq!(shop.ask(&SaleRequest::PatchRoom { patch: alone, plan: None }), "NoLayout");
    assert_eq!(shop.ask(&SaleRequest::GetRoom), "none", "what is refused decides nothing");
    let too_short = RoomSettings { hold_ms: Some(99), ..RoomSettings::default() };
    assert_eq!(shop.ask(&SaleRequest::PutRoom { settings: too_short, plan: None }), "BadRequest");
}
