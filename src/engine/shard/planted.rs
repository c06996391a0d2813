//! Deliberate defects, to show that the simulation finds what it looks for. Compiled only with the feature
//! `planted-bugs`, and then switched on for one shard by [`Shard::plant`]. Never in a server.

use super::{Shard, is_live};
use crate::engine::command::{Effect, Effects, ReleaseReason};
use crate::engine::deadlines::HoldNumber;
use crate::engine::ids::ConnId;
use crate::engine::presence::Departed;
use crate::engine::room::{Owner, SeatState};

/// A defect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// A select of a seat that somebody else holds is granted now and then.
    DoubleGrant,
    /// The last seat of a connection that has ended is never released.
    LostRelease,
    /// Two changes of one input are told in the wrong order.
    ReorderedView,
    /// The number of a hold is used again, so that the end of an earlier hold can end a later one.
    StaleDeadline,
    /// A connection that has ended stays a member of one of its rooms.
    LeakedMember,
}

impl Shard {
    /// Plants a defect.
    pub fn plant(&mut self, bug: Bug) {
        self.planted = Some(bug);
    }

    pub(super) fn grant_twice(&mut self, conn: ConnId, room: &str, seat: &str) {
        if self.planted != Some(Bug::DoubleGrant) || !self.holds_made.last().is_multiple_of(8) {
            return;
        }
        let Some(room) = self.find(room) else { return };
        let Some((slot, held)) = self.rooms[room].seat(seat) else { return };
        let SeatState::Held(hold) = &held.state;
        let Owner::Conn(owner) = hold.owner else { return };
        if owner != conn {
            let (hold, _) = self.rooms[room].free(slot, ReleaseReason::Released, None);
            self.rooms[room].seq -= 1;
            self.presences.release(owner, hold.number, room);
            self.deadlines.forget_one(|entry| is_live(&self.rooms, entry));
        }
    }

    pub(super) fn forget_some(&self, mut departed: Departed) -> Departed {
        if self.planted == Some(Bug::LostRelease) {
            departed.holds.pop();
        }
        if self.planted == Some(Bug::LeakedMember) {
            departed.memberships.pop();
        }
        departed
    }

    pub(super) fn reorder(&self, effects: &mut Effects) {
        let last = effects.len().saturating_sub(2);
        if self.planted == Some(Bug::ReorderedView)
            && let [Effect::Change(first), Effect::Change(second)] = &mut effects[last..]
            && first.room == second.room
        {
            std::mem::swap(first, second);
        }
    }

    pub(super) fn use_number_again(&mut self, number: HoldNumber) {
        if self.planted == Some(Bug::StaleDeadline) && number.0 == self.holds_made.last() {
            self.holds_made.go_back();
        }
    }
}
