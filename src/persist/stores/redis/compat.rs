//! The keys of the old service: beside each held seat, what it wrote under `selection:ROOM:SEAT`.
//!
//! Invariant: a key lives no longer than its hold. Never here: our own keys.

use ::redis::{Cmd, cmd};

use crate::engine::command::{SeatStatus, Selection};
use crate::engine::ids::{RoomId, SeatId};
use crate::engine::time::WallMillis;
use crate::persist::batch::Deltas;
use crate::persist::record::Held;
use crate::wire::message;

/// What makes the old service's keys say what these changes say.
pub(super) fn commands(deltas: &Deltas, now: WallMillis) -> Vec<Cmd> {
    let mut commands = Vec::new();
    for (room, delta) in deltas {
        for (seat, held) in &delta.seats {
            let key = format!("selection:{room}:{seat}");
            commands.push(match held {
                // The old service knew nothing but holds.
                Some(held) if held.expires_at > now && !held.is_lasting() => {
                    let left_ms = held.expires_at.0 - now.0;
                    cmd("SET").arg(key).arg(json(room, seat, held)).arg("PX").arg(left_ms).take()
                }
                _ => cmd("DEL").arg(key).take(),
            });
        }
    }
    commands
}

/// What the old service wrote under its key of a seat.
fn json(room: &RoomId, seat: &SeatId, held: &Held) -> Vec<u8> {
    let Held { client, user_info, at, expires_at, origin, .. } = held;
    let (index, status, at, expires_at, origin) = (None, SeatStatus::Held, *at, Some(*expires_at), *origin);
    let selection = Selection { client, seat, index, status, user_info, at, expires_at, origin };
    let mut json = Vec::new();
    message::selection_body(&mut json, room.as_str(), &selection, message::BroadcastUserInfo::Full);
    json
}
