//! A request from its head to its answer: who asks, what for, with what; then the call is done.
//!
//! Invariants: what is checked before a body is read is refused without it; every answer says that nothing may keep it.
//! Never here: connections; what a call means.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use super::Server;
use super::body::drop_body;
use super::calls::{Act, CALLS, Call};
use super::docs::POLICY;
use super::problem::{INVALID, METHOD_NOT_ALLOWED, NOT_FOUND, Problem};
use crate::figures::text::CONTENT_TYPE as METRICS_TYPE;

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// The routes of all calls.
pub(super) fn routes(server: &Arc<Server>) -> Router {
    let mut paths: Vec<&'static str> = CALLS.iter().map(|call| call.path).collect();
    paths.dedup();
    let router = paths.into_iter().fold(Router::new(), |router, path| {
        let server = Arc::clone(server);
        router.route(path, any(async move |request| answer(&server, Some(path), request).await))
    });
    let server = Arc::clone(server);
    router.fallback(async move |request| answer(&server, None, request).await)
}

async fn answer(server: &Server, path: Option<&'static str>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut response = match admit(server, path, &head) {
        Ok(call) => perform(server, call, &head, body).await.unwrap_or_else(Problem::into_response),
        Err(problem) => {
            drop_body(body).await;
            problem.into_response()
        }
    };
    let fields = [(CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff"), (CONTENT_SECURITY_POLICY, POLICY)];
    for (name, value) in fields {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
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
    match call.role {
        Some(role) => server.gate.check_key(&head.headers, role).map(|()| call),
        None => Ok(call),
    }
}

async fn perform(server: &Server, call: &'static Call, head: &Parts, body: Body) -> Result<Response, Problem> {
    let (bytes, _place) = server.bodies.read(&head.headers, body, call.bytes_max()).await?;
    if call.sends.is_none() && !bytes.is_empty() {
        return Err(Problem::new(&INVALID, "this call takes no body"));
    }
    Ok(match call.act {
        Act::Home => of(StatusCode::OK, HTML, server.home.clone()),
        Act::Docs => of(StatusCode::OK, HTML, server.docs.clone()),
        Act::OpenApi => of(StatusCode::OK, JSON, server.openapi.clone()),
        Act::Health => {
            let facts = server.sight().facts();
            let status = StatusCode::from_u16(facts.verdict().0).expect("a verdict is a status");
            of(status, JSON, facts.body())
        }
        Act::Stats => {
            let mut gathered = server.gathering.gather(&server.shards, server.clock).await;
            let body = server.sight().stats(&mut gathered.shards, gathered.missing);
            of(StatusCode::OK, JSON, body)
        }
        Act::Metrics => {
            let gathered = server.gathering.gather(&server.shards, server.clock).await;
            of(StatusCode::OK, METRICS_TYPE, server.sight().metrics(gathered.shards))
        }
    })
}

fn of(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let fields: [(HeaderName, HeaderValue); 1] = [(CONTENT_TYPE, HeaderValue::from_static(content_type))];
    (status, fields, body.into()).into_response()
}
