//! The bounds of the API of the shop's backend.
//!
//! Never here: behaviour.

use super::log::LOG_FINISH_MS;
use super::store::{STORE_FINISH_MS, STORE_REFUSE_MS};
use super::{DRAIN_MS, MESH_DEPTH_MAX};

/// Connections of the API at a time. At the bound the oldest by which nobody has asked what he may is closed for a
/// further one; when there is none, that is told 503 and closed.
pub const API_CONNECTIONS_MAX: usize = 1_024;
/// How long one that has come waits for the place of one that was closed for it. At the bound: 503.
pub const API_DOORSTEP_MS: u64 = 5_000;
/// Calls of the API that wait for shards at a time. At the bound: 503 `overloaded`.
pub const API_CALLS_MAX: usize = 1_024;
/// Keys in `API_KEYS_FILE`. At the bound: the file is refused.
pub const API_KEYS_MAX: usize = 1_024;
/// Longest name of a key.
pub const API_KEY_NAME_BYTES_MAX: usize = 64;
/// Largest `API_KEYS_FILE`. At the bound: it is refused.
pub const API_KEYS_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Longest body of a call that brings a layout. At the bound: 413.
pub const API_LAYOUT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Longest body of any other call. At the bound: 413.
pub const API_BODY_BYTES_MAX: usize = 1024 * 1024;
/// What any other body is counted as while its call waits, as so many times its length: a list of short names takes as
/// much once it has been read.
pub const API_BODY_FACTOR: usize = 10;
/// Shortest `hold_ms` of a room. Below: 422.
pub const API_HOLD_MS_MIN: u64 = 100;
/// Longest `ttl_s` of a hold: a day. Beyond: 422.
pub const API_HOLD_TTL_S_MAX: u64 = 86_400;
/// Longest `ttl_s` of a checkout. Beyond: 422.
pub const API_ORDER_TTL_S_MAX: u64 = 7_200;
/// Longest `ban_s`: a day. Beyond: 422.
pub const API_BAN_S_MAX: u64 = 86_400;
/// Clients that are banned at a time. At the bound the ban that ends first goes.
pub const BANS_MAX: usize = 10_000;
/// Rooms, or seats, that one list has. At the bound it says where it goes on.
pub const API_LIST_MAX: u64 = 1_000;
/// As many as a list has when nobody says how many.
pub const API_LIST: u64 = 100;
/// Rooms that a shard looks at in one turn, for a list of all rooms. At the bound it is asked again.
pub const ROOMS_LOOKED_AT_ONCE: usize = 4_096;
/// A call that needs all rooms asks after so many milliseconds again who owns those that are nobody's.
pub const API_OWNERS_AGAIN_MS: u64 = 100;
/// How long a call waits for shards. At the bound: 503 `persistence_unavailable`, since the outcome is unknown.
pub const API_ANSWER_MS: u64 = 5_000;
/// Bytes of bodies that are being read or acted on at a time, and no more than the share of `MEMORY_BUDGET_BYTES`, of
/// which plans may have three quarters. At the bound: 503 `overloaded`.
pub const API_BODIES_BYTES_MAX: usize = 128 * 1024 * 1024;
/// How much is read and dropped of a body that is refused, so that its sender hears why. At the bound the connection
/// ends.
pub const API_DROPPED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The head of a request of the API, and how many fields it may have. At the bound: 431.
pub const API_HEAD_BYTES_MAX: usize = 32 * 1024;
/// Fields of a head. At the bound: 431.
pub const API_HEAD_FIELDS_MAX: usize = 64;
/// How long a connection of the API may take for a head, and be idle between two. At the bound it is closed.
pub const API_HEAD_MS: u64 = 30_000;
/// How long a body may take. At the bound: 408.
pub const API_BODY_MS: u64 = 30_000;
/// How long sent bytes may wait for a peer of the API that does not take them. At the bound the kernel ends the
/// connection.
pub const API_UNSENT_MS: u32 = 30_000;
/// The pause after a connection of the API could not be accepted.
pub const API_ACCEPT_RETRY_MS: u64 = 50;
/// How long the end of the process waits for answers of the API to leave.
pub const API_FINISH_MS: u64 = 200;
/// What a full mailbox leaves to the other shards: beyond it the API is told 503 `overloaded`.
pub const API_MESH_DEPTH_MAX: usize = MESH_DEPTH_MAX / 2;

const _: () = assert!(DRAIN_MS + STORE_FINISH_MS + API_FINISH_MS + LOG_FINISH_MS < 5_000, "a drain ends within 5 s");
const _: () =
    assert!(API_LAYOUT_BYTES_MAX * 2 <= API_BODIES_BYTES_MAX && API_LAYOUT_BYTES_MAX <= API_DROPPED_BYTES_MAX);
const _: () = assert!(STORE_REFUSE_MS < API_ANSWER_MS, "who waits for a store that is away is told so");
const _: () = assert!(API_LIST <= API_LIST_MAX && API_LIST_MAX <= API_CALLS_MAX as u64);
