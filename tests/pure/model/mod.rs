//! What a shard should do, written as naively as possible: flat ordered maps, searched from end to end.
//!
//! It is the specification that the tests compare the engine with, so it shares nothing with it but the vocabulary.
//! The epochs it expects are the numbers of the rooms' lives; which epoch belongs to which life is checked by `pair`.

pub(crate) mod pair;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use butaca::engine::command::{
    Asker, Caller, Change, ChangeKind, Effect, Input, Reject, ReleaseReason, RequestType, RestoredHold, SeatStatus,
    Ticket,
};
use butaca::engine::ids::{ClientId, ConnId, Epoch, Origin, RoomId, SeatId, ShardSet};
use butaca::engine::shard::Rules;
use butaca::engine::time::{Millis, Now, WallMillis};
use butaca::limits::ROOMS_PER_CONNECTION_MAX;

type SeatKey = (String, String);

/// A hold as the model remembers it.
pub(crate) struct Hold {
    /// Its owner; nobody while a client that held it before a restart has not come back.
    pub(crate) conn: Option<ConnId>,
    pub(crate) client: ClientId,
    pub(crate) user_info: Arc<str>,
    pub(crate) at: WallMillis,
    pub(crate) expires_at: WallMillis,
    pub(crate) deadline: Millis,
    order: u64,
    seq: u64,
}

/// One life of a room: which, and how many changes it has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Life {
    pub(crate) epoch: Epoch,
    pub(crate) seq: u64,
}

/// What a shard should know.
pub(crate) struct Model {
    rules: Rules,
    clock: Millis,
    holds_made: u64,
    lives_begun: u64,
    /// The first hold of a client that was given back, in all and in one room.
    first_restored: BTreeMap<(ClientId, Option<String>), u64>,
    /// When holds without an owner are released.
    grace_ends: Millis,
    pub(crate) members: BTreeSet<(String, ConnId)>,
    pub(crate) holds: BTreeMap<SeatKey, Hold>,
    pub(crate) rooms: BTreeMap<String, Life>,
    /// The changes of each room's present life: the seat, the number, and whether it was selected. None from before the
    /// last time that something was undone.
    changes: BTreeMap<String, Vec<(SeatId, u64, bool)>>,
}

/// What a store that does not answer makes of the last changes of a room.
pub(crate) struct Undone {
    pub(crate) life: Epoch,
    /// The selects among them, the last first.
    pub(crate) selects: Vec<(SeatId, u64)>,
    /// The room's number when these were never made.
    pub(crate) seq: u64,
}

impl Model {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            clock: Millis(0),
            holds_made: 0,
            lives_begun: 0,
            first_restored: BTreeMap::new(),
            grace_ends: Millis(0),
            members: BTreeSet::new(),
            holds: BTreeMap::new(),
            rooms: BTreeMap::new(),
            changes: BTreeMap::new(),
        }
    }

    /// What has to be undone when nobody was told of the last `back` changes of the room.
    pub(crate) fn undone(&self, room: &str, back: usize) -> Option<Undone> {
        let (life, changes) = (self.rooms.get(room)?, self.changes.get(room)?);
        let last = &changes[changes.len().saturating_sub(back)..];
        let (mut seq, mut selects) = (life.seq - last.len() as u64, Vec::new());
        for (seat, number, is_selected) in last {
            if *is_selected {
                selects.insert(0, (seat.clone(), *number));
            } else if last.iter().rfind(|(of, n, _)| of == seat && n < number).is_none_or(|(_, _, is)| !is) {
                // The end of a hold that was made before: that remains.
                seq += 1;
            }
        }
        Some(Undone { life: life.epoch, selects, seq })
    }

    /// What the input should do.
    pub(crate) fn handle(&mut self, now: Now, input: Input<'_>) -> Vec<Effect> {
        self.clock = self.clock.max(now.mono);
        // Everything ends in the order of its moments.
        let mut effects = self.expire_due(self.clock.min(self.grace_ends));
        effects.extend(self.give_up_absent());
        effects.extend(self.expire_due(self.clock));
        match input {
            Input::Join { caller, room } => effects.push(self.join(caller, room)),
            Input::Leave { caller, room } => {
                let (to, client) = (caller.asker(), caller.client.clone());
                effects.push(Effect::Left { to, client, room: room_id(room) });
                self.members.remove(&(room.into(), caller.conn));
            }
            Input::Select { caller, room, seat, user_info } => {
                effects.push(self.select(now, caller, (room, seat), user_info));
            }
            Input::Release { caller, room, seat } => effects.push(self.release(caller, (room, seat))),
            Input::Resync { conn, room } => {
                if self.members.contains(&(room.into(), conn)) {
                    let Life { seq, epoch } = self.rooms[room];
                    effects.push(Effect::Snapshot { to: conn, room: room_id(room), seq, epoch });
                }
            }
            Input::Gone { conn } => {
                self.members.retain(|&(_, member)| member != conn);
                let own = self.in_order(|hold| hold.conn == Some(conn));
                effects.extend(own.iter().map(|at| self.end(at, ReleaseReason::Disconnected, (None, None))));
            }
            Input::Tick => {}
            Input::Cart { .. } | Input::Resume { .. } | Input::Sale { .. } | Input::RestoreRoom { .. } => {
                unreachable!("v1 alone")
            }
            Input::Away { .. }
            | Input::Return { .. }
            | Input::ForgetPart { .. }
            | Input::LiveOn { .. }
            | Input::Freeze { .. }
            | Input::Thaw { .. } => unreachable!("one node alone"),
            Input::Restore { room, seat, hold } => self.restore((room, seat), hold),
            Input::Retract { room, epoch, selects, seq } => self.retract(room, epoch, selects, seq),
        }
        self.close_empty_rooms();
        effects
    }

    /// The first deadline.
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        let grace = self.holds.values().any(|hold| hold.conn.is_none()).then_some(self.grace_ends);
        self.holds.values().map(|hold| hold.deadline).chain(grace).min()
    }

    fn expire_due(&mut self, clock: Millis) -> Vec<Effect> {
        let mut effects = Vec::new();
        for at in self.in_order(|hold| hold.deadline <= clock) {
            let holder = self.holds[&at].conn;
            effects.push(self.end(&at, ReleaseReason::Expired, (holder, None)));
        }
        self.close_empty_rooms();
        effects
    }

    fn give_up_absent(&mut self) -> Vec<Effect> {
        // Client by client, room by room, in the order in which they were first given back.
        let mut absent = self.in_order(|hold| hold.conn.is_none());
        absent.sort_by_key(|at| {
            let client = &self.holds[at].client;
            (self.first_restored[&(client.clone(), None)], self.first_restored[&(client.clone(), Some(at.0.clone()))])
        });
        let given_up: &[SeatKey] = if self.grace_ends <= self.clock { &absent } else { &[] };
        let effects = given_up.iter().map(|at| self.end(at, ReleaseReason::Disconnected, (None, None))).collect();
        self.close_empty_rooms();
        effects
    }

    fn restore(&mut self, at: (&str, &str), restored: RestoredHold<'_>) {
        let key = (at.0.to_owned(), at.1.to_owned());
        if restored.ends <= self.clock || self.holds.contains_key(&key) {
            return;
        }
        self.grace_ends = self.grace_ends.max(restored.waits_until);
        let life = self.life(at.0);
        life.seq = life.seq.max(restored.seq);
        self.holds_made += 1;
        for room in [None, Some(at.0.to_owned())] {
            self.first_restored.entry((restored.client.clone(), room)).or_insert(self.holds_made);
        }
        let hold = Hold {
            conn: None,
            client: restored.client.clone(),
            user_info: restored.user_info.clone(),
            at: restored.at,
            expires_at: restored.expires_at,
            deadline: restored.ends,
            order: self.holds_made,
            seq: restored.seq,
        };
        self.holds.insert(key, hold);
    }

    fn retract(&mut self, room: &str, epoch: Epoch, selects: &[(SeatId, u64)], seq: u64) {
        let Some(life) = self.rooms.get_mut(room).filter(|life| life.epoch == epoch) else { return };
        life.seq = seq;
        self.holds.retain(|(of, seat), hold| {
            of != room || !selects.iter().any(|(undone, number)| undone.as_str() == seat && *number == hold.seq)
        });
        self.changes.remove(room);
    }

    fn join(&mut self, caller: Caller<'_>, room: &str) -> Effect {
        let Caller { conn, client, .. } = caller;
        let to = caller.asker();
        if !self.may_enter(conn, room) {
            let (reject, request) = (Reject::Overloaded, RequestType::Join);
            return Effect::Refused { to, reject, request, room: room_id(room), seat: None, details: None };
        }
        if self.members.insert((room.into(), conn)) {
            let in_room = self.holds.iter_mut().filter(|((of, _), _)| of == room).map(|(_, hold)| hold);
            in_room
                .filter(|hold| hold.conn.is_none() && hold.client == *client)
                .for_each(|hold| hold.conn = Some(conn));
        }
        let Life { seq, epoch } = *self.life(room);
        let members = self.members.iter().filter(|(of, _)| of == room).count();
        Effect::Joined { to, client: client.clone(), room: room_id(room), seq, epoch, members }
    }

    fn select(&mut self, now: Now, caller: Caller<'_>, at: (&str, &str), user_info: &str) -> Effect {
        let Caller { conn, client, .. } = caller;
        let to = caller.asker();
        let key = (at.0.to_owned(), at.1.to_owned());
        let refused = |reject| refused(to, reject, RequestType::Select, at);
        if let Some(hold) = self.holds.get(&key) {
            if hold.conn != Some(conn) {
                return refused(Reject::SeatTaken);
            }
            let (room, seat, expires_at) = (room_id(at.0), seat_id(at.1), hold.expires_at);
            let (seq, epoch) = (hold.seq, self.rooms[at.0].epoch);
            return Effect::Again { to, client: client.clone(), room, seat, seq, epoch, expires_at };
        }
        let own = self.holds.iter().filter(|((room, _), hold)| room == at.0 && hold.conn == Some(conn)).count();
        if self.rules.seats_per_client_max != 0 && own >= self.rules.seats_per_client_max as usize {
            return refused(Reject::LimitExceeded);
        }
        if !self.may_enter(conn, at.0) {
            return refused(Reject::Overloaded);
        }
        let life = self.life(at.0);
        life.seq += 1;
        let seq = life.seq;
        self.holds_made += 1;
        let hold = Hold {
            conn: Some(conn),
            client: client.clone(),
            user_info: user_info.into(),
            at: now.wall,
            expires_at: now.wall.after(self.rules.hold_ttl_ms),
            deadline: self.clock.after(self.rules.hold_ttl_ms),
            order: self.holds_made,
            seq,
        };
        let user_info = hold.user_info.clone();
        let kind = ChangeKind::Selected {
            status: SeatStatus::Held,
            was: SeatStatus::Free,
            at: hold.at,
            expires_at: Some(hold.expires_at),
            user_info,
            origin: Origin::UNKNOWN,
            claim: None,
        };
        self.changes.entry(at.0.into()).or_default().push((seat_id(at.1), seq, true));
        self.holds.insert(key, hold);
        self.change(at, client, (Some(conn), Some(caller.ticket)), kind)
    }

    fn release(&mut self, caller: Caller<'_>, at: (&str, &str)) -> Effect {
        let key = (at.0.to_owned(), at.1.to_owned());
        let reject = match self.holds.get(&key) {
            None => Reject::NotHeld,
            Some(hold) if hold.conn != Some(caller.conn) => Reject::NotOwner,
            Some(_) => return self.end(&key, ReleaseReason::Released, (Some(caller.conn), Some(caller.ticket))),
        };
        refused(caller.asker(), reject, RequestType::Release, at)
    }

    fn end(&mut self, at: &SeatKey, reason: ReleaseReason, told: Told) -> Effect {
        let hold = self.holds.remove(at).expect("the seat is held");
        let life = self.life(&at.0);
        life.seq += 1;
        let seq = life.seq;
        self.changes.entry(at.0.clone()).or_default().push((seat_id(&at.1), seq, false));
        self.change((&at.0, &at.1), &hold.client, told, ChangeKind::Released { reason })
    }

    fn change(&self, at: (&str, &str), client: &ClientId, told: Told, kind: ChangeKind) -> Effect {
        let (actor, answers) = told;
        let Life { seq, epoch } = self.rooms[at.0];
        let mut audience = ShardSet::EMPTY;
        let members = self.members.iter().filter(|(room, _)| room == at.0);
        members.for_each(|(_, conn)| audience.insert(conn.shard()));
        let held = self.holds.keys().filter(|(room, _)| room == at.0).count();
        Effect::Change(Arc::new(Change {
            room: room_id(at.0),
            seat: seat_id(at.1),
            index: None,
            client: client.clone(),
            seq,
            epoch,
            actor,
            answers,
            held: u32::try_from(held).expect("few seats"),
            audience,
            kind,
        }))
    }

    /// The seats of the holds that satisfy the condition, in the order of selecting.
    fn in_order(&self, condition: impl Fn(&Hold) -> bool) -> Vec<SeatKey> {
        let mut found: Vec<_> = self.holds.iter().filter(|(_, hold)| condition(hold)).collect();
        found.sort_by_key(|(_, hold)| hold.order);
        found.into_iter().map(|(at, _)| at.clone()).collect()
    }

    fn may_enter(&self, conn: ConnId, room: &str) -> bool {
        let member = self.members.iter().filter(|(_, member)| *member == conn).map(|(room, _)| room);
        let holder = self.holds.iter().filter(|(_, hold)| hold.conn == Some(conn)).map(|((room, _), _)| room);
        let rooms: BTreeSet<_> = member.chain(holder).map(String::as_str).collect();
        rooms.contains(room) || rooms.len() < ROOMS_PER_CONNECTION_MAX
    }

    fn life(&mut self, room: &str) -> &mut Life {
        if !self.rooms.contains_key(room) {
            self.lives_begun += 1;
            self.rooms.insert(room.into(), Life { epoch: Epoch(self.lives_begun), seq: 0 });
        }
        self.rooms.get_mut(room).expect("it was there or has been inserted")
    }

    fn close_empty_rooms(&mut self) {
        let Self { rooms, members, holds, changes, .. } = self;
        rooms.retain(|room, _| members.iter().any(|(of, _)| of == room) || holds.keys().any(|(of, _)| of == room));
        changes.retain(|room, _| rooms.contains_key(room));
    }
}

/// Who is told of a change in its own frame, and which of its requests that answers.
type Told = (Option<ConnId>, Option<Ticket>);

fn refused(to: Asker, reject: Reject, request: RequestType, at: (&str, &str)) -> Effect {
    Effect::Refused { to, reject, request, room: room_id(at.0), seat: Some(seat_id(at.1)), details: None }
}

fn room_id(room: &str) -> RoomId {
    RoomId::new(room).expect("a valid id")
}

fn seat_id(seat: &str) -> SeatId {
    SeatId::new(seat).expect("a valid id")
}
