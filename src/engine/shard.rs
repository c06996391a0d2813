//! One core's share of the server: its rooms, and every decision about them. Start reading here.
//!
//! Invariants: a room exists while it has members, seats that are not free, or something of the backend's; a hold is
//! in its room, with its owner and among the deadlines, or in none of them; nothing that is due survives an input, so
//! a command always meets the state of its own moment; a refusal changes nothing. Never here: a clock, I/O, JSON, or a
//! second way to change a room beside [`Shard::handle`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::barred::Barred;
use super::clocks::Clocks;
use super::command::{
    Act, Asker, Caller, CartView, Effect, Effects, Input, Kept, Position, Reject, ReleaseReason, RequestType,
};
use super::counter::Counter;
use super::deadlines::{Deadline, Deadlines, Due, HoldNumber};
use super::ids::{ConnId, RoomId, SeatId, ShardId, Spread};
use super::keyed::{Keyed, KeyedMap, Seeds};
use super::owners::Owners;
use super::presence::Presences;
use super::room::{Hold, Members, Room, RoomState};
use super::shares::Shares;
use super::slab::{Slab, Slot};
use super::time::{Millis, Now};
use crate::limits::{HOLDS_MADE_MAX, ROOM_MEMBERS_MAX, ROOMS_MADE_MAX, ROOMS_PER_SHARD_MAX, SHARD_HOLDS_MAX};

mod best;
mod blocks;
mod bytes;
mod cart;
mod check;
#[cfg(test)]
mod coming_back;
mod due;
mod meeting;
#[cfg(test)]
mod near_bounds;
mod orders;
mod parted;
mod plan;
#[cfg(debug_assertions)]
mod planted;
mod reads;
mod reconcile;
mod requests;
#[cfg(test)]
mod reselect;
mod restored;
mod restored_room;
mod rooms;
mod rules;
mod sale;
mod seats;
mod single;

pub use rules::{CartRules, Counts, Fairness, RestoreBy, Rules};

/// The rooms of one core. The only decision maker.
#[derive(Debug)]
pub struct Shard {
    id: ShardId,
    spread: Spread,
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
    owners: Owners,
    deadlines: Deadlines,
    /// Seats that are not free, and those of them that are held.
    taken: usize,
    held: usize,
    /// Bytes of `user_info` of what is held, and what holds may take in all.
    user_info_bytes: usize,
    hold_bytes_max: usize,
    /// The last number of what is neither a hold nor a room.
    numbers: u64,
    carts: CartRules,
    clocks: Clocks,
    fairness: Fairness,
    barred: Barred,
    shares: Shares,
    /// Where rooms that are not there yet go on, if they come to be.
    lives: BTreeMap<RoomId, Position>,
    /// Parts of which nothing ends by itself for now.
    frozen: Vec<u16>,
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
            spread: Spread::over(shards),
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
            owners: Owners::new(keyed, Keyed::new(seeds.connections)),
            deadlines: Deadlines::default(),
            taken: 0,
            held: 0,
            user_info_bytes: 0,
            hold_bytes_max: usize::MAX,
            numbers: 0,
            carts: CartRules::default(),
            clocks: Clocks::new(keyed),
            fairness: Fairness::default(),
            barred: Barred::new(keyed),
            shares: Shares::new(keyed),
            lives: BTreeMap::new(),
            frozen: Vec::new(),
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

    /// The same shard, with these rules for carts.
    #[must_use]
    pub fn with_carts(mut self, carts: CartRules) -> Self {
        self.carts = carts;
        self
    }

    /// The one door: decides what `input` does at `now` and appends what is to be done for it, after the expiries that
    /// are due by then. A monotonic time before the last one counts as the last one.
    pub fn handle(&mut self, now: Now, input: Input<'_>, effects: &mut Effects) {
        self.clock = self.clock.max(now.mono);
        self.end_due_things(now, effects);
        match input {
            Input::Join { caller, room } => self.join(caller, room, effects),
            Input::Leave { caller, room } => self.leave(caller, room, effects),
            Input::Select { caller, room, seat, user_info } => {
                self.select(now, caller, (room, seat), user_info, effects);
            }
            Input::Release { caller, room, seat } => self.release(caller, room, seat, effects),
            Input::Cart { caller, room, request } => self.cart_request(now, caller, room, request, effects),
            Input::Resume { caller, rooms } => self.resume(caller, rooms, effects),
            Input::Sale { room, request, reply_to } => self.sale_request(now, room, request, reply_to, effects),
            Input::Resync { conn, room } => self.resync(conn, room, effects),
            Input::Gone { conn } => self.gone(conn, effects),
            Input::Away { conn, waits_until } => self.away(conn, waits_until, effects),
            Input::Return { caller, room } => self.come_back(caller, room, effects),
            Input::ForgetPart { part } => self.forget_part(part),
            Input::LiveOn { room, at } => self.live_on(room, at),
            Input::Freeze { part } => self.freeze_part(part),
            Input::Thaw { part } => self.frozen.retain(|&of| of != part),
            Input::Tick => {}
            Input::Restore { room, seat, hold } => self.restore(room, seat, hold),
            Input::RestoreRoom { room, was, waits_until } => self.restore_room(now, room, was, waits_until, effects),
            Input::Retract { room, epoch, selects, seq } => {
                self.retract(room, epoch, selects, seq, effects);
            }
        }
        #[cfg(debug_assertions)]
        Self::reorder(effects);
        #[cfg(debug_assertions)]
        self.check_after(input);
    }

    /// What is held in a room, or `None` when the room does not exist: then nothing is.
    #[must_use]
    pub fn selections(&self, room: &str) -> Option<RoomState<'_>> {
        self.find(room).map(|slot| RoomState::new(&self.rooms[slot], &self.owners))
    }

    /// The cart of the owner for whom a connection acts, in a room. It is empty for one that acts for nobody.
    #[must_use]
    pub fn cart_of(&self, conn: ConnId, room: &str) -> Arc<CartView> {
        let view = |party| self.view(party, self.find(room));
        Arc::new(self.owners.of_conn(conn).map(view).unwrap_or_default())
    }

    /// What a store keeps of a room beside its seats.
    #[must_use]
    pub fn beside(&self, room: &str) -> Vec<Kept> {
        self.find(room).map_or_else(Vec::new, |slot| self.kept_beside(slot))
    }

    /// When the next thing ends by itself.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        self.deadlines.next()
    }

    /// How much there is.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { rooms: self.rooms.len(), members: self.members, holds: self.held }
    }

    /// The rooms that exist. Their order follows from the history alone.
    pub fn rooms(&self) -> impl Iterator<Item = &RoomId> {
        self.rooms.iter().map(|room| &room.id)
    }

    /// The rooms of a part of them: of `count` places from `from` on, and whether there are places behind. A room that
    /// is there all the while is found in one part.
    pub fn rooms_in(&self, from: usize, count: usize) -> (impl Iterator<Item = &RoomId>, bool) {
        (self.rooms.part(from, count).map(|room| &room.id), from.saturating_add(count) < self.rooms.slots())
    }

    /// Whether a room has a version of this layout.
    #[must_use]
    pub fn uses_layout(&self, id: &str) -> bool {
        let layout = |room: &Room| room.settings()?.layout.as_ref().map(|layout| *layout.id == *id);
        self.rooms.iter().any(|room| layout(room) == Some(true))
    }

    /// The seats of a room with a layout, or `None` when it has none.
    #[must_use]
    pub fn hall(&self, room: &str) -> Option<&crate::layout::hall::Hall> {
        self.find(room).and_then(|slot| self.rooms[slot].hall())
    }

    /// How many members a room has, or `None` when the room does not exist.
    #[must_use]
    pub fn members(&self, room: &str) -> Option<Members<'_>> {
        self.find(room).map(|slot| Members::new(&self.rooms[slot]))
    }

    /// The hold of the seat in the last change has run out: its owner may not have it again at once.
    fn bar(&mut self, conn: Option<ConnId>, hold: &Hold, effects: &Effects) {
        if self.fairness.reselect_after_ms == 0 {
            return;
        }
        let Some(Effect::Change(change)) = effects.last() else { unreachable!("the end of a hold has just been told") };
        let until = self.clock.after(self.fairness.reselect_after_ms);
        self.barred.note(until, &change.room, &change.seat, (conn, &hold.client, hold.origin));
    }

    fn join(&mut self, caller: Caller<'_>, room: &str, effects: &mut Effects) {
        if caller.identity.is_some() && !self.has_come(caller, room, effects) {
            return;
        }
        let (conn, client) = (caller.conn, caller.client);
        let (slot, is_new) = match self.become_member(conn, room) {
            Ok(member) => member,
            Err(reject) => return self.refuse(caller.asker(), reject, RequestType::Join, (room, None), effects),
        };
        if is_new {
            self.adopt(caller, slot);
        }
        let room = &self.rooms[slot];
        let (members, seq, epoch, room) = (room.member_count(), room.seq, room.epoch, room.id.clone());
        effects.push(Effect::Joined { to: caller.asker(), client: client.clone(), room, seq, epoch, members });
    }

    /// Makes the connection a member of the room, and says whether it was none.
    fn become_member(&mut self, conn: ConnId, room: &str) -> Result<(Slot, bool), Reject> {
        let known = self.find(room);
        if let Some(slot) = known.filter(|&slot| self.presences.is_member(conn, slot)) {
            return Ok((slot, false));
        }
        if let Some(reject) = self.room_forbids(known) {
            return Err(reject);
        }
        if !self.may_join(conn, known) {
            return Err(Reject::Overloaded);
        }
        let slot = known.unwrap_or_else(|| self.open(room));
        self.rooms[slot].join(conn.shard());
        self.presences.join(conn, slot);
        self.members += 1;
        Ok((slot, true))
    }

    /// Whether a v1 caller with a token has been met.
    fn has_come(&mut self, caller: Caller<'_>, room: &str, effects: &mut Effects) -> bool {
        self.party_of(caller, (room, RequestType::Join), effects).is_some()
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

    /// Whether one more room may be made.
    fn may_open(&self) -> bool {
        self.rooms.len() < ROOMS_PER_SHARD_MAX && self.rooms_made.has_next()
    }

    /// Whether so many seats more may be taken.
    fn may_take(&self, seats: usize) -> bool {
        self.taken + seats <= SHARD_HOLDS_MAX && self.holds_made.has_next_of(seats as u64)
    }

    /// A number for something that ends by itself and is no seat.
    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
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
        let departed = self.presences.take(conn).unwrap_or_default();
        #[cfg(debug_assertions)]
        let departed = Self::forget_some(departed);
        for &room in &departed.memberships {
            self.end_membership(conn, room);
        }
        let why = (Act::EndHold, ReleaseReason::Disconnected);
        for &(room, seat) in &departed.holds {
            let (hold, change) = self.rooms[room].free(seat, why.0, why.1, (None, None));
            effects.push(Effect::Change(change));
            self.taken -= 1;
            self.held -= 1;
            self.user_info_bytes -= hold.user_info.len();
            self.shares.remove(hold.origin);
            self.forget_deadline();
            self.drop_if_empty(room);
        }
        self.part(conn, effects);
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
        assert_eq!(self.spread.shard_of(room), self.id, "a command for a room of another shard");
        RoomId::checked(room)
    }

    fn open(&mut self, room: &str) -> Slot {
        let id = self.room_id(room);
        let epoch = self.epochs.epoch(self.rooms_made.next());
        let mut made = Room::new(id.clone(), epoch, self.keyed);
        if let Some(at) = self.lives.remove(room) {
            (made.epoch, made.seq) = (at.epoch, at.seq);
        }
        let slot = self.rooms.insert(made);
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
        let seat = seat.map(|seat| held(seat).unwrap_or_else(|| SeatId::checked(seat)));
        effects.push(Effect::Refused { to, reject, request, room: self.room_id(room), seat, details: None });
    }
}

/// Whether what this deadline names has not ended yet.
fn is_live(rooms: &Slab<Room>, owners: &Owners, entry: &Deadline) -> bool {
    let number = entry.number;
    match entry.due {
        Due::Seat { room, seat } => rooms.get(room).is_some_and(|room| room.is_held_by(seat, HoldNumber(number))),
        Due::Cart(cart) => owners.carts.get(cart).is_some_and(|cart| cart.alarm == number),
        Due::Grace(party) => owners.parties.get(party).is_some_and(|party| party.grace == number),
        Due::Order { room, order } => {
            let order = rooms.get(room).and_then(|room| room.sale()?.orders.get(order));
            order.is_some_and(|order| order.alarm == number)
        }
        Due::Room(room) => rooms.get(room).and_then(Room::sale).is_some_and(|sale| sale.alarm == number),
    }
}
