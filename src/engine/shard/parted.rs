//! What several nodes make necessary: members that come from the node that owned a room before, connections whose node
//! has ended, and rooms that another node owns from now on.
//!
//! Invariants: nobody is told that a room is another node's, and no store; who was waited for here is waited for there.
//! Never here: who owns what.

use super::Shard;
use crate::engine::command::{Caller, Effect, Effects, Position};
use crate::engine::deadlines::Due;
use crate::engine::ids::{ConnId, RoomId, ShardSet, Spread};
use crate::engine::room::Room;
use crate::engine::slab::Slot;
use crate::engine::time::Millis;

impl Shard {
    /// The same shard, of a node of a cluster.
    #[must_use]
    pub fn with_spread(mut self, spread: Spread) -> Self {
        self.spread = spread;
        self
    }

    /// The connection was a member of the room where that was owned before: it is one here, its holds are its own, and
    /// it is given the full state. Who cannot be a member is not answered.
    pub(super) fn come_back(&mut self, caller: Caller<'_>, room: &str, effects: &mut Effects) {
        if caller.identity.is_some() && self.meet(caller, effects).is_err() {
            return;
        }
        let Ok((slot, is_new)) = self.become_member(caller.conn, room) else { return };
        if is_new {
            self.adopt(caller, slot);
        }
        let room = &self.rooms[slot];
        let (seq, epoch, room) = (room.seq, room.epoch, room.id.clone());
        effects.push(Effect::Snapshot { to: caller.conn, room, seq, epoch });
    }

    /// Among several nodes: the connection asks for something of the room before it was let in again, or without
    /// looking at it. What it held there where the room was owned before is its own.
    pub(super) fn know_again(&mut self, caller: Caller<'_>, room: Option<Slot>) {
        let Some(room) = room.filter(|_| self.spread.parts().is_some() && caller.origin.owner != 0) else { return };
        self.adopt_those(caller, room, |of| caller.origin.is_owner_of(of));
    }

    /// The node of the connection has ended, or is about to: what the connection holds waits for it until then, as
    /// after a restart.
    pub(super) fn away(&mut self, conn: ConnId, waits_until: Millis, effects: &mut Effects) {
        let departed = self.presences.take(conn).unwrap_or_default();
        departed.memberships.iter().for_each(|&room| self.end_membership(conn, room));
        for &(room, seat) in &departed.holds {
            let hold = &self.rooms[room].seat_at(seat).hold;
            let party = self.owners.former(&hold.client, hold.origin);
            let cart = self.owners.cart_for(party, room);
            self.rooms[room].disown(seat, cart);
            self.owners.carts[cart].seats.push(seat);
            if self.owners.parties[party].grace == 0 {
                self.wait_for(party, waits_until);
            }
        }
        self.part(conn, effects);
        departed.memberships.into_iter().for_each(|room| self.drop_if_empty(room));
    }

    /// The rooms of the part are another node's: nothing of them is left here.
    pub(super) fn forget_part(&mut self, part: u16) {
        assert!(self.spread.parts().is_some_and(|parts| part < parts), "only a cluster has parts");
        let is_of = |id: &str| self.spread.part_of(id) == Some(part);
        let rooms: Vec<Slot> = self.by_id.iter().filter(|(id, _)| is_of(id.as_str())).map(|(_, &room)| room).collect();
        self.lives.retain(|room, _| self.spread.part_of(room.as_str()) != Some(part));
        let mut untold = Effects::new();
        for room in rooms {
            self.clear_room(room, &mut untold);
            self.drop_if_empty(room);
        }
        self.owners.of_nothing().into_iter().for_each(|party| self.forget_party(party));
    }

    /// The room goes on where another node has left it, now or when it comes to be.
    pub(super) fn live_on(&mut self, room: &str, at: Position) {
        let Some(slot) = self.find(room) else {
            let room = self.room_id(room);
            _ = self.lives.insert(room, at);
            return;
        };
        let of = &mut self.rooms[slot];
        if at.seq >= of.seq {
            (of.epoch, of.seq) = (at.epoch, at.seq);
        }
    }

    /// Where the rooms of a part stand.
    #[must_use]
    pub fn lives_of(&self, part: u16) -> Vec<(RoomId, Position)> {
        let of_part = |room: &&Room| self.spread.part_of(room.id.as_str()) == Some(part);
        self.rooms.iter().filter(of_part).map(|room| (room.id.clone(), room.position())).collect()
    }

    pub(super) fn freeze_part(&mut self, part: u16) {
        if !self.frozen.contains(&part) {
            self.frozen.push(part);
        }
    }

    /// Whether what is due must wait, since this node does not decide about its room for now.
    pub(super) fn must_wait(&self, due: Due) -> bool {
        let is_frozen = |room: Slot| {
            let part = self.spread.part_of(self.rooms[room].id.as_str());
            part.is_some_and(|part| self.frozen.contains(&part))
        };
        match due {
            Due::Seat { room, .. } | Due::Order { room, .. } | Due::Room(room) => is_frozen(room),
            Due::Cart(cart) => is_frozen(self.owners.carts[cart].room),
            Due::Grace(party) => {
                self.owners.parties[party].carts.iter().any(|&cart| is_frozen(self.owners.carts[cart].room))
            }
        }
    }

    /// The connections from there that have to do with something here.
    #[must_use]
    pub fn connections_on(&self, shards: ShardSet) -> Vec<ConnId> {
        let mut conns: Vec<ConnId> = self.presences.conns().chain(self.owners.conns()).collect();
        conns.retain(|conn| shards.contains(conn.shard()));
        conns.sort_unstable();
        conns.dedup();
        conns
    }
}
