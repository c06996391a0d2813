//! What is true of a shard between two inputs, written down as assertions. Never here: a change of anything.

use super::{Shard, is_live};
#[cfg(debug_assertions)]
use crate::engine::command::Input;
use crate::engine::ids::shard_of;
#[cfg(debug_assertions)]
use crate::limits::INPUTS_PER_FULL_CHECK;

impl Shard {
    /// Panics when an invariant does not hold. It looks at everything: for tests, and now and then in debug builds.
    pub fn check_invariants(&self) {
        assert_eq!(self.by_id.len(), self.rooms.len());
        for (id, &slot) in &self.by_id {
            let room = &self.rooms[slot];
            assert_eq!(room.id, *id);
            assert_eq!(shard_of(id.as_str(), self.shards), self.id);
            room.check_invariants();
        }
        self.presences.check_invariants();
        self.barred.check_invariants();
        assert!(self.shares.total() <= self.deadlines.live(), "more is counted than is held");
        self.deadlines.check_invariants(|entry| is_live(&self.rooms, entry));
        assert!(self.deadlines.next().is_none_or(|next| next > self.clock), "something due has not expired");
        assert_eq!(self.rooms.iter().map(|room| room.holds()).sum::<usize>(), self.deadlines.live());
        assert_eq!(self.presences.holds() + self.absent.len(), self.deadlines.live());
        assert!(self.absent.until().is_none_or(|until| until > self.clock), "the grace is over and holds still wait");
        self.check_members();
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
            | Input::Retract { room, .. } => room,
            Input::Gone { .. } | Input::Resume { .. } | Input::Tick => return,
        };
        if let Some(slot) = self.find(room) {
            self.rooms[slot].check_counts();
        }
    }
}
