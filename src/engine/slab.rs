//! Things kept in numbered slots that are used again: a number of 4 bytes instead of a key.
//!
//! Invariants: a slot is either full or on the free list; the order of [`Slab::iter`] follows from the history alone. A
//! slot does not say which of its successive things was meant. Whoever keeps a number longer than the thing lives must
//! compare a generation. Never here: generations.

use std::ops::{Index, IndexMut};

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

/// Things by slot.
#[derive(Debug)]
pub(super) struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: Slot,
    len: usize,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), free: NONE, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, thing: T) -> Slot {
        self.len += 1;
        if self.free == NONE {
            let slot = Slot::try_from(self.entries.len()).expect("the limits keep every slab below 2^32 slots");
            self.entries.push(Entry::Full(thing));
            return slot;
        }
        let slot = self.free;
        let Entry::Free(next) = std::mem::replace(&mut self.entries[slot as usize], Entry::Full(thing)) else {
            panic!("a slot of the free list is full");
        };
        self.free = next;
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) -> T {
        let Entry::Full(thing) = std::mem::replace(&mut self.entries[slot as usize], Entry::Free(self.free)) else {
            panic!("slot {slot} is removed twice");
        };
        self.free = slot;
        self.len -= 1;
        if self.len == 0 {
            // Looking through a slab costs as many steps as it has slots: a crowd that has left must not be paid for.
            self.entries.clear();
            self.free = NONE;
        }
        thing
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&T> {
        match self.entries.get(slot as usize) {
            Some(Entry::Full(thing)) => Some(thing),
            Some(Entry::Free(_)) | None => None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.part(0, self.entries.len())
    }

    /// How many slots there are, free ones included.
    pub(super) fn slots(&self) -> usize {
        self.entries.len()
    }

    /// The things of at most `count` slots from this one on.
    pub(super) fn part(&self, from: usize, count: usize) -> impl Iterator<Item = &T> {
        self.entries.iter().skip(from).take(count).filter_map(|entry| match entry {
            Entry::Full(thing) => Some(thing),
            Entry::Free(_) => None,
        })
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
        match &mut self.entries[slot as usize] {
            Entry::Full(thing) => thing,
            Entry::Free(_) => panic!("slot {slot} is free"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Slab;

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
}
