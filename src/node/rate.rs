//! How many messages a connection may send: a bucket of tokens that fills with time, one token a message.
//!
//! Invariants: a bucket never holds more than the burst; a refused message takes no token; time comes in as an
//! argument. Never here: what a connection is told that sends too many (see `requests`), sockets.
//!
//! A bucket is stored as the moment at which it will be full again: 32 bits of tenths of a millisecond, which wrap
//! after five days. A moment further away than an empty bucket needs has long passed.

use super::Moment;
use crate::limits::{MESSAGES_PER_S_MAX, RATE_BURST_MAX};

/// How often messages may come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Messages a second for as long as one likes; 0 switches the bound off.
    pub per_s: u32,
    /// Messages at once, at least 1.
    pub burst: u32,
}

impl Rate {
    /// No bound.
    pub const OFF: Self = Self { per_s: 0, burst: 1 };

    /// What one message costs, in tenths of a millisecond.
    fn cost(self) -> u32 {
        debug_assert!(self.per_s <= MESSAGES_PER_S_MAX && self.burst <= RATE_BURST_MAX && self.burst > 0);
        TICKS_PER_S / self.per_s
    }

    /// What a whole bucket holds.
    fn whole(self) -> u32 {
        self.cost() * self.burst
    }

    /// What must be in the bucket of who is told to come back: messages for a second, but no more than half of it.
    fn comeback(self) -> u32 {
        (self.whole() / 2).min(TICKS_PER_S).max(self.cost())
    }
}

const TICKS_PER_S: u32 = 10_000;

/// One bucket. It begins full.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Bucket {
    /// 0: nothing was ever taken.
    full_at: u32,
}

/// The bucket is empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Excess {
    /// When it pays to come back, in milliseconds.
    pub(super) retry_after_ms: u32,
}

impl Bucket {
    /// What has been taken and has not come back.
    fn missing(self, rate: Rate, at: Moment) -> u32 {
        let ahead = self.full_at.wrapping_sub(ticks(at));
        if self.full_at != 0 && ahead <= rate.whole() { ahead } else { 0 }
    }

    /// Takes the token of one message.
    pub(super) fn take(&mut self, rate: Rate, at: Moment) -> Result<(), Excess> {
        if rate.per_s == 0 {
            return Ok(());
        }
        let missing = self.missing(rate, at) + rate.cost();
        if missing > rate.whole() {
            let ticks = missing - rate.cost() + rate.comeback() - rate.whole();
            return Err(Excess { retry_after_ms: ticks.div_ceil(TICKS_PER_S / 1_000) });
        }
        self.full_at = ticks(at).wrapping_add(missing).max(1);
        Ok(())
    }

    /// Takes so many tokens, or as many as there are. Of a full bucket one is left.
    pub(super) fn drain(&mut self, rate: Rate, at: Moment, tokens: u32) {
        if rate.per_s == 0 || tokens == 0 {
            return;
        }
        let tokens = tokens.min(rate.burst - 1);
        let missing = (self.missing(rate, at) + rate.cost() * tokens).min(rate.whole());
        self.full_at = ticks(at).wrapping_add(missing).max(1);
    }

    /// Whether there is a token.
    pub(super) fn has_token(self, rate: Rate, at: Moment) -> bool {
        rate.per_s == 0 || self.missing(rate, at) + rate.cost() <= rate.whole()
    }

    /// Whether nothing is missing: it need not be remembered.
    pub(super) fn is_full(self, rate: Rate, at: Moment) -> bool {
        rate.per_s == 0 || self.missing(rate, at) == 0
    }
}

/// The moment in tenths of a millisecond; the highest bits fall away.
#[allow(clippy::cast_possible_truncation, reason = "the moments wrap, see above")]
fn ticks(at: Moment) -> u32 {
    (at.ns / 100_000) as u32
}

#[cfg(test)]
mod tests {
    use super::{Bucket, Excess, Rate};
    use crate::engine::time::Now;
    use crate::node::Moment;

    const RATE: Rate = Rate { per_s: 50, burst: 200 };

    fn at(ms: u64) -> Moment {
        Moment { now: Now::default(), ns: ms * 1_000_000 }
    }

    /// How many of so many messages of one moment pass.
    fn pass(bucket: &mut Bucket, rate: Rate, ms: u64, messages: usize) -> usize {
        (0..messages).filter(|_| bucket.take(rate, at(ms)).is_ok()).count()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut bucket = Bucket::default();
        for (ms, messages, passed) in
            [(0, 1_000, 200), (0, 1, 0), (19, 1, 0), (20, 5, 1), (1_020, 100, 50), (61_020, 1_000, 200)]
        {
            assert_eq!(pass(&mut bucket, RATE, ms, messages), passed, "at {ms} ms");
        }
    }

    #[test]
    fn who_comes_back_when_told_may_go_on_for_a_while() {
        for (rate, retry_after_ms, passed) in [
            (RATE, 1_000, 50),
            (Rate { per_s: 1, burst: 4 }, 1_000, 1),
            (Rate { per_s: 1, burst: 1 }, 1_000, 1),
            (Rate { per_s: 1_000, burst: 10 }, 5, 5),
        ] {
            let mut bucket = Bucket::default();
            pass(&mut bucket, rate, 7, 1_000);
            assert_eq!(bucket.take(rate, at(7)), Err(Excess { retry_after_ms }), "{rate:?}");
            assert!(!bucket.has_token(rate, at(7)));
            assert_eq!(pass(&mut bucket, rate, 7 + u64::from(retry_after_ms), 1_000), passed, "{rate:?}");
        }
    }

    #[test]
    fn a_dear_message_takes_what_there_is() {
        let mut bucket = Bucket::default();
        bucket.drain(RATE, at(0), 9);
        assert_eq!(pass(&mut bucket, RATE, 0, 1_000), 191);
        bucket.drain(RATE, at(1_000), 60);
        assert_eq!(pass(&mut bucket, RATE, 1_000, 1_000), 0, "what is not there is not owed");
        assert_eq!(pass(&mut bucket, RATE, 1_020, 1_000), 1);
        for rate in [RATE, Rate { per_s: 1, burst: 1 }, Rate { per_s: 10_000, burst: 65_535 }] {
            let mut bucket = Bucket::default();
            bucket.drain(rate, at(7), u32::MAX);
            assert_eq!(pass(&mut bucket, rate, 7, 1_000), 1, "the dearest passes once: {rate:?}");
        }
        let mut bucket = Bucket::default();
        bucket.drain(Rate::OFF, at(0), u32::MAX);
        assert_eq!(bucket, Bucket::default());
    }

    #[test]
    fn off_is_off() {
        let mut bucket = Bucket::default();
        assert_eq!(pass(&mut bucket, Rate::OFF, 0, 100_000), 100_000);
        assert!(bucket.is_full(Rate::OFF, at(0)));
    }

    /// The moments wrap: a bucket that was emptied long ago is full, whenever it is asked.
    #[test]
    fn silence_of_any_length_fills_it() {
        let wrap_ms = (1_u64 << 32) / 10;
        for silence_ms in [10_000, wrap_ms / 2 - 1, wrap_ms / 2, wrap_ms / 2 + 1, wrap_ms - 10_000, 3 * wrap_ms + 9_000]
        {
            let mut bucket = Bucket::default();
            assert_eq!(pass(&mut bucket, RATE, wrap_ms - 5, 1_000), 200);
            assert!(!bucket.is_full(RATE, at(wrap_ms - 5)));
            assert_eq!(pass(&mut bucket, RATE, wrap_ms - 5 + silence_ms, 1_000), 200, "after {silence_ms} ms");
        }
    }
}
