//! What one client was told last, in the order in which it was told: a few words a message, kept for every client.

/// A kind of message that matters for the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Told {
    /// No message yet.
    #[default]
    Nothing,
    /// `room_joined`
    Joined,
    /// `current_selections`
    FullState,
    /// Somebody else's event.
    Event,
    /// The reply to an own request.
    Own,
    /// The end of the membership.
    Left,
}

const KEPT: usize = 8;

/// The last messages of one client.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastTold {
    ring: [(Told, u64); KEPT],
    next: u8,
}

impl LastTold {
    #[inline]
    pub(super) fn add(&mut self, told: Told, seq: u64) {
        self.ring[usize::from(self.next)] = (told, seq);
        self.next = (self.next + 1) % u8::try_from(KEPT).expect("a handful");
    }

    /// From the oldest to the newest.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Told, u64)> + '_ {
        let next = usize::from(self.next);
        let ordered = self.ring[next..].iter().chain(&self.ring[..next]);
        ordered.copied().filter(|(told, _)| *told != Told::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::{LastTold, Told};

    #[test]
    fn the_last_ones_are_kept_in_order() {
        let mut last = LastTold::default();
        (0..11).for_each(|seq| last.add(Told::Event, seq));
        assert!(last.iter().map(|(_, seq)| seq).eq(3..11));
    }
}
