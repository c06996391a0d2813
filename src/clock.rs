//! The clocks of the machine: the only place that reads them.
//!
//! Invariant: the monotonic clock never goes back and starts near 0. Never here: a decision that depends on the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::engine::time::{Millis, Now, WallMillis};

/// Both clocks, counted from the moment the clock was made. A copy tells the same time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "a default would hide that a clock is read")]
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// This moment on both clocks. A wall clock set before 1970 reads as 1970.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let wall = WallMillis(u64::try_from(wall).unwrap_or(u64::MAX));
        Now { mono: Millis(self.nanos() / 1_000_000), wall }
    }

    /// Microseconds since the clock was made.
    #[must_use]
    pub fn micros(&self) -> u64 {
        self.nanos() / 1_000
    }

    /// Nanoseconds since the clock was made; u64 lasts for 584 years.
    #[must_use]
    pub fn nanos(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn the_monotonic_side_starts_near_zero_and_never_goes_back() {
        let clock = Clock::new();
        let (first, second) = (clock.nanos(), clock.nanos());
        assert!(first <= second);
        let now = clock.now();
        assert!(now.mono.0 <= clock.micros() / 1_000);
        assert!(now.wall.0 > 1_577_836_800_000, "later than 2020");
    }
}
