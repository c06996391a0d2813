//! The budget of memory: its shares, and what gives way.

/// Smallest `MEMORY_BUDGET_BYTES` that is accepted, and the least that the default comes to.
pub const MEMORY_BUDGET_BYTES_MIN: usize = 64 * 1024 * 1024;
/// Largest `MEMORY_BUDGET_BYTES` that is accepted: a pebibyte.
pub const MEMORY_BUDGET_BYTES_MAX: u64 = 1 << 50;
/// How `MEMORY_BUDGET_BYTES` is divided, in sixteenths, in the order of [`crate::audience::budget::KINDS`]: outboxes,
/// logs, full states, bodies of HTTP answers, answers withheld for the store, holds, the log of acts, bodies sent to
/// the API. At the bound of a share: what `node::relief` says; the oldest acts go; 503.
pub const MEMORY_SHARES: [usize; 8] = [4, 2, 3, 1, 1, 3, 1, 1];
/// Parts of the budget in all.
pub const MEMORY_SHARES_SUM: usize = 16;
/// One slow reader, or one room's log, may take one of so many parts of what is left of its share. Then it waits, or
/// its members are resynchronised.
pub const FAIR_PARTS: usize = 16;
/// The least that a room's log may take, however little is left.
pub const LOG_FAIR_BYTES_MIN: usize = 8 * 1024;
/// A shard tells the others of what it takes when that has changed by so much.
pub const MEMORY_GRAIN_BYTES: usize = 64 * 1024;
/// How often a shard looks whether something has to give way.
pub const RELIEF_MS: u64 = 100;
/// How long a full socket may take nothing when memory is short. Then the connection is closed with 4008.
pub const PRESSED_CONSUMER_MS: u64 = 2_000;
/// Connections closed at one look because full states take too much.
pub const CLOSED_PER_LOOK_MAX: usize = 8;
/// So many times `OUTBOUND_QUEUE_BYTES` one connection may be behind in all its rooms together. At the bound they are
/// dropped, and it gets full states.
pub const LAG_OF_CONNECTION_FACTOR: usize = 4;
/// What one connection may have withheld for the store, in bytes of memory. At the bound its selects and joins are
/// `overloaded`.
pub const WITHHELD_BYTES_PER_CONNECTION_MAX: usize = 512 * 1024;

/// A long queue of a connection grows by so many bytes and does not double: with thousands of slow readers half of it
/// would be for nothing.
pub const OUTBOX_STEP_BYTES: usize = 16 * 1024;
const _: () = {
    let (mut sum, mut at) = (0, 0);
    while at < MEMORY_SHARES.len() {
        assert!(MEMORY_SHARES[at] > 0);
        sum += MEMORY_SHARES[at];
        at += 1;
    }
    assert!(sum == MEMORY_SHARES_SUM && MEMORY_BUDGET_BYTES_MIN.is_multiple_of(MEMORY_SHARES_SUM));
};
