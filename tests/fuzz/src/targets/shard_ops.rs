//! The seat engine: whatever is asked in whatever order, no seat has two holders and every refusal is true.
//!
//! Four bytes are one input: what, who, where, and how long after the last one.

use std::collections::BTreeMap;

use butaca::engine::command::{Caller, Change, ChangeKind, Effect, Effects, Input, Reject, ReleaseReason, Ticket};
use butaca::engine::ids::{ClientId, ConnId, Epoch, Origin, ShardId};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{Counts, Rules, Shard};
use butaca::engine::time::{Millis, Now, WallMillis};

const CLIENTS: u32 = 5;
const ROOMS: [&str; 3] = ["r", "r:s", "other"];
const SEATS: [&str; 5] = ["s", "s:1", "1", "2", "3"];
const SEATS_PER_CLIENT_MAX: u32 = 3;
const HOLD_TTL_MS: u64 = 1_000;
/// Beyond this many inputs nothing new comes.
const INPUTS_MAX: usize = 2_000;

/// Reads `data` as inputs of one shard.
pub fn run(data: &[u8]) {
    let rules = Rules { hold_ttl_ms: HOLD_TTL_MS, seats_per_client_max: SEATS_PER_CLIENT_MAX };
    let seeds = Seeds::replayed(u64::from(data.first().copied().unwrap_or(0)), ShardId::new(0));
    let mut shard = Shard::new(ShardId::new(0), 1, seeds, rules);
    let client = |number: u32| ClientId::new(&format!("client {number}")).expect("a valid id");
    let mut clients: Vec<_> = (0..CLIENTS).map(|number| (conn(number, 0), client(number))).collect();
    let mut oracle = Oracle::default();
    let mut effects = Effects::new();
    let mut now = Now { mono: Millis(5), wall: WallMillis(5) };
    for op in data.as_chunks::<4>().0.iter().take(INPUTS_MAX) {
        let [what, who, place, pause] = *op;
        let ms = u64::from(pause).pow(2) / 8;
        now = Now { mono: now.mono.after(ms), wall: now.wall.after(ms) };
        let who = usize::from(who) % clients.len();
        let input = input_of((what, place), &clients[who]);
        shard.handle(now, input, &mut effects);
        effects.drain(..).for_each(|effect| oracle.check(effect, clients[who].0));
        shard.check_invariants();
        if let Input::Gone { .. } = input {
            let gone = clients[who].0;
            clients[who].0 = conn(gone.slot(), gone.generation() + 1);
        }
    }
    oracle.check_state(&shard);
    for (conn, _) in &clients {
        shard.handle(now, Input::Gone { conn: *conn }, &mut effects);
        effects.drain(..).for_each(|effect| oracle.check(effect, *conn));
    }
    assert!(oracle.holders.is_empty());
    assert_eq!(shard.counts(), Counts::default(), "what is gone leaves nothing behind");
}

fn conn(number: u32, generation: u32) -> ConnId {
    ConnId::new(ShardId::new(number as usize % 2), number, generation)
}

fn input_of((what, place): (u8, u8), (conn, client): &(ConnId, ClientId)) -> Input<'_> {
    let (room, seat) = (ROOMS[usize::from(place) % ROOMS.len()], SEATS[usize::from(place / 4) % SEATS.len()]);
    let caller = Caller { conn: *conn, client, origin: Origin::UNKNOWN, ticket: Ticket::default(), identity: None };
    match what % 12 {
        0..=1 => Input::Join { caller, room },
        2 => Input::Leave { caller, room },
        3..=6 => Input::Select { caller, room, seat, user_info: "{}" },
        7..=8 => Input::Release { caller, room, seat },
        9 => Input::Resync { conn: *conn, room },
        10 => Input::Gone { conn: *conn },
        _ => Input::Tick,
    }
}

/// Who holds what, told by the effects alone.
#[derive(Default)]
struct Oracle {
    holders: BTreeMap<(String, String), ConnId>,
    seqs: BTreeMap<String, (Epoch, u64)>,
}

impl Oracle {
    fn check(&mut self, effect: Effect, caller: ConnId) {
        match effect {
            Effect::Change(change) => self.check_change(&change, caller),
            Effect::Refused { to, reject, room, seat, .. } => {
                let to = to.conn;
                assert_eq!(to, caller);
                let seat = seat.as_ref().map_or("", |seat| seat.as_str());
                let holder = self.holders.get(&(room.as_str().to_owned(), seat.to_owned())).copied();
                let own = self.holders.iter().filter(|(at, holder)| at.0 == room.as_str() && **holder == to).count();
                match reject {
                    Reject::SeatTaken | Reject::NotOwner => assert!(holder.is_some_and(|holder| holder != to)),
                    Reject::NotHeld => assert_eq!(holder, None),
                    Reject::LimitExceeded => assert_eq!(own, SEATS_PER_CLIENT_MAX as usize),
                    _ => panic!("{reject:?} without a reason"),
                }
            }
            Effect::Again { to, room, seat, .. } => {
                let holder = self.holders.get(&(room.as_str().to_owned(), seat.as_str().to_owned()));
                assert_eq!((to.conn, holder), (caller, Some(&caller)));
            }
            Effect::Joined { to, .. } | Effect::Left { to, .. } => assert_eq!(to.conn, caller),
            Effect::Snapshot { to, .. } => assert_eq!(to, caller),
            _ => unreachable!("v1 alone"),
        }
    }

    fn check_change(&mut self, change: &Change, caller: ConnId) {
        let room = change.room.as_str().to_owned();
        let before = self.seqs.insert(room.clone(), (change.epoch, change.seq));
        let expected = before.filter(|(epoch, _)| *epoch == change.epoch).map_or(1, |(_, seq)| seq + 1);
        assert_eq!(change.seq, expected, "a hole in the sequence");
        let at = (room, change.seat.as_str().to_owned());
        match change.kind {
            ChangeKind::Selected { .. } => {
                assert_eq!(change.actor, Some(caller));
                assert_eq!(self.holders.insert(at, caller), None, "two holders");
            }
            ChangeKind::Released { reason } => {
                let holder = self.holders.remove(&at).expect("only a held seat is released");
                match reason {
                    ReleaseReason::Released => assert_eq!((holder, change.actor), (caller, Some(caller))),
                    ReleaseReason::Expired => assert_eq!(change.actor, Some(holder)),
                    ReleaseReason::Disconnected => assert_eq!((holder, change.actor), (caller, None)),
                    _ => unreachable!("v1 alone"),
                }
            }
        }
    }

    fn check_state(&self, shard: &Shard) {
        let mut held = 0;
        for room in ROOMS {
            let Some(state) = shard.selections(room) else { continue };
            held += state.len();
            for selection in state.iter() {
                let holder = self.holders.get(&(room.to_owned(), selection.seat.as_str().to_owned()));
                assert!(holder.is_some(), "held, and nobody was told");
            }
        }
        assert_eq!(held, self.holders.len());
    }
}
