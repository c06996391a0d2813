//! Between the shards and the store thread: one place a shard.
//!
//! Invariants: a shard never waits here: when its place or the lock is taken, it keeps its batch and tries again in its
//! next turn. So at most one batch a shard waits, and batches of a shard are taken in the order in which they were
//! offered. Never here: what is done with a batch.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::engine::ids::ShardId;
use crate::engine::time::Millis;

use super::batch::Batch;

/// A batch on its way to the store.
#[derive(Debug)]
pub struct Offer {
    /// Counted by its shard, from 1.
    pub number: u64,
    /// The changes.
    pub batch: Batch,
    /// When its oldest change was made.
    pub since: Millis,
}

/// What the store thread found.
#[derive(Debug, Default)]
pub struct Taken {
    /// The batches that waited, by shard.
    pub offers: Vec<(ShardId, Offer)>,
    /// Whether the process ends: nothing comes after this.
    pub is_last: bool,
}

/// The places of all shards.
#[derive(Debug)]
pub struct Queue {
    places: Mutex<Places>,
    wake: Condvar,
}

#[derive(Debug)]
struct Places {
    offers: Vec<Option<Offer>>,
    /// The number of the last offer of each shard.
    last: Vec<u64>,
    /// Whether the store thread sleeps until there is something. It is not woken while it gathers.
    is_idle: bool,
    /// Somebody has other news for the store thread.
    is_nudged: bool,
    /// Whether an answer waits for something that is here, or is to come as soon as there is a place.
    is_hurried: bool,
    is_closed: bool,
}

impl Places {
    /// The shard has offered this batch.
    fn note(&mut self, shard: ShardId, number: u64) {
        assert!(!self.is_closed, "nothing is offered to a queue that is closed");
        let last = &mut self.last[shard.index()];
        assert!(number > *last, "a shard's batches are offered in the order of their numbers");
        *last = number;
    }
}

impl Queue {
    /// A queue for this many shards.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        let offers = std::iter::repeat_with(|| None).take(shards).collect();
        let places = Places {
            offers,
            last: vec![0; shards],
            is_idle: false,
            is_nudged: false,
            is_hurried: false,
            is_closed: false,
        };
        Self { places: Mutex::new(places), wake: Condvar::new() }
    }

    /// How many shards have a place.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.lock().offers.len()
    }

    /// Whether the shard's place is free. Only that shard can take it.
    #[must_use]
    pub fn is_free(&self, shard: ShardId) -> bool {
        self.places.try_lock().is_ok_and(|places| places.offers[shard.index()].is_none())
    }

    /// Puts a batch into the shard's place, without waiting.
    ///
    /// # Errors
    /// Gives the offer back when the place is taken.
    #[allow(clippy::result_large_err, reason = "what comes back is what was given, and it seldom does")]
    pub fn offer(&self, shard: ShardId, offer: Offer) -> Result<(), Offer> {
        let Ok(mut places) = self.places.try_lock() else { return Err(offer) };
        let place = &mut places.offers[shard.index()];
        if place.is_some() {
            return Err(offer);
        }
        let (number, is_awaited) = (offer.number, offer.batch.is_awaited());
        debug_assert!(!offer.batch.is_empty(), "a batch has something to commit");
        *place = Some(offer);
        places.note(shard, number);
        if is_awaited {
            self.wake_at_once(places);
        } else {
            self.wake_if_idle(places);
        }
        Ok(())
    }

    /// An answer waits for what a shard has, and its place is taken: the store thread gathers no longer.
    pub fn hurry(&self) {
        // Who holds the lock is a shard for a moment, or the store thread on its way: then the next turn says it again.
        if let Ok(places) = self.places.try_lock() {
            self.wake_at_once(places);
        }
    }

    /// Puts a shard's last batch into its place, on top of what may be there. For the end of the process only.
    pub fn offer_last(&self, shard: ShardId, offer: Offer) {
        let mut places = self.lock();
        places.note(shard, offer.number);
        let place = &mut places.offers[shard.index()];
        *place = Some(match place.take() {
            Some(mut before) => {
                debug_assert!(before.since <= offer.since, "what came first is older");
                before.batch.merge(offer.batch);
                Offer { number: offer.number, ..before }
            }
            None => offer,
        });
        self.wake_if_idle(places);
    }

    /// Wakes the store thread, now or at its next wait, for something that is not in the queue.
    pub fn nudge(&self) {
        let mut places = self.lock();
        places.is_nudged = true;
        self.wake_if_idle(places);
    }

    /// Nothing will be offered any more.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.wake.notify_one();
    }

    /// For the store thread: waits up to `idle_ms` until there is something, gathers for `gather_ms` more unless an
    /// answer waits, and takes all there is. A closed queue makes nobody wait.
    pub fn take(&self, idle_ms: u64, gather_ms: u64) -> Taken {
        let mut places = self.lock();
        places.is_idle = true;
        let nothing =
            |places: &mut Places| !places.is_closed && !places.is_nudged && places.offers.iter().all(Option::is_none);
        (places, _) = self
            .wake
            .wait_timeout_while(places, Duration::from_millis(idle_ms), nothing)
            .expect("nobody panics with the lock");
        (places.is_idle, places.is_nudged) = (false, false);
        let is_any = places.offers.iter().any(Option::is_some);
        if gather_ms > 0 && is_any {
            let gather = Duration::from_millis(gather_ms);
            (places, _) = self
                .wake
                .wait_timeout_while(places, gather, |places| !places.is_closed && !places.is_hurried)
                .expect("nobody panics with the lock");
        }
        places.is_hurried = false;
        let offers = places.offers.iter_mut().enumerate();
        let offers: Vec<_> = offers.filter_map(|(shard, place)| Some((ShardId::new(shard), place.take()?))).collect();
        for (shard, offer) in &offers {
            assert_eq!(offer.number, places.last[shard.index()], "a shard's place has what it offered last");
        }
        debug_assert!(places.offers.iter().all(Option::is_none), "all there was is taken");
        Taken { offers, is_last: places.is_closed }
    }

    /// For the store thread after a failure: waits, and returns at once when the queue is closed.
    pub fn pause(&self, ms: u64) -> bool {
        let places = self.lock();
        let (places, _) = self
            .wake
            .wait_timeout_while(places, Duration::from_millis(ms), |places| !places.is_closed)
            .expect("nobody panics with the lock");
        places.is_closed
    }

    fn wake_at_once(&self, mut places: MutexGuard<'_, Places>) {
        let was_awake = std::mem::replace(&mut places.is_hurried, true);
        let was_idle = std::mem::replace(&mut places.is_idle, false);
        drop(places);
        if was_idle || !was_awake {
            self.wake.notify_one();
        }
    }

    fn wake_if_idle(&self, mut places: MutexGuard<'_, Places>) {
        let was_idle = std::mem::replace(&mut places.is_idle, false);
        drop(places);
        if was_idle {
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().expect("nobody panics with the lock")
    }
}
