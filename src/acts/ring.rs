//! The events that are kept, in memory, for all readers: what is committed, in the order of its commit.
//!
//! A place in the log is a number that only grows, also through restarts and when a store has lost its last events: the
//! log of a process begins no earlier than at the wall clock's microsecond. So a cursor never names two events.
//! Invariants: an event stands here once it is committed, and not before; events and bytes are bounded, and the oldest
//! goes first; the lock is held for moments. Never here: stores, HTTP.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::event::{Event, Placed};
use crate::audience::budget::{Budget, Kind};
use crate::engine::time::WallMillis;
use crate::limits::acts::{LOG_ANSWER_BYTES_MAX, LOG_EVENTS_BYTES_MAX, LOG_LOOKED_AT_ONCE, LOG_READERS_MAX};
use crate::planted::{Bug, has};

/// The events that are kept.
#[derive(Debug)]
pub struct Ring {
    events_max: usize,
    budget: Budget,
    inner: Mutex<Inner>,
}

#[derive(Default, Debug)]
struct Inner {
    events: VecDeque<Placed>,
    bytes: usize,
    /// What the budget knows of them.
    counted: usize,
    /// The last place that was given.
    last: u64,
    /// What is behind this is all there.
    whole_from: u64,
    /// Whether the process has given a place.
    is_begun: bool,
    /// Others give the places, and this process follows them.
    is_shared: bool,
    wakers: Vec<Waker>,
}

/// What a reader gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Events with their places.
    pub events: Vec<(u64, Arc<str>)>,
    /// Up to where the log was looked through: the next page begins behind it.
    pub seen: u64,
    /// Whether that is all there is.
    pub is_end: bool,
}

/// The place is too old, or of a log that is no more: what came behind it is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooOld;

impl Ring {
    /// A log without events, for at most so many.
    #[must_use]
    pub fn new(events_max: usize) -> Self {
        Self::within(&Budget::default(), events_max)
    }

    /// The same, that takes no more memory than its share of this budget.
    #[must_use]
    pub fn within(budget: &Budget, events_max: usize) -> Self {
        Self { events_max, budget: budget.clone(), inner: Mutex::default() }
    }

    /// The log begins, with the events that a store had.
    pub fn open(&self, mut stored: Vec<Placed>, now: WallMillis) {
        stored.sort_by_key(|(place, _)| *place);
        let mut inner = self.lock();
        assert!(inner.events.is_empty(), "a log is opened before something happens");
        if let Some((first, _)) = stored.first() {
            inner.whole_from = first - 1;
        }
        inner.last = stored.last().map_or(inner.last, |(place, _)| *place);
        for (place, event) in stored {
            inner.bytes += event.cost();
            inner.events.push_back((place, event));
        }
        let outgrown = self.outgrown(&inner, 0, 0);
        inner.forget(outgrown);
        self.count(&mut inner);
        inner.begin(now);
    }

    /// The log of several nodes begins, of which this is there, with the last place that was given.
    pub fn open_shared(&self, stored: Vec<Placed>, last: u64) {
        let mut inner = self.lock();
        assert!(inner.events.is_empty(), "a log is opened before something happens");
        (inner.is_begun, inner.is_shared) = (true, true);
        inner.whole_from = stored.first().map_or(last, |(first, _)| first - 1);
        inner.last = stored.last().map_or(last, |(place, _)| *place).max(last);
        for (place, event) in stored {
            inner.bytes += event.cost();
            inner.events.push_back((place, event));
        }
        let outgrown = self.outgrown(&inner, 0, 0);
        inner.forget(outgrown);
        self.count(&mut inner);
    }

    /// These are committed, by whichever node, with the places that they got; a place without an event is a gap.
    pub fn follow(&self, events: Vec<(u64, Option<Event>)>) {
        let mut inner = self.lock();
        debug_assert!(inner.is_shared, "a log of one process gives its places");
        for (place, event) in events {
            if inner.events.back().is_some_and(|(last, _)| *last >= place) {
                continue;
            }
            inner.last = inner.last.max(place);
            let Some(event) = event else {
                let all = inner.events.len();
                inner.forget(all);
                inner.whole_from = place;
                continue;
            };
            let outgrown = self.outgrown(&inner, 1, event.cost());
            inner.forget(outgrown);
            inner.bytes += event.cost();
            inner.events.push_back((place, event));
        }
        self.count(&mut inner);
        let wakers = std::mem::take(&mut inner.wakers);
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Gives the events places behind all others.
    pub fn place(&self, events: Vec<Event>, now: WallMillis) -> Vec<Placed> {
        let mut inner = self.lock();
        inner.begin(now);
        let place = |event| {
            inner.last += 1;
            (inner.last, event)
        };
        events.into_iter().map(place).collect()
    }

    /// The places of the events that go when these come.
    #[must_use]
    pub fn going(&self, coming: &[Placed]) -> Vec<u64> {
        let inner = self.lock();
        let bytes = coming.iter().map(|(_, event)| event.cost()).sum();
        let count = self.outgrown(&inner, coming.len(), bytes) + usize::from(has(Bug::TrimmedTooFar));
        inner.events.iter().take(count).map(|(place, _)| *place).collect()
    }

    /// The places of all events.
    #[must_use]
    pub fn places(&self) -> Vec<u64> {
        self.lock().events.iter().map(|(place, _)| *place).collect()
    }

    /// These are committed; what was said to go with them goes, also with none.
    pub fn append(&self, events: Vec<Placed>) {
        let is_any = !events.is_empty();
        let mut inner = self.lock();
        let bytes = events.iter().map(|(_, event)| event.cost()).sum();
        let outgrown = self.outgrown(&inner, events.len(), bytes);
        inner.forget(outgrown);
        for (place, event) in events {
            assert!(inner.events.back().is_none_or(|(last, _)| *last < place), "places only grow");
            inner.bytes += event.cost();
            inner.events.push_back((place, event));
        }
        self.count(&mut inner);
        let wakers = if is_any { std::mem::take(&mut inner.wakers) } else { Vec::new() };
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Places and appends what needs no store.
    pub fn tell(&self, events: Vec<Event>, now: WallMillis) {
        let mut inner = self.lock();
        inner.begin(now);
        let mut bytes = 0;
        let count = events.len();
        let mut placed = Vec::with_capacity(count);
        for event in events {
            inner.last += 1;
            bytes += event.cost();
            placed.push((inner.last, event));
        }
        let outgrown = self.outgrown(&inner, count, bytes);
        inner.forget(outgrown);
        inner.bytes += bytes;
        inner.events.extend(placed);
        self.count(&mut inner);
        let wakers = std::mem::take(&mut inner.wakers);
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Something that happened is not in the log: nobody can read on over that.
    pub fn note_gap(&self, now: WallMillis) {
        let mut inner = self.lock();
        inner.begin(now);
        let all = inner.events.len();
        inner.forget(all);
        self.count(&mut inner);
        inner.last += 1;
        inner.whole_from = inner.last;
    }

    /// The first events behind a place, or from the beginning, of one room or of all.
    ///
    /// # Errors
    /// What came behind the place is not known any more.
    pub fn read(&self, after: Option<u64>, limit: usize, room: Option<&str>) -> Result<Page, TooOld> {
        let inner = self.lock();
        let after = match after {
            None => inner.whole_from,
            Some(after) if after < inner.whole_from && !has(Bug::TrimmedUnsaid) => return Err(TooOld),
            // Of a log of several nodes another one may have shown more already.
            Some(after) if after > inner.last && !inner.is_shared => return Err(TooOld),
            Some(after) => after,
        };
        let start = inner.events.partition_point(|(place, _)| *place <= after);
        let mut page = Page { events: Vec::new(), seen: after, is_end: true };
        let mut bytes = 0;
        for (looked, (place, event)) in inner.events.range(start..).enumerate() {
            if page.events.len() == limit || bytes >= LOG_ANSWER_BYTES_MAX || looked == LOG_LOOKED_AT_ONCE {
                page.is_end = false;
                return Ok(page);
            }
            if room.is_none_or(|room| room == event.room.as_str()) {
                bytes += event.text.len();
                page.events.push((*place, Arc::clone(&event.text)));
            }
            page.seen = *place;
        }
        Ok(page)
    }

    /// Ready when there is something behind this place.
    pub fn poll_behind(&self, place: u64, context: &Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if inner.events.back().is_some_and(|(last, _)| *last > place) || inner.whole_from > place {
            return Poll::Ready(());
        }
        if !inner.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            if inner.wakers.len() >= 2 * LOG_READERS_MAX {
                // Those of readers that have gone are among them: all others ask again.
                inner.wakers.drain(..).for_each(Waker::wake);
            }
            inner.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// How many of the oldest events go when so many come, with so many bytes.
    fn outgrown(&self, inner: &Inner, count: usize, bytes: usize) -> usize {
        let (mut events, mut all, mut going) = (inner.events.len() + count, inner.bytes + bytes, 0);
        let bytes_max = LOG_EVENTS_BYTES_MAX.min(self.budget.max(Kind::Acts));
        while going < inner.events.len() && (events > self.events_max || all > bytes_max) {
            all -= inner.events[going].1.cost();
            events -= 1;
            going += 1;
        }
        going
    }

    /// Tells the budget.
    fn count(&self, inner: &mut Inner) {
        let counted = std::mem::replace(&mut inner.counted, inner.bytes);
        self.budget.charge(Kind::Acts, inner.bytes.saturating_sub(counted));
        self.budget.release(Kind::Acts, counted.saturating_sub(inner.bytes));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that holds the lock can panic half-way.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The first place that this process gives lies behind every place that another can have given.
    fn begin(&mut self, now: WallMillis) {
        if std::mem::replace(&mut self.is_begun, true) {
            return;
        }
        let is_new = self.events.is_empty();
        self.last = self.last.max(now.0.saturating_mul(1_000));
        if is_new {
            self.whole_from = self.last;
        }
    }

    fn forget(&mut self, count: usize) {
        for _ in 0..count {
            let (place, event) = self.events.pop_front().expect("no more go than there are");
            self.bytes -= event.cost();
            self.whole_from = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, Ring, TooOld};
    use crate::acts::event::{Event, Number};
    use crate::audience::budget::{Budget, Kind};
    use crate::engine::ids::RoomId;
    use crate::engine::time::WallMillis;
    use crate::limits::MEMORY_BUDGET_BYTES_MIN;

    fn event(room: &str, n: u64) -> Event {
        Event { room: RoomId::new(room).unwrap(), n, number: Number::Passing, text: format!("{{{n}}}").into() }
    }

    fn texts(page: &Page) -> Vec<&str> {
        page.events.iter().map(|(_, text)| &**text).collect()
    }

    #[test]
    fn it_takes_no_more_than_its_share_of_the_memory() {
        let budget = Budget::of(MEMORY_BUDGET_BYTES_MIN);
        let (ring, now) = (Ring::within(&budget, usize::MAX), WallMillis(1_000));
        let cost = event("a room", 1).cost();
        for n in 0..(2 * budget.max(Kind::Acts) / cost) as u64 {
            ring.tell(vec![event("a room", n)], now);
            assert!(budget.used(Kind::Acts) <= budget.max(Kind::Acts));
        }
        assert!(budget.used(Kind::Acts) > budget.max(Kind::Acts) - 2 * cost, "the oldest go, and no more");
        ring.note_gap(now);
        assert_eq!(budget.used(Kind::Acts), 0);
    }

    #[test]
    fn readers_go_on_from_their_place_until_it_is_too_old() {
        let (ring, now) = (Ring::new(3), WallMillis(1_000));
        assert_eq!(ring.read(None, 10, None).unwrap().events, []);
        ring.tell(vec![event("a", 1), event("b", 1)], now);
        let first = ring.read(None, 1, None).unwrap();
        assert_eq!((texts(&first), first.is_end), (vec!["{1}"], false));
        let next = ring.read(Some(first.seen), 10, None).unwrap();
        assert_eq!((next.events.len(), next.is_end), (1, true));
        assert_eq!(ring.read(Some(next.seen), 10, None).unwrap().events, []);
        let placed = ring.place(vec![event("a", 2), event("a", 3)], now);
        assert_eq!(ring.read(Some(next.seen), 10, None).unwrap().events, [], "not before it is committed");
        assert_eq!(ring.going(&placed), [first.seen]);
        ring.append(placed);
        assert_eq!(texts(&ring.read(None, 10, Some("a")).unwrap()), ["{2}", "{3}"]);
        assert_eq!(ring.read(Some(first.seen), 10, Some("a")).unwrap().events.len(), 2);
        ring.tell(vec![event("a", 4)], now);
        assert_eq!(ring.read(Some(first.seen), 10, None), Err(TooOld));
        assert_eq!(ring.read(Some(u64::MAX), 10, None), Err(TooOld));
        let end = ring.read(None, 10, None).unwrap().seen;
        ring.note_gap(now);
        assert_eq!(ring.read(Some(end), 10, None), Err(TooOld));
    }

    #[test]
    fn a_log_of_several_nodes_is_read_on_at_any_of_them() {
        let (behind, ahead) = (Ring::new(3), Ring::new(3));
        let events: Vec<_> = (1..=4_u64).map(|n| (10 * n, Some(event("a", n)))).collect();
        for (ring, to) in [(&behind, 2), (&ahead, 4)] {
            ring.open_shared(vec![(10, event("a", 1))], 10);
            ring.follow(events[..to].to_vec());
        }
        let seen = ahead.read(None, 10, None).unwrap().seen;
        assert_eq!((seen, ahead.read(Some(5), 10, None)), (40, Err(TooOld)));
        assert_eq!(behind.read(Some(seen), 10, None).unwrap().events, [], "it has not come here yet");
        behind.follow(events);
        assert_eq!(texts(&behind.read(Some(20), 10, None).unwrap()), ["{3}", "{4}"]);
        behind.follow(vec![(50, None), (60, Some(event("a", 9)))]);
        assert_eq!(behind.read(Some(40), 10, None), Err(TooOld), "a gap");
        assert_eq!(texts(&behind.read(Some(50), 10, None).unwrap()), ["{9}"]);
        let empty = Ring::new(3);
        empty.open_shared(Vec::new(), 70);
        assert_eq!((empty.read(Some(60), 10, None), empty.read(Some(70), 10, None).is_ok()), (Err(TooOld), true));
    }

    #[test]
    fn another_process_gives_places_behind_those_of_the_last() {
        let old = Ring::new(10);
        let stored = old.place(vec![event("a", 1), event("a", 2)], WallMillis(5));
        let last = stored[1].0;
        for (stored, now) in [(stored.clone(), 1), (stored, 9_000), (Vec::new(), 6)] {
            let (ring, is_kept) = (Ring::new(10), !stored.is_empty());
            ring.open(stored, WallMillis(now));
            ring.tell(vec![event("a", 3)], WallMillis(now));
            let page = ring.read(Some(last), 10, None);
            assert_eq!(page.map(|page| page.events.len()), if is_kept { Ok(1) } else { Err(TooOld) });
        }
    }
}
