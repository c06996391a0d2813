//! Marks on the rare paths of the pure code. A simulation can say which of them it has taken, and a path that no run
//! takes is noticed.
//!
//! Only builds with debug assertions count; in a release a mark is nothing. Never here: anything that decides.

#[cfg(debug_assertions)]
use std::cell::RefCell;
#[cfg(debug_assertions)]
use std::collections::BTreeMap;

#[cfg(debug_assertions)]
thread_local! {
    static HITS: RefCell<BTreeMap<&'static str, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// This way was taken, on this thread.
#[cfg(debug_assertions)]
pub fn hit(what: &'static str) {
    HITS.with_borrow_mut(|hits| *hits.entry(what).or_default() += 1);
}

/// This way was taken: in a release nobody counts.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn hit(_what: &'static str) {}

/// What this thread has hit since it was last asked.
#[cfg(debug_assertions)]
#[must_use]
pub fn take() -> BTreeMap<&'static str, u64> {
    HITS.take()
}
