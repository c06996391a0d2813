//! Holds from before a restart whose clients have not come back yet.
//!
//! Invariants: what is in here is held by nobody who is present; nothing is in here for longer than the grace; a client's
//! holds stand in the order of their numbers, which is that in which they end, so that each end finds its hold in front.
//! Never here: rooms and seats themselves.

use std::collections::VecDeque;

use super::deadlines::HoldNumber;
use super::ids::{ClientId, Origin};
use super::keyed::{Keyed, KeyedMap};
use super::slab::Slot;
use super::time::Millis;

/// One such hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Waiting {
    pub(super) hold: HoldNumber,
    pub(super) room: Slot,
    pub(super) seat: Slot,
    /// Where its client came from.
    pub(super) origin: Origin,
}

#[derive(Debug)]
pub(super) struct Absentees {
    by_client: KeyedMap<ClientId, VecDeque<Waiting>>,
    len: usize,
    until: Millis,
}

impl Absentees {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { by_client: KeyedMap::with_hasher(keyed), len: 0, until: Millis::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// When those that are still absent lose their holds; nothing while there are none.
    pub(super) fn until(&self) -> Option<Millis> {
        (self.len > 0).then_some(self.until)
    }

    pub(super) fn add(&mut self, client: ClientId, waiting: Waiting, until: Millis) {
        let all = self.by_client.entry(client).or_default();
        assert!(
            all.back().is_none_or(|last| last.hold < waiting.hold),
            "holds are given back in the order of their numbers"
        );
        all.push_back(waiting);
        self.len += 1;
        self.until = self.until.max(until);
    }

    /// Takes the client's holds of one room out, as far as they are `its`: it has come back.
    pub(super) fn adopt(&mut self, client: &ClientId, room: Slot, its: impl Fn(Origin) -> bool) -> Vec<Waiting> {
        let Some(all) = self.by_client.get_mut(client) else { return Vec::new() };
        let is_taken = |waiting: &Waiting| waiting.room == room && its(waiting.origin);
        let taken: Vec<Waiting> = all.iter().filter(|waiting| is_taken(waiting)).copied().collect();
        all.retain(|waiting| !is_taken(waiting));
        self.taken(client, taken.len());
        taken
    }

    /// Takes out a hold that has ended.
    pub(super) fn forget(&mut self, client: &ClientId, hold: HoldNumber) {
        let all = self.by_client.get_mut(client).expect("an absent client's holds are known");
        let at = all.binary_search_by_key(&hold, |waiting| waiting.hold).expect("an absent client's hold is known");
        all.remove(at);
        self.taken(client, 1);
    }

    fn taken(&mut self, client: &ClientId, count: usize) {
        self.len -= count;
        if self.by_client.get(client).is_some_and(VecDeque::is_empty) {
            self.by_client.remove(client);
        }
    }

    /// Takes everything out, in the order in which it was given back.
    pub(super) fn give_up(&mut self) -> Vec<Waiting> {
        let mut all: Vec<Waiting> = self.by_client.drain().flat_map(|(_, waiting)| waiting).collect();
        all.sort_unstable();
        self.len = 0;
        all
    }
}
