//! The bounds of what is answered by HTTP on the clients' port.
//!
//! Never here: behaviour.

/// Time between two gatherings of the figures of all shards, of each shard that is asked for them: all who ask in
/// between share the next one.
pub const SITE_PAUSE_MS: u64 = 100;
/// How long an HTTP answer waits for other shards. At the bound `/stats` and `/metrics` leave out who has not answered,
/// and the selections of a room are refused with 503.
pub const SITE_ANSWER_MS: u64 = 1_000;
/// Requests that wait on one shard for figures, and for selections that may not be encoded yet. At the bound: 503.
pub const SITE_WAITING_MAX: usize = 16_384;
/// Bodies of selections that a shard keeps for the next one who asks. At the bound the one that was not needed for
/// longest goes.
pub const SITE_BODIES_KEPT_MAX: usize = 8;
/// How long such a body is kept after somebody asked for it.
pub const SITE_BODY_KEPT_MS: u64 = 1_000;
/// Bytes of selections that a shard encodes in a second. At the bound who asks waits; what is encoded already is not.
pub const SITE_ENCODED_BYTES_PER_S: u64 = 64 * 1024 * 1024;
/// From this size on the body of an HTTP answer is not copied: all who are sent it share it. Below, a copy costs less
/// than a second system call.
pub const SHARED_BODY_BYTES_MIN: usize = 8 * 1024;
/// Ids listed in `/stats`; beyond them `"truncated": true`.
pub const STATS_IDS_MAX: usize = 1_000;

const _: () = assert!(SITE_PAUSE_MS < SITE_ANSWER_MS);
