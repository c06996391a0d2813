//! Waiting for what can be observed, and the clocks for tests that measure.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Checks all of these at the same time: what each of them waits for passes once.
pub fn at_once<T: Send>(cases: impl IntoIterator<Item = T>, check: impl Fn(T) + Sync) {
    let check = &check;
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || check(case));
        }
    });
}

/// How long anything may take before the test calls it a hang. Generous: the machine may be loaded.
pub const BOUND: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer; panics, naming what was waited for, after [`BOUND`].
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < BOUND, "in vain: {what}");
        // Only to leave the processor to the server between two questions.
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

pub fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since 1970, to be compared with times on the wire.
pub fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    u64::try_from(since.as_millis()).expect("it fits for ages")
}

/// A number that whoever runs the tests may enlarge: for the full sizes that `scripts/long.sh server` asks for.
pub fn size(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// The milliseconds since 1970 of a time on the wire, `2026-01-15T10:30:00.000Z`.
pub fn parse_time(text: &str) -> u64 {
    let number = |from: usize, to: usize| -> u64 {
        let digits = text.get(from..to).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        digits.unwrap_or_else(|| panic!("not a time: {text}")).parse().expect("digits")
    };
    let marks = [(4, '-'), (7, '-'), (10, 'T'), (13, ':'), (16, ':'), (19, '.'), (23, 'Z')];
    let well_formed = text.len() == 24 && marks.iter().all(|&(at, mark)| text[at..].starts_with(mark));
    assert!(well_formed, "not a time: {text}");
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let years: u64 = (1970..year).map(|year| 365 + u64::from(is_leap(year))).sum();
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months: u64 = lengths.iter().take(usize::try_from(month - 1).expect("small")).sum();
    let seconds = ((years + months + day - 1) * 24 + number(11, 13)) * 3_600 + number(14, 16) * 60 + number(17, 19);
    seconds * 1_000 + number(20, 23)
}

#[test]
fn times_on_the_wire_are_read() {
    assert_eq!(parse_time("2026-01-15T10:30:00.000Z"), 1_768_473_000_000);
    assert_eq!(parse_time("2000-02-29T00:00:00.001Z"), 951_782_400_001);
}
