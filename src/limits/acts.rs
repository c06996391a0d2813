//! The bounds of the log of acts, which the shop's backend reads.
//!
//! Never here: behaviour.

/// Default of `LOG_EVENTS_MAX`: events that the log has. At the bound the oldest goes, and who has not read it is told
/// 410.
pub const LOG_EVENTS_MAX: usize = 200_000;
/// Largest `LOG_EVENTS_MAX` that is accepted.
pub const LOG_EVENTS_MAX_MAX: usize = 10_000_000;
/// The same in bytes of memory, whatever `LOG_EVENTS_MAX` says, since readers are served from memory; and no more than
/// the share of `MEMORY_BUDGET_BYTES`.
pub const LOG_EVENTS_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Longest event: one act on as many seats as a room may have, each with the longest name.
pub const LOG_EVENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest record of a store with several events, in bytes. At the bound another one begins; an event that is longer
/// has a record of its own.
pub const LOG_CHAPTER_BYTES_MAX: usize = 1024 * 1024;
/// Events of one shard that wait for a store that is away, in bytes. At the bound they are not kept: the log has a
/// gap, and every reader is told 410, as after trimming.
pub const LOG_WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Rooms whose number is remembered by one shard. At the bound those that are no more are forgotten: their events
/// count from 1 again, in another epoch.
pub const LOG_ROOMS_MAX: usize = 131_072;
/// Events of one answer, when nobody says how many.
pub const LOG_LIST: u64 = 1_000;
/// Most events of one answer.
pub const LOG_LIST_MAX: u64 = 10_000;
/// Bytes of one answer. At the bound it ends earlier; it always has one event if there is one.
pub const LOG_ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Longest `wait_s`.
pub const LOG_WAIT_S_MAX: u64 = 60;
/// Events that are looked at with the lock of the log, while one room's are looked for.
pub const LOG_LOOKED_AT_ONCE: usize = 4_096;
/// Readers that wait for events, or are told of them as they come, at a time. At the bound: 503 `overloaded`.
pub const LOG_READERS_MAX: usize = 64;
/// How often a reader that is told as it goes hears a heartbeat when there is nothing.
pub const LOG_HEARTBEAT_MS: u64 = 15_000;
/// How often the readers look whether the server is about to end.
pub const LOG_DRAIN_LOOK_MS: u64 = 250;
/// Events that are asked of Redis at once, when the log of several nodes is read.
pub const REDIS_LOG_PER_CALL_MAX: usize = 1_000;
/// Chapters of the log that are asked of one part of Redis at once: some 300 B an event, a few events a chapter.
pub const REDIS_CHAPTERS_PER_CALL_MAX: usize = 200;

const _: () = assert!(LOG_EVENTS_MAX <= LOG_EVENTS_MAX_MAX && LOG_LIST <= LOG_LIST_MAX);
