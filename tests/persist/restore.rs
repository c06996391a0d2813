//! What is still true at a start.

use butaca::engine::time::WallMillis;
use butaca::persist::record::StoredHold;
use butaca::persist::stores::store::Loaded;
use butaca::persist::thread::restore::sift;

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
        Loaded { holds: vec![stored("1", 0, 1_000)], skipped: 1, unreadable: unreadable.clone(), damage: None };
    let restored = sift(loaded, WallMillis(10), HOLD_TTL_MS, 1, |_| true);
    assert_eq!((restored.holds(), restored.skipped, restored.expired), (1, 1, unreadable));
}
