//! Seating plans of pretix: what is accepted becomes a layout with the same seats; what is refused is told in one line.

use butaca::layout::Layout;
use serde_json::Value;

use super::layout_json::{check_accepted, check_refusal};

/// Reads `data` as a seating plan.
pub fn run(data: &[u8]) {
    let layout = match Layout::parse_pretix("hall", data) {
        Ok(layout) => layout,
        Err(error) => return check_refusal(&error),
    };
    let text = str::from_utf8(data).expect("JSON is UTF-8");
    serde_json::from_str::<&serde_json::value::RawValue>(text).expect("another parser accepts it");
    // A number that nobody looks at may be greater than any that can be kept.
    let Ok(plan) = serde_json::from_str::<Value>(text) else { return };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    // What is written as a list of its fields has no names here.
    if plan.is_object() && list(&plan["zones"]).iter().all(Value::is_object) {
        let rows: Vec<Value> = list(&plan["zones"]).iter().flat_map(|zone| list(&zone["rows"])).collect();
        if rows.iter().all(Value::is_object) {
            let seats: Vec<Value> = rows.iter().flat_map(|row| list(&row["seats"])).collect();
            assert_eq!(seats.len(), layout.len());
            let named = seats.iter().zip(0..).filter(|(seat, _)| seat.is_object());
            named.for_each(|(seat, index)| assert_eq!(seat["seat_guid"], layout.id_of(index)));
            let with_seats = rows.iter().filter(|row| !list(&row["seats"]).is_empty());
            assert_eq!(with_seats.count(), layout.rows().len(), "no two rows become one");
        }
    }
    check_accepted(layout);
}
