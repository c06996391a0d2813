//! Rooms with a layout: seats by their place in it, the best ones, nobody left alone, and another layout.

use std::sync::Arc;

use butaca::engine::command::{
    ApiTicket, BestQuery, Caller, CartRequest, Effect, Effects, Identity, Input, LayoutName, Owner, Places, Reject,
    RoomChanged, RoomPatch, RoomPlan, RoomSettings, SaleAnswer, SaleRequest, SeatStatus, SeatsQuery, SessionId, Tally,
    Ticket,
};
use butaca::engine::ids::{ClientId, ConnId, Origin, SeatId, ShardId};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{CartRules, Rules, Shard};
use butaca::engine::time::{Millis, Now, WallMillis};
use butaca::layout::Layout;

const NOW: Now = Now { mono: Millis(1_000), wall: WallMillis(1_000_000) };

/// Two rows of `width` seats in a section each: `A1`, `A2`, … and `B1`, ….
fn layout(id: &str, width: usize) -> RoomPlan {
    let seat = |row: &str, number: usize| {
        let category = if row == "A" { "gold" } else { "blue" };
        format!(
            r#"{{"id":"{row}{number}","section":"S{row}","row":"{row}","number":{number},"category":"{category}","x":{number},"y":1}}"#
        )
    };
    let seats = ["A", "B"].iter().flat_map(|row| (1..=width).map(|number| seat(row, number)));
    let seats = seats.collect::<Vec<_>>().join(",");
    let json = format!(r#"{{"categories":[{{"id":"gold"}},{{"id":"blue"}}],"seats":[{seats}]}}"#);
    RoomPlan(Arc::new(Layout::parse(id, json.as_bytes()).expect("a layout")))
}

struct Hall {
    shard: Shard,
    effects: Effects,
}

fn seats(names: &str) -> Vec<SeatId> {
    names.split_whitespace().map(|name| SeatId::new(name).expect("a name")).collect()
}

fn names(seats: &[SeatId]) -> String {
    seats.iter().map(SeatId::as_str).collect::<Vec<_>>().join(" ")
}

fn put(plan: &RoomPlan, no_orphans: bool) -> SaleRequest {
    let settings = RoomSettings { layout: Some(LayoutName::of(&plan.0)), no_orphans, ..RoomSettings::default() };
    SaleRequest::PutRoom { settings, plan: Some(plan.clone()) }
}

fn best(quantity: u32, sections: &[&str], adjacent: bool, release: &str) -> CartRequest {
    let sections = sections.iter().map(|&name| name.into()).collect();
    let query = BestQuery { quantity, sections, categories: Vec::new(), accessible: 0, adjacent };
    CartRequest::SelectBest { query, release: seats(release), user_info: "{}".into() }
}

fn select(take: &str, release: &str) -> CartRequest {
    CartRequest::Select { seats: seats(take), release: seats(release), user_info: "{}".into() }
}

impl Hall {
    fn new(width: usize, no_orphans: bool) -> Self {
        let id = ShardId::new(0);
        let rules = Rules { hold_ttl_ms: 60_000, seats_per_client_max: 0 };
        let shard = Shard::new(id, 1, Seeds::replayed(3, id), rules).with_carts(CartRules::default());
        let mut hall = Self { shard, effects: Effects::new() };
        assert!(matches!(hall.sell(&put(&layout("hall", width), no_orphans)), SaleAnswer::Room { is_new: true, .. }));
        hall
    }

    fn input(&mut self, input: Input<'_>) {
        self.effects.clear();
        self.shard.handle(NOW, input, &mut self.effects);
        self.shard.check_invariants();
    }

    fn sell(&mut self, request: &SaleRequest) -> SaleAnswer {
        self.input(Input::Sale { room: "r", request, reply_to: ApiTicket(1) });
        let Some(Effect::Api(answer)) = self.effects.last() else { panic!("no answer") };
        answer.answer.clone()
    }

    /// What somebody's cart is then, or why not.
    fn ask(&mut self, who: u32, request: &CartRequest) -> Result<String, Reject> {
        let client = ClientId::new("c").expect("a name");
        let owner = Owner::Session(SessionId::new(who.into()));
        let identity = Identity { owner, incarnation: 1, max_seats: None };
        let (conn, origin, ticket) = (ConnId::new(ShardId::new(0), who, 0), Origin::UNKNOWN, Ticket(1));
        let caller = Caller { conn, client: &client, origin, ticket, identity: Some(&identity) };
        self.input(Input::Cart { caller, room: "r", request });
        let answer = self.effects.iter().find_map(|effect| match effect {
            Effect::Cart(told) => Some(Ok(names(&told.cart.seats))),
            Effect::Entered(entered) => Some(Ok(format!("{:?}", entered.layout.is_some()))),
            Effect::Refused { reject, .. } => Some(Err(*reject)),
            _ => None,
        });
        answer.expect("an answer")
    }

    /// What the map shows.
    fn map(&self) -> String {
        let state = self.shard.selections("r").expect("the room");
        let hall = state.hall().expect("a layout");
        let marks = (0..u32::try_from(hall.layout().len()).expect("few")).map(|place| hall.mark(place) as u8);
        marks.map(|mark| char::from(b'0' + mark)).collect()
    }
}

#[test]
fn seats_stand_where_the_layout_has_them() {
    let mut hall = Hall::new(4, false);
    assert_eq!(hall.ask(1, &CartRequest::Join { since: None }), Ok("true".into()));
    assert_eq!(hall.ask(1, &select("A2 B1", "")), Ok("A2 B1".into()));
    assert_eq!(hall.map(), "01001000");
    let indices = hall.effects.iter().filter_map(|effect| match effect {
        Effect::Change(change) => change.index,
        _ => None,
    });
    assert_eq!(indices.collect::<Vec<_>>(), [1, 4]);
    assert_eq!(hall.ask(1, &select("A1 Z9", "")), Err(Reject::UnknownSeat));
    assert_eq!(hall.ask(1, &select("A1", "B1")), Ok("A2 A1".into()));
    let block = |what: Places| SaleRequest::Block { what, label: "crew".into(), release_held: false };
    let section = Places { seats: Vec::new(), sections: vec!["SB".into()] };
    assert!(matches!(hall.sell(&block(section)), SaleAnswer::Blocks { changed, .. } if changed.len() == 4));
    assert_eq!(hall.map(), "11003333");
    let SaleAnswer::Counts { total, sections, categories } = hall.sell(&SaleRequest::Counts) else { panic!() };
    let tally = |free, held, blocked| Tally { free: Some(free), held, blocked, ..Tally::default() };
    assert_eq!(total, tally(2, 2, 4));
    assert_eq!(sections, [("SA".into(), tally(2, 2, 0)), ("SB".into(), tally(0, 0, 4))]);
    assert_eq!(categories, [("gold".into(), tally(2, 2, 0)), ("blue".into(), tally(0, 0, 4))]);
    let query = SeatsQuery { state: Some(SeatStatus::Free), limit: 1, ..SeatsQuery::default() };
    let SaleAnswer::Seats { seats, more } = hall.sell(&SaleRequest::Seats { query }) else { panic!() };
    assert_eq!((seats[0].seat.as_str(), seats.len(), more), ("A3", 1, true));
}

#[test]
fn the_best_seats_are_taken_in_one_step() {
    let mut hall = Hall::new(5, false);
    assert_eq!(hall.ask(1, &best(3, &["SB"], true, "")).map(|cart| cart.len()), Ok(8));
    let taken = hall.map();
    assert_eq!(taken.matches('1').count(), 3);
    assert_eq!(hall.ask(2, &best(5, &["SB"], true, "")), Err(Reject::NotEnoughSeats { free: 2 }));
    assert_eq!(hall.ask(2, &best(6, &[], true, "")), Err(Reject::NoAdjacentSeats { largest: 5 }));
    assert_eq!(hall.ask(2, &best(0, &[], true, "")), Err(Reject::BadRequest));
    assert_eq!(hall.map(), taken, "a refusal changes nothing");
    // A swap: what is released counts as free, and what is taken again stays.
    let own = hall.ask(1, &CartRequest::Extend).expect("a cart");
    assert_eq!(hall.ask(1, &best(5, &["SB"], true, &own)).map(|cart| cart.split(' ').count()), Ok(5));
    let changes = hall.effects.iter().filter(|effect| matches!(effect, Effect::Change(_))).count();
    assert_eq!(changes, 2, "only the seats that are new");
}

#[test]
fn nobody_is_left_alone_without_need() {
    let mut hall = Hall::new(4, true);
    assert_eq!(hall.ask(1, &select("A2", "")), Err(Reject::OrphanSeat));
    let alternatives = hall.effects.iter().find_map(|effect| match effect {
        Effect::Refused { details: Some(details), .. } => Some(details.alternatives.clone()),
        _ => None,
    });
    assert!(alternatives.is_some_and(|all| !all.is_empty() && all.iter().all(|seats| seats.len() == 1)));
    assert_eq!(hall.ask(1, &select("A1", "")), Ok("A1".into()));
    assert_eq!(hall.ask(1, &select("A2 A3 A4", "")), Ok("A1 A2 A3 A4".into()));
}

#[test]
fn another_layout_is_another_life_and_loses_no_seat() {
    let mut hall = Hall::new(4, false);
    assert_eq!(hall.ask(1, &CartRequest::Join { since: None }), Ok("true".into()));
    assert_eq!(hall.ask(1, &select("A4 B2", "")), Ok("A4 B2".into()));
    let before = hall.shard.selections("r").map(|state| state.epoch);
    let patch = |plan: &RoomPlan| SaleRequest::PatchRoom {
        patch: RoomPatch { layout: Some(Some(LayoutName::of(&plan.0))), ..RoomPatch::default() },
        plan: Some(plan.clone()),
    };
    let refused = hall.sell(&patch(&layout("small", 3)));
    assert!(matches!(
        refused,
        SaleAnswer::Refused { reject: Reject::LayoutMismatch, details } if details.conflicts.len() == 1
    ));
    assert!(matches!(hall.sell(&patch(&layout("large", 6))), SaleAnswer::Room { is_new: false, .. }));
    let renewed = hall.effects.iter().any(|effect| match effect {
        Effect::Room(news) => matches!(news.what, RoomChanged::Renewed { at } if at.seq == 0),
        _ => false,
    });
    assert!(renewed, "{:?}", hall.effects);
    assert_ne!(hall.shard.selections("r").map(|state| state.epoch), before);
    assert_eq!(hall.map(), "000100010000");
    assert_eq!(hall.ask(1, &select("A6", "A4")), Ok("B2 A6".into()));
    let unnamed = RoomSettings { layout: Some(LayoutName::of(&layout("x", 2).0)), ..RoomSettings::default() };
    let put = SaleRequest::PutRoom { settings: unnamed, plan: None };
    assert!(matches!(hall.sell(&put), SaleAnswer::Refused { reject: Reject::RoomDiffers, .. }));
}

#[test]
fn a_room_that_somebody_has_looked_at_lives_anew_though_nothing_has_changed_in_it() {
    let mut hall = Hall::new(4, false);
    assert_eq!(hall.ask(1, &CartRequest::Join { since: None }), Ok("true".into()));
    hall.input(Input::Gone { conn: ConnId::new(ShardId::new(0), 1, 0) });
    let before = hall.shard.selections("r").map(|state| (state.epoch, state.seq));
    let large = layout("large", 6);
    let patch = RoomPatch { layout: Some(Some(LayoutName::of(&large.0))), ..RoomPatch::default() };
    let patch = SaleRequest::PatchRoom { patch, plan: Some(large) };
    assert!(matches!(hall.sell(&patch), SaleAnswer::Room { is_new: false, .. }));
    let after = hall.shard.selections("r").map(|state| (state.epoch, state.seq));
    assert_ne!(after, before, "who comes back with the old position does not know the new map");
}

/// The promise to a stadium: what a room costs before anybody has taken a seat.
#[test]
fn fifty_thousand_free_seats_cost_little() {
    let hall = Hall::new(25_000, false);
    let state = hall.shard.selections("r").expect("the room");
    let bytes = state.hall().expect("a layout").memory_bytes();
    assert!(bytes <= 32 * 1024, "{bytes} bytes");
}
