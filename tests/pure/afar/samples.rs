//! One letter of every kind, and of every answer, from fixed values.

use std::sync::Arc;

use butaca::audience::budget::{Budget, Kind};
use butaca::audience::full_states::Captured;
use butaca::audience::shared::Shared;
use butaca::engine::command::{
    Asker, CartReason, CartRequest, CartTold, CartView, CartWhy, Change, ChangeKind, Claim, Details, Effect, Entered,
    Identity, LayoutName, OrderView, OwnedRequest, Owner, Position, Reject, ReleaseReason, RequestType, Resumed,
    ResumedCart, RoomChanged, RoomLayout, RoomNews, Sale, SeatStatus, SessionId, Synced, Ticket, Told,
};
use butaca::engine::ids::{ClientId, ConnId, Epoch, OrderId, Origin, RoomId, SeatId, ShardId, ShardSet};
use butaca::engine::time::WallMillis;
use butaca::layout::best::BestQuery;
use butaca::node::letters::{Command, Letter, News, Return, Wanted};

/// The writer's shards are 0 and 1, the reader's 5, 6 and 7 in the writer's eyes.
pub(super) const OWN: u8 = 1;
pub(super) const THEIRS: u8 = 6;
pub(super) const STRANGERS: u8 = 9;

pub(super) fn conn(address: u8) -> ConnId {
    ConnId::new(ShardId::new(usize::from(address)), 0x12_3456, 0xfedc_ba98)
}

pub(super) fn room() -> RoomId {
    RoomId::new("Zürich 1").expect("a name")
}

pub(super) fn seat(name: &str) -> SeatId {
    SeatId::new(name).expect("a name")
}

fn client() -> ClientId {
    ClientId::new("ana").expect("a name")
}

const EPOCH: Epoch = Epoch(0x0123_4567_89ab_cdef);
const AT: Position = Position { epoch: EPOCH, seq: 77 };
const WALL: WallMillis = WallMillis(1_768_473_000_000);

fn asker() -> Asker {
    Asker { conn: conn(THEIRS), ticket: Ticket(513) }
}

fn order() -> OrderId {
    OrderId::new("order 9").expect("a name")
}

fn cart() -> Arc<CartView> {
    let (seats, expires_at) = (vec![seat("A1"), seat("A2")], Some(WALL));
    let paid = OrderView { order: order(), status: SeatStatus::Booked, seats: vec![seat("B1")], expires_at: None };
    Arc::new(CartView { seats, expires_at, extends_left: 2, orders: vec![paid] })
}

fn identity(owner: Owner) -> Option<Identity> {
    Some(Identity { owner, incarnation: 3, max_seats: Some(8) })
}

fn command(wanted: Wanted, identity: Option<Identity>) -> Letter {
    let origin = Origin { address: 11, owner: 12 };
    Letter::Command(Box::new(Command {
        conn: conn(OWN),
        client: client(),
        origin,
        ticket: Ticket(2),
        identity,
        wanted,
    }))
}

fn cart_request(request: CartRequest) -> Letter {
    command(Wanted::Cart { room: room(), request }, identity(Owner::Session(SessionId::new(7 << 100 | 9))))
}

/// A full state of these bytes.
pub(super) fn state(bytes: &[u8]) -> Arc<Shared> {
    Shared::new(bytes.to_vec(), Kind::FullStates, &Budget::default())
}

pub(super) fn answer(effect: Effect, captured: Option<Captured>) -> Letter {
    Letter::Answer { to: conn(THEIRS), effect: Box::new(effect), captured }
}

pub(super) fn selected(actor: Option<ConnId>) -> Change {
    let mut audience = ShardSet::EMPTY;
    audience.insert(ShardId::new(1));
    Change {
        room: room(),
        seat: seat("A1"),
        index: Some(4),
        client: client(),
        seq: 78,
        epoch: EPOCH,
        actor,
        answers: Some(Ticket(9)),
        held: 5,
        audience,
        kind: ChangeKind::Selected {
            status: SeatStatus::Held,
            was: SeatStatus::Free,
            at: WALL,
            expires_at: Some(WALL.after(1)),
            user_info: r#"{"a":1}"#.into(),
            origin: Origin { address: 1, owner: 2 },
            claim: Some(Box::new(Claim::Order(order()))),
        },
    }
}

pub(super) fn released() -> Change {
    let kind = ChangeKind::Released { reason: ReleaseReason::Expired };
    Change { index: None, actor: None, answers: None, seq: 79, kind, ..selected(None) }
}

/// `room_joined` of the first protocol with this full state.
pub(super) fn joined(captured: Option<Captured>) -> Letter {
    answer(Effect::Joined { to: asker(), client: client(), room: room(), seq: 77, epoch: EPOCH, members: 3 }, captured)
}

fn requests() -> Vec<(&'static str, Letter)> {
    let first = |request| command(Wanted::First(request), None);
    let select = OwnedRequest::Select { room: room(), seat: seat("A1"), user_info: "{}".into() };
    let best = BestQuery {
        quantity: 3,
        sections: vec!["stalls".into()],
        categories: vec!["1".into(), "2".into()],
        accessible: 1,
        adjacent: true,
    };
    let (seats, release) = (vec![seat("A1"), seat("A2")], vec![seat("A3")]);
    let user_info: Arc<str> = r#"{"name":"Ana"}"#.into();
    let of = (conn(OWN), client(), Origin::of_address(4), identity(Owner::Conn(conn(OWN))));
    let (own, client, origin, identity) = of;
    vec![
        ("join", first(OwnedRequest::Join { room: room() })),
        ("leave", first(OwnedRequest::Leave { room: room() })),
        ("select", first(select)),
        ("release", first(OwnedRequest::Release { room: room(), seat: seat("A1") })),
        ("cart_join", cart_request(CartRequest::Join { since: Some(AT) })),
        ("cart_leave", cart_request(CartRequest::Leave)),
        (
            "cart_select",
            cart_request(CartRequest::Select {
                seats: seats.clone(),
                release: release.clone(),
                user_info: Arc::clone(&user_info),
            }),
        ),
        ("cart_best", cart_request(CartRequest::SelectBest { query: best, release, user_info })),
        ("cart_release", cart_request(CartRequest::Release { seats })),
        ("cart_release_all", cart_request(CartRequest::ReleaseAll)),
        ("cart_extend", cart_request(CartRequest::Extend)),
        ("cart_sync", cart_request(CartRequest::Sync)),
        ("resume", command(Wanted::Resume { rooms: vec![room()] }, self::identity(Owner::Subject("ana".into())))),
        ("resync", Letter::Resync { conn: own, room: room() }),
        ("gone", Letter::Gone { conn: own }),
        ("away", Letter::Away { conn: own }),
        ("return", Letter::Return(Box::new(Return { conn: own, client, origin, identity, room: room() }))),
    ]
}

fn carts() -> Vec<(&'static str, Letter)> {
    let told = |to, why| {
        let (room, cart) = (room(), cart());
        answer(Effect::Cart(Box::new(CartTold { to, room, seq: 78, epoch: EPOCH, why, cart })), None)
    };
    let changed = CartWhy::Changed { reason: CartReason::Booked, gone: vec![seat("A1")], order: Some(order()) };
    let asked = |request| Told::Asker(asker(), request);
    vec![
        ("cart_held", told(asked(RequestType::SelectBest), CartWhy::Held { seats: vec![seat("A1")] })),
        ("cart_released", told(asked(RequestType::ReleaseSeats), CartWhy::Released { seats: vec![] })),
        ("cart_extended", told(asked(RequestType::Extend), CartWhy::Extended)),
        ("cart_expiring", told(Told::Conn(conn(THEIRS)), CartWhy::Expiring { left_ms: 60_000 })),
        ("cart_changed", told(Told::Conn(conn(THEIRS)), changed)),
    ]
}

fn answers() -> Vec<(&'static str, Letter)> {
    let details = Details {
        conflicts: vec![(seat("A1"), SeatStatus::Blocked)],
        alternatives: vec![vec![seat("B1"), seat("B2")], vec![]],
    };
    let entered = Entered {
        to: asker(),
        room: room(),
        at: AT,
        since: Some(AT),
        members: 2,
        layout: Some(RoomLayout { name: LayoutName { id: "hall".into(), version: "00ff".into() }, seats: 900 }),
        sale: Sale::Scheduled { opens_at: Some(WALL) },
        hold_ms: 300_000,
        max_seats: 6,
        cart: cart(),
    };
    let since = Captured { seq: 77, state: None, since: b"since".to_vec(), is_deferred: false };
    let resumed = Resumed { to: asker(), carts: vec![ResumedCart { room: room(), cart: cart() }] };
    let again = Effect::Again {
        to: asker(),
        client: client(),
        room: room(),
        seat: seat("A1"),
        seq: 70,
        epoch: EPOCH,
        expires_at: WALL,
    };
    let refused = |reject, request, details: Option<Details>| {
        let details = details.map(Box::new);
        answer(Effect::Refused { to: asker(), reject, request, room: room(), seat: Some(seat("A1")), details }, None)
    };
    let snapshot = Effect::Snapshot { to: conn(THEIRS), room: room(), seq: 77, epoch: EPOCH };
    let synced = Effect::Synced(Box::new(Synced { to: asker(), room: room(), at: AT, cart: cart() }));
    vec![
        ("joined", joined(Some(Captured { since: b"behind".to_vec(), ..Captured::now(76, Some(state(b"full"))) }))),
        ("left", answer(Effect::Left { to: asker(), client: client(), room: room() }, None)),
        ("snapshot", answer(snapshot, Some(Captured::deferred(77)))),
        ("again", answer(again, None)),
        ("refused", refused(Reject::TooSoon { retry_after_ms: 900 }, RequestType::Select, None)),
        ("refused_details", refused(Reject::SeatsUnavailable, RequestType::SelectSeats, Some(details))),
        ("entered", answer(Effect::Entered(Box::new(entered)), Some(since))),
        ("synced", answer(synced, Some(Captured::now(77, Some(state(b"map")))))),
        ("resumed", answer(Effect::Resumed(Box::new(resumed)), None)),
        ("superseded", answer(Effect::Superseded { conn: conn(THEIRS) }, None)),
        ("not_mine", Letter::NotMine { conn: conn(THEIRS), ticket: Ticket(4) }),
    ]
}

fn news() -> Vec<(&'static str, Letter)> {
    let changes = vec![Arc::new(selected(Some(conn(THEIRS)))), Arc::new(released())];
    let of_room = |what| {
        let audience = selected(None).audience;
        Letter::Room(Box::new(RoomNews { room: room(), audience, what }))
    };
    vec![
        ("news", Letter::News(Box::new(News { room: room(), changes }))),
        ("sale", of_room(RoomChanged::Sale { sale: Sale::Paused, message: Some("a moment".into()) })),
        ("renewed", of_room(RoomChanged::Renewed { at: AT })),
        ("deleted", of_room(RoomChanged::Deleted)),
    ]
}

/// All of them, with their names.
pub(super) fn all() -> Vec<(&'static str, Letter)> {
    [requests(), carts(), answers(), news(), super::errands::all()].into_iter().flatten().collect()
}
