//! The large full states that were read last: the same bytes say the same, and comparing costs a hundredth of reading.
//!
//! A room of ten thousand whose members lag, or come back, together is sent the same megabyte ten thousand times.
//! Invariant: bounded in number; the oldest is forgotten. Never here: judgement, which is passed on every copy.

use std::collections::VecDeque;

use crate::limits::{SEEN_BYTES_MIN, SEEN_MAX};
use crate::names::{Seat, Who};

/// What a full state said.
#[derive(Debug)]
pub(super) struct Seen {
    /// The room it is about.
    pub(super) room: usize,
    /// Its `seq`.
    pub(super) seq: u64,
    /// Who holds what.
    pub(super) list: Vec<(Seat, Who)>,
    payload: Box<[u8]>,
}

/// The last ones.
#[derive(Debug, Default)]
pub(super) struct SeenStates {
    kept: VecDeque<Seen>,
}

impl SeenStates {
    /// What these bytes say, when they were read before.
    pub(super) fn find(&self, payload: &[u8]) -> Option<&Seen> {
        if payload.len() < SEEN_BYTES_MIN {
            return None;
        }
        self.kept.iter().find(|seen| *seen.payload == *payload)
    }

    /// Keeps what these bytes say.
    pub(super) fn keep(&mut self, payload: &[u8], room: usize, seq: u64, list: &[(Seat, Who)]) {
        if payload.len() < SEEN_BYTES_MIN {
            return;
        }
        self.kept.truncate(SEEN_MAX - 1);
        self.kept.push_front(Seen { room, seq, list: list.into(), payload: payload.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::SeenStates;
    use crate::limits::{SEEN_BYTES_MIN, SEEN_MAX};

    #[test]
    fn the_last_ones_are_recognised() {
        let mut states = SeenStates::default();
        let payload = |number: usize| format!("{number:0SEEN_BYTES_MIN$}").into_bytes();
        for number in 0..=SEEN_MAX {
            states.keep(&payload(number), number, 7, &[(1, 2)]);
        }
        assert!(states.find(&payload(0)).is_none(), "forgotten");
        let seen = states.find(&payload(SEEN_MAX)).expect("the newest");
        assert_eq!((seen.room, seen.seq, &seen.list[..]), (SEEN_MAX, 7, &[(1, 2)][..]));
        states.keep(b"short", 1, 1, &[]);
        assert!(states.find(b"short").is_none(), "not worth it");
    }
}
