//! The shard against the naive model under random operations, and its limits one by one.

use butaca::engine::command::{Caller, Effect, Effects, Input, Reject, Ticket};
use butaca::engine::ids::{ClientId, ConnId, Origin, ShardId};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{Rules, Shard};
use butaca::engine::time::Now;
use butaca::limits::{ROOM_HOLDS_MAX, ROOM_MEMBERS_MAX, ROOMS_PER_CONNECTION_MAX};
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_oneof, proptest};

use crate::model::pair::{Op, Pair, ROOMS, SEATS};

const CLIENTS: usize = 6;
const TTL_MS: u64 = 100;

fn seeds() -> Seeds {
    Seeds::replayed(1, ShardId::new(0))
}

fn op() -> impl Strategy<Value = Op> {
    let (client, room, seat) = (0..CLIENTS, 0..ROOMS.len(), 0..SEATS.len());
    let in_room = (client.clone(), room.clone());
    let at_seat = (client.clone(), room, seat);
    prop_oneof![
        4 => in_room.clone().prop_map(|(client, room)| Op::Join(client, room)),
        2 => in_room.clone().prop_map(|(client, room)| Op::Leave(client, room)),
        8 => at_seat.clone().prop_map(|(client, room, seat)| Op::Select(client, room, seat)),
        6 => at_seat.prop_map(|(client, room, seat)| Op::Release(client, room, seat)),
        1 => in_room.clone().prop_map(|(client, room)| Op::Resync(client, room)),
        1 => in_room.prop_map(|(back, room)| Op::Retract(room, back + 1)),
        2 => client.prop_map(Op::Gone),
        1 => Just(Op::Stranger),
        4 => prop_oneof![Just(0), Just(1), 2..TTL_MS, Just(TTL_MS), Just(TTL_MS + 1)].prop_map(Op::Pass),
        1 => (-500_i64..500).prop_map(Op::WallStep),
    ]
}

/// Holds from before a restart, in the order in which they end.
fn restored() -> impl Strategy<Value = Vec<Op>> {
    let hold = (0..CLIENTS, 0..ROOMS.len(), 0..SEATS.len(), 0..=TTL_MS);
    proptest::collection::vec(hold, 0..8).prop_map(|mut holds| {
        holds.sort_by_key(|hold| hold.3);
        holds.into_iter().map(|(client, room, seat, ms)| Op::Restore(client, room, seat, ms)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_shard_does_what_its_model_does(
        restored in restored(),
        ops in proptest::collection::vec(op(), 1..120),
        max in 0_u32..4,
    ) {
        let mut pair = Pair::new(Rules { hold_ttl_ms: TTL_MS, seats_per_client_max: max }, CLIENTS);
        for op in restored.into_iter().chain(ops).chain((0..CLIENTS).map(Op::Gone)) {
            pair.check(op);
        }
    }
}

/// A shard, and connections to call it with.
struct Calls {
    shard: Shard,
    client: ClientId,
    effects: Effects,
}

impl Calls {
    fn new() -> Self {
        let shard = Shard::new(ShardId::new(0), 1, seeds(), Rules { hold_ttl_ms: TTL_MS, seats_per_client_max: 0 });
        Self { shard, client: ClientId::new("c").expect("a valid id"), effects: Effects::new() }
    }

    /// The refusal, if it is one.
    fn call<'a>(
        &mut self,
        conn: u32,
        input: impl FnOnce(Caller<'a>) -> Input<'a>,
        client: &'a ClientId,
    ) -> Option<Reject> {
        let conn = ConnId::new(ShardId::new(0), conn, 0);
        self.effects.clear();
        self.shard.handle(
            Now::default(),
            input(Caller { conn, client, origin: Origin::UNKNOWN, ticket: Ticket::default(), identity: None }),
            &mut self.effects,
        );
        match self.effects.last() {
            Some(Effect::Refused { reject, .. }) => Some(*reject),
            _ => None,
        }
    }

    fn join(&mut self, conn: u32, room: &str) -> Option<Reject> {
        let client = self.client.clone();
        self.call(conn, |caller| Input::Join { caller, room }, &client)
    }

    fn leave(&mut self, conn: u32, room: &str) {
        let client = self.client.clone();
        self.call(conn, |caller| Input::Leave { caller, room }, &client);
    }

    fn select(&mut self, conn: u32, room: &str, seat: &str) -> Option<Reject> {
        let client = self.client.clone();
        self.call(conn, |caller| Input::Select { caller, room, seat, user_info: "{}" }, &client)
    }

    fn release(&mut self, conn: u32, room: &str, seat: &str) {
        let client = self.client.clone();
        self.call(conn, |caller| Input::Release { caller, room, seat }, &client);
    }
}

#[test]
fn a_connection_is_in_so_many_rooms() {
    let mut calls = Calls::new();
    let last = (ROOMS_PER_CONNECTION_MAX - 1).to_string();
    (1..ROOMS_PER_CONNECTION_MAX).for_each(|room| assert_eq!(calls.join(0, &room.to_string()), None));
    assert_eq!(calls.select(0, "held", "s"), None);
    assert_eq!(calls.join(0, "more"), Some(Reject::Overloaded));
    assert_eq!(calls.select(0, "more", "s"), Some(Reject::Overloaded));
    // Rooms in which it is already are open to it, and so is the whole house to others.
    assert_eq!([calls.join(0, "held"), calls.select(0, &last, "s"), calls.join(1, "more")], [None; 3]);
    // A room counts until the connection is neither a member nor a holder.
    calls.leave(0, &last);
    assert_eq!(calls.join(0, "more"), Some(Reject::Overloaded));
    calls.release(0, &last, "s");
    assert_eq!(calls.join(0, "more"), None);
}

#[test]
fn a_room_has_so_many_holds() {
    let mut calls = Calls::new();
    (0..ROOM_HOLDS_MAX).for_each(|seat| assert_eq!(calls.select(0, "r", &seat.to_string()), None));
    assert_eq!(calls.select(1, "r", "more"), Some(Reject::Overloaded));
    assert_eq!(calls.select(1, "r", "7"), Some(Reject::SeatTaken));
    calls.release(0, "r", "7");
    assert_eq!(calls.select(1, "r", "more"), None);
}

#[test]
fn a_room_has_so_many_members() {
    let mut calls = Calls::new();
    let max = u32::try_from(ROOM_MEMBERS_MAX).expect("slots are 24 bits");
    (0..max).for_each(|conn| assert_eq!(calls.join(conn, "r"), None));
    assert_eq!(calls.join(max, "r"), Some(Reject::Overloaded));
    assert_eq!(calls.join(0, "r"), None);
    calls.leave(0, "r");
    assert_eq!(calls.join(max, "r"), None);
}

#[test]
fn a_step_of_the_wall_clock_moves_no_deadline() {
    let mut pair = Pair::new(Rules { hold_ttl_ms: TTL_MS, seats_per_client_max: 0 }, 1);
    let ops = [Op::Select(0, 0, 0), Op::WallStep(-100_000), Op::Pass(TTL_MS - 1), Op::WallStep(1_000_000), Op::Pass(1)];
    for op in ops {
        pair.check(op);
    }
}

#[test]
#[should_panic(expected = "a command for a room of another shard")]
fn a_room_of_another_shard_is_our_bug() {
    let rules = Rules { hold_ttl_ms: TTL_MS, seats_per_client_max: 0 };
    let mut calls = Calls::new();
    let other = (0..).map(|n| n.to_string()).find(|room| butaca::engine::ids::shard_of(room, 2).index() == 1);
    calls.shard = Shard::new(ShardId::new(0), 2, seeds(), rules);
    calls.join(0, &other.expect("one of two"));
}
