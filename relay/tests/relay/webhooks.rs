//! The log at a receiver that is busy, forgets to answer, refuses, and comes back.

use std::path::PathBuf;

use kit::wait::eventually;

use super::database::Database;
use super::log::Log;
use super::process::Relay;
use super::receiver::{Receiver, SECRET};

struct Place {
    folder: tempfile::TempDir,
    log: Log,
    receiver: Receiver,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().expect("a folder"), log: Log::new(), receiver: Receiver::new() };
        std::fs::write(place.path("secret"), format!("{SECRET}\n")).expect("a file");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self, more: &[&str]) -> Relay {
        let [secret, cursor] = ["secret", "cursor"].map(|name| self.path(name).display().to_string());
        let mut words = vec!["--server", &self.log.url, "--webhook", &self.receiver.url, "--secret-file", &secret];
        if more.is_empty() {
            words.extend(["--cursor-file", &cursor]);
        }
        words.extend(more);
        Relay::start(&words)
    }

    /// Each event was taken once, and nothing else.
    fn check(&self) {
        let sorted = |mut events: Vec<serde_json::Value>| {
            events.sort_by_key(|event| event["id"].to_string());
            events
        };
        assert_eq!(sorted(self.receiver.taken()), sorted(self.log.events()));
    }
}

#[test]
fn every_event_arrives_signed_and_in_order_whatever_fails() {
    let place = Place::new();
    place.log.fail_every(5);
    place.receiver.fail_every(7);
    for round in 0..3 {
        place.log.write_orders(round * 40, 40);
        let relay = place.start(&[]);
        let expected = place.log.events().len() - if round < 2 { 50 } else { 0 };
        eventually("most is there", || (place.receiver.taken().len() >= expected).then_some(()));
        relay.kill();
    }
    place.check();
    assert!(place.receiver.repeats() > 0, "answers were lost, so something came twice");
}

#[test]
fn an_event_that_is_refused_stops_it_and_is_not_skipped() {
    let place = Place::new();
    place.log.write_orders(0, 1);
    let id = place.log.events()[1]["id"].as_str().expect("a name").to_owned();
    for status in [400, 410, 302] {
        place.receiver.refuse(Some((&id, status)));
        let (code, said) = place.start(&[]).ended();
        assert_eq!(code, Some(65), "{said}");
        let line = said.lines().find(|line| line.contains("refuses event")).expect("it says so");
        assert!(line.contains(&id) && line.contains(&format!("({status}): I do not\\nknow this")), "{line}");
        assert_eq!(place.receiver.taken().len(), 1, "nothing behind it was delivered");
    }
    place.receiver.refuse(None);
    let relay = place.start(&[]);
    eventually("the rest is there", || (place.receiver.taken().len() == place.log.events().len()).then_some(()));
    drop(relay);
    place.check();
    assert_eq!(place.receiver.repeats(), 0, "the cursor stood right before it");
}

#[test]
fn two_sinks_have_cursors_of_their_own() {
    let (place, database) = (Place::new(), Database::start());
    place.log.write_orders(0, 8);
    let last = place.log.events().len();
    for from in [0, 8] {
        let relay = place.start(&["--mongo", &database.url()]);
        place.log.write_orders(8 + from, 8);
        let (last, cursor) = (place.log.events().len(), format!("at {}", place.log.events().len()));
        eventually("both are level", || {
            let kept = database.all("relay_cursors");
            (kept.len() == 2 && kept.iter().all(|kept| kept["cursor"] == cursor.as_str())).then_some(())
        });
        assert_eq!(database.all("seat_events").len(), last);
        relay.term();
        assert_eq!(relay.ended().0, Some(0));
    }
    place.check();
    assert!(last < place.receiver.taken().len() && place.receiver.repeats() == 0);
}
