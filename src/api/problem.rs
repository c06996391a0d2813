//! Refusals of the API: problem details of RFC 9457, with a `code` for programs and the seats that are in the way.
//!
//! Invariant: every refusal is of a [`Kind`] of the table, which the documentation lists. Never here: who is refused.

use axum::body::Body;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of a refusal.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// A kind of refusal.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Kind {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) title: &'static str,
}

const fn kind(status: u16, code: &'static str, title: &'static str) -> Kind {
    Kind { status, code, title }
}

pub(super) static BAD_REQUEST: Kind = kind(400, "bad_request", "The request cannot be read");
pub(super) static NOT_JSON: Kind = kind(400, "not_json", "The body is not JSON");
pub(super) static UNAUTHORIZED: Kind = kind(401, "unauthorized", "There is no such key");
pub(super) static FORBIDDEN: Kind = kind(403, "forbidden", "The key may not do that");
pub(super) static HOST_NOT_ALLOWED: Kind = kind(403, "host_not_allowed", "Without keys only this machine is served");
pub(super) static NOT_FOUND: Kind = kind(404, "not_found", "There is nothing at this path");
pub(super) static UNKNOWN_LAYOUT: Kind = kind(404, "unknown_layout", "There is no such layout");
pub(super) static UNKNOWN_ROOM: Kind = kind(404, "unknown_room", "There is no such room");
pub(super) static UNKNOWN_ORDER: Kind = kind(404, "unknown_order", "There is no such order");
pub(super) static METHOD_NOT_ALLOWED: Kind = kind(405, "method_not_allowed", "This path does not know this method");
pub(super) static TIMEOUT: Kind = kind(408, "request_timeout", "The body took too long");
pub(super) static SEATS_UNAVAILABLE: Kind = kind(409, "seats_unavailable", "Others have seats of it");
pub(super) static SEATS_LOST: Kind = kind(409, "seats_lost", "The order came too late: others have seats of it");
pub(super) static NOT_HELD: Kind = kind(409, "not_held", "The owner does not hold that");
pub(super) static NOT_OWNER: Kind = kind(409, "not_owner", "Seats of it belong to somebody else");
pub(super) static IN_CHECKOUT: Kind = kind(409, "in_checkout", "Seats of it are in an order that is being paid for");
pub(super) static ORDER_EXISTS: Kind =
    kind(409, "order_exists", "There is an order of this name with another owner or other seats, or it has ended");
pub(super) static ORDER_ENDED: Kind = kind(409, "order_ended", "The order is not in a state in which that can be done");
pub(super) static AMBIGUOUS_OWNER: Kind = kind(409, "ambiguous_owner", "Several connections have this name");
pub(super) static ROOM_DIFFERS: Kind = kind(409, "room_differs", "There is a room of this name with other settings");
pub(super) static LAYOUT_MISMATCH: Kind = kind(409, "layout_mismatch", "The new layout lacks seats that are taken");
pub(super) static NO_LAYOUT: Kind = kind(409, "no_layout", "The room has no layout, which this needs");
pub(super) static ORDERS_IN_CHECKOUT: Kind =
    kind(409, "orders_in_checkout", "There are orders that are being paid for");
pub(super) static NOT_ENOUGH_SEATS: Kind = kind(409, "not_enough_seats", "There are not as many seats");
pub(super) static NO_ADJACENT_SEATS: Kind =
    kind(409, "no_adjacent_seats", "There are not as many seats next to each other");
pub(super) static ORPHAN_SEAT: Kind = kind(409, "orphan_seat", "It would leave a single seat alone");
pub(super) static SALE_NOT_OPEN: Kind = kind(409, "sale_not_open", "The sale is not open");
pub(super) static HOLD_EXPIRED: Kind = kind(409, "hold_expired", "The cart has come to its end");
pub(super) static LAYOUTS_FULL: Kind =
    kind(409, "layouts_full", "There are as many layouts as may be, or they take as much");
pub(super) static LAYOUT_IN_USE: Kind = kind(409, "layout_in_use", "There are rooms that have the layout");
pub(super) static LIMIT_EXCEEDED: Kind = kind(409, "limit_exceeded", "The owner has as many seats as may be");
pub(super) static CURSOR_TOO_OLD: Kind = kind(410, "cursor_too_old", "The log does not go back as far");
pub(super) static TOO_LARGE: Kind = kind(413, "too_large", "The body is too long");
pub(super) static MEDIA_TYPE: Kind = kind(415, "unsupported_media_type", "A body is application/json");
pub(super) static INVALID: Kind = kind(422, "invalid", "The request means nothing");
pub(super) static UNKNOWN_SEAT: Kind = kind(422, "unknown_seat", "The layout has no such seat");
pub(super) static DRAINING: Kind = kind(503, "draining", "The server is about to end");
pub(super) static STARTING: Kind = kind(503, "starting", "The server has not read its store yet");
pub(super) static OVERLOADED: Kind = kind(503, "overloaded", "The server has too much to do");
pub(super) static PERSISTENCE_UNAVAILABLE: Kind =
    kind(503, "persistence_unavailable", "The outcome is unknown: asking again is safe");

/// All kinds, in the order of the documentation.
pub(super) static KINDS: [&Kind; 40] = [
    &BAD_REQUEST,
    &NOT_JSON,
    &UNAUTHORIZED,
    &FORBIDDEN,
    &HOST_NOT_ALLOWED,
    &NOT_FOUND,
    &UNKNOWN_LAYOUT,
    &UNKNOWN_ROOM,
    &UNKNOWN_ORDER,
    &METHOD_NOT_ALLOWED,
    &TIMEOUT,
    &SEATS_UNAVAILABLE,
    &SEATS_LOST,
    &NOT_HELD,
    &NOT_OWNER,
    &IN_CHECKOUT,
    &ORDER_EXISTS,
    &ORDER_ENDED,
    &AMBIGUOUS_OWNER,
    &ROOM_DIFFERS,
    &LAYOUT_MISMATCH,
    &NO_LAYOUT,
    &ORDERS_IN_CHECKOUT,
    &NOT_ENOUGH_SEATS,
    &NO_ADJACENT_SEATS,
    &ORPHAN_SEAT,
    &SALE_NOT_OPEN,
    &HOLD_EXPIRED,
    &LAYOUTS_FULL,
    &LAYOUT_IN_USE,
    &LIMIT_EXCEEDED,
    &CURSOR_TOO_OLD,
    &TOO_LARGE,
    &MEDIA_TYPE,
    &INVALID,
    &UNKNOWN_SEAT,
    &DRAINING,
    &STARTING,
    &OVERLOADED,
    &PERSISTENCE_UNAVAILABLE,
];

/// A seat that is in the way.
#[derive(Clone, Serialize, ToSchema, PartialEq, Eq, Debug)]
pub(super) struct Conflict {
    /// The seat.
    pub(super) seat: String,
    /// What it is: `free`, `held`, `checkout`, `booked`, `blocked`; `unknown` when the layout has no such seat.
    pub(super) state: &'static str,
}

/// The body of a refusal.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody<'a> {
    /// Where this kind of refusal is described.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference")]
    kind: String,
    /// The kind in words.
    title: &'a str,
    /// The status of the response.
    status: u16,
    /// What was wrong with this request.
    detail: &'a str,
    /// The kind for programs.
    code: &'a str,
    /// The seats that are in the way, where seats are meant.
    #[serde(skip_serializing_if = "<[Conflict]>::is_empty")]
    #[schema(required = false)]
    conflicts: &'a [Conflict],
}

/// A refusal.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Problem {
    pub(super) kind: &'static Kind,
    pub(super) detail: String,
    pub(super) conflicts: Vec<Conflict>,
    /// The methods that the path knows, for 405.
    pub(super) allow: Option<String>,
}

impl Problem {
    pub(super) fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), conflicts: Vec::new(), allow: None }
    }

    /// When it makes sense to ask again, in seconds.
    fn retry_after(&self) -> Option<&'static str> {
        (self.kind.status == 503).then_some(if *self.kind == DRAINING { "5" } else { "1" })
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: format!("/docs#{}", self.kind.code),
            title: self.kind.title,
            status: self.kind.status,
            detail: &self.detail,
            code: self.kind.code,
            conflicts: &self.conflicts,
        };
        let body = serde_json::to_vec(&body).expect("its parts are texts and numbers");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(self.kind.status).expect("the table has statuses");
        let retry_after = self.retry_after();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.kind.status == 401 {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"butaca\""));
        }
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_str(&allow).expect("methods are plain words"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::KINDS;

    #[test]
    fn a_code_means_one_thing() {
        let mut codes: Vec<_> = KINDS.iter().map(|kind| kind.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), KINDS.len());
        assert!(KINDS.is_sorted_by_key(|kind| kind.status));
    }
}
