//! The bounds of what survives a restart: the batches of a shard, the store thread, Redis, the embedded store.
//!
//! Never here: behaviour.

use super::DRAIN_MS;
use super::log::LOG_FINISH_MS;

/// Seats one shard's batch may hold while the store does not take it. At the bound: the batch gives way to a full
/// state.
pub const STORE_BATCH_ENTRIES_MAX: usize = 16_384;
/// The same in bytes of memory.
pub const STORE_BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Seats of a full state that a shard adds to its batch in one turn. At the bound the next turn goes on.
pub const STORE_FULL_STATE_SEATS_PER_TURN: usize = 2_048;
/// Numbers of batches, and counts of holds, that are read from a file. At the bound it is not believed: a million
/// batches a second reach it in 285 years.
pub const STORE_NUMBERS_MAX: u64 = 1 << 53;
/// In `window` mode a change is committed within this time.
pub const STORE_WINDOW_MS: u64 = 100;
/// How long the store thread gathers in `window` mode before it commits. It leaves most of the window to the commit.
pub const STORE_GATHER_MS: u64 = STORE_WINDOW_MS / 5;
/// In `window` mode the embedded store is degraded while something that was written is not synced for so long.
pub const STORE_UNSYNCED_MS_MAX: u64 = 1_500;
/// How long a store may take to answer before it counts as away. A store that takes 500 ms is slow, not away.
pub const STORE_ANSWER_MS: u64 = 750;
/// How long a connection to the store may take to come up.
pub const STORE_CONNECT_MS: u64 = 500;
/// In `durable` mode a select is refused after this time without a commit: within a second, the tick, the reply and a
/// machine that is short of processors included.
pub const STORE_REFUSE_MS: u64 = 800;
/// The first pause before a commit is tried again.
pub const STORE_RETRY_MS: u64 = 10;
/// The longest one, so that a store that is back is noticed.
pub const STORE_RETRY_MS_MAX: u64 = 250;
/// How long the end of the process waits for the last commit.
pub const STORE_FINISH_MS: u64 = 1_000;
/// Default of `REDIS_LEASE_MS`: how long a server that cannot reach Redis may go on as the one writer.
pub const REDIS_LEASE_MS: u64 = 60_000;
/// Shortest `REDIS_LEASE_MS` that is accepted.
pub const REDIS_LEASE_MS_MIN: u64 = 5_000;
/// Longest `REDIS_LEASE_MS` that is accepted: a day.
pub const REDIS_LEASE_MS_MAX: u64 = 86_400_000;
/// How long a server that starts waits beyond the end of another one's lease. At the bound it ends: the other one
/// lives.
pub const STORE_LEASE_MARGIN_MS: u64 = 2_000;
/// How often the lease is renewed.
pub const REDIS_RENEW_MS: u64 = 1_000;
/// A key in Redis outlives the last hold that can be in it by this.
pub const REDIS_KEEP_MS: u64 = 600_000;
/// The same while something is kept that does not end by itself, as a booking: ten years after the last change.
pub const REDIS_KEEP_LASTING_MS: u64 = 10 * 366 * 86_400_000;
/// The versions of records that there will be. A record that says to be of one above is none: it is damaged.
pub const STORE_VERSIONS_MAX: u8 = 31;
/// Parts of the key space: the rooms of a part share a hash tag, and so a node of a cluster.
pub const REDIS_PARTS: usize = 64;
/// Seats written by one call of the script, so that no call keeps Redis from others for long.
pub const REDIS_SEATS_PER_CALL_MAX: usize = 512;
/// Rooms whose seats are asked for at once.
pub const REDIS_ROOMS_PER_CALL_MAX: usize = 256;
/// Calls that are sent before their answers are read. At the bound the rest waits for the answers.
pub const REDIS_CALLS_AT_ONCE_MAX: usize = 64;
/// Memory for what the embedded store has written and not yet sorted into files. Each time it is full the library syncs
/// with the lock of its journal, and a commit waits; so it is as large as a journal may well be.
pub const EMBEDDED_MEMTABLE_BYTES: u64 = 32 * 1024 * 1024;
/// Memory for blocks that were read. Reading happens at a start only.
pub const EMBEDDED_CACHE_BYTES: u64 = 4 * 1024 * 1024;
/// Disk for the journals; the least that the library allows.
pub const EMBEDDED_JOURNAL_BYTES: u64 = 64 * 1024 * 1024;
/// Number of a write above which the library ends the process. A journal that names one is damaged.
pub const EMBEDDED_SEQNO_MAX: u64 = 1 << 62;

const _: () = assert!(STORE_GATHER_MS * 2 <= STORE_WINDOW_MS);
const _: () = assert!(STORE_UNSYNCED_MS_MAX < 2_000, "a failure of the store is said within 2 s");
const _: () = assert!(STORE_ANSWER_MS < STORE_REFUSE_MS && STORE_REFUSE_MS < 1_000);
const _: () = assert!(DRAIN_MS + STORE_FINISH_MS + LOG_FINISH_MS < 5_000, "a drain ends within 5 s");
const _: () = assert!(STORE_FULL_STATE_SEATS_PER_TURN < STORE_BATCH_ENTRIES_MAX);
const _: () = assert!(REDIS_RENEW_MS * 3 < REDIS_LEASE_MS_MIN);
const _: () = assert!(STORE_RETRY_MS <= STORE_RETRY_MS_MAX && STORE_CONNECT_MS < STORE_REFUSE_MS);
const _: () = assert!(REDIS_LEASE_MS_MIN <= REDIS_LEASE_MS && REDIS_LEASE_MS <= REDIS_LEASE_MS_MAX);
const _: () = assert!(STORE_LEASE_MARGIN_MS < REDIS_LEASE_MS_MIN);
const _: () = assert!(EMBEDDED_MEMTABLE_BYTES < EMBEDDED_JOURNAL_BYTES, "a journal holds what is in memory");
