//! Why a layout is refused, in one line that names the place.

use std::fmt::{self, Display};

use crate::limits::layout::LAYOUT_ERROR_BYTES_MAX;

/// One line for whoever wrote the layout.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LayoutError(Box<str>);

impl LayoutError {
    pub(super) fn new(line: impl Display) -> Self {
        let mut line = line.to_string();
        // JSON's own words repeat what is wrong, however long it is.
        if line.len() > LAYOUT_ERROR_BYTES_MAX {
            line.truncate(line.floor_char_boundary(LAYOUT_ERROR_BYTES_MAX));
            line.push('…');
        }
        Self(line.replace(char::is_control, " ").into())
    }

    /// What JSON itself says against a text.
    pub(super) fn json(error: &serde_json::Error) -> Self {
        Self::new(format_args!("the layout cannot be read: {error}"))
    }
}

impl Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LayoutError {}

/// A text in an error: in quotes, without what could not be seen, and not too long.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        let short: String = self.0.chars().take(SHOWN).collect();
        write!(f, "{short:?}{}", if short.len() < self.0.len() { "…" } else { "" })
    }
}
