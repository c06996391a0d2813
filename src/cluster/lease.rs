//! How long a node may believe that it owns a part.
//!
//! Invariant: counted on the node's own monotonic clock from before the call was sent, and over at nine tenths. So it
//! is over before Redis ends it, as long as the clocks run alike within a twentieth. Never here: what a lease is for.

use crate::engine::time::Millis;
use crate::limits::cluster::CLUSTER_LEASE_TENTHS;
use crate::planted::{self, Bug};

/// A lease as its holder sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    pub(super) since: Millis,
    until: Millis,
}

impl Lease {
    /// The lease that a call has brought, which was sent at `sent_at` and answered `now`.
    pub(super) fn granted(sent_at: Millis, now: Millis, lease_ms: u64) -> Self {
        debug_assert!(sent_at <= now, "an answer comes after its call");
        let since = if planted::has(Bug::LeaseFromAnswer) { now } else { sent_at };
        Self { since, until: since.after(lease_ms / 10 * CLUSTER_LEASE_TENTHS) }
    }

    /// Whether the holder may still decide.
    pub(super) fn is_held(self, now: Millis) -> bool {
        now < self.until || planted::has(Bug::LeaseNotChecked)
    }

    /// When the holder stops.
    pub(super) fn until(self) -> Millis {
        self.until
    }

    /// The later one of two: answers may come in any order.
    pub(super) fn or_later(self, other: Self) -> Self {
        if other.since > self.since { other } else { self }
    }
}
