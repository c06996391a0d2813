//! The only file that reads a clock, and the text form of time on the wire.
//!
//! Invariant: [`now_ns`] is monotonic and never 0. Never here: sleeping.

use rustix::time::{ClockId, Timespec, clock_gettime};

fn nanos_of(time: Timespec) -> u64 {
    let secs = u64::try_from(time.tv_sec).expect("clocks are past their epoch");
    let rest = u64::try_from(time.tv_nsec).expect("nanoseconds are 0 to 999,999,999");
    secs * 1_000_000_000 + rest
}

/// Monotonic nanoseconds.
#[inline]
#[must_use]
pub fn now_ns() -> u64 {
    nanos_of(clock_gettime(ClockId::Monotonic))
}

/// Wall clock, milliseconds since 1970.
#[must_use]
pub fn wall_ms() -> u64 {
    nanos_of(clock_gettime(ClockId::Realtime)) / 1_000_000
}

/// CPU time of this process, user and system.
#[must_use]
pub fn process_cpu_ns() -> u64 {
    nanos_of(clock_gettime(ClockId::ProcessCPUTime))
}

/// CPU time of the calling thread.
#[must_use]
pub fn thread_cpu_ns() -> u64 {
    nanos_of(clock_gettime(ClockId::ThreadCPUTime))
}

/// Days since 1970-01-01 of a date of the Gregorian calendar (years from 1970 on).
fn days(year: u64, month: u64, day: u64) -> u64 {
    // Years begin in March here, so that the leap day is the last one.
    let shifted = if month <= 2 { year - 1 } else { year };
    let month_index = (month + 9) % 12;
    let day_of_year = (153 * month_index + 2) / 5 + day - 1;
    shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + day_of_year - 719_468
}

/// Milliseconds since 1970 of `2026-01-15T10:30:00.000Z`; `None` when it is anything else.
#[must_use]
pub fn parse_wire_time(text: &[u8]) -> Option<u64> {
    let shape = b"dddd-dd-ddTdd:dd:dd.dddZ";
    let fits = |(byte, want): (&u8, &u8)| if *want == b'd' { byte.is_ascii_digit() } else { byte == want };
    if text.len() != shape.len() || !text.iter().zip(shape).all(fits) {
        return None;
    }
    let number =
        |from: usize, to: usize| text[from..to].iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (hour, minute, second) = (number(11, 13), number(14, 16), number(17, 19));
    let in_range = year >= 1970
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range {
        return None;
    }
    let secs = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(secs * 1_000 + number(20, 23))
}

/// `2026-01-15 10:30:00` (UTC) for reports.
#[must_use]
pub fn date_text(wall_ms: u64) -> String {
    let secs = wall_ms / 1_000;
    let (mut year, mut left) = (1970, secs / 86_400);
    let length = |year: u64| {
        if (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400) { 366 } else { 365 }
    };
    while left >= length(year) {
        left -= length(year);
        year += 1;
    }
    let mut month = 12;
    while days(year, month, 1) - days(year, 1, 1) > left {
        month -= 1;
    }
    let day = left - (days(year, month, 1) - days(year, 1, 1)) + 1;
    let (hour, minute, second) = (secs / 3_600 % 24, secs / 60 % 60, secs % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::{date_text, parse_wire_time};

    #[test]
    fn wire_time_is_read_exactly() {
        for (text, ms) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2000-02-29T12:00:00.001Z", 951_825_600_001),
            ("2026-01-15T10:30:00.000Z", 1_768_473_000_000),
            ("2026-11-24T04:48:38.250Z", 1_795_495_718_250),
        ] {
            assert_eq!(parse_wire_time(text.as_bytes()), Some(ms), "{text}");
            assert_eq!(date_text(ms).replace(' ', "T"), text[..19], "{text}");
        }
        for wrong in ["", "2026-01-15T10:30:00Z", "2026-01-15T10:30:00.000+01:00", "2026-13-15T10:30:00.000Z", "now"] {
            assert_eq!(parse_wire_time(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
