//! Conversions between numbers that say what happens at the edges.
//!
//! Never here: anything else.

/// The whole part of a non-negative float; negative and NaN become 0, too large becomes the largest.
#[allow(clippy::cast_possible_truncation, reason = "`as` saturates from float to integer, which is what is wanted")]
#[must_use]
pub fn whole(value: f64) -> u64 {
    value as u64
}

/// An index as u32. Populations are far below the limit, so anything else is a defect of ours.
#[must_use]
pub fn index32(value: usize) -> u32 {
    u32::try_from(value).expect("populations are far below 2^32")
}

/// Seconds as nanoseconds.
#[must_use]
pub fn nanos(secs: f64) -> u64 {
    whole(secs * 1e9)
}

/// Rounded to `digits` decimals, for output.
#[must_use]
pub fn round(value: f64, digits: u32) -> f64 {
    let scale = 10_f64.powi(i32::try_from(digits).expect("a handful of digits"));
    (value * scale).round() / scale
}

/// `part / whole`, 0 when there is no whole.
#[must_use]
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
