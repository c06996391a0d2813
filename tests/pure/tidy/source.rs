//! The sources as text, and which modules and crates they name. No parser: `use` lines and paths are enough.

use std::path::Path;

/// One file of `src`.
pub(crate) struct Source {
    pub(crate) file: String,
    /// Its module path without `crate::`; `lib` and `main` for the roots.
    pub(crate) module: String,
    pub(crate) text: String,
}

/// Every source file under `root`, which is called `src`.
pub(crate) fn read_sources(root: &Path) -> Vec<Source> {
    let mut sources = Vec::new();
    read_folder(root, "", &mut sources);
    sources.sort_by(|a, b| a.file.cmp(&b.file));
    assert!(sources.iter().any(|source| source.module == "engine::shard"), "these are not our sources");
    sources
}

fn read_folder(folder: &Path, module: &str, sources: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the folder is readable").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("our names are ASCII");
        let inner = if module.is_empty() { stem.to_owned() } else { format!("{module}::{stem}") };
        if path.is_dir() {
            read_folder(&path, &inner, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let module = if stem == "mod" { module.to_owned() } else { inner };
            let text = std::fs::read_to_string(&path).expect("the file is readable");
            let file = format!("src/{}", path.display().to_string().rsplit("/src/").next().expect("it is under src"));
            sources.push(Source { file, module, text });
        }
    }
}

impl Source {
    /// The code without comments and without what is inside of string literals.
    pub(crate) fn code(&self) -> String {
        let lines = self.text.lines().map(|line| {
            let code = line.find("//").map_or(line, |comment| &line[..comment]);
            code.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Paths of our own crate that the file names, by `use` or in full.
    pub(crate) fn used_modules(&self) -> Vec<String> {
        let code = self.code();
        let mut used: Vec<String> = Vec::new();
        for (at, _) in code.match_indices("use ") {
            let line = code[..at].rfind('\n').map_or(0, |end| end + 1);
            let before = code[line..at].trim();
            if matches!(before, "" | "pub" | "pub(crate)" | "pub(super)") {
                let tree = code[at + 4..].split(';').next().unwrap_or_default();
                // An indented line stands in a module inside of the file, from which `super` is the file.
                let is_inner = code[line..].starts_with(' ');
                expand(tree, "", &mut |path| used.extend(self.resolve(path, is_inner)));
            }
        }
        for (at, _) in code.match_indices("crate::") {
            let path: String = code[at..].chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect();
            if !path.ends_with("::") {
                used.extend(self.resolve(&path, false));
            }
        }
        used.sort();
        used.dedup();
        used
    }

    /// The path without `crate::`, or `None` when it leads out of the crate or stays inside of the file.
    fn resolve(&self, path: &str, is_inner: bool) -> Option<String> {
        let mut base: Vec<&str> =
            self.module.split("::").filter(|_| !matches!(&*self.module, "lib" | "main")).collect();
        if is_inner {
            base.push("inner");
        }
        let mut rest = path;
        if let Some(path) = path.strip_prefix("crate::").or_else(|| path.strip_prefix("butaca::")) {
            return Some(path.to_owned());
        }
        while let Some(path) = rest.strip_prefix("super::") {
            base.pop();
            rest = path;
        }
        if rest.len() == path.len() {
            return None;
        }
        base.extend(rest.split("::").filter(|part| !part.is_empty() && *part != "*"));
        Some(base.join("::"))
    }

    /// Whether the file names this crate, by `use` or in a path.
    pub(crate) fn names_crate(&self, name: &str) -> bool {
        let code = self.code();
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '>';
        let in_path = format!("{name}::");
        // `::redis::` names the crate, too, where a module of ours has the same name.
        let before = |at: usize| code[..at].strip_suffix("::").unwrap_or(&code[..at]);
        let named = code.match_indices(&in_path).any(|(at, _)| !before(at).ends_with(is_word));
        named || code.contains(&format!("use {name};")) || code.contains(&format!("use {name} "))
    }
}

/// Calls `found` for each path of a `use` tree.
fn expand(tree: &str, prefix: &str, found: &mut impl FnMut(&str)) {
    let mut depth = 0;
    let mut start = 0;
    for (at, c) in tree.char_indices().chain([(tree.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand_one(tree[start..at].trim(), prefix, found);
                start = (at + 1).min(tree.len());
            }
            _ => {}
        }
    }
}

fn expand_one(path: &str, prefix: &str, found: &mut impl FnMut(&str)) {
    match path.split_once('{') {
        Some((head, group)) => {
            expand(group.strip_suffix('}').unwrap_or(group), &format!("{prefix}{}", head.trim()), found);
        }
        None if path.is_empty() => {}
        None => found(&format!("{prefix}{}", path.split(" as ").next().unwrap_or(path).trim())),
    }
}
