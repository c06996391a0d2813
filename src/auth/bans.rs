//! Who was removed by an operator and may not come back yet.
//!
//! Invariants: a ban ends by itself; while there is none, looking costs one load. Bounded: at
//! [`BANS_MAX`] the one that ends first goes. Never here: who bans.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::engine::command::OwnerName;
use crate::limits::api::BANS_MAX;

/// All bans, by whom they concern. All shards share them.
#[derive(Debug, Default)]
pub struct Bans {
    count: AtomicUsize,
    until_ms: Mutex<HashMap<OwnerName, u64>>,
}

impl Bans {
    /// This one stays away until then, or may come again when that is over.
    pub fn put(&self, whom: &OwnerName, until_ms: u64, now_ms: u64) {
        let mut bans = self.until_ms.lock().unwrap_or_else(PoisonError::into_inner);
        bans.retain(|_, &mut until_ms| until_ms > now_ms);
        if until_ms <= now_ms {
            bans.remove(whom);
            return self.count.store(bans.len(), Ordering::Relaxed);
        }
        if bans.len() >= BANS_MAX && !bans.contains_key(whom) {
            let first = bans.iter().min_by_key(|(_, until_ms)| **until_ms).map(|(whom, _)| whom.clone());
            first.and_then(|first| bans.remove(&first));
        }
        bans.insert(whom.clone(), until_ms);
        self.count.store(bans.len(), Ordering::Relaxed);
    }

    /// Whether anybody is banned.
    pub fn are_any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Whether this one may not come.
    pub fn has(&self, whom: &OwnerName, now_ms: u64) -> bool {
        if !self.are_any() {
            return false;
        }
        let bans = self.until_ms.lock().unwrap_or_else(PoisonError::into_inner);
        bans.get(whom).is_some_and(|&until_ms| until_ms > now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::Bans;
    use crate::engine::command::OwnerName;
    use crate::limits::api::BANS_MAX;

    #[test]
    fn a_ban_ends_and_the_oldest_makes_room() {
        let whom = |name: &str| OwnerName::Subject(name.into());
        let bans = Bans::default();
        assert!(!bans.has(&whom("ana"), 0));
        bans.put(&whom("ana"), 100, 0);
        assert!(bans.has(&whom("ana"), 99) && !bans.has(&whom("ana"), 100) && !bans.has(&whom("bob"), 0));
        assert!(!bans.has(&OwnerName::Holder("ana".into()), 99), "another kind of name");
        bans.put(&whom("bob"), 7, 7);
        assert!(!bans.has(&whom("bob"), 7), "no time at all");
        bans.put(&whom("bob"), 100, 7);
        bans.put(&whom("bob"), 7, 7);
        assert!(!bans.has(&whom("bob"), 7), "a ban that was taken back");
        for number in 0..BANS_MAX {
            bans.put(&whom(&number.to_string()), 1_000, 1);
        }
        assert!(!bans.has(&whom("ana"), 2) && bans.has(&whom("0"), 2));
        assert!(bans.has(&whom(&(BANS_MAX - 1).to_string()), 2));
    }
}
