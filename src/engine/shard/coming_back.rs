//! Tests: what an address decides. Who gets a hold from before a restart back, since a name is told to everybody and so
//! is not enough; how many seats are held from one.

use std::sync::Arc;

use crate::engine::command::{
    Caller, Claim, Effect, Effects, Input, KeptCart, KeptEntry, KeptOrder, OrderState, Owner, Reject, RestoredHold,
    RestoredRoom, RestoredSeat, SeatStatus, SessionId, Ticket,
};
use crate::engine::ids::{ClientId, ConnId, OrderId, Origin, SeatId, ShardId};
use crate::engine::keyed::Seeds;
use crate::engine::shard::{Fairness, RestoreBy, Rules, Shard};
use crate::engine::time::{Millis, Now, WallMillis};

const HOME: Origin = Origin { address: 7, owner: 70 };
const ELSEWHERE: Origin = Origin { address: 8, owner: 80 };
/// Another connection from the same place, and the same owner in another place.
const NEIGHBOUR: Origin = Origin { address: 7, owner: 71 };
const MOVED: Origin = Origin { address: 9, owner: 70 };

/// A hold of `ana` that came from `of`, a connection of this name from this place, and whether the hold is its own
/// then.
fn check(restore_by: RestoreBy, of: Origin, (name, from): (&str, Origin), is_its: bool) {
    let id = ShardId::new(0);
    let rules = Rules { hold_ttl_ms: 1_000, seats_per_client_max: 0 };
    let fairness = Fairness { restore_by, ..Fairness::default() };
    let mut shard = Shard::new(id, 1, Seeds::replayed(1, id), rules).with(fairness);
    let mut effects = Effects::new();
    let (ana, client) = (ClientId::new("ana").expect("a name"), ClientId::new(name).expect("a name"));
    let hold = RestoredHold {
        client: &ana,
        origin: of,
        user_info: &"{}".into(),
        at: WallMillis(0),
        expires_at: WallMillis(1_000),
        ends: Millis(1_000),
        waits_until: Millis(500),
        seq: 1,
    };
    let caller = Caller {
        conn: ConnId::new(id, 1, 0),
        client: &client,
        origin: from,
        ticket: Ticket::default(),
        identity: None,
    };
    shard.handle(Now::default(), Input::Restore { room: "r", seat: "A1", hold }, &mut effects);
    shard.handle(Now::default(), Input::Join { caller, room: "r" }, &mut effects);
    shard.check_invariants();
    effects.clear();
    shard.handle(Now::default(), Input::Release { caller, room: "r", seat: "A1" }, &mut effects);
    shard.check_invariants();
    let title = format!("{restore_by:?}: a hold from {of:?} and {name} from {from:?}");
    match (&effects[..], is_its) {
        ([Effect::Change(_)], true) | ([Effect::Refused { reject: Reject::NotOwner, .. }], false) => {}
        other => panic!("{title}: {other:?}"),
    }
}

#[test]
fn a_hold_goes_back_to_its_client_from_the_same_place() {
    let cases = [
        (RestoreBy::Address, HOME, ("ana", HOME), true),
        (RestoreBy::Address, HOME, ("ana", NEIGHBOUR), true),
        (RestoreBy::Address, HOME, ("ana", MOVED), true),
        (RestoreBy::Address, HOME, ("eve", MOVED), false),
        (RestoreBy::Address, HOME, ("ana", ELSEWHERE), false),
        (RestoreBy::Address, HOME, ("ana", Origin::UNKNOWN), false),
        (RestoreBy::Address, HOME, ("eve", HOME), false),
        // From before addresses were kept: nothing but the name is known.
        (RestoreBy::Address, Origin::UNKNOWN, ("ana", ELSEWHERE), true),
        (RestoreBy::Address, Origin::UNKNOWN, ("eve", ELSEWHERE), false),
        (RestoreBy::Proof, HOME, ("ana", MOVED), true),
        (RestoreBy::Proof, HOME, ("ana", NEIGHBOUR), false),
        (RestoreBy::Proof, HOME, ("eve", HOME), false),
        (RestoreBy::Proof, Origin::UNKNOWN, ("ana", Origin::UNKNOWN), false),
        (RestoreBy::ClientId, HOME, ("ana", ELSEWHERE), true),
        (RestoreBy::ClientId, HOME, ("eve", HOME), false),
    ];
    cases.into_iter().for_each(|(rule, of, caller, is_its)| check(rule, of, caller, is_its));
}

/// What is held from one address is bounded, whatever its connections call themselves, and every end of a hold makes
/// room.
#[test]
fn an_address_has_its_share() {
    let id = ShardId::new(0);
    let rules = Rules { hold_ttl_ms: 100, seats_per_client_max: 0 };
    let fairness = Fairness { seats_per_origin_max: 2, ..Fairness::default() };
    let mut shard = Shard::new(id, 1, Seeds::replayed(1, id), rules).with(fairness);
    let clients = ["a", "b", "c"].map(|name| ClientId::new(name).expect("a name"));
    let caller = |who: usize, origin| {
        let conn = ConnId::new(id, u32::try_from(who).expect("few"), 0);
        Caller { conn, client: &clients[who], origin, ticket: Ticket::default(), identity: None }
    };
    let select = |shard: &mut Shard, at_ms: u64, who: usize, origin: Origin, room: &str, seat: &str| {
        let mut effects = Effects::new();
        let now = Now { mono: Millis(at_ms), wall: WallMillis(at_ms) };
        shard.handle(now, Input::Select { caller: caller(who, origin), room, seat, user_info: "{}" }, &mut effects);
        shard.check_invariants();
        match effects.last() {
            Some(Effect::Change(_)) => Ok(()),
            Some(Effect::Refused { reject, .. }) => Err(*reject),
            other => panic!("{other:?}"),
        }
    };
    let full = Err(Reject::AddressLimit);
    assert_eq!(select(&mut shard, 0, 0, HOME, "r", "1"), Ok(()));
    assert_eq!(select(&mut shard, 10, 1, HOME, "s", "1"), Ok(()));
    assert_eq!(select(&mut shard, 10, 0, HOME, "r", "2"), full);
    assert_eq!(select(&mut shard, 10, 1, HOME, "r", "2"), full);
    assert_eq!(select(&mut shard, 10, 2, ELSEWHERE, "r", "2"), Ok(()));
    shard.handle(Now::default(), Input::Gone { conn: ConnId::new(id, 1, 0) }, &mut Effects::new());
    assert_eq!(select(&mut shard, 20, 0, HOME, "r", "3"), Ok(()), "one has gone");
    assert_eq!(select(&mut shard, 20, 0, HOME, "r", "4"), full);
    let release = Input::Release { caller: caller(0, HOME), room: "r", seat: "3" };
    shard.handle(Now::default(), release, &mut Effects::new());
    assert_eq!(select(&mut shard, 20, 0, HOME, "r", "4"), Ok(()), "one was given back");
    assert_eq!(select(&mut shard, 99, 0, HOME, "r", "5"), full);
    assert_eq!(select(&mut shard, 100, 0, HOME, "r", "5"), Ok(()), "one has run out");
    for number in 0..5 {
        let seat = format!("x{number}");
        assert_eq!(select(&mut shard, 100, 2, Origin::UNKNOWN, "r", &seat), Ok(()), "nowhere is no address");
    }
}

/// An order and a cart that were over between the reading of the store and the giving back end as everything does: told
/// and kept, not in silence.
#[test]
fn what_is_over_by_the_time_it_comes_back_ends_aloud() {
    let id = ShardId::new(0);
    let rules = Rules { hold_ttl_ms: 1_000, seats_per_client_max: 0 };
    let mut shard = Shard::new(id, 1, Seeds::replayed(1, id), rules);
    let (name, order) = (ClientId::new("ana").expect("a name"), OrderId::new("o1").expect("an id"));
    let owner = Owner::Session(SessionId::new(7));
    let now = Now { mono: Millis(50), wall: WallMillis(5_000) };
    let seat = |seat: &str, status, claim| RestoredSeat {
        seat: SeatId::new(seat).expect("an id"),
        status,
        claim,
        client: name.clone(),
        origin: HOME,
        user_info: "{}".into(),
        at: WallMillis(1_000),
        seq: 1,
    };
    let kept = KeptOrder {
        owner: Some(owner.clone()),
        client: name.clone(),
        state: OrderState::Checkout,
        seats: vec![SeatId::new("A1").expect("an id")],
        refunded: Vec::new(),
        expires_at: Some(now.wall),
    };
    let cart = KeptCart { first_at: WallMillis(1_000), expires_at: WallMillis(4_990), extends: 0 };
    let was = RestoredRoom {
        orders: vec![(order.clone(), Arc::new(kept))],
        carts: vec![(owner.clone(), cart)],
        seats: vec![
            seat("A1", SeatStatus::Checkout, Claim::Order(order)),
            seat("A2", SeatStatus::Held, Claim::Cart(owner)),
        ],
        ..RestoredRoom::default()
    };
    let mut effects = Effects::new();
    let input = Input::RestoreRoom { room: "r", was: &was, waits_until: Millis(500) };
    shard.handle(now, input, &mut effects);
    shard.check_invariants();
    assert!(effects.is_empty(), "what comes back changes nothing: {effects:?}");
    let taken = shard.selections("r").map(|room| room.iter().count());
    assert_eq!(taken, Some(2), "what was read as somebody's is somebody's until it ends");
    shard.handle(Now { mono: Millis(51), wall: WallMillis(5_001) }, Input::Tick, &mut effects);
    shard.check_invariants();
    let free = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Change(change) if change.kind.status() == SeatStatus::Free));
    assert_eq!(free.count(), 2, "{effects:?}");
    let is_end = |effect: &Effect| {
        matches!(effect, Effect::Keep(kept)
            if matches!(&kept.entry, KeptEntry::Order(_, Some(order)) if order.state == OrderState::Expired))
    };
    assert!(effects.iter().any(is_end), "the store learns that the order has expired: {effects:?}");
}
