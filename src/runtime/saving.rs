//! Persistence as a shard sees it: changes go out, what they tell waits in durable mode, holds come in at the start.
//!
//! Invariants: nothing here waits for the store; without a store none of it exists; in durable mode nobody is told of a
//! select before the store has it; a seat is granted only while no other server can be the writer.
//! Never here: how a store works.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::config::Durability;
use crate::engine::command::{Effect, Input, Reject, RequestType, RestoredHold};
use crate::engine::ids::{ConnId, RoomId, SeatId, ShardId};
use crate::engine::time::Now;
use crate::persist::link::StoreLink;
use crate::persist::record::StoredHold;
use crate::persist::shard::gate::Gate;
use crate::persist::shard::pending::Pending;
use crate::persist::shard::undo::undo;
use crate::persist::status::StoreStatus;
use crate::runtime::core::Core;

/// One shard's side.
#[derive(Debug)]
pub(crate) struct Saving {
    link: Arc<StoreLink>,
    pending: Pending,
    /// In durable mode: what waits for the store.
    gate: Option<Gate>,
    /// The last batch that is known to be committed.
    committed: u64,
    is_restored: bool,
    /// In durable mode: the store did not answer in time and has not come back, so selects need not try.
    is_failing: bool,
}

impl Saving {
    pub(crate) fn new(shard: ShardId, link: Arc<StoreLink>, durability: Durability) -> Self {
        let pending = Pending::new(shard, Arc::clone(&link.queue), Arc::clone(&link.status));
        let gate = (durability == Durability::Durable).then(Gate::default);
        Self { link, pending, gate, committed: 0, is_restored: false, is_failing: false }
    }

    pub(crate) fn status(&self) -> &StoreStatus {
        &self.link.status
    }

    /// Whether the shard must look again soon: something waits for the store thread or for the store.
    pub(crate) fn is_busy(&self) -> bool {
        !self.pending.is_idle() || self.gate.as_ref().is_some_and(|gate| !gate.is_empty())
    }

    /// Whether everything decided has been told.
    pub(crate) fn has_told_all(&self) -> bool {
        self.gate.as_ref().is_none_or(Gate::is_empty)
    }

    /// Whether the store, or the loss of the right to write to it, forbids this input.
    fn forbids(&self, now: Now, input: &Input<'_>) -> bool {
        // Asked anew, since whoever saw `/health` turn to healthy may ask in the same turn.
        let is_failing = self.is_failing && !self.link.status.is_connected();
        match input {
            Input::Select { .. } => is_failing || !self.link.status.may_grant(now.mono),
            Input::Release { .. } => is_failing,
            Input::Join { .. }
            | Input::Leave { .. }
            | Input::Resync { .. }
            | Input::Gone { .. }
            | Input::Tick
            | Input::Restore { .. }
            | Input::Retract { .. } => false,
        }
    }
}

/// The refusal of a select or a release that the store forbids.
fn refusal(input: &Input<'_>) -> Option<Effect> {
    let refused = |to: ConnId, request, room: &str, seat: &str| Effect::Refused {
        to,
        reject: Reject::PersistenceUnavailable,
        request,
        room: RoomId::new(room).expect("the ids of an input are valid"),
        seat: SeatId::new(seat),
    };
    match *input {
        Input::Select { caller, room, seat, .. } => Some(refused(caller.conn, RequestType::Select, room, seat)),
        Input::Release { caller, room, seat } => Some(refused(caller.conn, RequestType::Release, room, seat)),
        Input::Join { .. }
        | Input::Leave { .. }
        | Input::Resync { .. }
        | Input::Gone { .. }
        | Input::Tick
        | Input::Restore { .. }
        | Input::Retract { .. } => None,
    }
}

impl Core {
    /// What is to be told in the place of a decision that the store forbids.
    pub(crate) fn forbidden(&self, input: &Input<'_>) -> Option<Effect> {
        let saving = self.saving.as_ref()?;
        if saving.forbids(self.now, input) { refusal(input) } else { None }
    }

    /// Performs what the engine has decided, or keeps it until the store has what it tells.
    pub(crate) fn save_and_perform(&mut self, effect: Effect) {
        let Some(saving) = self.saving.as_mut() else { return self.perform(effect, None) };
        let now = self.now.mono;
        if let Effect::Change(change) = &effect {
            saving.pending.record(now, change);
        }
        let batch = saving.pending.number();
        if saving.gate.as_ref().is_none_or(|gate| gate.admits(&effect)) {
            return self.perform(effect, None);
        }
        // It may wait long and is told by its number: nobody shares it.
        let captured = self.capture(&effect, true).frames;
        if let Some(gate) = self.saving.as_mut().and_then(|saving| saving.gate.as_mut()) {
            gate.withhold(now, batch, (effect, captured));
        }
    }

    /// Once a turn: what the store thread has done.
    pub(crate) fn take_store_news(&mut self) {
        let Some(saving) = self.saving.as_mut() else { return };
        let link = Arc::clone(&saving.link);
        if !saving.is_restored {
            let Some(holds) = link.take_restored(self.id) else { return };
            saving.is_restored = true;
            self.restore(&holds);
        }
        let Some(saving) = self.saving.as_mut() else { return };
        if link.take_full_state_owed(self.id) {
            saving.pending.owe_full_state();
        }
        let committed = link.committed(self.id);
        if committed > saving.committed {
            saving.committed = committed;
            let safe = saving.pending.committed(committed);
            self.tell_committed(safe);
        }
        self.give_up_overdue();
    }

    fn tell_committed(&mut self, batch: u64) {
        while let Some((effect, captured)) =
            self.saving.as_mut().and_then(|saving| saving.gate.as_mut()).and_then(|gate| gate.next_committed(batch))
        {
            self.perform(effect, Some(captured));
        }
    }

    /// The store has not answered in time: what nobody was told of is undone.
    fn give_up_overdue(&mut self) {
        let now = self.now;
        let Some(saving) = self.saving.as_mut() else { return };
        saving.is_failing &= !saving.link.status.is_connected();
        if !saving.gate.as_ref().is_some_and(|gate| gate.is_overdue(now.mono)) {
            return;
        }
        saving.is_failing = true;
        self.decide(Input::Tick);
        let Self { saving: Some(Saving { gate: Some(gate), pending, .. }), seats, .. } = self else { return };
        let effects = undo(now, gate, pending, seats);
        effects.into_iter().for_each(|effect| self.perform(effect, None));
    }

    /// Gives back what was held before the restart, and begins to serve.
    fn restore(&mut self, holds: &[StoredHold]) {
        let (now, waits_until) = (self.now, self.now.mono.after(self.config.restore_grace_ms));
        for StoredHold { room, seat, held } in holds {
            let left_ms = held.expires_at.0.saturating_sub(now.wall.0).min(self.config.hold_ttl_ms);
            let hold = RestoredHold {
                client: &held.client,
                user_info: &held.user_info,
                at: held.at,
                expires_at: held.expires_at,
                ends: now.mono.after(left_ms),
                waits_until,
                seq: held.seq,
            };
            self.decide(Input::Restore { room: room.as_str(), seat: seat.as_str(), hold });
        }
        self.board.pulse(self.id).serving.store(true, Ordering::Release);
    }

    /// Once a turn: hands over what has changed.
    pub(crate) fn hand_over_changes(&mut self) {
        if let Some(saving) = self.saving.as_mut() {
            saving.pending.flush(self.now.mono, &self.seats);
        }
    }

    /// The end of the shard: everything that is not yet handed over.
    pub(crate) fn hand_over_last(&mut self) {
        if let Some(saving) = self.saving.as_mut().filter(|saving| saving.is_restored) {
            saving.pending.flush_last(self.now.mono, &self.seats);
        }
    }
}
