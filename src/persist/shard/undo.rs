//! What happens in durable mode when the store has not answered for too long: selects that wait are undone, both in the
//! engine and in what is to be stored.
//!
//! Invariant: everything that is due has ended before anything is undone, so its number is among those that are given
//! anew. Pure. Never here: clocks, the store.

use crate::engine::command::{Effects, Input};
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
        assert!(due.is_empty(), "what was due has ended before");
    }
    (failed.effects, failed.retracts)
}
