//! What is true, kept apart from the shards: who holds what, who looks at what, and every state a room has ever had.
//!
//! It hears every input and every effect of every shard and panics at the first that cannot be: a seat with two owners,
//! a hole in a room's sequence, a refusal that lies, a hold that outlives its deadline or its owner. What the clients
//! have on their maps is compared with its histories.

use std::collections::{BTreeMap, BTreeSet};

use butaca::engine::command::{Change, ChangeKind, Effect, Input, Reject, ReleaseReason};
use butaca::engine::ids::{ConnId, Epoch, ShardId, ShardSet};
use butaca::engine::shard::{Rules, Shard};
use butaca::engine::time::{Millis, Now};
use butaca::node::observer::Observed;
use butaca::persist::shard::gate::Retract;

use super::frames::{Room, Seat, SeatMap, Seen, seen_by_all};
use super::names;

struct Held {
    conn: ConnId,
    deadline: Millis,
    seen: Seen,
    /// The number of the select.
    seq: u64,
}

pub(crate) struct Oracle {
    rules: Rules,
    shards: usize,
    holds: BTreeMap<(Room, Seat), Held>,
    members: BTreeSet<(Room, ConnId)>,
    /// The rooms that live.
    alive: BTreeMap<Room, Epoch>,
    /// What was true after each change of each life of each room; the first entry is empty.
    histories: BTreeMap<(Room, u64), Vec<Moment>>,
    /// The socket of each connection.
    pub(crate) pipes: BTreeMap<ConnId, usize>,
    /// The sockets that events have passed by.
    pub(crate) lagged: BTreeSet<usize>,
    /// The last moment in which a shard decided.
    now: Now,
}

/// What was true after a change.
#[derive(Clone, Default)]
struct Moment {
    seats: SeatMap,
    /// The connection whose request the change answers.
    answers: Option<ConnId>,
}

impl Oracle {
    pub(crate) fn new(rules: Rules, shards: usize) -> Self {
        let (holds, members, alive, histories, pipes, lagged) = Default::default();
        Self { rules, shards, holds, members, alive, histories, pipes, lagged, now: Now::default() }
    }

    /// Hears what a shard has decided.
    pub(crate) fn hear(&mut self, id: ShardId, observed: Observed<'_>) {
        match observed {
            Observed::Decided { now, input, effects, seats } => {
                self.now = now;
                self.observe((id, seats), now, input, effects);
            }
            Observed::Undone { retracts, effects, seats } => {
                retracts.iter().for_each(|retract| self.undo(retract, effects));
                self.close_empty_rooms();
                self.compare((id, seats), self.now);
            }
            Observed::Dropped { conn } => self.lagged.extend(self.pipes.get(&conn)),
        }
    }

    /// The selects of a room that nobody was told of never were; the ends of other holds get their numbers.
    fn undo(&mut self, retract: &Retract, effects: &[Effect]) {
        let room = names::number(&retract.room);
        let kept = effects.iter().filter_map(|effect| match effect {
            Effect::Change(change) if change.room == retract.room && change.epoch == retract.epoch => Some(change),
            _ => None,
        });
        let kept: Vec<_> = kept.collect();
        let first = retract.seq + 1 - kept.len() as u64;
        for (seat, seq) in &retract.selects {
            let key = (room, names::number(seat));
            assert!(*seq >= first, "a select that was told is undone");
            if self.holds.get(&key).is_some_and(|held| held.seq == *seq) {
                self.holds.remove(&key);
            }
        }
        let history = self.histories.get_mut(&(room, retract.epoch.0)).expect("the life has begun");
        history.truncate(usize::try_from(first).expect("few changes"));
        for change in kept {
            assert!(matches!(change.kind, ChangeKind::Released { .. }), "only ends of holds remain");
            assert_eq!(change.seq, history.len() as u64, "the numbers that remain have no hole");
            let mut seats = history.last().expect("the first entry").seats.clone();
            assert!(seats.remove(&names::number(&change.seat)).is_some(), "the end of a hold that was told");
            history.push(Moment { seats, answers: change.actor.filter(|_| change.answers.is_some()) });
        }
    }

    /// Looks at what a shard has made of an input.
    fn observe(&mut self, at: (ShardId, &Shard), now: Now, input: &Input<'_>, effects: &[Effect]) {
        // What is due expires before the input does anything.
        let is_expiry = |effect: &&Effect| {
            let Effect::Change(change) = effect else { return false };
            matches!(change.kind, ChangeKind::Released { reason: ReleaseReason::Expired })
        };
        let expired = effects.iter().take_while(is_expiry).count();
        effects[..expired].iter().for_each(|effect| self.check_effect(now, input, effect));
        if let Input::Gone { conn } = input {
            let (id, shards) = (at.0, self.shards);
            self.members.retain(|(room, member)| member != conn || names::owner(*room, shards) != id);
            self.close_empty_rooms();
        }
        effects[expired..].iter().for_each(|effect| self.check_effect(now, input, effect));
        let answers = effects.len() - expired;
        match input {
            Input::Tick => assert_eq!(answers, 0, "a tick is answered"),
            Input::Resync { .. } => assert!(answers <= 1),
            Input::Gone { conn } => {
                let mut own = self.holds.iter().filter(|((room, _), _)| names::owner(*room, self.shards) == at.0);
                assert!(own.all(|(_, held)| held.conn != *conn), "a hold outlives its owner {conn:?}");
            }
            Input::Join { .. } | Input::Leave { .. } | Input::Select { .. } | Input::Release { .. } => {
                assert_eq!(answers, 1, "one reply to {input:?}: {effects:?}")
            }
            Input::Cart { .. } | Input::Resume { .. } | Input::Sale { .. } | Input::RestoreRoom { .. } => {
                unreachable!("v1 alone")
            }
            Input::Away { .. }
            | Input::Return { .. }
            | Input::ForgetPart { .. }
            | Input::LiveOn { .. }
            | Input::Freeze { .. }
            | Input::Thaw { .. } => unreachable!("one node alone"),
            Input::Restore { .. } | Input::Retract { .. } => {
                unreachable!("nothing was held before, and undoing is told apart")
            }
        }
        self.compare(at, now);
    }

    fn close_empty_rooms(&mut self) {
        let (holds, members) = (&self.holds, &self.members);
        self.alive.retain(|room, _| holds.keys().any(|(of, _)| of == room) || members.iter().any(|(of, _)| of == room));
    }

    /// The shard tells the same as what its effects have told.
    fn compare(&self, (id, shard): (ShardId, &Shard), now: Now) {
        let is_own = |room: Room| names::owner(room, self.shards) == id;
        for (&(room, seat), held) in self.holds.iter().filter(|((room, _), _)| is_own(*room)) {
            assert!(held.deadline > now.mono, "room {room} seat {seat} outlives its deadline");
        }
        assert_eq!(shard.rooms().count(), self.alive.keys().filter(|room| is_own(**room)).count(), "rooms that live");
        for id in shard.rooms() {
            let room = names::number(id);
            let state = shard.selections(id.as_str()).expect("it is listed");
            let told: SeatMap =
                state.iter().map(|selection| (names::number(selection.seat), seen_by_all(&selection))).collect();
            assert_eq!(told.len(), state.len(), "a seat of room {room} is told twice");
            let epoch = *self.alive.get(&room).unwrap_or_else(|| panic!("room {room} is kept and empty"));
            assert_eq!((state.epoch, state.seq), (epoch, self.seq(room, epoch)));
            assert_eq!(Some(&told), self.state(room, epoch, state.seq), "the state of room {room}");
        }
    }

    fn check_effect(&mut self, now: Now, input: &Input<'_>, effect: &Effect) {
        match effect {
            Effect::Joined { to, room, seq, epoch, .. } => {
                let room = names::number(room);
                self.check_life(room, *epoch);
                assert_eq!(*seq, self.seq(room, *epoch));
                self.members.insert((room, to.conn));
            }
            Effect::Left { to, room, .. } => _ = self.members.remove(&(names::number(room), to.conn)),
            Effect::Snapshot { to, room, seq, epoch } => {
                let room = names::number(room);
                assert!(self.members.contains(&(room, *to)), "a stranger gets a full state");
                assert_eq!((self.alive.get(&room), *seq), (Some(epoch), self.seq(room, *epoch)));
            }
            Effect::Change(change) => self.check_change(now, input, change),
            Effect::Again { to, room, seat, expires_at, .. } => {
                let held = self.holds.get(&(names::number(room), names::number(seat))).expect("it is held");
                assert_eq!((held.conn, held.seen.expires_at), (to.conn, *expires_at));
                assert!(held.deadline > now.mono, "an expired hold answers");
            }
            Effect::Refused { to, reject, room, seat, .. } => {
                let seat = seat.as_ref().map(names::number);
                assert!(
                    self.is_truthful(now, to.conn, *reject, names::number(room), seat),
                    "a refusal that lies: {effect:?}"
                );
            }
            _ => unreachable!("v1 alone"),
        }
        self.close_empty_rooms();
    }

    fn is_truthful(&self, now: Now, to: ConnId, reject: Reject, room: Room, seat: Option<Seat>) -> bool {
        let held = seat.and_then(|seat| self.holds.get(&(room, seat)));
        match reject {
            Reject::SeatTaken | Reject::NotOwner => {
                held.is_some_and(|held| held.conn != to && held.deadline > now.mono)
            }
            Reject::NotHeld => held.is_none(),
            Reject::LimitExceeded => {
                let own = self.holds.iter().filter(|((of, _), held)| *of == room && held.conn == to).count();
                held.is_none()
                    && self.rules.seats_per_client_max != 0
                    && own >= self.rules.seats_per_client_max as usize
            }
            // No run reaches a limit of the server, or is asked to be fair.
            // Nor does any use more than protocol v1.
            _ => false,
        }
    }

    fn check_change(&mut self, now: Now, input: &Input<'_>, change: &Change) {
        let (room, seat) = (names::number(&change.room), names::number(&change.seat));
        self.check_life(room, change.epoch);
        let last = self.seq(room, change.epoch);
        assert_eq!(change.seq, last + 1, "room {room} is told out of order");
        let mut audience = ShardSet::EMPTY;
        self.members.iter().filter(|(of, _)| *of == room).for_each(|(_, conn)| audience.insert(conn.shard()));
        assert_eq!(change.audience, audience, "who looks at room {room}");
        let name = names::number(&change.client);
        match &change.kind {
            ChangeKind::Selected { at, expires_at, user_info, .. } => {
                let &Input::Select { caller, .. } = input else { panic!("{input:?} selects a seat") };
                assert_eq!(change.actor, Some(caller.conn));
                assert_eq!((*at, *expires_at), (now.wall, Some(now.wall.after(self.rules.hold_ttl_ms))));
                let deadline = now.mono.after(self.rules.hold_ttl_ms);
                let expires_at = now.wall.after(self.rules.hold_ttl_ms);
                let seen = Seen { client: name, user_info: user_info.to_string(), expires_at };
                let held = Held { conn: caller.conn, deadline, seen, seq: change.seq };
                let before = self.holds.insert((room, seat), held);
                assert!(before.is_none(), "room {room} seat {seat} has two owners");
            }
            ChangeKind::Released { reason } => {
                let held = self.holds.remove(&(room, seat)).expect("a free seat is released");
                assert_eq!(held.seen.client, name);
                match (reason, input) {
                    (ReleaseReason::Released, Input::Release { caller, .. }) => {
                        assert_eq!((held.conn, change.actor), (caller.conn, Some(caller.conn)));
                    }
                    (ReleaseReason::Expired, _) => {
                        assert!(held.deadline <= now.mono, "room {room} seat {seat} expires early");
                        assert_eq!(change.actor, Some(held.conn));
                    }
                    (ReleaseReason::Disconnected, Input::Gone { conn }) => {
                        assert_eq!((held.conn, change.actor), (*conn, None));
                    }
                    _ => panic!("{input:?} releases a seat as {reason:?}"),
                }
            }
        }
        let held = self.holds.iter().filter(|((of, _), _)| *of == room);
        let seats = held.map(|((_, seat), held)| (*seat, held.seen.clone())).collect();
        let moment = Moment { seats, answers: change.actor.filter(|_| change.answers.is_some()) };
        assert_eq!(change.held as usize, moment.seats.len(), "how many seats of room {room} are held");
        self.histories.get_mut(&(room, change.epoch.0)).expect("the life has begun").push(moment);
    }

    /// A room's life ends when it is empty, and a new one has a new epoch.
    fn check_life(&mut self, room: Room, epoch: Epoch) {
        let alive = *self.alive.entry(room).or_insert_with(|| {
            let before = self.histories.insert((room, epoch.0), vec![Moment::default()]);
            assert!(before.is_none(), "an epoch of room {room} is used twice");
            epoch
        });
        assert_eq!(alive, epoch, "room {room} changes its epoch while it lives");
    }

    /// The number of the last change of a life, 0 before the first.
    fn seq(&self, room: Room, epoch: Epoch) -> u64 {
        self.histories.get(&(room, epoch.0)).map_or(0, |states| states.len() as u64 - 1)
    }

    /// What was held after a change.
    pub(crate) fn state(&self, room: Room, epoch: Epoch, seq: u64) -> Option<&SeatMap> {
        Some(&self.moment(room, epoch, seq)?.seats)
    }

    /// The socket whose request a change answers.
    pub(crate) fn answers(&self, room: Room, epoch: Epoch, seq: u64) -> Option<usize> {
        self.pipes.get(&self.moment(room, epoch, seq)?.answers?).copied()
    }

    fn moment(&self, room: Room, epoch: Epoch, seq: u64) -> Option<&Moment> {
        self.histories.get(&(room, epoch.0))?.get(usize::try_from(seq).expect("few changes"))
    }

    /// The present life of a room and its last change.
    pub(crate) fn present(&self, room: Room) -> Option<(Epoch, u64)> {
        self.alive.get(&room).map(|&epoch| (epoch, self.seq(room, epoch)))
    }

    /// The memberships that there should be.
    pub(crate) fn memberships(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn assert_empty(&self) {
        assert!(self.holds.is_empty() && self.members.is_empty() && self.alive.is_empty());
    }
}
