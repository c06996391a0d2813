//! The result for people: one page that needs nothing from anywhere.
//!
//! Invariant: every text that comes from a run is escaped. Never here: figures that `--json` does not have.

use std::fs;
use std::path::Path;

use super::charts::{COLORS, Scale, Series, lines, short};
use super::heat::picture;
use super::table::grouped;
use crate::names::Hall;
use crate::outcome::{Outcome, Point, Quantiles};

const STYLE: &str = include_str!("page.css");

/// Writes the page to a file.
///
/// # Errors
/// One line with the file and what went wrong.
pub fn write(path: &Path, outcome: &Outcome) -> Result<(), String> {
    fs::write(path, render(outcome)).map_err(|error| format!("{}: {error}", path.display()))
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The whole page.
#[must_use]
pub fn render(outcome: &Outcome) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{} · {}</title><style>{STYLE}</style><main>",
        escape(&outcome.scenario),
        outcome.verdict.name,
    );
    head(&mut page, outcome);
    tiles(&mut page, outcome);
    findings(&mut page, outcome);
    page.push_str("<div class=\"grid\">");
    latency(&mut page, outcome);
    over_time(&mut page, outcome);
    server(&mut page, outcome);
    page.push_str("<div class=\"stack\">");
    refusals(&mut page, outcome);
    latency_table(&mut page, outcome);
    page.push_str("</div>");
    shards(&mut page, outcome);
    heat(&mut page, outcome);
    tables(&mut page, outcome);
    page.push_str("</div><footer>Latency runs from the time at which a command was due, not from when it was sent.</footer></main></html>\n");
    page
}

fn head(page: &mut String, outcome: &Outcome) {
    let shape = &outcome.shape;
    page.push_str(&format!(
        "<header><h1>{}</h1><span class=\"badge {1}\">{1}</span></header>",
        escape(&outcome.scenario),
        outcome.verdict.name
    ));
    page.push_str(&format!(
        "<p class=\"sub\">{} clients · {} rooms of {} seats · {} s measured · seed {} · {} UTC · {}</p><p class=\"sub\"><code>{}</code></p>",
        grouped(shape.clients as f64),
        grouped(shape.rooms as f64),
        grouped(f64::from(shape.seats)),
        shape.secs,
        outcome.seed,
        outcome.when,
        escape(&outcome.url),
        escape(&outcome.command),
    ));
    for line in outcome.verdict.void.iter().chain(&outcome.notes) {
        page.push_str(&format!("<p class=\"sub\">⚠ {}</p>", escape(line)));
    }
}

fn tiles(page: &mut String, outcome: &Outcome) {
    let q = &outcome.latency_ms;
    let total = |name: &str| outcome.totals.get(name).copied().unwrap_or(0) as f64;
    let millis = |value: f64| {
        if value < 1_000.0 { format!("{} ms", short(value)) } else { format!("{} s", short(value / 1_000.0)) }
    };
    let mut tiles = vec![
        ("violations", grouped(outcome.findings.total() as f64)),
        ("events delivered", short(total("deliveries"))),
        ("events/s", short(outcome.deliveries_per_s)),
        ("commands/s", short(outcome.commands_per_s)),
        ("seats won", grouped(total("won"))),
        ("refused", grouped(total("refused"))),
        ("answer, p99", millis(q.reply.p99)),
        ("event at others, p99", millis(q.delivery.p99)),
    ];
    if let Some(cpus) = outcome.figures.get("server_cpus") {
        tiles.push(("CPUs of the server", short(*cpus)));
    }
    if let Some(each) = outcome.figures.get("server_cpu_ns_per_delivery") {
        tiles.push(("server CPU an event", format!("{} ns", grouped(*each))));
    }
    page.push_str("<div class=\"tiles\">");
    for (name, value) in tiles {
        page.push_str(&format!("<div class=\"tile\"><b>{value}</b><span>{name}</span></div>"));
    }
    page.push_str("</div>");
}

fn findings(page: &mut String, outcome: &Outcome) {
    for told in &outcome.findings.told {
        let part = |title: &str, lines: &[String]| {
            if lines.is_empty() { String::new() } else { format!("{title}\n  {}\n", lines.join("\n  ")) }
        };
        let text = format!(
            "{}\n{}{}",
            told.detail,
            part("the seat, as the room was told:", &told.room_history),
            part("the client, what it was told last:", &told.client_history),
        );
        page.push_str(&format!(
            "<div class=\"card finding\"><h2>{:?} <span class=\"unit\">room {} · seat {} · client {}</span></h2><pre>{}</pre></div><br>",
            told.kind,
            escape(&told.room),
            escape(told.seat.as_deref().unwrap_or("–")),
            escape(told.client.as_deref().unwrap_or("–")),
            escape(&text),
        ));
    }
}

/// A card with a chart and its legend; nothing when there is nothing to show.
fn chart(page: &mut String, title: &str, unit: &str, series: Vec<Series>, x: Scale, y: Scale) {
    let series: Vec<Series> = series.into_iter().filter(|one| one.points.len() > 1).collect();
    let Some(svg) = lines(&series, x, y) else { return };
    page.push_str(&format!(
        "<div class=\"card\"><h2>{title} <span class=\"unit\">{unit}</span></h2><div class=\"legend\">"
    ));
    for (one, (red, green, blue)) in series.iter().zip(COLORS.iter().cycle()) {
        page.push_str(&format!("<span><i style=\"background:rgb({red},{green},{blue})\"></i>{}</span>", one.name));
    }
    page.push_str(&format!("</div>{svg}</div>"));
}

fn latency(page: &mut String, outcome: &Outcome) {
    let curve = |name, points: &[[f64; 2]]| Series {
        name,
        points: points.iter().map(|[quantile, ms]| (*quantile, *ms)).collect(),
    };
    let curves = vec![curve("event at others", &outcome.curves.delivery), curve("answer", &outcome.curves.reply)];
    chart(page, "Latency by percentile", "ms, logarithmic", curves, Scale::Nines, Scale::Log);
    // A slice without a message has no latency; it is left out rather than drawn as zero.
    let timed = |name, pick: fn(&Point) -> f64| Series {
        name,
        points: outcome.series.iter().map(|point| (point.t, pick(point))).filter(|(_, ms)| *ms > 0.0).collect(),
    };
    let series = vec![
        timed("event at others, p99", |point| point.delivery_p99),
        timed("answer, p99", |point| point.reply_p99),
        timed("event at others, median", |point| point.delivery_p50),
    ];
    chart(page, "Latency over time", "ms, logarithmic; seconds", series, Scale::Linear, Scale::Log);
}

fn over_time(page: &mut String, outcome: &Outcome) {
    let series = |name, pick: fn(&Point) -> f64| Series {
        name,
        points: outcome.series.iter().map(|point| (point.t, pick(point))).collect(),
    };
    chart(
        page,
        "Events delivered",
        "a second; seconds",
        vec![series("events", |point| point.deliveries)],
        Scale::Linear,
        Scale::Linear,
    );
    let asked = vec![series("commands", |point| point.commands), series("refusals", |point| point.refusals)];
    chart(page, "Commands and refusals", "a second; seconds", asked, Scale::Linear, Scale::Linear);
    chart(page, "Seats held", "seconds", vec![series("held", |point| point.held as f64)], Scale::Linear, Scale::Linear);
    chart(
        page,
        "Open connections",
        "seconds",
        vec![series("open", |point| point.live as f64)],
        Scale::Linear,
        Scale::Linear,
    );
}

fn server(page: &mut String, outcome: &Outcome) {
    let samples = || outcome.server.iter();
    let cpu =
        Series { name: "CPUs in use", points: samples().filter_map(|sample| Some((sample.t, sample.cpus?))).collect() };
    chart(page, "CPU of the server", "CPUs; seconds", vec![cpu], Scale::Linear, Scale::Linear);
    let rss = Series {
        name: "resident memory",
        points: samples().filter_map(|sample| Some((sample.t, sample.rss_mib?))).collect(),
    };
    chart(page, "Memory of the server", "MiB; seconds", vec![rss], Scale::Linear, Scale::Linear);
}

/// Horizontal bars.
fn bars(page: &mut String, rows: &[(String, f64)]) {
    let most = rows.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    for (name, value) in rows {
        let percent = value / most * 100.0;
        page.push_str(&format!(
            "<div class=\"bar\"><span>{}</span><div style=\"width:{percent:.1}%\"></div><span>{}</span></div>",
            escape(name),
            grouped(*value)
        ));
    }
}

fn refusals(page: &mut String, outcome: &Outcome) {
    if outcome.refusals.is_empty() {
        return;
    }
    page.push_str("<div class=\"card\"><h2>Refusals by reason</h2>");
    let mut rows: Vec<_> = outcome.refusals.iter().map(|(name, count)| ((*name).to_owned(), *count as f64)).collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    bars(page, &rows);
    page.push_str("</div>");
}

fn shards(page: &mut String, outcome: &Outcome) {
    if outcome.shards.is_empty() {
        return;
    }
    page.push_str("<div class=\"card\"><h2>Balance of the shards</h2>");
    for key in ["connections", "rooms", "members", "commands", "deliveries", "sends"] {
        let rows: Vec<_> = outcome
            .shards
            .iter()
            .enumerate()
            .filter_map(|(shard, row)| Some((format!("shard {shard}"), *row.get(key)?)))
            .collect();
        if rows.iter().any(|(_, value)| *value > 0.0) {
            page.push_str(&format!("<p class=\"sub\">{key}</p>"));
            bars(page, &rows);
        }
    }
    page.push_str("</div>");
}

fn heat(page: &mut String, outcome: &Outcome) {
    let [blocks, rows, row_seats] = outcome.shape.hall;
    let hall = Hall { blocks, rows, row_seats };
    if blocks == 0 || hall.seats() < 2 {
        return;
    }
    let over =
        if outcome.shape.rooms > 1 { format!(", over all {} rooms", outcome.shape.rooms) } else { String::new() };
    for (title, counts, hue) in [
        ("Where people clicked", &outcome.heat.attempts, "cold"),
        ("Where they were too late", &outcome.heat.contested, "warm"),
    ] {
        let Some((svg, most)) = picture(hall, counts, hue) else { continue };
        let unit = if hue == "cold" { "selects" } else { "refusals as taken" };
        page.push_str(&format!("<div class=\"card\"><h2>{title} <span class=\"unit\">{unit} by seat{over}; darkest: {most}</span></h2><p class=\"stage\">STAGE</p>{svg}</div>"));
    }
}

fn quantile_row(page: &mut String, name: &str, q: &Quantiles) {
    if q.n > 0 {
        page.push_str(&format!("<tr><td>{name}</td>"));
        for value in [q.p50, q.p90, q.p99, q.p999, q.max] {
            page.push_str(&format!("<td class=\"n\">{}</td>", short(value)));
        }
        page.push_str(&format!("<td class=\"n\">{}</td></tr>", grouped(q.n as f64)));
    }
}

fn latency_table(page: &mut String, outcome: &Outcome) {
    page.push_str("<div class=\"card\"><h2>Latency <span class=\"unit\">ms</span></h2><table><tr><th></th>");
    ["p50", "p90", "p99", "p99.9", "max", "n"]
        .iter()
        .for_each(|name| page.push_str(&format!("<th class=\"n\">{name}</th>")));
    page.push_str("</tr>");
    let q = &outcome.latency_ms;
    for (name, q) in [
        ("answer", &q.reply),
        ("event at others", &q.delivery),
        ("event older than the reader's join", &q.catching_up),
        ("connect to joined", &q.open),
        ("generator's own delay", &q.lag),
    ] {
        quantile_row(page, name, q);
    }
    page.push_str("</table></div>");
}

fn tables(page: &mut String, outcome: &Outcome) {
    let row = |(name, value): (String, f64)| {
        format!("<tr><td>{}</td><td class=\"n\">{}</td></tr>", escape(&name.replace('_', " ")), grouped(value))
    };
    let totals: String = outcome.totals.iter().map(|(name, value)| row(((*name).to_owned(), *value as f64))).collect();
    let figures: String = outcome.figures.iter().map(|(name, value)| row((name.clone(), *value))).collect();
    page.push_str(&format!("<div class=\"card\"><h2>Sums</h2><table>{totals}</table></div><div class=\"card\"><h2>Figures</h2><table>{figures}</table></div>"));
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::outcome::Outcome;

    #[test]
    fn a_page_needs_nothing_from_outside_and_escapes() {
        let outcome =
            Outcome { scenario: "flash".to_owned(), command: "loadgen --x '<b>'".to_owned(), ..Outcome::default() };
        let page = render(&outcome);
        assert!(page.contains("&lt;b&gt;") && !page.contains("<b>'"));
        for outside in ["http://", "https://", "src=", "<script", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
