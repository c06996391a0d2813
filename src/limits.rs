//! Every bound of the server in one place, and how the bounds relate.
//!
//! Owns: the constants and the defaults of the settings. Invariant: the relations at the end hold at compile time.
//! Never here: behaviour. What happens at a bound is said beside it and done where the thing is bounded.

/// Longest room, seat or client id, in bytes of UTF-8. At the bound: `bad_request`, or 400 before an upgrade.
pub const ID_BYTES_MAX: usize = 128;
/// Most shards, one bit each in a [`crate::engine::ids::ShardSet`]. At the bound: the configuration is refused.
pub const SHARDS_MAX: usize = 64;
/// Rooms one shard may own at a time. At the bound: `overloaded`.
pub const ROOMS_PER_SHARD_MAX: usize = 1_000_000;
/// Members of one room, all shards together. At the bound: `overloaded`.
pub const ROOM_MEMBERS_MAX: usize = 1_000_000;
/// Held seats of one room. At the bound: `overloaded`.
pub const ROOM_HOLDS_MAX: usize = 200_000;
/// Held seats of one shard. At the bound: `overloaded`.
pub const SHARD_HOLDS_MAX: usize = 2_000_000;
/// Rooms one connection may be a member of or hold seats in. At the bound: `overloaded`.
pub const ROOMS_PER_CONNECTION_MAX: usize = 64;
/// The highest number of a change within a life of a room: clients count in numbers that are exact up to here (2^53 - 1).
/// A million changes a second reach it in 285 years. At the bound, less what the ends of all holds need: `overloaded`.
pub const SEQ_MAX: u64 = (1 << 53) - 1;
/// The highest number with which a life of a room begins after a restart. A higher one in the store counts as this one.
pub const SEQ_RESTORED_MAX: u64 = SEQ_MAX / 2;
/// Holds a shard may make in its life. At the bound: `overloaded`.
pub const HOLDS_MADE_MAX: u64 = 1 << 62;
/// Rooms a shard may make in its life. At the bound: `overloaded`.
pub const ROOMS_MADE_MAX: u64 = 1 << 62;
/// The last moment that a stored hold may name, 9999-12-31T23:59:59.999Z. At the bound: the record is not believed.
pub const STORED_WALL_MS_MAX: u64 = 253_402_300_799_999;
/// Stale deadlines a shard keeps beyond one for each live hold. At the bound they are swept out.
pub const DEADLINES_STALE_MIN: usize = 64;
/// Default of `MAX_SEATS_PER_CLIENT`: seats one connection may hold in one room; 0 switches the limit off. At the bound: `limit_exceeded`.
pub const SEATS_PER_CLIENT_DEFAULT: u32 = 10;

/// Default of `HOLD_TTL_MS`: how long a hold lives.
pub const HOLD_TTL_MS: u64 = 300_000;
/// Longest `HOLD_TTL_MS` that is accepted: a day.
pub const HOLD_TTL_MS_MAX: u64 = 86_400_000;
/// Default of `RESELECT_AFTER_MS`: for so long after a hold has run out its owner may not take that seat again; 0 switches
/// that off. Within it: `rate_limited` with the time that is left.
pub const RESELECT_AFTER_MS: u64 = 2_000;
/// Longest `RESELECT_AFTER_MS` that is accepted.
pub const RESELECT_AFTER_MS_MAX: u64 = 600_000;
/// Seats of one shard of which it is remembered that their hold has just run out. At the bound the oldest is forgotten.
pub const BARRED_SEATS_MAX: usize = 65_536;
/// Default of `RESTORE_GRACE_MS`: how long a restored hold waits for its client after a restart.
pub const RESTORE_GRACE_MS: u64 = 30_000;

/// Default of `MAX_MESSAGE_BYTES`: longest message of a client. At the bound: close 1009.
pub const MESSAGE_BYTES: usize = 64 * 1024;
/// Largest `MAX_MESSAGE_BYTES` that is accepted. One message and its frame header always fit the scratch buffer.
#[cfg(not(feature = "echo"))]
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// The Autobahn suite sends messages of 16 MiB.
#[cfg(feature = "echo")]
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Default of `MAX_USER_INFO_BYTES`: longest `user_info` as written by the client. At the bound: `bad_request`.
pub const USER_INFO_BYTES: usize = 4 * 1024;
/// A text up to this length is read at once, and again if a number in it may be why it was refused. In a longer one numbers
/// are looked at first, so that it is read once, whatever is in it.
pub const JSON_SHORT_BYTES: usize = 1_024;
/// Default of `RATE_MESSAGES_PER_S`: messages that a connection may send for as long as it likes; 0 switches the bound off.
/// Beyond it and [`RATE_BURST`]: `rate_limited`, and its socket is not read before it may send one more.
pub const RATE_MESSAGES_PER_S: u32 = 50;
/// Default of `RATE_BURST`: messages that a connection may send at once.
pub const RATE_BURST: u32 = 200;
/// Largest rate that is accepted: what one message costs is a tenth of a millisecond then.
pub const MESSAGES_PER_S_MAX: u32 = 10_000;
/// Largest burst that is accepted.
pub const RATE_BURST_MAX: u32 = 65_535;
/// Twice the messages of a connection that its rate refused, less those that it let pass, never below 0. It grows while more
/// than a third are refused: who sends as fast as it is read reaches this with 100 refusals in a row. At the bound: close 4013.
pub const RATE_EXCESS_MAX: u8 = 100;
/// Addresses whose messages a shard counts at the same time. At the bound those that have been silent for long enough are
/// forgotten; if none has, further ones are not counted.
pub const RATED_ORIGINS_MAX: usize = 65_536;
/// Nesting of JSON that is read. At the bound: `bad_json`.
pub const JSON_DEPTH_MAX: usize = 32;
/// Fragments of one message. At the bound: close 1009.
#[cfg(not(feature = "echo"))]
pub const FRAGMENTS_MAX: usize = 4_096;
/// The Autobahn suite sends 4 MiB in fragments of 64 bytes and an empty one.
#[cfg(feature = "echo")]
pub const FRAGMENTS_MAX: usize = 65_537;
/// Payload of a control frame, RFC 6455 section 5.5.
pub const CONTROL_PAYLOAD_MAX: usize = 125;

/// Request line and headers together. At the bound: 431.
pub const HTTP_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header lines of a request. At the bound: 431.
pub const HTTP_HEADERS_MAX: usize = 64;
/// Requests answered on one kept-alive HTTP connection before it is closed.
pub const HTTP_REQUESTS_MAX: u32 = 1_000;

/// Default of `OUTBOUND_QUEUE_BYTES`: what may wait for one slow connection, copied or in the log of a room, whose bound is
/// higher when a full state of the room would take more. At the bound its room events give way to full states.
pub const OUTBOUND_QUEUE_BYTES: usize = 256 * 1024;
/// Smallest `OUTBOUND_QUEUE_BYTES` that is accepted.
pub const OUTBOUND_QUEUE_BYTES_MIN: usize = 4 * 1024;
/// Requests of one connection that are not answered yet, because another shard decides them or the store has not got what
/// they changed. At the bound its socket is not read.
pub const OPEN_REQUESTS_MAX: u16 = 1_024;
/// What a held seat takes in a full state, about: a member that is behind reads on in the room's log as long as that is
/// less than the full state would be.
pub const STATE_SEAT_BYTES: usize = 200;
/// The log of one room on one shard. At the bound the members that need more than half of it are resynchronised, and the
/// log is cut where the others are.
pub const ROOM_LOG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes from which on a full state is shared by all who need it, instead of copied into each one's outbox.
pub const SHARED_STATE_BYTES_MIN: usize = 8 * 1024;
/// Changes of a room that a shard keeps for those who need what happened since a full state, in bytes of memory. At the
/// bound the oldest give way, and who needs them gets a full state. At most [`FULL_STATES_KEPT_MAX`] rooms keep some.
pub const RING_BYTES_MAX: usize = 128 * 1024;
/// Members up to which a room is small: it is served whole and before big ones.
pub const SMALL_ROOM_MEMBERS: usize = 64;
/// Members of a big room that are served before others get their turn.
pub const SLICE_MEMBERS: usize = 64;
/// Full states that a shard keeps for the next one who needs the same.
pub const FULL_STATES_KEPT_MAX: usize = 8;
/// How long a full state is kept for the next who joins, after the last one.
pub const FULL_STATE_KEPT_MS: u64 = 1_000;
/// Frames of events that are kept behind a full state for those who join, at most a quarter of its own bytes. At the bound
/// the next who joins gets a new one.
pub const JOIN_SINCE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of all shared full states that are alive, above which those who lag wait for theirs. It does not bound those who
/// join: their full state stands behind `room_joined`, and all who join within [`JOIN_SINCE_BYTES_MAX`] of events
/// share one.
pub const FULL_STATES_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Connections of a shard that lag and are being sent large full states at the same time. At the bound the others wait: sent
/// one after the other they take as long, but the kernel's memory does not hold ten thousand of them half sent. Who joins
/// does not wait, and so takes nobody's place.
pub const FULL_STATES_AT_ONCE: usize = 128;
/// After this time a connection no longer keeps others waiting for theirs: it may read slowly.
pub const FULL_STATE_TURN_MS: u64 = 1_000;
/// After this time a connection that lags gets its full state in any case, whatever the others do.
pub const FULL_STATE_WAIT_MS: u64 = 2_000;
/// Bytes that a shard sends for replies and full states before it turns to its rooms.
pub const FLUSH_BYTES_PER_TURN: u64 = 16 * 1024 * 1024;

/// Slots of the table of hot rooms, which all shards share; rooms whose names share one are hot together.
pub const HOT_SLOTS: usize = 4_096;
/// Messages waiting in one shard's mailbox. At the bound senders keep theirs and read no more sockets until it drains.
pub const MESH_DEPTH_MAX: usize = 65_536;
/// Messages one shard keeps back for another whose mailbox is full, above which it reads no sockets.
pub const MESH_BACKLOG_MAX: usize = 65_536;

/// Open files kept back for everything but connections: logs, the store, status.
pub const FILES_RESERVE: u64 = 64;
/// Open files kept back for each shard: rings, epoll, eventfd, timers, listener, a refusal in the making.
pub const FILES_RESERVE_PER_SHARD: u64 = 16;

/// Connections accepted in one turn.
pub const ACCEPTS_PER_TURN_MAX: usize = 64;
/// Sockets read in one turn, each once. At the bound the others wait for the next turn.
pub const READS_PER_TURN_MAX: usize = 256;
/// What reading may take of a turn, in nanoseconds. At the bound the sockets that were not read wait for the next turn.
pub const READ_NS_PER_TURN: u64 = 2_000_000;
/// Frames and request heads taken from one socket before others get their turn. At the bound the rest waits.
pub const FRAMES_PER_LOOK_MAX: u32 = 64;
/// Readiness events taken from the kernel at once.
pub const EPOLL_EVENTS_MAX: usize = 1_024;
/// The scratch buffer of a shard: what one `recv` can bring.
pub const SCRATCH_BYTES: usize = 128 * 1024;
/// Spare buffers a shard keeps for its next busy turn.
pub const SPARE_BUFFERS_MAX: usize = 1_024;
/// A spare buffer that grew beyond this is given back to the allocator: all of a shard's are 4 MiB at most, however large the
/// full states were that went through them.
pub const SPARE_BUFFER_BYTES_MAX: usize = 4 * 1024;

/// Default of `HANDSHAKE_MS`: time for a whole request head from the first byte, however slowly it comes.
pub const HANDSHAKE_MS: u64 = 10_000;
/// Default of `PING_AFTER_MS`: silence after which the server pings.
pub const PING_AFTER_MS: u64 = 25_000;
/// Default of `PONG_WITHIN_MS`: silence after the ping after which the connection is closed with 4012.
pub const PONG_WITHIN_MS: u64 = 10_000;
/// What the kernel may keep for one connection (`SO_SNDBUF`). It would go up to `tcp_wmem`, 4 MiB, and ten thousand slow
/// readers would take the machine's `tcp_mem`: then the kernel drops packets of everybody. With 50 ms to a client and
/// back it still allows over a megabyte a second.
pub const SOCKET_SEND_BYTES: usize = 64 * 1024;
/// Default of `SLOW_CONSUMER_MS`: how long a full state that took the place of dropped events may be on its way before a
/// connection that drops events again is closed with 4008. Until then it drops them, and gets another full state.
pub const SLOW_CONSUMER_MS: u64 = 30_000;
/// How long a connection whose socket was full waits for the kernel to report it writable before it tries by itself.
pub const BLOCKED_RETRY_MS: u64 = 1_000;
/// Default of `CLOSE_WITHIN_MS`: how long a closing connection takes what is left for it and waits for the peer's close frame.
pub const CLOSE_WITHIN_MS: u64 = 2_000;
/// How long a drain lasts before what is left is cut. With the exit itself it stays below 5 s.
pub const DRAIN_MS: u64 = 3_500;
/// The tick of a shard: expiry, heartbeats and retries happen with this resolution.
pub const TICK_MS: u64 = 10;
/// A shard whose turn counter stands this long while work waits is woken by the watchdog.
pub const WATCHDOG_MS: u64 = 1_000;
/// Lines of the log that wait for whoever takes standard error. At the bound they are dropped and counted.
pub const LOG_QUEUE_LINES_MAX: usize = 4_096;
/// The same in bytes.
pub const LOG_QUEUE_BYTES_MAX: usize = 1024 * 1024;
/// How long the end of the process waits for the log to be written. Then what is left is lost.
pub const LOG_FINISH_MS: u64 = 200;
/// How often, once a millisecond, a thread that panics tries to get at the log: it may hold its lock itself.
pub const LOG_LOCK_TRIES: u32 = 50;
/// Time between two gatherings of the figures of all shards, of each shard that is asked for them: all who ask in between
/// share the next one.
pub const SITE_PAUSE_MS: u64 = 100;
/// How long an HTTP answer waits for other shards. At the bound `/stats` and `/metrics` leave out who has not answered, and
/// the selections of a room are refused with 503.
pub const SITE_ANSWER_MS: u64 = 1_000;
/// Requests that wait on one shard for figures, and for selections that may not be encoded yet. At the bound: 503.
pub const SITE_WAITING_MAX: usize = 16_384;
/// Bodies of selections that a shard keeps for the next one who asks. At the bound the one that was not needed for longest
/// goes.
pub const SITE_BODIES_KEPT_MAX: usize = 8;
/// How long such a body is kept after somebody asked for it.
pub const SITE_BODY_KEPT_MS: u64 = 1_000;
/// Bytes of selections that a shard encodes in a second. At the bound who asks waits; what is encoded already is not.
pub const SITE_ENCODED_BYTES_PER_S: u64 = 64 * 1024 * 1024;
/// From this size on the body of an HTTP answer is not copied: all who are sent it share it. Below, a copy costs less than
/// a second system call.
pub const SHARED_BODY_BYTES_MIN: usize = 8 * 1024;
/// Ids listed in `/stats`; beyond them `"truncated": true`.
pub const STATS_IDS_MAX: usize = 1_000;

const _: () = assert!(SHARDS_MAX <= 64, "a ShardSet is one u64");
const _: () = assert!(SEQ_RESTORED_MAX + 4 * (ROOM_HOLDS_MAX as u64) < SEQ_MAX, "a restored room counts on");
const _: () = assert!(MESSAGE_BYTES <= MESSAGE_BYTES_MAX);
const _: () = assert!(USER_INFO_BYTES < MESSAGE_BYTES);
const _: () = assert!(HTTP_HEAD_BYTES_MAX < SCRATCH_BYTES);
const _: () = assert!(MESSAGE_BYTES + 14 <= SCRATCH_BYTES, "the default message and its frame header fit one recv");
const _: () = assert!(OUTBOUND_QUEUE_BYTES_MIN <= OUTBOUND_QUEUE_BYTES);
const _: () = assert!(OUTBOUND_QUEUE_BYTES <= ROOM_LOG_BYTES_MAX / 2);
const _: () = assert!(ROOM_LOG_BYTES_MAX <= 1 << 30, "a position in a log is a u32");
const _: () = assert!(OPEN_REQUESTS_MAX < u16::MAX / 2, "tickets are 16 bits, and an open one is never given again");
const _: () =
    assert!(ROOMS_PER_CONNECTION_MAX + (OPEN_REQUESTS_MAX as usize) < u16::MAX as usize, "a session counts both");
const _: () = assert!(TICK_MS * 10 <= 100, "an expiry is announced within 100 ms of its deadline");
const _: () = assert!(DRAIN_MS < 5_000);
const _: () = assert!(RATE_MESSAGES_PER_S <= MESSAGES_PER_S_MAX && RATE_BURST <= RATE_BURST_MAX);
const _: () =
    assert!((RATE_BURST_MAX as u64) * 10_000 * 2 < 1 << 32, "an empty bucket is full before its moments wrap");

/// Seats one shard's batch may hold while the store does not take it. At the bound: the batch gives way to a full state.
pub const STORE_BATCH_ENTRIES_MAX: usize = 16_384;
/// The same in bytes of memory.
pub const STORE_BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Seats of a full state that a shard adds to its batch in one turn. At the bound the next turn goes on.
pub const STORE_FULL_STATE_SEATS_PER_TURN: usize = 2_048;
/// Numbers of batches, and counts of holds, that are read from a file. At the bound it is not believed: a million batches
/// a second reach it in 285 years.
pub const STORE_NUMBERS_MAX: u64 = 1 << 53;
/// In `window` mode a change is committed within this time.
pub const STORE_WINDOW_MS: u64 = 100;
/// How long the store thread gathers in `window` mode before it commits. It leaves most of the window to the commit.
pub const STORE_GATHER_MS: u64 = 20;
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
/// How long a server that starts waits beyond the end of another one's lease. At the bound it ends: the other one lives.
pub const STORE_LEASE_MARGIN_MS: u64 = 2_000;
/// How often the lease is renewed.
pub const REDIS_RENEW_MS: u64 = 1_000;
/// A key in Redis outlives the last hold that can be in it by this.
pub const REDIS_KEEP_MS: u64 = 600_000;
/// Parts of the key space: the rooms of a part share a hash tag, and so a node of a cluster.
pub const REDIS_PARTS: usize = 64;
/// Seats written by one call of the script, so that no call keeps Redis from others for long.
pub const REDIS_SEATS_PER_CALL_MAX: usize = 512;

const _: () = assert!(STORE_GATHER_MS * 2 <= STORE_WINDOW_MS);
const _: () = assert!(STORE_UNSYNCED_MS_MAX < 2_000, "a failure of the store is said within 2 s");
const _: () = assert!(STORE_ANSWER_MS < STORE_REFUSE_MS && STORE_REFUSE_MS < 1_000);
const _: () = assert!(DRAIN_MS + STORE_FINISH_MS + LOG_FINISH_MS < 5_000, "a drain ends within 5 s");
const _: () = assert!(STORE_FULL_STATE_SEATS_PER_TURN < STORE_BATCH_ENTRIES_MAX);
const _: () = assert!(REDIS_RENEW_MS * 3 < REDIS_LEASE_MS_MIN);
