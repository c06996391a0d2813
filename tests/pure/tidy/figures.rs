//! Every figure has a field, a row and somebody who moves it: a counter that nobody bumps shows 0 for ever, and a field
//! without a row is never added up or shown. Found by reading the source.

use super::report;
use super::source::{Source, read_sources};

/// A struct of figures: the file that describes it, its name, and how the code that fills it in calls it.
const TABLES: &[(&str, &str, Moves)] = &[
    ("src/figures/shard.rs", "ShardStats", Moves::Through("figures.")),
    ("src/figures/store.rs", "StoreFigures", Moves::Through("figures.")),
    ("src/figures/server.rs", "ServerFigures", Moves::InALiteral),
    ("src/figures/server.rs", "ProcessFigures", Moves::InALiteral),
];

/// How figures are written outside of their table.
#[derive(Clone, Copy)]
enum Moves {
    /// Through a variable of this name, or in a literal of the struct.
    Through(&'static str),
    /// As a whole.
    InALiteral,
}

/// The fields of a struct, in their order.
fn fields<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let (_, body) = text.split_once(&format!("pub struct {name} {{")).expect("the struct is there");
    let (body, _) = body.split_once("\n}").expect("it ends");
    body.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split(':').next()).collect()
}

/// Whether a file writes this field.
fn writes(source: &Source, structure: &str, moves: Moves, field: &str) -> bool {
    let code = source.code();
    let in_literal = code.match_indices(&format!("{structure} {{")).any(|(at, _)| {
        let literal = code[at..].split_once('}').map_or("", |(inside, _)| inside);
        literal.contains(&format!(" {field}:")) || literal.contains(&format!(" {field},"))
    });
    let Moves::Through(name) = moves else { return in_literal };
    // Two families of counters are bumped by a method that takes their labels.
    let method = match field {
        "commands" => "figures.count(",
        "refused" => "figures.refuse(",
        _ => "\0",
    };
    let path = format!("{name}{field}");
    let is_written = code.match_indices(&path).any(|(at, _)| {
        let rest = code[at + path.len()..].trim_start();
        rest.starts_with("+=") || rest.starts_with(".record(") || (rest.starts_with('=') && !rest.starts_with("=="))
    });
    in_literal || is_written || code.contains(method)
}

fn faults(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for (file, structure, moves) in TABLES {
        let table = sources.iter().find(|source| source.file == *file).expect("the table is there");
        let (_, rows) = table.text.split_once("ROWS: &[").expect("it has rows");
        for field in fields(&table.text, structure) {
            let is_row = ["&mut s.", "&mut p.", "(s."].iter().any(|way| {
                let place = format!("{way}{field}");
                rows.match_indices(&place).any(|(at, _)| rows[at + place.len()..].starts_with([')', '.']))
            });
            if !is_row {
                faults.push(format!("{structure}.{field} has no row"));
            }
            let others = sources.iter().filter(|source| !source.module.starts_with("figures"));
            if !others.clone().any(|source| writes(source, structure, *moves, field)) {
                faults.push(format!("nobody moves {structure}.{field}"));
            }
        }
    }
    faults
}

fn sources() -> Vec<Source> {
    read_sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

#[test]
fn every_figure_has_a_row_and_somebody_who_moves_it() {
    report("a figure has a row in its table, and code that moves it", &faults(&sources()));
}

#[test]
fn a_figure_without_a_row_or_that_nobody_moves_is_found() {
    let mut sources = sources();
    let shard = sources.iter_mut().find(|source| source.file == "src/figures/shard.rs").expect("it is there");
    shard.text =
        shard.text.replacen("    pub connections: u64,", "    pub forgotten: u64,\n    pub connections: u64,", 1);
    for source in
        sources.iter_mut().filter(|source| source.module.starts_with("runtime") || source.module.starts_with("node"))
    {
        source.text =
            source.text.replace("figures.resyncs +=", "figures.resyncs ==").replace("figures.refuse(", "refuse(");
    }
    let wanted = [
        "ShardStats.forgotten has no row",
        "nobody moves ShardStats.forgotten",
        "nobody moves ShardStats.resyncs",
        "nobody moves ShardStats.refused",
    ];
    assert_eq!(faults(&sources), wanted);
}
