//! Every bound of the load generator and the defaults that several files share.
//!
//! Owns: constants. Never here: behaviour.

/// Bytes of one `recv`; a larger message is put together in the connection's own buffer.
pub const SCRATCH_BYTES: usize = 256 * 1024;
/// Longest message that is accepted from a server: a full state of 200,000 seats fits. At the bound: the connection is
/// given up.
pub const MESSAGE_BYTES_MAX: usize = 128 * 1024 * 1024;
/// The receive buffer of a client (`SO_RCVBUF`, which the kernel doubles), about that of a phone. The kernel's own
/// growth, up to 32 MiB, would let ten thousand clients on one machine take its `tcp_mem`: then it drops packets.
pub const RECEIVE_BYTES: usize = 64 * 1024;
/// The same of a client that reads slowly: the server feels it soon.
pub const RECEIVE_BYTES_SLOW: usize = 4 * 1024;
/// Readiness events taken from the kernel at once.
pub const EPOLL_EVENTS_MAX: usize = 1_024;
/// Most source addresses (127.0.0.2 and up) that connections are spread over.
pub const SOURCES_MAX: usize = 200;
/// Most load threads.
pub const THREADS_MAX: usize = 64;
/// Commands of one connection that may be unanswered. At the bound the client waits.
pub const PENDING_MAX: usize = 4_096;

/// The close code for a consumer so slow that even its resynchronisation found no room.
pub const CLOSED_AS_SLOW: u16 = 4008;

/// Events of one room that are remembered for comparison. At the bound the older half is forgotten.
pub const ROOM_LOG_MAX: usize = 1 << 20;
/// How far back a late member may move the beginning of a room's log.
pub const ROOM_REBASE_MAX: u64 = 1 << 20;
/// Full states of one room that wait, with their content, for the events before them.
pub const WAITING_LISTS_MAX: usize = 8;
/// Violations told in full; the rest is only counted.
pub const VIOLATIONS_TOLD_MAX: usize = 20;
/// Refusals that are looked at again at the end of a run.
pub const REFUSALS_KEPT_MAX: usize = 100_000;
/// How many events of a room may be on their way while a refusal overtakes them.
pub const REFUSAL_SLACK: u64 = 256;
/// Raw bytes of recent frames kept for a room with many members, and for one with few.
pub const RAW_BYTES_BIG: usize = 4 << 20;
/// See [`RAW_BYTES_BIG`].
pub const RAW_BYTES_SMALL: usize = 8 * 1024;

/// Large full states of one thread that are recognised when they come again.
pub const SEEN_MAX: usize = 4;
/// Length from which on that is worth it.
pub const SEEN_BYTES_MIN: usize = 4 * 1024;

/// Most shoppers of `purchase`: each has a thread.
pub const SHOPPERS_MAX: usize = 2_000;
/// How long a shopper asks again while the server is away. Then the run has failed.
pub const SHOPPER_PATIENCE_NS: u64 = 60_000_000_000;
/// Seats that a seller of `orders` holds by one call: the server takes no more. An order has no more either.
pub const SELLER_CART_SEATS: usize = 50;
/// Most sellers of `orders`: the API serves no more connections.
pub const SELLERS_MAX: usize = 1_000;
/// How long maps may take at the end until they are what the API says.
pub const MAPS_AGREE_NS: u64 = 20_000_000_000;
/// Violations that are printed; the rest is counted.
pub const VIOLATIONS_SHOWN_MAX: usize = 20;
/// Most seats of a hall whose plan is written.
pub const HALL_SEATS_MAX: u32 = 200_000;
/// Deltas of one room that are recognised when they come again; several shards cut them at several places.
pub const DELTAS_KEPT_MAX: usize = 16;
/// What the due times of a delta's changes are rounded down to: a latency is told too long by at most so much.
pub const STAMP_STEP_NS: u64 = 5_000_000;
/// Snapshots in the middle of a run that are remembered for a room, for what they leave untold. Beyond it refusals are
/// judged as if they left nothing untold.
pub const SKIPS_KEPT_MAX: usize = 100_000;
/// Messages of one client that are told with a violation.
pub const STORY_LINES_MAX: usize = 12;

/// Most slices of time a run is cut into for the charts.
pub const SLICES_MAX: usize = 120;
/// Longest latency that a histogram can tell apart: two minutes, in microseconds.
pub const LATENCY_US_MAX: u64 = 120_000_000;
/// Open files that the process needs beside its connections.
pub const FILES_BESIDE: u64 = 64;
/// Longest answer that is read over HTTP.
pub const HTTP_BODY_MAX: usize = 128 * 1024 * 1024;

const _: () = assert!(WAITING_LISTS_MAX > 0 && SEEN_MAX > 0);
const _: () = assert!(RAW_BYTES_SMALL < RAW_BYTES_BIG);
const _: () = assert!(SOURCES_MAX <= 250, "sources are 127.0.0.2 .. 127.0.0.251");
