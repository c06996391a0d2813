//! Curves of several runs: pictures that stand for themselves, with their legend, for documents.
//!
//! Invariant: every text that is drawn is escaped. Never here: how the points were measured.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::charts::{COLORS, Scale, Series, lines};
use super::html::escape;
use crate::out::say;

/// Height of a line of the legend.
const LINE: usize = 18;

/// One line of a chart.
#[derive(Debug, Deserialize)]
struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
}

/// One chart: what grows, what that costs, and what theory says.
#[derive(Debug, Deserialize)]
struct Chart {
    /// The name of the file, without its ending.
    name: String,
    title: String,
    /// What stands on either axis.
    x: String,
    y: String,
    curves: Vec<Curve>,
}

/// Draws the charts of `from` (JSON: a list of `name`, `title`, `x`, `y` and `curves`, each with `name` and `points`)
/// into the folder `into`, one SVG file each, on logarithmic axes.
///
/// # Errors
/// One line with the file and what went wrong.
pub fn run(from: &Path, into: &Path) -> Result<u8, String> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = fs::read(from).map_err(|error| failed(from, &error))?;
    let charts: Vec<Chart> = serde_json::from_slice(&text).map_err(|error| failed(from, &error))?;
    fs::create_dir_all(into).map_err(|error| failed(into, &error))?;
    for chart in charts {
        let Some(picture) = picture(&chart) else {
            return Err(failed(from, &format!("{} has no two points", chart.name)));
        };
        let path = into.join(&chart.name).with_extension("svg");
        fs::write(&path, picture).map_err(|error| failed(&path, &error))?;
        say(&path.display().to_string());
    }
    Ok(0)
}

/// The chart with its title and legend; `None` when there is nothing to show.
fn picture(chart: &Chart) -> Option<String> {
    let series: Vec<Series> = chart.curves.iter().map(|one| Series { name: "", points: one.points.clone() }).collect();
    let svg = lines(&series, Scale::Log, Scale::Log)?;
    let (width, height) = super::charts::SIZE;
    let all = height as usize + LINE * (chart.curves.len() + 2);
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{all}\" font-family=\"sans-serif\" \
         font-size=\"14\" style=\"background:#fff\">\n<text x=\"10\" y=\"{LINE}\" font-weight=\"bold\">{}</text>\n\
         <g transform=\"translate(0 {LINE})\">\n{svg}</g>\n",
        escape(&chart.title)
    );
    let mut y = height as usize + 2 * LINE;
    picture.push_str(&format!("<text x=\"60\" y=\"{y}\">{} → {}</text>\n", escape(&chart.x), escape(&chart.y)));
    for (one, (red, green, blue)) in chart.curves.iter().zip(COLORS.iter().cycle()) {
        y += LINE;
        picture.push_str(&format!(
            "<text x=\"60\" y=\"{y}\" fill=\"rgb({red},{green},{blue})\">— {}</text>\n",
            escape(&one.name)
        ));
    }
    picture.push_str("</svg>\n");
    Some(picture)
}

#[cfg(test)]
mod tests {
    use super::{Chart, picture};

    #[test]
    fn a_chart_says_what_it_shows() {
        let chart: Chart = serde_json::from_value(serde_json::json!({
            "name": "a", "title": "Cost & size", "x": "members", "y": "us",
            "curves": [{"name": "v1 <measured>", "points": [[10, 5.0], [100, 6.0]]}],
        }))
        .expect("a chart");
        let svg = picture(&chart).expect("two points");
        for part in ["Cost &amp; size", "members → us", "v1 &lt;measured&gt;", "polyline", "</svg>"] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        assert!(picture(&Chart { curves: Vec::new(), ..chart }).is_none());
    }
}
