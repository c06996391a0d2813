//! The queue between shards and the store thread: who waits for an answer is not gathered for.

use std::sync::Arc;

use butaca::engine::ids::ShardId;
use butaca::engine::time::Millis;
use butaca::persist::batch::Batch;
use butaca::persist::queue::{Offer, Queue, Taken};

use crate::rig::{held, room, seat};

/// Longer than any test: what gathers so long hangs.
const AGES_MS: u64 = 3_600_000;

fn offer(number: u64, is_awaited: bool) -> Offer {
    let mut batch = Batch::default();
    batch.put(&room("r"), seat(&number.to_string()), Some(held("ana", number)));
    if is_awaited {
        batch.expect();
    }
    Offer { number, batch, since: Millis(1) }
}

fn offers(taken: &Taken) -> Vec<u64> {
    taken.offers.iter().map(|(_, offer)| offer.number).collect()
}

/// Puts it there, however often the store thread has the lock.
fn put(queue: &Queue, mut offer: Offer) {
    while let Err(back) = queue.offer(ShardId::new(0), offer) {
        offer = back;
        std::thread::yield_now();
    }
}

#[test]
fn what_is_awaited_is_taken_at_once() {
    let queue = Arc::new(Queue::new(2));
    put(&queue, offer(1, true));
    assert_eq!(offers(&queue.take(AGES_MS, AGES_MS)), [1]);
    let taking = std::thread::spawn({
        let queue = Arc::clone(&queue);
        move || queue.take(AGES_MS, AGES_MS)
    });
    // Also when it comes while the thread sleeps or gathers.
    put(&queue, offer(2, true));
    assert_eq!(offers(&taking.join().expect("it does not panic")), [2]);
}

#[test]
fn what_is_in_the_way_is_taken_as_well() {
    let queue = Arc::new(Queue::new(2));
    put(&queue, offer(1, false));
    let taking = std::thread::spawn({
        let queue = Arc::clone(&queue);
        move || queue.take(AGES_MS, AGES_MS)
    });
    // Said in every turn of the shard, until there is a place.
    while !taking.is_finished() {
        queue.hurry();
        std::thread::yield_now();
    }
    assert_eq!(offers(&taking.join().expect("it does not panic")), [1]);
}
