//! Addresses: what a shard is called by who writes a letter, and by who reads it.
//!
//! A [`ShardId`] in a letter is an address in the eyes of its writer: its own shards are the first ones, and it knows
//! the reader's from some number on. The reader knows the writer's from another number on. Invariant: an address of a
//! third node is nobody's. Never here: who gives addresses.

use super::Malformed;
use super::bytes::{Afar, Paper, Pen};
use crate::engine::ids::{ConnId, ShardId, ShardSet};
use crate::limits::{CONN_SLOTS_MAX, SHARDS_MAX};

/// Addresses that follow each other: those of one life of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    base: u8,
    shards: u8,
}

impl Stretch {
    /// So many shards from this address on. Both together are at most [`SHARDS_MAX`].
    #[must_use]
    pub fn new(base: usize, shards: usize) -> Self {
        assert!(shards > 0 && base + shards <= SHARDS_MAX, "addresses {base} and {shards} behind it");
        let byte = |number: usize| u8::try_from(number).expect("SHARDS_MAX fits a byte");
        Self { base: byte(base), shards: byte(shards) }
    }

    /// The stretch with these two numbers, if there can be one.
    pub(super) fn read(base: u8, shards: u8) -> Option<Self> {
        let fits = shards > 0 && usize::from(base) + usize::from(shards) <= SHARDS_MAX;
        fits.then_some(Self { base, shards })
    }

    /// Its two numbers.
    pub(super) fn bytes(self) -> [u8; 2] {
        [self.base, self.shards]
    }

    /// How many there are.
    #[must_use]
    pub fn shards(self) -> usize {
        usize::from(self.shards)
    }

    /// Which of them this address is, from 0.
    #[must_use]
    pub fn find(self, address: ShardId) -> Option<usize> {
        self.find_number(address.index())
    }

    /// The same for the number of an address.
    pub(super) fn find_number(self, address: usize) -> Option<usize> {
        address.checked_sub(usize::from(self.base)).filter(|&at| at < self.shards())
    }

    /// All of them.
    pub(super) fn addresses(self) -> ShardSet {
        let mut all = ShardSet::EMPTY;
        (0..self.shards()).for_each(|index| all.insert(self.at(index)));
        all
    }

    /// The address of one of them.
    fn at(self, index: usize) -> ShardId {
        ShardId::new(usize::from(self.base) + index)
    }
}

/// Between whom a letter travels, for its reader.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    /// The reader in the writer's eyes.
    pub(super) reader: Stretch,
    /// The writer in the reader's eyes.
    pub(super) writer: Stretch,
}

impl Route {
    /// What the reader calls this address of the writer's.
    fn address(self, address: usize) -> Option<ShardId> {
        if address < self.writer.shards() {
            return Some(self.writer.at(address));
        }
        self.reader.find_number(address).map(ShardId::new)
    }
}

/// A connection, or nobody, when it is a third node's.
pub(super) fn take_conn(from: &mut Paper<'_>) -> Result<Option<ConnId>, Malformed> {
    let (address, place) = (u8::take(from)?, u64::take(from)?);
    let slot = u32::try_from(place >> 32).expect("half of it");
    let generation = u32::try_from(place & u64::from(u32::MAX)).expect("half of it");
    if slot as usize >= CONN_SLOTS_MAX || usize::from(address) >= SHARDS_MAX {
        return Err(Malformed::Address);
    }
    Ok(from.route.address(usize::from(address)).map(|shard| ConnId::new(shard, slot, generation)))
}

impl Afar for ConnId {
    fn put(&self, pen: &mut Pen<'_>) {
        u8::try_from(self.shard().index()).expect("SHARDS_MAX fits a byte").put(pen);
        (u64::from(self.slot()) << 32 | u64::from(self.generation())).put(pen);
    }
    fn take(from: &mut Paper<'_>) -> Result<Self, Malformed> {
        take_conn(from)?.ok_or(Malformed::Address)
    }
}

impl Afar for ShardId {
    fn put(&self, pen: &mut Pen<'_>) {
        u8::try_from(self.index()).expect("SHARDS_MAX fits a byte").put(pen);
    }
    fn take(from: &mut Paper<'_>) -> Result<Self, Malformed> {
        let address = u8::take(from)?;
        from.route.address(usize::from(address)).ok_or(Malformed::Address)
    }
}
