//! What the planted defects of the engine do ([`crate::planted`]). Never in a release build.

use super::Shard;
use crate::engine::command::{Act, Effect, Effects, ReleaseReason};
use crate::engine::deadlines::HoldNumber;
use crate::engine::ids::ConnId;
use crate::engine::presence::Departed;
use crate::planted::{Bug, has};

impl Shard {
    pub(super) fn grant_twice(&mut self, conn: ConnId, room: &str, seat: &str) {
        if !has(Bug::DoubleGrant) || !self.holds_made.last().is_multiple_of(8) {
            return;
        }
        let Some(room) = self.find(room) else { return };
        let Some((slot, held)) = self.rooms[room].seat(seat) else { return };
        let Some(owner) = held.hold.holder.conn() else { return };
        if owner != conn {
            let why = (Act::EndHold, ReleaseReason::Released);
            self.end((room, slot), why, (None, None), &mut Effects::new());
            self.rooms[room].seq -= 1;
        }
    }

    pub(super) fn forget_some(mut departed: Departed) -> Departed {
        if has(Bug::LostRelease) {
            departed.holds.pop();
        }
        if has(Bug::LeakedMember) {
            departed.memberships.pop();
        }
        departed
    }

    pub(super) fn reorder(effects: &mut Effects) {
        let last = effects.len().saturating_sub(2);
        if has(Bug::ReorderedView)
            && let [Effect::Change(first), Effect::Change(second)] = &mut effects[last..]
            && first.room == second.room
        {
            std::mem::swap(first, second);
        }
    }

    pub(super) fn use_number_again(&mut self, number: HoldNumber) {
        if has(Bug::StaleDeadline) && number.0 == self.holds_made.last() {
            self.holds_made.go_back();
        }
    }
}
