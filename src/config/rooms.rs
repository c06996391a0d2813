//! What holds in rooms: how long a hold lives, how many a client may have, who gets one back.
//!
//! Never here: the decisions about seats.

use super::values::Values;
use crate::engine::shard::CartRules;
pub use crate::engine::shard::RestoreBy;
pub use crate::wire::message::BroadcastUserInfo;

/// What holds in rooms.
#[derive(Clone, Copy, Debug)]
pub struct Rooms {
    /// How long a hold lives.
    pub hold_ttl_ms: u64,
    /// Seats one connection may hold in one room; 0 is no limit.
    pub seats_per_client_max: u32,
    /// Seats of one shard held from one address; 0 is no limit.
    pub seats_per_ip_max: u32,
    /// How long after its hold has run out a client may not take that seat again; 0: at once.
    pub reselect_after_ms: u64,
    /// What holds for carts and those who have them.
    pub carts: CartRules,
    /// Time between two deltas of a room.
    pub tick_v2_ms: u64,
    /// Changes of a room that are remembered for those who come back.
    pub ring_max: usize,
    /// How long a restored hold waits for its client.
    pub restore_grace_ms: u64,
    /// Who gets a hold back after a restart.
    pub restore_by: RestoreBy,
    /// What other members see of `user_info`.
    pub broadcast_user_info: BroadcastUserInfo,
}

impl Rooms {
    pub(super) fn read(values: &Values) -> Result<Self, String> {
        Ok(Self {
            hold_ttl_ms: values.u64("HOLD_TTL_MS")?,
            seats_per_client_max: values.u32("MAX_SEATS_PER_CLIENT")?,
            seats_per_ip_max: values.u32("MAX_SEATS_PER_IP")?,
            reselect_after_ms: values.u64("RESELECT_AFTER_MS")?,
            carts: CartRules {
                grace_ms: values.u64("SESSION_GRACE_MS")?,
                extends_max: u8::try_from(values.u32("HOLD_EXTENDS_MAX")?).expect("its bound fits a byte"),
                life_max_ms: values.u64("HOLD_LIFE_MAX_MS")?,
                warn_ms: values.u64("HOLD_WARN_MS")?,
                only_declared: values.choice("ROOMS")? == Some("declared"),
                room_keep_ms: values.u64("ROOM_KEEP_MS")?,
            },
            tick_v2_ms: values.u64("TICK_V2_MS")?,
            ring_max: values.usize("ROOM_RING_MAX")?,
            restore_grace_ms: values.u64("RESTORE_GRACE_MS")?,
            restore_by: match values.choice("RESTORE_BY")? {
                Some("client_id") => RestoreBy::ClientId,
                Some("proof") => RestoreBy::Proof,
                _ => RestoreBy::Address,
            },
            broadcast_user_info: match values.choice("BROADCAST_USER_INFO")? {
                Some("name") => BroadcastUserInfo::Name,
                Some("none") => BroadcastUserInfo::None,
                _ => BroadcastUserInfo::Full,
            },
        })
    }
}
