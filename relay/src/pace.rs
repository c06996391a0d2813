//! How long to wait before trying again: longer each time, never longer than a bound, never all at the same moment.

use crate::limits::{DELAY_FIRST_MS, DELAY_MAX_MS, RETRY_AFTER_MAX_MS};

/// The delay in milliseconds after this many failures in a row (from 1). `chance` is from 0 to 1: half of the delay is
/// left to it. What the other side asks for is the least, up to a bound.
pub(crate) fn delay_ms(failures: u32, asked_ms: Option<u64>, chance: f64) -> u64 {
    let doublings = failures.saturating_sub(1).min(20);
    let whole = (DELAY_FIRST_MS << doublings).min(DELAY_MAX_MS);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a small number")]
    #[allow(clippy::cast_precision_loss, reason = "it is small")]
    let part = ((whole / 2) as f64 * chance.clamp(0.0, 1.0)) as u64;
    (whole / 2 + part).max(asked_ms.unwrap_or(0).min(RETRY_AFTER_MAX_MS))
}

/// The milliseconds of a `Retry-After` in seconds. The form with a date is not read: the delay is our own then.
pub(crate) fn retry_after_ms(header: Option<&str>) -> Option<u64> {
    header?.trim().parse::<u64>().ok()?.checked_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::{delay_ms, retry_after_ms};

    #[test]
    fn delays_double_up_to_a_bound() {
        for (failures, asked, chance, expected) in [
            (1, None, 0.0, 50),
            (1, None, 1.0, 100),
            (2, None, 0.5, 150),
            (9, None, 0.0, 12_800),
            (10, None, 1.0, 30_000),
            (u32::MAX, None, 1.0, 30_000),
            (1, Some(5_000), 0.3, 5_000),
            (1, Some(u64::MAX), 0.3, 300_000),
        ] {
            assert_eq!(delay_ms(failures, asked, chance), expected, "{failures} {asked:?} {chance}");
        }
        let headers = [None, Some("7"), Some("soon"), Some("-1"), Some("18446744073709551615")];
        assert_eq!(headers.map(retry_after_ms), [None, Some(7_000), None, None, None]);
    }
}
