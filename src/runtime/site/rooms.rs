//! The bodies of `/room/{room_id}/selections`, each encoded once for everybody who needs the same one. Pure.
//!
//! A body of a big room is megabytes. So the last bodies are kept while they are true, and a shard encodes at most
//! [`SITE_ENCODED_BYTES_PER_S`]: beyond that, requests wait. For HEAD nothing is made: the length is found seat by
//! seat, costs the same time, and is kept as well.
//! Invariant: a body is exact at the moment at which it is given out. Never here: what a body says.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::audience::shared::Shared;
use crate::engine::ids::{ConnId, Epoch, RoomId};
use crate::limits::site::{
    SHARED_BODY_BYTES_MIN, SITE_BODIES_KEPT_MAX, SITE_BODY_KEPT_MS, SITE_ENCODED_BYTES_PER_S, SITE_WAITING_MAX,
};
use crate::runtime::site::letters::Wanted;

/// The moment of a room that a body tells: its life and its last change.
pub(super) type Moment = (Epoch, u64);

#[derive(Debug)]
struct Kept {
    room: RoomId,
    moment: Moment,
    body: Arc<Shared>,
    used_ms: u64,
}

/// The bodies that were encoded last, and who waits for one.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    kept: Vec<Kept>,
    /// Until when encoding has been paid for.
    busy_until_us: u64,
    waiting: VecDeque<(ConnId, Wanted)>,
    /// The lengths that were found last.
    lengths: VecDeque<(RoomId, Moment, usize)>,
}

impl Bodies {
    /// The body of this moment, when it is there.
    pub(super) fn find(&mut self, room: &RoomId, moment: Moment, now_ms: u64) -> Option<Arc<Shared>> {
        let kept = self.kept.iter_mut().find(|kept| kept.moment == moment && kept.room == *room)?;
        kept.used_ms = now_ms;
        Some(Arc::clone(&kept.body))
    }

    /// The length of the body of this moment, when it is known.
    pub(super) fn find_length(&self, room: &RoomId, moment: Moment) -> Option<usize> {
        let body = self.kept.iter().find(|kept| kept.moment == moment && kept.room == *room);
        let length = self.lengths.iter().find(|(of, at, _)| *at == moment && of == room);
        body.map(|kept| kept.body.bytes().len()).or(length.map(|&(.., length)| length))
    }

    /// The length of a body was found.
    pub(super) fn counted(&mut self, room: &RoomId, moment: Option<Moment>, length: usize, now_ms: u64) {
        self.pay(length, now_ms);
        let Some(moment) = moment else { return };
        self.lengths.retain(|(of, ..)| of != room);
        if self.lengths.len() == SITE_BODIES_KEPT_MAX {
            self.lengths.pop_front();
        }
        self.lengths.push_back((room.clone(), moment, length));
    }

    fn pay(&mut self, bytes: usize, now_ms: u64) {
        let from_us = self.busy_until_us.max(now_ms * 1_000);
        self.busy_until_us = from_us + bytes as u64 * 1_000_000 / SITE_ENCODED_BYTES_PER_S;
    }

    /// Whether who asks now may have one encoded at once, rather than wait behind others.
    pub(super) fn may_encode(&self, now_ms: u64) -> bool {
        self.waiting.is_empty() && self.is_paid_for(now_ms)
    }

    fn is_paid_for(&self, now_ms: u64) -> bool {
        self.busy_until_us <= now_ms * 1_000
    }

    /// One was encoded. A big one of a room that exists is kept: it takes the place of an older one of its room, or
    /// of the one that was not needed for longest.
    pub(super) fn encoded(&mut self, room: &RoomId, moment: Option<Moment>, body: &Arc<Shared>, now_ms: u64) {
        let bytes = body.bytes().len();
        self.pay(bytes, now_ms);
        let Some(moment) = moment.filter(|_| bytes >= SHARED_BODY_BYTES_MIN) else { return };
        self.kept.retain(|kept| kept.room != *room);
        if self.kept.len() == SITE_BODIES_KEPT_MAX {
            let oldest = (0..self.kept.len()).min_by_key(|&at| self.kept[at].used_ms).expect("there are some");
            self.kept.swap_remove(oldest);
        }
        self.kept.push(Kept { room: room.clone(), moment, body: Arc::clone(body), used_ms: now_ms });
    }

    /// Somebody waits until one may be encoded. False at the bound: too many do.
    #[must_use]
    pub(super) fn wait(&mut self, by: ConnId, wanted: Wanted) -> bool {
        let has_room = self.waiting.len() < SITE_WAITING_MAX;
        if has_room {
            self.waiting.push_back((by, wanted));
        }
        has_room
    }

    /// The next one who waits, when another body may be encoded.
    pub(super) fn next(&mut self, now_ms: u64) -> Option<(ConnId, Wanted)> {
        if self.is_paid_for(now_ms) { self.waiting.pop_front() } else { None }
    }

    /// Whether nothing is kept and nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.waiting.is_empty()
    }

    /// Lets those go that nobody has needed for a while.
    pub(super) fn tidy(&mut self, now_ms: u64) {
        self.kept.retain(|kept| now_ms.saturating_sub(kept.used_ms) < SITE_BODY_KEPT_MS);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Bodies, Wanted};
    use crate::audience::budget::{Budget, Kind as Memory};
    use crate::audience::shared::Shared;
    use crate::engine::ids::{ConnId, Epoch, RoomId, ShardId};
    use crate::limits::site::{
        SHARED_BODY_BYTES_MIN, SITE_BODIES_KEPT_MAX, SITE_BODY_KEPT_MS, SITE_ENCODED_BYTES_PER_S, SITE_WAITING_MAX,
    };

    fn room(name: &str) -> RoomId {
        RoomId::new(name).expect("an id")
    }

    /// A body that is big enough to be kept.
    fn body(more: usize) -> Arc<Shared> {
        Shared::new(vec![b' '; SHARED_BODY_BYTES_MIN + more], Memory::HttpBodies, &Budget::default())
    }

    #[test]
    fn a_body_is_shared_until_its_room_changes() {
        let mut bodies = Bodies::default();
        let (hamlet, moment) = (room("hamlet"), (Epoch(1), 5));
        assert!(bodies.find(&hamlet, moment, 0).is_none() && bodies.is_empty());
        let made = body(0);
        bodies.encoded(&hamlet, Some(moment), &made, 0);
        assert!(bodies.find(&hamlet, moment, 0).is_some_and(|found| Arc::ptr_eq(&found, &made)));
        for other in [(Epoch(1), 6), (Epoch(2), 5)] {
            assert!(bodies.find(&hamlet, other, 0).is_none());
        }
        assert!(bodies.find(&room("macbeth"), moment, 0).is_none());
        bodies.encoded(&hamlet, Some((Epoch(1), 6)), &body(0), 0);
        assert!(bodies.find(&hamlet, moment, 0).is_none(), "one a room");
        bodies.tidy(SITE_BODY_KEPT_MS - 1);
        assert!(!bodies.is_empty());
        bodies.tidy(SITE_BODY_KEPT_MS);
        assert!(bodies.is_empty());
    }

    #[test]
    fn small_ones_and_those_of_rooms_that_do_not_exist_are_not_kept() {
        let mut bodies = Bodies::default();
        let small = Shared::new(vec![b' '; SHARED_BODY_BYTES_MIN - 1], Memory::HttpBodies, &Budget::default());
        bodies.encoded(&room("small"), Some((Epoch(1), 1)), &small, 0);
        bodies.encoded(&room("none"), None, &body(0), 0);
        assert!(bodies.is_empty());
    }

    #[test]
    fn few_are_kept_and_the_one_that_was_not_needed_for_longest_goes() {
        let mut bodies = Bodies::default();
        let moment = (Epoch(1), 1);
        for number in 0..SITE_BODIES_KEPT_MAX {
            bodies.encoded(&room(&number.to_string()), Some(moment), &body(0), number as u64);
        }
        assert!(bodies.find(&room("0"), moment, 100).is_some());
        bodies.encoded(&room("new"), Some(moment), &body(0), 100);
        assert!(bodies.find(&room("1"), moment, 100).is_none() && bodies.find(&room("0"), moment, 100).is_some());
    }

    #[test]
    fn encoding_is_paid_for_and_who_asks_meanwhile_waits_in_turn() {
        let mut bodies = Bodies::default();
        let quarter = usize::try_from(SITE_ENCODED_BYTES_PER_S / 4).expect("it fits");
        assert!(bodies.may_encode(1_000));
        bodies.encoded(&room("big"), Some((Epoch(1), 1)), &body(quarter - SHARED_BODY_BYTES_MIN), 1_000);
        assert!(!bodies.may_encode(1_249) && bodies.may_encode(1_250));
        let conn = ConnId::new(ShardId::new(0), 1, 0);
        let wanted = |name: &str| Wanted { room: room(name), head_only: false };
        assert!((0..SITE_WAITING_MAX).all(|number| bodies.wait(conn, wanted(&number.to_string()))));
        assert!(!bodies.wait(conn, wanted("one more")));
        assert!(bodies.next(1_249).is_none() && !bodies.may_encode(1_250), "those who wait go first");
        assert_eq!(bodies.next(1_250).map(|(_, wanted)| wanted), Some(wanted("0")));
    }

    /// HEAD pays as GET does, and a length that was found is known as long as its room does not change.
    #[test]
    fn a_length_is_found_once_and_keeps_no_body() {
        let mut bodies = Bodies::default();
        let (hamlet, moment) = (room("hamlet"), (Epoch(1), 5));
        let quarter = usize::try_from(SITE_ENCODED_BYTES_PER_S / 4).expect("it fits");
        bodies.counted(&hamlet, Some(moment), quarter, 1_000);
        assert!(!bodies.may_encode(1_249) && bodies.may_encode(1_250) && bodies.is_empty());
        assert_eq!(bodies.find_length(&hamlet, moment), Some(quarter));
        assert_eq!(bodies.find_length(&hamlet, (Epoch(1), 6)), None);
        bodies.encoded(&hamlet, Some((Epoch(1), 6)), &body(7), 2_000);
        assert_eq!(bodies.find_length(&hamlet, (Epoch(1), 6)), Some(SHARED_BODY_BYTES_MIN + 7));
        for number in 0..SITE_BODIES_KEPT_MAX {
            bodies.counted(&room(&number.to_string()), Some(moment), 1, 0);
        }
        assert_eq!(bodies.find_length(&hamlet, moment), None, "few are kept");
    }
}
