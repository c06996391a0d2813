//! What is true, kept apart from the shards: who holds what, who looks at what, and every state a room has ever had.
//!
//! It hears every input and every effect of every shard and panics at the first that cannot be: a seat with two owners,
//! a hole in a room's sequence, a refusal that lies, a hold that outlives its deadline or its owner. What the clients
//! have on their maps is compared with its histories.

use std::collections::{BTreeMap, BTreeSet};

use butaca::engine::command::{Change, ChangeKind, Claim, Effect, Input, Owner, Reject, ReleaseReason, SessionId};
use butaca::engine::ids::{ConnId, Epoch, ShardId, ShardSet};
use butaca::engine::shard::{CartRules, Rules, Shard};
use butaca::engine::time::{Millis, Now};
use butaca::node::observer::Observed;
use butaca::persist::shard::gate::Retract;

use super::carts::Carts;
use super::frames::{Room, Seat, SeatMap, Seen, seen_by_all};
use super::names;
use super::second::truth::ends_by_itself;

/// Who holds a seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    /// A connection of the first protocol, until then.
    Conn(ConnId, Millis),
    /// A session, until the clock of its cart ends.
    Session(SessionId),
}

pub(crate) struct Held {
    pub(crate) whose: Whose,
    seen: Seen,
    /// The number of the select.
    pub(crate) seq: u64,
}

impl Held {
    fn is_of(&self, conn: ConnId) -> bool {
        matches!(self.whose, Whose::Conn(of, _) if of == conn)
    }
}

pub(crate) struct Oracle {
    pub(crate) rules: Rules,
    pub(crate) shards: usize,
    pub(crate) holds: BTreeMap<(Room, Seat), Held>,
    pub(crate) carts: Carts,
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
    /// `SIM_TRACE=1`: everything that is decided is written down.
    is_traced: bool,
}

/// What was true after a change.
#[derive(Clone, Default)]
struct Moment {
    seats: SeatMap,
    /// The connection whose request the change answers.
    answers: Option<ConnId>,
}

impl Oracle {
    pub(crate) fn new(rules: Rules, carts: CartRules, shards: usize) -> Self {
        let (holds, members, alive, histories, pipes, lagged) = Default::default();
        let carts = Carts::new(carts, rules.hold_ttl_ms);
        let is_traced = super::number_from_environment("SIM_TRACE").is_some();
        Self { rules, shards, holds, carts, members, alive, histories, pipes, lagged, now: Now::default(), is_traced }
    }

    /// Hears what a shard has decided.
    pub(crate) fn hear(&mut self, id: ShardId, observed: Observed<'_>) {
        if self.is_traced {
            match &observed {
                Observed::Decided { now, input, effects, .. } => {
                    eprintln!("{id:?} {:?} {input:?}\n    -> {effects:?}", now.mono)
                }
                Observed::Undone { retracts, effects, .. } => {
                    eprintln!("{id:?} UNDONE {retracts:?}\n    -> {effects:?}")
                }
                Observed::Dropped { .. } => {}
            }
        }
        match observed {
            Observed::Decided { now, input, effects, seats } => {
                self.now = now;
                self.observe((id, seats), now, input, effects);
            }
            Observed::Undone { retracts, effects, seats } => {
                retracts.iter().for_each(|retract| self.undo(retract, effects));
                self.settle(self.now, false);
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
        // What is due ends before the input does anything.
        let due = effects.iter().take_while(|effect| self.is_due(at.0, now, effect)).count();
        effects[..due].iter().for_each(|effect| {
            self.check_effect(at.0, now, input, effect);
            self.close_empty_rooms();
        });
        self.settle(now, false);
        match input {
            Input::Gone { conn } => {
                let (id, shards) = (at.0, self.shards);
                self.members.retain(|(room, member)| member != conn || names::owner(*room, shards) != id);
                self.carts.part(now, id, *conn);
                self.close_empty_rooms();
            }
            Input::Cart { .. } | Input::Resume { .. } => {
                self.observe_second(at.0, now, input, &effects[due..]);
                return self.compare(at, now);
            }
            _ => {}
        }
        effects[due..].iter().for_each(|effect| {
            self.check_effect(at.0, now, input, effect);
            self.close_empty_rooms();
        });
        self.settle(now, false);
        let answers = effects[due..].iter().filter(|effect| !matches!(effect, Effect::Keep(_))).count();
        match input {
            Input::Tick => assert_eq!(answers, 0, "a tick is answered"),
            Input::Resync { .. } => assert!(answers <= 1),
            Input::Gone { conn } => {
                let mut own = self.holds.iter().filter(|((room, _), _)| names::owner(*room, self.shards) == at.0);
                assert!(own.all(|(_, held)| !held.is_of(*conn)), "a hold outlives its owner {conn:?}");
            }
            Input::Join { .. } | Input::Leave { .. } | Input::Select { .. } | Input::Release { .. } => {
                assert_eq!(answers, 1, "one reply to {input:?}: {effects:?}")
            }
            Input::Cart { .. } | Input::Resume { .. } => unreachable!("looked at above"),
            Input::Sale { .. } | Input::RestoreRoom { .. } => unreachable!("nobody sells"),
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

    /// Whether an effect tells what ends by itself.
    fn is_due(&self, id: ShardId, now: Now, effect: &Effect) -> bool {
        match effect {
            Effect::Change(change) => match change.kind {
                ChangeKind::Released { reason: ReleaseReason::Expired } => true,
                ChangeKind::Released { reason: ReleaseReason::Disconnected } => {
                    let held = self.holds.get(&(names::number(&change.room), names::number(&change.seat)));
                    held.is_some_and(
                        |held| matches!(held.whose, Whose::Session(of) if self.carts.is_given_up(now, id, of)),
                    )
                }
                _ => false,
            },
            Effect::Cart(told) => ends_by_itself(&told.why),
            Effect::Keep(_) => true,
            _ => false,
        }
    }

    /// Carts that have lost their last seat are forgotten. `let_go`: their owner gave it back.
    pub(crate) fn settle(&mut self, now: Now, let_go: bool) {
        let holds = &self.holds;
        let has_seats =
            |session, room| holds.iter().any(|((of, _), held)| *of == room && held.whose == Whose::Session(session));
        self.carts.settle(now, let_go, has_seats);
    }

    /// The rooms of a shard that live.
    pub(crate) fn rooms_of(&self, id: ShardId) -> impl Iterator<Item = Room> {
        self.alive.keys().copied().filter(move |&room| names::owner(room, self.shards) == id)
    }

    pub(crate) fn is_member(&self, room: Room, conn: ConnId) -> bool {
        self.members.contains(&(room, conn))
    }

    pub(crate) fn close_empty_rooms(&mut self) {
        let (holds, members) = (&self.holds, &self.members);
        self.alive.retain(|room, _| holds.keys().any(|(of, _)| of == room) || members.iter().any(|(of, _)| of == room));
    }

    /// The shard tells the same as what its effects have told.
    fn compare(&self, (id, shard): (ShardId, &Shard), now: Now) {
        let is_own = |room: Room| names::owner(room, self.shards) == id;
        for (&(room, seat), held) in self.holds.iter().filter(|((room, _), _)| is_own(*room)) {
            let deadline = self.deadline(room, held);
            assert!(deadline > now.mono, "room {room} seat {seat} outlives its deadline");
            if let Whose::Session(session) = held.whose {
                assert!(!self.carts.is_given_up(now, id, session), "room {room} seat {seat} outlives the grace");
            }
        }
        self.compare_carts((id, shard));
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

    /// When a hold ends by itself.
    pub(crate) fn deadline(&self, room: Room, held: &Held) -> Millis {
        match held.whose {
            Whose::Conn(_, deadline) => deadline,
            Whose::Session(session) => self.carts.clock(session, room).expect("a cart with seats has a clock").ends,
        }
    }

    pub(crate) fn check_effect(&mut self, id: ShardId, now: Now, input: &Input<'_>, effect: &Effect) {
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
            Effect::Change(change) => self.check_change(id, now, input, change),
            Effect::Again { to, room, seat, expires_at, .. } => {
                let held = self.holds.get(&(names::number(room), names::number(seat))).expect("it is held");
                assert!(held.is_of(to.conn) && held.seen.expires_at == Some(*expires_at));
                assert!(self.deadline(names::number(room), held) > now.mono, "an expired hold answers");
            }
            Effect::Entered(entered) => {
                let room = names::number(&entered.room);
                self.check_life(room, entered.at.epoch);
                assert_eq!(entered.at.seq, self.seq(room, entered.at.epoch));
                self.members.insert((room, entered.to.conn));
            }
            Effect::Cart(told) => self.check_cart(id, now, told),
            Effect::Keep(_) => {}
            Effect::Refused { to, reject, room, seat, .. } => {
                let seat = seat.as_ref().map(names::number);
                assert!(
                    self.is_truthful(now, to.conn, *reject, names::number(room), seat),
                    "a refusal that lies: {effect:?}"
                );
            }
            _ => unreachable!("nobody sells"),
        }
    }

    fn is_truthful(&self, now: Now, to: ConnId, reject: Reject, room: Room, seat: Option<Seat>) -> bool {
        let held = seat.and_then(|seat| self.holds.get(&(room, seat)));
        match reject {
            Reject::SeatTaken | Reject::NotOwner => {
                held.is_some_and(|held| !held.is_of(to) && self.deadline(room, held) > now.mono)
            }
            Reject::NotHeld => held.is_none(),
            Reject::LimitExceeded => {
                let own = self.holds.iter().filter(|((of, _), held)| *of == room && held.is_of(to)).count();
                held.is_none()
                    && self.rules.seats_per_client_max != 0
                    && own >= self.rules.seats_per_client_max as usize
            }
            // No run reaches a limit of the server, or is asked to be fair.
            // Nor does any use more than protocol v1.
            _ => false,
        }
    }

    fn check_change(&mut self, id: ShardId, now: Now, input: &Input<'_>, change: &Change) {
        let (room, seat) = (names::number(&change.room), names::number(&change.seat));
        self.check_life(room, change.epoch);
        let last = self.seq(room, change.epoch);
        assert_eq!(change.seq, last + 1, "room {room} is told out of order");
        let mut audience = ShardSet::EMPTY;
        self.members.iter().filter(|(of, _)| *of == room).for_each(|(_, conn)| audience.insert(conn.shard()));
        assert_eq!(change.audience, audience, "who looks at room {room}");
        let name = names::number(&change.client);
        match &change.kind {
            ChangeKind::Selected { at, expires_at, user_info, claim, .. } => {
                let (whose, ends_at) = match *input {
                    Input::Select { caller, .. } => {
                        assert_eq!((change.actor, claim), (Some(caller.conn), &None));
                        let ttl_ms = self.rules.hold_ttl_ms;
                        (Whose::Conn(caller.conn, now.mono.after(ttl_ms)), now.wall.after(ttl_ms))
                    }
                    Input::Cart { caller, .. } => {
                        let session = self.carts.session(id, caller.conn).expect("who asks was met");
                        let of = Claim::Cart(Owner::Session(session));
                        assert_eq!((change.actor, claim.as_deref()), (None, Some(&of)), "a stranger gets the seat");
                        (Whose::Session(session), self.carts.begin(now, session, room).expires_at)
                    }
                    _ => panic!("{input:?} selects a seat"),
                };
                assert_eq!((*at, *expires_at), (now.wall, Some(ends_at)));
                let seen = Seen::new(name, user_info.to_string(), Some(ends_at));
                let before = self.holds.insert((room, seat), Held { whose, seen, seq: change.seq });
                assert!(before.is_none(), "room {room} seat {seat} has two owners");
            }
            ChangeKind::Released { reason } => {
                let held = self.holds.remove(&(room, seat)).expect("a free seat is released");
                assert_eq!(held.seen.client, name);
                self.check_release(id, now, input, (room, &held), (*reason, change.actor));
            }
        }
        let held = self.holds.iter().filter(|((of, _), _)| *of == room);
        let seats = held.map(|((_, seat), held)| (*seat, held.seen.clone())).collect();
        let moment = Moment { seats, answers: change.actor.filter(|_| change.answers.is_some()) };
        assert_eq!(change.held as usize, moment.seats.len(), "how many seats of room {room} are held");
        self.histories.get_mut(&(room, change.epoch.0)).expect("the life has begun").push(moment);
    }

    /// Whether a hold may end for this reason.
    fn check_release(
        &self,
        id: ShardId,
        now: Now,
        input: &Input<'_>,
        (room, held): (Room, &Held),
        (reason, actor): (ReleaseReason, Option<ConnId>),
    ) {
        match (reason, held.whose, input) {
            (ReleaseReason::Released, Whose::Conn(conn, _), Input::Release { caller, .. }) => {
                assert_eq!((conn, actor), (caller.conn, Some(caller.conn)));
            }
            (ReleaseReason::Released, Whose::Session(session), Input::Cart { caller, .. }) => {
                assert_eq!((self.carts.session(id, caller.conn), actor), (Some(session), None), "a stranger's seat");
            }
            (ReleaseReason::Expired, Whose::Conn(conn, _), _) => {
                assert!(self.deadline(room, held) <= now.mono, "a seat of room {room} expires early");
                assert_eq!(actor, Some(conn));
            }
            (ReleaseReason::Expired, Whose::Session(_), _) => {
                assert!(self.deadline(room, held) <= now.mono, "a cart of room {room} expires early");
                assert_eq!(actor, None);
            }
            (ReleaseReason::Disconnected, Whose::Conn(conn, _), Input::Gone { conn: gone }) => {
                assert_eq!((conn, actor), (*gone, None));
            }
            (ReleaseReason::Disconnected, Whose::Session(session), _) => {
                assert!(self.carts.is_given_up(now, id, session), "a cart of room {room} is lost within its grace");
                assert_eq!(actor, None);
            }
            _ => panic!("{input:?} releases a seat as {reason:?}"),
        }
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
        self.carts.assert_empty();
    }
}
