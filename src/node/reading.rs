//! When a connection's messages are looked at: when its answers have room, none of its earlier requests has to be
//! answered first, and it has not sent too many.
//!
//! Invariant: a connection that waits is told to read on as soon as it need not wait any longer. Never here: what a
//! message means.

use super::session::Session;
use super::{Node, Order};
use crate::planted::{self, Bug};

impl Node {
    /// Whether the connection's next message may be looked at: its answers have room, nothing that it sent before has
    /// to be answered first, and it has not sent too many. When not, [`Order::ReadOn`] says when.
    pub fn takes_requests(&mut self, slot: u32) -> bool {
        let (queue_bytes, open_requests) = (self.queue_bytes(), self.bounds.open_requests);
        let is_held_back = self.withholds_too_much();
        let Some(session) = self.sessions.get_mut(slot) else { return false };
        let waits_for_store = is_held_back && session.open_requests() > 0;
        let is_full = session.queue_weight() > queue_bytes || session.open_requests() >= open_requests;
        session.waits =
            is_full || waits_for_store || session.parked.is_some() || session.pauses || session.is_resuming();
        !session.waits
    }

    /// Whether sending what is queued could make room for the next message.
    #[must_use]
    pub fn is_worth_flushing(&self, slot: u32) -> bool {
        let queue_bytes = self.queue_bytes();
        let is_full = |session: &Session| session.queue_weight() > queue_bytes;
        self.sessions.get(slot).is_some_and(|session| is_full(session) && !session.blocked)
    }

    /// Requests of the connection are read again, if they waited and need not wait any longer.
    pub(super) fn read_on(&mut self, slot: u32) {
        let (queue_bytes, open_requests) = (self.queue_bytes(), self.bounds.open_requests);
        let is_held_back = self.withholds_too_much();
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let has_room = session.queue_weight() <= queue_bytes / 2 && session.open_requests() <= open_requests / 2;
        let waits_for_store = is_held_back && session.open_requests() > 0;
        let is_busy = waits_for_store || session.is_resuming();
        let may_go_on = has_room && !is_busy && session.parked.is_none() && !session.pauses;
        if session.waits && may_go_on && !planted::has(Bug::ForgottenReadOn) {
            session.waits = false;
            crate::marks::hit("requests that are read on");
            self.orders.push(Order::ReadOn(slot));
        }
    }
}
