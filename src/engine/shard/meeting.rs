//! Who is here: connections come for their owners and go, and owners without one are waited for.
//!
//! Invariants: a session has one connection, the newest; an owner without one waits until its grace is over, and then
//! lets go of what it holds. What is in an order does not depend on any of that. Never here: what is in a cart.

use super::Shard;
use crate::engine::command::{Act, Caller, Effect, Effects, Owner, Reject, ReleaseReason, SeatStatus};
use crate::engine::deadlines::{Deadline, Due};
use crate::engine::ids::{ConnId, SeatId};
use crate::engine::slab::Slot;
use crate::limits::CONNECTIONS_PER_OWNER_MAX;
use crate::planted::{Bug, has};

/// Who has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met {
    pub(super) party: Slot,
    /// Whether this is the connection's first request for it here: it has been told nothing of what is here.
    pub(super) is_new: bool,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unmet {
    /// A newer connection goes on with the session: nothing is answered.
    Superseded,
    /// It is refused.
    Refused(Reject),
}

impl Shard {
    /// For whom the caller acts. It has an identity.
    pub(super) fn meet(&mut self, caller: Caller<'_>, effects: &mut Effects) -> Result<Met, Unmet> {
        let (conn, identity) = (caller.conn, caller.identity.expect("who has a cart has an identity"));
        let mut known = self.owners.of_conn(conn);
        if known.is_some_and(|party| self.owners.parties[party].owner() != Some(&identity.owner)) {
            self.part(conn, effects);
            known = None;
        }
        if let Some(party) = known {
            self.owners.parties[party].max_seats = identity.max_seats;
            return Ok(Met { party, is_new: false });
        }
        if let Owner::Session(_) = identity.owner
            && let Some(party) = self.owners.find(&identity.owner)
        {
            if identity.incarnation < self.owners.parties[party].incarnation && !has(Bug::OlderTakesOver) {
                effects.push(Effect::Superseded { conn });
                return Err(Unmet::Superseded);
            }
            if let Some(&old) = self.owners.parties[party].conns.first()
                && !has(Bug::TwoConnections)
            {
                effects.push(Effect::Superseded { conn: old });
                self.owners.detach(old);
            }
        }
        let party = self.owners.find_or_add(&identity.owner);
        if self.owners.parties[party].conns.len() >= CONNECTIONS_PER_OWNER_MAX {
            return Err(Unmet::Refused(Reject::Overloaded));
        }
        self.owners.attach(party, conn);
        let of = &mut self.owners.parties[party];
        of.incarnation = of.incarnation.max(identity.incarnation);
        of.max_seats = identity.max_seats;
        if std::mem::take(&mut of.grace) != 0 {
            self.forget_deadline();
        }
        Ok(Met { party, is_new: true })
    }

    /// The connection has ended, or acts for somebody else now.
    pub(super) fn part(&mut self, conn: ConnId, effects: &mut Effects) {
        let Some(party) = self.owners.detach(conn) else { return };
        let of = &self.owners.parties[party];
        if !of.conns.is_empty() {
            return;
        }
        let waits = self.carts.grace_ms > 0 && !has(Bug::GraceForgotten) && !matches!(of.owner(), Some(Owner::Conn(_)));
        if of.carts.is_empty() {
            self.forget_party(party);
        } else if waits {
            self.wait_for(party, self.clock.after(self.carts.grace_ms));
        } else {
            self.give_up(party, effects);
        }
    }

    /// The party is away, and is waited for until then.
    pub(super) fn wait_for(&mut self, party: Slot, until: crate::engine::time::Millis) {
        let number = self.next_number();
        let before = std::mem::replace(&mut self.owners.parties[party].grace, number);
        assert_eq!(before, 0, "it is waited for already");
        self.deadlines.push(Deadline { at: until, due: Due::Grace(party), number });
    }

    /// Nobody is waited for any more: what the party holds becomes free, and it is told of what is booked no more.
    pub(super) fn give_up(&mut self, party: Slot, effects: &mut Effects) {
        assert!(self.owners.parties[party].conns.is_empty(), "somebody who is here is given up");
        for &cart in self.owners.parties[party].carts.clone().iter() {
            let room = self.owners.carts[cart].room;
            self.end_cart(cart, ReleaseReason::Disconnected, effects);
            let of = &self.rooms[room];
            let is_open = |&order: &Slot| of.order(order).is_in_checkout();
            self.owners.carts[cart].orders.retain(is_open);
            self.settle(cart, false, effects);
            self.drop_if_empty(room);
        }
    }

    /// Ends all held seats of a cart. Returns them.
    pub(super) fn end_cart(&mut self, cart: Slot, reason: ReleaseReason, effects: &mut Effects) -> Vec<SeatId> {
        let room = self.owners.carts[cart].room;
        let seats = std::mem::take(&mut self.owners.carts[cart].seats);
        let mut gone = Vec::with_capacity(seats.len());
        for seat in seats {
            let of = self.rooms[room].seat_at(seat);
            debug_assert_eq!(of.hold.status, SeatStatus::Held);
            gone.push(of.id.clone());
            let hold = self.end((room, seat), (Act::EndHold, reason), (None, None), effects);
            if reason == ReleaseReason::Expired {
                self.bar(None, &hold, effects);
            }
        }
        gone
    }

    /// Forgets a party without connections and carts.
    pub(super) fn forget_party(&mut self, party: Slot) {
        if self.owners.remove_if_nothing(party) {
            self.forget_deadline();
        }
    }
}
