//! What is answered by HTTP, and to whose pages. Never here: an answer.

use super::texts::{allow_origin, list, origin};
use super::values::Values;

/// What is answered by HTTP, and to whose pages.
#[derive(Clone, Debug)]
pub struct Site {
    /// Whether `/stats` and `/metrics` are answered on the port of the clients.
    pub public_stats: bool,
    /// Whether `/stats` lists clients and rooms.
    pub stats_list_ids: bool,
    /// Origins whose pages may open WebSockets; empty: all.
    pub allowed_origins: Vec<String>,
    /// The value of `Access-Control-Allow-Origin`.
    pub cors_allow_origin: String,
}

impl Site {
    pub(super) fn read(values: &Values) -> Result<Self, String> {
        Ok(Self {
            public_stats: values.switch("PUBLIC_STATS")?,
            stats_list_ids: values.switch("STATS_LIST_IDS")?,
            allowed_origins: values.read("ALLOWED_ORIGINS", |text| list(text, origin))?.unwrap_or_default(),
            cors_allow_origin: values.read("CORS_ALLOW_ORIGIN", allow_origin)?.expect("it has a default"),
        })
    }

    /// Whether whoever sends this `Origin` may open a WebSocket. Browsers always send one, for pages cannot be trusted
    /// to; programs send none.
    #[must_use]
    pub fn admits(&self, origin: Option<&[u8]>) -> bool {
        let is_listed = |origin: &[u8]| self.allowed_origins.iter().any(|allowed| allowed.as_bytes() == origin);
        self.allowed_origins.is_empty() || origin.is_none_or(is_listed)
    }
}
