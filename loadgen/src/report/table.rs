//! The result on the terminal.
//!
//! Never here: figures that `--json` does not have.

use crate::oracle::violation::Violation;
use crate::outcome::{Outcome, Quantiles};

/// Rows of name and value under one heading.
fn section(out: &mut String, title: &str, rows: &[(String, String)]) {
    if rows.is_empty() {
        return;
    }
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    out.push_str(&format!("\n{title}\n"));
    for (name, value) in rows {
        out.push_str(&format!("  {name:width$}  {value}\n"));
    }
}

fn row(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

/// A number in groups of three digits.
#[must_use]
pub fn grouped(value: f64) -> String {
    let text = if value.fract() == 0.0 || value.abs() >= 1_000.0 { format!("{value:.0}") } else { format!("{value}") };
    let (whole, fraction) =
        text.split_once('.').map_or((text.as_str(), None), |(whole, fraction)| (whole, Some(fraction)));
    let mut out = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

fn latency(name: &str, q: &Quantiles) -> Option<(String, String)> {
    let text = format!(
        "p50 {:>9.3}   p90 {:>9.3}   p99 {:>9.3}   p99.9 {:>9.3}   max {:>9.3}   (n {})",
        q.p50,
        q.p90,
        q.p99,
        q.p999,
        q.max,
        grouped(q.n as f64)
    );
    (q.n > 0).then(|| (name.to_owned(), text))
}

/// The whole table.
#[must_use]
pub fn render(outcome: &Outcome) -> String {
    let shape = &outcome.shape;
    let mut out = format!(
        "\n{}: {} clients, {} rooms of {} seats, {:.1} s measured, seed {}\n{}\n",
        outcome.scenario,
        grouped(shape.clients as f64),
        grouped(shape.rooms as f64),
        grouped(f64::from(shape.seats)),
        shape.secs,
        outcome.seed,
        outcome.command,
    );
    let mut rates = vec![
        row("commands/s", grouped(outcome.commands_per_s)),
        row("events delivered/s", grouped(outcome.deliveries_per_s)),
    ];
    rates.extend(
        outcome.totals.iter().filter(|(_, value)| **value > 0).map(|(name, value)| row(name, grouped(*value as f64))),
    );
    section(&mut out, "Traffic", &rates);
    let refusals: Vec<_> = outcome.refusals.iter().map(|(name, count)| row(name, grouped(*count as f64))).collect();
    section(&mut out, "Refusals", &refusals);
    let q = &outcome.latency_ms;
    let names = [
        ("answer", &q.reply),
        ("event at others", &q.delivery),
        ("event older than the reader's join", &q.catching_up),
        ("connect to joined", &q.open),
        ("generator's own delay", &q.lag),
    ];
    let latencies: Vec<_> = names.iter().filter_map(|(name, q)| latency(name, q)).collect();
    section(&mut out, "Latency from the due time, ms", &latencies);
    let figures: Vec<_> = outcome.figures.iter().map(|(name, value)| row(name, grouped(*value))).collect();
    section(&mut out, "Figures", &figures);
    let notes: Vec<_> = outcome.notes.iter().map(|note| row("note", note)).collect();
    section(&mut out, "Notes", &notes);
    verdict(&mut out, outcome);
    out
}

fn verdict(out: &mut String, outcome: &Outcome) {
    let counts: Vec<_> =
        outcome.findings.counts.iter().map(|(kind, count)| (format!("{kind:?}"), grouped(*count as f64))).collect();
    section(out, "VIOLATIONS", &counts);
    for violation in &outcome.findings.told {
        tell(out, violation, outcome.seed);
    }
    for reason in &outcome.verdict.void {
        out.push_str(&format!("\nVOID: {reason}\n"));
    }
    out.push_str(match outcome.verdict.exit_code {
        0 if outcome.plain => "\nRESULT: clean as far as it can be seen without seq.\n",
        0 => "\nRESULT: clean. No seat had two holders, nothing was lost, every room in order.\n",
        1 => "\nRESULT: violated.\n",
        _ => "\nRESULT: void. Nothing wrong was seen, but the figures do not count.\n",
    });
}

fn tell(out: &mut String, violation: &Violation, seed: u64) {
    let seat = violation.seat.as_deref().unwrap_or("-");
    let client = violation.client.as_deref().unwrap_or("-");
    out.push_str(&format!(
        "\n  {:?}: seed {seed}, room {}, seat {seat}, client {client}\n    {}\n",
        violation.kind, violation.room, violation.detail
    ));
    for (title, lines) in [
        ("the seat, as the room was told", &violation.room_history),
        ("the client, what it was told last", &violation.client_history),
    ] {
        if !lines.is_empty() {
            out.push_str(&format!("    {title}:\n"));
            lines.iter().for_each(|line| out.push_str(&format!("      {line}\n")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn numbers_are_grouped() {
        for (value, text) in [
            (0.0, "0"),
            (999.0, "999"),
            (1_000.0, "1,000"),
            (1_234_567.8, "1,234,568"),
            (12.5, "12.5"),
            (-1_000.0, "-1,000"),
        ] {
            assert_eq!(grouped(value), text);
        }
    }
}
