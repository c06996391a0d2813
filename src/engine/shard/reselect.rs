//! Tests: a seat whose hold has run out goes to somebody else first. Time is an argument.

use crate::engine::command::{Caller, ChangeKind, Effect, Effects, Input, Reject, ReleaseReason, Ticket};
use crate::engine::ids::{ClientId, ConnId, Origin, ShardId};
use crate::engine::keyed::Seeds;
use crate::engine::shard::{Fairness, Rules, Shard};
use crate::engine::time::{Millis, Now, WallMillis};
use crate::limits::{BARRED_SEATS_MAX, RESELECT_AFTER_MS};

const TTL_MS: u64 = 1_000;

struct World {
    shard: Shard,
    effects: Effects,
}

impl World {
    fn new(reselect_after_ms: u64) -> Self {
        let id = ShardId::new(0);
        let rules = Rules { hold_ttl_ms: TTL_MS, seats_per_client_max: 0 };
        let shard = Shard::new(id, 1, Seeds::replayed(1, id), rules)
            .with(Fairness { reselect_after_ms, ..Fairness::default() });
        Self { shard, effects: Effects::new() }
    }

    /// What becomes of the last effect of a select by this client on this connection.
    fn select(&mut self, at_ms: u64, (client, conn): (&str, u32), seat: &str) -> Result<(), Reject> {
        let client = ClientId::new(client).expect("a name");
        let caller = Caller {
            conn: ConnId::new(ShardId::new(0), conn, 0),
            client: &client,
            origin: Origin::UNKNOWN,
            ticket: Ticket::default(),
            identity: None,
        };
        self.handle(at_ms, Input::Select { caller, room: "r", seat, user_info: "{}" });
        match self.effects.last() {
            Some(Effect::Change(change)) => {
                assert!(matches!(change.kind, ChangeKind::Selected { .. }));
                Ok(())
            }
            Some(Effect::Refused { reject, .. }) => Err(*reject),
            other => panic!("{other:?}"),
        }
    }

    fn handle(&mut self, at_ms: u64, input: Input<'_>) {
        self.effects.clear();
        let now = Now { mono: Millis(at_ms), wall: WallMillis(at_ms) };
        self.shard.handle(now, input, &mut self.effects);
        self.shard.check_invariants();
    }
}

const HOARDER: (&str, u32) = ("hoarder", 1);
const HONEST: (&str, u32) = ("ana", 2);

#[test]
fn who_let_a_hold_run_out_comes_last() {
    let mut world = World::new(RESELECT_AFTER_MS);
    assert_eq!(world.select(0, HOARDER, "A1"), Ok(()));
    // For the very moment of the deadline, on another connection, and at the last moment at which it may not.
    let too_soon = |retry_after_ms| Err(Reject::TooSoon { retry_after_ms });
    assert_eq!(world.select(TTL_MS, HOARDER, "A1"), too_soon(2_000));
    assert!(matches!(
        world.effects.first(),
        Some(Effect::Change(change)) if matches!(change.kind, ChangeKind::Released { reason: ReleaseReason::Expired })
    ));
    assert_eq!(world.select(TTL_MS, ("hoarder", 7), "A1"), too_soon(2_000));
    assert_eq!(world.select(TTL_MS + 1_999, HOARDER, "A1"), too_soon(1));
    assert_eq!(world.select(TTL_MS, HOARDER, "A2"), Ok(()), "another seat is no matter");
    let mut other = World::new(RESELECT_AFTER_MS);
    assert_eq!(other.select(0, HOARDER, "A1"), Ok(()));
    assert_eq!(other.select(TTL_MS + 5, HONEST, "A1"), Ok(()), "everybody else may have it at once");
    assert_eq!(other.select(TTL_MS + 6, HOARDER, "A1"), Err(Reject::SeatTaken));
    assert_eq!(world.select(TTL_MS + 2_000, HOARDER, "A1"), Ok(()), "nobody wanted it");
}

#[test]
fn off_is_off() {
    let mut world = World::new(0);
    assert_eq!(world.select(0, HOARDER, "A1"), Ok(()));
    assert_eq!(world.select(TTL_MS, HOARDER, "A1"), Ok(()));
}

/// A hold that was given back is no matter, whoever takes the seat next.
#[test]
fn who_gives_a_seat_back_may_take_it_again() {
    let mut world = World::new(RESELECT_AFTER_MS);
    assert_eq!(world.select(0, HOARDER, "A1"), Ok(()));
    let client = ClientId::new("hoarder").expect("a name");
    let caller = Caller {
        conn: ConnId::new(ShardId::new(0), 1, 0),
        client: &client,
        origin: Origin::UNKNOWN,
        ticket: Ticket::default(),
        identity: None,
    };
    world.handle(10, Input::Release { caller, room: "r", seat: "A1" });
    assert_eq!(world.select(11, HOARDER, "A1"), Ok(()));
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut world = World::new(RESELECT_AFTER_MS);
    let client = ClientId::new("hoarder").expect("a name");
    let (room, seat) = ("r".to_owned(), |number: usize| format!("S{number}"));
    let ids = |number| (super::RoomId::new(&room).expect("a name"), super::SeatId::new(&seat(number)).expect("a name"));
    for number in 0..BARRED_SEATS_MAX + 10 {
        let (room, seat) = ids(number);
        world.shard.barred.note(Millis(5_000), &room, &seat, (None, &client, Origin::UNKNOWN));
    }
    world.shard.barred.check_invariants();
    let caller = Caller {
        conn: ConnId::new(ShardId::new(0), 1, 0),
        client: &client,
        origin: Origin::UNKNOWN,
        ticket: Ticket::default(),
        identity: None,
    };
    assert_eq!(
        world.shard.barred.until((Some(caller.conn), caller.client, caller.origin), "r", "S9"),
        None,
        "the oldest has given way"
    );
    assert_eq!(
        world.shard.barred.until((Some(caller.conn), caller.client, caller.origin), "r", "S10"),
        Some(Millis(5_000))
    );
    world.handle(5_000, Input::Tick);
    assert_eq!(world.shard.barred.until((Some(caller.conn), caller.client, caller.origin), "r", "S10"), None);
}
