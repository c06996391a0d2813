//! One core's share of the server: its rooms, and every decision about them. Start reading here.
//!
//! Invariants: a room exists while it has members or holds; a hold is in its room, in the presence of its owner and in
//! the queue of deadlines, or in none of them; nothing that is due survives an input, so a command always meets the
//! state of its own moment; a refusal changes nothing.
//! Never here: a clock, I/O, JSON, or a second way to change a room beside [`Shard::handle`].

use std::sync::Arc;

use super::absent::Absentees;
use super::barred::Barred;
use super::command::{
    ApiAnswer, ApiTicket, Asker, Caller, Details, Effect, Effects, Input, Reject, ReleaseReason, RequestType, Resumed,
    SaleAnswer,
};
use super::counter::Counter;
use super::deadlines::{Deadline, Deadlines, Due, HoldNumber};
use super::ids::{ConnId, RoomId, SeatId, ShardId, shard_of};
use super::keyed::{Keyed, KeyedMap, Seeds};
use super::presence::Presences;
use super::room::{Hold, Members, Owner, Room, RoomState, Seat, SeatState};
use super::shares::Shares;
use super::slab::{Slab, Slot};
use super::time::{Millis, Now};
use crate::limits::{HOLDS_MADE_MAX, ROOM_MEMBERS_MAX, ROOMS_MADE_MAX, ROOMS_PER_SHARD_MAX, SHARD_HOLDS_MAX};

mod check;
#[cfg(test)]
mod coming_back;
#[cfg(test)]
mod near_bounds;
#[cfg(debug_assertions)]
mod planted;
#[cfg(test)]
mod reselect;
mod restored;

/// What the operator decides about seats.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How long a hold lives.
    pub hold_ttl_ms: u64,
    /// Seats one connection may hold in one room; 0 switches the limit off.
    pub seats_per_client_max: u32,
}

/// Who gets a hold back after a restart.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum RestoreBy {
    /// The first connection of the same client from the same address, or with a proof.
    Address,
    /// The first connection of the same client that proves to have held it.
    Proof,
    /// The first connection of the same client, wherever it comes from.
    #[default]
    ClientId,
}

/// What keeps one client from taking what is everybody's or another's. Without it: nothing.
#[derive(Clone, Copy, Default, Debug)]
pub struct Fairness {
    /// How long the owner of a hold that has run out may not take that seat again; 0 switches that off.
    pub reselect_after_ms: u64,
    /// Who gets a hold back after a restart.
    pub restore_by: RestoreBy,
    /// Seats of this shard that may be held from one address; 0 is no limit.
    pub seats_per_origin_max: u32,
}

/// How much a shard owns.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Rooms with members or holds.
    pub rooms: usize,
    /// Memberships, a connection counted once for each of its rooms.
    pub members: usize,
    /// Held seats.
    pub holds: usize,
}

/// The rooms of one core. The only decision maker.
#[derive(Debug)]
pub struct Shard {
    id: ShardId,
    shards: usize,
    rules: Rules,
    keyed: Keyed,
    epochs: Keyed,
    rooms_made: Counter,
    holds_made: Counter,
    clock: Millis,
    by_id: KeyedMap<RoomId, Slot>,
    rooms: Slab<Room>,
    members: usize,
    presences: Presences,
    deadlines: Deadlines,
    absent: Absentees,
    fairness: Fairness,
    barred: Barred,
    shares: Shares,
    /// `{}`, what most clients send, kept once.
    no_user_info: Arc<str>,
    #[cfg(debug_assertions)]
    inputs_until_check: usize,
}

impl Shard {
    /// An empty shard, one of `shards`. The seeds are random at each start, and every shard has its own.
    #[must_use]
    pub fn new(id: ShardId, shards: usize, seeds: Seeds, rules: Rules) -> Self {
        assert!(id.index() < shards);
        let keyed = Keyed::new(seeds.ids);
        Self {
            id,
            shards,
            rules,
            keyed,
            epochs: Keyed::new(seeds.epochs),
            rooms_made: Counter::up_to(ROOMS_MADE_MAX),
            holds_made: Counter::up_to(HOLDS_MADE_MAX),
            clock: Millis::default(),
            by_id: KeyedMap::with_hasher(keyed),
            rooms: Slab::new(),
            members: 0,
            presences: Presences::new(Keyed::new(seeds.connections)),
            deadlines: Deadlines::default(),
            absent: Absentees::new(keyed),
            fairness: Fairness::default(),
            barred: Barred::new(keyed),
            shares: Shares::new(keyed),
            no_user_info: "{}".into(),
            #[cfg(debug_assertions)]
            inputs_until_check: 0,
        }
    }

    /// The same shard, fair.
    #[must_use]
    pub fn with(mut self, fairness: Fairness) -> Self {
        self.fairness = fairness;
        self.shares.limit(fairness.seats_per_origin_max);
        self
    }

    /// The one door: decides what `input` does at `now` and appends what is to be done for it, after the expiries that
    /// are due by then. A monotonic time before the last one counts as the last one.
    pub fn handle(&mut self, now: Now, input: Input<'_>, effects: &mut Effects) {
        self.clock = self.clock.max(now.mono);
        self.expire_due(effects);
        self.give_up_absent(effects);
        match input {
            Input::Join { caller, room } => self.join(caller, room, effects),
            Input::Leave { caller, room } => self.leave(caller, room, effects),
            Input::Select { caller, room, seat, user_info } => {
                self.select(now, caller, (room, seat), user_info, effects);
            }
            Input::Release { caller, room, seat } => self.release(caller, room, seat, effects),
            Input::Cart { caller, room, request } => {
                self.refuse(caller.asker(), Reject::Overloaded, request.kind(), (room, None), effects);
            }
            Input::Resume { caller, .. } => {
                effects.push(Effect::Resumed(Box::new(Resumed { to: caller.asker(), carts: Vec::new() })));
            }
            Input::Sale { room, reply_to, .. } => self.refuse_sale(reply_to, Reject::Overloaded, room, effects),
            Input::Resync { conn, room } => self.resync(conn, room, effects),
            Input::Gone { conn } => self.gone(conn, effects),
            Input::Tick => {}
            Input::Restore { room, seat, hold } => self.restore(room, seat, hold),
            Input::Retract { room, epoch, selects, seq } => self.retract(room, epoch, selects, seq),
        }
        #[cfg(debug_assertions)]
        Self::reorder(effects);
        #[cfg(debug_assertions)]
        self.check_after(input);
    }

    /// What is held in a room, or `None` when the room does not exist: then nothing is.
    #[must_use]
    pub fn selections(&self, room: &str) -> Option<RoomState<'_>> {
        self.find(room).map(|slot| RoomState::new(&self.rooms[slot]))
    }

    /// When the next hold ends by itself, or those of absent clients do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        self.deadlines.next().into_iter().chain(self.absent.until()).min()
    }

    /// How much there is.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { rooms: self.rooms.len(), members: self.members, holds: self.deadlines.live() }
    }

    /// The rooms that exist. Their order follows from the history alone.
    pub fn rooms(&self) -> impl Iterator<Item = &RoomId> {
        self.rooms.iter().map(|room| &room.id)
    }

    /// How many members a room has, or `None` when the room does not exist.
    #[must_use]
    pub fn members(&self, room: &str) -> Option<Members<'_>> {
        self.find(room).map(|slot| Members::new(&self.rooms[slot]))
    }

    fn expire_due(&mut self, effects: &mut Effects) {
        self.barred.forget_due(self.clock);
        let reason = ReleaseReason::Expired;
        while let Some(due) = self.deadlines.pop_due(self.clock, |entry| is_live(&self.rooms, entry)) {
            let Due::Seat { room, seat } = due.due else { unreachable!("nothing else ends yet") };
            let SeatState::Held(hold) = &self.rooms[room].seat_at(seat).state;
            let owner = hold.owner;
            let (hold, change) = self.rooms[room].free(seat, reason, owner.conn());
            if self.fairness.reselect_after_ms > 0 {
                let until = self.clock.after(self.fairness.reselect_after_ms);
                let whose = (owner.conn(), &hold.client, hold.origin);
                self.barred.note(until, &change.room, &change.seat, whose);
            }
            effects.push(Effect::Change(change));
            self.shares.remove(hold.origin);
            match owner {
                Owner::Conn(conn) => self.presences.release(conn, hold.number, room),
                Owner::Absent => self.absent.forget(&hold.client, hold.number),
            }
            self.drop_if_empty(room);
        }
    }

    fn join(&mut self, caller: Caller<'_>, room: &str, effects: &mut Effects) {
        let Caller { conn, client, .. } = caller;
        let known = self.find(room);
        let again = known.is_some_and(|slot| self.presences.is_member(conn, slot));
        if !again && !self.may_join(conn, known) {
            return self.refuse(caller.asker(), Reject::Overloaded, RequestType::Join, (room, None), effects);
        }
        let slot = known.unwrap_or_else(|| self.open(room));
        if !again {
            self.rooms[slot].join(conn.shard());
            self.presences.join(conn, slot);
            self.members += 1;
            self.adopt(caller, slot);
        }
        let room = &self.rooms[slot];
        let (members, seq, epoch, room) = (room.member_count(), room.seq, room.epoch, room.id.clone());
        effects.push(Effect::Joined { to: caller.asker(), client: client.clone(), room, seq, epoch, members });
    }

    fn may_join(&self, conn: ConnId, room: Option<Slot>) -> bool {
        let has_place = room.map_or(self.may_open(), |slot| self.rooms[slot].member_count() < ROOM_MEMBERS_MAX);
        has_place && self.presences.may_enter(conn, room)
    }

    fn leave(&mut self, caller: Caller<'_>, room: &str, effects: &mut Effects) {
        let Caller { conn, client, .. } = caller;
        effects.push(Effect::Left { to: caller.asker(), client: client.clone(), room: self.room_id(room) });
        if let Some(slot) = self.find(room).filter(|&slot| self.presences.is_member(conn, slot)) {
            self.presences.leave(conn, slot);
            self.end_membership(conn, slot);
            self.drop_if_empty(slot);
        }
    }

    fn end_membership(&mut self, conn: ConnId, room: Slot) {
        self.rooms[room].leave(conn.shard());
        self.members -= 1;
    }

    fn select(&mut self, now: Now, caller: Caller<'_>, at: (&str, &str), user_info: &str, effects: &mut Effects) {
        let (room, seat) = at;
        let conn = caller.conn;
        #[cfg(debug_assertions)]
        self.grant_twice(conn, room, seat);
        let known = self.find(room);
        if let Some((slot, held)) = known.and_then(|slot| Some((slot, self.rooms[slot].seat(seat)?.1))) {
            return effects.push(self.select_held(caller, &self.rooms[slot], held));
        }
        if let Some(reject) = self.select_limit(caller, known).or_else(|| self.too_soon(caller, at)) {
            return self.refuse(caller.asker(), reject, RequestType::Select, (room, Some(seat)), effects);
        }
        let room = known.unwrap_or_else(|| self.open(room));
        let hold = self.new_hold(now, caller, user_info);
        let number = hold.number;
        self.shares.add(hold.origin);
        let seat = SeatId::new(seat).expect("the ids of an input are valid");
        let (seat, change) = self.rooms[room].grant(seat, hold, caller.ticket);
        self.presences.hold(conn, number, room, seat);
        let at = self.clock.after(self.rules.hold_ttl_ms);
        self.deadlines.push(Deadline { at, due: Due::Seat { room, seat }, number: number.0 });
        effects.push(Effect::Change(change));
    }

    /// The answer to a select of a seat that is not free.
    fn select_held(&self, caller: Caller<'_>, room: &Room, seat: &Seat) -> Effect {
        let SeatState::Held(hold) = &seat.state;
        let (to, room_id, seat) = (caller.asker(), room.id.clone(), seat.id.clone());
        if hold.owner != Owner::Conn(caller.conn) {
            let (reject, request) = (Reject::SeatTaken, RequestType::Select);
            return Effect::Refused { to, reject, request, room: room_id, seat: Some(seat), details: None };
        }
        let (client, seq, epoch, expires_at) = (caller.client.clone(), hold.seq, room.epoch, hold.expires_at);
        Effect::Again { to, client, room: room_id, seat, seq, epoch, expires_at }
    }

    /// Why the caller may not have a free seat of this room; `None` stands for a room that does not exist yet.
    fn select_limit(&self, Caller { conn, origin, .. }: Caller<'_>, room: Option<Slot>) -> Option<Reject> {
        let own = room.map_or(0, |slot| self.presences.holds_in(conn, slot));
        if self.rules.seats_per_client_max != 0 && own >= self.rules.seats_per_client_max {
            return Some(Reject::LimitExceeded);
        }
        if !self.shares.has_room(origin) {
            return Some(Reject::AddressLimit);
        }
        let has_place = room.map_or(self.may_open(), |slot| self.rooms[slot].may_grant());
        let is_free = has_place && self.may_hold_one_more() && self.presences.may_enter(conn, room);
        (!is_free).then_some(Reject::Overloaded)
    }

    /// Whether the caller had this seat until a moment ago.
    fn too_soon(&self, caller: Caller<'_>, (room, seat): (&str, &str)) -> Option<Reject> {
        let until = self.barred.until(caller, room, seat)?;
        let retry_after_ms = u32::try_from(until.0 - self.clock.0).expect("RESELECT_AFTER_MS_MAX fits");
        Some(Reject::TooSoon { retry_after_ms })
    }

    /// Whether one more room may be made.
    fn may_open(&self) -> bool {
        self.rooms.len() < ROOMS_PER_SHARD_MAX && self.rooms_made.has_next()
    }

    /// Whether the shard may own one hold more.
    fn may_hold_one_more(&self) -> bool {
        self.deadlines.live() < SHARD_HOLDS_MAX && self.holds_made.has_next()
    }

    fn new_hold(&mut self, now: Now, caller: Caller<'_>, user_info: &str) -> Hold {
        let is_default = user_info == &*self.no_user_info;
        Hold {
            number: HoldNumber(self.holds_made.next()),
            owner: Owner::Conn(caller.conn),
            client: caller.client.clone(),
            origin: caller.origin,
            user_info: if is_default { Arc::clone(&self.no_user_info) } else { user_info.into() },
            at: now.wall,
            expires_at: now.wall.after(self.rules.hold_ttl_ms),
            seq: 0,
        }
    }

    fn release(&mut self, caller: Caller<'_>, room: &str, seat: &str, effects: &mut Effects) {
        let conn = caller.conn;
        let held = self.find(room).and_then(|slot| Some((slot, self.rooms[slot].seat(seat)?)));
        let reject = match held {
            None => Reject::NotHeld,
            Some((room, (slot, Seat { state: SeatState::Held(hold), .. }))) if hold.owner == Owner::Conn(conn) => {
                return self.release_own(caller.asker(), room, slot, effects);
            }
            Some(_) => Reject::NotOwner,
        };
        self.refuse(caller.asker(), reject, RequestType::Release, (room, Some(seat)), effects);
    }

    fn release_own(&mut self, asker: Asker, room: Slot, seat: Slot, effects: &mut Effects) {
        let (hold, change) = self.rooms[room].release(seat, asker);
        effects.push(Effect::Change(change));
        self.shares.remove(hold.origin);
        self.presences.release(asker.conn, hold.number, room);
        self.deadlines.forget_one(|entry| is_live(&self.rooms, entry));
        self.drop_if_empty(room);
        #[cfg(debug_assertions)]
        self.use_number_again(hold.number);
    }

    /// A connection that has left meanwhile is not told.
    fn resync(&self, conn: ConnId, room: &str, effects: &mut Effects) {
        if let Some(slot) = self.find(room).filter(|&slot| self.presences.is_member(conn, slot)) {
            let room = &self.rooms[slot];
            effects.push(Effect::Snapshot { to: conn, room: room.id.clone(), seq: room.seq, epoch: room.epoch });
        }
    }

    /// Memberships end first: a connection is not in the audience of its own end.
    fn gone(&mut self, conn: ConnId, effects: &mut Effects) {
        let Some(departed) = self.presences.take(conn) else { return };
        #[cfg(debug_assertions)]
        let departed = Self::forget_some(departed);
        for &room in &departed.memberships {
            self.end_membership(conn, room);
        }
        for &(room, seat) in &departed.holds {
            let (hold, change) = self.rooms[room].free(seat, ReleaseReason::Disconnected, None);
            effects.push(Effect::Change(change));
            self.shares.remove(hold.origin);
            self.deadlines.forget_one(|entry| is_live(&self.rooms, entry));
            self.drop_if_empty(room);
        }
        for room in departed.memberships {
            self.drop_if_empty(room);
        }
    }

    fn find(&self, room: &str) -> Option<Slot> {
        self.by_id.get(room).copied()
    }

    /// The id of the room, shared when the room exists.
    fn room_id(&self, room: &str) -> RoomId {
        if let Some((id, _)) = self.by_id.get_key_value(room) {
            return id.clone();
        }
        assert_eq!(shard_of(room, self.shards), self.id, "a command for a room of another shard");
        RoomId::new(room).expect("the ids of an input are valid")
    }

    fn open(&mut self, room: &str) -> Slot {
        let id = self.room_id(room);
        let epoch = self.epochs.epoch(self.rooms_made.next());
        let slot = self.rooms.insert(Room::new(id.clone(), epoch, self.keyed));
        self.by_id.insert(id, slot);
        slot
    }

    fn drop_if_empty(&mut self, slot: Slot) {
        if self.rooms.get(slot).is_some_and(Room::is_empty) {
            let room = self.rooms.remove(slot);
            self.by_id.remove(&room.id);
        }
    }

    fn refuse(&self, to: Asker, reject: Reject, request: RequestType, at: (&str, Option<&str>), effects: &mut Effects) {
        let (room, seat) = at;
        let held = |seat| Some(self.rooms[self.find(room)?].seat(seat)?.1.id.clone());
        let seat =
            seat.map(|seat| held(seat).unwrap_or_else(|| SeatId::new(seat).expect("the ids of an input are valid")));
        effects.push(Effect::Refused { to, reject, request, room: self.room_id(room), seat, details: None });
    }

    fn refuse_sale(&self, to: ApiTicket, reject: Reject, room: &str, effects: &mut Effects) {
        let answer = SaleAnswer::Refused { reject, details: Details::default() };
        effects.push(Effect::Api(Box::new(ApiAnswer { to, room: self.room_id(room), answer })));
    }
}

/// Whether the hold of this deadline has not ended yet.
fn is_live(rooms: &Slab<Room>, entry: &Deadline) -> bool {
    let Due::Seat { room, seat } = entry.due else { return false };
    rooms.get(room).is_some_and(|room| room.is_held_by(seat, HoldNumber(entry.number)))
}
