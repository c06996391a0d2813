//! How the cluster is doing: written by its threads, read by `/health`, `/stats` and `/metrics`.
//!
//! Invariant: everybody holds the lock for moments. Never here: what follows from it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::time::Millis;
use crate::figures::nodes::{NodeRow, NodesFigures};

/// What is known of the nodes.
#[derive(Default, Debug)]
pub struct NodesStatus(Mutex<Known>);

#[derive(Default, Debug)]
struct Known {
    figures: NodesFigures,
    rows: Vec<NodeRow>,
    /// Since when the oldest entry waits.
    oldest: Option<Millis>,
}

impl NodesStatus {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has changed.
    pub fn change(&self, change: impl FnOnce(&mut NodesFigures)) {
        change(&mut self.lock().figures);
    }

    /// Who is there, as heartbeats say.
    pub fn set_rows(&self, rows: Vec<NodeRow>) {
        self.lock().rows = rows;
    }

    /// So many entries to other nodes are not confirmed at this moment.
    pub fn set_waiting(&self, entries: usize, now: Millis) {
        let known = &mut *self.lock();
        known.figures.mail_waiting = entries as u64;
        known.oldest = if entries == 0 { None } else { known.oldest.or(Some(now)) };
    }

    /// All that is known at this moment.
    #[must_use]
    pub fn read(&self, now: Millis) -> (NodesFigures, Vec<NodeRow>) {
        let known = self.lock();
        let mail_lag_ms = known.oldest.map_or(0, |since| now.since(since));
        (NodesFigures { is_used: true, mail_lag_ms, ..known.figures.clone() }, known.rows.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::NodesStatus;
    use crate::engine::time::Millis;

    #[test]
    fn the_oldest_entry_says_how_far_mail_lags() {
        let status = NodesStatus::default();
        status.set_waiting(2, Millis(10));
        status.set_waiting(5, Millis(20));
        let (figures, _) = status.read(Millis(50));
        assert_eq!((figures.mail_waiting, figures.mail_lag_ms), (5, 40));
        status.set_waiting(0, Millis(60));
        status.set_waiting(1, Millis(70));
        assert_eq!(status.read(Millis(75)).0.mail_lag_ms, 5);
    }
}
