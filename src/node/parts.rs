//! What a node is made of: what the operator decides, its bounds, and its parts. Plain data. Never here: behaviour.

use std::sync::Arc;

use super::SecondRules;
use super::hot::HotRooms;
use super::rate::Rate;
use crate::audience::budget::Budget;
use crate::audience::full_states::FullStateBounds;
use crate::audience::pace::Pace;
use crate::engine::ids::ShardId;
use crate::engine::shard::Shard;
use crate::limits::{
    FLUSH_BYTES_PER_TURN, OPEN_REQUESTS_MAX, OUTBOUND_QUEUE_BYTES, ROOM_LOG_BYTES_MAX, SHARED_STATE_BYTES_MIN,
    SLICE_MEMBERS,
};
use crate::persist::link::StoreLink;
use crate::wire::message::BroadcastUserInfo;

/// What the operator decides about a shard.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How much of `user_info` strangers see.
    pub share: BroadcastUserInfo,
    /// How passes are spread over time.
    pub pace: Pace,
    /// Members from which on a room is spread over all shards.
    pub hot_room_members: usize,
    /// How long a full state may be on its way before a consumer that drops events again is closed.
    pub slow_consumer_ms: u64,
    /// How long a peer may be silent, and how long its socket may take nothing, however much it says meanwhile.
    pub silence_ms: u64,
    /// The life of a hold, which bounds that of one from before a restart.
    pub hold_ttl_ms: u64,
    /// How long a hold from before a restart waits for its client.
    pub restore_grace_ms: u64,
    /// Nobody is told of a change before the store has it.
    pub is_durable: bool,
    /// What concerns the second protocol alone.
    pub second: SecondRules,
}

/// The bounds of a shard. The defaults are the server's, without a rate; a simulation reaches smaller ones sooner.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// What waits for one connection, in bytes.
    pub queue_bytes: usize,
    /// The log of one room, in bytes.
    pub log_bytes: usize,
    /// Requests of one connection that are not answered.
    pub open_requests: u16,
    /// What leaves as replies and full states in one turn, in bytes.
    pub flush_bytes: u64,
    /// Members that are served before other rooms get their turn.
    pub slice_members: usize,
    /// Bytes from which on a full state is shared.
    pub shared_state_bytes: usize,
    /// Full states on their way.
    pub full_states: FullStateBounds,
    /// How often messages of one connection may come.
    pub rate: Rate,
    /// How often messages from one address may come to this shard.
    pub origin_rate: Rate,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            queue_bytes: OUTBOUND_QUEUE_BYTES,
            log_bytes: ROOM_LOG_BYTES_MAX,
            open_requests: OPEN_REQUESTS_MAX,
            flush_bytes: FLUSH_BYTES_PER_TURN,
            slice_members: SLICE_MEMBERS,
            shared_state_bytes: SHARED_STATE_BYTES_MIN,
            full_states: FullStateBounds::default(),
            rate: Rate::OFF,
            origin_rate: Rate::OFF,
        }
    }
}

/// What a shard is made of.
#[derive(Debug)]
pub struct Parts {
    /// Which one it is.
    pub id: ShardId,
    /// How many there are.
    pub shards: usize,
    /// What the operator decides.
    pub rules: Rules,
    /// Its bounds.
    pub bounds: Bounds,
    /// The rooms that it owns.
    pub seats: Shard,
    /// The table that all shards share.
    pub hot: HotRooms,
    /// What the memory of all shards takes, and may take.
    pub budget: Budget,
    /// The way to the store, when there is one.
    pub store: Option<Arc<StoreLink>>,
}
