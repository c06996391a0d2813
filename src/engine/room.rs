//! One room: its seats, its holds, its sequence of changes, and how many members it has on which shard.
//!
//! Invariants: a seat has one owner or is not in the room at all; `seq` moves by one with every change of a seat and
//! with nothing else; `audience` is the set of shards with at least one member.
//! Never here: whether a command is allowed (the shard decides), deadlines, who the members are.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::command::{Asker, Change, ChangeKind, ReleaseReason, SeatStatus, Selection, Ticket};
use super::deadlines::HoldNumber;
use super::ids::{ClientId, ConnId, Epoch, Origin, RoomId, SeatId, ShardId, ShardSet};
use super::keyed::{Keyed, KeyedMap};
use super::slab::{Slab, Slot};
use super::time::WallMillis;
use crate::limits::{ROOM_HOLDS_MAX, SEQ_MAX};

/// To whom a hold belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    Conn(ConnId),
    /// To the client whose name is on it, who has not come back since a restart.
    Absent,
}

impl Owner {
    /// The connection, if there is one.
    pub(super) fn conn(self) -> Option<ConnId> {
        match self {
            Self::Conn(conn) => Some(conn),
            Self::Absent => None,
        }
    }
}

/// Who is told of a change in its own frame, and which of its requests that answers.
type Told = (Option<ConnId>, Option<Ticket>);

#[derive(Debug)]
pub(super) struct Hold {
    pub(super) number: HoldNumber,
    pub(super) owner: Owner,
    pub(super) client: ClientId,
    /// Where the client comes from.
    pub(super) origin: Origin,
    pub(super) user_info: Arc<str>,
    pub(super) at: WallMillis,
    pub(super) expires_at: WallMillis,
    /// The room's `seq` after the select, for the reply to a second one.
    pub(super) seq: u64,
}

/// What a seat is when it is not free. It will grow: a seat can be sold or blocked.
#[derive(Debug)]
pub(super) enum SeatState {
    Held(Hold),
}

#[derive(Debug)]
pub(super) struct Seat {
    pub(super) id: SeatId,
    pub(super) state: SeatState,
}

#[derive(Debug)]
pub(super) struct Room {
    pub(super) id: RoomId,
    pub(super) epoch: Epoch,
    pub(super) seq: u64,
    /// The seats that are not free, by id and by slot.
    by_id: KeyedMap<SeatId, Slot>,
    seats: Slab<Seat>,
    members: usize,
    /// The members of each shard that has some.
    members_on: Vec<(ShardId, u32)>,
    audience: ShardSet,
}

impl Room {
    pub(super) fn new(id: RoomId, epoch: Epoch, keyed: Keyed) -> Self {
        Self {
            id,
            epoch,
            seq: 0,
            by_id: KeyedMap::with_hasher(keyed),
            seats: Slab::new(),
            members: 0,
            members_on: Vec::new(),
            audience: ShardSet::EMPTY,
        }
    }

    /// Whether nothing keeps the room alive.
    pub(super) fn is_empty(&self) -> bool {
        self.members == 0 && self.seats.len() == 0
    }

    pub(super) fn holds(&self) -> usize {
        self.seats.len()
    }

    pub(super) fn member_count(&self) -> usize {
        self.members
    }

    /// Whether one more seat may be held here. The numbers of its changes must be enough for the grant and for the end of
    /// every hold.
    pub(super) fn may_grant(&self) -> bool {
        self.holds() < ROOM_HOLDS_MAX && self.seq < SEQ_MAX - 2 * ROOM_HOLDS_MAX as u64
    }

    fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        assert!(self.seq <= SEQ_MAX, "a grant leaves numbers for the ends of all holds");
        self.seq
    }

    /// The seat with this id and its slot, or `None` when it is free.
    pub(super) fn seat(&self, seat: &str) -> Option<(Slot, &Seat)> {
        self.by_id.get(seat).map(|&slot| (slot, &self.seats[slot]))
    }

    /// The seat in this slot, which is full.
    pub(super) fn seat_at(&self, slot: Slot) -> &Seat {
        &self.seats[slot]
    }

    /// Whether the seat in this slot is held by the hold with this number.
    pub(super) fn is_held_by(&self, seat: Slot, number: HoldNumber) -> bool {
        self.seats.get(seat).is_some_and(|seat| {
            let SeatState::Held(hold) = &seat.state;
            hold.number == number
        })
    }

    /// One member more on this shard.
    pub(super) fn join(&mut self, shard: ShardId) {
        self.members += 1;
        match self.members_on.iter_mut().find(|(on, _)| *on == shard) {
            Some((_, members)) => *members += 1,
            None => {
                self.members_on.push((shard, 1));
                self.audience.insert(shard);
            }
        }
    }

    /// One member less on this shard.
    pub(super) fn leave(&mut self, shard: ShardId) {
        let at = self.members_on.iter().position(|&(on, _)| on == shard).expect("a member leaves");
        self.members -= 1;
        self.members_on[at].1 -= 1;
        if self.members_on[at].1 == 0 {
            self.members_on.swap_remove(at);
            self.audience.remove(shard);
        }
    }

    /// Gives the free seat to the owner, whose request `answers` names; `hold.seq` is set here. Returns the seat's slot and
    /// the change.
    pub(super) fn grant(&mut self, seat: SeatId, mut hold: Hold, answers: Ticket) -> (Slot, Arc<Change>) {
        assert!(self.may_grant(), "a grant that its room cannot count");
        hold.seq = self.next_seq();
        let told = (hold.owner.conn(), Some(answers));
        let user_info = Arc::clone(&hold.user_info);
        let (at, expires_at, origin) = (hold.at, hold.expires_at, hold.origin);
        let (status, was, expires_at) = (SeatStatus::Held, SeatStatus::Free, Some(expires_at));
        let kind = ChangeKind::Selected { status, was, at, expires_at, user_info, origin, claim: None };
        let client = hold.client.clone();
        let slot = self.put(seat.clone(), hold);
        (slot, self.change(seat, client, told, kind))
    }

    fn put(&mut self, seat: SeatId, hold: Hold) -> Slot {
        let slot = self.seats.insert(Seat { id: seat.clone(), state: SeatState::Held(hold) });
        match self.by_id.entry(seat) {
            Entry::Vacant(free) => free.insert(slot),
            Entry::Occupied(_) => panic!("a seat that is not free is granted"),
        };
        slot
    }

    /// Gives a seat back to a hold from before a restart, which nobody is told. Returns the seat's slot.
    pub(super) fn restore(&mut self, seat: SeatId, hold: Hold) -> Slot {
        self.seq = self.seq.max(hold.seq);
        self.put(seat, hold)
    }

    /// Frees the seat in this slot as if it had never been held: nobody was told that it was.
    pub(super) fn retract(&mut self, slot: Slot) -> Hold {
        let Seat { id, state: SeatState::Held(hold) } = self.seats.remove(slot);
        assert_eq!(self.by_id.remove(&id), Some(slot), "a seat has one slot");
        hold
    }

    /// The hold of the seat in this slot belongs to this connection from now on.
    pub(super) fn adopt(&mut self, slot: Slot, conn: ConnId) {
        let SeatState::Held(hold) = &mut self.seats[slot].state;
        assert_eq!(std::mem::replace(&mut hold.owner, Owner::Conn(conn)), Owner::Absent, "a hold is adopted once");
    }

    /// The owner of the seat in this slot gives it back, as it asked to. Returns the hold and the change.
    pub(super) fn release(&mut self, slot: Slot, asker: Asker) -> (Hold, Arc<Change>) {
        self.end(slot, ReleaseReason::Released, (Some(asker.conn), Some(asker.ticket)))
    }

    /// Ends the hold of the seat in this slot, which nobody asked for. Returns it and the change, of which `actor` is told in
    /// its own frame.
    pub(super) fn free(&mut self, slot: Slot, reason: ReleaseReason, actor: Option<ConnId>) -> (Hold, Arc<Change>) {
        self.end(slot, reason, (actor, None))
    }

    fn end(&mut self, slot: Slot, reason: ReleaseReason, told: Told) -> (Hold, Arc<Change>) {
        let Seat { id, state: SeatState::Held(hold) } = self.seats.remove(slot);
        assert_eq!(self.by_id.remove(&id), Some(slot), "a seat has one slot");
        self.next_seq();
        let change = self.change(id, hold.client.clone(), told, ChangeKind::Released { reason });
        (hold, change)
    }

    fn change(&self, seat: SeatId, client: ClientId, (actor, answers): Told, kind: ChangeKind) -> Arc<Change> {
        let (room, seq, epoch, audience) = (self.id.clone(), self.seq, self.epoch, self.audience);
        let held = u32::try_from(self.holds()).expect("ROOM_HOLDS_MAX fits");
        Arc::new(Change { room, seat, index: None, client, seq, epoch, actor, answers, held, audience, kind })
    }

    /// Panics when one of the cheap invariants does not hold.
    pub(super) fn check_counts(&self) {
        assert!(!self.is_empty(), "an empty room is kept");
        assert_eq!(self.by_id.len(), self.seats.len());
        assert_eq!(self.members_on.iter().map(|&(_, members)| members as usize).sum::<usize>(), self.members);
        let mut audience = ShardSet::EMPTY;
        self.members_on.iter().for_each(|&(shard, _)| audience.insert(shard));
        assert_eq!(audience, self.audience);
        assert_eq!(audience.iter().count(), self.members_on.len(), "a shard is counted twice");
    }

    /// Panics when an invariant does not hold.
    pub(super) fn check_invariants(&self) {
        self.check_counts();
        for (id, &slot) in &self.by_id {
            let seat = &self.seats[slot];
            let SeatState::Held(hold) = &seat.state;
            assert!(seat.id == *id && hold.seq <= self.seq && hold.at <= hold.expires_at);
        }
    }
}

/// The full state of a room: what is held, and the number of the change that made it so.
#[derive(Clone, Copy, Debug)]
pub struct RoomState<'a> {
    /// The number of the last change.
    pub seq: u64,
    /// The life of the room in which `seq` counts.
    pub epoch: Epoch,
    room: &'a Room,
}

impl<'a> RoomState<'a> {
    pub(super) fn new(room: &'a Room) -> Self {
        Self { seq: room.seq, epoch: room.epoch, room }
    }

    /// How many seats are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.room.holds()
    }

    /// Whether no seat is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The held seats. Their order follows from the room's history alone.
    pub fn iter(&self) -> impl Iterator<Item = Selection<'a>> + use<'a> {
        self.room.seats.iter().map(|seat| {
            let SeatState::Held(hold) = &seat.state;
            Selection {
                client: &hold.client,
                seat: &seat.id,
                index: None,
                status: SeatStatus::Held,
                user_info: &hold.user_info,
                at: hold.at,
                expires_at: Some(hold.expires_at),
                origin: hold.origin,
            }
        })
    }
}

/// How many members a room has, in all and on each shard.
#[derive(Clone, Copy, Debug)]
pub struct Members<'a> {
    /// In all.
    pub total: usize,
    on: &'a [(ShardId, u32)],
}

impl<'a> Members<'a> {
    pub(super) fn new(room: &'a Room) -> Self {
        Self { total: room.members, on: &room.members_on }
    }

    /// On one shard.
    #[must_use]
    pub fn on(&self, shard: ShardId) -> usize {
        self.on.iter().find(|&&(on, _)| on == shard).map_or(0, |&(_, members)| members as usize)
    }
}
