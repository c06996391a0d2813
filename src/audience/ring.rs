//! The last changes of one room, for those who have seen it up to some `seq` and need what has happened since.
//!
//! Invariants: the changes are those of one life of the room, in order, without a hole, and the last is the last that
//! happened; [`Ring::bytes_max`] bounds what they take. A change that does not follow the last one begins the ring
//! anew. Never here: encodings, who needs what.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::engine::command::{Change, ChangeKind};
use crate::engine::ids::Epoch;
use crate::planted::{self, Bug};

/// Changes that follow each other.
#[derive(Debug)]
pub struct Ring {
    changes: VecDeque<Arc<Change>>,
    /// Where it stands: the life of the room, and the number of the last change.
    epoch: Epoch,
    seq: u64,
    bytes: usize,
    bytes_max: usize,
}

/// What a change takes in memory, about.
fn bytes_of(change: &Change) -> usize {
    let user_info = match &change.kind {
        ChangeKind::Selected { user_info, .. } => user_info.len(),
        ChangeKind::Released { .. } => 0,
    };
    size_of::<Change>() + change.seat.as_str().len() + user_info
}

impl Ring {
    /// An empty ring that stands at `seq`, for at most so many bytes of changes.
    #[must_use]
    pub fn new(epoch: Epoch, seq: u64, bytes_max: usize) -> Self {
        Self { changes: VecDeque::new(), epoch, seq, bytes: 0, bytes_max }
    }

    /// The number of the last change.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Whether the last change is this one.
    #[must_use]
    pub fn stands_at(&self, epoch: Epoch, seq: u64) -> bool {
        (self.epoch, self.seq) == (epoch, seq)
    }

    /// Takes in what happened next. One that is known already changes nothing; beyond the bound the oldest give way.
    pub fn push(&mut self, change: &Arc<Change>) {
        if change.epoch == self.epoch && change.seq <= self.seq {
            return;
        }
        if change.epoch != self.epoch || change.seq != self.seq + 1 {
            crate::marks::hit("a ring that begins anew");
            (self.epoch, self.bytes) = (change.epoch, 0);
            self.changes.clear();
        }
        self.seq = change.seq;
        self.bytes += bytes_of(change);
        self.changes.push_back(Arc::clone(change));
        while self.bytes > self.bytes_max
            && let Some(oldest) = self.changes.pop_front()
        {
            self.bytes -= bytes_of(&oldest);
        }
        debug_assert!(self.bytes <= self.bytes_max, "the ring is within its bound");
        debug_assert_eq!(
            self.changes.back().map_or(self.seq, |last| last.seq),
            self.seq,
            "the last one is there or none"
        );
    }

    /// The changes after `seq`; `None` when they are not all here, or were of another life.
    #[must_use]
    pub fn since(&self, epoch: Epoch, seq: u64) -> Option<impl Iterator<Item = &Arc<Change>> + use<'_>> {
        let first = self.seq - self.changes.len() as u64 + 1;
        if epoch != self.epoch || seq > self.seq || seq + 1 < first {
            return None;
        }
        let known = usize::try_from(seq + 1 - first).expect("fewer than there are changes");
        let known = known + usize::from(planted::has(Bug::RingSkipsOne) && known < self.changes.len());
        Some(self.changes.range(known..))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Ring, bytes_of};
    use crate::engine::command::{Change, ChangeKind, ReleaseReason};
    use crate::engine::ids::{ClientId, Epoch, RoomId, SeatId, ShardSet};

    fn change(epoch: u64, seq: u64) -> Arc<Change> {
        Arc::new(Change {
            room: RoomId::new("r").expect("a name"),
            seat: SeatId::new("A1").expect("a name"),
            index: None,
            client: ClientId::new("ana").expect("a name"),
            seq,
            epoch: Epoch(epoch),
            actor: None,
            answers: None,
            held: 0,
            audience: ShardSet::EMPTY,
            kind: ChangeKind::Released { reason: ReleaseReason::Expired },
        })
    }

    fn since(ring: &Ring, epoch: u64, seq: u64) -> Option<Vec<u64>> {
        ring.since(Epoch(epoch), seq).map(|changes| changes.map(|change| change.seq).collect())
    }

    #[test]
    fn what_happened_since_is_all_or_nothing() {
        let one = bytes_of(&change(1, 1));
        let mut ring = Ring::new(Epoch(1), 4, 3 * one);
        assert_eq!((since(&ring, 1, 4), since(&ring, 1, 3), since(&ring, 1, 5)), (Some(vec![]), None, None));
        (5..=7).for_each(|seq| ring.push(&change(1, seq)));
        ring.push(&change(1, 6));
        assert_eq!(since(&ring, 1, 4), Some(vec![5, 6, 7]));
        assert_eq!(since(&ring, 1, 7), Some(vec![]));
        assert_eq!(since(&ring, 2, 6), None, "another life");
        ring.push(&change(1, 8));
        assert_eq!((since(&ring, 1, 4), since(&ring, 1, 5)), (None, Some(vec![6, 7, 8])), "the oldest gave way");
        ring.push(&change(1, 10));
        assert_eq!((since(&ring, 1, 8), since(&ring, 1, 9)), (None, Some(vec![10])), "a hole begins it anew");
        ring.push(&change(2, 3));
        assert_eq!((since(&ring, 1, 10), since(&ring, 2, 2)), (None, Some(vec![3])), "and so does another life");
    }

    #[test]
    fn one_that_is_larger_than_the_bound_is_not_kept() {
        let mut ring = Ring::new(Epoch(1), 0, 1);
        ring.push(&change(1, 1));
        assert_eq!((ring.seq(), since(&ring, 1, 0), since(&ring, 1, 1)), (1, None, Some(vec![])));
    }
}
