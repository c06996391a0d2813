//! Clocks of carts that were emptied: who lets go and takes again goes on where it was.
//!
//! Invariants: at most [`CLOCKS_KEPT_MAX`] are kept, and what is over is not. Never here: carts.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use super::command::Owner;
use super::keyed::{Keyed, KeyedMap};
use super::owners::Clock;
use super::time::Millis;
use crate::limits::CLOCKS_KEPT_MAX;

/// An owner and a room, as their hash under the shard's key: two share one by accident only.
type Key = u64;

#[derive(Debug)]
pub(super) struct Clocks {
    keyed: Keyed,
    kept: KeyedMap<Key, (Clock, Millis)>,
    /// In the order in which they came, and some that were taken out or replaced.
    order: VecDeque<(Key, Millis)>,
}

impl Clocks {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { keyed, kept: KeyedMap::with_hasher(keyed), order: VecDeque::new() }
    }

    fn key(&self, owner: &Owner, room: &str) -> Key {
        self.keyed.hash_one((owner, room))
    }

    /// The cart was emptied: its clock is kept until then. At the bound the oldest one is forgotten.
    pub(super) fn keep(&mut self, owner: &Owner, room: &str, clock: Clock, until: Millis) {
        if self.order.len() == CLOCKS_KEPT_MAX {
            self.forget_first();
        }
        let key = self.key(owner, room);
        self.kept.insert(key, (clock, until));
        self.order.push_back((key, until));
    }

    fn forget_first(&mut self) {
        let Some((key, until)) = self.order.pop_front() else { return };
        if self.kept.get(&key).is_some_and(|(_, of)| *of == until) {
            self.kept.remove(&key);
        }
    }

    /// The clock with which a new cart goes on, and until when it must.
    pub(super) fn find(&self, now: Millis, owner: &Owner, room: &str) -> Option<(Clock, Millis)> {
        if self.kept.is_empty() {
            return None;
        }
        self.kept.get(&self.key(owner, room)).copied().filter(|(_, until)| *until > now)
    }

    /// The cart has it again.
    pub(super) fn forget(&mut self, owner: &Owner, room: &str) {
        if !self.kept.is_empty() {
            let key = self.key(owner, room);
            self.kept.remove(&key);
        }
    }

    /// Forgets what is over, as far as it stands in front.
    pub(super) fn forget_due(&mut self, now: Millis) {
        while self.order.front().is_some_and(|(_, until)| *until <= now) {
            self.forget_first();
        }
    }

    /// Panics when an invariant does not hold.
    pub(super) fn check_invariants(&self) {
        assert!(self.order.len() <= CLOCKS_KEPT_MAX && self.kept.len() <= self.order.len());
    }
}
