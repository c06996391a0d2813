//! Every bound of the relay, unit last, and what happens at it.

use std::time::Duration;

/// Events asked for at a time. More come with the next question.
pub(crate) const PAGE_EVENTS_MAX: usize = 256;

/// Bytes of a page. What is longer is cut at the last whole event; the rest comes with the next question.
pub(crate) const PAGE_BYTES_MAX: usize = 24 << 20;

/// Bytes of one event, which is what a document of MongoDB may have. A longer one stops the relay.
pub(crate) const EVENT_BYTES_MAX: usize = 15 << 20;

/// How long the log is asked to wait for the first event.
pub(crate) const WAIT_S: u64 = 20;

/// How long the log may take for an answer, its waiting included. Then it is asked again.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(WAIT_S + 20);

/// How long one delivery may take. Then it has failed, and is tried again.
pub(crate) const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest name or answer that is shown in a line, in characters. The rest is left out.
pub(crate) const SHOWN_CHARS_MAX: usize = 200;

/// Bytes of an answer of a webhook that are read. The rest is not.
pub(crate) const ANSWER_BYTES_MAX: usize = 1024;

/// Rooms to which a webhook gets events at the same time. The others of a page wait.
pub(crate) const ROOMS_AT_ONCE_MAX: usize = 8;

/// Rooms whose last number is remembered, to notice a hole. When there are more, all are forgotten.
pub(crate) const ROOMS_WATCHED_MAX: usize = 100_000;

/// Epochs of a room that an order remembers to have left. The oldest is forgotten.
pub(crate) const PAST_EPOCHS_MAX: usize = 16;

/// First and longest delay between two tries. Tries have no end: what is away comes back.
pub(crate) const DELAY_FIRST_MS: u64 = 100;
pub(crate) const DELAY_MAX_MS: u64 = 30_000;

/// Longest delay that a sink or the log may ask for by `Retry-After`. More counts as this.
pub(crate) const RETRY_AFTER_MAX_MS: u64 = 300_000;

/// How often counts and lag are printed, if there is something new.
pub(crate) const REPORT_EVERY: Duration = Duration::from_secs(10);

/// How long what is under way may take at SIGTERM. Then it is left: it is delivered again at the next start.
pub(crate) const GRACE: Duration = Duration::from_secs(12);

const _: () = assert!(EVENT_BYTES_MAX < PAGE_BYTES_MAX, "a page has room for the longest event");
const _: () = assert!(GRACE.as_millis() > DELIVERY_TIMEOUT.as_millis(), "a delivery under way may come to its end");
const _: () = assert!(DELAY_FIRST_MS < DELAY_MAX_MS && DELAY_MAX_MS <= RETRY_AFTER_MAX_MS);
