//! What shards hand over, cut into shares of parts, and which batches are whole again.
//!
//! A share is committed as it is, however often it must be tried; what comes meanwhile waits for the next one.
//! Invariants: shares of a part are committed in the order of their batches; a batch is reported when all its shares
//! are granted, or when what was in them is nobody's any more; batches of a shard are reported in their order. Never
//! here: Redis, when a share is tried.

use std::collections::{BTreeMap, VecDeque};

use crate::cluster::names::PartId;
use crate::engine::ids::{RoomId, ShardId, Spread};
use crate::engine::time::Millis;
use crate::persist::batch::{Batch, Group, Logged};
use crate::persist::queue::Offer;

/// What one part has for the store.
#[derive(Default, Debug)]
pub(super) struct Share {
    /// Counted by part since it was taken.
    pub(super) number: u64,
    /// The changes.
    pub(super) group: Group,
    /// The events.
    pub(super) logged: Logged,
    /// When the oldest of them was made.
    pub(super) since: Millis,
    /// The batches that it is of.
    of: Vec<(ShardId, u64)>,
}

impl Share {
    fn is_empty(&self) -> bool {
        self.of.is_empty() && self.group.is_empty() && self.logged.is_empty()
    }
}

#[derive(Default, Debug)]
struct Waiting {
    /// What is being committed.
    current: Option<Share>,
    next: Share,
    number: u64,
    /// It was lost, and the shard has not forgotten it: what comes of it is of no use to anybody.
    is_lost: bool,
}

impl Waiting {
    fn shares(&self) -> impl Iterator<Item = &Share> {
        self.current.iter().chain(Some(&self.next).filter(|next| !next.is_empty()))
    }
}

/// All shares of a node.
#[derive(Debug)]
pub(super) struct Shares {
    spread: Spread,
    parts: BTreeMap<PartId, Waiting>,
    /// For each shard its batches that are not reported, and how many of their shares are missing.
    batches: Vec<VecDeque<(u64, usize)>>,
}

impl Shares {
    /// For a node with this spread of rooms.
    #[must_use]
    pub(super) fn new(spread: Spread) -> Self {
        let batches = std::iter::repeat_with(VecDeque::new).take(spread.shards()).collect();
        Self { spread, parts: BTreeMap::new(), batches }
    }

    fn part_of(spread: Spread, room: &RoomId) -> u16 {
        crate::engine::ids::part_of(room.as_str(), spread.parts().expect("a cluster has parts"))
    }

    /// Takes a batch in. `whole`: the parts of this shard of which a full state has everything.
    pub(super) fn add(&mut self, shard: ShardId, mut offer: Offer, whole: &[u16]) {
        let spread = self.spread;
        let mut logged = BTreeMap::<u16, Logged>::new();
        let log = offer.batch.take_log();
        for event in log.events {
            logged.entry(Self::part_of(spread, &event.room)).or_default().events.push(event);
        }
        let mut pieces = offer.batch.cut(|room| Self::part_of(spread, room), whole);
        if log.has_gap
            && let Some(part) = pieces.keys().chain(logged.keys()).next().copied()
        {
            logged.entry(part).or_default().has_gap = true;
        }
        logged.keys().for_each(|part| _ = pieces.entry(*part).or_default());
        let mut count = 0;
        for (part, batch) in pieces {
            let logged = logged.remove(&part).unwrap_or_default();
            count += 1;
            self.put((shard, offer.number), PartId(part), batch, logged, offer.since);
        }
        self.batches[shard.index()].push_back((offer.number, count));
    }

    fn put(&mut self, of: (ShardId, u64), part: PartId, batch: Batch, logged: Logged, since: Millis) {
        let waiting = self.parts.entry(part).or_default();
        let next = &mut waiting.next;
        if next.is_empty() {
            next.since = since;
        }
        next.of.push(of);
        next.since = next.since.min(since);
        if !waiting.is_lost {
            next.group.add(ShardId::new(0), 1, batch);
            next.logged.merge(logged);
        }
    }

    /// What the start of a reign has to say of a part, before all else.
    pub(super) fn begin(&mut self, now: Millis, part: PartId, batch: Batch) {
        let waiting = self.parts.entry(part).or_default();
        assert!(waiting.current.is_none() && waiting.next.is_empty(), "the part was not this node's");
        *waiting = Waiting::default();
        if !batch.is_empty() {
            waiting.next.since = now;
            waiting.next.group.add(ShardId::new(0), 1, batch);
        }
    }

    /// The parts that have something to be committed.
    #[must_use]
    pub(super) fn waiting(&self) -> Vec<PartId> {
        let has = |waiting: &Waiting| !waiting.is_lost && (waiting.current.is_some() || !waiting.next.is_empty());
        self.parts.iter().filter(|(_, waiting)| has(waiting)).map(|(part, _)| *part).collect()
    }

    /// What is to be committed next of a part.
    pub(super) fn current(&mut self, part: PartId) -> Option<&mut Share> {
        let waiting = self.parts.get_mut(&part).filter(|waiting| !waiting.is_lost)?;
        if waiting.current.is_none() && !waiting.next.is_empty() {
            waiting.number += 1;
            waiting.current = Some(Share { number: waiting.number, ..std::mem::take(&mut waiting.next) });
        }
        waiting.current.as_mut()
    }

    /// The same, if it was asked for before.
    #[must_use]
    pub(super) fn present(&self, part: PartId) -> Option<&Share> {
        self.parts.get(&part).filter(|waiting| !waiting.is_lost)?.current.as_ref()
    }

    /// The present share of the part is committed.
    pub(super) fn granted(&mut self, part: PartId) -> Option<Share> {
        let share = self.parts.get_mut(&part)?.current.take()?;
        self.count(&share.of);
        Some(share)
    }

    /// The part is another one's: what waits of it is of no use, and its batches wait until the shard has forgotten it.
    pub(super) fn lost(&mut self, part: PartId) {
        let waiting = self.parts.entry(part).or_default();
        waiting.is_lost = true;
        let mut of = waiting.current.take().map(|share| share.of).unwrap_or_default();
        of.append(&mut waiting.next.of);
        waiting.next = Share { of, ..Share::default() };
    }

    /// The shard has forgotten the part, and all that it has handed over before was taken.
    pub(super) fn forgotten(&mut self, part: PartId) {
        if let Some(waiting) = self.parts.remove(&part) {
            let shares = waiting.current.into_iter().chain([waiting.next]);
            shares.for_each(|share| self.count(&share.of));
        }
    }

    fn count(&mut self, of: &[(ShardId, u64)]) {
        for (shard, number) in of {
            let batch = self.batches[shard.index()].iter_mut().find(|(of, _)| of == number);
            batch.expect("it is not reported before").1 -= 1;
        }
    }

    /// The last batch of each shard that is whole, with those before it, since this was last asked.
    pub(super) fn take_whole(&mut self) -> Vec<(ShardId, u64)> {
        let mut whole = Vec::new();
        for (shard, batches) in self.batches.iter_mut().enumerate() {
            let mut last = None;
            while let Some((number, _)) = batches.pop_front_if(|(_, missing)| *missing == 0) {
                last = Some(number);
            }
            whole.extend(last.map(|number| (ShardId::new(shard), number)));
        }
        whole
    }

    /// Changes that are not committed, the memory they take, and when the oldest was made.
    #[must_use]
    pub(super) fn backlog(&self) -> (usize, usize, Option<Millis>) {
        let shares = || self.parts.values().flat_map(Waiting::shares);
        let entries = shares().map(|share| share.group.entries()).sum();
        let bytes = shares().map(|share| share.group.bytes()).sum();
        (entries, bytes, shares().map(|share| share.since).min())
    }

    /// Whether everything that was taken is reported.
    #[must_use]
    pub(super) fn is_idle(&self) -> bool {
        self.batches.iter().all(VecDeque::is_empty) && self.waiting().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Shares;
    use crate::acts::event::{Event, Number};
    use crate::cluster::names::PartId;
    use crate::engine::ids::{RoomId, SeatId, ShardId, Spread, part_of};
    use crate::engine::time::Millis;
    use crate::persist::batch::{Batch, Logged};
    use crate::persist::queue::Offer;

    const PARTS: u16 = 8;

    /// A room of this part.
    fn room(part: u16) -> RoomId {
        let names = (0..).map(|n| format!("room {n}"));
        let name = names.into_iter().find(|name| part_of(name, PARTS) == part).expect("one of many");
        RoomId::new(&name).expect("an id")
    }

    fn shares() -> Shares {
        Shares::new(Spread::over(2).with_parts(PARTS))
    }

    fn offer(number: u64, parts: &[u16]) -> Offer {
        let mut batch = Batch::default();
        parts.iter().for_each(|part| batch.put(&room(*part), SeatId::new("1").expect("an id"), None));
        Offer { number, batch, since: Millis(number) }
    }

    fn shard() -> ShardId {
        ShardId::new(0)
    }

    #[test]
    fn a_batch_is_whole_with_its_last_share_and_after_those_before_it() {
        let mut shares = shares();
        shares.add(shard(), offer(1, &[0, 1]), &[]);
        shares.add(shard(), offer(2, &[1]), &[]);
        shares.add(shard(), offer(3, &[2]), &[]);
        assert_eq!(shares.waiting(), [PartId(0), PartId(1), PartId(2)]);
        assert_eq!(shares.backlog(), (3, shares.backlog().1, Some(Millis(1))), "one seat twice");
        for part in [2, 0] {
            assert_eq!(shares.current(PartId(part)).expect("it waits").number, 1);
            assert!(shares.granted(PartId(part)).is_some());
        }
        assert_eq!(shares.take_whole(), []);
        shares.current(PartId(1)).expect("it waits");
        shares.add(shard(), offer(4, &[1]), &[]);
        shares.granted(PartId(1));
        assert_eq!(shares.take_whole(), [(shard(), 3)]);
        assert_eq!(shares.current(PartId(1)).expect("it waits").number, 2);
        assert!(!shares.is_idle());
        shares.granted(PartId(1));
        assert_eq!(shares.take_whole(), [(shard(), 4)]);
        assert!(shares.is_idle());
    }

    #[test]
    fn what_is_of_no_use_is_reported_when_it_is_forgotten() {
        let mut shares = shares();
        shares.add(shard(), offer(1, &[0, 1]), &[]);
        shares.current(PartId(0)).expect("it waits");
        shares.lost(PartId(0));
        shares.add(shard(), offer(2, &[0]), &[]);
        assert!(shares.waiting() == [PartId(1)] && shares.current(PartId(0)).is_none());
        shares.current(PartId(1)).expect("it waits");
        shares.granted(PartId(1));
        assert_eq!(shares.take_whole(), []);
        shares.forgotten(PartId(0));
        assert_eq!(shares.take_whole(), [(shard(), 2)]);
        shares.begin(Millis(9), PartId(0), Batch::default());
        assert!(shares.is_idle());
    }

    #[test]
    fn a_full_state_is_that_of_the_parts_that_it_has_whole() {
        let mut shares = shares();
        let mut batch = Batch::default();
        batch.begin_full([room(0), room(1)].into());
        batch.replace(&room(0), 7, std::iter::empty(), std::iter::empty());
        shares.add(shard(), Offer { number: 1, batch, since: Millis(1) }, &[0, 2]);
        for (part, is_full) in [(0, true), (2, true)] {
            let share = shares.current(PartId(part)).expect("it waits");
            assert_eq!(share.group.has_resets(), is_full, "{part}");
            share.group.resolve(&[room(part)], 1);
            let replaces = share.group.deltas().values().filter(|delta| delta.replace).count();
            assert_eq!(replaces, 1, "{part}");
        }
        assert!(shares.current(PartId(1)).is_none(), "of that part nothing is known");
    }

    #[test]
    fn events_go_with_their_part_and_a_gap_goes_with_one() {
        let mut shares = shares();
        let event = |part| Event { room: room(part), n: 1, number: Number::Passing, text: "{}".into() };
        let mut batch = Batch::default();
        batch.log(Logged { events: vec![event(3), event(1), event(3)], has_gap: true });
        shares.add(shard(), Offer { number: 1, batch, since: Millis(1) }, &[]);
        let mut of = |part| {
            let logged = &shares.current(PartId(part)).expect("it waits").logged;
            (logged.events.len(), logged.has_gap)
        };
        assert_eq!((of(1), of(3)), ((1, true), (2, false)));
    }
}
