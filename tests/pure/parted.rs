//! Rooms that come from another node and go to one, connections whose node ends, and what is not decided meanwhile.

use butaca::engine::command::{Caller, ChangeKind, Effect, Effects, Input, ReleaseReason, Ticket};
use butaca::engine::ids::{ClientId, ConnId, Origin, ShardId, ShardSet, Spread, part_of};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{Rules, Shard};
use butaca::engine::time::{Millis, Now, WallMillis};

const PARTS: u16 = 4;
const HOLD_MS: u64 = 1_000;

/// One shard of a cluster, with clients of other nodes.
struct Hall {
    shard: Shard,
    now: u64,
    effects: Effects,
}

fn conn(number: u32) -> ConnId {
    ConnId::new(ShardId::new(5), number, 0)
}

/// A room in this part.
fn room_in(part: u16) -> String {
    (0..).map(|number| format!("room-{number}")).find(|room| part_of(room, PARTS) == part).expect("there is one")
}

impl Hall {
    fn new() -> Self {
        let id = ShardId::new(0);
        let rules = Rules { hold_ttl_ms: HOLD_MS, seats_per_client_max: 10 };
        let shard = Shard::new(id, 1, Seeds::replayed(3, id), rules).with_spread(Spread::over(1).with_parts(PARTS));
        Self { shard, now: 1_000, effects: Effects::new() }
    }

    fn input(&mut self, input: Input<'_>) {
        self.effects.clear();
        let now = Now { mono: Millis(self.now), wall: WallMillis(self.now) };
        self.shard.handle(now, input, &mut self.effects);
        self.shard.check_invariants();
    }

    fn ask(&mut self, number: u32, input: impl FnOnce(Caller<'_>) -> Input<'_>) {
        let client = ClientId::new(&format!("client-{number}")).expect("a name");
        let origin = Origin { address: 7, owner: u64::from(number) };
        let (conn, ticket) = (conn(number), Ticket(1));
        let caller = Caller { conn, client: &client, origin, ticket, identity: None };
        // The texts of the input outlive the call.
        let input = input(caller);
        self.input(input);
    }

    fn join(&mut self, number: u32, room: &'static str) {
        self.ask(number, |caller| Input::Join { caller, room });
    }

    fn select(&mut self, number: u32, room: &'static str, seat: &'static str) {
        self.ask(number, |caller| Input::Select { caller, room, seat, user_info: "{}" });
    }

    /// The reasons for which seats became free in the last input.
    fn released(&self) -> Vec<ReleaseReason> {
        let reason = |effect: &Effect| match effect {
            Effect::Change(change) => match change.kind {
                ChangeKind::Released { reason } => Some(reason),
                ChangeKind::Selected { .. } => None,
            },
            _ => None,
        };
        self.effects.iter().filter_map(reason).collect()
    }

    fn held(&self, room: &str) -> usize {
        self.shard.selections(room).map_or(0, |state| state.iter().count())
    }
}

fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

#[test]
fn a_part_that_goes_leaves_nothing_and_nobody_is_told() {
    let mut hall = Hall::new();
    let (goes, stays) = (leaked(room_in(1)), leaked(room_in(2)));
    for room in [goes, stays] {
        hall.join(1, room);
        hall.join(2, room);
        hall.select(1, room, "A1");
        hall.select(2, room, "A2");
    }
    hall.input(Input::ForgetPart { part: 1 });
    assert!(hall.effects.is_empty(), "{:?}", hall.effects);
    assert!(hall.shard.selections(goes).is_none());
    assert_eq!(hall.held(stays), 2);
    // What ended there does not end here.
    hall.now += HOLD_MS;
    hall.input(Input::Tick);
    assert_eq!(hall.released(), [ReleaseReason::Expired; 2]);
}

#[test]
fn what_a_node_that_ends_leaves_waits_and_comes_back() {
    let mut hall = Hall::new();
    let room = leaked(room_in(1));
    hall.join(1, room);
    hall.select(1, room, "A1");
    let mut of = ShardSet::EMPTY;
    of.insert(ShardId::new(5));
    assert_eq!(hall.shard.connections_on(of), [conn(1)]);
    hall.input(Input::Away { conn: conn(1), waits_until: Millis(1_300) });
    assert!(hall.effects.is_empty() && hall.held(room) == 1);
    assert!(hall.shard.connections_on(of).is_empty());
    // Somebody else is no owner of it; its own client is, over whatever connection.
    hall.ask(2, |caller| Input::Return { caller, room });
    assert!(matches!(hall.effects[..], [Effect::Snapshot { .. }]));
    hall.ask(1, |caller| Input::Return { caller: Caller { conn: conn(9), ..caller }, room });
    hall.now = 1_300;
    hall.input(Input::Tick);
    assert_eq!(hall.held(room), 1, "it is here again");
    hall.input(Input::Gone { conn: conn(9) });
    assert_eq!(hall.released(), [ReleaseReason::Disconnected]);
}

#[test]
fn who_does_not_come_back_is_given_up() {
    let mut hall = Hall::new();
    let room = leaked(room_in(1));
    hall.select(1, room, "A1");
    hall.input(Input::Away { conn: conn(1), waits_until: Millis(1_300) });
    hall.now = 1_300;
    hall.input(Input::Tick);
    assert_eq!(hall.released(), [ReleaseReason::Disconnected]);
}

#[test]
fn nothing_of_a_frozen_part_ends() {
    let mut hall = Hall::new();
    let (frozen, other) = (leaked(room_in(1)), leaked(room_in(2)));
    hall.select(1, frozen, "A1");
    hall.select(1, other, "A1");
    hall.input(Input::Freeze { part: 1 });
    hall.now += HOLD_MS;
    hall.input(Input::Tick);
    assert_eq!(hall.released(), [ReleaseReason::Expired]);
    assert_eq!((hall.held(frozen), hall.held(other)), (1, 0));
    hall.input(Input::Thaw { part: 1 });
    hall.now += HOLD_MS;
    hall.input(Input::Tick);
    assert_eq!(hall.released(), [ReleaseReason::Expired]);
}
