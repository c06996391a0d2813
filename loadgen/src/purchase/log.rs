//! The log of the API, read page by page, and followed while the sale goes on.
//!
//! Invariant: a page that could not be read is asked for again, from the same cursor. Never here: what events mean.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use serde_json::Value;

use super::place::Place;
use crate::clock::now_ns;
use crate::limits::SHOPPER_PATIENCE_NS;

/// A reader of the log, and how far it has got.
#[derive(Clone, Default, Debug)]
pub(super) struct Reader {
    cursor: Option<String>,
}

impl Reader {
    /// One that begins behind everything that is there already.
    pub(super) fn at_the_end(place: &Place) -> Result<Self, String> {
        let mut reader = Self::default();
        while !reader.page(place, 0)?.is_empty() {}
        Ok(reader)
    }

    /// The events of the next page; none at the end of the log, when none has come for so many seconds.
    fn page(&mut self, place: &Place, wait_s: u64) -> Result<Vec<Value>, String> {
        let after = self.cursor.as_ref().map(|cursor| format!("&after={cursor}")).unwrap_or_default();
        let path = format!("/v1/events?limit=2000&wait_s={wait_s}{after}");
        let give_up = now_ns() + SHOPPER_PATIENCE_NS;
        let text = loop {
            let said = match place.api.call("GET", &path, "") {
                Ok(answer) if answer.status == 200 => break answer.body,
                Ok(answer) if answer.status != 503 => {
                    return Err(format!("GET {path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body)));
                }
                Ok(answer) => String::from_utf8_lossy(&answer.body).into_owned(),
                Err(error) => error.to_string(),
            };
            if now_ns() > give_up {
                return Err(format!("GET {path}: no answer: {said}"));
            }
            std::thread::park_timeout(Duration::from_millis(50));
        };
        let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let events: Result<Vec<Value>, _> = lines.map(serde_json::from_slice).collect();
        let events = events.map_err(|error| format!("GET {path}: {error}"))?;
        if let Some(last) = events.last() {
            self.cursor = last["cursor"].as_str().map(str::to_owned);
        }
        Ok(events)
    }

    /// All that follows, of this sale's room.
    pub(super) fn rest(&mut self, place: &Place) -> Result<Vec<Value>, String> {
        self.follow(place, &AtomicBool::new(true), 0)
    }

    /// All that follows until the sale is over, and then what is left.
    pub(super) fn follow(&mut self, place: &Place, is_over: &AtomicBool, wait_s: u64) -> Result<Vec<Value>, String> {
        let (mut all, mut empty) = (Vec::new(), 0);
        // A node may hear of what another one has written a moment later.
        let last_wait_s = u64::from(place.api.nodes() > 1);
        loop {
            // Asked before the page is: then an empty one is the end, once every node has said so.
            let was_over = is_over.load(Relaxed);
            let page = self.page(place, if was_over { last_wait_s } else { wait_s })?;
            empty = if was_over && page.is_empty() { empty + 1 } else { 0 };
            if empty >= place.api.nodes() {
                return Ok(all);
            }
            all.extend(page.into_iter().filter(|event| event["room"] == place.room.as_str()));
        }
    }
}

/// Where two accounts of the log begin to differ, if they do.
pub(super) fn difference(name: &str, found: &[Value], log: &[Value]) -> Option<String> {
    let at = found.iter().zip(log).position(|(found, log)| found != log);
    let at = at.or_else(|| (found.len() != log.len()).then(|| found.len().min(log.len())))?;
    let of = |events: &[Value]| events.get(at).map_or("nothing".to_owned(), Value::to_string);
    Some(format!(
        "{name} differs from the log at event {at} of {}: {}, and in the log {}",
        log.len(),
        of(found),
        of(log)
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::difference;

    #[test]
    fn accounts_are_compared() {
        let log = [json!(1), json!(2)];
        assert_eq!(difference("x", &log, &log), None);
        for found in [&log[..1], &[json!(1), json!(3)], &[json!(1), json!(2), json!(3)], &[]] {
            assert!(difference("x", found, &log).is_some(), "{found:?}");
        }
    }
}
