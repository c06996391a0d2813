//! How memory goes back: when a shard is quiet, the memory that a crowd has left with the allocator is given to the
//! kernel.
//!
//! mimalloc returns freed pages when something later allocates, and on a server that has just become quiet nothing
//! does. How much stayed resident after a wave of connections varied by a third. Returning each page at once instead
//! (`MIMALLOC_PURGE_DELAY=0`) costs a system call for each, 10 % of the CPU a connection (`perf/notes/memory.md`).
//!
//! What counts is what was freed, in connections or in bytes. A crowd does not go all at once, so whatever is freed
//! after its first part was collected counts as well. Once in a while a quiet shard collects in any case. Invariants:
//! a shard that has something to do never collects; a shard that has collected does not do so again within a second.
//! Never here: what was freed.

use crate::limits::{COLLECT_BYTES_MIN, COLLECT_ENDS_MIN, COLLECT_QUIET_NS, COLLECT_REST_NS};

/// What one shard has freed since it last collected.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    ends: u32,
    bytes: usize,
    collected_ns: u64,
    /// A crowd was collected the last time: its rest may still be going.
    has_rest: bool,
}

impl Leftovers {
    /// A connection has ended.
    pub(crate) fn ended(&mut self) {
        self.ends = self.ends.saturating_add(1);
    }

    /// So many bytes were given back to the budget.
    pub(crate) fn freed(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn is_crowd(&self) -> bool {
        self.ends >= COLLECT_ENDS_MIN || self.bytes >= COLLECT_BYTES_MIN
    }

    /// How long until it is time to collect, if nothing happens any more.
    pub(crate) fn due_in_ns(&self, now_ns: u64) -> u64 {
        let is_rest = self.has_rest && (self.ends > 0 || self.bytes > 0);
        let rest_ns = if self.is_crowd() || is_rest { COLLECT_REST_NS } else { COLLECT_QUIET_NS };
        (self.collected_ns + rest_ns).saturating_sub(now_ns)
    }

    /// The shard is quiet: says whether it is time to collect, which it then does not say again for a while.
    #[must_use]
    pub(crate) fn take_due(&mut self, now_ns: u64) -> bool {
        let is_due = self.due_in_ns(now_ns) == 0;
        if is_due {
            *self = Self { collected_ns: now_ns, has_rest: self.is_crowd(), ..Self::default() };
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
    use super::Leftovers;
    use crate::limits::{
        COLLECT_BYTES_MIN, COLLECT_ENDS_MIN, COLLECT_QUIET_NS as QUIET_NS, COLLECT_REST_NS as REST_NS,
    };

    #[test]
    fn the_rest_of_a_crowd_is_collected_too() {
        let mut leftovers = Leftovers::default();
        (0..COLLECT_ENDS_MIN).for_each(|_| leftovers.ended());
        assert!(leftovers.take_due(REST_NS));
        leftovers.ended();
        assert!(!leftovers.take_due(2 * REST_NS - 1) && leftovers.take_due(2 * REST_NS));
        leftovers.ended();
        assert_eq!(leftovers.due_in_ns(2 * REST_NS), QUIET_NS, "one that goes alone is no crowd");
    }

    #[test]
    fn a_quiet_shard_collects_after_a_crowd_and_then_not_for_a_second() {
        let mut leftovers = Leftovers::default();
        (1..COLLECT_ENDS_MIN).for_each(|_| leftovers.ended());
        leftovers.freed(COLLECT_BYTES_MIN - 1);
        assert_eq!(leftovers.due_in_ns(REST_NS), QUIET_NS - REST_NS, "a little can wait");
        leftovers.ended();
        assert_eq!(leftovers.due_in_ns(REST_NS), 0);
        assert!(leftovers.take_due(REST_NS));
        assert_eq!(leftovers.due_in_ns(REST_NS), QUIET_NS, "nothing is left");
        leftovers.freed(COLLECT_BYTES_MIN - 1);
        leftovers.freed(1);
        assert!(!leftovers.take_due(REST_NS + 1));
        assert_eq!(leftovers.due_in_ns(REST_NS + 1), REST_NS - 1, "it is kept for later");
        assert!(leftovers.take_due(2 * REST_NS));
        assert!(!leftovers.take_due(3 * REST_NS), "there is nothing to collect");
        assert!(leftovers.take_due(2 * REST_NS + QUIET_NS), "but a look once in a while costs nothing");
    }
}
