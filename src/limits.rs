//! Every bound of the server in one place, and how the bounds relate.
//!
//! Owns: the constants, the defaults of the settings and what they may be set to. Parts with many bounds have files of
//! their own. Invariants: the relations at the end of each file hold at compile time; a number that bounds something
//! stands nowhere else (`tests/pure/tidy/bounds.rs`). Never here: behaviour. What happens at a bound is said beside it
//! and done where the thing is bounded.

pub mod acts;
pub mod api;
pub mod auth;
pub mod cluster;
mod delivery;
pub mod layout;
pub mod log;
mod memory;
pub mod site;
pub mod store;

pub use delivery::*;
pub use memory::*;

/// Longest room, seat or client id, in bytes of UTF-8. At the bound: `bad_request`, or 400 before an upgrade.
pub const ID_BYTES_MAX: usize = 128;
/// Most shards, one bit each in a [`crate::engine::ids::ShardSet`]. At the bound: the configuration is refused.
pub const SHARDS_MAX: usize = 64;
/// Slots of one shard's connections: a [`crate::engine::ids::ConnId`] has 24 bits for them. At the bound: 503.
pub const CONN_SLOTS_MAX: usize = 1 << 24;
/// Bytes by which a table of connections grows: the allocator hands them out without a rest. A table that doubled left
/// as much memory behind, with the allocator, as its entries took.
pub const SLOTS_CHUNK_BYTES: usize = 16 * 1024;
/// Slots of a chunk of the engine's tables: a power of two, so that a slot is found by a shift.
pub const SLAB_CHUNK_SLOTS: usize = 1 << 10;
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
/// The highest number of a change within a life of a room: clients count in numbers that are exact up to here (2^53 -
/// 1). A million changes a second reach it in 285 years. At the bound, less what the ends of all holds need:
/// `overloaded`.
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
/// In debug builds the whole shard is checked once in so many inputs, and less often the more it owns.
pub const INPUTS_PER_FULL_CHECK: usize = 256;
/// Default of `MAX_SEATS_PER_CLIENT`: seats one connection may hold in one room; 0 switches the limit off. At the
/// bound: `limit_exceeded`.
pub const SEATS_PER_CLIENT_DEFAULT: u32 = 10;

/// What a hold takes in memory beside its `user_info`, about: its ids, its places in the room, with its owner and in
/// the queue of deadlines.
pub const HOLD_BYTES: usize = 512;
/// Bytes of `user_info` of everything that one connection holds, as long as `MAX_SEATS_PER_CLIENT` limits its seats. At
/// the bound: `overloaded`.
pub const USER_INFO_BYTES_PER_CONNECTION_MAX: usize = 64 * 1024;
/// A `user_info` of so many bytes is not worth adding up: all seats of a connection together cannot have too much of
/// them.
pub const USER_INFO_BYTES_UNCOUNTED: usize = 100;

/// Default of `HOLD_TTL_MS`: how long a hold lives.
pub const HOLD_TTL_MS: u64 = 300_000;
/// Longest `HOLD_TTL_MS` that is accepted: a day.
pub const HOLD_TTL_MS_MAX: u64 = 86_400_000;
/// Default of `RESELECT_AFTER_MS`: for so long after a hold has run out its owner may not take that seat again; 0
/// switches that off. Within it: `rate_limited` with the time that is left.
pub const RESELECT_AFTER_MS: u64 = 2_000;
/// Longest `RESELECT_AFTER_MS` that is accepted.
pub const RESELECT_AFTER_MS_MAX: u64 = 600_000;
/// Seats of one shard of which it is remembered that their hold has just run out. At the bound the oldest is forgotten.
pub const BARRED_SEATS_MAX: usize = 65_536;
/// Default of `SESSION_GRACE_MS`: how long what an owner holds waits for it when its last connection has ended. 0: not
/// at all.
pub const SESSION_GRACE_MS: u64 = 15_000;
/// Longest `SESSION_GRACE_MS` that is accepted.
pub const SESSION_GRACE_MS_MAX: u64 = 3_600_000;
/// Default of `HOLD_EXTENDS_MAX`: how often a cart may be extended. At the bound: `extend_limit`.
pub const HOLD_EXTENDS_MAX: u8 = 1;
/// Largest `HOLD_EXTENDS_MAX` that is accepted.
pub const HOLD_EXTENDS_MAX_MAX: u64 = 100;
/// Default of `HOLD_LIFE_MAX_MS`: how long a cart may live after its first seat, however often it is extended. At the
/// bound: `extend_limit`.
pub const HOLD_LIFE_MAX_MS: u64 = 1_800_000;
/// Default of `HOLD_WARN_MS`: how long before the end of a cart its owner is warned; 0 switches that off.
pub const HOLD_WARN_MS: u64 = 30_000;
/// Clocks of carts that were emptied which one shard keeps. At the bound the oldest is forgotten, and that cart begins
/// anew.
pub const CLOCKS_KEPT_MAX: usize = 65_536;
/// Connections that act for one owner on one shard. At the bound: `overloaded`.
pub const CONNECTIONS_PER_OWNER_MAX: usize = 256;
/// How long an order may take to be paid for unless the backend says otherwise.
pub const ORDER_TTL_MS: u64 = 900_000;
/// The longest. At the bound: the request is refused.
pub const ORDER_TTL_MS_MAX: u64 = 7_200_000;
/// An order that goes back to its owner's cart leaves at least so long to pay anew.
pub const BACK_TO_CART_MS: u64 = 60_000;
/// Shortest life of a hold that a room may have. At the bound: the request is refused.
pub const ROOM_HOLD_MS_MIN: u64 = 100;
/// Default of `ROOM_KEEP_MS`: how long a room is kept after its event.
pub const ROOM_KEEP_MS: u64 = 7 * 86_400_000;
/// Largest `ROOM_KEEP_MS` that is accepted.
pub const ROOM_KEEP_MS_MAX: u64 = 3_650 * 86_400_000;
/// Seats that one answer to the backend lists. At the bound it says that there are more.
pub const SEATS_LISTED_MAX: usize = 10_000;
/// Default of `RESTORE_GRACE_MS`: how long a restored hold waits for its client after a restart.
pub const RESTORE_GRACE_MS: u64 = 30_000;
/// Longest `RESTORE_GRACE_MS` that is accepted: an hour.
pub const RESTORE_GRACE_MS_MAX: u64 = 3_600_000;

/// Default of `MAX_MESSAGE_BYTES`: longest message of a client. At the bound: close 1009.
pub const MESSAGE_BYTES: usize = 64 * 1024;
/// Smallest `MAX_MESSAGE_BYTES` that is accepted.
pub const MESSAGE_BYTES_MIN: usize = 1_024;
/// Largest `MAX_MESSAGE_BYTES` that is accepted. One message and its frame header always fit the scratch buffer.
#[cfg(not(feature = "echo"))]
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// The Autobahn suite sends messages of 16 MiB.
#[cfg(feature = "echo")]
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Default of `MAX_USER_INFO_BYTES`: longest `user_info` as written by the client. At the bound: `bad_request`.
pub const USER_INFO_BYTES: usize = 4 * 1024;
/// A text up to this length is read at once, and again if a number in it may be why it was refused. In a longer one
/// numbers are looked at first, so that it is read once, whatever is in it.
pub const JSON_SHORT_BYTES: usize = 1_024;
/// Longest `type` of a request that its refusal repeats. A longer one is left out.
pub const REQUEST_TYPE_BYTES_MAX: usize = 64;
/// Bytes whose encoding is checked at a time: more than a character and the beginning of another, so that the loop gets
/// on.
pub const UTF8_WINDOW_BYTES: usize = 512;
/// How long a session's token is good after it was given: 12 hours. At the bound: `session_unknown`.
pub const SESSION_TOKEN_MS: u64 = 12 * 3_600_000;
/// Seats that one request of the second protocol names in a list, and the most that `select_best` looks for. At the
/// bound: `bad_request`.
pub const SEATS_PER_REQUEST_MAX: usize = 50;
/// Rooms that one `resume` names. At the bound: `bad_request`.
pub const RESUMED_ROOMS_MAX: usize = 64;
/// Sections, or categories, that one `select_best` names. At the bound: `bad_request`.
pub const NAMES_PER_FILTER_MAX: usize = 64;
/// Longest `id` of a request, and longest `t` of a `ping`, in bytes. At the bound: `bad_request`.
pub const REQUEST_ID_BYTES_MAX: usize = 64;
/// Longest `since` that is looked at, as it was written. At the bound: who joins gets the whole state.
pub const SINCE_BYTES_MAX: usize = 256;
/// Default of `RATE_MESSAGES_PER_S`: messages that a connection may send for as long as it likes; 0 switches the bound
/// off. Beyond it and [`RATE_BURST`]: `rate_limited`, and its socket is not read before it may send one more.
pub const RATE_MESSAGES_PER_S: u32 = 50;
/// Default of `RATE_BURST`: messages that a connection may send at once.
pub const RATE_BURST: u32 = 200;
/// Largest rate that is accepted: what one message costs is a tenth of a millisecond then.
pub const MESSAGES_PER_S_MAX: u32 = 10_000;
/// Largest burst that is accepted.
pub const RATE_BURST_MAX: u32 = 65_535;
/// Twice the messages of a connection that its rate refused, less those that it let pass, never below 0. It grows while
/// more than a third are refused: who sends as fast as it is read reaches this with 100 refusals in a row. At the
/// bound: close 4013.
pub const RATE_EXCESS_MAX: u8 = 100;
/// Addresses whose messages a shard counts at the same time. At the bound those that have been silent for long enough
/// are forgotten; if none has, further ones are not counted.
pub const RATED_ORIGINS_MAX: usize = 65_536;
/// Items of a JSON list that are looked at. At the bound it is a long list, whatever is in it.
pub const JSON_LIST_MAX: usize = 64;
/// Commas, colons, quotation marks, brackets that open, and backslashes in a message beyond those that its `user_info`
/// has place for.
/// Those inside of strings count when they are backslashes. At the bound: `bad_json`, and the message is not read.
pub const JSON_SIGNS_MAX: usize = 1_024;
/// As many more in a message of the second protocol: for all seats that it may take and give back, their names of
/// letters beyond ASCII and each letter escaped, as some programs write them.
pub const JSON_SIGNS_OF_SEATS_MAX: usize = 2 * SEATS_PER_REQUEST_MAX * (ID_BYTES_MAX / 2 + 3);
/// A message counts as one more, where messages are counted, for each so many of these: reading it costs by them.
pub const JSON_SIGNS_PER_TOKEN: usize = 96;
/// Nesting of JSON that is read, as deep as most programs read it. At the bound: `bad_json`.
pub const JSON_DEPTH_MAX: usize = 120;
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
/// Longest PROXY header. Version 1 has 107 bytes at most; version 2 may carry further fields, which are skipped. At the
/// bound: 400.
pub const PROXY_HEADER_BYTES_MAX: usize = 1_024;

/// Slots of the table of hot rooms, which all shards share; rooms whose names share one are hot together.
pub const HOT_SLOTS: usize = 4_096;
/// Default of `HOT_ROOM_MEMBERS`: from so many members on a room's sockets stay spread over the shards.
pub const HOT_ROOM_MEMBERS: usize = 32;
/// Messages waiting in one shard's mailbox. At the bound senders keep theirs and read no more sockets until it drains.
pub const MESH_DEPTH_MAX: usize = 65_536;
/// Messages one shard keeps back for another whose mailbox is full, above which it reads no sockets.
pub const MESH_BACKLOG_MAX: usize = 65_536;

/// Open files kept back for everything but connections: logs, the store, status.
pub const FILES_RESERVE: u64 = 64;
/// Open files kept back for each shard: rings, epoll, eventfd, timers, listener, a refusal in the making.
pub const FILES_RESERVE_PER_SHARD: u64 = 16;
/// Most connections that a setting may name.
pub const CONNECTIONS_MAX: u64 = 16_000_000;
/// Locked memory below which glommio 0.9.0 makes no rings. Below it: plain threads.
pub const MEMLOCK_BYTES_MIN: u64 = 512 * 1024;
/// The size of the ring that is tried at the start, the same that a shard makes.
pub const RING_ENTRIES: u32 = 128;
/// Rings of each shard: three of glommio 0.9.0's, and one for sends.
pub const RINGS_PER_SHARD: usize = 4;
/// Memory that a shard registers with its rings, which nothing here uses. The least that glommio takes.
pub const RING_MEMORY_BYTES: usize = 64 * 1024;

/// Connections accepted in one turn.
pub const ACCEPTS_PER_TURN_MAX: usize = 64;
/// How long accepting pauses when the process is out of file descriptors, in nanoseconds. It is the same however often
/// it was in vain.
pub const ACCEPT_PAUSE_NS: u64 = 100_000_000;
/// How long accepting rests after a crowd, in nanoseconds. A crowd that is taken one by one costs a wake-up, a turn, a
/// look at an empty queue and a read that finds no request for each; a millisecond later many have come, with their
/// requests.
pub const ACCEPT_REST_NS: u64 = 1_000_000;
/// Connections accepted at once that are a crowd. Fewer never wait for the rest to be over.
pub const ACCEPT_CROWD_MIN: usize = 4;
/// Connections that wait to be accepted by one shard. The kernel caps it at `net.core.somaxconn` and drops what is
/// beyond.
pub const ACCEPT_BACKLOG: i32 = 4_096;
/// Connections beyond the limit that are open just to be told so. At the bound they are closed without a word.
pub const SURPLUS_MAX: usize = 128;
/// How long a connection may have asked for nothing when every place is taken, in tenths of a second. Then it gives its
/// place to the next that comes, the oldest first; when there is not even a place to be refused in, at once.
pub const DOORSTEP_TENTHS: u32 = 10;
/// Default of `MAX_CONNECTIONS_PER_IP`: connections from one address, or one IPv6 network of 64 bits. Beyond: 503. An
/// office or a carrier behind one address has room, and a proxy that was not declared is noticed.
pub const CONNECTIONS_PER_IP: u64 = 1_000;
/// At its limit, an address from which so many of a hundred connections come is nearly everybody.
pub const NEARLY_EVERYBODY_PERCENT: usize = 90;
/// The same for one address beyond its own limit; they count for it, too.
pub const SURPLUS_PER_IP_MAX: usize = 16;
/// Sockets read in one turn, each once. At the bound the others wait for the next turn.
pub const READS_PER_TURN_MAX: usize = 256;
/// What reading may take of a turn, in nanoseconds. At the bound the sockets that were not read wait for the next turn.
pub const READ_NS_PER_TURN: u64 = 2_000_000;
/// What mail of other shards may take of a turn, in nanoseconds. At the bound the rest is opened in the next turn.
pub const MAIL_NS_PER_TURN: u64 = 4_000_000;
/// Reads of one socket in a turn when nobody else waits to be read. At the bound it waits for the next turn.
pub const READS_PER_SOCKET_MAX: usize = 4;
/// Frames and request heads taken from one socket before others get their turn. At the bound the rest waits.
pub const FRAMES_PER_LOOK_MAX: u32 = 64;
/// Frames between two looks at the clock: one costs less than reading it.
pub const FRAMES_PER_CLOCK: u32 = 8;
/// One message in so many is measured.
pub const MESSAGES_PER_MEASURE: u32 = 16;
/// Readiness events taken from the kernel at once.
pub const EPOLL_EVENTS_MAX: usize = 1_024;
/// The scratch buffer of a shard: what one `recv` can bring.
pub const SCRATCH_BYTES: usize = 128 * 1024;
/// Spare buffers a shard keeps for its next busy turn.
pub const SPARE_BUFFERS_MAX: usize = 1_024;
/// A spare buffer that grew beyond this is given back to the allocator: all of a shard's are 4 MiB at most, however
/// large the full states were that went through them.
pub const SPARE_BUFFER_BYTES_MAX: usize = 4 * 1024;
/// Connections that must have ended before a quiet shard gives free memory back to the kernel.
pub const COLLECT_ENDS_MIN: u32 = 64;
/// Bytes that were freed after which it does, too.
pub const COLLECT_BYTES_MIN: usize = 1024 * 1024;
/// The shortest time from one time that memory is given back to the next, in nanoseconds.
pub const COLLECT_REST_NS: u64 = 1_000_000_000;
/// The longest: a quiet shard looks once in a while, whatever was freed.
pub const COLLECT_QUIET_NS: u64 = 60_000_000_000;

/// Shortest of the times below that a setting may name.
pub const TIMEOUT_MS_MIN: u64 = 100;
/// Longest of them.
pub const TIMEOUT_MS_MAX: u64 = 60_000;
/// Default of `HANDSHAKE_MS`: time for a whole request head from the first byte, however slowly it comes.
pub const HANDSHAKE_MS: u64 = 10_000;
/// Default of `PING_AFTER_MS`: silence after which the server pings.
pub const PING_AFTER_MS: u64 = 25_000;
/// Default of `PONG_WITHIN_MS`: silence after the ping after which the connection is closed with 4012.
pub const PONG_WITHIN_MS: u64 = 10_000;
/// How often a connection is looked at again whose HTTP answer waits for other shards.
pub const ANSWER_LOOK_MS: u64 = 1_000;
/// What the kernel may keep for one connection (`SO_SNDBUF`). It would go up to `tcp_wmem`, 4 MiB, and ten thousand
/// slow readers would take the machine's `tcp_mem`: then the kernel drops packets of everybody. With 50 ms to a client
/// and back it still allows over a megabyte a second.
pub const SOCKET_SEND_BYTES: usize = 64 * 1024;
/// Default of `SLOW_CONSUMER_MS`: how long a full state that took the place of dropped events may be on its way before
/// a connection that drops events again is closed with 4008. Until then it drops them, and gets another full state.
pub const SLOW_CONSUMER_MS: u64 = 30_000;
/// Longest `SLOW_CONSUMER_MS` that is accepted.
pub const SLOW_CONSUMER_MS_MAX: u64 = 600_000;
/// How long a connection whose socket was full waits for the kernel to report it writable before it tries by itself.
pub const BLOCKED_RETRY_MS: u64 = 1_000;
/// Default of `CLOSE_WITHIN_MS`: how long a closing connection takes what is left for it and waits for the peer's close
/// frame.
pub const CLOSE_WITHIN_MS: u64 = 2_000;
/// Between which times a client of the second protocol is told to come back when the server ends, in milliseconds.
pub const COME_BACK_MS: (u64, u64) = (500, 8_000);
/// How long a drain lasts before what is left is cut. With the exit itself it stays below 5 s.
pub const DRAIN_MS: u64 = 3_500;
/// The tick of a shard: expiry, heartbeats and retries happen with this resolution.
pub const TICK_MS: u64 = 10;
/// Tenths of a second that one bucket of the wheel of heartbeats covers.
pub const WHEEL_BUCKET_TENTHS: u32 = 5;
/// Its buckets: 64 s, as far as nearly every deadline lies. What lies further ahead is kept beside them.
pub const WHEEL_BUCKETS: u32 = 128;
/// How long after a refusal by the store the rooms of a file are asked for again.
pub const DECLARE_AGAIN_MS: u64 = 1_000;
/// A shard whose turn counter stands this long while work waits is woken by the watchdog.
pub const WATCHDOG_MS: u64 = 1_000;
/// The longest that a shard parks at a time: so long a wake-up that glommio loses costs, and twice that at most.
pub const PARK_MS_MAX: u64 = 1_000;

const _: () = assert!(SHARDS_MAX <= 64, "a ShardSet is one u64");
const _: () = assert!(SEQ_RESTORED_MAX + 4 * (ROOM_HOLDS_MAX as u64) < SEQ_MAX, "a restored room counts on");
const _: () = assert!(MESSAGE_BYTES <= MESSAGE_BYTES_MAX);
const _: () = assert!(USER_INFO_BYTES < MESSAGE_BYTES);
const _: () = assert!(HTTP_HEAD_BYTES_MAX < SCRATCH_BYTES);
const _: () = assert!(MESSAGE_BYTES + 14 <= SCRATCH_BYTES, "the default message and its frame header fit one recv");
const _: () = assert!(OPEN_REQUESTS_MAX < u16::MAX / 2, "tickets are 16 bits, and an open one is never given again");
const _: () =
    assert!(ROOMS_PER_CONNECTION_MAX + (OPEN_REQUESTS_MAX as usize) < u16::MAX as usize, "a session counts both");
const _: () = assert!(USER_INFO_BYTES < USER_INFO_BYTES_PER_CONNECTION_MAX);
const _: () = assert!(
    ROOMS_PER_CONNECTION_MAX * SEATS_PER_CLIENT_DEFAULT as usize * USER_INFO_BYTES_UNCOUNTED
        <= USER_INFO_BYTES_PER_CONNECTION_MAX
);
const _: () = {
    let share = MEMORY_BUDGET_BYTES_MIN / MEMORY_SHARES_SUM;
    assert!(MEMORY_GRAIN_BYTES * SHARDS_MAX <= share, "grains hide no share");
    let outboxes = MEMORY_SHARES[0] * share;
    assert!(OUTBOUND_QUEUE_BYTES * FAIR_PARTS <= outboxes, "the first slow readers may take all that one may");
    assert!(WITHHELD_BYTES_PER_CONNECTION_MAX * 4 <= share);
};
const _: () =
    assert!(WITHHELD_BYTES_PER_CONNECTION_MAX > OPEN_REQUESTS_MAX as usize * 256, "trains of small requests fit");
const _: () = assert!(PRESSED_CONSUMER_MS < PING_AFTER_MS && PRESSED_CONSUMER_MS > BLOCKED_RETRY_MS);
const _: () = assert!(TICK_MS * 10 <= 100, "an expiry is announced within 100 ms of its deadline");
const _: () = assert!(DRAIN_MS < 5_000);
const _: () = assert!(RATE_MESSAGES_PER_S <= MESSAGES_PER_S_MAX && RATE_BURST <= RATE_BURST_MAX);
const _: () =
    assert!((RATE_BURST_MAX as u64) * 10_000 * 2 < 1 << 32, "an empty bucket is full before its moments wrap");
const _: () = assert!(ROOM_HOLDS_MAX <= SHARD_HOLDS_MAX && ROOM_MEMBERS_MAX < CONN_SLOTS_MAX);
const _: () = assert!(CONNECTIONS_MAX < CONN_SLOTS_MAX as u64, "one shard may have them all");
const _: () = assert!(HOLD_TTL_MS <= HOLD_TTL_MS_MAX && RESTORE_GRACE_MS <= RESTORE_GRACE_MS_MAX);
const _: () = assert!(RESELECT_AFTER_MS <= RESELECT_AFTER_MS_MAX && SLOW_CONSUMER_MS <= SLOW_CONSUMER_MS_MAX);
const _: () = assert!(HANDSHAKE_MS <= TIMEOUT_MS_MAX && CLOSE_WITHIN_MS <= TIMEOUT_MS_MAX);
const _: () = assert!(PING_AFTER_MS <= TIMEOUT_MS_MAX && PONG_WITHIN_MS <= TIMEOUT_MS_MAX);
const _: () = assert!(MESSAGE_BYTES_MIN <= MESSAGE_BYTES && REQUEST_TYPE_BYTES_MAX < JSON_SHORT_BYTES);
const _: () = assert!(JSON_SHORT_BYTES <= MESSAGE_BYTES_MIN && UTF8_WINDOW_BYTES > 8);
const _: () = assert!(PROXY_HEADER_BYTES_MAX <= SCRATCH_BYTES && CONTROL_PAYLOAD_MAX < SCRATCH_BYTES);
const _: () = assert!(FULL_STATE_TURN_MS <= FULL_STATE_WAIT_MS && FULL_STATE_WAIT_MS < SLOW_CONSUMER_MS);
const _: () = assert!(SMALL_ROOM_MEMBERS <= ROOM_MEMBERS_MAX && HOT_ROOM_MEMBERS <= ROOM_MEMBERS_MAX);
const _: () = assert!(DOORSTEP_TENTHS as u64 * 100 < HANDSHAKE_MS && CONNECTIONS_PER_IP <= CONNECTIONS_MAX);
const _: () = assert!(SURPLUS_PER_IP_MAX < SURPLUS_MAX, "one address does not take all places");
const _: () = assert!(ACCEPT_CROWD_MIN <= ACCEPTS_PER_TURN_MAX && ACCEPT_REST_NS < TICK_MS * 1_000_000);
const _: () =
    assert!(ACCEPT_PAUSE_NS * 5 <= 1_000_000_000, "accepting goes on within a second of the first descriptor");
const _: () = assert!(FRAMES_PER_CLOCK <= FRAMES_PER_LOOK_MAX && READS_PER_TURN_MAX <= EPOLL_EVENTS_MAX);
const _: () = assert!(
    (WHEEL_BUCKETS as u64 - 1) * WHEEL_BUCKET_TENTHS as u64 * 100 > TIMEOUT_MS_MAX,
    "one time of a setting lies within a lap; two of them together may lie beyond it"
);
const _: () = assert!(TICK_MS < BLOCKED_RETRY_MS && TICK_MS < WATCHDOG_MS);
