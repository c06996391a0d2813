//! One question and answer of every kind, of the shop's backend and of who asks by HTTP, from fixed values.

use std::sync::Arc;

use butaca::engine::command::{
    BookMode, CancelTo, CartView, Details, LayoutName, OrderState, OrderTold, OwnerName, Places, Reject, RoomPatch,
    RoomPlan, RoomSettings, RoomTold, Sale, SaleAnswer, SaleRequest, SeatStatus, SeatTold, SeatsQuery, SessionId,
    Tally, Wanted, Whose,
};
use butaca::engine::ids::{ClientId, Epoch, OrderId, RoomId, SeatId, ShardId};
use butaca::engine::time::WallMillis;
use butaca::layout::Layout;
use butaca::layout::best::BestQuery;
use butaca::layout::catalog::Catalog;
use butaca::node::errand::{Answered, Asked, Done, Errand, Names};
use butaca::node::letters::Letter;

use super::samples::{OWN, room, seat, state};

fn layout() -> Arc<Layout> {
    let json = r#"{"categories":[{"id":"1"}],
        "seats":[{"id":"A1","section":"S","row":"A","number":1,"category":"1","x":1,"y":1}]}"#;
    Arc::new(Layout::parse("hall", json.as_bytes()).expect("a layout"))
}

/// What every node knows.
pub(super) fn layouts() -> Catalog {
    let catalog = Catalog::default();
    catalog.put(layout());
    catalog
}

fn order() -> OrderId {
    OrderId::new("order 9").expect("a name")
}

fn seats() -> Vec<SeatId> {
    vec![seat("A1"), seat("A2")]
}

fn settings() -> RoomSettings {
    RoomSettings {
        sale: Sale::Paused,
        hold_ms: Some(60_000),
        max_seats: Some(4),
        no_orphans: true,
        ends_at: Some(WallMillis(9)),
        message: Some("soon".into()),
        layout: Some(LayoutName::of(&layout())),
    }
}

fn requests() -> Vec<(&'static str, SaleRequest)> {
    let best = BestQuery { quantity: 2, sections: vec![], categories: vec![], accessible: 0, adjacent: false };
    let places = || Places { seats: seats(), sections: vec!["stalls".into()] };
    let patch = RoomPatch {
        sale: Some(Sale::Open),
        hold_ms: Some(None),
        max_seats: None,
        no_orphans: Some(false),
        ends_at: Some(Some(WallMillis(8))),
        message: Some(Some("now".into())),
        layout: Some(None),
    };
    let query = SeatsQuery {
        state: Some(SeatStatus::Booked),
        seat: None,
        owner: Some(OwnerName::Session(SessionId::new(7))),
        order: Some(order()),
        after: Some(seat("A1")),
        limit: 100,
    };
    let client = OwnerName::Client(ClientId::new("ana").expect("a name"));
    vec![
        ("ask_hold", SaleRequest::Hold { holder: "kiosk".into(), wanted: Wanted::Seats(seats()), ttl_ms: Some(5) }),
        ("ask_hold_best", SaleRequest::Hold { holder: "kiosk".into(), wanted: Wanted::Best(best), ttl_ms: None }),
        ("ask_release", SaleRequest::Release { whose: Whose::Seats(seats()), reason: Some("why".into()) }),
        ("ask_release_all", SaleRequest::Release { whose: Whose::Owner(client), reason: None }),
        (
            "ask_checkout",
            SaleRequest::Checkout {
                order: order(),
                owner: OwnerName::Holder("kiosk".into()),
                seats: Some(seats()),
                ttl_ms: None,
            },
        ),
        ("ask_book", SaleRequest::Book { order: order(), mode: BookMode::HeldOrFree }),
        ("ask_cancel", SaleRequest::Cancel { order: order(), to: CancelTo::Free }),
        ("ask_refund", SaleRequest::Refund { order: order(), seats: None }),
        ("ask_block", SaleRequest::Block { what: places(), label: "kept".into(), release_held: true }),
        ("ask_unblock", SaleRequest::Unblock { what: places(), label: None }),
        (
            "ask_reconcile",
            SaleRequest::Reconcile {
                booked: Some(vec![(seat("A1"), order())]),
                blocked: Some(vec![(seat("A2"), "kept".into())]),
                dry_run: true,
            },
        ),
        ("ask_put", SaleRequest::PutRoom { settings: settings(), plan: Some(RoomPlan(layout())) }),
        ("ask_patch", SaleRequest::PatchRoom { patch, plan: None }),
        ("ask_delete", SaleRequest::DeleteRoom { force: true }),
        ("ask_room", SaleRequest::GetRoom),
        ("ask_order", SaleRequest::GetOrder { order: order() }),
        ("ask_counts", SaleRequest::Counts),
        ("ask_seats", SaleRequest::Seats { query }),
    ]
}

fn answers() -> Vec<(&'static str, SaleAnswer)> {
    let cart = CartView { seats: seats(), expires_at: Some(WallMillis(7)), extends_left: 1, orders: vec![] };
    let told = OrderTold {
        order: order(),
        state: OrderState::Refunded,
        owner: Some(OwnerName::Subject("ana".into())),
        seats: seats(),
        refunded: vec![seat("A2")],
        expires_at: None,
    };
    let of_room = RoomTold { room: room(), epoch: Epoch(5), seq: 6, settings: Some(settings()), members: 7 };
    let tally = Tally { free: Some(1), held: 2, checkout: 3, booked: 4, blocked: 5 };
    let of_seat = SeatTold {
        seat: seat("A1"),
        status: SeatStatus::Checkout,
        client: Some(ClientId::new("ana").expect("a name")),
        owner: None,
        order: Some(order()),
        label: Some("kept".into()),
        at: Some(WallMillis(1)),
        expires_at: Some(WallMillis(2)),
    };
    let details = Details { conflicts: vec![(seat("A1"), SeatStatus::Held)], alternatives: vec![] };
    let (booked, blocked, freed) = (seats(), vec![], vec![seat("A3")]);
    vec![
        ("told_held", SaleAnswer::Held { seats: seats(), cart }),
        ("told_released", SaleAnswer::Released { seats: seats() }),
        ("told_order", SaleAnswer::Order { order: told, is_new: true }),
        ("told_blocks", SaleAnswer::Blocks { changed: seats(), released: vec![] }),
        ("told_reconciled", SaleAnswer::Reconciled { booked, blocked, freed }),
        ("told_room", SaleAnswer::Room { room: of_room, is_new: false }),
        ("told_deleted", SaleAnswer::Deleted),
        (
            "told_counts",
            SaleAnswer::Counts {
                total: tally,
                sections: vec![("stalls".into(), tally)],
                categories: vec![("1".into(), Tally::default())],
            },
        ),
        ("told_seats", SaleAnswer::Seats { seats: vec![of_seat], more: true }),
        ("told_refused", SaleAnswer::Refused { reject: Reject::SeatsLost, details }),
    ]
}

/// A question to the owner of a room.
pub(super) fn asked(asked: Asked) -> Letter {
    Letter::Errand(Box::new(Errand { by: ShardId::new(usize::from(OWN)), number: 77, asked }))
}

fn told(answered: Answered) -> Letter {
    Letter::Done(Box::new(Done { number: 78, answered }))
}

/// What the backend asks of a room.
pub(super) fn sale(room: RoomId, request: SaleRequest) -> Letter {
    asked(Asked::Sale { room, request: Box::new(request) })
}

/// All of them, with their names.
pub(super) fn all() -> Vec<(&'static str, Letter)> {
    let requests = requests().into_iter().map(|(name, request)| (name, sale(room(), request)));
    let sold = |answer| told(Answered::Sale { answer: Box::new(answer) });
    let answers = answers().into_iter().map(|(name, answer)| (name, sold(answer)));
    let whom = OwnerName::Subject("ana".into());
    let others = [
        ("ask_selections", asked(Asked::Selections { room: room(), head_only: true })),
        ("ask_rooms", asked(Asked::Rooms { after: Some(room()), limit: 101, from: 4_096 })),
        ("ask_layout", asked(Asked::UsesLayout { layout: "hall".into() })),
        ("ask_disconnect", asked(Asked::Disconnect { whom, ban_ms: 5_000 })),
        ("told_selections", told(Answered::Selections { body: state(b"body") })),
        ("told_length", told(Answered::Length { bytes: 4 })),
        ("told_busy", told(Answered::Busy)),
        ("told_rooms", told(Answered::Rooms { names: Names { found: vec![room()], next: Some(4_096), parts: 3 } })),
        ("told_layout", told(Answered::UsesLayout { uses: true })),
        ("told_disconnected", told(Answered::Disconnected { closed: 3 })),
        ("told_not_mine", told(Answered::NotMine)),
    ];
    requests.chain(answers).chain(others).collect()
}
