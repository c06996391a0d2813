//! A number that only grows, up to a bound. Clients can move it, so it must not overflow.
//!
//! Invariant: no number is given twice, and none above the bound. Never here: what happens at the bound. The caller
//! asks [`Counter::has_next`] first, and refuses if there is none.

/// Numbers from 1 to a bound.
#[derive(Debug)]
pub(super) struct Counter {
    last: u64,
    max: u64,
}

impl Counter {
    pub(super) fn up_to(max: u64) -> Self {
        Self { last: 0, max }
    }

    pub(super) fn has_next(&self) -> bool {
        self.last < self.max
    }

    /// Whether so many numbers are left.
    pub(super) fn has_next_of(&self, count: u64) -> bool {
        count <= self.max - self.last
    }

    /// The next number. Panics at the bound, which whoever counts has looked at.
    pub(super) fn next(&mut self) -> u64 {
        assert!(self.has_next(), "counted beyond the bound of {}", self.max);
        self.last += 1;
        self.last
    }

    /// As if so many numbers had been given.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, last: u64) {
        assert!(last <= self.max);
        self.last = last;
    }

    #[cfg(debug_assertions)]
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The last number is given again: a defect.
    #[cfg(debug_assertions)]
    pub(super) fn go_back(&mut self) {
        self.last -= 1;
    }
}
