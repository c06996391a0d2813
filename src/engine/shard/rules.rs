//! What the operator decides, and how much there is. Never here: decisions.

use crate::limits::{HOLD_EXTENDS_MAX, HOLD_LIFE_MAX_MS, HOLD_WARN_MS, ROOM_KEEP_MS, SESSION_GRACE_MS};

/// What the operator decides about seats.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How long a hold lives.
    pub hold_ttl_ms: u64,
    /// Seats one connection may hold in one room; 0 switches the limit off.
    pub seats_per_client_max: u32,
}

/// What the operator decides about carts and those who have them.
#[derive(Clone, Copy, Debug)]
pub struct CartRules {
    /// How long an owner without a connection is waited for; 0: not at all.
    pub grace_ms: u64,
    /// How often a cart may be extended.
    pub extends_max: u8,
    /// How long a cart may live after its first seat, however often it is extended.
    pub life_max_ms: u64,
    /// How long before its end the owner of a cart is warned; 0: never.
    pub warn_ms: u64,
    /// Whether only the backend makes rooms.
    pub only_declared: bool,
    /// How long a room is kept after its event.
    pub room_keep_ms: u64,
}

impl Default for CartRules {
    fn default() -> Self {
        Self {
            grace_ms: SESSION_GRACE_MS,
            extends_max: HOLD_EXTENDS_MAX,
            life_max_ms: HOLD_LIFE_MAX_MS,
            warn_ms: HOLD_WARN_MS,
            only_declared: false,
            room_keep_ms: ROOM_KEEP_MS,
        }
    }
}

/// Who gets a hold back after a restart.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum RestoreBy {
    /// The first connection of the same client from the same address, or with a proof.
    Address,
    /// The first connection of the same client that proves to have held it.
    Proof,
    /// The first connection of the same client, wherever it comes from.
    #[default]
    ClientId,
}

/// What keeps one client from taking what is everybody's or another's. Without it: nothing.
#[derive(Clone, Copy, Default, Debug)]
pub struct Fairness {
    /// How long the owner of a hold that has run out may not take that seat again; 0 switches that off.
    pub reselect_after_ms: u64,
    /// Who gets a hold back after a restart.
    pub restore_by: RestoreBy,
    /// Seats of this shard that may be held from one address; 0 is no limit.
    pub seats_per_origin_max: u32,
}

/// How much a shard owns.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Rooms.
    pub rooms: usize,
    /// Memberships, a connection counted once for each of its rooms.
    pub members: usize,
    /// Held seats.
    pub holds: usize,
}
