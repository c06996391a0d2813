//! What the rooms have been, by what their owners have decided.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use butaca::engine::command::{ChangeKind, Effect, ReleaseReason, SeatStatus};
use butaca::engine::ids::Epoch;
use butaca::engine::shard::Shard;
use butaca::node::observer::Observed;

use crate::simulation::frames::{Room, Seat};
use crate::simulation::names;

/// How many rooms there are.
pub(crate) const ROOMS: usize = 2;

/// The seats that are not free.
pub(crate) type Seats = BTreeMap<Seat, SeatStatus>;

/// A moment of a room: its life, counted from the first one, and the number of the last change.
pub(crate) type Moment = (usize, u64);

#[derive(Default)]
pub(crate) struct Truth {
    lives: Vec<(Room, Epoch)>,
    states: BTreeMap<(Room, Moment), Seats>,
    /// When seats were paid back.
    refunds: Vec<(Room, Seat, Moment)>,
}

/// Shared with the nodes.
pub(crate) type Shared = Arc<Mutex<Truth>>;

impl Truth {
    pub(crate) fn hear(&mut self, observed: &Observed<'_>) {
        match observed {
            Observed::Decided { seats, effects, .. } => {
                effects.iter().for_each(|effect| self.note_refund(effect));
                (0..ROOMS).for_each(|room| self.look(room, seats));
            }
            Observed::Undone { seats, retracts, .. } => {
                for retract in *retracts {
                    let room = names::number(&retract.room);
                    let first = self.moment(room, retract.epoch, 0);
                    self.states.retain(|(of, at), _| (*of, at.0) != (room, first.0));
                }
                (0..ROOMS).for_each(|room| self.look(room, seats));
            }
            Observed::Dropped { .. } => {}
        }
    }

    fn note_refund(&mut self, effect: &Effect) {
        let Effect::Change(change) = effect else { return };
        if let ChangeKind::Released { reason: ReleaseReason::Refunded } = change.kind {
            let (room, seat) = (names::number(&change.room), names::number(&change.seat));
            let at = self.moment(room, change.epoch, change.seq);
            self.refunds.push((room, seat, at));
        }
    }

    /// Whether the seat was paid back after that moment.
    pub(crate) fn is_refunded(&self, room: Room, seat: Seat, after: Moment) -> bool {
        self.refunds.iter().any(|refund| (refund.0, refund.1) == (room, seat) && refund.2 > after)
    }

    fn look(&mut self, room: Room, seats: &Shard) {
        let Some((epoch, seq, found)) = state_of(room, seats) else { return };
        if !self.lives.contains(&(room, epoch)) {
            self.lives.push((room, epoch));
        }
        let at = self.moment(room, epoch, seq);
        self.states.insert((room, at), found);
    }

    /// Where this stands among all moments of the room.
    pub(crate) fn moment(&self, room: Room, epoch: Epoch, seq: u64) -> Moment {
        let life = self.lives.iter().position(|life| *life == (room, epoch));
        (life.expect("no room has had this epoch"), seq)
    }

    /// What the room was then; nothing when nobody looked.
    pub(crate) fn at(&self, room: Room, moment: Moment) -> Option<&Seats> {
        self.states.get(&(room, moment))
    }
}

/// What an owner has of a room.
pub(crate) fn state_of(room: Room, seats: &Shard) -> Option<(Epoch, u64, Seats)> {
    let state = seats.selections(names::room_id(room).as_str())?;
    let all = state.iter().map(|of| (names::number(of.seat), of.status)).collect();
    Some((state.epoch, state.seq, all))
}
