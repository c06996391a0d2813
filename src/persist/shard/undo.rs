//! What happens in durable mode when the store has not answered for too long: selects that wait are undone, both in the
//! engine and in what is to be stored.
//!
//! Invariant: everything that is due has ended before anything is undone, so its number is among those that are given
//! anew. Pure. Never here: clocks, the store.

use crate::engine::command::{CartReason, CartWhy, Effect, Effects, Input};
use crate::engine::shard::Shard;
use crate::engine::time::Now;

use super::gate::{Gate, Retract};
use super::pending::Pending;

/// Gives up everything that waits. Before it, the shard was told of this `now`, and what followed was withheld too.
/// Returns what is to be performed, in order, and what has been undone.
pub fn undo(now: Now, gate: &mut Gate, pending: &mut Pending, shard: &mut Shard) -> (Effects, Vec<Retract>) {
    let failed = gate.fail();
    assert!(gate.is_empty(), "nothing waits any more");
    for retract in &failed.retracts {
        for (seat, _) in &retract.selects {
            pending.record_free(now.mono, &retract.room, seat.clone());
        }
        let (room, epoch) = (retract.room.as_str(), retract.epoch);
        let input = Input::Retract { room, epoch, selects: &retract.selects, seq: retract.seq };
        let mut due = Effects::new();
        shard.handle(now, input, &mut due);
        for effect in due {
            let Effect::Keep(kept) = effect else { panic!("what was due has ended before: {effect:?}") };
            pending.keep(now.mono, &kept);
        }
    }
    let mut effects = failed.effects;
    for effect in &mut effects {
        // Who has not got its seats is told what it has.
        if let Effect::Cart(told) = effect
            && matches!(told.why, CartWhy::Changed { reason: CartReason::Restored, .. })
            && failed.retracts.iter().any(|retract| retract.room == told.room)
        {
            told.cart = shard.cart_of(told.to.conn(), told.room.as_str());
        }
    }
    (effects, failed.retracts)
}
