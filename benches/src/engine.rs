//! Commands: what a shard takes to decide one.

use std::hint::black_box;

use butaca::engine::command::{Caller, Effects, Input, Ticket};
use butaca::engine::ids::{ClientId, ConnId, Origin, ShardId};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{Rules, Shard};
use butaca::engine::time::{Millis, Now, WallMillis};
use butaca::limits::HOLD_TTL_MS;

use super::{USER_INFO, Work};

pub(crate) const WORKS: [&str; 9] = [
    "join_leave",
    "join_leave_of_1000_members",
    "select_release",
    "select_release_with_1000_held",
    "select_release_by_a_holder_of_10",
    "select_taken",
    "select_again",
    "release_not_held",
    "gone_with_10_holds",
];

const ROOM: &str = "hall-1";
/// The seed is always the same: it decides how ids hash.
const SEED: u64 = 4_711;

/// The only shard, and those who use it.
pub(super) struct Hall {
    pub(super) shard: Shard,
    pub(super) now: Now,
    client: ClientId,
    effects: Effects,
}

impl Hall {
    /// A room with `members` members, of which nobody holds anything.
    pub(super) fn new(members: u32) -> Self {
        let rules = Rules { hold_ttl_ms: HOLD_TTL_MS, seats_per_client_max: 0 };
        let now = Now { mono: Millis(1_000), wall: WallMillis(1_768_473_000_000) };
        let client = ClientId::new("client-4711").expect("valid");
        let (id, effects) = (ShardId::new(0), Effects::new());
        let mut hall = Self { shard: Shard::new(id, 1, Seeds::replayed(SEED, id), rules), now, client, effects };
        (0..members).for_each(|who| hall.join(who));
        hall
    }

    pub(super) fn handle(&mut self, input: impl FnOnce(Caller<'_>) -> Input<'_>, who: u32) {
        let caller = Caller {
            conn: ConnId::new(ShardId::new(0), who, 0),
            client: &self.client,
            origin: Origin::UNKNOWN,
            ticket: Ticket::default(),
            identity: None,
        };
        self.shard.handle(self.now, input(caller), &mut self.effects);
        black_box(&self.effects);
        self.effects.clear();
    }

    pub(super) fn join(&mut self, who: u32) {
        self.handle(|caller| Input::Join { caller, room: ROOM }, who);
    }

    fn leave(&mut self, who: u32) {
        self.handle(|caller| Input::Leave { caller, room: ROOM }, who);
    }

    pub(super) fn select(&mut self, who: u32, seat: &str) {
        let caller = Caller {
            conn: ConnId::new(ShardId::new(0), who, 0),
            client: &self.client,
            origin: Origin::UNKNOWN,
            ticket: Ticket::default(),
            identity: None,
        };
        let input = Input::Select { caller, room: ROOM, seat, user_info: USER_INFO };
        self.shard.handle(self.now, input, &mut self.effects);
        black_box(&self.effects);
        self.effects.clear();
    }

    pub(super) fn release(&mut self, who: u32, seat: &str) {
        let caller = Caller {
            conn: ConnId::new(ShardId::new(0), who, 0),
            client: &self.client,
            origin: Origin::UNKNOWN,
            ticket: Ticket::default(),
            identity: None,
        };
        self.shard.handle(self.now, Input::Release { caller, room: ROOM, seat }, &mut self.effects);
        black_box(&self.effects);
        self.effects.clear();
    }

    fn gone(&mut self, who: u32) {
        self.handle(|caller| Input::Gone { conn: caller.conn }, who);
    }
}

/// Names of seats.
pub(super) fn seats(count: usize) -> Vec<String> {
    (0..count).map(|seat| format!("A-{seat}")).collect()
}

pub(crate) fn prepare(name: &str) -> Work {
    let mut hall = Hall::new(if name == "join_leave_of_1000_members" { 1_000 } else { 20 });
    let all = seats(1_000);
    match name {
        "join_leave" | "join_leave_of_1000_members" => Box::new(move || {
            hall.join(2_000);
            hall.leave(2_000);
        }),
        "select_release" => select_release(hall),
        "select_release_with_1000_held" => {
            all.iter().zip(0_u32..).for_each(|(seat, index)| hall.select(index % 20, seat));
            select_release(hall)
        }
        "select_release_by_a_holder_of_10" => {
            all[..10].iter().for_each(|seat| hall.select(3, seat));
            select_release(hall)
        }
        "select_taken" => {
            hall.select(1, "A-1");
            Box::new(move || hall.select(2, "A-1"))
        }
        "select_again" => {
            hall.select(1, "A-1");
            Box::new(move || hall.select(1, "A-1"))
        }
        "release_not_held" => Box::new(move || hall.release(1, "A-1")),
        "gone_with_10_holds" => Box::new(move || {
            hall.join(2_000);
            all[..10].iter().for_each(|seat| hall.select(2_000, seat));
            hall.gone(2_000);
        }),
        _ => panic!("there is no work {name}"),
    }
}

fn select_release(mut hall: Hall) -> Work {
    Box::new(move || {
        hall.select(3, "B-1");
        hall.release(3, "B-1");
    })
}
