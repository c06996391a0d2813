//! A request from its head to its answer: who asks, what for, with what; then the call is done.
//!
//! Invariants: what is checked before a body is read is refused without it; every answer says that nothing may keep it.
//! Never here: connections; what a call means.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Request};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use super::Server;
use super::body::drop_body;
use super::calls::Call;
use super::events::STREAM;
use super::gate::Known;
use super::perform::{Asking, perform};
use super::problem::{BAD_REQUEST, DRAINING, INVALID, METHOD_NOT_ALLOWED, NOT_FOUND, Problem, STARTING};
use super::query::Query;
use super::table::CALLS;
use super::words::Name;

/// The routes of all calls.
pub(super) fn routes(server: &Arc<Server>) -> Router {
    let paths: BTreeSet<&'static str> = CALLS.iter().map(|call| call.path).collect();
    let router = paths.into_iter().fold(Router::new(), |router, path| {
        let server = Arc::clone(server);
        router.route(path, any(async move |request| answer(&server, Some(path), request).await))
    });
    let server = Arc::clone(server);
    router.fallback(async move |request| answer(&server, None, request).await)
}

async fn answer(server: &Server, path: Option<&'static str>, request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    let mut response = match admit(server, path, &head) {
        Ok(call) => done(server, call, &mut head, body).await.unwrap_or_else(Problem::into_response),
        Err(problem) => {
            drop_body(body).await;
            problem.into_response()
        }
    };
    for (name, value) in [(CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, server.policy.clone());
    response
}

/// Which call it is, when it comes from where it may and the one who asks may do it.
fn admit(server: &Server, path: Option<&'static str>, head: &Parts) -> Result<&'static Call, Problem> {
    server.gate.check_origin(head)?;
    let path = path.ok_or_else(|| Problem::new(&NOT_FOUND, "see /docs for what there is"))?;
    let of_path = || CALLS.iter().filter(|call| call.path == path);
    // HEAD is GET without the body, which is left out where it is sent.
    let method = if head.method == Method::HEAD { "GET" } else { head.method.as_str() };
    let Some(call) = of_path().find(|call| call.method == method) else {
        let mut methods: Vec<&str> = of_path().map(|call| call.method).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        let allow = Some(methods.join(", "));
        return Err(Problem {
            allow,
            ..Problem::new(&METHOD_NOT_ALLOWED, format!("{} is not known here", head.method))
        });
    };
    if let Some(role) = call.role {
        server.gate.check_key(&head.headers, role)?;
        if let Some(known) = head.extensions.get::<Known>() {
            known.note();
        }
    }
    if call.is_about_rooms() {
        check_serving(server)?;
    }
    Ok(call)
}

async fn done(server: &Server, call: &'static Call, head: &mut Parts, body: Body) -> Result<Response, Problem> {
    // Its place among all bodies is kept until the answer is there.
    let (body, _place) = server.bodies.read(&head.headers, body, call.bytes_max()).await?;
    if call.sends.is_none() && !body.is_empty() {
        return Err(Problem::new(&INVALID, "this call takes no body"));
    }
    let query = Query::read(call, head.uri.query().unwrap_or_default())?;
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let wants_stream = text("accept").is_some_and(|accept| takes_stream(&accept));
    // A browser that was told of no event yet may say so by an empty one.
    let last_event = text("last-event-id").filter(|last| wants_stream && !last.is_empty());
    let asking = Asking { names: names(head).await?, query, body, wants_stream, last_event };
    perform(server, call, &asking).await
}

/// Whether who accepts this takes events as they go; types are written in letters of any size, and `q=0` is a refusal.
fn takes_stream(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_stream = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case(STREAM));
        let is_refused = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or_default();
            name.eq_ignore_ascii_case("q") && value.parse() == Ok(0.0)
        };
        is_stream && !parts.any(is_refused)
    })
}

/// Whether every `%` begins a byte.
fn is_percent_encoded(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}

/// The names in the path.
async fn names(head: &mut Parts) -> Result<Vec<Name>, Problem> {
    if !is_percent_encoded(head.uri.path()) {
        return Err(Problem::new(&BAD_REQUEST, "a % in the path has to be followed by two hexadecimal digits"));
    }
    let params = Path::<Vec<(String, String)>>::from_request_parts(head, &()).await;
    let Path(params) = params.map_err(|_| Problem::new(&BAD_REQUEST, "the path is not UTF-8"))?;
    let read = |(what, text): (String, String)| {
        let wrong =
            || Problem::new(&INVALID, format!("the {what} in the path has to have 1 to 128 bytes that can be seen"));
        Name::new(&text).ok_or_else(wrong)
    };
    params.into_iter().map(read).collect()
}

/// Whether the shards do anything at all just now.
fn check_serving(server: &Server) -> Result<(), Problem> {
    if server.board.is_draining() {
        return Err(Problem::new(&DRAINING, DRAINING.title));
    }
    if !server.board.is_serving() {
        return Err(Problem::new(&STARTING, STARTING.title));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{is_percent_encoded, takes_stream};

    #[test]
    fn who_takes_a_stream_says_so() {
        for accept in ["text/event-stream", "TEXT/Event-Stream; q=0.5", "a/b, text/event-stream;charset=utf-8"] {
            assert!(takes_stream(accept), "{accept}");
        }
        for accept in ["", "*/*", "application/x-ndjson", "text/event-stream;q=0", "text/event-streams"] {
            assert!(!takes_stream(accept), "{accept}");
        }
    }

    #[test]
    fn a_percent_sign_begins_a_byte() {
        assert!(["/a", "/%41%2f%C3%a9", ""].into_iter().all(is_percent_encoded));
        assert!(["/%", "/%4", "/%zz", "/%4g", "/a%%41"].into_iter().all(|path| !is_percent_encoded(path)));
    }
}
