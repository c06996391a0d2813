//! What is logged, and how. Never here: the log.

use tracing::level_filters::LevelFilter;

use super::values::Values;

/// How the log is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// What is logged.
    pub level: LevelFilter,
    /// How it is logged.
    pub format: LogFormat,
}

impl Log {
    pub(super) fn read(values: &Values) -> Result<Self, String> {
        Ok(Self {
            level: values.choice("LOG_LEVEL")?.and_then(|word| word.parse().ok()).expect("every choice is a level"),
            format: match values.choice("LOG_FORMAT")? {
                Some("json") => LogFormat::Json,
                _ => LogFormat::Text,
            },
        })
    }
}
