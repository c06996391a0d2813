//! Full states on their way: each travels once, before the first answer of a turn that is told with it.
//!
//! Invariants: who writes and who reads know the same last [`STATES_SHARED_MAX`] of a turn, by number; numbers are
//! never used again. Never here: what is in a state.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::audience::budget::{Budget, Kind};
use crate::audience::shared::Shared;
use crate::limits::cluster::{LETTER_BYTES_MAX, STATES_SHARED_MAX};

/// What one reader has been written in this turn.
#[derive(Debug, Default)]
pub(super) struct Written {
    last: u64,
    states: VecDeque<(u64, Arc<Shared>)>,
    /// How many of them, the last ones, have not been written.
    fresh: usize,
}

impl Written {
    /// The number of a state, which is going to be written if it was not. `None`: it is longer than a letter may be.
    pub(super) fn number(&mut self, state: &Arc<Shared>) -> Option<u64> {
        if let Some((number, _)) = self.states.iter().find(|(_, same)| Arc::ptr_eq(same, state)) {
            return Some(*number);
        }
        if state.bytes().len() > LETTER_BYTES_MAX / 2 {
            return None;
        }
        self.last += 1;
        if self.states.len() == STATES_SHARED_MAX {
            self.states.pop_front();
        }
        self.states.push_back((self.last, Arc::clone(state)));
        self.fresh += 1;
        Some(self.last)
    }

    /// Those that are to be written now.
    pub(super) fn fresh(&mut self) -> impl Iterator<Item = (u64, Arc<Shared>)> {
        let fresh = std::mem::take(&mut self.fresh);
        let known = self.states.len().saturating_sub(fresh);
        self.states.iter().skip(known).cloned().collect::<Vec<_>>().into_iter()
    }

    /// The turn is over. Says whether there was one.
    pub(super) fn clear(&mut self) -> bool {
        let had_some = !self.states.is_empty();
        self.states.clear();
        had_some
    }
}

/// What was read in this turn.
#[derive(Debug)]
pub(super) struct States {
    budget: Budget,
    states: VecDeque<(u64, Arc<Shared>)>,
}

impl States {
    /// None yet; they count in this budget.
    pub(super) fn new(budget: &Budget) -> Self {
        Self { budget: budget.clone(), states: VecDeque::new() }
    }

    /// A state has come.
    pub(super) fn put(&mut self, number: u64, bytes: &[u8]) {
        if self.states.len() == STATES_SHARED_MAX {
            self.states.pop_front();
        }
        self.states.push_back((number, Shared::new(bytes.to_vec(), Kind::FullStates, &self.budget)));
    }

    /// The state with this number, unless it was lost on its way.
    pub(super) fn find(&self, number: u64) -> Option<Arc<Shared>> {
        self.states.iter().rfind(|(own, _)| *own == number).map(|(_, state)| Arc::clone(state))
    }

    /// The turn is over.
    pub(super) fn clear(&mut self) {
        self.states.clear();
    }
}
