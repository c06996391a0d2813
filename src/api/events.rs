//! The log: a page of it at once, after a wait, or as it goes on.
//!
//! A cursor is a place in the log, which nobody need understand. Readers are served from memory: none of them waits for
//! a store, and no store for them. Invariants: who waits is counted and bounded; when the server ends, who is told as
//! it goes gets the rest, and then the end. Never here: what is kept.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use futures_lite::stream::{Stream, unfold};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, timeout, timeout_at};
use utoipa::ToSchema;

use super::Server;
use super::perform::{Asking, of};
use super::problem::{CURSOR_TOO_OLD, INVALID, OVERLOADED, Problem};
use crate::acts::ring::{Page, Ring, TooOld};
use crate::limits::acts::{LOG_DRAIN_LOOK_MS, LOG_HEARTBEAT_MS, LOG_LIST, LOG_LIST_MAX};

/// An event a line.
pub(super) const NDJSON: &str = "application/x-ndjson";
/// Events as browsers read them.
pub(super) const STREAM: &str = "text/event-stream";
/// What a cursor looks like, for the documentation.
pub(super) const CURSOR_PATTERN: &str = "^e[0-9a-f]{16}$";

/// One event: what became of seats, an order or a room.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct EventAnswer {
    /// Where reading goes on behind it.
    cursor: String,
    /// `ROOM/EPOCH/N`, the room percent-encoded: the same event has the same id, however often it is read.
    id: String,
    /// `seat.held`, `seat.released`, `seat.blocked`, `seat.unblocked`, `order.checkout`, `order.booked`,
    /// `order.cancelled`, `order.expired`, `order.refunded`, `room.created`, `room.changed` or `room.deleted`.
    r#type: String,
    time: String,
    room: String,
    epoch: String,
    /// Its number among the events of the room: without a hole.
    n: u64,
    /// The room's number of the first change, and of the last; events of rooms have none.
    first_seq: Option<u64>,
    seq: Option<u64>,
    seats: Option<Vec<String>>,
    order: Option<String>,
    #[schema(value_type = Option<Object>)]
    owner: Option<String>,
    reason: Option<String>,
    label: Option<String>,
    /// Where the seats of a cancelled order went: `cart`, where their owner holds them again, or `free`.
    to: Option<String>,
}

/// What is read, and from where.
struct Reading {
    log: Arc<Ring>,
    room: Option<String>,
    after: Option<u64>,
    limit: usize,
}

impl Reading {
    fn page(&self) -> Result<Page, TooOld> {
        self.log.read(self.after, self.limit, self.room.as_deref())
    }

    /// The next page with something in it; an empty one at the end.
    fn next(&mut self) -> Result<Page, TooOld> {
        loop {
            let page = self.page()?;
            if !page.events.is_empty() || page.is_end {
                return Ok(page);
            }
            self.after = Some(page.seen);
        }
    }

    async fn more(&self, seen: u64) {
        poll_fn(|context| self.log.poll_behind(seen, context)).await;
    }
}

/// `GET /v1/events` and `GET /v1/rooms/{room}/events`.
pub(super) async fn read(server: &Server, asking: &Asking) -> Result<Response, Problem> {
    let text = asking.last_event.as_deref().or_else(|| asking.query.text("after"));
    let after = text.map(|text| place(text).ok_or_else(not_a_cursor)).transpose()?;
    let limit = usize::try_from(asking.query.number("limit").unwrap_or(LOG_LIST)).expect("the table bounds it");
    let room = asking.names.first().map(|room| room.as_str().to_owned());
    let mut reading = Reading { log: Arc::clone(&server.log), room, after, limit };
    let page = reading.next().map_err(too_old)?;
    if asking.wants_stream {
        let place = reader(server)?;
        reading.limit = usize::try_from(LOG_LIST_MAX).expect("small");
        return Ok(of(StatusCode::OK, STREAM, Body::from_stream(stream(reading, server.ends.subscribe(), place))));
    }
    let wait_s = asking.query.number("wait_s").unwrap_or(0);
    let page =
        if page.events.is_empty() && wait_s > 0 { waited(server, &mut reading, page, wait_s).await? } else { page };
    let mut text = String::new();
    for (place, event) in &page.events {
        put_event(&mut text, *place, event);
        text.push('\n');
    }
    Ok(of(StatusCode::OK, NDJSON, text))
}

/// The first page that is not empty, or an empty one when the time is over or the server ends.
async fn waited(server: &Server, reading: &mut Reading, mut page: Page, wait_s: u64) -> Result<Page, Problem> {
    let _place = reader(server)?;
    let until = Instant::now() + Duration::from_secs(wait_s);
    while page.events.is_empty() && Instant::now() < until && !server.board.is_draining() {
        reading.after = Some(page.seen);
        let look = until.min(Instant::now() + Duration::from_millis(LOG_DRAIN_LOOK_MS));
        timeout_at(look, reading.more(page.seen)).await.ok();
        page = reading.next().map_err(too_old)?;
    }
    Ok(page)
}

/// A place among those that wait or are told as it goes.
fn reader(server: &Server) -> Result<OwnedSemaphorePermit, Problem> {
    let place = Arc::clone(&server.readers).try_acquire_owned();
    place.map_err(|_| Problem::new(&OVERLOADED, "too many readers wait for events"))
}

/// What a reader is told as it goes.
struct Telling {
    reading: Reading,
    ends: watch::Receiver<bool>,
    is_begun: bool,
    is_over: bool,
    heartbeat: Duration,
    _place: OwnedSemaphorePermit,
}

fn stream(
    reading: Reading,
    ends: watch::Receiver<bool>,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<String, Infallible>> {
    let heartbeat = Duration::from_millis(LOG_HEARTBEAT_MS);
    let telling = Telling { reading, ends, is_begun: false, is_over: false, heartbeat, _place: place };
    unfold(telling, async |mut telling| telling.next().await.map(|text| (Ok(text), telling)))
}

impl Telling {
    /// The next piece of the stream; `None` is its end.
    async fn next(&mut self) -> Option<String> {
        if !std::mem::replace(&mut self.is_begun, true) {
            // The head of the answer leaves with it.
            return Some(": here it begins\n\n".into());
        }
        loop {
            // Read before asking whether the server has ended: then everything is in the log.
            let is_end = *self.ends.borrow();
            // Who has fallen behind what is kept asks again, and is told so.
            let page = self.reading.next().ok()?;
            self.reading.after = Some(page.seen);
            if !page.events.is_empty() {
                return Some(frames(&page));
            }
            if is_end || self.is_over {
                return None;
            }
            let mut ends = self.ends.clone();
            let end = async {
                self.is_over = ends.wait_for(|&ends| ends).await.is_err();
            };
            let more = self.reading.more(page.seen);
            let wait = timeout(self.heartbeat, futures_lite::future::or(end, more));
            if wait.await.is_err() {
                return Some(":\n\n".into());
            }
        }
    }
}

fn frames(page: &Page) -> String {
    let mut text = String::new();
    for (place, event) in &page.events {
        write!(text, "id: {}\ndata: ", cursor(*place)).expect("a String takes everything");
        put_event(&mut text, *place, event);
        text.push_str("\n\n");
    }
    text
}

/// An event with its cursor.
fn put_event(out: &mut String, place: u64, event: &str) {
    let rest = event.strip_prefix('{').expect("an event is an object");
    write!(out, "{{\"cursor\":\"{}\",{rest}", cursor(place)).expect("a String takes everything");
}

fn cursor(place: u64) -> String {
    format!("e{place:016x}")
}

/// The place of a cursor, unless none was ever written so.
pub(super) fn place(cursor: &str) -> Option<u64> {
    let digits = cursor.strip_prefix('e').filter(|digits| digits.len() == 16)?;
    let is_hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| u64::from_str_radix(digits, 16).expect("hexadecimal digits"))
}

fn not_a_cursor() -> Problem {
    Problem::new(&INVALID, "a cursor is that of an event, as it was told")
}

fn too_old(_: TooOld) -> Problem {
    let advice = "what came behind it is not kept any more: read the state (GET /v1/rooms and their seats), \
                  then read on without a cursor; an event that is met twice has the same id";
    Problem::new(&CURSOR_TOO_OLD, advice)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::{Semaphore, watch};

    use super::{Reading, Telling, cursor, place};
    use crate::acts::event::{Event, Number};
    use crate::acts::ring::Ring;
    use crate::engine::ids::RoomId;
    use crate::engine::time::WallMillis;

    #[test]
    fn a_stream_shows_that_it_lives_while_nothing_happens_and_ends_with_the_server() {
        let log = Arc::new(Ring::new(9));
        log.open(Vec::new(), WallMillis(1));
        let ends = watch::Sender::new(false);
        let reading = Reading { log: Arc::clone(&log), room: None, after: None, limit: 9 };
        let places = Arc::new(Semaphore::new(1));
        let mut telling = Telling {
            reading,
            ends: ends.subscribe(),
            is_begun: false,
            is_over: false,
            heartbeat: Duration::from_millis(1),
            _place: Arc::clone(&places).try_acquire_owned().expect("it is free"),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let mut next = || runtime.block_on(telling.next());
        assert!(next().is_some_and(|text| text.starts_with(':')), "the head leaves with a comment");
        assert_eq!(next().as_deref(), Some(":\n\n"), "a heartbeat");
        assert_eq!(next().as_deref(), Some(":\n\n"), "and another one");
        let (room, text) = (RoomId::new("r").expect("a name"), "{\"n\":1}".into());
        log.tell(vec![Event { room, n: 1, number: Number::Passing, text }], WallMillis(1));
        assert!(next().is_some_and(|text| text.starts_with("id: e") && text.ends_with("\"n\":1}\n\n")));
        ends.send_replace(true);
        assert_eq!(next(), None);
        drop(telling);
        assert_eq!(places.available_permits(), 1, "its place is free again");
    }

    #[test]
    fn cursors_are_read_as_they_are_written() {
        for number in [0, 7, u64::MAX] {
            assert_eq!(place(&cursor(number)), Some(number));
        }
        for bad in
            ["", "e", "7", "e7", "e000000000000000G", "e00000000000000000", "E0000000000000000", "e+00000000000000f"]
        {
            assert_eq!(place(bad), None, "{bad}");
        }
    }
}
