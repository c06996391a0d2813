//! What to do when the store thread has news: changes that were committed are told, holds from before a restart come
//! in, and effects that wait too long for a store that does not answer are given up.
//!
//! Invariant: the number of the last committed batch only grows. Never here: what waits (`saving`).

use std::collections::{BTreeMap, BTreeSet};

use super::observer::Observed;
use super::saving::Saving;
use super::{Node, Order};
use crate::acts::event::Resumed;
use crate::engine::command::{Details, Effect, Input, Reject, RestoredHold, RestoredRoom, SaleAnswer};
use crate::engine::ids::RoomId;
use crate::limits::HOLD_TTL_MS_MAX;
use crate::limits::store::STORE_REFUSE_MS;
use crate::marks;
use crate::persist::record::StoredHold;
use crate::persist::shard::undo::undo;

impl Node {
    /// Once a turn: what the store thread has done.
    pub(super) fn take_store_news(&mut self) {
        let id = self.id;
        let Some(saving) = self.saving.as_mut() else { return };
        if !saving.is_restored {
            let Some(holds) = saving.link.take_restored(id) else { return };
            saving.is_restored = true;
            let rooms = saving.link.take_restored_rooms(id);
            let log = saving.link.take_restored_log(id);
            self.restore_numbers(&log, &rooms);
            self.restore_rooms(&rooms);
            self.restore(&holds);
            self.orders.push(Order::Serves);
            self.log_lapsed(&log.lapsed);
        }
        let Some(saving) = self.saving.as_mut() else { return };
        if saving.link.take_full_state_owed(id) {
            saving.pending.owe_full_state();
        }
        let committed = saving.link.committed(id);
        assert!(committed >= saving.committed, "the number of the last committed batch only grows");
        if committed > saving.committed {
            saving.committed = committed;
            let safe = saving.pending.committed(committed);
            assert!(safe <= committed, "no more is safe than is committed");
            saving.safe = saving.safe.max(safe);
            assert!(saving.safe < saving.pending.number(), "what is being filled is not safe");
            self.tell_committed(safe);
            self.answer_committed(safe);
        }
        self.give_up_overdue();
        self.settle_parts();
    }

    fn tell_committed(&mut self, batch: u64) {
        let gate = |node: &mut Self| node.saving.as_mut()?.gate.as_mut()?.next_committed(batch);
        assert!(!self.is_performing, "what was withheld is told between two decisions");
        self.is_performing = true;
        while let Some((effect, captured)) = gate(self) {
            let captured = self.told_now(&effect, captured);
            self.tell(effect, captured);
        }
        self.is_performing = false;
        self.count_withheld();
    }

    /// Answers the backend what the store has by now.
    fn answer_committed(&mut self, batch: u64) {
        while let Some(saving) = self.saving.as_mut()
            && let Some((_, _, answer)) = saving.answers.pop_front_if(|(needed, ..)| *needed <= batch)
        {
            self.tell(answer, None);
        }
    }

    /// The store has not answered in time: the backend is told that the outcome is not known.
    fn answer_overdue(&mut self) {
        let now = self.at.now.mono;
        while let Some(saving) = self.saving.as_mut()
            && let Some((_, _, mut answer)) =
                saving.answers.pop_front_if(|(_, since, _)| now.since(*since) >= STORE_REFUSE_MS)
        {
            if let Effect::Api(answer) = &mut answer {
                answer.answer = not_known();
            }
            self.tell(answer, None);
        }
    }

    /// The store has not answered in time: what nobody was told of is undone.
    fn give_up_overdue(&mut self) {
        let now = self.at.now;
        self.answer_overdue();
        let Some(saving) = self.saving.as_mut() else { return };
        saving.is_failing &= !saving.link.status.is_connected();
        if !saving.gate.as_ref().is_some_and(|gate| gate.is_overdue(now.mono)) {
            return;
        }
        if self.may_be_deposed() {
            // Another node may decide about these rooms by now, and has nothing of what waits: it is told to nobody.
            return marks::hit("what waits while another node may have the rooms");
        }
        let Some(saving) = self.saving.as_mut() else { return };
        saving.is_failing = true;
        self.decide(Input::Tick);
        let Some(Saving { gate: Some(gate), pending, .. }) = self.saving.as_mut() else { return };
        let (mut effects, retracts) = undo(now, gate, pending, &mut self.seats);
        self.count_withheld();
        self.settle_later();
        if let Some(observer) = &mut self.observer {
            observer.hear(Observed::Undone { retracts: &retracts, effects: &effects, seats: &self.seats });
        }
        marks::hit("selects that are undone");
        self.log_undone(&retracts);
        retracts.iter().for_each(|retract| self.forget_full_states(&retract.room));
        let undone: BTreeSet<(RoomId, u64)> =
            retracts.into_iter().map(|retract| (retract.room, retract.epoch.0)).collect();
        self.is_performing = true;
        for effect in effects.drain(..) {
            // Its full state follows as an effect of its own.
            let follows = match &effect {
                Effect::Joined { room, epoch, .. } => undone.contains(&(room.clone(), epoch.0)),
                Effect::Left { .. }
                | Effect::Snapshot { .. }
                | Effect::Change(_)
                | Effect::Again { .. }
                | Effect::Refused { .. }
                | Effect::Entered(_)
                | Effect::Synced(_)
                | Effect::Resumed(_)
                | Effect::Cart(_)
                | Effect::Superseded { .. }
                | Effect::Api(_)
                | Effect::Keep(_)
                | Effect::Room(_) => false,
            };
            let captured = if follows { None } else { self.capture(&effect) };
            self.tell(effect, captured);
        }
        self.is_performing = false;
    }

    /// The events of rooms are counted on.
    pub(super) fn restore_numbers(&mut self, log: &Resumed, rooms: &BTreeMap<RoomId, RestoredRoom>) {
        let (Some(acts), Some(saving)) = (self.acts.as_mut(), self.saving.as_mut()) else { return };
        log.numbers.iter().for_each(|(room, n)| acts.count_on(room, *n));
        rooms.iter().for_each(|(room, was)| acts.note_restored(room, was.settings.is_some()));
        // Also of rooms that have nothing but holds now.
        for room in rooms.keys().chain(&log.kept) {
            if let Some(n) = log.numbers.get(room) {
                saving.pending.keep_number(room, *n);
            }
        }
    }

    /// Gives back all that was not held by v1 connections.
    pub(super) fn restore_rooms(&mut self, rooms: &BTreeMap<RoomId, RestoredRoom>) {
        // What is over by now in other rooms is an act, and what comes back is none.
        self.decide(Input::Tick);
        let waits_until = self.at.now.mono.after(self.rules.restore_grace_ms);
        for (room, was) in rooms {
            self.decide(Input::RestoreRoom { room: room.as_str(), was, waits_until });
        }
    }

    /// Gives back what was held before the restart.
    pub(super) fn restore(&mut self, holds: &[StoredHold]) {
        self.decide(Input::Tick);
        let (now, waits_until) = (self.at.now, self.at.now.mono.after(self.rules.restore_grace_ms));
        for StoredHold { room, seat, held } in holds {
            let left_ms = held.expires_at.0.saturating_sub(now.wall.0).clamp(1, HOLD_TTL_MS_MAX);
            let hold = RestoredHold {
                client: &held.client,
                origin: held.origin,
                user_info: &held.user_info,
                at: held.at,
                expires_at: held.expires_at,
                ends: now.mono.after(left_ms),
                waits_until,
                seq: held.seq,
            };
            self.decide(Input::Restore { room: room.as_str(), seat: seat.as_str(), hold });
        }
    }
}

/// What the backend is told when the store may have what was asked for, or not.
fn not_known() -> SaleAnswer {
    SaleAnswer::Refused { reject: Reject::PersistenceUnavailable, details: Details::default() }
}
