//! How memory goes back: when a shard is quiet, the memory that a crowd has left with the allocator is given to the
//! kernel.
//!
//! mimalloc returns freed pages when something later allocates, and on a server that has just become quiet nothing
//! does. How much stayed resident after a wave of connections varied by a third. Returning each page at once instead
//! (`MIMALLOC_PURGE_DELAY=0`) costs a system call for each, 10 % of the CPU a connection (`perf/notes/memory.md`).
//!
//! Invariants: a shard that has something to do never collects; a shard that has collected does not do so again within
//! a second. Never here: what was freed.

use crate::limits::{COLLECT_ENDS_MIN, COLLECT_REST_NS};

/// What one shard has freed since it last collected.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    ends: u32,
    next_ns: u64,
}

impl Leftovers {
    /// A connection has ended.
    pub(crate) fn ended(&mut self) {
        self.ends = self.ends.saturating_add(1);
    }

    /// How long until there is something to collect, if nothing happens any more.
    pub(crate) fn due_in_ns(&self, now_ns: u64) -> Option<u64> {
        (self.ends >= COLLECT_ENDS_MIN).then(|| self.next_ns.saturating_sub(now_ns))
    }

    /// The shard is quiet: says whether it is time to collect, which it then does not say again for a while.
    #[must_use]
    pub(crate) fn take_due(&mut self, now_ns: u64) -> bool {
        let is_due = self.due_in_ns(now_ns) == Some(0);
        if is_due {
            *self = Self { ends: 0, next_ns: now_ns + COLLECT_REST_NS };
        }
        is_due
    }
}

/// Gives the calling thread's free pages, and those that nobody has any more, back to the kernel.
pub(crate) fn give_back() {
    #[allow(unsafe_code, reason = "the allocator's crate has no safe way to ask for this")]
    // SAFETY: a C function without pointers, which any thread may call at any time; with another allocator it finds
    // nothing to do.
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
}

#[cfg(test)]
mod tests {
    use super::{COLLECT_ENDS_MIN, COLLECT_REST_NS, Leftovers};

    #[test]
    fn a_quiet_shard_collects_after_a_crowd_and_then_not_for_a_second() {
        let mut leftovers = Leftovers::default();
        (1..COLLECT_ENDS_MIN).for_each(|_| leftovers.ended());
        assert_eq!(leftovers.due_in_ns(5), None, "a few are not worth it");
        leftovers.ended();
        assert_eq!(leftovers.due_in_ns(5), Some(0));
        assert!(leftovers.take_due(5));
        assert_eq!(leftovers.due_in_ns(5), None, "nothing is left");
        (0..COLLECT_ENDS_MIN).for_each(|_| leftovers.ended());
        assert!(!leftovers.take_due(6));
        assert_eq!(leftovers.due_in_ns(6), Some(COLLECT_REST_NS - 1), "it is kept for later");
        assert!(leftovers.take_due(COLLECT_REST_NS + 5));
        assert_eq!(leftovers.due_in_ns(COLLECT_REST_NS + 5), None);
    }
}
