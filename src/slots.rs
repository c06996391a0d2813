//! A table of entries by slot and generation, grown by chunks that never move.
//!
//! The sockets of a shard and its sessions are two such tables with the same slots. Invariants: an entry is named by
//! slot and generation; a slot is used again only with another generation, so that a stale name finds nobody. Never
//! here: what an entry is.

use crate::limits::{CONN_SLOTS_MAX, SLOTS_CHUNK_BYTES};

/// What is in such a table: it knows its own generation, which fits where a place beside it would cost eight bytes.
pub(crate) trait Entry {
    /// Its generation.
    fn generation(&self) -> u32;
    /// It gets this generation.
    fn set_generation(&mut self, generation: u32);
}

/// One place of the table.
#[derive(Debug)]
pub(crate) enum Place<T> {
    /// An entry.
    Full(T),
    /// Nobody; the next entry here gets this generation.
    Free(u32),
}

/// The table.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    /// All chunks but the last are full of places.
    chunks: Vec<Vec<Place<T>>>,
    free: Vec<u32>,
    used: usize,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), used: 0 }
    }
}

impl<T: Entry> Slots<T> {
    const PLACES_PER_CHUNK: usize = SLOTS_CHUNK_BYTES / size_of::<Place<T>>();

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    fn place(&self, slot: u32) -> Option<&Place<T>> {
        let slot = slot as usize;
        self.chunks.get(slot / Self::PLACES_PER_CHUNK)?.get(slot % Self::PLACES_PER_CHUNK)
    }

    fn place_mut(&mut self, slot: u32) -> Option<&mut Place<T>> {
        let slot = slot as usize;
        self.chunks.get_mut(slot / Self::PLACES_PER_CHUNK)?.get_mut(slot % Self::PLACES_PER_CHUNK)
    }

    /// Takes the entry in and returns its slot, or nothing when [`CONN_SLOTS_MAX`] are in use.
    pub(crate) fn insert(&mut self, mut entry: T) -> Option<u32> {
        let slot = self.free.pop().or_else(|| self.grow())?;
        entry.set_generation(self.generation(slot));
        *self.place_mut(slot).expect("the slot exists") = Place::Full(entry);
        self.used += 1;
        Some(slot)
    }

    /// Takes the entry in at the slot and with the generation that another table has given it.
    pub(crate) fn insert_at(&mut self, slot: u32, generation: u32, mut entry: T) {
        entry.set_generation(generation);
        while self.place(slot).is_none() {
            self.grow().expect("the other table has the slot");
        }
        let place = self.place_mut(slot).expect("the table has grown");
        assert!(matches!(place, Place::Free(_)), "slot {slot} is taken twice");
        *place = Place::Full(entry);
        self.used += 1;
    }

    fn grow(&mut self) -> Option<u32> {
        if self.chunks.last().is_none_or(|chunk| chunk.len() == Self::PLACES_PER_CHUNK) {
            self.chunks.push(Vec::with_capacity(Self::PLACES_PER_CHUNK));
        }
        let full_chunks = self.chunks.len() - 1;
        let last = &mut self.chunks[full_chunks];
        let slot = full_chunks * Self::PLACES_PER_CHUNK + last.len();
        if slot >= CONN_SLOTS_MAX {
            return None;
        }
        last.push(Place::Free(0));
        Some(u32::try_from(slot).expect("CONN_SLOTS_MAX fits"))
    }

    /// Takes the entry out, to be used again by [`Slots::insert`]; whoever still names it finds nobody.
    pub(crate) fn remove(&mut self, slot: u32) -> T {
        let entry = self.vacate(slot);
        self.free.push(slot);
        entry
    }

    /// Takes the entry out of a table whose slots another table gives.
    pub(crate) fn vacate(&mut self, slot: u32) -> T {
        let next = Place::Free(self.generation(slot).wrapping_add(1));
        let place = self.place_mut(slot).expect("the slot is in use");
        let Place::Full(entry) = std::mem::replace(place, next) else { panic!("slot {slot} is not in use") };
        self.used -= 1;
        entry
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        match self.place(slot)? {
            Place::Full(entry) => Some(entry),
            Place::Free(_) => None,
        }
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        match self.place_mut(slot)? {
            Place::Full(entry) => Some(entry),
            Place::Free(_) => None,
        }
    }

    /// The entry with this slot and generation, unless it has ended.
    pub(crate) fn live(&mut self, slot: u32, generation: u32) -> Option<&mut T> {
        match self.place_mut(slot)? {
            Place::Full(entry) if entry.generation() == generation => Some(entry),
            Place::Full(_) | Place::Free(_) => None,
        }
    }

    /// The generation of the slot's entry, or of its next one.
    pub(crate) fn generation(&self, slot: u32) -> u32 {
        match self.place(slot).expect("the slot exists") {
            Place::Full(entry) => entry.generation(),
            Place::Free(generation) => *generation,
        }
    }

    /// The entries and their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.chunks.iter().flatten().enumerate().filter_map(|(slot, place)| match place {
            Place::Full(entry) => Some((u32::try_from(slot).expect("CONN_SLOTS_MAX fits"), entry)),
            Place::Free(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Slots};

    #[derive(PartialEq, Eq, Debug)]
    struct Numbered(u32, u32);

    impl Entry for Numbered {
        fn generation(&self) -> u32 {
            self.1
        }

        fn set_generation(&mut self, generation: u32) {
            self.1 = generation;
        }
    }

    #[test]
    fn a_stale_name_finds_nobody_however_often_the_slot_is_reused() {
        let mut slots = Slots::default();
        for round in 0..1_000_u32 {
            let slot = slots.insert(Numbered(round, 0)).expect("a slot");
            assert_eq!((slot, slots.generation(slot)), (0, round), "the slot is reused");
            assert_eq!(slots.live(slot, round).map(|entry| entry.0), Some(round));
            assert!(round == 0 || slots.live(slot, round - 1).is_none());
            assert_eq!(slots.remove(slot), Numbered(round, round));
            assert_eq!(slots.live(slot, round), None, "a name ends with its entry");
        }
        assert_eq!(slots.len(), 0);
    }

    #[test]
    fn a_second_table_follows_the_first() {
        let (mut first, mut second) = (Slots::default(), Slots::default());
        let kept: Vec<u32> = (0..5_000).map(|number| first.insert(Numbered(number, 0)).expect("a slot")).collect();
        for &slot in kept.iter().rev() {
            second.insert_at(slot, first.generation(slot), Numbered(slot, 0));
        }
        first.remove(7);
        second.vacate(7);
        let again = first.insert(Numbered(9_999, 0)).expect("a slot");
        second.insert_at(again, first.generation(again), Numbered(again, 0));
        assert_eq!((again, second.generation(7), second.len()), (7, 1, 5_000));
        assert!(first.iter().zip(second.iter()).all(|((a, _), (b, _))| a == b));
    }
}
