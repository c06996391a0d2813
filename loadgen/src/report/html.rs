//! stub
use crate::outcome::Outcome;
use std::path::Path;
/// Writes the page.
///
/// # Errors
/// One line.
pub fn write(_path: &Path, _outcome: &Outcome) -> Result<(), String> {
    Ok(())
}
