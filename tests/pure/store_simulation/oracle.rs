//! What clients were told, kept apart from the server: the order of each room, and who holds what.

use std::collections::BTreeMap;

use butaca::engine::command::{ChangeKind, Effect};
use butaca::engine::ids::{ClientId, Epoch, RoomId, SeatId};
use butaca::engine::time::WallMillis;

#[derive(Default)]
pub(crate) struct Oracle {
    /// The seats that clients believe to be held, with the holder and the end.
    pub(crate) held: BTreeMap<(RoomId, SeatId), (ClientId, WallMillis)>,
    /// The number of the last change that was told, for each life of a room.
    told: BTreeMap<(RoomId, u64), u64>,
    pub(crate) happened: BTreeMap<&'static str, u64>,
}

impl Oracle {
    pub(crate) fn note(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }

    /// A life of a room begins with this number.
    pub(crate) fn begins(&mut self, room: &RoomId, epoch: Epoch, seq: u64) {
        assert!(self.told.insert((room.clone(), epoch.0), seq).is_none(), "an epoch is used twice");
    }

    pub(crate) fn told(&mut self, effect: &Effect) {
        match effect {
            Effect::Change(change) => {
                let last = self.told.entry((change.room.clone(), change.epoch.0)).or_insert(0);
                assert_eq!(change.seq, *last + 1, "{} is told out of order", change.room);
                *last = change.seq;
                let place = (change.room.clone(), change.seat.clone());
                match &change.kind {
                    ChangeKind::Selected { expires_at, .. } => {
                        let before = self.held.insert(place, (change.client.clone(), expires_at.expect("a hold ends")));
                        assert!(before.is_none(), "a seat has two owners: {change:?}, {before:?}");
                    }
                    ChangeKind::Released { .. } => {
                        let before = self.held.remove(&place);
                        assert_eq!(before.map(|(client, _)| client), Some(change.client.clone()), "{change:?}");
                    }
                }
            }
            Effect::Joined { room, seq, epoch, .. } => {
                let last = self.told.get(&(room.clone(), epoch.0)).copied().unwrap_or(0);
                assert_eq!(*seq, last, "a full state of {room} is ahead of what was told, or behind");
            }
            Effect::Left { .. } | Effect::Snapshot { .. } | Effect::Again { .. } | Effect::Refused { .. } => {}
            _ => unreachable!("v1 alone"),
        }
    }
}
