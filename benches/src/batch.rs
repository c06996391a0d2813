//! Batches: what a change takes on its way to the store.

use std::hint::black_box;
use std::sync::Arc;

use butaca::engine::command::{Change, ChangeKind, ReleaseReason, SeatStatus};
use butaca::engine::ids::{ClientId, Epoch, Origin, RoomId, SeatId, ShardId, ShardSet};
use butaca::engine::time::WallMillis;
use butaca::persist::batch::{Batch, Group};

use super::{USER_INFO, Work};

pub(crate) const WORKS: [&str; 4] =
    ["record_256_seats", "record_256_changes_of_16_seats", "record_1_change", "group_of_4_batches"];

/// Changes of so many seats in `rooms` rooms, every fourth of which is a release.
fn changes(count: u32, seats: u32, rooms: u32) -> Vec<Change> {
    let user_info: Arc<str> = USER_INFO.into();
    let at = WallMillis(1_768_473_000_000);
    let change = |number: u32| Change {
        room: RoomId::new(&format!("hall-{}", number % rooms)).expect("valid"),
        // Seats come in no order, as in a sale.
        seat: SeatId::new(&format!("A-{}", number.wrapping_mul(2_654_435_761) % seats)).expect("valid"),
        index: None,
        client: ClientId::new(&format!("client-{number}")).expect("valid"),
        seq: u64::from(number),
        epoch: Epoch(7),
        actor: None,
        answers: None,
        held: 0,
        audience: ShardSet::EMPTY,
        kind: if number % 4 == 3 {
            ChangeKind::Released { reason: ReleaseReason::Released }
        } else {
            ChangeKind::Selected {
                status: SeatStatus::Held,
                was: SeatStatus::Free,
                at,
                expires_at: Some(at.after(300_000)),
                user_info: Arc::clone(&user_info),
                origin: Origin::UNKNOWN,
                claim: None,
            }
        },
    };
    (0..count).map(change).collect()
}

fn record(changes: &[Change]) -> Batch {
    let mut batch = Batch::default();
    changes.iter().for_each(|change| batch.record(change));
    batch
}

pub(crate) fn prepare(name: &str) -> Work {
    let record_all = |changes: Vec<Change>| -> Work {
        Box::new(move || {
            black_box(record(&changes).entries());
        })
    };
    match name {
        "record_1_change" => record_all(changes(1, 1, 1)),
        "record_256_seats" => record_all(changes(256, 65_536, 4)),
        "record_256_changes_of_16_seats" => record_all(changes(256, 16, 1)),
        "group_of_4_batches" => {
            let changes = changes(256, 4_096, 4);
            Box::new(move || {
                let mut group = Group::default();
                for part in changes.chunks(64) {
                    group.add(ShardId::new(0), 1, record(part));
                }
                black_box(group.entries());
            })
        }
        _ => panic!("there is no work {name}"),
    }
}
