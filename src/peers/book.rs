//! The addresses of other nodes' shards: which [`ShardId`] means which shard of which life.
//!
//! Invariants: addresses below the own shards are the own ones; those of a life are contiguous, and mean it for as long
//! as anybody on this node can remember them: until it has ended, every own shard has said so, and [`ADDRESS_KEPT_MS`]
//! are over; a life that is over gets no others unless it proves to live ([`Book::revive`]). Never here: who owns what.

use crate::cluster::names::Life;
use crate::engine::ids::{ShardId, ShardSet};
use crate::engine::time::Millis;
use crate::limits::SHARDS_MAX;
use crate::limits::cluster::ADDRESS_KEPT_MS;

/// Who is behind which address.
#[derive(Debug)]
pub(super) struct Book {
    own: Life,
    own_shards: usize,
    entries: Vec<Entry>,
    /// Whether it was said that there are more shards than addresses.
    is_overfull: bool,
}

#[derive(Debug)]
struct Entry {
    life: Life,
    base: usize,
    shards: usize,
    end: Option<End>,
}

/// A life that is over.
#[derive(Debug)]
struct End {
    since: Millis,
    /// Own shards that have not answered.
    waiting: ShardSet,
}

impl Entry {
    fn addresses(&self) -> ShardSet {
        let mut all = ShardSet::EMPTY;
        (self.base..self.base + self.shards).for_each(|at| all.insert(ShardId::new(at)));
        all
    }
}

impl Book {
    /// Of a node with so many shards.
    #[must_use]
    pub(super) fn new(own: Life, own_shards: usize) -> Self {
        assert!(own_shards > 0 && own_shards <= SHARDS_MAX);
        Self { own, own_shards, entries: Vec::new(), is_overfull: false }
    }

    /// The shards of this node.
    #[must_use]
    pub(super) fn own_shards(&self) -> usize {
        self.own_shards
    }

    /// Whether an address is one of the own shards.
    #[must_use]
    pub(super) fn is_own(&self, address: ShardId) -> bool {
        address.index() < self.own_shards
    }

    /// The life was heard of: it has addresses from now on, as long as there are some. Says whether it has.
    pub(super) fn meet(&mut self, life: &Life, shards: usize) -> bool {
        if *life == self.own {
            return true;
        }
        let same = || self.entries.iter().filter(|entry| entry.life == *life);
        if same().next().is_some() {
            return same().any(|entry| entry.end.is_none());
        }
        self.add(life, shards)
    }

    /// A life that was taken for over lives after all: it is a stranger from now on. Says whether it has addresses.
    pub(super) fn revive(&mut self, life: &Life, shards: usize) -> bool {
        self.add(life, shards)
    }

    fn add(&mut self, life: &Life, shards: usize) -> bool {
        let is_newer = |entry: &Entry| entry.life.node == life.node && entry.life.incarnation > life.incarnation;
        if self.entries.iter().any(is_newer) || life.node == self.own.node {
            return false;
        }
        let is_free = |base: usize| {
            let taken = |entry: &Entry| base < entry.base + entry.shards && entry.base < base + shards;
            !self.entries.iter().any(taken)
        };
        let last = SHARDS_MAX.saturating_sub(shards);
        let Some(base) = (self.own_shards..=last).find(|&base| shards > 0 && is_free(base)) else {
            if !std::mem::replace(&mut self.is_overfull, true) {
                let node = life.node.as_str();
                tracing::warn!(node, "there are more shards in the cluster than {SHARDS_MAX}: it is not listened to");
            }
            return false;
        };
        self.entries.push(Entry { life: life.clone(), base, shards, end: None });
        true
    }

    /// The address of a shard of a life, unless that is over.
    #[must_use]
    pub(super) fn address(&self, life: &Life, shard: usize) -> Option<ShardId> {
        if *life == self.own {
            return (shard < self.own_shards).then(|| ShardId::new(shard));
        }
        let entry = self.entries.iter().find(|entry| entry.life == *life && entry.end.is_none())?;
        (shard < entry.shards).then(|| ShardId::new(entry.base + shard))
    }

    /// The first address and the shards of a life of another node, unless it is over.
    #[must_use]
    pub(super) fn stretch(&self, life: &Life) -> Option<(usize, usize)> {
        let entry = self.entries.iter().find(|entry| entry.life == *life && entry.end.is_none())?;
        Some((entry.base, entry.shards))
    }

    /// All addresses of a life that is not over, but for this one.
    #[must_use]
    pub(super) fn addresses(&self, life: &Life) -> ShardSet {
        let entry = self.entries.iter().find(|entry| entry.life == *life && entry.end.is_none());
        entry.map_or(ShardSet::EMPTY, Entry::addresses)
    }

    /// Which shard of which life an address means, unless that life is over.
    #[must_use]
    pub(super) fn at(&self, address: ShardId) -> Option<(&Life, usize)> {
        if self.is_own(address) {
            return Some((&self.own, address.index()));
        }
        let is_there = |entry: &&Entry| entry.addresses().contains(address) && entry.end.is_none();
        let entry = self.entries.iter().find(is_there)?;
        Some((&entry.life, address.index() - entry.base))
    }

    /// The shards of a life that is not over.
    #[must_use]
    pub(super) fn shards(&self, life: &Life) -> Option<usize> {
        if *life == self.own {
            return Some(self.own_shards);
        }
        self.entries.iter().find(|entry| entry.life == *life && entry.end.is_none()).map(|entry| entry.shards)
    }

    /// The lives of other nodes that are not over.
    pub(super) fn lives(&self) -> impl Iterator<Item = &Life> {
        self.entries.iter().filter(|entry| entry.end.is_none()).map(|entry| &entry.life)
    }

    /// The life is over. Its addresses, of which each own shard is to be told.
    pub(super) fn end(&mut self, now: Millis, life: &Life) -> Option<ShardSet> {
        let entry = self.entries.iter_mut().find(|entry| entry.life == *life && entry.end.is_none())?;
        let mut waiting = ShardSet::EMPTY;
        (0..self.own_shards).for_each(|shard| waiting.insert(ShardId::new(shard)));
        entry.end = Some(End { since: now, waiting });
        Some(entry.addresses())
    }

    /// An own shard has forgotten what was behind these addresses.
    pub(super) fn purged(&mut self, shard: ShardId, of: ShardSet) {
        for entry in self.entries.iter_mut().filter(|entry| entry.addresses() == of) {
            entry.end.iter_mut().for_each(|end| end.waiting.remove(shard));
        }
    }

    /// Frees the addresses that nobody remembers any more.
    pub(super) fn free(&mut self, now: Millis) {
        let is_over = |end: &End| end.waiting.is_empty() && now.since(end.since) >= ADDRESS_KEPT_MS;
        let before = self.entries.len();
        self.entries.retain(|entry| !entry.end.as_ref().is_some_and(is_over));
        self.is_overfull &= self.entries.len() == before;
    }
}

#[cfg(test)]
mod tests {
    use super::Book;
    use crate::cluster::names::{Life, NodeName};
    use crate::engine::ids::ShardId;
    use crate::engine::time::Millis;
    use crate::limits::SHARDS_MAX;
    use crate::limits::cluster::ADDRESS_KEPT_MS;

    fn life(node: &str, incarnation: u64) -> Life {
        Life { node: NodeName::new(node).expect("a name"), incarnation }
    }

    fn shard(number: usize) -> ShardId {
        ShardId::new(number)
    }

    #[test]
    fn a_life_has_its_addresses_until_nobody_remembers_it() {
        let mut book = Book::new(life("own", 1), 2);
        let (a, b) = (life("a", 5), life("b", 1));
        assert!(book.meet(&a, 4) && book.meet(&b, 2) && book.meet(&a, 4));
        assert_eq!((book.address(&a, 3), book.address(&b, 0)), (Some(shard(5)), Some(shard(6))));
        assert_eq!((book.at(shard(7)), book.at(shard(1))), (Some((&b, 1)), Some((&life("own", 1), 1))));
        assert_eq!((book.address(&a, 4), book.at(shard(8))), (None, None));
        let of_a = book.end(Millis(10), &a).expect("it was there");
        assert_eq!(of_a, book.entries[0].addresses());
        assert_eq!((book.end(Millis(11), &a), book.at(shard(2)), book.address(&a, 0)), (None, None, None));
        assert!(!book.meet(&a, 4), "a letter of it that comes late");
        book.purged(shard(0), of_a);
        book.free(Millis(10 + ADDRESS_KEPT_MS));
        assert!(book.meet(&life("a", 6), 4));
        assert_eq!(book.address(&life("a", 6), 0), Some(shard(8)), "a shard still remembers it");
        book.purged(shard(1), of_a);
        book.free(Millis(9 + ADDRESS_KEPT_MS));
        assert!(book.meet(&life("c", 1), 4) && book.address(&life("c", 1), 0) == Some(shard(12)));
        book.free(Millis(10 + ADDRESS_KEPT_MS));
        assert!(book.meet(&life("d", 1), 4) && book.address(&life("d", 1), 0) == Some(shard(2)));
        assert!(!book.meet(&a, 4), "an earlier life");
    }

    #[test]
    fn who_lives_after_all_is_a_stranger() {
        let mut book = Book::new(life("own", 1), 1);
        let a = life("a", 5);
        assert!(book.meet(&a, 1));
        book.end(Millis(0), &a).expect("it was there");
        assert!(book.revive(&a, 1));
        assert_eq!(book.address(&a, 0), Some(shard(2)));
    }

    #[test]
    fn more_shards_than_addresses_are_not_listened_to() {
        let mut book = Book::new(life("own", 1), 32);
        assert!(book.meet(&life("a", 1), 31) && !book.meet(&life("b", 1), 2) && book.meet(&life("c", 1), 1));
        assert!(!book.meet(&life("d", 1), SHARDS_MAX));
        assert!(!book.meet(&life("own", 2), 1), "another server with our name");
    }
}
