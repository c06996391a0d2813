//! Persistence as a shard sees it: changes go out, what they tell waits in durable mode, holds come in at the start.
//!
//! Invariants: nothing here waits for the store; without a store none of it exists; in durable mode nobody is told of a
//! change that needs the store before the store has it; a seat is granted only while no other server can be the writer.
//! Never here: how a store works.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::observer::Observed;
use super::{Node, Order};
use crate::audience::full_state::FullState;
use crate::audience::full_states::Captured;
use crate::engine::command::{Effect, Effects, Input, Reject, RequestType, RestoredHold};
use crate::engine::ids::{RoomId, SeatId, ShardId};
use crate::engine::time::Now;
use crate::marks;
use crate::persist::link::StoreLink;
use crate::persist::record::StoredHold;
use crate::persist::shard::gate::Gate;
use crate::persist::shard::pending::Pending;
use crate::persist::shard::undo::undo;
use crate::persist::status::StoreStatus;

/// One shard's side.
#[derive(Debug)]
pub(super) struct Saving {
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
    pub(super) fn new(shard: ShardId, link: Arc<StoreLink>, is_durable: bool) -> Self {
        let pending = Pending::new(shard, Arc::clone(&link.queue), Arc::clone(&link.status));
        let gate = is_durable.then(Gate::default);
        Self { link, pending, gate, committed: 0, is_restored: false, is_failing: false }
    }

    fn is_busy(&self) -> bool {
        !self.pending.is_idle() || !self.has_told_all()
    }

    /// Whether everything decided has been told.
    pub(super) fn has_told_all(&self) -> bool {
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
    let (caller, request, room, seat) = match *input {
        Input::Select { caller, room, seat, .. } => (caller, RequestType::Select, room, seat),
        Input::Release { caller, room, seat } => (caller, RequestType::Release, room, seat),
        Input::Join { .. }
        | Input::Leave { .. }
        | Input::Resync { .. }
        | Input::Gone { .. }
        | Input::Tick
        | Input::Restore { .. }
        | Input::Retract { .. } => return None,
    };
    let room = RoomId::new(room).expect("the ids of an input are valid");
    let reject = Reject::PersistenceUnavailable;
    Some(Effect::Refused { to: caller.asker(), reject, request, room, seat: SeatId::new(seat) })
}

impl Node {
    /// What is to be told in the place of a decision that the store forbids.
    pub(super) fn forbidden(&self, input: &Input<'_>) -> Option<Effect> {
        let saving = self.saving.as_ref()?;
        if !saving.forbids(self.at.now, input) {
            return None;
        }
        marks::hit("a request that the store forbids");
        refusal(input)
    }

    /// Hands the changes among the effects to the store's side, and keeps what must wait until the store has them. What is
    /// left may be told at once.
    pub(super) fn save(&mut self, effects: &mut Effects) {
        let now = self.at.now.mono;
        let Some(saving) = self.saving.as_mut() else { return };
        if saving.gate.is_none() {
            let changes = effects.iter().filter_map(|effect| match effect {
                Effect::Change(change) => Some(change),
                Effect::Joined { .. }
                | Effect::Left { .. }
                | Effect::Snapshot { .. }
                | Effect::Again { .. }
                | Effect::Refused { .. } => None,
            });
            return changes.for_each(|change| saving.pending.record(now, change));
        }
        let decided = std::mem::take(effects);
        for effect in decided {
            effects.extend(self.admit_or_withhold(effect));
        }
    }

    /// In durable mode: records the effect, and returns it if it may be told at once.
    fn admit_or_withhold(&mut self, effect: Effect) -> Option<Effect> {
        let now = self.at.now.mono;
        let saving = self.saving.as_mut().expect("durable mode has a store");
        if let Effect::Change(change) = &effect {
            saving.pending.record(now, change);
        }
        let batch = saving.pending.number();
        let gate = saving.gate.as_ref().expect("durable mode has a gate");
        if gate.admits(&effect) {
            return Some(effect);
        }
        // It is told with the state of its own moment, which others share.
        let state = self.state_told_with(&effect);
        let gate = self.saving.as_mut().and_then(|saving| saving.gate.as_mut()).expect("looked at above");
        marks::hit("a reply that is withheld");
        gate.withhold(now, batch, (effect, state));
        None
    }

    fn state_told_with(&mut self, effect: &Effect) -> Option<Arc<FullState>> {
        match effect {
            Effect::Joined { room, .. } => {
                marks::hit("a full state that is withheld");
                self.full_state(room, true)
            }
            Effect::Snapshot { room, .. } => self.full_state(room, false),
            Effect::Left { .. } | Effect::Change(_) | Effect::Again { .. } | Effect::Refused { .. } => None,
        }
    }

    /// Once a turn: what the store thread has done.
    pub(super) fn take_store_news(&mut self) {
        let id = self.id;
        let Some(saving) = self.saving.as_mut() else { return };
        if !saving.is_restored {
            let Some(holds) = saving.link.take_restored(id) else { return };
            saving.is_restored = true;
            self.restore(&holds);
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
            self.tell_committed(safe);
        }
        self.give_up_overdue();
    }

    fn tell_committed(&mut self, batch: u64) {
        let gate = |node: &mut Self| node.saving.as_mut()?.gate.as_mut()?.next_committed(batch);
        self.is_performing = true;
        while let Some((effect, state)) = gate(self) {
            let captured = told_with(&effect, state);
            self.tell(effect, captured);
        }
        self.is_performing = false;
    }

    /// The store has not answered in time: what nobody was told of is undone.
    fn give_up_overdue(&mut self) {
        let now = self.at.now;
        let Some(saving) = self.saving.as_mut() else { return };
        saving.is_failing &= !saving.link.status.is_connected();
        if !saving.gate.as_ref().is_some_and(|gate| gate.is_overdue(now.mono)) {
            return;
        }
        saving.is_failing = true;
        self.decide(Input::Tick);
        let Some(Saving { gate: Some(gate), pending, .. }) = self.saving.as_mut() else { return };
        let (mut effects, retracts) = undo(now, gate, pending, &mut self.seats);
        if let Some(observer) = &mut self.observer {
            observer.hear(Observed::Undone { retracts: &retracts, effects: &effects, seats: &self.seats });
        }
        marks::hit("selects that are undone");
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
                | Effect::Refused { .. } => false,
            };
            let captured = if follows { None } else { self.capture(&effect) };
            self.tell(effect, captured);
        }
        self.is_performing = false;
    }

    /// Gives back what was held before the restart, and begins to serve.
    fn restore(&mut self, holds: &[StoredHold]) {
        let (now, waits_until) = (self.at.now, self.at.now.mono.after(self.rules.restore_grace_ms));
        for StoredHold { room, seat, held } in holds {
            let left_ms = held.expires_at.0.saturating_sub(now.wall.0).min(self.rules.hold_ttl_ms);
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
        self.orders.push(Order::Serves);
    }

    /// Once a turn: hands over what has changed.
    pub fn hand_over_changes(&mut self) {
        if let Some(saving) = self.saving.as_mut() {
            saving.pending.flush(self.at.now.mono, &self.seats);
        }
    }

    /// The end of the shard: everything that is not yet handed over.
    pub fn hand_over_last(&mut self) {
        if let Some(saving) = self.saving.as_mut().filter(|saving| saving.is_restored) {
            saving.pending.flush_last(self.at.now.mono, &self.seats);
        }
    }

    /// Whether the shard must look again soon: something waits for the store thread or for the store.
    #[must_use]
    pub fn is_saving(&self) -> bool {
        self.saving.as_ref().is_some_and(Saving::is_busy)
    }

    /// How the store is, when there is one.
    #[must_use]
    pub fn store_status(&self) -> Option<&StoreStatus> {
        self.saving.as_ref().map(|saving| &*saving.link.status)
    }
}

/// The full state of the moment in which the effect was decided.
fn told_with(effect: &Effect, state: Option<Arc<FullState>>) -> Option<Captured> {
    match effect {
        Effect::Joined { seq, .. } | Effect::Snapshot { seq, .. } => {
            Some(Captured { seq: *seq, state, since: Vec::new() })
        }
        Effect::Left { .. } | Effect::Change(_) | Effect::Again { .. } | Effect::Refused { .. } => None,
    }
}
