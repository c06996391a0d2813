//! What the embedded store has, in three numbers. They are written with each batch and compared with what is read.
//!
//! Invariants: each batch has the number after that of the one before; `holds` and `digest` cover all that is stored
//! after the batch, in whatever order it was written. Pure. Never here: files.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::limits::store::STORE_NUMBERS_MAX;

/// The tally as bytes: number, holds, digest (8 each, little-endian).
pub(super) const TALLY_BYTES: usize = 24;

/// What is stored after a batch.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Tally {
    /// The number of the last batch.
    pub(super) number: u64,
    /// Records.
    pub(super) holds: u64,
    /// The sum of the hashes of all keys with their records: any that is missing, changed or too many shows.
    pub(super) digest: u64,
}

impl Tally {
    /// One record more.
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.holds += 1;
        self.digest = self.digest.wrapping_add(hash(key, value));
    }

    /// One record less, which was counted.
    pub(super) fn remove(&mut self, key: &[u8], value: &[u8]) {
        assert!(self.holds > 0, "a record that was never counted is removed");
        self.holds -= 1;
        self.digest = self.digest.wrapping_sub(hash(key, value));
    }

    /// Whether both are of the same records.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        (self.holds, self.digest) == (other.holds, other.digest)
    }

    /// The number of the next batch. Panics at [`STORE_NUMBERS_MAX`], beyond which none is read from a file.
    pub(super) fn next_number(&self) -> u64 {
        assert!(self.number < STORE_NUMBERS_MAX, "the numbers of batches have come to their end");
        self.number + 1
    }

    pub(super) fn encode(&self) -> [u8; TALLY_BYTES] {
        let mut bytes = [0; TALLY_BYTES];
        bytes[..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.holds.to_le_bytes());
        bytes[16..].copy_from_slice(&self.digest.to_le_bytes());
        bytes
    }

    /// The tally that these bytes say, unless no server can have written it.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let &[number, holds, digest] = numbers else { return None };
        let [number, holds, digest] = [number, holds, digest].map(u64::from_le_bytes);
        let is_possible = rest.is_empty() && number < STORE_NUMBERS_MAX && holds < STORE_NUMBERS_MAX;
        is_possible.then_some(Self { number, holds, digest })
    }
}

fn hash(key: &[u8], value: &[u8]) -> u64 {
    xxh3_64_with_seed(value, xxh3_64(key))
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn the_order_of_changes_does_not_matter_and_everything_else_does() {
        let tally = |pairs: &[(&str, &str)]| {
            let mut tally = Tally::default();
            pairs.iter().for_each(|(key, value)| tally.add(key.as_bytes(), value.as_bytes()));
            tally
        };
        let all = tally(&[("a", "1"), ("b", "2"), ("c", "3")]);
        assert!(all.agrees(&tally(&[("c", "3"), ("a", "1"), ("b", "2")])));
        for other in [
            &[("a", "1"), ("b", "2")][..],
            &[("a", "2"), ("b", "1"), ("c", "3")],
            &[("a", "1"), ("b", "2"), ("c", "4")],
        ] {
            assert!(!all.agrees(&tally(other)), "{other:?}");
        }
        let mut less = all;
        less.remove(b"b", b"2");
        assert!(less.agrees(&tally(&[("a", "1"), ("c", "3")])));
        assert_eq!(Tally::decode(&all.encode()), Some(all));
    }

    #[test]
    fn numbers_that_no_server_writes_are_not_believed() {
        let bytes = |number: u64, holds: u64| Tally { number, holds, digest: u64::MAX }.encode();
        let max = crate::limits::store::STORE_NUMBERS_MAX;
        assert!(Tally::decode(&bytes(max - 1, max - 1)).is_some());
        assert_eq!([Tally::decode(&bytes(max, 0)), Tally::decode(&bytes(0, u64::MAX))], [None, None]);
        assert_eq!(Tally::decode(&bytes(1, 1)[..23]), None);
        assert_eq!(Tally::decode(&[0; 25]), None);
    }
}
