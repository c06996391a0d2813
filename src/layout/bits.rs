//! Sets of places, one bit each.
//!
//! Invariant: bits beyond the last place are 0. Never here: what the places are.

/// Words for so many bits.
pub(super) fn words(bits: usize) -> usize {
    bits.div_ceil(64)
}

/// An empty set of so many places.
pub(super) fn none(bits: usize) -> Box<[u64]> {
    vec![0; words(bits)].into_boxed_slice()
}

/// The set of all places.
pub(super) fn all(bits: usize) -> Box<[u64]> {
    let mut set = none(bits);
    fill(&mut set, 0, bits);
    set
}

/// Whether `at` is in the set; nothing beyond its end is.
pub(super) fn has(set: &[u64], at: usize) -> bool {
    set.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
}

pub(super) fn put(set: &mut [u64], at: usize) {
    set[at / 64] |= 1 << (at % 64);
}

pub(super) fn take(set: &mut [u64], at: usize) {
    set[at / 64] &= !(1 << (at % 64));
}

/// Puts all of `start..end` in.
pub(super) fn fill(set: &mut [u64], start: usize, end: usize) {
    let mut at = start;
    while at < end {
        let (word, bit) = (at / 64, at % 64);
        let count = (64 - bit).min(end - at);
        set[word] |= (u64::MAX >> (64 - count)) << bit;
        at += count;
    }
}

/// A word of the set; nothing beyond its ends is in it.
pub(super) fn word(set: &[u64], at: usize) -> u64 {
    set.get(at).copied().unwrap_or(0)
}

/// How many are in the set.
pub(super) fn count(set: &[u64]) -> u32 {
    set.iter().map(|word| word.count_ones()).sum()
}

/// The places in the set, in order.
pub(super) fn iter(set: &[u64]) -> impl Iterator<Item = usize> + '_ {
    set.iter().enumerate().flat_map(|(at, &word)| ones(word).map(move |bit| at * 64 + bit))
}

/// The bits of a word, from the lowest.
pub(super) fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(bit)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_put_in_is_there() {
        for (start, end) in [(0, 0), (0, 1), (3, 64), (0, 64), (63, 65), (60, 200), (199, 200)] {
            let mut set = super::none(200);
            super::fill(&mut set, start, end);
            assert_eq!(super::iter(&set).collect::<Vec<_>>(), (start..end).collect::<Vec<_>>());
            assert_eq!(super::count(&set) as usize, end - start);
            assert!((0..300).all(|at| super::has(&set, at) == (start..end).contains(&at)));
        }
        let mut set = super::all(70);
        super::take(&mut set, 69);
        assert_eq!(super::count(&set), 69);
        super::put(&mut set, 69);
        assert_eq!(super::word(&set, 1), 63);
        assert_eq!(super::word(&set, 2), 0);
    }
}
