//! How many seats are held from one address.
//!
//! Invariants: an address without a seat has no entry; nothing is counted while there is no limit. Never here: seats.

use std::collections::hash_map::Entry;

use super::ids::Origin;
use super::keyed::{Keyed, KeyedMap};

#[derive(Debug)]
pub(super) struct Shares {
    /// Seats that one place may hold; 0 is no limit.
    seats_max: u32,
    /// By the hash of the address.
    held: KeyedMap<u64, u32>,
}

impl Shares {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { seats_max: 0, held: KeyedMap::with_hasher(keyed) }
    }

    /// Sets the limit, before anything is held.
    pub(super) fn limit(&mut self, seats_max: u32) {
        assert!(self.held.is_empty(), "what is held already is not counted");
        self.seats_max = seats_max;
    }

    fn counts(&self, origin: Origin) -> bool {
        self.seats_max > 0 && origin.address != 0
    }

    /// Whether one more seat may be held from there.
    pub(super) fn has_room(&self, origin: Origin) -> bool {
        !self.counts(origin) || self.held.get(&origin.address).is_none_or(|&held| held < self.seats_max)
    }

    /// Whether so many seats more may be held from there, when so many others are given back.
    pub(super) fn has_room_for(&self, origin: Origin, more: usize, less: usize) -> bool {
        let held = || self.held.get(&origin.address).map_or(0, |&held| held as usize);
        !self.counts(origin) || held() + more <= self.seats_max as usize + less
    }

    /// A seat is held from there. One that is given back after a restart counts, too, and may be above the limit.
    pub(super) fn add(&mut self, origin: Origin) {
        if self.counts(origin) {
            let held = self.held.entry(origin.address).or_default();
            *held = held.checked_add(1).expect("SHARD_HOLDS_MAX fits");
        }
    }

    /// A seat that was held from there is not any more.
    pub(super) fn remove(&mut self, origin: Origin) {
        if !self.counts(origin) {
            return;
        }
        let Entry::Occupied(mut held) = self.held.entry(origin.address) else { panic!("a seat was held from there") };
        *held.get_mut() -= 1;
        if *held.get() == 0 {
            held.remove();
        }
    }

    /// All that is counted, for the check of a shard.
    pub(super) fn total(&self) -> usize {
        self.held.values().map(|&held| held as usize).sum()
    }
}
