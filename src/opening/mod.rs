//! What is read from files before the doors open: the layouts of halls, and rooms.
//!
//! Invariants: what is wrong in a file is said in one line that names it, before any port is bound; of a wrong file
//! nothing is taken. Never here: what a layout is.

mod kept;
mod layouts;
mod rooms;

pub(crate) use kept::{Kept, Shared, follow, read as read_kept};
pub(crate) use layouts::read as read_layouts;
pub(crate) use rooms::read as read_rooms;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The bytes of a file of at most so many.
pub(crate) fn read_file(path: &Path, bytes_max: usize) -> Result<Vec<u8>, String> {
    let open = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // One more says that there are too many, also of a file that grows.
        File::open(path)?.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = open().map_err(|error| format!("{}: {error}", shown(path)))?;
    if bytes.len() > bytes_max {
        Err(format!("{}: it has more than {bytes_max} bytes", shown(path)))
    } else {
        Ok(bytes)
    }
}

/// A path on one line.
fn shown(path: &Path) -> String {
    path.to_string_lossy().replace(char::is_control, "?")
}
