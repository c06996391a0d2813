//! A shard and its model, driven by the same operations and compared after each.

use std::collections::BTreeMap;
use std::sync::Arc;

use butaca::engine::command::{Caller, Effect, Effects, Input, RestoredHold, Ticket};
use butaca::engine::ids::{ClientId, ConnId, Epoch, Origin, RoomId, ShardId};
use butaca::engine::keyed::Seeds;
use butaca::engine::shard::{Counts, Rules, Shard};
use butaca::engine::time::{Millis, Now, WallMillis};

use super::Model;

/// How long restored holds wait for their clients.
const GRACE_MS: u64 = 60;

pub(crate) const ROOMS: [&str; 3] = ["r", "r:s", "Zürich"];
pub(crate) const SEATS: [&str; 4] = ["s", "s:1", "1", "x"];

/// One step of a test, by numbers of clients, rooms and seats.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Join(usize, usize),
    Leave(usize, usize),
    Select(usize, usize, usize),
    Release(usize, usize, usize),
    Resync(usize, usize),
    /// The connection ends; the client comes back with another one.
    Gone(usize),
    /// A hold of the client from before a restart is given back; it has so many milliseconds to live.
    Restore(usize, usize, usize, u64),
    /// Nobody was told of the last changes of the room, so many, and the selects among them are undone.
    Retract(usize, usize),
    /// A connection that never was ends.
    Stranger,
    /// So many milliseconds pass.
    Pass(u64),
    /// The wall clock jumps.
    WallStep(i64),
}

/// Whether an operation was refused and nothing else happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Refused,
    Other,
}

pub(crate) struct Pair {
    shard: Shard,
    model: Model,
    now: Now,
    clients: Vec<(ClientId, ConnId)>,
    /// Which life of which room an epoch was seen to mean.
    lives: BTreeMap<u64, (Epoch, RoomId)>,
}

impl Pair {
    pub(crate) fn new(rules: Rules, clients: usize) -> Self {
        // The shard owns all rooms; its members live on three shards, which need not exist for that.
        let shard = Shard::new(ShardId::new(0), 1, Seeds::replayed(7, ShardId::new(0)), rules);
        let conn = |client| ConnId::new(ShardId::new(client % 3), 5, u32::try_from(client).expect("few clients"));
        let client = |client| (ClientId::new(&format!("c{client}")).expect("a valid id"), conn(client));
        let now = Now { mono: Millis(1_000), wall: WallMillis(1_768_473_000_000) };
        let clients = (0..clients).map(client).collect();
        Self { shard, model: Model::new(rules), now, clients, lives: BTreeMap::new() }
    }

    /// Applies the operation to both and panics when they differ.
    pub(crate) fn check(&mut self, op: Op) -> Outcome {
        let (effects, expected) = self.replay(op);
        assert_eq!(effects.len(), expected.len(), "after {op:?}: {effects:?} instead of {expected:?}");
        for (effect, expected) in effects.into_iter().zip(&expected) {
            self.check_effect(effect, expected);
        }
        self.check_state();
        match expected[..] {
            [Effect::Refused { .. }] => Outcome::Refused,
            _ => Outcome::Other,
        }
    }

    /// Applies the operation to both and compares nothing: it has been checked before.
    pub(crate) fn replay(&mut self, op: Op) -> (Effects, Effects) {
        match op {
            Op::Pass(ms) => self.now = Now { mono: self.now.mono.after(ms), wall: self.now.wall.after(ms) },
            Op::WallStep(ms) => self.now.wall = WallMillis(self.now.wall.0.saturating_add_signed(ms)),
            Op::Join(..) | Op::Leave(..) | Op::Select(..) | Op::Release(..) | Op::Resync(..) => {}
            Op::Gone(_) | Op::Stranger | Op::Restore(..) => {}
            Op::Retract(room, back) => return self.retract(ROOMS[room], back),
        }
        let mut effects = Effects::new();
        let user_info = "{}".into();
        let restored = RestoredHold {
            client: &self.clients[0].0,
            origin: Origin::UNKNOWN,
            user_info: &user_info,
            at: self.now.wall,
            expires_at: self.now.wall,
            ends: self.now.mono,
            waits_until: self.now.mono.after(GRACE_MS),
            seq: 0,
        };
        let input = Self::input(&self.clients, op, restored);
        self.shard.handle(self.now, input, &mut effects);
        let expected = self.model.handle(self.now, input);
        if let Op::Gone(client) = op {
            let conn = &mut self.clients[client].1;
            *conn = ConnId::new(conn.shard(), conn.slot(), conn.generation() + 100);
        }
        (effects, expected)
    }

    fn retract(&mut self, room: &str, back: usize) -> (Effects, Effects) {
        let Some(undone) = self.model.undone(room, back) else { return Default::default() };
        let input = |epoch| Input::Retract { room, epoch, selects: &undone.selects, seq: undone.seq };
        let mut effects = Effects::new();
        // A room with changes has told its epoch with them.
        let (epoch, _) = &self.lives[&undone.life.0];
        self.shard.handle(self.now, input(*epoch), &mut effects);
        let expected = self.model.handle(self.now, input(undone.life));
        (effects, expected)
    }

    fn input<'a>(clients: &'a [(ClientId, ConnId)], op: Op, restored: RestoredHold<'a>) -> Input<'a> {
        let caller = |client: usize| Caller {
            conn: clients[client].1,
            client: &clients[client].0,
            origin: Origin::UNKNOWN,
            ticket: Ticket::default(),
            identity: None,
        };
        match op {
            Op::Join(client, room) => Input::Join { caller: caller(client), room: ROOMS[room] },
            Op::Leave(client, room) => Input::Leave { caller: caller(client), room: ROOMS[room] },
            Op::Select(client, room, seat) => {
                let user_info = ["{}", r#"{"name":"Zoë"}"#][client % 2];
                Input::Select { caller: caller(client), room: ROOMS[room], seat: SEATS[seat], user_info }
            }
            Op::Release(client, room, seat) => {
                Input::Release { caller: caller(client), room: ROOMS[room], seat: SEATS[seat] }
            }
            Op::Resync(client, room) => Input::Resync { conn: caller(client).conn, room: ROOMS[room] },
            Op::Gone(client) => Input::Gone { conn: caller(client).conn },
            Op::Restore(client, room, seat, ms) => {
                let (client, seq) = (&clients[client].0, ms / 3);
                let (ends, expires_at) = (restored.ends.after(ms), restored.expires_at.after(ms));
                let hold = RestoredHold { client, seq, ends, expires_at, ..restored };
                Input::Restore { room: ROOMS[room], seat: SEATS[seat], hold }
            }
            Op::Stranger => Input::Gone { conn: ConnId::new(ShardId::new(0), 77, 77) },
            Op::Pass(_) | Op::WallStep(_) | Op::Retract(..) => Input::Tick,
        }
    }

    fn check_effect(&mut self, mut effect: Effect, expected: &Effect) {
        if let (Some(epoch), Some((room, life))) = (epoch_of(&mut effect), epoch_of(&mut expected.clone())) {
            let seen = (*epoch.1, epoch.0);
            let known = self.lives.entry(life.0).or_insert_with(|| seen.clone());
            assert_eq!(*known, (seen.0, room), "an epoch in the middle of a life");
            *epoch.1 = *life;
        }
        assert_eq!(format!("{effect:?}"), format!("{expected:?}"));
    }

    /// Compares everything that can be asked.
    fn check_state(&self) {
        let (shard, model) = (&self.shard, &self.model);
        shard.check_invariants();
        assert_eq!(shard.next_deadline(), model.next_deadline());
        let counts = Counts { rooms: model.rooms.len(), members: model.members.len(), holds: model.holds.len() };
        assert_eq!(shard.counts(), counts);
        assert_eq!(shard.rooms().count(), counts.rooms);
        let mut epochs: Vec<_> = self.lives.values().map(|(epoch, _)| epoch.0).collect();
        epochs.sort_unstable();
        assert!(epochs.is_sorted_by(|a, b| a < b), "two lives share an epoch");
        ROOMS.iter().for_each(|room| self.check_room(room));
    }

    fn check_room(&self, room: &str) {
        let (shard, model) = (&self.shard, &self.model);
        assert_eq!(shard.selections(room).map(|state| state.seq), model.rooms.get(room).map(|life| life.seq));
        let state = shard.selections(room);
        let mut actual: Vec<_> = state
            .iter()
            .flat_map(|state| state.iter())
            .map(|s| (s.seat.as_str(), s.client.as_str(), s.user_info, s.at, s.expires_at))
            .collect();
        assert_eq!(actual.len(), state.map_or(0, |state| state.len()));
        actual.sort_unstable();
        let held = model.holds.iter().filter(|((of, _), _)| of == room);
        let expected: Vec<_> = held
            .map(|((_, seat), hold)| {
                (seat.as_str(), hold.client.as_str(), &*hold.user_info, hold.at, Some(hold.expires_at))
            })
            .collect();
        assert_eq!(actual, expected);
        for on in (0..3).map(ShardId::new) {
            let expected = model.members.iter().filter(|(of, conn)| of == room && conn.shard() == on).count();
            assert_eq!(shard.members(room).map_or(0, |members| members.on(on)), expected);
        }
    }
}

/// The room and the epoch that an effect names.
fn epoch_of(effect: &mut Effect) -> Option<(RoomId, &mut Epoch)> {
    match effect {
        Effect::Joined { room, epoch, .. }
        | Effect::Snapshot { room, epoch, .. }
        | Effect::Again { room, epoch, .. } => Some((room.clone(), epoch)),
        Effect::Change(change) => Some((change.room.clone(), &mut Arc::make_mut(change).epoch)),
        _ => None,
    }
}
