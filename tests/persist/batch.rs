//! Batches, groups and records: pure.

use std::collections::BTreeSet;

use butaca::engine::ids::{Origin, RoomId, ShardId, shard_of};
use butaca::engine::time::WallMillis;
use butaca::limits::{HOLD_TTL_MS_MAX, SEQ_MAX, STORED_WALL_MS_MAX};
use butaca::persist::batch::{Batch, Group};
use butaca::persist::record::{self, Held, StoredHold, Unusable};
use butaca::persist::stores::store::Loaded;
use butaca::persist::thread::restore::sift;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

use crate::rig::{held, now, room, seat};

#[test]
fn the_last_write_of_a_seat_wins_and_the_counts_follow() {
    let mut batch = Batch::default();
    batch.put(&room("r"), seat("1"), Some(held("ana", 1)));
    let one = (batch.entries(), batch.bytes());
    batch.put(&room("r"), seat("1"), None);
    batch.put(&room("r"), seat("1"), Some(held("eve", 3)));
    assert_eq!((batch.entries(), batch.bytes()), one);
    let mut newer = Batch::default();
    newer.put(&room("r"), seat("1"), None);
    newer.put(&room("r"), seat("2"), None);
    batch.merge(newer);
    assert_eq!(batch.entries(), 2);
    let mut group = Group::default();
    group.add(ShardId::new(0), 1, batch);
    assert!(group.deltas()["r"].seats.values().all(Option::is_none));
}

#[test]
fn pairs_are_not_flattened() {
    let mut batch = Batch::default();
    batch.put(&room("x:y"), seat("z"), Some(held("ana", 1)));
    batch.put(&room("x"), seat("y:z"), Some(held("eve", 1)));
    assert_eq!(batch.entries(), 2);
}

#[test]
fn a_full_state_empties_what_no_longer_exists_on_its_shard_only() {
    let shards = 2;
    let names: Vec<RoomId> = (0..20).map(|n| room(&format!("room {n}"))).collect();
    let mine = ShardId::new(1);
    let own: Vec<&RoomId> = names.iter().filter(|name| shard_of(name.as_str(), shards) == mine).collect();
    let (kept, gone) = own.split_at(own.len() / 2);
    let mut group = Group::default();
    let mut before = Batch::default();
    own.iter().for_each(|room| before.put(room, seat("old"), Some(held("ana", 1))));
    group.add(mine, shards, before);
    let mut full = Batch::default();
    full.begin_full(kept.iter().map(|&room| room.clone()).collect::<BTreeSet<_>>());
    kept.iter().for_each(|room| full.replace(room, 7, std::iter::empty(), std::iter::empty()));
    group.add(mine, shards, full);
    group.resolve(&names, shards);
    assert_eq!(group.entries(), 0, "what was changed before the full state is in it");
    assert_eq!(group.deltas().len(), own.len());
    assert!(group.deltas().values().all(|delta| delta.replace));
    assert!(gone.iter().all(|room| group.deltas()[room.as_str()].seats.is_empty()));
}

#[test]
fn records_come_back_as_they_were() {
    let (room, seat, held) = (room("a room"), seat("κ:1"), held("ana", 42));
    let mut bytes = Vec::new();
    record::encode(&room, &seat, &held, &mut bytes);
    assert_eq!(record::decode(&room, &seat, &bytes), Ok(held));
}

/// The clock is set back, and a hold goes into an order with a new end: that is before the hold began.
#[test]
fn a_record_is_read_whatever_the_clock_did() {
    let (room, seat) = (room("r"), seat("1"));
    let (expires_at, mut bytes) = (now().wall, Vec::new());
    let held = Held { at: expires_at.after(1), expires_at, ..held("ana", 1) };
    record::encode(&room, &seat, &held, &mut bytes);
    assert_eq!(record::decode(&room, &seat, &bytes), Ok(Held { at: expires_at, ..held }));
}

#[test]
fn no_damage_is_believed() {
    let (room_id, seat_id) = (room("r"), seat("1"));
    let mut bytes = Vec::new();
    record::encode(&room_id, &seat_id, &held("ana", 1), &mut bytes);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(record::decode(&room_id, &seat_id, &damaged).is_err(), "bit {bit} of byte {at}");
        }
        assert!(record::decode(&room_id, &seat_id, &bytes[..at]).is_err(), "cut at {at}");
    }
    assert_eq!(record::decode(&room("q"), &seat_id, &bytes), Err(Unusable::Damaged), "another room");
    assert_eq!(record::decode(&room_id, &seat("2"), &bytes), Err(Unusable::Damaged), "another seat");
    bytes[0] = 9;
    assert_eq!(record::decode(&room_id, &seat_id, &bytes), Err(Unusable::UnknownVersion(9)));
}

/// Numbers at and around a bound, and anywhere.
fn around(bound: u64) -> impl Strategy<Value = u64> {
    prop_oneof![bound.saturating_sub(3)..=bound.saturating_add(3), Just(u64::MAX), any::<u64>(), 0..3_u64]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn numbers_that_no_server_writes_are_not_believed(
        seq in around(SEQ_MAX),
        at in around(STORED_WALL_MS_MAX),
        expires_at in around(STORED_WALL_MS_MAX),
        now in around(STORED_WALL_MS_MAX),
        hold_ttl_ms in around(HOLD_TTL_MS_MAX),
    ) {
        let (room, seat) = (room("r"), seat("1"));
        let held = Held { seq, at: WallMillis(at), expires_at: WallMillis(expires_at), ..held("ana", 1) };
        let mut bytes = Vec::new();
        record::encode(&room, &seat, &held, &mut bytes);
        let read = record::decode(&room, &seat, &bytes);
        let is_possible = seq <= SEQ_MAX && expires_at <= STORED_WALL_MS_MAX;
        let written = Held { at: held.at.min(held.expires_at), ..held.clone() };
        assert_eq!(read, if is_possible { Ok(written) } else { Err(Unusable::Damaged) });
        // Whatever a store gives, a start gets a hold that lives no longer than a new one would.
        let loaded = Loaded { holds: vec![StoredHold { room, seat, held }], ..Loaded::default() };
        let (now, hold_ttl_ms) = (WallMillis(now), hold_ttl_ms.max(1));
        for hold in sift(loaded, now, hold_ttl_ms, 1, |_| true).shards.iter().flatten() {
            let (at, end) = (hold.held.at, hold.held.expires_at);
                assert!(at <= now && now < end && end <= now.after(hold_ttl_ms));
        }
    }
}

/// A record of the version before this one tells nobody's origin, and is read all the same.
#[test]
fn a_record_of_version_1_is_read() {
    let (room_id, seat_id) = (room("r"), seat("1"));
    // Of room "r", seat "1": seq 7, at 1000, expires at 2000, client "ana", user_info "{}".
    let mut bytes = vec![1];
    [7_u64, 1_000, 2_000].iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
    bytes.extend_from_slice(&3_u16.to_le_bytes());
    bytes.extend_from_slice(b"ana");
    bytes.extend_from_slice(&2_u32.to_le_bytes());
    bytes.extend_from_slice(b"{}");
    bytes.extend_from_slice(&checksum_of_version_1("r", "1", &bytes).to_le_bytes());
    let held = record::decode(&room_id, &seat_id, &bytes).expect("it is whole");
    assert_eq!((held.client.as_str(), &*held.user_info, held.seq), ("ana", "{}", 7));
    assert_eq!((held.at, held.expires_at, held.origin), (WallMillis(1_000), WallMillis(2_000), Origin::UNKNOWN));
}

/// FNV-1a over room, seat and body, each of the names with its length first.
fn checksum_of_version_1(room: &str, seat: &str, body: &[u8]) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    [room.as_bytes(), seat.as_bytes(), body].iter().fold(0xcbf2_9ce4_8422_2325, |hash, part| {
        part.len().to_le_bytes().into_iter().chain(part.iter().copied()).fold(hash, step)
    })
}

/// What a later server wrote is told from what is no record: the first must not be taken for free.
#[test]
fn records_of_a_later_server_are_told_from_damage() {
    let (room_id, seat_id) = (room("r"), seat("1"));
    let mut bytes = Vec::new();
    record::encode(&room_id, &seat_id, &held("ana", 1), &mut bytes);
    let newer = |first: u8| {
        let mut loaded = Loaded::default();
        let mut changed = bytes.clone();
        changed[0] = first;
        loaded.take_in(&room_id, "1", &changed);
        loaded.take_in(&room_id, "\0ox", &changed);
        assert_eq!((loaded.skipped, loaded.unreadable.len()), (2, 1), "{first}");
        loaded.newer
    };
    assert_eq!([newer(0), newer(3), newer(4), newer(b'n')], [0, 0, 2, 0]);
}
