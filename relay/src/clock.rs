//! The one place where the relay reads a clock.

use std::time::{SystemTime, UNIX_EPOCH};

use mongodb::bson::DateTime;

/// Milliseconds since 1970.
#[allow(clippy::disallowed_methods, reason = "this is the place where the clock is read")]
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970 of a time as RFC 3339 writes it.
pub(crate) fn parse_time(text: &str) -> Option<u64> {
    let time = DateTime::parse_rfc3339_str(text).ok()?;
    u64::try_from(time.timestamp_millis()).ok()
}
