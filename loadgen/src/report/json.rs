//! The result for machines: one JSON object.

use std::fs;
use std::path::Path;

use crate::outcome::Outcome;

/// Writes the result to a file.
///
/// # Errors
/// One line with the file and what went wrong.
pub fn write(path: &Path, outcome: &Outcome) -> Result<(), String> {
    let text = serde_json::to_string_pretty(outcome).expect("numbers, texts and lists are always JSON");
    fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))
}
