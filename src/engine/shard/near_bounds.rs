//! Counters near their bounds: what is refused there, and that nothing overflows whatever is asked.

use proptest::prelude::{ProptestConfig, Strategy, any, proptest};

use super::{Rules, Shard};
use crate::engine::command::{Caller, Effect, Effects, Input, Reject, RestoredHold, Ticket};
use crate::engine::ids::{ClientId, ConnId, Origin, ShardId};
use crate::engine::keyed::Seeds;
use crate::engine::time::{Millis, Now, WallMillis};
use crate::limits::{HOLDS_MADE_MAX, ROOM_HOLDS_MAX, ROOMS_MADE_MAX, SEQ_MAX, SEQ_RESTORED_MAX};

/// Changes that a room refuses to begin because the ends of all holds may need their numbers.
const RESERVED: u64 = 2 * ROOM_HOLDS_MAX as u64;

/// How many of each are left.
#[derive(Clone, Copy, Debug)]
struct Left {
    rooms: u64,
    holds: u64,
    changes: u64,
}

struct Calls {
    shard: Shard,
    now: Now,
    left: Left,
    effects: Effects,
}

impl Calls {
    fn new(left: Left) -> Self {
        let rules = Rules { hold_ttl_ms: 50, seats_per_client_max: 0 };
        let id = ShardId::new(0);
        let mut shard = Shard::new(id, 1, Seeds::replayed(1, id), rules);
        shard.rooms_made.skip_to(ROOMS_MADE_MAX - left.rooms);
        shard.holds_made.skip_to(HOLDS_MADE_MAX - left.holds);
        Self { shard, now: Now { mono: Millis(1), wall: WallMillis(1) }, left, effects: Effects::new() }
    }

    /// The room has used most of its numbers.
    fn age(&mut self, room: &str) {
        if let Some(slot) = self.shard.find(room) {
            let aged = SEQ_MAX - RESERVED - self.left.changes;
            let seq = self.shard.rooms[slot].seq;
            self.shard.rooms[slot].seq = seq.max(aged);
        }
    }

    fn ask(&mut self, input: Input<'_>) -> Option<Reject> {
        self.effects.clear();
        self.shard.handle(self.now, input, &mut self.effects);
        self.effects
            .iter()
            .find_map(|effect| if let Effect::Refused { reject, .. } = effect { Some(*reject) } else { None })
    }

    fn op(&mut self, (what, who, room, seat): (u8, u32, u8, u8)) {
        let client = ClientId::new("ana").expect("a valid id");
        let caller = Caller {
            conn: ConnId::new(ShardId::new(0), who, 0),
            client: &client,
            origin: Origin::UNKNOWN,
            ticket: Ticket::default(),
            identity: None,
        };
        let (room, seat) = (format!("room {}", room % 3), format!("seat {}", seat % 4));
        let (room, seat) = (room.as_str(), seat.as_str());
        self.age(room);
        let rejected = match what % 6 {
            0 => self.ask(Input::Join { caller, room }),
            1 | 2 => self.ask(Input::Select { caller, room, seat, user_info: "{}" }),
            3 => self.ask(Input::Release { caller, room, seat }),
            4 => self.ask(Input::Gone { conn: caller.conn }),
            _ => {
                self.now.mono = self.now.mono.after(20);
                self.ask(Input::Tick)
            }
        };
        let is_known =
            |reject| matches!(reject, Reject::Overloaded | Reject::SeatTaken | Reject::NotHeld | Reject::NotOwner);
        assert!(rejected.is_none_or(is_known), "{rejected:?}");
        self.shard.check_invariants();
    }
}

fn op() -> impl Strategy<Value = (u8, u32, u8, u8)> {
    (any::<u8>(), 0..4_u32, any::<u8>(), any::<u8>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_overflows(
        rooms in 0..4_u64,
        holds in 0..6_u64,
        changes in 0..6_u64,
        ops in proptest::collection::vec(op(), 1..60),
    ) {
        let mut calls = Calls::new(Left { rooms, holds, changes });
        ops.into_iter().for_each(|op| calls.op(op));
    }
}

#[test]
fn each_bound_refuses_and_ends_of_holds_are_still_counted() {
    let client = ClientId::new("ana").expect("a valid id");
    let caller = Caller {
        conn: ConnId::new(ShardId::new(0), 1, 0),
        client: &client,
        origin: Origin::UNKNOWN,
        ticket: Ticket::default(),
        identity: None,
    };
    let select = |room: &'static str, seat: &'static str| Input::Select { caller, room, seat, user_info: "{}" };
    let plenty = Left { rooms: 9, holds: 9, changes: 9 };

    let mut calls = Calls::new(Left { rooms: 1, ..plenty });
    assert_eq!(calls.ask(select("one", "1")), None);
    assert_eq!(calls.ask(select("two", "1")), Some(Reject::Overloaded));
    assert_eq!(calls.ask(Input::Join { caller, room: "two" }), Some(Reject::Overloaded));

    let mut calls = Calls::new(Left { holds: 1, ..plenty });
    assert_eq!(calls.ask(select("one", "1")), None);
    assert_eq!(calls.ask(select("one", "2")), Some(Reject::Overloaded));

    let mut calls = Calls::new(Left { changes: 1, ..plenty });
    assert_eq!(calls.ask(select("one", "1")), None);
    calls.age("one");
    assert_eq!(calls.ask(select("one", "2")), None);
    assert_eq!(calls.ask(select("one", "3")), Some(Reject::Overloaded));
    assert_eq!(calls.ask(Input::Release { caller, room: "one", seat: "1" }), None);
    calls.now.mono = calls.now.mono.after(1_000);
    calls.ask(Input::Tick);
    assert_eq!(calls.shard.counts().holds, 0);
}

#[test]
fn a_restored_room_counts_on_from_whatever_was_stored() {
    let mut calls = Calls::new(Left { rooms: 1, holds: 9, changes: 9 });
    let client = ClientId::new("ana").expect("a valid id");
    let hold = RestoredHold {
        client: &client,
        origin: Origin::UNKNOWN,
        user_info: &"{}".into(),
        at: WallMillis(1),
        expires_at: WallMillis(2),
        ends: Millis(30),
        waits_until: Millis(30),
        seq: u64::MAX,
    };
    calls.ask(Input::Restore { room: "one", seat: "1", hold });
    assert_eq!(calls.shard.selections("one").map(|state| state.seq), Some(SEQ_RESTORED_MAX));
    let caller = Caller {
        conn: ConnId::new(ShardId::new(0), 1, 0),
        client: &client,
        origin: Origin::UNKNOWN,
        ticket: Ticket::default(),
        identity: None,
    };
    assert_eq!(calls.ask(Input::Select { caller, room: "one", seat: "2", user_info: "{}" }), None);
    calls.shard.check_invariants();
}
