//! Points in time as plain numbers, and their text.
//!
//! Invariants: deadlines are decided on the monotonic clock; clients are told the wall clock. Never here: reading a
//! clock.

use crate::limits::STORED_WALL_MS_MAX;

/// Milliseconds on the monotonic clock, from an arbitrary start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Millis(pub u64);

/// Milliseconds since 1970-01-01T00:00:00Z on the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct WallMillis(pub u64);

/// The same moment on both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// For deciding.
    pub mono: Millis,
    /// For telling.
    pub wall: WallMillis,
}

impl Millis {
    /// The moment `ms` later; at the end of time it stays there.
    #[must_use]
    pub fn after(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`, 0 when it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl WallMillis {
    /// The moment `ms` later; at the end of time it stays there.
    #[must_use]
    pub fn after(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// RFC 3339 in UTC with milliseconds: `2026-01-15T10:30:00.000Z`. Years beyond 9999 are shown as the last moment of
    /// 9999.
    #[must_use]
    pub fn rfc3339(self) -> [u8; 24] {
        let ms = self.0.min(STORED_WALL_MS_MAX);
        let (days, in_day) = (ms / DAY_MS, ms % DAY_MS);
        let (year, month, day) = civil_from_days(days);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        digits(&mut text[0..4], year);
        digits(&mut text[5..7], month);
        digits(&mut text[8..10], day);
        digits(&mut text[11..13], in_day / 3_600_000);
        digits(&mut text[14..16], in_day / 60_000 % 60);
        digits(&mut text[17..19], in_day / 1_000 % 60);
        digits(&mut text[20..23], in_day % 1_000);
        text
    }
}

impl WallMillis {
    /// As HTTP writes it (RFC 9110 section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`. Beyond 9999 as
    /// [`WallMillis::rfc3339`].
    #[must_use]
    pub fn http_date(self) -> [u8; 29] {
        const WEEKDAYS: &[u8] = b"ThuFriSatSunMonTueWed";
        const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
        let three = |names: &'static [u8], number: u64| {
            let at = 3 * usize::try_from(number).expect("a day of the week or a month");
            &names[at..at + 3]
        };
        let ms = self.0.min(STORED_WALL_MS_MAX);
        let (days, in_day) = (ms / DAY_MS, ms % DAY_MS);
        let (year, month, day) = civil_from_days(days);
        let mut text = *b"Thu, 00 Jan 0000 00:00:00 GMT";
        text[0..3].copy_from_slice(three(WEEKDAYS, days % 7));
        digits(&mut text[5..7], day);
        text[8..11].copy_from_slice(three(MONTHS, month - 1));
        digits(&mut text[12..16], year);
        digits(&mut text[17..19], in_day / 3_600_000);
        digits(&mut text[20..22], in_day / 60_000 % 60);
        digits(&mut text[23..25], in_day / 1_000 % 60);
        text
    }
}

const DAY_MS: u64 = 86_400_000;

/// Writes `value` in decimal, right-aligned over all of `text`.
fn digits(text: &mut [u8], mut value: u64) {
    for byte in text.iter_mut().rev() {
        *byte = b"0123456789"[(value % 10) as usize];
        value /= 10;
    }
}

/// Year, month and day of the proleptic Gregorian calendar, from days since 1970-01-01 (Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms": eras of 400 years that begin on 1 March).
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::WallMillis;

    #[test]
    fn known_moments_have_their_text() {
        let check = |ms, text: &str| assert_eq!(std::str::from_utf8(&WallMillis(ms).rfc3339()), Ok(text));
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(1_768_473_000_000, "2026-01-15T10:30:00.000Z");
        check(4_107_542_399_999, "2100-02-28T23:59:59.999Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
        check(u64::MAX, "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn known_moments_have_their_text_in_http() {
        let check = |ms, text: &str| assert_eq!(std::str::from_utf8(&WallMillis(ms).http_date()), Ok(text));
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
        check(784_111_777_999, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(951_782_400_000, "Tue, 29 Feb 2000 00:00:00 GMT");
        check(4_107_542_400_000, "Mon, 01 Mar 2100 00:00:00 GMT");
        check(u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
