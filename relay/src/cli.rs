//! What the command line says. Secrets come from files only: arguments and the environment are seen by others.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Carries the log of a Butaca server into MongoDB and to a webhook: at least once, in order per room.
///
/// It reads GET /v1/events of the server's API from its cursor on. Each sink has a cursor of its own and goes on where
/// it was, whatever died meanwhile. Exit codes: 64 a setting that cannot be, 65 an event that the sink will never take,
/// 66 the log no longer has what follows the cursor, 69 a file or port, 77 the server refuses the key.
#[derive(Parser, Debug)]
#[command(name = "butaca-relay", version)]
pub(crate) struct Cli {
    /// The server's API
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000", env = "RELAY_SERVER")]
    pub(crate) server: String,

    /// A file with an API key of the role read; needed unless the server has no keys
    #[arg(long, value_name = "FILE", env = "RELAY_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,

    /// Writes to this MongoDB: collections seat_events, orders and relay_cursors of the database that the URL names
    #[arg(long, value_name = "mongodb://…", env = "RELAY_MONGO")]
    pub(crate) mongo: Option<String>,

    /// A file with that URL, when it has a password
    #[arg(long, value_name = "FILE", conflicts_with = "mongo", env = "RELAY_MONGO_FILE")]
    pub(crate) mongo_file: Option<PathBuf>,

    /// Posts each event to this address as a CloudEvent, structured mode
    #[arg(long, value_name = "https://…", requires = "secret_file", env = "RELAY_WEBHOOK")]
    pub(crate) webhook: Option<String>,

    /// A file with the secret that signs webhooks: whsec_ and the base64 of 24 to 64 bytes
    /// (echo "whsec_$(openssl rand -base64 32)")
    #[arg(long, value_name = "FILE", env = "RELAY_SECRET_FILE")]
    pub(crate) secret_file: Option<PathBuf>,

    /// Where the webhook's cursor is kept; without it, in the MongoDB
    #[arg(long, value_name = "FILE", env = "RELAY_CURSOR_FILE")]
    pub(crate) cursor_file: Option<PathBuf>,

    /// What a webhook's events name as their source
    #[arg(long, value_name = "URI", default_value = "butaca", env = "RELAY_SOURCE")]
    pub(crate) source: String,

    /// Where to begin: where it was, or, once, with the oldest event that the log still has
    #[arg(long, value_enum, default_value = "cursor")]
    pub(crate) from: From,

    /// Serves /metrics on this port of 127.0.0.1; 0 chooses one
    #[arg(long, value_name = "PORT", env = "RELAY_METRICS_PORT")]
    pub(crate) metrics_port: Option<u16>,
}

/// Where to begin.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum From {
    Cursor,
    Oldest,
}

/// What [`Cli`] refuses beyond what its parser does: one line, or nothing.
pub(crate) fn wrong(cli: &Cli) -> Option<&'static str> {
    let has_mongo = cli.mongo.is_some() || cli.mongo_file.is_some();
    if !has_mongo && cli.webhook.is_none() {
        return Some("there is nowhere to deliver to: give --mongo or --webhook");
    }
    if cli.webhook.is_some() && !has_mongo && cli.cursor_file.is_none() {
        return Some("the webhook's cursor has no place: give --cursor-file, or --mongo");
    }
    let is_http = |url: &str| url.starts_with("http://") || url.starts_with("https://");
    if !is_http(&cli.server) || cli.webhook.as_deref().is_some_and(|url| !is_http(url)) {
        return Some("--server and --webhook are http:// or https:// addresses");
    }
    None
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{Cli, wrong};

    #[test]
    fn what_cannot_be_is_refused() {
        for (words, is_good) in [
            ("", false),
            ("--mongo mongodb://h/db", true),
            ("--webhook https://h --secret-file s", false),
            ("--webhook https://h --secret-file s --cursor-file c", true),
            ("--webhook https://h --secret-file s --mongo mongodb://h", true),
            ("--webhook ftp://h --secret-file s --cursor-file c", false),
            ("--mongo mongodb://h --server h:8000", false),
        ] {
            let cli = Cli::parse_from(std::iter::once("butaca-relay").chain(words.split_whitespace()));
            assert_eq!(wrong(&cli).is_none(), is_good, "{words}");
        }
        assert!(Cli::try_parse_from(["butaca-relay", "--webhook", "https://h"]).is_err(), "no secret");
    }
}
