//! Who was removed by an operator and may not come back yet.
//!
//! Invariants: a ban ends by itself; while there is none, looking costs one load. Bounded: at
//! [`BANS_MAX`] the one that ends first goes. Never here: who bans.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::limits::api::BANS_MAX;

/// All bans, by the name under which somebody comes.
#[derive(Debug, Default)]
pub(crate) struct Bans {
    count: AtomicUsize,
    until_ms: Mutex<HashMap<Box<str>, u64>>,
}

impl Bans {
    /// This one stays away until then.
    pub(crate) fn put(&self, name: &str, until_ms: u64, now_ms: u64) {
        let mut bans = self.until_ms.lock().unwrap_or_else(PoisonError::into_inner);
        bans.retain(|_, &mut until_ms| until_ms > now_ms);
        if bans.len() >= BANS_MAX && !bans.contains_key(name) {
            let first = bans.iter().min_by_key(|(_, until_ms)| **until_ms).map(|(name, _)| name.clone());
            first.and_then(|first| bans.remove(&first));
        }
        bans.insert(name.into(), until_ms);
        self.count.store(bans.len(), Ordering::Relaxed);
    }

    /// Whether this one may not come.
    pub(crate) fn has(&self, name: &str, now_ms: u64) -> bool {
        if self.count.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let bans = self.until_ms.lock().unwrap_or_else(PoisonError::into_inner);
        bans.get(name).is_some_and(|&until_ms| until_ms > now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::Bans;
    use crate::limits::api::BANS_MAX;

    #[test]
    fn a_ban_ends_and_the_oldest_makes_room() {
        let bans = Bans::default();
        assert!(!bans.has("ana", 0));
        bans.put("ana", 100, 0);
        assert!(bans.has("ana", 99) && !bans.has("ana", 100) && !bans.has("bob", 0));
        for number in 0..BANS_MAX {
            bans.put(&number.to_string(), 1_000, 1);
        }
        assert!(!bans.has("ana", 2) && bans.has("0", 2) && bans.has(&(BANS_MAX - 1).to_string(), 2));
    }
}
