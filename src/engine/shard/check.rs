//! What is true of a shard between two inputs, written down as assertions. Never here: a change of anything.

use super::{Shard, is_live};
#[cfg(debug_assertions)]
use crate::engine::command::Input;
use crate::engine::command::SeatStatus;
#[cfg(debug_assertions)]
use crate::limits::INPUTS_PER_FULL_CHECK;

impl Shard {
    /// Panics when an invariant does not hold. It looks at everything: for tests, and now and then in debug builds.
    pub fn check_invariants(&self) {
        assert_eq!(self.by_id.len(), self.rooms.len());
        for (id, &slot) in &self.by_id {
            let room = &self.rooms[slot];
            assert_eq!(room.id, *id);
            assert_eq!(self.spread.shard_of(id.as_str()), self.id);
            room.check_invariants();
        }
        self.presences.check_invariants();
        self.barred.check_invariants();
        self.clocks.check_invariants();
        assert!(self.shares.total() <= self.held, "more is counted than is held");
        self.deadlines.check_invariants(|entry| is_live(&self.rooms, &self.owners, entry));
        assert!(self.deadlines.next().is_none_or(|next| next > self.clock), "something due has not expired");
        assert_eq!(self.rooms.iter().map(|room| room.holds()).sum::<usize>(), self.taken);
        let held =
            self.rooms.iter().flat_map(|room| room.seats()).filter(|(_, seat)| seat.hold.status == SeatStatus::Held);
        assert_eq!(held.map(|(_, seat)| seat.hold.user_info.len()).sum::<usize>(), self.user_info_bytes);
        let (in_carts, own_clocks, alarms, graces) = self.owners.check_invariants();
        assert_eq!(self.presences.holds() + in_carts, self.held, "what is held is a connection's or in a cart");
        let sales = || self.rooms.iter().filter_map(|room| room.sale());
        let orders: usize = sales().map(|sale| sale.orders.open).sum();
        let rooms = sales().filter(|sale| sale.alarm != 0).count();
        let ends = self.presences.holds() + own_clocks + alarms + graces + orders + rooms;
        assert_eq!(self.deadlines.live(), ends, "everything that ends by itself has one deadline");
        self.check_carts();
        self.check_members();
    }

    /// A seat in a cart is held by it, and a cart pays for what its orders in checkout have.
    fn check_carts(&self) {
        for cart in self.owners.carts.iter() {
            let room = &self.rooms[cart.room];
            for &seat in &cart.seats {
                let hold = &room.seat_at(seat).hold;
                let of = hold.holder.cart().map(|of| &self.owners.carts[of]);
                assert!(of.is_some_and(|of| std::ptr::eq(of, cart)), "a seat in a cart that does not have it");
                assert!(cart.clock.is_none_or(|clock| clock.expires_at == hold.expires_at), "two clocks in a cart");
            }
            let open = cart.orders.iter().map(|&order| room.order(order)).filter(|order| order.is_in_checkout());
            assert_eq!(open.map(|order| order.seats.len()).sum::<usize>(), cart.paying as usize);
        }
    }

    fn check_members(&self) {
        let mut memberships: Vec<_> = self.presences.memberships().collect();
        assert_eq!(memberships.len(), self.members);
        assert_eq!(self.rooms.iter().map(|room| room.member_count()).sum::<usize>(), self.members);
        memberships.sort_by_key(|&(conn, room)| (room, conn.shard()));
        for same in memberships.chunk_by(|a, b| (a.0.shard(), a.1) == (b.0.shard(), b.1)) {
            let (conn, room) = same[0];
            let members = super::Members::new(&self.rooms[room]);
            assert_eq!(members.on(conn.shard()), same.len(), "members of {:?}", self.rooms[room].id);
        }
    }

    /// What is cheap about the room of the input, and sometimes everything.
    #[cfg(debug_assertions)]
    pub(super) fn check_after(&mut self, input: Input<'_>) {
        if crate::planted::has_any() {
            return; // A planted defect is for the simulation to find.
        }
        let counts = self.counts();
        self.inputs_until_check = self.inputs_until_check.saturating_sub(1);
        if self.inputs_until_check == 0 {
            self.inputs_until_check = INPUTS_PER_FULL_CHECK + counts.rooms + counts.members + counts.holds;
            self.check_invariants();
        }
        let room = match input {
            Input::Join { room, .. }
            | Input::Leave { room, .. }
            | Input::Select { room, .. }
            | Input::Release { room, .. }
            | Input::Resync { room, .. }
            | Input::Restore { room, .. }
            | Input::Cart { room, .. }
            | Input::Sale { room, .. }
            | Input::RestoreRoom { room, .. }
            | Input::Retract { room, .. } => room,
            Input::Return { room, .. } => room,
            Input::Gone { .. }
            | Input::Away { .. }
            | Input::ForgetPart { .. }
            | Input::Freeze { .. }
            | Input::LiveOn { .. }
            | Input::Thaw { .. }
            | Input::Resume { .. }
            | Input::Tick => return,
        };
        if let Some(slot) = self.find(room) {
            self.rooms[slot].check_counts();
        }
    }
}
