//! Two results side by side.
//!
//! Invariant: reads only what `--json` writes, so results of other versions can be compared too. Never here: judgement
//! about which is better for what.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::out::say;
use crate::report::table::grouped;

/// Parts of a result that are compared, number by number.
const PARTS: [&str; 9] = [
    "/commands_per_s",
    "/deliveries_per_s",
    "/latency_ms/reply",
    "/latency_ms/delivery",
    "/latency_ms/catching_up",
    "/latency_ms/open",
    "/totals",
    "/refusals",
    "/figures",
];

fn load(path: &Path) -> Result<Value, String> {
    let text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let value: Value = serde_json::from_slice(&text)
        .map_err(|error| format!("{}: not a result of --json: {error}", path.display()))?;
    if value["scenario"].is_string() { Ok(value) } else { Err(format!("{}: not a result of --json", path.display())) }
}

/// The numbers below `pointer` with their names.
fn numbers(value: &Value, pointer: &str) -> Vec<(String, f64)> {
    let name = pointer.trim_start_matches('/').replace("latency_ms/", "").replace('/', ".");
    match value.pointer(pointer) {
        Some(Value::Object(object)) => {
            object.iter().filter_map(|(key, value)| Some((format!("{name} {key}"), value.as_f64()?))).collect()
        }
        Some(value) => value.as_f64().map(|number| (name, number)).into_iter().collect(),
        None => Vec::new(),
    }
}

/// The table.
fn render(a: &Value, b: &Value) -> String {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or("?").to_owned();
    let mut out = format!(
        "A: {} {} ({})\nB: {} {} ({})\n",
        text(a, "scenario"),
        text(a, "when"),
        text(a, "command"),
        text(b, "scenario"),
        text(b, "when"),
        text(b, "command")
    );
    for (name, value) in [("A", a), ("B", b)] {
        out.push_str(&format!("{name} is {}\n", value.pointer("/verdict/name").and_then(Value::as_str).unwrap_or("?")));
    }
    if a["shape"] != b["shape"] || a["scenario"] != b["scenario"] {
        out.push_str("the shapes differ: only figures per unit can be compared\n");
    }
    out.push_str(&format!("\n{:<36} {:>16} {:>16} {:>9}\n", "", "A", "B", "B / A"));
    for pointer in PARTS {
        let (left, right) = (numbers(a, pointer), numbers(b, pointer));
        for (name, value) in &left {
            let Some((_, other)) = right.iter().find(|(other, _)| other == name) else { continue };
            let ratio = if *value == 0.0 { "-".to_owned() } else { format!("{:.2}", other / value) };
            out.push_str(&format!("{name:<36} {:>16} {:>16} {ratio:>9}\n", grouped(*value), grouped(*other)));
        }
    }
    out
}

/// Prints the comparison.
///
/// # Errors
/// One line when a file is no result.
pub fn run(a: &Path, b: &Path) -> Result<u8, String> {
    say(&render(&load(a)?, &load(b)?));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn two_results_stand_side_by_side() {
        let a = serde_json::json!({"scenario": "flash", "shape": {"rooms": 1}, "commands_per_s": 100.0, "figures": {"gen_busy": 0.5, "only_a": 1.0}});
        let b = serde_json::json!({"scenario": "flash", "shape": {"rooms": 2}, "commands_per_s": 150.0, "figures": {"gen_busy": 0.0}});
        let table = render(&a, &b);
        assert!(table.contains("shapes differ") && table.contains("1.50") && !table.contains("only_a"), "{table}");
    }
}
