//! What the shop's backend asks. Never here: what clients ask.

use super::Shard;
use super::plan::{Buyer, Plan, Refusal};
use crate::engine::command::{
    ApiAnswer, ApiTicket, BestQuery, Details, Effect, Effects, Reject, SaleAnswer, SaleRequest,
};
use crate::engine::ids::SeatId;
use crate::engine::slab::Slot;
use crate::engine::time::Now;

impl Shard {
    pub(super) fn sale_request(
        &mut self,
        _now: Now,
        room: &str,
        _request: &SaleRequest,
        to: ApiTicket,
        effects: &mut Effects,
    ) {
        let answer = SaleAnswer::Refused { reject: Reject::Overloaded, details: Details::default() };
        effects.push(Effect::Api(Box::new(ApiAnswer { to, room: self.room_id(room), answer })));
    }

    pub(super) fn plan_best(
        &self,
        _buyer: &Buyer<'_>,
        _at: (&str, Option<Slot>),
        _query: &BestQuery,
        _release: &[SeatId],
    ) -> Result<(Plan, Vec<SeatId>), Refusal> {
        Err(Reject::NoLayout.into())
    }

    pub(super) fn order_due(&mut self, _now: Now, _room: Slot, _order: Slot, _effects: &mut Effects) {}

    pub(super) fn room_due(&mut self, _now: Now, _room: Slot, _effects: &mut Effects) {}
}
