//! Connections that have asked for nothing yet, in the order in which they came: when there is no place left, the one
//! that has stood there for longest goes.
//!
//! Invariant: there are no more than came within `HANDSHAKE_MS`, after which the first of them is gone in any case.
//! Never here: sockets.

use std::collections::VecDeque;

use crate::runtime::socket::Tenths;

/// One connection: slot, generation, and when it came.
type Standing = (u32, u32, Tenths);

/// Those of one shard.
#[derive(Debug, Default)]
pub(crate) struct Doorstep(VecDeque<Standing>);

impl Doorstep {
    /// A connection has come. Those before it that do not stand there any more are forgotten.
    pub(crate) fn came(&mut self, standing: Standing, still: impl Fn(u32, u32) -> bool) {
        while self.0.pop_front_if(|&mut (slot, generation, _)| !still(slot, generation)).is_some() {}
        self.0.push_back(standing);
    }

    /// Takes out the one that has stood there for longest, if it came before `until`.
    pub(crate) fn take_oldest(&mut self, until: Tenths, still: impl Fn(u32, u32) -> bool) -> Option<u32> {
        while let Some((slot, generation, since)) = self.0.pop_front() {
            if !still(slot, generation) {
                continue;
            }
            if since <= until {
                return Some(slot);
            }
            self.0.push_front((slot, generation, since));
            break;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Doorstep;

    #[test]
    fn the_oldest_that_still_stands_there_goes_first() {
        let mut doorstep = Doorstep::default();
        let all = |_, _| true;
        (0..5).for_each(|slot| doorstep.came((slot, 0, slot), all));
        let not_two = |slot, _| slot != 2;
        assert_eq!(doorstep.take_oldest(9, all), Some(0));
        assert_eq!(doorstep.take_oldest(0, all), None, "it has not stood there for long enough");
        assert_eq!([doorstep.take_oldest(9, not_two), doorstep.take_oldest(9, not_two)], [Some(1), Some(3)]);
        doorstep.came((7, 1, 8), |_, _| false);
        assert_eq!(doorstep.take_oldest(9, all), Some(7), "who had gone is forgotten");
        assert_eq!(doorstep.take_oldest(9, all), None);
    }
}
