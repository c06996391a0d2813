//! Tries something again and again: until it is done, can never be done, or the relay is to end.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::watch;

use crate::pace::delay_ms;
use crate::source::{Later, Trouble};
use crate::stop::Stop;

/// Whoever tries looks here whether the relay is to end.
#[derive(Clone)]
pub(crate) struct Tries(watch::Receiver<bool>);

impl Tries {
    pub(crate) fn new(ending: watch::Receiver<bool>) -> Self {
        Self(ending)
    }

    /// Whether the relay is to end.
    pub(crate) fn is_over(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the relay is to end.
    pub(crate) async fn over(&self) {
        // The sender lives as long as the process; should it not, that is an end, too.
        drop(self.0.clone().wait_for(|ending| *ending).await);
    }

    /// Waits between two tries; whether there is to be another.
    pub(crate) async fn wait(&self, failures: u32, asked_ms: Option<u64>) -> bool {
        let delay = Duration::from_millis(delay_ms(failures, asked_ms, rand::random()));
        tokio::select! {
            () = tokio::time::sleep(delay) => true,
            () = self.over() => false,
        }
    }

    /// Tries until it is done. `None` when the relay is to end before.
    pub(crate) async fn until_done<T, F>(
        &self,
        mut once: impl FnMut() -> F,
        retries: &AtomicU64,
        whose: &str,
    ) -> Result<Option<T>, Stop>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let mut failures: u32 = 0;
        while !self.is_over() {
            match once().await {
                Ok(done) => {
                    if failures > 0 {
                        crate::say(&format!("{whose} is back after {failures} tries"));
                    }
                    return Ok(Some(done));
                }
                Err(Trouble::Stop(stop)) => return Err(stop),
                Err(Trouble::Later(Later { why, after_ms })) => {
                    failures += 1;
                    retries.fetch_add(1, Relaxed);
                    // Once, then at each doubling: a night without the sink is a page, not a disk.
                    if failures.is_power_of_two() {
                        crate::say(&format!("{whose}: {why}; trying again ({failures})"));
                    }
                    if !self.wait(failures, after_ms).await {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(None)
    }
}
