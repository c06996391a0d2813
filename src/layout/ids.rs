//! The ids of a layout's seats, in both directions, in few bytes a seat.
//!
//! Invariants: no two seats have one id; a seat's number is its place in the list. Never here: what is a good id.
//!
//! The hash has no secret: who writes a layout could make its ids collide, and would slow down only his own hall.

use xxhash_rust::xxh3::xxh3_64;

/// No seat has this number.
const NOBODY: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Ids {
    /// All ids, one after the other.
    text: Box<str>,
    /// Where each ends.
    ends: Box<[u32]>,
    /// A table with open addressing and linear probing, a quarter of it free at least.
    slots: Box<[u32]>,
}

impl Ids {
    /// The table of these ids, which are fewer than `u32::MAX` bytes.
    ///
    /// # Errors
    /// Two are the same: their numbers.
    pub(super) fn new<'a>(ids: impl ExactSizeIterator<Item = &'a str> + Clone) -> Result<Self, (usize, usize)> {
        let count = ids.len();
        let text: String = ids.clone().collect();
        let mut end = 0;
        let ends = ids.map(|id| {
            end += id.len();
            u32::try_from(end).expect("all ids together are bounded")
        });
        let ends = ends.collect();
        let slots = vec![NOBODY; (count + count / 3 + 1).next_power_of_two()].into_boxed_slice();
        let mut table = Self { text: text.into_boxed_str(), ends, slots };
        for index in 0..count {
            let (slot, found) = table.look(table.id(index));
            if let Some(first) = found {
                return Err((first as usize, index));
            }
            table.slots[slot] = u32::try_from(index).expect("the number of seats is bounded");
        }
        Ok(table)
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The id of a seat.
    pub(super) fn id(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start as usize..self.ends[index] as usize]
    }

    /// The seat with this id.
    pub(super) fn find(&self, id: &str) -> Option<u32> {
        self.look(id).1
    }

    /// The seat with this id, or the place for it.
    fn look(&self, id: &str) -> (usize, Option<u32>) {
        let mask = self.slots.len() - 1;
        let hash = xxh3_64(id.as_bytes());
        let mut slot = usize::try_from(hash & mask as u64).expect("below the length of the table");
        loop {
            match self.slots[slot] {
                NOBODY => return (slot, None),
                index if self.id(index as usize) == id => return (slot, Some(index)),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.text.len() + size_of_val(&*self.ends) + size_of_val(&*self.slots)
    }
}

#[cfg(test)]
mod tests {
    use super::Ids;

    #[test]
    fn every_id_is_found_and_no_other() {
        for count in [0_u32, 1, 2, 3, 5, 100, 5_000] {
            let ids: Vec<String> = (0..count).map(|number| format!("A-{number}")).collect();
            let table = Ids::new(ids.iter().map(String::as_str)).expect("they differ");
            for (id, number) in ids.iter().zip(0..) {
                assert_eq!((table.find(id), table.id(number as usize)), (Some(number), id.as_str()));
            }
            assert_eq!((table.find("A-"), table.find("a-1"), table.find("")), (None, None, None));
        }
    }

    #[test]
    fn a_second_one_is_told() {
        let check = |ids: &[&str], expected| assert_eq!(Ids::new(ids.iter().copied()).map(|_| ()), expected);
        check(&["a", "b", "ab", "ba"], Ok(()));
        check(&["a", "b", "c", "b"], Err((1, 3)));
    }
}
