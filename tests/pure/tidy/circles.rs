//! No circle of files by calls: the methods of a type that lies in several files call each other in one direction.
//!
//! A method call is no `use`, so the layers cannot see it. Found by reading the source: which file defines a method of
//! the type, and which file calls it on `self`, `core` or `node`. The file that holds the type itself dispatches into
//! all others and offers them accessors; it is left out.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, read_sources};
use super::{is_in, report};

/// A type in several files: the module that they lie in, the file of the type, and the type.
const TYPES: [(&str, &str, &str); 2] = [("node", "node", "Node"), ("runtime", "runtime::core", "Core")];

/// The names of the methods that a file defines for the type.
fn methods(code: &str, of: &str) -> Vec<String> {
    let mut found = Vec::new();
    for block in code.split(&format!("\nimpl {of} {{")).skip(1) {
        let body = block.split("\n}\n").next().unwrap_or_default();
        found.extend(
            body.lines().filter(|line| line.starts_with("    ") && !line.starts_with("     ")).filter_map(name),
        );
    }
    found
}

/// The name of the function that a line begins.
fn name(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("fn ")?;
    Some(rest.split(['(', '<']).next()?.to_owned())
}

/// Which file calls which by a method of the type, and by which one.
fn calls(sources: &[Source], (module, home, of): (&str, &str, &str)) -> BTreeMap<String, BTreeMap<String, String>> {
    let files: Vec<(&Source, String)> = sources
        .iter()
        .filter(|source| is_in(&source.module, module) && source.module != home)
        .map(|source| (source, source.code()))
        .collect();
    let homes: BTreeMap<String, &str> = files
        .iter()
        .flat_map(|(source, code)| methods(code, of).into_iter().map(|method| (method, source.module.as_str())))
        .collect();
    let mut calls: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (source, code) in &files {
        for (method, home) in homes.iter().filter(|(_, home)| **home != source.module) {
            let is_called = ["self.", "core.", "node."].iter().any(|on| code.contains(&format!("{on}{method}(")));
            if is_called {
                calls.entry(source.module.clone()).or_default().insert((*home).to_owned(), method.clone());
            }
        }
    }
    calls
}

/// The files on a circle, if there is one, with the methods that close it.
fn circles(calls: &BTreeMap<String, BTreeMap<String, String>>) -> Vec<String> {
    let mut left: BTreeSet<&String> = calls.keys().collect();
    loop {
        // Who calls nobody that is left is on no circle.
        let ends: Vec<&String> =
            left.iter().filter(|file| !calls[**file].keys().any(|other| left.contains(other))).copied().collect();
        if ends.is_empty() {
            break;
        }
        ends.into_iter().for_each(|file| _ = left.remove(file));
    }
    // Whom nobody that is left calls is on none, either.
    loop {
        let called: BTreeSet<&String> = left.iter().flat_map(|file| calls[*file].keys()).collect();
        let before = left.len();
        left.retain(|file| called.contains(file));
        if left.len() == before {
            break;
        }
    }
    let describe = |file: &String| {
        let others: Vec<String> = calls[file]
            .iter()
            .filter(|(other, _)| left.contains(other))
            .map(|(other, method)| format!("{other} by {method}"))
            .collect();
        format!("{file} calls {}", others.join(", "))
    };
    left.iter().map(|file| describe(file)).collect()
}

#[test]
fn no_circle_of_files_by_calls() {
    let sources = read_sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let found: Vec<String> = TYPES.into_iter().flat_map(|of| circles(&calls(&sources, of))).collect();
    report("the files of one type call each other in one direction", &found);
}

#[test]
fn a_circle_is_found() {
    let file = |module: &str, text: &str| Source {
        file: format!("src/{module}.rs"),
        module: module.into(),
        text: text.into(),
    };
    let a = file("node::a", "//! a\nimpl Node {\n    fn one(&self) {\n        self.two();\n    }\n}\n");
    let b = file("node::b", "//! b\nimpl Node {\n    fn two(&self) {\n        self.one();\n    }\n}\n");
    let c = file("node::c", "//! c\nimpl Node {\n    fn three(&self) {\n        self.one();\n    }\n}\n");
    let found = circles(&calls(&[a, b, c], ("node", "node", "Node")));
    assert_eq!(found, ["node::a calls node::b by two", "node::b calls node::a by one"]);
}
