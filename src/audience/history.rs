//! The last changes of one room's map, for members that know it up to some number and need what has happened since.
//!
//! A change is a place and what it is now; nobody's name is kept. Invariants: the changes are those of one life of the
//! room, in order, without a hole, and the last is the last that happened; there are never more of them than the bound
//! that was given. What lies further back is not guessed. Never here: who needs what.

use std::collections::VecDeque;

use crate::engine::command::Change;
use crate::engine::ids::{Epoch, SeatId};
use crate::planted::{Bug, has};
use crate::wire::v2::map::{Place, delta};

/// Where the state stands in a place of a layout: the two highest bits.
const STATE_SHIFT: u32 = 30;

/// Changes that follow each other.
#[derive(Debug)]
pub struct History {
    /// Where it stands: the life of the room, and the number of the last change.
    epoch: Epoch,
    seq: u64,
    steps: Steps,
    /// What the names in the steps take.
    name_bytes: usize,
    max: usize,
}

/// In a room with a layout a change is one number.
#[derive(Debug)]
enum Steps {
    Indexed(VecDeque<u32>),
    Named(VecDeque<(SeatId, u8)>),
}

impl Steps {
    fn len(&self) -> usize {
        match self {
            Self::Indexed(steps) => steps.len(),
            Self::Named(steps) => steps.len(),
        }
    }
}

impl History {
    /// An empty one that stands at `seq`, for at most so many changes.
    #[must_use]
    pub fn new(epoch: Epoch, seq: u64, max: usize) -> Self {
        Self { epoch, seq, steps: Steps::Named(VecDeque::new()), name_bytes: 0, max }
    }

    /// The number of the last change.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The life of the room.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How many changes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.len() == 0
    }

    /// Takes in what happened next, and says whether it follows; if not, it begins anew there. One that is known
    /// already changes nothing; beyond the bound the oldest give way.
    pub fn push(&mut self, change: &Change) -> bool {
        if change.epoch == self.epoch && change.seq <= self.seq {
            return true;
        }
        let follows = change.epoch == self.epoch && change.seq == self.seq + 1;
        if !follows {
            crate::marks::hit("a history that begins anew");
            (self.steps, self.name_bytes) = (Steps::Named(VecDeque::new()), 0);
        }
        // Room is made first, so that a full one does not grow.
        self.keep_last(self.max - 1);
        (self.epoch, self.seq) = (change.epoch, change.seq);
        self.append(change);
        follows
    }

    fn append(&mut self, change: &Change) {
        let state = change.kind.status().map_state();
        match (&mut self.steps, change.index) {
            (Steps::Indexed(steps), Some(index)) => steps.push_back(index | u32::from(state) << STATE_SHIFT),
            (Steps::Named(steps), None) => {
                self.name_bytes += name_bytes(&change.seat);
                steps.push_back((change.seat.clone(), state));
            }
            // The first one, or a room that has another plan: what was before is not told in these words.
            (_, Some(index)) => {
                self.steps = Steps::Indexed(VecDeque::from([index | u32::from(state) << STATE_SHIFT]));
                self.name_bytes = 0;
            }
            (_, None) => {
                self.steps = Steps::Named(VecDeque::from([(change.seat.clone(), state)]));
                self.name_bytes = name_bytes(&change.seat);
            }
        }
        debug_assert!(self.steps.len() <= self.max, "the history is within its bound");
    }

    /// Forgets all changes but the last `count`.
    fn keep_last(&mut self, count: usize) {
        while self.steps.len() > count {
            match &mut self.steps {
                Steps::Indexed(steps) => drop(steps.pop_front()),
                Steps::Named(steps) => {
                    self.name_bytes -= steps.pop_front().map_or(0, |(seat, _)| name_bytes(&seat));
                }
            }
        }
    }

    /// Gives back what all changes take but those after `seq`.
    pub fn give_back(&mut self, seq: u64) {
        self.keep_last(usize::try_from(self.seq.saturating_sub(seq)).unwrap_or(usize::MAX));
        match &mut self.steps {
            Steps::Indexed(steps) => steps.shrink_to_fit(),
            Steps::Named(steps) => steps.shrink_to_fit(),
        }
    }

    /// Bytes of memory that the changes take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.steps {
            Steps::Indexed(steps) => steps.capacity() * size_of::<u32>(),
            Steps::Named(steps) => steps.capacity() * size_of::<(SeatId, u8)>() + self.name_bytes,
        }
    }

    /// How many changes there were after `seq`; nothing when they are not all here, or were of another life.
    #[must_use]
    pub fn known_since(&self, epoch: Epoch, seq: u64) -> Option<usize> {
        let is_other = epoch != self.epoch && !has(Bug::SinceOfAnotherLife);
        if is_other || seq > self.seq {
            return None;
        }
        usize::try_from(self.seq - seq).ok().filter(|&count| count <= self.steps.len())
    }

    /// Appends the `delta` that leads from `seq` to the last change: the last state of each place, in the order of
    /// places. Nothing when there is no such way.
    #[must_use]
    pub fn write_since(&self, out: &mut Vec<u8>, room: &str, epoch: Epoch, seq: u64) -> Option<()> {
        let count = self.known_since(epoch, seq)?;
        let first = self.steps.len() - count + usize::from(has(Bug::DeltaHole) && count > 1);
        let numbers = (seq + 1, self.seq);
        match &self.steps {
            Steps::Indexed(steps) => {
                let places = last_of_each(steps.range(first..).map(|&step| (step & ((1 << STATE_SHIFT) - 1), step)));
                let state = |step: u32| u8::try_from(step >> STATE_SHIFT).expect("two bits");
                let changes = places.into_iter().map(|(index, step)| (Place::Index(index), state(step)));
                delta(out, room, self.epoch, numbers, changes);
            }
            Steps::Named(steps) => {
                let places = last_of_each(steps.range(first..).map(|(seat, state)| (seat.as_str(), *state)));
                let changes = places.into_iter().map(|(seat, state)| (Place::Name(seat), state));
                delta(out, room, self.epoch, numbers, changes);
            }
        }
        Some(())
    }
}

/// What the text of a name takes, as if nobody shared it.
fn name_bytes(seat: &SeatId) -> usize {
    seat.as_str().len()
}

/// What each place is at last, in the order of places.
fn last_of_each<P: Ord, S>(steps: impl Iterator<Item = (P, S)>) -> Vec<(P, S)> {
    let mut all: Vec<(P, S)> = steps.collect();
    // The sort is stable: of one place the last comes last, and so first from behind.
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all.reverse();
    all.dedup_by(|next, kept| next.0 == kept.0);
    all.reverse();
    all
}

#[cfg(test)]
pub(super) mod tests {
    use super::History;
    use crate::engine::command::{Change, ChangeKind, ReleaseReason, SeatStatus};
    use crate::engine::ids::{ClientId, Epoch, Origin, RoomId, SeatId, ShardSet};
    use crate::engine::time::WallMillis;

    const EPOCH: Epoch = Epoch(1);

    pub(in crate::audience) fn change(
        epoch: Epoch,
        seq: u64,
        seat: u32,
        status: SeatStatus,
        has_layout: bool,
    ) -> Change {
        let selected = ChangeKind::Selected {
            status,
            was: SeatStatus::Free,
            at: WallMillis(0),
            expires_at: None,
            user_info: "{}".into(),
            origin: Origin::UNKNOWN,
            claim: None,
        };
        let released = ChangeKind::Released { reason: ReleaseReason::Expired };
        Change {
            room: RoomId::new("r").expect("a name"),
            seat: SeatId::new(&format!("S{seat}")).expect("a name"),
            index: has_layout.then_some(seat),
            client: ClientId::new("ana").expect("a name"),
            seq,
            epoch,
            actor: None,
            answers: None,
            held: 0,
            audience: ShardSet::EMPTY,
            kind: if status == SeatStatus::Free { released } else { selected },
        }
    }

    /// The numbers and the changes of the delta since `seq`.
    fn since(history: &History, epoch: Epoch, seq: u64) -> Option<String> {
        let mut out = Vec::new();
        history.write_since(&mut out, "r", epoch, seq)?;
        let text = String::from_utf8(out.split_off(2)).expect("a short frame");
        Some(text.split_once(r#""from":"#).expect("a delta").1.to_owned())
    }

    #[test]
    fn each_place_is_told_once_in_the_order_of_places() {
        use SeatStatus::{Blocked, Booked, Checkout, Free, Held};
        let mut history = History::new(EPOCH, 10, 100);
        assert_eq!(since(&history, EPOCH, 10).as_deref(), Some(r#"11,"to":10,"changes":[]}"#), "nothing has happened");
        let steps = [(7, Held), (3, Held), (7, Checkout), (5, Blocked), (3, Free), (7, Booked)];
        for (seq, (seat, status)) in (11..).zip(steps) {
            assert!(history.push(&change(EPOCH, seq, seat, status, true)));
        }
        assert_eq!(since(&history, EPOCH, 10).as_deref(), Some(r#"11,"to":16,"changes":[[3,0],[5,3],[7,2]]}"#));
        assert_eq!(since(&history, EPOCH, 14).as_deref(), Some(r#"15,"to":16,"changes":[[3,0],[7,2]]}"#));
        assert_eq!(since(&history, EPOCH, 16).as_deref(), Some(r#"17,"to":16,"changes":[]}"#));
        for (epoch, seq) in [(EPOCH, 9), (EPOCH, 17), (EPOCH, u64::MAX), (Epoch(2), 16)] {
            assert_eq!(since(&history, epoch, seq), None, "never a hole, never a guess");
        }
    }

    #[test]
    fn places_without_a_layout_have_names() {
        let mut history = History::new(EPOCH, 0, 100);
        for (seq, seat) in [(1, 2), (2, 1), (3, 2)] {
            let status = if seq == 3 { SeatStatus::Free } else { SeatStatus::Held };
            assert!(history.push(&change(EPOCH, seq, seat, status, false)));
        }
        assert_eq!(since(&history, EPOCH, 0).as_deref(), Some(r#"1,"to":3,"changes":[["S1",1],["S2",0]]}"#));
    }

    #[test]
    fn what_is_given_back_is_not_counted_and_not_guessed() {
        for has_layout in [true, false] {
            let mut history = History::new(EPOCH, 0, 64);
            for seq in 1..=200 {
                assert!(history.push(&change(EPOCH, seq, 1_000, SeatStatus::Held, has_layout)));
            }
            let full = history.bytes();
            assert_eq!(history.len(), 64);
            assert!((64 * 4..=64 * 64).contains(&full), "{full} bytes");
            history.give_back(198);
            assert_eq!(
                (history.len(), history.known_since(EPOCH, 198), history.known_since(EPOCH, 197)),
                (2, Some(2), None)
            );
            assert!(history.bytes() < full / 8, "{} of {full} bytes", history.bytes());
            history.give_back(200);
            assert_eq!((history.bytes(), history.known_since(EPOCH, 200)), (0, Some(0)));
            assert!(history.push(&change(EPOCH, 201, 1_000, SeatStatus::Held, has_layout)));
            assert_eq!(history.known_since(EPOCH, 200), Some(1));
        }
    }

    #[test]
    fn what_is_not_known_any_more_is_not_guessed() {
        let mut history = History::new(EPOCH, 0, 3);
        for seq in 1..=5 {
            assert!(history.push(&change(EPOCH, seq, 1, SeatStatus::Held, true)));
        }
        assert_eq!((history.len(), history.known_since(EPOCH, 2), history.known_since(EPOCH, 1)), (3, Some(3), None));
        assert!(history.push(&change(EPOCH, 4, 1, SeatStatus::Held, true)), "it is known already");
        assert_eq!(history.seq(), 5);
        assert!(!history.push(&change(EPOCH, 9, 1, SeatStatus::Held, true)), "a hole");
        assert_eq!((history.known_since(EPOCH, 8), history.known_since(EPOCH, 5)), (Some(1), None));
        assert!(!history.push(&change(Epoch(2), 1, 1, SeatStatus::Held, true)), "another life");
        assert_eq!((history.known_since(EPOCH, 9), history.known_since(Epoch(2), 0)), (None, Some(1)));
    }
}
