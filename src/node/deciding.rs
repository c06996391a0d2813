//! The engine decides, and the store's part of the decision is handed over before anybody is told.
//!
//! Invariant: nothing is decided while effects are performed, so effects are performed in the order in which they were
//! decided. Never here: who is told what.

use super::Node;
use super::acts::Words;
use super::letters::{Command, Wanted};
use super::observer::Observed;
use crate::engine::command::{
    ApiAnswer, ApiTicket, Caller, Details, Effect, Effects, Input, Reject, SaleAnswer, SaleRequest,
};
use crate::engine::ids::RoomId;

impl Node {
    /// Decides one input and does what comes of it.
    pub(super) fn decide(&mut self, input: Input<'_>) {
        assert!(!self.is_performing, "performing an effect never decides");
        let words = Words::new(&input);
        let mut effects = std::mem::take(&mut self.effects);
        debug_assert!(effects.is_empty(), "the effects of the last input have been performed");
        match self.forbidden(&input) {
            Some(refused) => effects.push(refused),
            None => {
                self.seats.handle(self.at.now, input, &mut effects);
                if let Some(observer) = &mut self.observer {
                    let (now, input, seats) = (self.at.now, &input, &self.seats);
                    observer.hear(Observed::Decided { now, input, effects: &effects, seats });
                }
            }
        }
        assert!(
            words.is_some() || !effects.iter().any(|effect| matches!(effect, Effect::Change(_))),
            "what comes back changes nothing: a change that is no act would be missing in the log"
        );
        self.log_acts(&effects, words.as_ref());
        self.save(&mut effects);
        self.perform_all(&mut effects);
        self.effects = effects;
    }

    /// Decides what a connection, here or on another shard, asks of this one.
    pub(super) fn passed_on(&mut self, command: &Command) {
        let Command { conn, client, origin, ticket, identity, wanted } = command;
        if wanted.room().is_some_and(|room| !self.decides(room.as_str())) {
            return self.send_back(*conn, *ticket);
        }
        let identity = identity.as_ref();
        let caller = Caller { conn: *conn, client, origin: *origin, ticket: *ticket, identity };
        self.decide(match wanted {
            Wanted::First(request) => Input::of(caller, request.as_ref()),
            Wanted::Cart { room, request } => Input::Cart { caller, room: room.as_str(), request },
            Wanted::Resume { rooms } => Input::Resume { caller, rooms },
        });
    }

    /// Decides what the shop's backend asks.
    pub(super) fn sell(&mut self, room: &RoomId, request: &SaleRequest, reply_to: ApiTicket) {
        if !self.decides(room.as_str()) {
            // Its room is another node's: whoever decided here would sell a seat a second time.
            let (reject, details) = (Reject::PersistenceUnavailable, Details::default());
            let answer = SaleAnswer::Refused { reject, details };
            return self.api_answers.push(ApiAnswer { to: reply_to, room: room.clone(), answer });
        }
        self.decide(Input::Sale { room: room.as_str(), request, reply_to });
    }

    /// What the shop's backend is to be answered, to be taken out at the end of the turn.
    pub fn api_answers(&mut self) -> &mut Vec<ApiAnswer> {
        &mut self.api_answers
    }

    /// Performs effects in order.
    pub(super) fn perform_all(&mut self, effects: &mut Effects) {
        assert!(!self.is_performing, "effects are performed in order, not one inside of another");
        self.is_performing = true;
        for effect in effects.drain(..) {
            let captured = self.capture(&effect);
            self.tell(effect, captured);
        }
        self.is_performing = false;
    }
}
