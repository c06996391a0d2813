//! The walk of a select in `docs/ARCHITECTURE.md` is the one that the code takes, and it stays short.

use super::report;
use super::source::{Source, read_sources};

/// A select of a free seat, in chains of functions of which each calls the next: how it comes in and is decided, what
/// the engine does, how the reply is made, how it leaves.
const CHAINS: &[&[(&str, &str)]] = &[
    &[
        ("runtime::driver", "read_sockets"),
        ("runtime::intake", "read"),
        ("runtime::intake", "consume"),
        ("runtime::intake", "read_frame"),
        ("runtime::intake", "received"),
        ("runtime::intake", "text"),
        ("runtime::intake", "message"),
        ("runtime::core", "handle"),
        ("node", "handle"),
        ("node::requests", "message"),
        ("node::requests", "request"),
        ("node::requests", "ask"),
        ("node::deciding", "decide"),
        ("engine::shard", "handle"),
        ("engine::shard::single", "select"),
        ("engine::shard::seats", "give"),
        ("engine::room", "take"),
    ],
    &[
        ("node::deciding", "decide"),
        ("node::deciding", "perform_all"),
        ("node::effects", "tell"),
        ("node::effects", "announce"),
        ("node::effects", "happened"),
        ("node::delivery", "write"),
    ],
    &[("runtime::core", "flush_all"), ("runtime::core", "send_next"), ("node::delivery", "next_send")],
];

/// Beyond it nobody keeps the walk in mind.
const FUNCTIONS_MAX: usize = 25;
/// The same for the files that it goes through.
const FILES_MAX: usize = 12;

/// The code of a function of a module, from its name to its end.
fn body(sources: &[Source], module: &str, name: &str) -> Option<String> {
    let code = sources.iter().find(|source| source.module == module)?.code();
    let from = code.find(&format!("fn {name}("))?;
    let end = code[from..].find("\n    }\n").or_else(|| code[from..].find("\n}\n"))?;
    Some(code[from..from + end].to_owned())
}

fn faults(sources: &[Source], document: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let walk = document.split("**A select of a free seat**").nth(1).and_then(|rest| rest.split("\n\n").next());
    let walk = walk.expect("the document has the walk");
    for (module, name) in CHAINS.iter().copied().flatten() {
        if body(sources, module, name).is_none() {
            faults.push(format!("{module} has no {name}"));
        }
        if !walk.split('`').any(|word| word.rsplit("::").next() == Some(*name)) {
            faults.push(format!("the document does not name {name}"));
        }
    }
    for pair in CHAINS.iter().flat_map(|chain| chain.windows(2)) {
        let [(module, name), (_, next)] = pair else { continue };
        if body(sources, module, name).is_some_and(|body| !body.contains(&format!(".{next}("))) {
            faults.push(format!("{name} of {module} does not call {next}"));
        }
    }
    let mut functions: Vec<_> = CHAINS.iter().copied().flatten().collect();
    functions.sort_unstable();
    functions.dedup();
    let mut files: Vec<_> = functions.iter().map(|(module, _)| module).collect();
    files.dedup();
    let (functions, files) = (functions.len(), files.len());
    if functions > FUNCTIONS_MAX || files > FILES_MAX {
        faults.push(format!("it goes through {functions} functions in {files} files"));
    }
    if !walk.contains(&format!("{functions} functions in {files} files")) {
        faults.push(format!("the document does not say {functions} functions in {files} files"));
    }
    faults
}

fn sources() -> Vec<Source> {
    read_sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

const DOCUMENT: &str = include_str!("../../../docs/ARCHITECTURE.md");

#[test]
fn the_walk_of_a_select_is_the_one_that_the_document_shows() {
    report(
        "mend the walk in docs/ARCHITECTURE.md and CHAINS in tests/pure/tidy/walk.rs",
        &faults(&sources(), DOCUMENT),
    );
}

#[test]
fn a_walk_that_goes_another_way_is_found() {
    let mut sources = sources();
    let effects = sources.iter_mut().find(|source| source.module == "node::effects").expect("it is there");
    effects.text = effects.text.replace("self.happened(change);", "self.has_happened(change);");
    let document = DOCUMENT.replace("`next_send`", "`another_send`");
    let wanted = ["the document does not name next_send", "announce of node::effects does not call happened"];
    assert_eq!(faults(&sources, &document), wanted);
}
