//! Carts, line by line: what one owner is told, and what everybody sees of it.

use std::sync::Arc;

use butaca::engine::command::{
    Caller, CartReason, CartRequest, CartTold, CartView, CartWhy, ChangeKind, Effect, Effects, Identity, Input, Owner,
    Reject, ReleaseReason, SeatStatus, SessionId, Ticket, Told,
};
use butaca::engine::ids::{ClientId, ConnId, Origin, RoomId, SeatId, ShardId};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{CartRules, Rules, Shard};
use butaca::engine::time::{Millis, Now, WallMillis};

const HOLD_MS: u64 = 1_000;
const RULES: CartRules = CartRules {
    grace_ms: 300,
    extends_max: 1,
    life_max_ms: 1_800,
    warn_ms: 200,
    only_declared: false,
    room_keep_ms: 0,
};

/// A shard with one room, and people with sessions.
struct Hall {
    shard: Shard,
    now: u64,
    effects: Effects,
}

/// Somebody: the name, the connection and its incarnation.
type Who = (&'static str, u32, u64);

const ANA: Who = ("ana", 1, 1);
const BEN: Who = ("ben", 2, 1);

fn seats(names: &str) -> Vec<SeatId> {
    names.split_whitespace().map(|name| SeatId::new(name).expect("a name")).collect()
}

fn names(seats: &[SeatId]) -> String {
    seats.iter().map(SeatId::as_str).collect::<Vec<_>>().join(" ")
}

fn owner((name, ..): Who) -> Owner {
    if name.starts_with('@') { Owner::Subject(name.into()) } else { Owner::Session(SessionId::new(hash(name))) }
}

fn hash(name: &str) -> u128 {
    name.bytes().fold(7, |hash, byte| hash * 31 + u128::from(byte))
}

fn select(take: &str, release: &str) -> CartRequest {
    CartRequest::Select { seats: seats(take), release: seats(release), user_info: "{}".into() }
}

fn release(names: &str) -> CartRequest {
    CartRequest::Release { seats: seats(names) }
}

impl Hall {
    fn new(rules: CartRules, max: u32) -> Self {
        let id = ShardId::new(0);
        let seat_rules = Rules { hold_ttl_ms: HOLD_MS, seats_per_client_max: max };
        let shard = Shard::new(id, 1, Seeds::replayed(3, id), seat_rules).with_carts(rules);
        Self { shard, now: 1_000, effects: Effects::new() }
    }

    fn input(&mut self, input: Input<'_>) {
        self.effects.clear();
        let now = Now { mono: Millis(self.now), wall: WallMillis(self.now) };
        self.shard.handle(now, input, &mut self.effects);
        self.shard.check_invariants();
    }

    fn conn((_, conn, _): Who) -> ConnId {
        ConnId::new(ShardId::new(0), conn, 0)
    }

    fn with<R>(&mut self, who: Who, run: impl FnOnce(&mut Self, Caller<'_>) -> R) -> R {
        let client = ClientId::new(who.0).expect("a name");
        let identity = Identity { owner: owner(who), incarnation: who.2, max_seats: None };
        let conn = Self::conn(who);
        let (origin, ticket, identity) = (Origin::UNKNOWN, Ticket(9), Some(&identity));
        run(self, Caller { conn, client: &client, origin, ticket, identity })
    }

    /// What the request is answered: the seats of the cart, or the refusal with its conflicts.
    fn ask(&mut self, who: Who, request: &CartRequest) -> Result<String, (Reject, String)> {
        self.with(who, |hall, caller| hall.input(Input::Cart { caller, room: "r", request }));
        let answers = self.effects.iter().filter_map(|effect| match effect {
            Effect::Cart(told) if matches!(told.to, Told::Asker(asker, _) if asker.ticket == Ticket(9)) => {
                Some(Ok(names(&told.cart.seats)))
            }
            Effect::Entered(entered) => Some(Ok(names(&entered.cart.seats))),
            Effect::Refused { reject, details, .. } => {
                let conflicts = details.iter().flat_map(|details| &details.conflicts);
                let texts: Vec<_> = conflicts.map(|(seat, status)| format!("{seat} {}", status.word())).collect();
                Some(Err((*reject, texts.join(", "))))
            }
            _ => None,
        });
        let all: Vec<_> = answers.collect();
        let [answer] = &all[..] else { panic!("{} answers to {request:?}: {:?}", all.len(), self.effects) };
        assert!(answer.is_ok() || self.changes().is_empty(), "a refusal changes nothing");
        answer.clone()
    }

    fn tick(&mut self, at: u64) {
        self.now = at;
        self.input(Input::Tick);
    }

    fn gone(&mut self, who: Who) {
        self.input(Input::Gone { conn: Self::conn(who) });
    }

    /// The changes of the last input: the seat, and the state or the reason.
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

    /// What was told unasked by the last input: the connection and why.
    fn told(&self) -> Vec<(u32, CartWhy, Arc<CartView>)> {
        let told = self.effects.iter().filter_map(|effect| match effect {
            Effect::Cart(told) => match &**told {
                CartTold { to: Told::Conn(conn), why, cart, .. } => Some((conn.slot(), why.clone(), Arc::clone(cart))),
                CartTold { .. } => None,
            },
            _ => None,
        });
        told.collect()
    }

    /// The cart, without asking for anything that changes something.
    fn cart(&mut self, who: Who) -> Option<Arc<CartView>> {
        let rooms = [RoomId::new("r").expect("a name")];
        self.with(who, |hall, caller| hall.input(Input::Resume { caller, rooms: &rooms }));
        self.effects.iter().find_map(|effect| match effect {
            Effect::Resumed(resumed) => resumed.carts.first().map(|cart| Arc::clone(&cart.cart)),
            _ => None,
        })
    }

    fn expires_at(&mut self, who: Who) -> Option<u64> {
        self.cart(who).and_then(|cart| cart.expires_at).map(|at| at.0)
    }
}

fn ok(cart: &str) -> Result<String, (Reject, String)> {
    Ok(cart.to_owned())
}

fn no(reject: Reject, conflicts: &str) -> Result<String, (Reject, String)> {
    Err((reject, conflicts.to_owned()))
}

#[test]
fn all_or_nothing_with_the_releases_in_one_step() {
    let mut hall = Hall::new(RULES, 0);
    assert_eq!(hall.ask(ANA, &select("A1 A2", "")), ok("A1 A2"));
    assert_eq!(hall.changes(), ["A1 held", "A2 held"]);
    assert_eq!(hall.ask(BEN, &select("A3 A2 A1", "")), no(Reject::SeatsUnavailable, "A2 held, A1 held"));
    assert_eq!(hall.ask(ANA, &select("A2 A3", "A1")), ok("A2 A3"), "what one has is no error");
    assert_eq!(hall.changes(), ["A1 released", "A3 held"]);
    assert_eq!(hall.ask(ANA, &select("A2", "")), ok("A2 A3"));
    assert_eq!(hall.changes().len(), 0);
    for (take, release) in [("A4 A4", ""), ("A4", "A4"), ("A2", "A2"), ("", "A2"), ("A4", "A2 A2")] {
        assert_eq!(hall.ask(ANA, &select(take, release)), no(Reject::BadRequest, ""), "{take:?} for {release:?}");
    }
    assert_eq!(hall.ask(ANA, &select("A5", "A6")), no(Reject::NotHeld, "A6 free"));
    assert_eq!(hall.ask(BEN, &select("A5", "A2")), no(Reject::NotOwner, "A2 held"));
    assert_eq!(hall.ask(BEN, &release("A2 A6")), no(Reject::NotOwner, "A2 held, A6 free"));
    assert_eq!(hall.ask(ANA, &release("A2 A6")), no(Reject::NotHeld, "A6 free"));
    assert_eq!(hall.ask(ANA, &release("A2")), ok("A3"));
    assert_eq!(hall.ask(ANA, &CartRequest::ReleaseAll), ok(""));
    assert_eq!(hall.changes(), ["A3 released"]);
    assert_eq!(hall.ask(ANA, &CartRequest::ReleaseAll), ok(""));
}

#[test]
fn one_deadline_a_cart() {
    let mut hall = Hall::new(RULES, 0);
    assert_eq!(hall.ask(ANA, &select("A1", "")), ok("A1"));
    hall.now = 1_500;
    assert_eq!(hall.ask(ANA, &select("A2", "")), ok("A1 A2"));
    assert_eq!(hall.expires_at(ANA), Some(2_000), "further seats do not move it");
    assert_eq!(hall.shard.next_deadline(), Some(Millis(1_800)), "it is announced");
    hall.tick(1_800);
    assert!(matches!(&hall.told()[..], [(1, CartWhy::Expiring { left_ms: 200 }, _)]), "{:?}", hall.effects);
    hall.tick(1_999);
    assert_eq!(hall.changes().len(), 0);
    hall.tick(2_000);
    assert_eq!(hall.changes(), ["A1 expired", "A2 expired"]);
    let [(1, CartWhy::Changed { reason: CartReason::Expired, gone, order: None }, view)] = &hall.told()[..] else {
        panic!("{:?}", hall.effects)
    };
    assert_eq!((names(gone), &**view), ("A1 A2".to_owned(), &CartView { extends_left: 1, ..CartView::default() }));
    assert_eq!(hall.shard.next_deadline(), None);
    assert_eq!(hall.ask(ANA, &CartRequest::Extend), no(Reject::HoldExpired { retry_after_ms: 0 }, ""));
}

#[test]
fn an_extension_is_one_and_within_the_life_of_a_cart() {
    let mut hall = Hall::new(RULES, 0);
    assert_eq!(hall.ask(ANA, &CartRequest::Extend), no(Reject::HoldExpired { retry_after_ms: 0 }, ""));
    assert_eq!(hall.ask(ANA, &select("A1 A2", "")), ok("A1 A2"));
    hall.tick(1_900);
    assert_eq!(hall.ask(ANA, &CartRequest::Extend), ok("A1 A2"));
    let view = hall.cart(ANA).expect("a cart");
    assert_eq!((view.expires_at, view.extends_left), (Some(WallMillis(2_800)), 0), "1,800 after the first seat");
    assert_eq!(hall.ask(ANA, &CartRequest::Extend), no(Reject::ExtendLimit, ""));
    hall.tick(2_600);
    assert!(matches!(&hall.told()[..], [(1, CartWhy::Expiring { left_ms: 200 }, _)]), "again after an extension");
    hall.tick(2_800);
    assert_eq!(hall.changes().len(), 2);

    let mut short = Hall::new(CartRules { warn_ms: HOLD_MS, ..RULES }, 0);
    assert_eq!(short.ask(ANA, &select("A1", "")), ok("A1"));
    assert_eq!(short.shard.next_deadline(), Some(Millis(2_000)), "never when the whole hold is shorter");
}

#[test]
fn letting_go_is_no_new_life() {
    let mut hall = Hall::new(RULES, 0);
    assert_eq!(hall.ask(ANA, &select("A1", "")), ok("A1"));
    hall.now = 1_400;
    assert_eq!(hall.ask(ANA, &CartRequest::Extend), ok("A1"));
    hall.now = 1_500;
    assert_eq!(hall.ask(ANA, &CartRequest::ReleaseAll), ok(""));
    hall.now = 1_600;
    assert_eq!(hall.ask(ANA, &select("B1", "")), ok("B1"));
    let view = hall.cart(ANA).expect("a cart");
    assert_eq!((view.expires_at, view.extends_left), (Some(WallMillis(2_400)), 0));
    assert_eq!(hall.ask(ANA, &release("B1")), ok(""));
    hall.now = 2_500;
    let late = Reject::HoldExpired { retry_after_ms: 100 };
    assert_eq!(hall.ask(ANA, &select("A1", "")), no(late, ""), "its time is over, and it was there until a moment ago");
    assert_eq!(hall.ask(BEN, &select("A1", "")), ok("A1"));
    hall.now = 2_600;
    assert_eq!(hall.ask(ANA, &select("A2", "")), ok("A2"));
    assert_eq!(hall.expires_at(ANA), Some(3_600));
}

#[test]
fn a_cart_waits_for_its_session() {
    let mut hall = Hall::new(RULES, 0);
    assert_eq!(hall.ask(ANA, &CartRequest::Join { since: None }), ok(""));
    assert_eq!(hall.ask(ANA, &select("A1 A2", "")), ok("A1 A2"));
    hall.gone(ANA);
    assert_eq!((hall.changes().len(), hall.shard.counts().members), (0, 0));
    hall.tick(1_299);
    assert_eq!(hall.changes().len(), 0);
    let again = ("ana", 7, 2);
    assert_eq!(hall.cart(again).map(|cart| names(&cart.seats)), Some("A1 A2".to_owned()));
    assert_eq!(hall.expires_at(again), Some(2_000), "with the old deadline");
    assert_eq!(hall.cart(BEN), None, "and only to who it is");
    hall.tick(1_900);
    hall.gone(again);
    hall.tick(2_000);
    assert_eq!(hall.changes(), ["A1 expired", "A2 expired"], "the clock goes on while one is away");
    assert_eq!(hall.ask(("ana", 8, 3), &select("B1", "")), ok("B1"));
    hall.gone(("ana", 8, 3));
    hall.tick(2_300);
    assert_eq!(hall.changes(), ["B1 disconnected"]);
    assert_eq!(hall.shard.counts().rooms, 0);

    let mut hasty = Hall::new(CartRules { grace_ms: 0, ..RULES }, 0);
    assert_eq!(hasty.ask(ANA, &select("A1", "")), ok("A1"));
    hasty.gone(ANA);
    assert_eq!(hasty.changes(), ["A1 disconnected"]);
}

#[test]
fn a_newer_connection_takes_the_session_over() {
    let mut hall = Hall::new(RULES, 0);
    let superseded = |hall: &Hall| -> Vec<u32> {
        let conns = hall.effects.iter().filter_map(|effect| match effect {
            Effect::Superseded { conn } => Some(conn.slot()),
            _ => None,
        });
        conns.collect()
    };
    assert_eq!(hall.ask(ANA, &select("A1", "")), ok("A1"));
    let newer = ("ana", 5, 2);
    assert_eq!(hall.cart(newer).map(|cart| names(&cart.seats)), Some("A1".to_owned()));
    assert_eq!(superseded(&hall), [1]);
    hall.with(ANA, |hall, caller| hall.input(Input::Cart { caller, room: "r", request: &select("A2", "") }));
    assert_eq!((superseded(&hall), hall.effects.len()), (vec![1], 1), "the older one gets nothing");
    hall.gone(ANA);
    hall.tick(1_900);
    assert_eq!(hall.cart(newer).map(|cart| names(&cart.seats)), Some("A1".to_owned()), "its end is nothing");
    hall.gone(newer);
    hall.with(ANA, |hall, caller| hall.input(Input::Cart { caller, room: "r", request: &select("A2", "") }));
    assert_eq!(superseded(&hall), [1], "not even when the newer one has gone");
}

#[test]
fn a_subject_has_several_connections() {
    let mut hall = Hall::new(RULES, 2);
    let (one, two) = (("@ana", 1, 1), ("@ana", 2, 1));
    assert_eq!(hall.ask(one, &CartRequest::Join { since: None }), ok(""));
    assert_eq!(hall.ask(two, &select("A1", "")), ok("A1"));
    let [(1, CartWhy::Changed { reason: CartReason::OtherConnection, gone, .. }, view)] = &hall.told()[..] else {
        panic!("{:?}", hall.effects)
    };
    assert_eq!((gone.len(), names(&view.seats)), (0, "A1".to_owned()));
    assert_eq!(hall.ask(one, &select("A2 A3", "")), no(Reject::LimitExceeded, ""), "limits count for the subject");
    assert_eq!(hall.ask(one, &select("A2 A3", "A1")), ok("A2 A3"));
    assert_eq!(hall.told().len(), 1);
    hall.gone(two);
    hall.tick(1_400);
    assert_eq!(hall.changes().len(), 0, "one is still here");
    hall.gone(one);
    hall.tick(1_700);
    assert_eq!(hall.changes(), ["A2 disconnected", "A3 disconnected"]);
}

/// A v1 connection with a token has its subject's cart, and the answers of v1.
#[test]
fn a_v1_client_with_a_token_has_the_cart_of_its_subject() {
    let mut hall = Hall::new(RULES, 0);
    let (one, two) = (("@ana", 1, 1), ("@ana", 2, 1));
    hall.with(one, |hall, caller| hall.input(Input::Select { caller, room: "r", seat: "A1", user_info: "{}" }));
    let [Effect::Change(change), Effect::Keep(_)] = &hall.effects[..] else { panic!("{:?}", hall.effects) };
    assert_eq!((change.actor, change.answers), (Some(Hall::conn(one)), Some(Ticket(9))));
    assert_eq!(hall.ask(two, &select("A2", "")), ok("A1 A2"));
    hall.with(one, |hall, caller| hall.input(Input::Select { caller, room: "r", seat: "A2", user_info: "{}" }));
    assert!(matches!(&hall.effects[..], [Effect::Again { .. }]), "{:?}", hall.effects);
    hall.with(one, |hall, caller| hall.input(Input::Release { caller, room: "r", seat: "A2" }));
    assert_eq!(hall.changes(), ["A2 released"]);
    assert_eq!(hall.told().len(), 1);
    assert_eq!(hall.ask(BEN, &select("A2", "")), ok("A2"));
    hall.with(one, |hall, caller| hall.input(Input::Select { caller, room: "r", seat: "A2", user_info: "{}" }));
    assert!(matches!(&hall.effects[..], [Effect::Refused { reject: Reject::SeatTaken, .. }]), "{:?}", hall.effects);
}

#[test]
fn v1_and_v2_meet_in_one_room() {
    let mut hall = Hall::new(RULES, 0);
    let client = ClientId::new("old").expect("a name");
    let conn = ConnId::new(ShardId::new(0), 9, 0);
    let caller = Caller { conn, client: &client, origin: Origin::UNKNOWN, ticket: Ticket(1), identity: None };
    hall.input(Input::Select { caller, room: "r", seat: "A1", user_info: "{}" });
    assert_eq!(hall.changes(), ["A1 held"]);
    assert_eq!(hall.ask(ANA, &select("A1", "")), no(Reject::SeatsUnavailable, "A1 held"));
    assert_eq!(hall.ask(ANA, &select("A2", "")), ok("A2"));
    hall.input(Input::Select { caller, room: "r", seat: "A2", user_info: "{}" });
    assert!(matches!(&hall.effects[..], [Effect::Refused { reject: Reject::SeatTaken, .. }]), "{:?}", hall.effects);
    hall.input(Input::Release { caller, room: "r", seat: "A2" });
    assert!(matches!(&hall.effects[..], [Effect::Refused { reject: Reject::NotOwner, .. }]), "{:?}", hall.effects);
    let state = hall.shard.selections("r").expect("the room");
    let mut all: Vec<_> = state.iter().map(|seat| (seat.seat.as_str(), seat.status, seat.client.as_str())).collect();
    all.sort_unstable();
    assert_eq!(all, [("A1", SeatStatus::Held, "old"), ("A2", SeatStatus::Held, "ana")]);
    hall.gone(("old", 9, 0));
    assert_eq!(hall.changes(), ["A1 disconnected"], "at once");
    assert_eq!(ReleaseReason::Disconnected.word(), "disconnected");
}
