//! The bounds of the log.
//!
//! Never here: behaviour.

/// Lines of the log that wait for whoever takes standard error. At the bound they are dropped and counted.
pub const LOG_QUEUE_LINES_MAX: usize = 4_096;
/// The same in bytes.
pub const LOG_QUEUE_BYTES_MAX: usize = 1024 * 1024;
/// How long the end of the process waits for the log to be written. Then what is left is lost.
pub const LOG_FINISH_MS: u64 = 200;
/// How often, once a millisecond, a thread that panics tries to get at the log: it may hold its lock itself.
pub const LOG_LOCK_TRIES: u32 = 50;
