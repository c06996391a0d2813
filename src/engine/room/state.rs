//! What may be seen of a room from outside: its seats and how many look at them.
//!
//! Invariant: nothing here changes anything. Never here: decisions.

use super::{Holder, Room};
use crate::engine::command::{Claim, Selection};
use crate::engine::ids::{Epoch, ShardId};
use crate::engine::owners::Owners;
use crate::layout::hall::Hall;

/// The full state of a room: what is not free, and the number of the change that made it so.
#[derive(Clone, Copy, Debug)]
pub struct RoomState<'a> {
    /// The number of the last change.
    pub seq: u64,
    /// The life of the room in which `seq` counts.
    pub epoch: Epoch,
    room: &'a Room,
    owners: &'a Owners,
}

impl<'a> RoomState<'a> {
    pub(in crate::engine) fn new(room: &'a Room, owners: &'a Owners) -> Self {
        Self { seq: room.seq, epoch: room.epoch, room, owners }
    }

    /// The map of all seats, in a room with a layout.
    #[must_use]
    pub fn hall(&self) -> Option<&'a Hall> {
        self.room.hall()
    }

    /// How many seats are not free.
    #[must_use]
    pub fn len(&self) -> usize {
        self.room.holds()
    }

    /// Whether all seats are free.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The seats that are not free. Their order follows from the room's history alone.
    pub fn iter(&self) -> impl Iterator<Item = Selection<'a>> + use<'a> {
        self.room.seats.iter().map(|seat| Selection {
            client: &seat.hold.client,
            seat: &seat.id,
            index: seat.place,
            status: seat.hold.status,
            user_info: &seat.hold.user_info,
            at: seat.hold.at,
            expires_at: seat.hold.ends_at(),
            origin: seat.hold.origin,
        })
    }
}

impl<'a> RoomState<'a> {
    /// The same seats, each with by what right it is somebody's.
    pub fn claims(&self) -> impl Iterator<Item = (Selection<'a>, Option<Claim>)> + use<'a> {
        let (room, owners) = (self.room, self.owners);
        self.iter().zip(room.seats.iter()).map(move |(selection, seat)| {
            let claim = match &seat.hold.holder {
                Holder::Conn(_) => None,
                Holder::Cart(cart) => owners.party_of(*cart).stored_owner().cloned().map(Claim::Cart),
                Holder::Order(order) => Some(Claim::Order(room.order(*order).id.clone())),
                Holder::Block(label) => Some(Claim::Block((**label).clone())),
            };
            (selection, claim)
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
    pub(in crate::engine) fn new(room: &'a Room) -> Self {
        Self { total: room.members, on: &room.members_on }
    }

    /// On one shard.
    #[must_use]
    pub fn on(&self, shard: ShardId) -> usize {
        self.on.iter().find(|&&(on, _)| on == shard).map_or(0, |&(_, members)| members as usize)
    }
}
