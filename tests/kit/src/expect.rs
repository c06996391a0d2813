//! Whether a message is the one that a dialogue expects.
//!
//! What the published protocol has must be there as it is written; what our protocol adds (`seq`, `epoch`, times) must
//! be there and well-formed, and equal where the dialogue writes it. Anything else is a difference. `"*"` stands for
//! any text or number.

use serde_json::Value;

use super::wait::parse_time;

/// Fields that a message of this type has beyond those that a dialogue has to write.
fn added_fields(kind: &str) -> &'static [&'static str] {
    match kind {
        "room_joined" => &["seq", "epoch", "now", "resume"],
        "current_selections" => &["seq", "epoch"],
        "seat_selected" => &["seq", "expires_at"],
        "seat_released" => &["seq"],
        "pong" => &["timestamp"],
        "error" => &["message", "timestamp"],
        _ => &[],
    }
}

/// The fields of one selection that need not be written.
const SELECTION_FIELDS: &[&str] = &["timestamp", "expires_at", "status"];

/// What differs, or nothing.
pub fn difference(expected: &Value, found: &Value) -> Result<(), String> {
    let added = found["type"].as_str().map_or(&[][..], added_fields);
    let Some(fields) = found.as_object() else { return same("message", expected, found) };
    let names = expected.as_object().ok_or("the dialogue expects no object")?;
    for name in names.keys() {
        if !fields.contains_key(name) {
            return Err(format!("{name} is missing"));
        }
    }
    for name in added {
        well_formed(name, fields.get(*name).ok_or_else(|| format!("{name} is missing"))?)?;
    }
    for (name, value) in fields {
        match names.get(name) {
            Some(expected) if name == "selections" => selections(expected, value)?,
            Some(expected) => same(name, expected, value)?,
            None if added.contains(&name.as_str()) => {}
            None => return Err(format!("{name} is unexpected")),
        }
    }
    Ok(())
}

fn selections(expected: &Value, found: &Value) -> Result<(), String> {
    let (Some(expected), Some(found)) = (expected.as_array(), found.as_array()) else {
        return Err("selections must be a list".into());
    };
    if expected.len() != found.len() {
        return Err(format!("{} selections instead of {}", found.len(), expected.len()));
    }
    for one in expected {
        let seat = &one["seat_id"];
        let other = found.iter().find(|other| other["seat_id"] == *seat).ok_or(format!("{seat} is not selected"))?;
        let fields = other.as_object().ok_or("a selection must be an object")?;
        for name in SELECTION_FIELDS {
            well_formed(name, fields.get(*name).ok_or_else(|| format!("{name} of {seat} is missing"))?)?;
        }
        for (name, value) in fields.iter().filter(|(name, _)| !SELECTION_FIELDS.contains(&name.as_str())) {
            same(name, &one[name], value)?;
        }
    }
    Ok(())
}

fn same(name: &str, expected: &Value, found: &Value) -> Result<(), String> {
    let any = expected == "*" && (found.is_number() || found.as_str().is_some_and(|text| !text.is_empty()));
    if any || expected == found { Ok(()) } else { Err(format!("{name} is {found} instead of {expected}")) }
}

fn well_formed(name: &str, value: &Value) -> Result<(), String> {
    let right = match name {
        "seq" => value.is_u64(),
        // Version 1 itself only holds seats.
        "status" => value == "held",
        "epoch" | "message" | "resume" => value.as_str().is_some_and(|text| !text.is_empty()),
        _ => {
            parse_time(value.as_str().ok_or_else(|| format!("{name} is {value}"))?);
            true
        }
    };
    if right { Ok(()) } else { Err(format!("{name} is {value}")) }
}
