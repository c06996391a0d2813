//! Rows as the JSON of `/stats`.
//!
//! Never here: what else stands in `/stats`.

use serde_json::{Map, Value, json};

use super::histogram::Histogram;
use super::row::{Json, Row, Slot};

/// An object of all figures that `/stats` shows.
pub fn object<T>(rows: &[Row<T>], of: &mut T) -> Map<String, Value> {
    let shown = rows.iter().filter_map(|row| match row.json {
        Json::Hidden => None,
        Json::Key(key) => Some((key.to_owned(), value((row.slot)(of)))),
        Json::P99Us(key) => Some((key.to_owned(), p99_us((row.slot)(of)))),
    });
    shown.collect()
}

fn value(slot: Slot<'_>) -> Value {
    match slot {
        Slot::Number(number) => (*number).into(),
        Slot::Numbers(numbers) => numbers.iter().sum::<u64>().into(),
        Slot::Real(number) => (*number).into(),
        Slot::Flag(flag) => (*flag).into(),
        Slot::Words(words) => words.as_deref().into(),
        Slot::Histogram(histogram) => quantiles(histogram),
        Slot::One => 1.into(),
    }
}

fn quantiles(histogram: &Histogram) -> Value {
    json!({"p50": histogram.quantile(500), "p99": histogram.quantile(990), "max": histogram.max()})
}

fn p99_us(slot: Slot<'_>) -> Value {
    let Slot::Histogram(histogram) = slot else { unreachable!("a quantile is a histogram's") };
    (histogram.quantile(990) / 1_000).into()
}
