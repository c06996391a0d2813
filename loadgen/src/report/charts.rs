//! Line charts as SVG texts.
//!
//! Invariant: a chart depends on its data only; logarithmic axes are linear ones over logarithms with labels of their
//! own. Never here: what is charted.

use std::error::Error;

use plotters::prelude::{
    ChartBuilder, Color, IntoDrawingArea, IntoFont, LineSeries, RGBAColor, RGBColor, SVGBackend, TextStyle,
};

/// Size of every chart; the page scales it.
pub(super) const SIZE: (u32, u32) = (640, 300);
const GRID: RGBAColor = RGBAColor(128, 128, 128, 0.25);
const FINE_GRID: RGBAColor = RGBAColor(128, 128, 128, 0.08);
const AXIS: RGBAColor = RGBAColor(128, 128, 128, 0.8);

/// The colours of series, in the order in which they are given out; told apart by the colour-blind too.
pub(super) const COLORS: [(u8, u8, u8); 4] = [(0, 114, 178), (213, 94, 0), (0, 158, 115), (150, 90, 160)];

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// How an axis is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// As it is.
    Linear,
    /// Powers of ten.
    Log,
    /// Quantiles, by how many nines they have.
    Nines,
}

impl Scale {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.max(1e-3).log10(),
            Self::Nines => -(1.0 - value).max(1e-9).log10(),
        }
    }

    fn label(self, place: f64) -> String {
        match self {
            Self::Linear => short(place),
            Self::Log => short(10_f64.powf(place)),
            Self::Nines => {
                let percent = 100.0 - 100.0 * 10_f64.powf(-place);
                let text = format!("{percent:.5}");
                format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
            }
        }
    }
}

/// A number for an axis: three digits and k or M.
pub(super) fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        large if large >= 1e6 => (value / 1e6, "M"),
        large if large >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = match scaled.abs() {
        large if large >= 100.0 => format!("{scaled:.0}"),
        large if large >= 10.0 => format!("{scaled:.1}"),
        large if large >= 0.1 || large == 0.0 => format!("{scaled:.2}"),
        _ => format!("{scaled:.3}"),
    };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text.as_str() };
    format!("{text}{unit}")
}

/// The smallest range that holds all values, with a little air above.
fn range(values: impl Iterator<Item = f64>, scale: Scale) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if !low.is_finite() {
        return (0.0, 1.0);
    }
    match scale {
        Scale::Linear => (low.min(0.0), if high > 0.0 { high * 1.08 } else { 1.0 }),
        // Whole powers of ten, so that the labels are round.
        Scale::Log => (low.floor(), high.ceil().max(low.floor() + 1.0)),
        Scale::Nines => (0.0, high.max(1.0)),
    }
}

/// A chart of `series`; `None` when there is nothing to show.
pub(super) fn lines(series: &[Series], x: Scale, y: Scale) -> Option<String> {
    let placed: Vec<Vec<(f64, f64)>> =
        series.iter().map(|one| one.points.iter().map(|(a, b)| (x.place(*a), y.place(*b))).collect()).collect();
    let all = || placed.iter().flatten();
    if all().count() < 2 {
        return None;
    }
    let (x_range, y_range) = (range(all().map(|point| point.0), x), range(all().map(|point| point.1), y));
    let mut svg = String::new();
    draw(&mut svg, &placed, (x, x_range), (y, y_range)).expect("drawing into a String does not fail");
    Some(svg)
}

type Axis = (Scale, (f64, f64));

fn draw(svg: &mut String, placed: &[Vec<(f64, f64)>], x: Axis, y: Axis) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .x_label_area_size(26)
        .y_label_area_size(52)
        .build_cartesian_2d(x.1.0..x.1.1, y.1.0..y.1.1)?;
    let text = TextStyle::from(("sans-serif", 14).into_font());
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(FINE_GRID)
        .axis_style(AXIS)
        .x_labels(7)
        .y_labels(6)
        .x_label_style(text.clone())
        .y_label_style(text)
        .x_label_formatter(&|place| x.0.label(*place))
        .y_label_formatter(&|place| y.0.label(*place))
        .draw()?;
    for (points, (red, green, blue)) in placed.iter().zip(COLORS.iter().cycle()) {
        chart.draw_series(LineSeries::new(points.iter().copied(), RGBColor(*red, *green, *blue).stroke_width(2)))?;
    }
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Scale, Series, lines, short};

    #[test]
    fn labels_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (12.34, "12.3"),
            (1_500.0, "1.5k"),
            (2_000_000.0, "2M"),
            (0.05, "0.05"),
            (100.0, "100"),
        ] {
            assert_eq!(short(value), text);
        }
        assert_eq!(Scale::Nines.label(3.0), "99.9 %");
        assert_eq!(Scale::Log.label(2.0), "100");
    }

    #[test]
    fn charts_are_svg_and_nothing_is_no_chart() {
        let series = [Series { name: "a", points: vec![(0.0, 1.0), (1.0, 10.0)] }];
        let svg = lines(&series, Scale::Linear, Scale::Log).expect("two points");
        assert!(svg.starts_with("<svg") && svg.contains("polyline") && !svg.contains("NaN"), "{svg}");
        assert!(lines(&[], Scale::Linear, Scale::Linear).is_none());
    }
}
