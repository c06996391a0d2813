//! Holds from before a restart whose clients have not come back yet.
//!
//! Invariant: what is in here is held by nobody who is present; nothing is in here for longer than the grace.
//! Never here: rooms and seats themselves.

use super::deadlines::HoldNumber;
use super::ids::ClientId;
use super::keyed::{Keyed, KeyedMap};
use super::slab::Slot;
use super::time::Millis;

/// One such hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Waiting {
    pub(super) hold: HoldNumber,
    pub(super) room: Slot,
    pub(super) seat: Slot,
}

#[derive(Debug)]
pub(super) struct Absentees {
    by_client: KeyedMap<ClientId, Vec<Waiting>>,
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
        self.by_client.entry(client).or_default().push(waiting);
        self.len += 1;
        self.until = self.until.max(until);
    }

    /// Takes the client's holds of one room out: it has come back.
    pub(super) fn adopt(&mut self, client: &ClientId, room: Slot) -> Vec<Waiting> {
        self.take(client, |waiting| waiting.room == room)
    }

    /// Takes out a hold that has ended.
    pub(super) fn forget(&mut self, client: &ClientId, hold: HoldNumber) {
        assert_eq!(self.take(client, |waiting| waiting.hold == hold).len(), 1, "an absent client's hold is known");
    }

    fn take(&mut self, client: &ClientId, is_taken: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        let Some(all) = self.by_client.get_mut(client) else { return Vec::new() };
        let (taken, rest): (Vec<_>, Vec<_>) = all.iter().partition(|waiting| is_taken(waiting));
        self.len -= taken.len();
        if rest.is_empty() {
            self.by_client.remove(client);
        } else {
            *all = rest;
        }
        taken
    }

    /// Takes everything out, in the order in which it was given back.
    pub(super) fn give_up(&mut self) -> Vec<Waiting> {
        let mut all: Vec<Waiting> = self.by_client.drain().flat_map(|(_, waiting)| waiting).collect();
        all.sort_unstable();
        self.len = 0;
        all
    }
}
