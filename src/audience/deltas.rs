//! One room as one shard's members of the second protocol see it: its history, and how far each member knows it.
//!
//! A member is a position in that history. Members are told what has happened at most once a tick: one `delta`, encoded
//! once, the same bytes for every member whose socket takes them. A member whose socket is full stays at its position;
//! once its socket has drained it gets one delta of its own, or the whole map. Invariants: a member is told every
//! change after its position, once, or as part of a later state; a member that lags costs nothing but its position;
//! during a pass the members before `left` have not been served yet. Never here: sockets, carts, time.

use std::sync::Arc;

use super::budget::{Budget, Kind};
use super::history::History;
use super::shared::Shared;
use crate::engine::command::Change;
use crate::engine::ids::Epoch;
use crate::limits::LAG_CHANGES_MAX;
use crate::planted::{Bug, has};

/// How a member gets what happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// With everybody, once a tick.
    Served,
    /// Not before its socket has drained.
    Behind,
    /// Not before it has got the whole map, for which it has been asked or must be.
    Waiting,
}

/// A connection that looks at the room.
#[derive(Clone, Copy, Debug)]
struct Member {
    /// The number of the last change that it knows.
    seq: u64,
    slot: u32,
    mode: Mode,
}

/// A member that now stands at another index, because one before it was removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moved {
    /// Its connection's slot.
    pub slot: u32,
    /// Its new index.
    pub index: u32,
}

/// What is being told to everybody.
#[derive(Clone, Debug)]
struct Pass {
    frame: Arc<Shared>,
    /// Who gets it must know the room up to here.
    since: u64,
    /// And knows it up to here then.
    to: u64,
    /// So many members have not been met.
    left: usize,
}

/// How a member that has drained goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GoesOn {
    /// It knows everything: it is served with everybody again.
    Served,
    /// With this frame.
    Delta(Vec<u8>),
    /// It needs the whole map.
    Map,
}

/// A room as its members of the second protocol see it.
#[derive(Debug)]
pub struct Deltas {
    history: History,
    /// The number of the last change that passes have told.
    told: u64,
    members: Vec<Member>,
    served: usize,
    pass: Option<Pass>,
    /// What the history took when it was counted last.
    counted: usize,
}

impl Deltas {
    /// A room that stands here, of which at most so many changes are remembered.
    #[must_use]
    pub fn new(epoch: Epoch, seq: u64, changes_max: usize) -> Self {
        let history = History::new(epoch, seq, changes_max);
        Self { history, told: seq, members: Vec::new(), served: 0, pass: None, counted: 0 }
    }

    /// What has happened.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Counts what the history takes: what it took before, and what it takes now.
    pub fn recount(&mut self) -> (usize, usize) {
        let now = self.history.bytes();
        (std::mem::replace(&mut self.counted, now), now)
    }

    /// Memory is short: what everybody has been told, or is being told, is forgotten. Who comes back, or has been
    /// behind, gets the whole map.
    pub fn give_back(&mut self) {
        crate::marks::hit("a history that gives way");
        self.history.give_back(self.told);
    }

    /// Members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The connection of the member at `index`, by its slot.
    #[must_use]
    pub fn slot_at(&self, index: u32) -> u32 {
        self.members[index as usize].slot
    }

    /// The connections of all members.
    pub fn slots(&self) -> impl Iterator<Item = u32> + use<'_> {
        self.members.iter().map(|member| member.slot)
    }

    /// How the member at `index` gets what happens.
    #[must_use]
    pub fn mode(&self, index: u32) -> Mode {
        self.members[index as usize].mode
    }

    /// Takes in what happened next. False: the room has begun another life, and everybody waits for its map.
    #[must_use]
    pub fn push(&mut self, change: &Change) -> bool {
        let follows = self.history.push(change);
        if !follows {
            self.begin_anew();
        } else if self.served == 0 && self.pass.is_none() {
            // There is nobody whom a pass could tell.
            self.told = self.history.seq();
        }
        follows
    }

    /// The room stands elsewhere, in another life: everybody waits for its map.
    pub fn renew(&mut self, epoch: Epoch, seq: u64, changes_max: usize) {
        self.history = History::new(epoch, seq, changes_max);
        self.begin_anew();
    }

    fn begin_anew(&mut self) {
        (self.told, self.served, self.pass) = (self.history.seq(), 0, None);
        self.members.iter_mut().for_each(|member| member.mode = Mode::Waiting);
    }

    /// Adds a member that knows the room up to `seq`, or waits for its map, and returns its index.
    pub fn add(&mut self, slot: u32, seq: Option<u64>) -> u32 {
        if self.served == 0 && self.pass.is_none() {
            self.told = seq.unwrap_or(self.told).max(self.told);
        }
        let mode = seq.map_or(Mode::Waiting, |seq| self.mode_at(seq));
        self.served += usize::from(mode == Mode::Served);
        self.members.push(Member { seq: seq.unwrap_or(0), slot, mode });
        u32::try_from(self.members.len() - 1).expect("members are bounded")
    }

    /// Removes the member at `index` and says who stands there now.
    pub fn remove(&mut self, index: u32) -> Option<Moved> {
        let at = index as usize;
        let member = self.members.swap_remove(at);
        self.served -= usize::from(member.mode == Mode::Served);
        if let Some(pass) = &mut self.pass {
            // Whoever fills the place may have been served: it knows the room that far, and is passed over.
            pass.left = pass.left.min(self.members.len());
        }
        self.members.get(at).map(|moved| Moved { slot: moved.slot, index })
    }

    /// How a member goes on that knows the room up to here. What happened in the room may have come from its owner
    /// before the answer that was given ahead of it, and everybody else may have been told already: it is behind those.
    fn mode_at(&self, seq: u64) -> Mode {
        if seq < self.told {
            crate::marks::hit("a member that begins behind what everybody has been told");
            return Mode::Behind;
        }
        Mode::Served
    }

    fn set_mode(&mut self, index: u32, mode: Mode) {
        let was = std::mem::replace(&mut self.members[index as usize].mode, mode);
        self.served = self.served + usize::from(mode == Mode::Served) - usize::from(was == Mode::Served);
    }

    /// Whether something has happened that somebody is to be told, and is not being told.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.pass.is_none() && self.told != self.history.seq() && self.served > 0
    }

    /// Begins to tell everybody what has happened, unless that is being done.
    pub fn begin_pass(&mut self, room: &str, budget: &Budget) {
        if self.pass.is_some() || !self.is_due() {
            return;
        }
        let mut frame = Vec::new();
        let written = self.history.write_since(&mut frame, room, self.history.epoch(), self.told);
        if written.is_none() {
            // More has happened within a tick than is remembered.
            crate::marks::hit("a tick that is longer than the history");
            return self.begin_anew();
        }
        let since = std::mem::replace(&mut self.told, self.history.seq());
        let frame = Shared::new(frame, Kind::Logs, budget);
        self.pass = Some(Pass { frame, since, to: self.told, left: self.members.len() });
    }

    /// Members that wait for the map though nobody has asked for it: behind [`Deltas::begin_pass`].
    pub fn waiting(&self) -> impl Iterator<Item = u32> + use<'_> {
        self.members.iter().filter(|member| member.mode == Mode::Waiting).map(|member| member.slot)
    }

    /// The next member of the pass, by its index and slot; nothing when all have been met. Either [`Deltas::told`] or
    /// [`Deltas::falls_behind`] follows.
    pub fn step(&mut self) -> Option<(u32, u32)> {
        let pass = self.pass.as_mut()?;
        while pass.left > 0 {
            pass.left -= 1;
            let member = &self.members[pass.left];
            let index = u32::try_from(pass.left).expect("members are bounded");
            if member.mode != Mode::Served || member.seq >= pass.to {
                continue;
            }
            if member.seq >= pass.since {
                return Some((index, member.slot));
            }
            // It was not told what everybody was. Whatever the way there is, the whole map mends it, and the sale goes
            // on.
            debug_assert!(false, "who is served knows what passes have told");
            self.served -= 1;
            self.members[pass.left].mode = Mode::Waiting;
        }
        self.pass = None;
        None
    }

    /// What the pass tells.
    #[must_use]
    pub fn frame(&self) -> Option<&Arc<Shared>> {
        self.pass.as_ref().map(|pass| &pass.frame)
    }

    /// The member at `index` has been, or will be, sent all that the pass tells.
    pub fn told(&mut self, index: u32) {
        let to = self.pass.as_ref().expect("a pass has met it").to;
        self.members[index as usize].seq = to;
    }

    /// The socket of the member at `index` takes nothing of what the pass tells: it stays where it is.
    pub fn falls_behind(&mut self, index: u32) {
        crate::marks::hit("a member of the second protocol that falls behind");
        self.set_mode(index, Mode::Behind);
    }

    /// The member at `index` gets the whole map as of `seq`, or knows it: it is served with everybody again, or from
    /// what [`Deltas::drained`] gives it on.
    pub fn knows(&mut self, index: u32, seq: u64) {
        self.members[index as usize].seq = seq;
        self.set_mode(index, self.mode_at(seq));
    }

    /// The member at `index` needs the whole map.
    pub fn needs_map(&mut self, index: u32) {
        self.set_mode(index, Mode::Waiting);
    }

    /// The socket of the member at `index` has drained.
    pub fn drained(&mut self, index: u32, room: &str) -> GoesOn {
        let member = self.members[index as usize];
        match member.mode {
            Mode::Served => return GoesOn::Served,
            Mode::Waiting => return GoesOn::Map,
            Mode::Behind if has(Bug::BehindForgotten) => return GoesOn::Served,
            Mode::Behind => {}
        }
        let epoch = self.history.epoch();
        let Some(missed) = self.history.known_since(epoch, member.seq).filter(|&n| n <= LAG_CHANGES_MAX) else {
            self.needs_map(index);
            return GoesOn::Map;
        };
        // Passes tell what is after `told`: it is given no less, so that it can be served with everybody again.
        let mut frame = Vec::new();
        self.history.write_since(&mut frame, room, epoch, member.seq).expect("it was asked above");
        self.knows(index, self.history.seq());
        if missed == 0 { GoesOn::Served } else { GoesOn::Delta(frame) }
    }

    /// Panics when an invariant does not hold.
    pub fn check_invariants(&self) {
        let served = self.members.iter().filter(|member| member.mode == Mode::Served);
        assert_eq!(served.clone().count(), self.served);
        let since = self.pass.as_ref().map_or(self.told, |pass| pass.since);
        assert!(served.into_iter().all(|member| member.seq >= since), "nobody who is served has a hole before it");
        assert!(self.told <= self.history.seq(), "no more is told than has happened");
    }
}

#[cfg(test)]
mod tests {
    use super::{Deltas, GoesOn, Mode};
    use crate::audience::budget::Budget;
    use crate::audience::history::tests::change;
    use crate::engine::command::SeatStatus;
    use crate::engine::ids::Epoch;
    use crate::limits::LAG_CHANGES_MAX;

    const EPOCH: Epoch = Epoch(1);

    fn held(deltas: &mut Deltas, seq: u64) {
        assert!(deltas.push(&change(EPOCH, seq, u32::try_from(seq).expect("small"), SeatStatus::Held, true)));
        deltas.check_invariants();
    }

    /// Serves a pass, all whose slots are in `full` being behind, and returns who was told.
    fn pass(deltas: &mut Deltas, full: &[u32]) -> Vec<u32> {
        deltas.begin_pass("r", &Budget::default());
        let mut told = Vec::new();
        while let Some((index, slot)) = deltas.step() {
            if full.contains(&slot) {
                deltas.falls_behind(index);
            } else {
                deltas.told(index);
                told.push(slot);
            }
            deltas.check_invariants();
        }
        told.sort_unstable();
        told
    }

    #[test]
    fn a_history_that_gives_way_skips_nothing() {
        let mut deltas = Deltas::new(EPOCH, 0, 100);
        (0..3).for_each(|slot| _ = deltas.add(slot, Some(0)));
        (1..=5).for_each(|seq| held(&mut deltas, seq));
        assert_eq!(pass(&mut deltas, &[2]), [0, 1]);
        (6..=8).for_each(|seq| held(&mut deltas, seq));
        assert_eq!(deltas.recount().0, 0);
        deltas.give_back();
        let (was, is) = deltas.recount();
        assert!(is < was && deltas.history().known_since(EPOCH, 5) == Some(3));
        deltas.check_invariants();
        assert_eq!(deltas.drained(2, "r"), GoesOn::Map, "what it missed is not known any more");
        assert_eq!(pass(&mut deltas, &[]), [0, 1], "those who are served miss nothing");
    }

    #[test]
    fn who_begins_behind_what_everybody_was_told_catches_up_alone() {
        let mut deltas = Deltas::new(EPOCH, 5, 100);
        deltas.add(0, Some(5));
        (6..9).for_each(|seq| held(&mut deltas, seq));
        assert_eq!(pass(&mut deltas, &[]), [0]);
        // The answers of two were on their way: one joins, the other was a member and gets a fresh map.
        let new = deltas.add(1, Some(6));
        deltas.knows(0, 7);
        deltas.check_invariants();
        held(&mut deltas, 9);
        for (index, from) in [(new, 7), (0, 8)] {
            let GoesOn::Delta(frame) = deltas.drained(index, "r") else { panic!("it is behind") };
            let text = String::from_utf8_lossy(&frame).into_owned();
            assert!(text.contains(&format!(r#""from":{from},"to":9"#)), "{text}");
        }
        held(&mut deltas, 10);
        assert_eq!(pass(&mut deltas, &[]), [0, 1]);
    }

    #[test]
    fn what_happens_in_a_tick_is_told_once() {
        let mut deltas = Deltas::new(EPOCH, 5, 100);
        (0..3).for_each(|slot| _ = deltas.add(slot, Some(5)));
        assert_eq!((deltas.is_due(), pass(&mut deltas, &[])), (false, vec![]), "nothing has happened");
        (6..9).for_each(|seq| held(&mut deltas, seq));
        // It joins in the middle of the tick.
        deltas.add(3, Some(8));
        held(&mut deltas, 9);
        assert!(deltas.is_due());
        deltas.begin_pass("r", &Budget::default());
        let text = String::from_utf8_lossy(deltas.frame().expect("a pass").bytes()).into_owned();
        assert!(text.contains(r#""from":6,"to":9,"changes":[[6,1],[7,1],[8,1],[9,1]]"#), "{text}");
        assert_eq!(pass(&mut deltas, &[]), [0, 1, 2, 3]);
        assert!(!deltas.is_due());
    }

    #[test]
    fn who_is_behind_goes_on_where_it_was_or_with_the_map() {
        let mut deltas = Deltas::new(EPOCH, 0, 2 * LAG_CHANGES_MAX);
        let (slow, fast) = (deltas.add(10, Some(0)), deltas.add(11, Some(0)));
        held(&mut deltas, 1);
        assert_eq!(pass(&mut deltas, &[10]), [11]);
        held(&mut deltas, 2);
        assert_eq!(pass(&mut deltas, &[10]), [11], "it is not even tried");
        assert_eq!(deltas.drained(fast, "r"), GoesOn::Served);
        held(&mut deltas, 3);
        let GoesOn::Delta(frame) = deltas.drained(slow, "r") else { panic!("it has missed three") };
        assert!(String::from_utf8_lossy(&frame).contains(r#""from":1,"to":3"#));
        deltas.check_invariants();
        assert_eq!(pass(&mut deltas, &[]), [11], "the other one is told the rest");
        held(&mut deltas, 4);
        assert_eq!(pass(&mut deltas, &[10]), [11]);
        (0..=LAG_CHANGES_MAX as u64).for_each(|more| held(&mut deltas, 5 + more));
        assert_eq!((deltas.drained(slow, "r"), deltas.mode(slow)), (GoesOn::Map, Mode::Waiting));
        deltas.knows(slow, deltas.history().seq());
        assert_eq!(pass(&mut deltas, &[]), [11], "the map told it");
        held(&mut deltas, 5 + LAG_CHANGES_MAX as u64 + 1);
        assert_eq!(pass(&mut deltas, &[]), [10, 11]);
    }

    #[test]
    fn who_leaves_in_the_middle_of_a_pass_costs_nobody_anything() {
        for leaving in 0..4 {
            for met in 0..=4 {
                let mut deltas = Deltas::new(EPOCH, 0, 100);
                (0..4).for_each(|slot| _ = deltas.add(slot, Some(0)));
                held(&mut deltas, 1);
                deltas.begin_pass("r", &Budget::default());
                let mut told = Vec::new();
                for _ in 0..met {
                    let (index, slot) = deltas.step().expect("there are four");
                    deltas.told(index);
                    told.push(slot);
                }
                let at = (0..4).find(|&index| deltas.slot_at(index) == leaving).expect("it is there");
                if let Some(moved) = deltas.remove(at) {
                    assert_eq!(deltas.slot_at(moved.index), moved.slot);
                }
                told.retain(|&slot| slot != leaving);
                told.extend(pass(&mut deltas, &[]));
                told.sort_unstable();
                let expected: Vec<u32> = (0..4).filter(|&slot| slot != leaving).collect();
                assert_eq!(told, expected, "{leaving} left after {met}");
            }
        }
    }

    #[test]
    fn another_life_lets_everybody_wait() {
        let mut deltas = Deltas::new(EPOCH, 0, 100);
        deltas.add(1, Some(0));
        held(&mut deltas, 1);
        assert!(!deltas.push(&change(Epoch(2), 1, 1, SeatStatus::Held, true)));
        assert_eq!((deltas.mode(0), deltas.is_due()), (Mode::Waiting, false));
        deltas.knows(0, 1);
        assert!(deltas.push(&change(Epoch(2), 2, 1, SeatStatus::Free, true)));
        assert_eq!(pass(&mut deltas, &[]), [1]);
        deltas.renew(Epoch(3), 0, 100);
        assert_eq!(deltas.waiting().collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_tick_that_is_longer_than_the_history_asks_for_the_map() {
        let mut deltas = Deltas::new(EPOCH, 0, 2);
        deltas.add(1, Some(0));
        (1..5).for_each(|seq| held(&mut deltas, seq));
        assert_eq!((pass(&mut deltas, &[]), deltas.mode(0)), (vec![], Mode::Waiting));
    }
}
