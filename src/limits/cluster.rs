//! The bounds of several nodes on one Redis: parts, leases, mail between nodes, commands under way.
//!
//! Never here: behaviour.

use super::ID_BYTES_MAX;
use super::store::STORE_ANSWER_MS;

/// Most parts of the key space. At the bound: the rules are refused.
pub const CLUSTER_PARTS_MAX: u16 = 4_096;
/// Most nodes that one node knows. At the bound a further one is not listened to.
pub const CLUSTER_NODES_MAX: usize = 64;
/// Longest name of a node, in bytes. At the bound it is no name.
pub const NODE_NAME_BYTES_MAX: usize = ID_BYTES_MAX;
/// Shortest lease of a part: renewals and heartbeats must find room in it.
pub const CLUSTER_LEASE_MS_MIN: u64 = 2_000;
/// Longest lease of a part.
pub const CLUSTER_LEASE_MS_MAX: u64 = 60_000;
/// A node stops after so many tenths of its lease: its clock may run slower than that of Redis.
pub const CLUSTER_LEASE_TENTHS: u64 = 9;
/// A lease is renewed so many times within its length.
pub const CLUSTER_RENEWALS_PER_LEASE: u64 = 4;
/// How long a node waits for the answer to a call about a part. At the bound it asks again, with another number.
pub const CLUSTER_CALL_MS: u64 = 500;
/// How long a part that is handed over may be without somebody who decides. At the bound its owner takes it back.
pub const CLUSTER_HAND_OVER_MS: u64 = 1_000;
/// A part stays so long with a node that has taken it, until the heartbeats that it knows are younger than the move.
pub const CLUSTER_STAY_MS: u64 = 1_500;
/// Longest entry of a stream, in bytes. At the bound the rest goes into the next one, and a longer one is not read.
pub const ENTRY_BYTES_MAX: usize = 1024 * 1024;
/// Letters of one entry. At the bound the rest goes into the next one.
pub const ENTRY_LETTERS_MAX: usize = 4_096;
/// Longest letter between nodes, in bytes, and twice the longest full state. At the bound a letter is not written, and
/// an answer is written without its full state, which its reader then asks for in vain.
pub const LETTER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A longer letter is cut into pieces of so many bytes, for which entries have room.
pub const PIECE_BYTES: usize = 256 * 1024;
/// Full states of one turn that the answers behind them share. At the bound the oldest is written again when it is
/// needed.
pub const STATES_SHARED_MAX: usize = 16;
/// Entries to one node that Redis has not confirmed. At the bound the oldest is given up: the reader sees a hole.
pub const ENTRIES_UNCONFIRMED_MAX: usize = 64;
/// How often a node looks at its parts.
pub const CLUSTER_TICK_MS: u64 = 50;
/// How often it says that it is there.
pub const CLUSTER_BEAT_MS: u64 = 500;
/// Parts that are read at once.
pub const CLUSTER_LOADS_AT_ONCE: usize = 32;
/// How long the end of a node waits until others have its parts. At the bound it ends with what it has.
pub const CLUSTER_DRAIN_MS: u64 = 3_000;
/// How long the addresses of a life that has ended mean nobody before they mean somebody else.
pub const ADDRESS_KEPT_MS: u64 = 60_000;
/// A life is over when its heart has not moved for so many leases, while Redis was there.
pub const SILENT_LEASES: u64 = 2;
/// Bytes of the letter that says where the rooms of a part stand. At the bound the rest of them live anew.
pub const GIVEN_BYTES_MAX: usize = ENTRY_BYTES_MAX / 2;
/// How often what was read of the mail is taken away.
pub const MAIL_TRIM_MS: u64 = 1_000;
/// Default of `PARTS`.
pub const CLUSTER_PARTS: u16 = 256;
/// Default of `CLUSTER_LEASE_MS`.
pub const CLUSTER_LEASE_MS: u64 = 5_000;
/// How long Redis remembers the heartbeat of a node that is silent.
pub const CLUSTER_BEAT_KEPT_MS: u64 = 180_000;
/// Entries of one node's stream. At the bound the oldest go: their reader sees a hole.
pub const MAIL_ENTRIES_MAX: usize = 4_096;
/// Entries of one read. At the bound the next read brings the rest.
pub const MAIL_PER_READ_MAX: usize = 256;
/// How long a read waits inside Redis for something to come.
pub const MAIL_WAIT_MS: u64 = 250;
/// How long a stream that nobody reads is kept.
pub const MAIL_KEPT_MS: u64 = 600_000;
/// Commands of one connection to one part without an answer. At the bound: `overloaded`.
pub const COMMANDS_UNANSWERED_MAX: usize = 64;
/// Letters to other nodes that the mail has not taken. At the bound no more sockets are read.
pub const LETTERS_ABROAD_MAX: usize = 65_536;
/// How much longer than a lease a request waits for somebody who decides it. At the bound it is refused.
pub const CLUSTER_PATIENCE_MS: u64 = 1_000;
/// What ends by itself while nobody decides about its part is looked at again after so many milliseconds.
pub const FROZEN_RETRY_MS: u64 = 100;
/// Members that have asked a shard to be let in before it serves their rooms. At the bound they ask again.
pub const EARLY_RETURNS_MAX: usize = 65_536;
/// How long a node waits for the answer to a command before it sends it again.
pub const COMMAND_AGAIN_MS: u64 = 1_000;

const _: () = assert!(CLUSTER_LEASE_TENTHS < 10, "a node stops before its lease ends");
const _: () = assert!(CLUSTER_CALL_MS * 2 <= CLUSTER_LEASE_MS_MIN / 2, "a lost renewal is repeated in time");
const _: () = assert!(CLUSTER_HAND_OVER_MS < CLUSTER_LEASE_MS_MIN, "a hand-over fits a lease");
const _: () = assert!(MAIL_WAIT_MS * 2 < STORE_ANSWER_MS, "a read that waits is not taken for a Redis that is away");
const _: () = assert!(CLUSTER_TICK_MS < CLUSTER_BEAT_MS && CLUSTER_BEAT_MS * 4 <= CLUSTER_LEASE_MS_MIN);
const _: () = assert!(CLUSTER_LEASE_MS_MAX * SILENT_LEASES < CLUSTER_BEAT_KEPT_MS, "who is silent is missed before");
const _: () = assert!(CLUSTER_LEASE_MS_MIN <= CLUSTER_LEASE_MS && CLUSTER_LEASE_MS <= CLUSTER_LEASE_MS_MAX);
const _: () = assert!(CLUSTER_PARTS <= CLUSTER_PARTS_MAX);
const _: () = assert!(PIECE_BYTES * 2 < ENTRY_BYTES_MAX && PIECE_BYTES < LETTER_BYTES_MAX, "a piece fits an entry");
