//! What is still true at a start.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use butaca::clock::Clock;
use butaca::engine::ids::RoomId;
use butaca::engine::time::WallMillis;
use butaca::persist::batch::Deltas;
use butaca::persist::queue::Queue;
use butaca::persist::record::StoredHold;
use butaca::persist::stores::store::{Continuity, Loaded, LogShare, Store, StoreError};
use butaca::persist::thread::restore::sift;
use butaca::persist::thread::writer::{self, Setup, StoreEvent};

use crate::rig::{HOLD_TTL_MS, held, room, seat};

fn stored(name: &str, at: u64, expires_at: u64) -> StoredHold {
    let mut held = held("ana", 1);
    (held.at, held.expires_at) = (WallMillis(at), WallMillis(expires_at));
    StoredHold { room: room("r"), seat: seat(name), held }
}

/// What becomes of one hold: its deadline, or nothing.
fn check(at: u64, expires_at: u64, now: u64, deadline: Option<u64>) {
    let loaded = Loaded { holds: vec![stored("1", at, expires_at)], skipped: 0, ..Loaded::default() };
    let restored = sift(loaded, WallMillis(now), HOLD_TTL_MS, 1, |_| true);
    assert_eq!(restored.shards[0].first().map(|hold| hold.held.expires_at.0), deadline);
    assert_eq!(restored.expired.len(), usize::from(deadline.is_none()));
    assert!(restored.shards[0].iter().all(|hold| hold.held.at.0 <= now));
}

#[test]
fn deadlines_are_kept_and_nothing_lives_longer_than_a_new_hold() {
    let made = 1_000_000_000;
    let ends = made + HOLD_TTL_MS;
    check(made, ends, made + 10, Some(ends));
    check(made, ends, ends - 1, Some(ends));
    check(made, ends, ends, None);
    check(made, ends, ends + 1, None);
    // The clock was set back by a day.
    let back = made - 86_400_000;
    check(made, ends, back, Some(back + HOLD_TTL_MS));
}

#[test]
fn holds_come_in_the_order_in_which_they_end() {
    let holds = [5, 3, 9, 1].map(|n| stored(&format!("{n}"), 0, 1_000 + n)).to_vec();
    let restored = sift(Loaded { holds, skipped: 2, ..Loaded::default() }, WallMillis(10), HOLD_TTL_MS, 1, |_| true);
    let order: Vec<_> = restored.shards[0].iter().map(|hold| hold.seat.as_str()).collect();
    assert_eq!(order, ["1", "3", "5", "9"]);
    assert_eq!(restored.skipped, 2);
}

#[test]
fn what_must_not_be_sent_to_clients_is_skipped() {
    let restored = sift(
        Loaded { holds: vec![stored("1", 0, 1_000)], skipped: 0, ..Loaded::default() },
        WallMillis(10),
        HOLD_TTL_MS,
        1,
        |_| false,
    );
    assert_eq!((restored.holds(), restored.skipped), (0, 1));
}

#[test]
fn what_cannot_be_read_is_skipped_and_forgotten() {
    let unreadable = vec![(room("room"), seat("9"))];
    let loaded =
        Loaded { holds: vec![stored("1", 0, 1_000)], skipped: 1, unreadable: unreadable.clone(), ..Loaded::default() };
    let restored = sift(loaded, WallMillis(10), HOLD_TTL_MS, 1, |_| true);
    assert_eq!((restored.holds(), restored.skipped, restored.expired), (1, 1, unreadable));
}

/// A store with one hold that ends too late, which fails when it is first written to.
struct Hesitant {
    attempts: Arc<AtomicUsize>,
}

impl Store for Hesitant {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        Ok(Loaded { holds: vec![stored("1", 0, u64::MAX / 2)], ..Loaded::default() })
    }

    fn rooms(&mut self) -> Result<Vec<RoomId>, StoreError> {
        Ok(vec![room("r")])
    }

    fn commit_logged(&mut self, deltas: &Deltas, _: LogShare<'_>, _: WallMillis) -> Result<Continuity, StoreError> {
        assert_eq!(deltas.values().map(|delta| delta.seats.len()).sum::<usize>(), 1, "the hold with its new deadline");
        match self.attempts.fetch_add(1, Ordering::Relaxed) {
            0 => Err(StoreError::Away("not yet".into())),
            _ => Ok(Continuity::Kept),
        }
    }

    fn renew(&mut self, _: WallMillis) -> Result<Continuity, StoreError> {
        Ok(Continuity::Kept)
    }

    fn lease_ms(&self) -> u64 {
        u64::MAX
    }

    fn close(&mut self) {}
}

/// What a start could not write is read again, and written once.
#[test]
fn a_start_whose_first_write_fails_begins_again() {
    let (attempts, queue) = (Arc::new(AtomicUsize::new(0)), Arc::new(Queue::new(1)));
    let store = Arc::clone(&attempts);
    let opener = move |_| Ok(Box::new(Hesitant { attempts: Arc::clone(&store) }) as Box<dyn Store>);
    let (told, events) = channel();
    let setup = Setup {
        is_durable: true,
        starts_without_store: false,
        accepts_loss: false,
        hold_ttl_ms: HOLD_TTL_MS,
        is_user_info: |_| true,
        clock: Clock::new(),
        log: None,
    };
    let report = Box::new(move |event| told.send(event).expect("the test listens"));
    let thread = writer::start(setup, Box::new(opener), Arc::clone(&queue), Arc::default(), report).expect("a thread");
    let opened = events
        .iter()
        .find_map(|event| if let StoreEvent::Opened(restored) = event { Some(restored.holds()) } else { None });
    assert_eq!((opened, attempts.load(Ordering::Relaxed)), (Some(1), 2));
    queue.close();
    thread.join().expect("it has not panicked");
}
