//! What waits for members, how full states are shared, and how rooms are served and paced.

/// Default of `OUTBOUND_QUEUE_BYTES`: what may wait for one slow connection, copied or in the log of a room, whose
/// bound is higher when a full state of the room would take more. At the bound its room events give way to full states.
pub const OUTBOUND_QUEUE_BYTES: usize = 256 * 1024;
/// Smallest `OUTBOUND_QUEUE_BYTES` that is accepted.
pub const OUTBOUND_QUEUE_BYTES_MIN: usize = 4 * 1024;
/// Largest `OUTBOUND_QUEUE_BYTES` that is accepted.
pub const OUTBOUND_QUEUE_BYTES_MAX: usize = 1 << 30;
/// Bytes that have left and still stand at the front of an outbox. At the bound they are moved out of it.
pub const GONE_BYTES_MAX: usize = 64 * 1024;
/// Requests of one connection that are not answered yet, because another shard decides them or the store has not got
/// what they changed. At the bound its socket is not read.
pub const OPEN_REQUESTS_MAX: u16 = 1_024;
/// What a held seat takes in a full state, about: a member that is behind reads on in the room's log as long as that is
/// less than the full state would be.
pub const STATE_SEAT_BYTES: usize = 200;
/// The log of one room on one shard. At the bound the members that need more than half of it are resynchronised, and
/// the log is cut where the others are.
pub const ROOM_LOG_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Members are looked through for those too far behind once the log has grown by this part of the bound: those within
/// it are dropped early, and a log at its bound does not cost a look at everybody for each frame.
pub const LOG_LOOK_PART: usize = 8;
/// An empty log that grew beyond this is given back to the allocator.
pub const EMPTY_LOG_BYTES_MAX: usize = 64 * 1024;

/// Bytes from which on a full state is shared by all who need it, instead of copied into each one's outbox.
pub const SHARED_STATE_BYTES_MIN: usize = 8 * 1024;
/// Changes of a room that a shard keeps for those who need what happened since a full state, in bytes of memory. At the
/// bound the oldest give way, and who needs them gets a full state. At most [`FULL_STATES_KEPT_MAX`] rooms keep some.
pub const RING_BYTES_MAX: usize = 128 * 1024;
/// Default of `ROOM_RING_MAX`: changes of a room's map that are remembered for those who come back. At the bound the
/// oldest give way, and who needs them gets the whole map.
pub const ROOM_RING_MAX: usize = 16_384;
/// Largest `ROOM_RING_MAX` that is accepted.
pub const ROOM_RING_MAX_MAX: usize = 1_048_576;
/// How long they are remembered when the room has no members of the second protocol.
pub const ROOM_RING_KEPT_MS: u64 = 900_000;
/// Default of `TICK_V2_MS`: time between two deltas of a room.
pub const TICK_V2_MS: u64 = 100;
/// Longest `TICK_V2_MS` that is accepted.
pub const TICK_V2_MS_MAX: u64 = 10_000;
/// Maps, and deltas for those who come back, that a shard keeps for the next one who needs the same. At the bound the
/// one that was not needed for longest goes.
pub const MAPS_KEPT_MAX: usize = 16;
/// How long such a one is kept after it was needed.
pub const MAP_KEPT_MS: u64 = 1_000;
/// Changes that a member whose socket was full may have missed. At the bound it gets the whole map instead.
pub const LAG_CHANGES_MAX: usize = 1_024;
/// Members up to which a room is small: it is served whole and before big ones.
pub const SMALL_ROOM_MEMBERS: usize = 64;
/// Members of a big room that are served before others get their turn.
pub const SLICE_MEMBERS: usize = 64;
/// What passes may take of any turn, in nanoseconds. At the bound the other rooms wait for the next turn.
pub const PASSES_NS_PER_TURN: u64 = 2_000_000;
/// Passes may take at least this many times what the turn's input took. Then a server with more to do than it can do
/// serves each room after a bounded time, with several events in one send, instead of ever more input or ever smaller
/// sends.
pub const PASSES_PER_INPUT: u64 = 1;
/// Default of `PACE_FACTOR`: a room's next pass starts at most this many times its last pass's cost after that one's
/// start.
pub const PACE_FACTOR: u64 = 5;
/// What it is while the shard has time: two passes of 7 ms leave a p99 of 20 ms, for less than half a core.
pub const PACE_FACTOR_LEAST: u64 = 2;
/// It is this many times what the rooms of the shard ask for, in cores: with one room that asks for half a one, 2.5.
pub const PACE_DEMAND_FACTOR: u64 = 5;
/// What a send costs at least, in nanoseconds (`perf/notes/pacing.md`): what the rooms of a shard ask for is counted in
/// it.
pub const SEND_NS: u64 = 4_000;
/// What the rooms of a shard ask for is counted over so long, in nanoseconds.
pub const DEMAND_WINDOW_NS: u64 = 50_000_000;
const _: () = assert!(PACE_FACTOR_LEAST <= PACE_FACTOR, "an idle shard is not slower than a busy one");
/// Largest `PACE_FACTOR` that is accepted.
pub const PACE_FACTOR_MAX: u64 = 100;
/// Default of `PACE_MAX_MS`: the longest pause between two passes over a room.
pub const PACE_MS: u64 = 40;
/// Longest `PACE_MAX_MS` that is accepted.
pub const PACE_MS_MAX: u64 = 1_000;
/// Full states that a shard keeps for the next one who needs the same.
pub const FULL_STATES_KEPT_MAX: usize = 8;
/// The shortest time from one large full state of a connection to the next, when it joins again while nothing has
/// happened: until then the next one waits.
pub const FULL_STATE_AGAIN_MS: u64 = 1_000;
/// How long a full state is kept for the next who joins, after the last one.
pub const FULL_STATE_KEPT_MS: u64 = 1_000;
/// Frames of events that are kept behind a full state for those who join, at most a quarter of its own bytes. At the
/// bound the next who joins gets a new one.
pub const JOIN_SINCE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of all shared full states that are alive, above which those who lag wait for theirs. It does not bound those
/// who join: their full state stands behind `room_joined`, and all who join within [`JOIN_SINCE_BYTES_MAX`] of events
/// share one.
pub const FULL_STATES_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Connections of a shard that lag and are being sent large full states at the same time. At the bound the others wait:
/// sent one after the other they take as long, but the kernel's memory does not hold ten thousand of them half sent.
/// Who joins does not wait, and so takes nobody's place.
pub const FULL_STATES_AT_ONCE: usize = 128;
/// After this time a connection no longer keeps others waiting for theirs: it may read slowly.
pub const FULL_STATE_TURN_MS: u64 = 1_000;
/// After this time a connection that lags gets its full state in any case, whatever the others do.
pub const FULL_STATE_WAIT_MS: u64 = 2_000;
/// Bytes that a shard sends for replies and full states before it turns to its rooms.
pub const FLUSH_BYTES_PER_TURN: u64 = 16 * 1024 * 1024;
const _: () = assert!(OUTBOUND_QUEUE_BYTES_MIN <= OUTBOUND_QUEUE_BYTES);
const _: () = assert!(OUTBOUND_QUEUE_BYTES <= ROOM_LOG_BYTES_MAX / 2);
const _: () = assert!(ROOM_LOG_BYTES_MAX <= 1 << 30, "a position in a log is a u32");
const _: () = assert!(OUTBOUND_QUEUE_BYTES <= OUTBOUND_QUEUE_BYTES_MAX && GONE_BYTES_MAX < OUTBOUND_QUEUE_BYTES);
const _: () = assert!(EMPTY_LOG_BYTES_MAX < ROOM_LOG_BYTES_MAX && LOG_LOOK_PART > 1);
const _: () = assert!(PACE_FACTOR <= PACE_FACTOR_MAX && PACE_MS <= PACE_MS_MAX);
