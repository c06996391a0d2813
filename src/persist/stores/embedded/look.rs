//! What is in the directory of the embedded store, seen before the library opens it.
//!
//! The library deletes what it does not understand and ends the process at files that a damaged disk may well hold (a
//! link in the place of a journal, a manifest with one wrong bit). So it opens only what was found sound here: the
//! kinds and names of files, the version, the manifests with their checksums, and every journal (`journal.rs`).
//! Invariant: looking changes nothing. Never here: what to do about it.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

use super::journal::{Extent, Journals, Op};
use super::tally::Tally;

/// The file that says which format the library wrote, and what it says.
pub(super) const VERSION: (&str, &[u8]) = ("version", b"FJL\x03");
/// What the library locks.
pub(super) const LOCK: &str = "lock";
/// The folder of trees: that of the library itself, and the only keyspace.
pub(super) const TREES: &str = "keyspaces";
const TREE_NAMES: [&str; 2] = ["0", "1"];

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// The journals, the oldest first, up to the first that is not whole.
    pub(super) journals: Vec<(PathBuf, Extent)>,
    /// The tally of the last batch in them that had one.
    pub(super) tally: Option<Tally>,
    /// Whether the last batch had none: a version of the server wrote it that did not count.
    pub(super) is_uncounted: bool,
    /// Whether holds are in tables too.
    pub(super) has_tables: bool,
    /// What is wrong with the trees, so that the library must not open them.
    pub(super) trees: Option<String>,
    /// What else is wrong, but for a last batch that is not whole.
    pub(super) rest: Option<String>,
}

impl Look {
    /// Whether the last journal ends in something that is not a whole batch: a crash leaves that, and so does damage.
    pub(super) fn is_torn(&self) -> bool {
        self.journals.last().is_some_and(|(_, extent)| !extent.is_whole)
    }

    /// Cuts a last batch that is not whole: nobody was told of it, and the library must not see it.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn cut(&self) -> io::Result<()> {
        for (path, extent) in self.journals.iter().filter(|(_, extent)| !extent.is_whole) {
            let file = File::options().write(true).open(path)?;
            file.set_len(extent.clean_len)?;
            file.sync_all()?;
        }
        Ok(())
    }

    /// What is wrong, but for a last batch that is not whole.
    pub(super) fn fault(&self) -> Option<&str> {
        self.trees.as_deref().or(self.rest.as_deref())
    }
}

/// Looks at the directory, and hands over what each batch of the journals changes, in their order.
///
/// # Errors
/// Those of the disk.
pub(super) fn look(dir: &Path, take: &mut dyn FnMut(Vec<Op>)) -> io::Result<Look> {
    let mut look = Look::default();
    if !dir.is_dir() {
        look.trees = Some("it is no directory".into());
        return Ok(look);
    }
    // The directory itself may be a link to another disk.
    let dir = &fs::canonicalize(dir)?;
    look.rest = wrong_version(dir)?;
    if file(&dir.join(LOCK))?.is_none() {
        look.rest.get_or_insert("its lock is missing".into());
    }
    let (is_tabled, wrong) = look_at_trees(&dir.join(TREES))?;
    (look.has_tables, look.trees) = (is_tabled, wrong);
    look_at_journals(dir, &mut look, take)?;
    Ok(look)
}

fn wrong_version(dir: &Path) -> io::Result<Option<String>> {
    let (name, expected) = VERSION;
    let wrong = match file(&dir.join(name))? {
        None => Some("its version is missing".into()),
        Some(bytes) => (bytes != expected).then(|| "its version is another".into()),
    };
    Ok(wrong)
}

/// The bytes of a file, which is no link and nothing else; `None` when there is no such file.
fn file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => fs::read(path).map(Some),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether there are tables of holds, and what is wrong with the trees.
fn look_at_trees(dir: &Path) -> io::Result<(bool, Option<String>)> {
    let mut wrong = None;
    for (name, is_file, _) in entries(dir)? {
        if is_file || !TREE_NAMES.contains(&name.as_str()) {
            wrong = Some(format!("{name} is not one of its trees"));
        }
    }
    let mut tables = [0, 0];
    for (tree, tables) in TREE_NAMES.iter().zip(&mut tables) {
        let dir = dir.join(tree);
        wrong = wrong.or(wrong_manifest(&dir, tree)?);
        for (name, is_file, _) in entries(&dir.join("tables"))? {
            *tables += 1;
            if !is_file || name.parse::<u64>().is_err() {
                wrong = Some(format!("{name} is not one of its tables"));
            }
        }
    }
    Ok((tables[1] > 0, wrong))
}

/// What is wrong with the manifest of a tree: `current` names it and has its checksum.
fn wrong_manifest(dir: &Path, tree: &str) -> io::Result<Option<String>> {
    let Some(current) = file(&dir.join("current"))? else {
        return Ok(Some(format!("tree {tree} has no manifest")));
    };
    let Some((id, rest)) = current.split_first_chunk::<8>() else {
        return Ok(Some(format!("tree {tree} names no manifest")));
    };
    let manifest = file(&dir.join(format!("v{}", u64::from_le_bytes(*id))))?;
    let sum = manifest.as_deref().map(xxh3_128).map(u128::to_le_bytes);
    // The last byte is the kind of the checksum.
    let is_sound = matches!(rest.split_first_chunk::<16>(), Some((said, [0])) if Some(*said) == sum);
    Ok((!is_sound).then(|| format!("tree {tree} has another manifest than it names")))
}

fn look_at_journals(dir: &Path, look: &mut Look, take: &mut dyn FnMut(Vec<Op>)) -> io::Result<()> {
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    for (name, is_file, path) in entries(dir)? {
        if name.contains(char::REPLACEMENT_CHARACTER) {
            look.rest = Some(format!("{name} is no name that it gives"));
        }
        let Some(number) = name.strip_suffix(".jnl") else { continue };
        match number.parse() {
            Ok(number) if is_file => found.push((number, path)),
            Ok(_) | Err(_) => look.rest = Some(format!("{name} is not one of its journals")),
        }
    }
    found.sort();
    if found.is_empty() {
        look.rest.get_or_insert("it has no journal".into());
    }
    let mut journals = Journals::default();
    let count = found.len();
    for (at, (_, path)) in found.into_iter().enumerate() {
        let mut reader = BufReader::with_capacity(64 * 1024, File::open(&path)?);
        let extent = journals.read(&mut reader as &mut dyn Read, take)?;
        look.journals.push((path, extent));
        if !extent.is_whole && at + 1 < count {
            look.rest.get_or_insert("a journal before the last one is not whole".into());
            break;
        }
    }
    (look.tally, look.is_uncounted) = (journals.tally, journals.is_uncounted);
    Ok(())
}

/// What is in a directory: the name, whether it is a file and no link, and the path. Nothing when it is no directory.
fn entries(dir: &Path) -> io::Result<Vec<(String, bool, PathBuf)>> {
    if !fs::symlink_metadata(dir).is_ok_and(|found| found.is_dir()) {
        return Ok(Vec::new());
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        entries.push((entry.file_name().to_string_lossy().into_owned(), entry.file_type()?.is_file(), entry.path()));
    }
    Ok(entries)
}
