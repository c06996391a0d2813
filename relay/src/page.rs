//! What an answer of the log means: events, nothing yet, come again later, or the end.
//!
//! Invariant: only whole lines are events; one that was cut off is read again. Never here: I/O.

use crate::event::{Event, shown};
use crate::limits::{EVENT_BYTES_MAX, PAGE_BYTES_MAX, PAGE_EVENTS_MAX, WAIT_S};
use crate::stop::Stop;

/// The path and query that ask for what follows this cursor.
pub(crate) fn question(after: Option<&str>) -> Vec<(&'static str, String)> {
    let mut query = vec![("limit", PAGE_EVENTS_MAX.to_string()), ("wait_s", WAIT_S.to_string())];
    query.extend(after.map(|cursor| ("after", cursor.to_owned())));
    query
}

/// What the status of an answer means.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Meaning {
    /// Its body has events.
    Events,
    /// The server cannot answer now.
    Later,
    /// It will never answer otherwise.
    Stop(Stop),
}

/// Reads a status; `detail` is the body of a refusal.
pub(crate) fn meaning(status: u16, detail: &str) -> Meaning {
    match status {
        200 => Meaning::Events,
        408 | 425 | 429 | 500..=599 => Meaning::Later,
        410 => Meaning::Stop(Stop::Gone),
        401 | 403 => Meaning::Stop(Stop::Key(format!("the server refuses the key ({status}): {}", shown(detail)))),
        _ => Meaning::Stop(Stop::Log(format!("the log answers {status}: {}", shown(detail)))),
    }
}

/// Lines of a body that comes in pieces.
#[derive(Default)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    is_full: bool,
}

impl Lines {
    /// Takes a piece; whether there is room for more.
    pub(crate) fn take(&mut self, piece: &[u8]) -> bool {
        assert!(!self.is_full, "a full page takes nothing");
        let room = PAGE_BYTES_MAX - self.bytes.len();
        self.is_full = piece.len() >= room;
        self.bytes.extend_from_slice(&piece[..piece.len().min(room)]);
        !self.is_full
    }

    /// The events of all whole lines. Nothing follows a line that is none.
    pub(crate) fn events(&self) -> Result<Vec<Event>, Stop> {
        let end = self.bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        if self.bytes.len() - end > EVENT_BYTES_MAX {
            return Err(Stop::Log(format!("the log has an event of more than {EVENT_BYTES_MAX} bytes")));
        }
        let lines = self.bytes[..end].split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        lines.take(PAGE_EVENTS_MAX).map(|line| Event::read(line).map_err(Stop::Log)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, Meaning, meaning, question};
    use crate::event::tests::event;
    use crate::limits::{PAGE_BYTES_MAX, PAGE_EVENTS_MAX};
    use crate::stop::Stop;

    #[test]
    fn a_status_means_one_thing() {
        for (status, expected) in [
            (200, "events"),
            (408, "later"),
            (429, "later"),
            (500, "later"),
            (503, "later"),
            (410, "gone"),
            (401, "key"),
            (403, "key"),
            (404, "log"),
            (422, "log"),
            (302, "log"),
        ] {
            let found = match meaning(status, "why") {
                Meaning::Events => "events",
                Meaning::Later => "later",
                Meaning::Stop(Stop::Gone) => "gone",
                Meaning::Stop(Stop::Key(_)) => "key",
                Meaning::Stop(_) => "log",
            };
            assert_eq!(found, expected, "{status}");
        }
        assert_eq!(question(None).len(), 2);
        assert_eq!(question(Some("a b")).pop(), Some(("after", "a b".into())));
    }

    #[test]
    fn only_whole_lines_are_events() {
        let line = |n| serde_json::to_string(&event(n, "seat.held", None, &["A"]).all).unwrap() + "\n";
        let body = line(1) + "\n" + &line(2);
        for cut in 0..=body.len() {
            let mut lines = Lines::default();
            for piece in body.as_bytes()[..cut].chunks(7) {
                assert!(lines.take(piece));
            }
            let expected = usize::from(cut >= line(1).len()) + usize::from(cut == body.len());
            assert_eq!(lines.events().unwrap().len(), expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_page_has_its_bounds() {
        let line = serde_json::to_string(&event(1, "seat.held", None, &["A"]).all).unwrap() + "\n";
        let mut lines = Lines::default();
        lines.take(line.repeat(PAGE_EVENTS_MAX + 1).as_bytes());
        assert_eq!(lines.events().unwrap().len(), PAGE_EVENTS_MAX);
        let mut lines = Lines::default();
        assert!(!lines.take(&vec![b'x'; PAGE_BYTES_MAX + 1]));
        assert!(matches!(lines.events(), Err(Stop::Log(_))), "one event is too long");
        let mut lines = Lines::default();
        lines.take(b"nonsense\n");
        assert!(matches!(lines.events(), Err(Stop::Log(_))));
    }
}
