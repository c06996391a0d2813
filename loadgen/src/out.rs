//! Standard output that may be a pipe whose reader has gone.

use std::io::Write;

/// Writes a line. That nobody reads it is no error: `loadgen check | head` must end as `loadgen check` does.
pub fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").unwrap_or_default();
}
