//! Things kept in numbered slots that are used again: a number of 4 bytes instead of a key.
//!
//! Invariants: a slot is either full or on the free list; the order of [`Slab::iter`] follows from the history alone. A
//! slot does not say which of its successive things was meant. Whoever keeps a number longer than the thing lives must
//! compare a generation. Never here: generations.

use std::ops::{Index, IndexMut};

use crate::limits::SLAB_CHUNK_SLOTS;

/// The number of a slot.
pub(super) type Slot = u32;

/// No slot: the end of the free list.
const NONE: Slot = Slot::MAX;

#[derive(Debug)]
enum Entry<T> {
    Full(T),
    /// The next slot of the free list.
    Free(Slot),
}

/// Things by slot. They stand in chunks that never move, beyond the first: a table that doubles leaves as much again to
/// the allocator, and stops a sale while it is copied.
#[derive(Debug)]
pub(super) struct Slab<T> {
    /// The first slots: it grows with what is in it, so that a small slab stays small. Nearly all are found here.
    first: Vec<Entry<T>>,
    /// All further ones, in chunks of which all but the last are full.
    chunks: Vec<Vec<Entry<T>>>,
    free: Slot,
    len: usize,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Self { first: Vec::new(), chunks: Vec::new(), free: NONE, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, thing: T) -> Slot {
        self.len += 1;
        if self.free == NONE {
            let slot = Slot::try_from(self.slots()).expect("the limits keep every slab below 2^32 slots");
            self.grow(Entry::Full(thing));
            return slot;
        }
        let slot = self.free;
        let Entry::Free(next) = std::mem::replace(self.entry_mut(slot), Entry::Full(thing)) else {
            panic!("a slot of the free list is full");
        };
        self.free = next;
        slot
    }

    fn grow(&mut self, entry: Entry<T>) {
        if self.first.len() < SLAB_CHUNK_SLOTS {
            return self.first.push(entry);
        }
        if self.chunks.last().is_none_or(|last| last.len() == SLAB_CHUNK_SLOTS) {
            self.chunks.push(Vec::with_capacity(SLAB_CHUNK_SLOTS));
        }
        self.chunks.last_mut().expect("there is one").push(entry);
    }

    fn entry(&self, slot: Slot) -> Option<&Entry<T>> {
        let at = slot as usize;
        match self.first.get(at) {
            Some(entry) => Some(entry),
            None => self.chunks.get((at / SLAB_CHUNK_SLOTS).checked_sub(1)?)?.get(at % SLAB_CHUNK_SLOTS),
        }
    }

    fn entry_mut(&mut self, slot: Slot) -> &mut Entry<T> {
        let at = slot as usize;
        if at < self.first.len() { &mut self.first[at] } else { self.far_entry_mut(at) }
    }

    #[inline(never)]
    fn far_entry_mut(&mut self, at: usize) -> &mut Entry<T> {
        assert!(at >= SLAB_CHUNK_SLOTS, "slot {at} was never used");
        &mut self.chunks[at / SLAB_CHUNK_SLOTS - 1][at % SLAB_CHUNK_SLOTS]
    }

    pub(super) fn remove(&mut self, slot: Slot) -> T {
        let free = self.free;
        let Entry::Full(thing) = std::mem::replace(self.entry_mut(slot), Entry::Free(free)) else {
            panic!("slot {slot} is removed twice");
        };
        self.free = slot;
        self.len -= 1;
        if self.len == 0 {
            // Looking through a slab costs as many steps as it has slots: a crowd that has left must not be paid for.
            self.first.clear();
            self.chunks = Vec::new();
            self.free = NONE;
        }
        thing
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&T> {
        match self.entry(slot) {
            Some(Entry::Full(thing)) => Some(thing),
            Some(Entry::Free(_)) | None => None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(self.chunks.iter().flatten()).filter_map(|entry| match entry {
            Entry::Full(thing) => Some(thing),
            Entry::Free(_) => None,
        })
    }

    /// How many slots there are, free ones included.
    pub(super) fn slots(&self) -> usize {
        self.first.len() + self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * SLAB_CHUNK_SLOTS + last.len())
    }

    /// The things of at most `count` slots from this one on.
    pub(super) fn part(&self, from: usize, count: usize) -> impl Iterator<Item = &T> {
        let slots = from..from.saturating_add(count).min(self.slots());
        slots.filter_map(|slot| self.get(Slot::try_from(slot).expect("there are no more slots")))
    }
}

impl<T> Index<Slot> for Slab<T> {
    type Output = T;

    fn index(&self, slot: Slot) -> &T {
        self.get(slot).expect("the slot is full")
    }
}

impl<T> IndexMut<Slot> for Slab<T> {
    fn index_mut(&mut self, slot: Slot) -> &mut T {
        match self.entry_mut(slot) {
            Entry::Full(thing) => thing,
            Entry::Free(_) => panic!("slot {slot} is free"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Slab;
    use crate::limits::SLAB_CHUNK_SLOTS;

    #[test]
    fn slots_are_used_again_and_an_emptied_slab_starts_anew() {
        let mut slab = Slab::new();
        let (a, b, c) = (slab.insert('a'), slab.insert('b'), slab.insert('c'));
        assert_eq!((a, b, c), (0, 1, 2));
        assert_eq!(slab.remove(b), 'b');
        assert_eq!(slab.get(b), None);
        assert_eq!(slab.insert('d'), b);
        assert_eq!(slab.iter().collect::<String>(), "adc");
        assert_eq!((slab.slots(), slab.part(1, 1).collect::<String>().as_str()), (3, "d"));
        assert_eq!(slab.part(2, 9).chain(slab.part(3, 1)).collect::<String>(), "c");
        for slot in [a, c, b] {
            slab.remove(slot);
        }
        assert_eq!((slab.len(), slab.get(9)), (0, None));
        assert_eq!(slab.insert('e'), 0);
    }

    #[test]
    fn a_crowd_takes_chunks_and_gives_them_back() {
        let mut slab = Slab::new();
        let count = 3 * SLAB_CHUNK_SLOTS + 1;
        let slots: Vec<_> = (0..count).map(|number| slab.insert(number)).collect();
        assert_eq!((slab.len(), slab.slots(), slab.chunks.len()), (count, count, 3));
        assert!(slots.iter().enumerate().all(|(number, &slot)| slab[slot] == number && slot as usize == number));
        assert!(
            slab.part(SLAB_CHUNK_SLOTS - 1, 2).eq(&[SLAB_CHUNK_SLOTS - 1, SLAB_CHUNK_SLOTS])
                && slab.part(count - 1, 9).eq(&[count - 1])
        );
        assert_eq!(slab.part(count, 9).count(), 0);
        slots.iter().for_each(|&slot| _ = slab.remove(slot));
        assert_eq!((slab.len(), slab.slots(), slab.chunks.len()), (0, 0, 0));
    }
}
