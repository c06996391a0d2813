//! Bodies of requests: JSON only, bounded in length and time, and all that are read at once bounded together.
//!
//! Invariant: a refusal is answered when its body has been read and dropped, as far as that is bounded: a sender that
//! is cut off in the middle would never read the answer. Never here: what a body says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body_util::BodyExt;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit, TryAcquireError};
use tokio::time::{sleep, timeout};

use super::problem::{BAD_REQUEST, MEDIA_TYPE, OVERLOADED, Problem, TIMEOUT, TOO_LARGE};
use crate::audience::budget::{Budget, Kind};
use crate::limits::api::{
    API_BODIES_BYTES_MAX, API_BODY_BYTES_MAX, API_BODY_FACTOR, API_BODY_MS, API_DROPPED_BYTES_MAX,
};
use crate::limits::layout::{LAYOUT_READING_BYTES_MAX, LAYOUT_READING_FACTOR};
use crate::limits::{COLLECT_BYTES_MIN, COLLECT_REST_NS};
use crate::runtime::memory;

const WITHIN: Duration = Duration::from_millis(API_BODY_MS);

/// What may be read at once.
#[derive(Debug)]
pub(super) struct Bodies {
    budget: Budget,
    /// In KiB.
    all: usize,
    left: Semaphore,
    /// What plans may have of it: the rest is for what sells.
    left_for_plans: Semaphore,
    /// Bytes of bodies that were given back since memory went back to the kernel.
    freed: AtomicUsize,
    has_freed: Notify,
    /// Who reads a plan: one at a time.
    reader: Arc<Semaphore>,
}

/// That a plan is being read, with what reading takes, until it is dropped.
#[derive(Debug)]
pub(super) struct Reading {
    budget: Budget,
    bytes: usize,
    _turn: OwnedSemaphorePermit,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.budget.release(Kind::ApiBodies, self.bytes);
    }
}

/// The place of a body among all bodies.
#[derive(Debug)]
pub(super) struct Place<'a> {
    permit: SemaphorePermit<'a>,
    of_plans: Option<SemaphorePermit<'a>>,
    bodies: &'a Bodies,
}

impl Place<'_> {
    fn bytes(&self) -> usize {
        self.permit.num_permits() << 10
    }

    /// The body is there, with so many bytes: from now on it counts as what it takes while its call waits. What a plan
    /// takes is counted where it is read, and what it gives back here is of no use to others for long.
    fn settle(&mut self, len: usize) -> Result<(), Problem> {
        if self.of_plans.is_some() {
            return Ok(());
        }
        let (before, bodies) = (self.permit.num_permits(), self.bodies);
        let wanted = (len * API_BODY_FACTOR).div_ceil(1 << 10).min(bodies.all);
        if let Some(more) = wanted.checked_sub(before) {
            let more = u32::try_from(more).expect("bounds of bodies are small");
            self.permit.merge(bodies.left.try_acquire_many(more).map_err(full)?);
            bodies.budget.charge(Kind::ApiBodies, self.bytes() - (before << 10));
        } else {
            drop(self.permit.split(before - wanted));
            bodies.budget.release(Kind::ApiBodies, (before - wanted) << 10);
        }
        Ok(())
    }
}

fn full(_: TryAcquireError) -> Problem {
    Problem::new(&OVERLOADED, "too many bodies are being read")
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let (bytes, bodies) = (self.bytes(), self.bodies);
        bodies.budget.release(Kind::ApiBodies, bytes);
        if bodies.freed.fetch_add(bytes, Ordering::Relaxed) + bytes >= COLLECT_BYTES_MIN {
            bodies.has_freed.notify_one();
        }
    }
}

impl Bodies {
    /// As much as their share of this budget.
    pub(super) fn within(budget: &Budget) -> Self {
        let all = budget.max(Kind::ApiBodies).min(API_BODIES_BYTES_MAX) >> 10;
        let (left, left_for_plans) = (Semaphore::new(all), Semaphore::new(all / 4 * 3));
        let (freed, has_freed, reader) = (AtomicUsize::new(0), Notify::new(), Arc::new(Semaphore::new(1)));
        Self { budget: budget.clone(), all, left, left_for_plans, freed, has_freed, reader }
    }

    /// Waits until no other plan is being read. A plan takes many times its length while it is read, so what
    /// reading takes is bounded by there being one at a time, and counted beside its body.
    pub(super) async fn plan(&self, len: usize) -> Reading {
        let turn = Arc::clone(&self.reader).acquire_owned().await.expect("it is never closed");
        let bytes = len.saturating_mul(LAYOUT_READING_FACTOR).min(LAYOUT_READING_BYTES_MAX);
        self.budget.charge(Kind::ApiBodies, bytes);
        Reading { budget: self.budget.clone(), bytes, _turn: turn }
    }

    /// Gives memory back to the kernel, again and again, a moment after much of it was freed: the allocator keeps what
    /// this thread had.
    pub(super) async fn give_back(&self) {
        loop {
            self.has_freed.notified().await;
            sleep(Duration::from_nanos(COLLECT_REST_NS)).await;
            self.freed.store(0, Ordering::Relaxed);
            memory::give_back();
        }
    }

    /// Reads a body of at most `max` bytes. An empty one needs no type. Its place among all bodies is kept as long as
    /// what is returned.
    pub(super) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
        max: usize,
    ) -> Result<(Bytes, Place<'_>), Problem> {
        let (place, is_empty) = match self.place(headers, &body, max) {
            Ok(place) => place,
            Err(problem) => {
                drop_body(body).await;
                return Err(problem);
            }
        };
        if is_empty {
            return Ok((Bytes::new(), place));
        }
        match timeout(WITHIN, collect(body, max)).await {
            Ok(bytes) => {
                let (bytes, mut place) = (bytes?, place);
                place.settle(bytes.len())?;
                Ok((bytes, place))
            }
            Err(_) => Err(Problem::new(&TIMEOUT, format!("it took more than {API_BODY_MS} ms"))),
        }
    }

    fn place(&self, headers: &HeaderMap, body: &Body, max: usize) -> Result<(Place<'_>, bool), Problem> {
        let hint = body.size_hint();
        let is_empty = hint.exact() == Some(0);
        if !is_empty {
            check_type(headers)?;
        }
        if hint.lower() > max as u64 {
            return Err(too_large(max));
        }
        let likely = usize::try_from(hint.exact().unwrap_or(max as u64)).unwrap_or(max);
        let is_plan = max > API_BODY_BYTES_MAX;
        // One that is longer than all together may be waits until it is alone.
        let most = if is_plan { self.all / 4 * 3 } else { self.all };
        let permits = u32::try_from(likely.div_ceil(1 << 10).min(most)).expect("bounds of bodies are small");
        let of_plans = is_plan.then(|| self.left_for_plans.try_acquire_many(permits)).transpose().map_err(full)?;
        let permit = self.left.try_acquire_many(permits).map_err(full)?;
        let place = Place { permit, of_plans, bodies: self };
        self.budget.charge(Kind::ApiBodies, place.bytes());
        Ok((place, is_empty))
    }
}

fn too_large(max: usize) -> Problem {
    Problem::new(&TOO_LARGE, format!("this call takes at most {max} bytes"))
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let refuse = |detail| Err(Problem::new(&MEDIA_TYPE, detail));
    if headers.contains_key(CONTENT_ENCODING) {
        return refuse("a body is sent as it is, without Content-Encoding");
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else {
        return refuse("Content-Type must be application/json");
    };
    if !value.to_str().is_ok_and(is_json) {
        return refuse("Content-Type must be application/json");
    }
    Ok(())
}

/// `application/json`; JSON is UTF-8, which may be said.
fn is_json(media_type: &str) -> bool {
    let mut parts = media_type.split(';').map(str::trim);
    let is_utf8 = |parameter: &str| {
        let (name, value) = parameter.split_once('=').unwrap_or_default();
        name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    };
    parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) && parts.all(is_utf8)
}

async fn collect(mut body: Body, max: usize) -> Result<Bytes, Problem> {
    let mut bytes = Vec::with_capacity(usize::try_from(body.size_hint().lower()).unwrap_or(0).min(max));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(&BAD_REQUEST, "the body ends early"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > max {
            drop_frames(body).await;
            return Err(too_large(max));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.into())
}

/// Reads what is left of a body that nobody needs.
pub(super) async fn drop_body(body: Body) {
    if !body.is_end_stream() {
        timeout(WITHIN, drop_frames(body)).await.ok();
    }
}

async fn drop_frames(mut body: Body) {
    let mut left = API_DROPPED_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let Some(less) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
        left = less;
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use super::{
        API_BODY_FACTOR, Bodies, CONTENT_TYPE, Duration, LAYOUT_READING_BYTES_MAX, LAYOUT_READING_FACTOR, timeout,
    };
    use crate::audience::budget::{Budget, Kind};
    use crate::limits::MEMORY_BUDGET_BYTES_MIN;

    /// The status of the refusal; 200: there is none.
    fn check(head: &[(&'static str, &'static str)], body: &'static str, max: usize, expected: u16) {
        let fields = head.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let headers: HeaderMap = fields.collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let budget = Budget::of(MEMORY_BUDGET_BYTES_MIN);
        let bodies = Bodies::within(&budget);
        let status = match runtime.block_on(bodies.read(&headers, Body::from(body), max)) {
            Ok((bytes, _)) => {
                assert_eq!(bytes, body.as_bytes());
                200
            }
            Err(problem) => problem.kind.status,
        };
        assert_eq!(status, expected, "{head:?} {body:?}");
        assert_eq!(bodies.left.available_permits(), budget.max(Kind::ApiBodies) / 1024, "its place is free again");
        assert_eq!(budget.used(Kind::ApiBodies), 0);
    }

    #[test]
    fn plans_leave_room_for_what_sells() {
        let budget = Budget::of(MEMORY_BUDGET_BYTES_MIN);
        let (bodies, all) = (Bodies::within(&budget), budget.max(Kind::ApiBodies));
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let plan = |len| bodies.place(&headers, &Body::from(vec![b' '; len]), 8 * all);
        let call = |len| bodies.place(&headers, &Body::from(vec![b' '; len]), 1 << 20);
        let (first, _) = plan(2 * all).expect("nothing else is read");
        assert_eq!(budget.used(Kind::ApiBodies), all / 4 * 3);
        assert_eq!(plan(2).expect_err("there is no room for another").kind.status, 503);
        let (second, _) = call(1 << 20).expect("a quarter is left for calls");
        assert_eq!(call(2).expect_err("there is no room").kind.status, 503);
        drop((first, second));
        assert!(plan(2).is_ok() && call(2).is_ok());
        assert_eq!(budget.used(Kind::ApiBodies), 0);
    }

    #[test]
    fn a_call_that_waits_counts_as_what_its_body_takes() {
        let budget = Budget::of(MEMORY_BUDGET_BYTES_MIN);
        let bodies = Bodies::within(&budget);
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let read = |body| runtime.block_on(bodies.read(&headers, body, 1 << 20)).map(|(_, place)| place);
        let used = || budget.used(Kind::ApiBodies);
        // 100 KiB, its length given.
        let first = read(Body::from(vec![b' '; 100 << 10])).expect("there is room");
        assert_eq!(used(), (100 << 10) * API_BODY_FACTOR);
        // The same without: until it has come there is room for the longest.
        let pieces = (0..100).map(|_| Ok::<_, std::convert::Infallible>(vec![b' '; 1 << 10]));
        let second = read(Body::from_stream(futures_lite::stream::iter(pieces))).expect("there is room");
        assert_eq!(used(), 2 * (100 << 10) * API_BODY_FACTOR);
        // The longest takes more than there is, beside these, and all of it when it is alone.
        assert_eq!(read(Body::from(vec![b' '; 1 << 20])).expect_err("there is no room").kind.status, 503);
        assert_eq!(used(), 2 * (100 << 10) * API_BODY_FACTOR);
        drop((first, second));
        let alone = read(Body::from(vec![b' '; 1 << 20])).expect("it is alone");
        assert_eq!(used(), budget.max(Kind::ApiBodies));
        drop(alone);
        assert_eq!((used(), bodies.left.available_permits() << 10), (0, budget.max(Kind::ApiBodies)));
    }

    #[test]
    fn plans_are_read_one_after_the_other_and_counted() {
        let budget = Budget::of(MEMORY_BUDGET_BYTES_MIN);
        let bodies = Bodies::within(&budget);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let now = |len| runtime.block_on(async { timeout(Duration::ZERO, bodies.plan(len)).await.ok() });
        let first = now(1_000).expect("nobody reads one");
        assert!(now(1_000).is_none(), "the next one waits");
        assert_eq!(budget.used(Kind::ApiBodies), 1_000 * LAYOUT_READING_FACTOR);
        drop(first);
        let longest = now(usize::MAX).expect("it is its turn");
        assert_eq!(budget.used(Kind::ApiBodies), LAYOUT_READING_BYTES_MAX);
        drop(longest);
        assert_eq!(budget.used(Kind::ApiBodies), 0);
    }

    #[test]
    fn a_body_is_json_and_not_too_long() {
        check(&[("content-type", "application/json")], "{}", 2, 200);
        check(&[("content-type", "application/json")], "{ }", 2, 413);
        check(&[("content-type", "Application/JSON; charset=UTF-8")], "{}", 2, 200);
        check(&[("content-type", "application/json; charset=latin1")], "{}", 2, 415);
        check(&[("content-type", "application/json; q")], "{}", 2, 415);
        check(&[("content-type", "text/plain")], "{}", 2, 415);
        check(&[], "{}", 2, 415);
        check(&[("content-type", "application/json"), ("content-encoding", "gzip")], "{}", 2, 415);
        check(&[], "", 2, 200);
        check(&[("content-type", "text/plain")], "", 2, 200);
    }
}
