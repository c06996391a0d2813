//! A cursor in a file: whole or not there, whatever dies while it is written.

use std::fs::{File, rename};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// Longest cursor in bytes. A file with more is none of ours.
const CURSOR_BYTES_MAX: u64 = 4096;

/// The file of a cursor.
pub(crate) struct CursorFile(PathBuf);

impl CursorFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// What it has; nothing when there is no file yet.
    pub(crate) fn load(&self) -> Result<Option<String>, String> {
        let why = |error: std::io::Error| format!("{}: {error}", self.0.display());
        let file = match File::open(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(why)?,
        };
        let mut text = String::new();
        file.take(CURSOR_BYTES_MAX).read_to_string(&mut text).map_err(why)?;
        let cursor = text.strip_suffix('\n').filter(|line| !line.is_empty() && !line.contains('\n'));
        cursor.map(|line| Some(line.to_owned())).ok_or_else(|| format!("{}: this is no cursor", self.0.display()))
    }

    /// Replaces it: written beside it, synced, put in its place, and the place synced.
    pub(crate) fn keep(&self, cursor: &str) -> Result<(), String> {
        self.try_keep(cursor).map_err(|error| format!("{}: {error}", self.0.display()))
    }

    fn try_keep(&self, cursor: &str) -> std::io::Result<()> {
        let beside = self.0.with_extension("new");
        let mut file = File::create(&beside)?;
        writeln!(file, "{cursor}")?;
        file.sync_all()?;
        rename(&beside, &self.0)?;
        let folder = self.0.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::CursorFile;

    #[test]
    fn a_cursor_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = CursorFile::new(&folder.path().join("hook.cursor"));
        assert_eq!(file.load(), Ok(None));
        for cursor in ["1-7.2", "x"] {
            file.keep(cursor).unwrap();
            assert_eq!(file.load(), Ok(Some(cursor.into())));
        }
        std::fs::write(folder.path().join("hook.cursor"), "half").unwrap();
        assert!(file.load().is_err(), "without its end it is not whole");
    }
}
