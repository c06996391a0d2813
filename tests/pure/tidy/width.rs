//! No line is wider than two windows side by side: `rustfmt` sees to code, and leaves comments alone.

use std::path::Path;

use super::report;

const WIDTH_MAX: usize = 120;

/// Where Rust sources stand.
const FOLDERS: &[&str] = &[
    "benches",
    "loadgen/src",
    "loadgen/tests",
    "relay/src",
    "relay/tests",
    "src",
    "tests/durability",
    "tests/fuzz/src",
    "tests/kit",
    "tests/persist",
    "tests/pure",
    "tests/redis_model",
    "tests/server",
];

/// A text is as wide as what it says: only what stands around it can be broken.
fn is_too_wide(line: &str) -> bool {
    line.chars().count() > WIDTH_MAX && (line.trim_start().starts_with("//") || !line.contains(['"', '\'']))
}

fn look_through(folder: &Path, root: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() {
            look_through(&path, root, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("the file is readable");
            let wide = text.lines().zip(1..).filter(|(line, _)| is_too_wide(line));
            let name = path.strip_prefix(root).expect("it is under the root").display().to_string();
            found.extend(wide.map(|(_, number)| format!("{name}:{number}")));
        }
    }
}

#[test]
fn no_line_is_wider_than_a_window() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    FOLDERS.iter().for_each(|folder| look_through(&root.join(folder), root, &mut found));
    report("no line is wider than 120 characters, unless a text is", &found);
}

#[test]
fn a_wide_line_is_seen() {
    let wide = "x".repeat(WIDTH_MAX + 1);
    assert!(is_too_wide(&wide) && is_too_wide(&format!("    // \"{wide}\"")));
    assert!(!is_too_wide(&format!("\"{wide}\"")) && !is_too_wide(&"ñ".repeat(WIDTH_MAX)));
}
