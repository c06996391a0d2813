//! Layouts that the backend has put, kept as files in the data directory: one a version, synced before it is answered.
//!
//! The first line of a file is the layout's name in JSON, the rest its document; the number that the file's name begins
//! with says in which order they were put. Invariants: a file is whole or not there; a version that is put again has
//! one file when that is over. Never here: what a layout means; which rooms have it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::embedded::make_data_dir;

const FOLDER: &str = "layouts";

/// Where layouts that are put are kept.
pub trait Keeper: Send + Sync + std::fmt::Debug {
    /// Keeps a version, as the one that was put last, and returns when it is there for good.
    ///
    /// # Errors
    /// One line. It may be there all the same, and may be put again.
    fn put(&self, name: &str, version: &str, document: &[u8]) -> Result<(), String>;

    /// Forgets all versions of a name.
    ///
    /// # Errors
    /// One line. Some may come back at the next start.
    fn delete(&self, name: &str) -> Result<(), String>;

    /// Takes in what other servers of the same place have put or deleted meanwhile, where there can be others.
    ///
    /// # Errors
    /// One line: the place is away, and what is known may be old.
    fn refresh(&self) -> Result<(), String> {
        Ok(())
    }
}

/// The files of one data directory.
#[derive(Debug)]
pub struct Shelf {
    dir: PathBuf,
    /// The number of each version's file.
    files: Mutex<BTreeMap<NameAndVersion, u64>>,
}

type NameAndVersion = (Box<str>, Box<str>);

/// One that was read: its name and its document.
pub type Found = (String, Vec<u8>);

impl Shelf {
    /// Opens the folder of a data directory, and reads what was put, the latest last. `version` says which version a
    /// document is; what is none is left where it is, and passed by.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(data_dir: &Path, version: impl Fn(&str, &[u8]) -> Option<String>) -> io::Result<(Self, Vec<Found>)> {
        let dir = data_dir.join(FOLDER);
        make_data_dir(&dir)?;
        let mut numbered = Vec::new();
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            let number = name.split('-').next().and_then(|number| number.parse::<u64>().ok());
            let is_json = path.extension().is_some_and(|extension| extension == "json");
            numbered.extend(number.filter(|_| is_json).map(|number| (number, path)));
        }
        numbered.sort_unstable();
        let (mut files, mut found) = (BTreeMap::new(), Vec::new());
        for (number, path) in numbered {
            let Some(((name, document), version)) = read(&path)?.and_then(|found| {
                let version = version(&found.0, &found.1)?;
                Some((found, version))
            }) else {
                tracing::warn!("{}: it is no layout that was put here", path.display());
                continue;
            };
            if let Some(older) = files.insert((name.as_str().into(), version.as_str().into()), number) {
                // It was put again, and the server ended before the older file was taken away.
                fs::remove_file(file(&dir, older, &version))?;
            }
            found.push((name, document));
        }
        Ok((Self { dir, files: Mutex::new(files) }, found))
    }

    fn put_file(&self, name: &str, version: &str, document: &[u8]) -> io::Result<()> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.into(), version.into());
        let last = files.values().max().copied().unwrap_or_default();
        let older = files.get(&key).copied();
        if older.is_some_and(|number| number == last) {
            return Ok(());
        }
        let (number, beside) = (last + 1, self.dir.join("new"));
        let mut new = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        new.write_all(json_text(name).as_bytes())?;
        new.write_all(b"\n")?;
        new.write_all(document)?;
        new.sync_all()?;
        fs::rename(&beside, file(&self.dir, number, version))?;
        File::open(&self.dir)?.sync_all()?;
        files.insert(key, number);
        if let Some(older) = older {
            fs::remove_file(file(&self.dir, older, version))?;
        }
        Ok(())
    }

    fn delete_files(&self, name: &str) -> io::Result<()> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<_> = files.keys().filter(|(of, _)| **of == *name).cloned().collect();
        for key in gone {
            fs::remove_file(file(&self.dir, files[&key], &key.1))?;
            files.remove(&key);
        }
        File::open(&self.dir)?.sync_all()
    }
}

impl Keeper for Shelf {
    fn put(&self, name: &str, version: &str, document: &[u8]) -> Result<(), String> {
        self.put_file(name, version, document).map_err(|error| error.to_string())
    }

    fn delete(&self, name: &str) -> Result<(), String> {
        self.delete_files(name).map_err(|error| error.to_string())
    }
}

fn file(dir: &Path, number: u64, version: &str) -> PathBuf {
    dir.join(format!("{number:012}-{version}.json"))
}

fn read(path: &Path) -> io::Result<Option<Found>> {
    let bytes = fs::read(path)?;
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
    let name = serde_json::from_slice(&bytes[..end]).ok();
    Ok(name.map(|name: String| (name, bytes[end + 1..].to_vec())))
}

fn json_text(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Keeper as _, Shelf};

    /// A document of the tests is its own version.
    fn version(_: &str, document: &[u8]) -> Option<String> {
        String::from_utf8(document.to_vec()).ok().filter(|version| version.starts_with('v'))
    }

    #[test]
    fn what_was_put_is_there_again_in_its_order() {
        let dir = tempfile::tempdir().expect("a folder");
        let check = |expected: &[(&str, &str)]| {
            let (shelf, found) = Shelf::open(dir.path(), version).expect("it opens");
            let found: Vec<_> =
                found.iter().map(|(name, document)| (name.as_str(), str::from_utf8(document).unwrap())).collect();
            assert_eq!(found, expected);
            shelf
        };
        let shelf = check(&[]);
        for (name, version) in [("a/b \"c\"", "v1"), ("hall", "v1"), ("a/b \"c\"", "v2")] {
            shelf.put(name, version, version.as_bytes()).expect("it is kept");
        }
        let shelf = check(&[("a/b \"c\"", "v1"), ("hall", "v1"), ("a/b \"c\"", "v2")]);
        shelf.put("a/b \"c\"", "v1", b"v1").expect("it is the latest again");
        shelf.put("a/b \"c\"", "v1", b"v1").expect("it is the latest already");
        let shelf = check(&[("hall", "v1"), ("a/b \"c\"", "v2"), ("a/b \"c\"", "v1")]);
        shelf.delete("hall").expect("it goes");
        shelf.delete("nothing").expect("nothing goes");
        fs::write(dir.path().join("layouts/000000000099-x.json"), "\"hall\"\nx").expect("a foreign file");
        fs::write(dir.path().join("layouts/new"), "half").expect("what a crash left");
        check(&[("a/b \"c\"", "v2"), ("a/b \"c\"", "v1")]);
    }
}
