//! Persistence as a shard sees it: changes go out; in durable mode what they tell waits; holds come in at the start.
//!
//! Invariants: nothing here waits for the store; without a store none of it exists; in durable mode nobody is told of a
//! change that needs the store before the store has it; a seat is granted only while no other server can be the writer.
//! Never here: how a store works.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Node;
use crate::engine::command::{
    ApiAnswer, CartRequest, Details, Effect, Effects, Input, Reject, RequestType, SaleAnswer,
};
use crate::engine::ids::{RoomId, SeatId, ShardId};
use crate::engine::time::{Millis, Now};
use crate::limits::WITHHELD_BYTES_PER_CONNECTION_MAX;
use crate::marks;
use crate::persist::link::StoreLink;
use crate::persist::shard::gate::Gate;
use crate::persist::shard::pending::Pending;
use crate::persist::status::StoreStatus;
use crate::planted::{Bug, has};

/// One shard's side.
#[derive(Debug)]
pub(super) struct Saving {
    pub(super) link: Arc<StoreLink>,
    pub(super) pending: Pending,
    /// In durable mode: what waits for the store.
    pub(super) gate: Option<Gate>,
    /// The last batch that is known to be committed.
    pub(super) committed: u64,
    pub(super) is_restored: bool,
    /// Answers to the backend that wait for the store in the other modes: for which batch, since when.
    pub(super) answers: VecDeque<(u64, Millis, Effect)>,
    /// Up to which batch the store has everything.
    pub(super) safe: u64,
    /// In durable mode: the store did not answer in time and has not come back, so selects need not try.
    pub(super) is_failing: bool,
}

impl Saving {
    pub(super) fn new(shard: ShardId, link: Arc<StoreLink>, is_durable: bool) -> Self {
        let pending = Pending::new(shard, Arc::clone(&link.queue), Arc::clone(&link.status));
        let gate = is_durable.then(Gate::default);
        let answers = VecDeque::new();
        Self { link, pending, gate, answers, safe: 0, committed: 0, is_restored: false, is_failing: false }
    }

    fn is_busy(&self) -> bool {
        !self.pending.is_idle() || !self.has_told_all()
    }

    /// Whether everything decided has been told.
    pub(super) fn has_told_all(&self) -> bool {
        self.gate.as_ref().is_none_or(Gate::is_empty) && self.answers.is_empty()
    }

    /// Hands on what a store is to have of an effect.
    fn record(&mut self, now: Millis, effect: &Effect) {
        match effect {
            Effect::Change(change) => self.pending.record(now, change),
            Effect::Keep(kept) => self.pending.keep(now, kept),
            Effect::Joined { .. }
            | Effect::Left { .. }
            | Effect::Snapshot { .. }
            | Effect::Again { .. }
            | Effect::Refused { .. }
            | Effect::Entered(_)
            | Effect::Synced(_)
            | Effect::Resumed(_)
            | Effect::Cart(_)
            | Effect::Superseded { .. }
            | Effect::Api(_)
            | Effect::Room(_) => {}
        }
    }

    /// The batch with which the store has everything that was decided.
    pub(super) fn needed(&self) -> u64 {
        self.pending.number() - u64::from(self.pending.is_idle())
    }

    /// Whether the store has everything that was decided.
    fn has_stored_all(&self) -> bool {
        self.needed() <= self.safe
    }

    /// Keeps answers to the backend until the store has what they tell.
    fn withhold_answers(&mut self, now: Millis, effects: &mut Effects) {
        let is_answer = |effect: &mut Effect| matches!(effect, Effect::Api(_));
        if has(Bug::AnsweredEarly)
            || self.has_stored_all() && self.answers.is_empty()
            || !effects.iter_mut().any(is_answer)
        {
            return;
        }
        let batch = self.needed();
        assert!(self.gate.is_none(), "in durable mode the gate withholds answers");
        assert!(
            self.answers.back().is_none_or(|(last, ..)| *last <= batch),
            "what is decided later waits for no earlier batch"
        );
        if batch == self.pending.number() {
            self.pending.expect();
        }
        marks::hit("an answer to the backend that is withheld");
        self.answers.extend(effects.extract_if(.., is_answer).map(|answer| (batch, now, answer)));
    }

    /// Rooms are another node's: what waits of them is told to nobody but the backend, which is to be told this.
    pub(super) fn forget(&mut self, is_gone: impl Fn(&str) -> bool) -> Vec<Effect> {
        let mut answers: Vec<Effect> = self.gate.as_mut().map(|gate| gate.forget(&is_gone)).unwrap_or_default();
        let is_its = |(_, _, effect): &(u64, Millis, Effect)| {
            let Effect::Api(answer) = effect else { return false };
            is_gone(answer.room.as_str())
        };
        let (its, kept) = std::mem::take(&mut self.answers).into_iter().partition::<VecDeque<_>, _>(is_its);
        self.answers = kept;
        answers.extend(its.into_iter().map(|(_, _, answer)| answer));
        for effect in &mut answers {
            if let Effect::Api(answer) = effect {
                answer.answer =
                    SaleAnswer::Refused { reject: Reject::PersistenceUnavailable, details: Details::default() };
            }
        }
        self.pending.forget(is_gone);
        answers
    }

    /// Bytes of answers that wait for the store.
    fn withheld_bytes(&self) -> usize {
        self.gate.as_ref().map_or(0, Gate::bytes)
    }

    /// Whether so much of this connection waits for the store that one more select or join of it is too much.
    fn is_full_of(&self, input: &Input<'_>) -> bool {
        let Some(gate) = &self.gate else { return false };
        match input {
            Input::Select { caller, .. } | Input::Join { caller, .. } | Input::Cart { caller, .. } => {
                gate.bytes_of(caller.conn) > WITHHELD_BYTES_PER_CONNECTION_MAX
            }
            Input::Leave { .. }
            | Input::Release { .. }
            | Input::Resync { .. }
            | Input::Gone { .. }
            | Input::Away { .. }
            | Input::Return { .. }
            | Input::ForgetPart { .. }
            | Input::Freeze { .. }
            | Input::LiveOn { .. }
            | Input::Thaw { .. }
            | Input::Resume { .. }
            | Input::Sale { .. }
            | Input::Tick
            | Input::Restore { .. }
            | Input::RestoreRoom { .. }
            | Input::Retract { .. } => false,
        }
    }

    /// Whether the store, or the loss of the right to write to it, forbids this input.
    fn forbids(&self, now: Now, input: &Input<'_>) -> bool {
        // Asked anew, since whoever saw `/health` turn to healthy may ask in the same turn.
        let is_failing = self.is_failing && !self.link.status.is_connected();
        match input {
            Input::Select { .. } => is_failing || !self.link.status.may_grant(now.mono),
            Input::Cart { request, .. } => match **request {
                CartRequest::Select { .. } | CartRequest::SelectBest { .. } | CartRequest::Extend => {
                    is_failing || !self.link.status.may_grant(now.mono)
                }
                CartRequest::Release { .. } | CartRequest::ReleaseAll => is_failing,
                CartRequest::Join { .. } | CartRequest::Leave | CartRequest::Sync => false,
            },
            Input::Sale { request, .. } => !request.is_read() && (is_failing || !self.link.status.may_grant(now.mono)),
            Input::Release { .. } => is_failing,
            Input::Join { .. }
            | Input::Leave { .. }
            | Input::Resync { .. }
            | Input::Gone { .. }
            | Input::Away { .. }
            | Input::Return { .. }
            | Input::ForgetPart { .. }
            | Input::Freeze { .. }
            | Input::LiveOn { .. }
            | Input::Thaw { .. }
            | Input::Resume { .. }
            | Input::Tick
            | Input::Restore { .. }
            | Input::RestoreRoom { .. }
            | Input::Retract { .. } => false,
        }
    }
}

/// The refusal of a request, for this reason.
fn refusal(input: &Input<'_>, reject: Reject) -> Option<Effect> {
    let (caller, request, room, seat) = match *input {
        Input::Select { caller, room, seat, .. } => (caller, RequestType::Select, room, Some(SeatId::checked(seat))),
        Input::Release { caller, room, seat } => (caller, RequestType::Release, room, Some(SeatId::checked(seat))),
        Input::Join { caller, room } => (caller, RequestType::Join, room, None),
        Input::Cart { caller, room, request } => (caller, request.kind(), room, None),
        Input::Sale { room, reply_to, .. } => {
            let answer = SaleAnswer::Refused { reject, details: Details::default() };
            return Some(Effect::Api(Box::new(ApiAnswer { to: reply_to, room: RoomId::checked(room), answer })));
        }
        Input::Leave { .. }
        | Input::Resync { .. }
        | Input::Gone { .. }
        | Input::Away { .. }
        | Input::Return { .. }
        | Input::ForgetPart { .. }
        | Input::Freeze { .. }
        | Input::LiveOn { .. }
        | Input::Thaw { .. }
        | Input::Resume { .. }
        | Input::Tick
        | Input::Restore { .. }
        | Input::RestoreRoom { .. }
        | Input::Retract { .. } => return None,
    };
    Some(Effect::Refused { to: caller.asker(), reject, request, room: RoomId::checked(room), seat, details: None })
}

impl Node {
    /// What is to be told in the place of a decision that the store forbids.
    pub(super) fn forbidden(&self, input: &Input<'_>) -> Option<Effect> {
        let saving = self.saving.as_ref()?;
        if saving.forbids(self.at.now, input) {
            marks::hit("a request that the store forbids");
            return refusal(input, Reject::PersistenceUnavailable);
        }
        if saving.is_full_of(input) { refusal(input, Reject::Overloaded) } else { None }
    }

    pub(super) fn count_withheld(&mut self) {
        let bytes = self.saving.as_ref().map_or(0, Saving::withheld_bytes);
        self.memory.withheld.set(bytes);
    }

    /// Hands the changes among the effects to the store's side, and keeps what must wait until the store has them. What
    /// is left may be told at once.
    pub(super) fn save(&mut self, effects: &mut Effects) {
        let now = self.at.now.mono;
        let Some(saving) = self.saving.as_mut() else { return };
        if saving.gate.is_none() {
            effects.iter().for_each(|effect| saving.record(now, effect));
            return saving.withhold_answers(now, effects);
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
        saving.record(now, &effect);
        let (batch, is_stored) = (saving.needed(), saving.has_stored_all());
        let gate = saving.gate.as_ref().expect("durable mode has a gate");
        if let Effect::Keep(_) = &effect {
            return None;
        }
        let is_admitted = if let Effect::Api(answer) = &effect {
            has(Bug::AnsweredEarly) || is_stored && !gate.waits_for(&answer.room)
        } else {
            gate.admits(&effect)
        };
        if is_admitted {
            return Some(effect);
        }
        // It is told with the state of its own moment, which others share.
        let captured = self.capture_now(&effect);
        let gate = self.saving.as_mut().and_then(|saving| saving.gate.as_mut()).expect("looked at above");
        marks::hit("a reply that is withheld");
        if matches!(effect, Effect::Joined { .. }) {
            marks::hit("a full state that is withheld");
        }
        gate.withhold(now, batch, (effect, captured));
        debug_assert!(!gate.is_empty() && gate.bytes() > 0, "what is withheld is counted");
        self.memory.withheld.set(gate.bytes());
        None
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
