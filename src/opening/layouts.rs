//! The layouts of a folder: `NAME.json` is one in our own form, `NAME.pretix.json` a seating plan of pretix. Files that
//! begin with a dot or end otherwise are passed by.
//!
//! Invariant: one file a name. Never here: rooms.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{read_file, shown};
use crate::engine::ids::is_valid_id;
use crate::layout::Layout;
use crate::layout::catalog::{Catalog, Put};
use crate::limits::layout::{LAYOUT_JSON_BYTES_MAX, LAYOUT_VERSIONS_MAX};

/// Puts all layouts of a folder into a catalog, in the order of their names.
///
/// # Errors
/// One line: the folder or a file cannot be read, is named as no layout can be, or is no layout.
pub(crate) fn read(folder: &Path, catalog: &Catalog) -> Result<(), String> {
    let line = |error: std::io::Error| format!("{}: {error}", shown(folder));
    let entries = fs::read_dir(folder).map_err(line)?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<Result<Vec<PathBuf>, _>>().map_err(line)?;
    files.sort_unstable();
    files.iter().try_for_each(|file| read_one(file, catalog))
}

fn read_one(file: &Path, catalog: &Catalog) -> Result<(), String> {
    let file_name = file.file_name().expect("it is an entry of a folder").to_string_lossy();
    let is_hidden = file_name.starts_with('.');
    let Some(name) = file_name.strip_suffix(".json").filter(|_| !is_hidden) else { return Ok(()) };
    let (name, is_pretix) = name.strip_suffix(".pretix").map_or((name, false), |name| (name, true));
    let line = |why: &dyn std::fmt::Display| format!("{}: {why}", shown(file));
    // What is no UTF-8 has become another text, by which nobody would find it.
    if !is_valid_id(name) || file.to_str().is_none() {
        return Err(line(&"no layout can have this name"));
    }
    let json = read_file(file, LAYOUT_JSON_BYTES_MAX)?;
    let layout = if is_pretix { Layout::parse_pretix(name, &json) } else { Layout::parse(name, &json) };
    match catalog.put(Arc::new(layout.map_err(|error| line(&error))?)) {
        Put::New => Ok(()),
        Put::NewVersion | Put::Known => {
            Err(line(&format_args!("another file of this folder is the layout {name}, too")))
        }
        // Files are the operator's own: what they take is not asked.
        Put::Full | Put::TooLarge => Err(line(&format_args!("there are more than {LAYOUT_VERSIONS_MAX} layouts"))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::read;
    use crate::layout::catalog::Catalog;
    use crate::limits::layout::LAYOUT_JSON_BYTES_MAX;

    const SEAT: &str = r#"{"seats":[{"id":"A1","section":"s","row":"A","number":1,"category":"c","x":0,"y":0}]}"#;
    const PRETIX: &str = r#"{"name":"p","size":{"width":9,"height":9},"categories":[{"name":"c","color":"red"}],
        "zones":[{"name":"z","zone_id":"z","position":{"x":0,"y":0},"rows":[{"row_number":"1","row_number_position":"both",
        "position":{"x":0,"y":0},"seats":[{"seat_guid":"z1","seat_number":"1","position":{"x":0,"y":0},"category":"c",
        "radius":9}]}],"areas":[]}]}"#;

    /// A folder with these files gives these layouts, or one line that begins with its file and has this in it.
    fn check(files: &[(&str, &str)], expected: Result<&[&str], (&str, &str)>) {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("it is written");
        }
        let catalog = Catalog::default();
        let found = read(folder.path(), &catalog);
        match expected {
            Ok(names) => {
                assert_eq!(found, Ok(()), "{files:?}");
                let list = catalog.list();
                assert_eq!(list.iter().map(|layout| &**layout.id()).collect::<Vec<_>>(), names, "{files:?}");
            }
            Err((file, why)) => {
                let line = found.expect_err("it is wrong");
                let begin = format!("{}: ", folder.path().join(file).display());
                assert!(line.starts_with(&begin) && line.contains(why) && !line.contains('\n'), "{line}");
            }
        }
    }

    #[test]
    fn a_folder_of_layouts_is_read() {
        check(&[], Ok(&[]));
        let others = [("README.md", "#"), (".x.json", "{"), ("x.JSON", "{"), ("json", "{"), (".json", "{")];
        check(&others, Ok(&[]));
        check(&[("b.json", SEAT), ("a 1.json", SEAT), ("c.pretix.json", PRETIX)], Ok(&["a 1", "b", "c"]));
    }

    #[test]
    fn what_is_wrong_names_its_file() {
        check(&[("a.json", SEAT), ("b.json", "{")], Err(("b.json", "the layout cannot be read")));
        check(&[("a.json", r#"{"seats":[],"seat":1}"#)], Err(("a.json", "seat")));
        check(&[("a.pretix.json", SEAT)], Err(("a.pretix.json", "")));
        check(&[("a.json", SEAT), ("a.pretix.json", PRETIX)], Err(("a.pretix.json", "another file")));
        check(&[(&format!("{}.json", "x".repeat(129)), SEAT)], Err((&format!("{}.json", "x".repeat(129)), "name")));
        let long = " ".repeat(LAYOUT_JSON_BYTES_MAX + 1);
        check(&[("a.json", &long)], Err(("a.json", "more than")));
    }

    #[test]
    fn a_folder_that_is_none_is_said() {
        let line = read(Path::new("/nowhere/at all"), &Catalog::default()).expect_err("it is not there");
        assert!(line.starts_with("/nowhere/at all: ") && !line.contains('\n'), "{line}");
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("a.json")).expect("a folder");
        assert!(read(folder.path(), &Catalog::default()).is_err(), "a folder is no layout");
    }
}
