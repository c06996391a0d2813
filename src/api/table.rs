//! The rows of the table of calls.
//!
//! Never here: what a row means.

use super::answers::{
    BlocksAnswer, CountsAnswer, DeletedAnswer, DisconnectAnswer, HoldAnswer, OrderAnswer, ReconcileAnswer,
    ReleaseAnswer, RoomAnswer, RoomsAnswer, SeatsAnswer,
};
use super::calls::{Act, Answer, Call, JSON, Param, ParamKind, Sends, Shape, any_object, shape};
use super::events::{EventAnswer, NDJSON, STREAM};
use super::keys::Role;
use super::layouts::{LayoutAnswer, LayoutsAnswer, plan_shape};
use super::requests::{
    BlockBody, BookBody, CancelBody, CheckoutBody, DisconnectBody, HoldBody, ReconcileBody, RefundBody, ReleaseBody,
    UnblockBody,
};
use super::settings::{RoomBody, RoomPatchBody};
use crate::limits::acts::{LOG_LIST_MAX, LOG_WAIT_S_MAX};
use crate::limits::api::{API_BODY_BYTES_MAX, API_LAYOUT_BYTES_MAX, API_LIST_MAX};

const HTML: &str = "text/html; charset=utf-8";

/// A call that everybody may do and that sends nothing.
const fn page(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    answers: &'static [Answer],
    act: Act,
) -> Call {
    Call { method: "GET", path, id, role: None, summary, query: &[], sends: None, answers, act }
}

const fn call(role: Role, method: &'static str, path: &'static str, id: &'static str, act: Act) -> Call {
    Call { method, path, id, role: Some(role), summary: "", query: &[], sends: None, answers: &[], act }
}

const fn json(status: u16, what: &'static str, shape: fn() -> Shape) -> Answer {
    Answer { status, what, media_type: JSON, shape: Some(shape) }
}

const fn html(what: &'static str) -> Answer {
    Answer { status: 200, what, media_type: HTML, shape: None }
}

const fn sends(shape: fn() -> Shape) -> Option<Sends> {
    Some(Sends { shape, bytes_max: API_BODY_BYTES_MAX, is_optional: false })
}

const fn may_send(shape: fn() -> Shape) -> Option<Sends> {
    Some(Sends { shape, bytes_max: API_BODY_BYTES_MAX, is_optional: true })
}

const fn param(name: &'static str, what: &'static str, kind: ParamKind) -> Param {
    Param { name, what, kind }
}

const HEALTH: &[Answer] = &[
    json(200, "It does what its mode promises, or sells on without its store (`degraded`)", any_object),
    json(503, "It starts, ends, or must not sell", any_object),
];
const METRICS: &[Answer] =
    &[Answer { status: 200, what: "Prometheus text", media_type: crate::figures::text::CONTENT_TYPE, shape: None }];

const OWNER: &str = "Of this owner: `session_id:…`, `subject:…`, `holder:…`, `client_id:…`, or a bare name of any of the \
    last three";
const AFTER: Param = param("after", "The name behind which the list begins", ParamKind::Id);
const LIMIT: Param = param("limit", "At most so many; 100 by default", ParamKind::Number { min: 1, max: API_LIST_MAX });
const FORCE: Param = param("force", "1: also with orders in checkout", ParamKind::Switch);
const STATES: &[&str] = &["free", "held", "checkout", "booked", "blocked"];
const SEATS: &[Param] = &[
    param("state", "Seats in this state; by default all that are not free", ParamKind::Word(STATES)),
    param("seat", "This seat", ParamKind::Id),
    param("owner", OWNER, ParamKind::Owner),
    param("order", "Of this order", ParamKind::Id),
    AFTER,
    LIMIT,
];

const EVENTS: &[Param] = &[
    param("after", "The cursor behind which reading goes on; without it: from the oldest event", ParamKind::Cursor),
    param("limit", "At most so many; 1000 by default", ParamKind::Number { min: 1, max: LOG_LIST_MAX }),
    param(
        "wait_s",
        "How long to wait for the first event; 0 by default",
        ParamKind::Number { min: 0, max: LOG_WAIT_S_MAX },
    ),
];
const EVENT: &[Answer] = &[
    Answer { status: 200, what: "Events, one a line", media_type: NDJSON, shape: Some(shape::<EventAnswer>) },
    Answer {
        status: 200,
        what: "Events, as they come where the request accepts text/event-stream, else one a line",
        media_type: STREAM,
        shape: None,
    },
];

const ROOM: &[Answer] = &[json(200, "The room", shape::<RoomAnswer>)];
const NEW_ROOM: &[Answer] = &[
    json(201, "It was made", shape::<RoomAnswer>),
    json(200, "It was there, with these settings", shape::<RoomAnswer>),
];
const ORDER: &[Answer] = &[json(200, "The order", shape::<OrderAnswer>)];
const NEW_ORDER: &[Answer] = &[
    json(201, "The seats are in checkout", shape::<OrderAnswer>),
    json(200, "They were already, by the same call", shape::<OrderAnswer>),
];

/// All calls, in the order of the documentation.
pub(super) static CALLS: &[Call] = &[
    page("/", "home", "The rooms, for operators", &[html("A page that asks this API")], Act::Home),
    page("/docs", "docs", "This API for people", &[html("A page that needs nothing else")], Act::Docs),
    page("/openapi.json", "openapi", "This API for programs", &[json(200, "OpenAPI 3.1", any_object)], Act::OpenApi),
    page("/health", "health", "Whether the server does what its mode promises", HEALTH, Act::Health),
    page("/ready", "ready", "The same as /health", HEALTH, Act::Health),
    Call {
        summary: "Figures of all shards",
        answers: &[json(200, "Figures", any_object)],
        ..call(Role::Read, "GET", "/stats", "stats", Act::Stats)
    },
    Call {
        summary: "The same for Prometheus",
        answers: METRICS,
        ..call(Role::Read, "GET", "/metrics", "metrics", Act::Metrics)
    },
    Call {
        summary: "The latest versions of all layouts",
        answers: &[json(200, "Layouts", shape::<LayoutsAnswer>)],
        ..call(Role::Read, "GET", "/v1/layouts", "listLayouts", Act::Layouts)
    },
    Call {
        summary: "Puts the plan of a hall: another content is another version, and the latest",
        query: &[param("format", "`pretix`: a seating plan of pretix", ParamKind::Word(&["butaca", "pretix"]))],
        sends: Some(Sends { shape: plan_shape, bytes_max: API_LAYOUT_BYTES_MAX, is_optional: false }),
        answers: &[
            json(201, "It is a new version", shape::<LayoutAnswer>),
            json(200, "This version was there", shape::<LayoutAnswer>),
        ],
        ..call(Role::Manage, "PUT", "/v1/layouts/{layout}", "putLayout", Act::PutLayout)
    },
    Call {
        summary: "The latest version of a layout, with its plan",
        answers: &[json(200, "The layout", shape::<LayoutAnswer>)],
        ..call(Role::Read, "GET", "/v1/layouts/{layout}", "getLayout", Act::GetLayout)
    },
    Call {
        summary: "Takes a layout away, with all its versions",
        answers: &[json(200, "It is gone", shape::<DeletedAnswer>)],
        ..call(Role::Manage, "DELETE", "/v1/layouts/{layout}", "deleteLayout", Act::DeleteLayout)
    },
    Call {
        summary: "All rooms, in the order of their names",
        query: &[AFTER, LIMIT],
        answers: &[json(200, "Rooms", shape::<RoomsAnswer>)],
        ..call(Role::Read, "GET", "/v1/rooms", "listRooms", Act::Rooms)
    },
    Call {
        summary: "Makes a room; what is absent has its default",
        sends: may_send(shape::<RoomBody>),
        answers: NEW_ROOM,
        ..call(Role::Manage, "PUT", "/v1/rooms/{room}", "putRoom", Act::PutRoom)
    },
    Call {
        summary: "Changes settings of a room; what is absent stays",
        sends: sends(shape::<RoomPatchBody>),
        answers: ROOM,
        ..call(Role::Manage, "PATCH", "/v1/rooms/{room}", "patchRoom", Act::PatchRoom)
    },
    Call { summary: "A room", answers: ROOM, ..call(Role::Read, "GET", "/v1/rooms/{room}", "getRoom", Act::GetRoom) },
    Call {
        summary: "Ends a room, with its bookings",
        query: &[FORCE],
        answers: &[json(200, "It is gone", shape::<DeletedAnswer>)],
        ..call(Role::Manage, "DELETE", "/v1/rooms/{room}", "deleteRoom", Act::DeleteRoom)
    },
    Call {
        summary: "Who has what until when",
        query: SEATS,
        answers: &[json(200, "Seats", shape::<SeatsAnswer>)],
        ..call(Role::Read, "GET", "/v1/rooms/{room}/seats", "listSeats", Act::Seats)
    },
    Call {
        summary: "How many seats are what",
        answers: &[json(200, "Counts", shape::<CountsAnswer>)],
        ..call(Role::Read, "GET", "/v1/rooms/{room}/counts", "counts", Act::Counts)
    },
    Call {
        summary: "Holds seats for a holder, beside those that it has; whatever the state of the sale",
        sends: sends(shape::<HoldBody>),
        answers: &[json(200, "They are held", shape::<HoldAnswer>)],
        ..call(Role::Sell, "POST", "/v1/rooms/{room}/hold", "hold", Act::Hold)
    },
    Call {
        summary: "Frees held seats",
        sends: sends(shape::<ReleaseBody>),
        answers: &[json(200, "What became free", shape::<ReleaseAnswer>)],
        ..call(Role::Sell, "POST", "/v1/rooms/{room}/release", "release", Act::Release)
    },
    Call {
        summary: "Takes a cart, or seats of it, into checkout",
        sends: sends(shape::<CheckoutBody>),
        answers: NEW_ORDER,
        ..call(Role::Sell, "PUT", "/v1/rooms/{room}/orders/{order}", "checkout", Act::Checkout)
    },
    Call {
        summary: "An order, also after it has ended",
        answers: ORDER,
        ..call(Role::Read, "GET", "/v1/rooms/{room}/orders/{order}", "getOrder", Act::GetOrder)
    },
    Call {
        summary: "The order is paid for",
        sends: may_send(shape::<BookBody>),
        answers: ORDER,
        ..call(Role::Sell, "POST", "/v1/rooms/{room}/orders/{order}/book", "book", Act::Book)
    },
    Call {
        summary: "The order is not paid for",
        sends: sends(shape::<CancelBody>),
        answers: ORDER,
        ..call(Role::Sell, "POST", "/v1/rooms/{room}/orders/{order}/cancel", "cancel", Act::Cancel)
    },
    Call {
        summary: "Undoes a booking, wholly or in part",
        sends: may_send(shape::<RefundBody>),
        answers: ORDER,
        ..call(Role::Sell, "POST", "/v1/rooms/{room}/orders/{order}/refund", "refund", Act::Refund)
    },
    Call {
        summary: "Takes free seats off sale",
        sends: sends(shape::<BlockBody>),
        answers: &[json(200, "They are blocked", shape::<BlocksAnswer>)],
        ..call(Role::Manage, "POST", "/v1/rooms/{room}/block", "block", Act::Block)
    },
    Call {
        summary: "Puts blocked seats on sale again",
        sends: sends(shape::<UnblockBody>),
        answers: &[json(200, "They are free", shape::<BlocksAnswer>)],
        ..call(Role::Manage, "POST", "/v1/rooms/{room}/unblock", "unblock", Act::Unblock)
    },
    Call {
        summary: "Makes the room say what the shop's database says",
        sends: sends(shape::<ReconcileBody>),
        answers: &[json(200, "What has changed, or would", shape::<ReconcileAnswer>)],
        ..call(Role::Manage, "POST", "/v1/rooms/{room}/reconcile", "reconcile", Act::Reconcile)
    },
    Call {
        summary: "Closes all connections of a client (4503), and keeps it away for a while",
        sends: sends(shape::<DisconnectBody>),
        answers: &[json(200, "They are closed", shape::<DisconnectAnswer>)],
        ..call(Role::Manage, "POST", "/v1/clients/disconnect", "disconnect", Act::Disconnect)
    },
    Call {
        summary: "What has happened: every act on seats, an order or a room, in the order of each room",
        query: EVENTS,
        answers: EVENT,
        ..call(Role::Read, "GET", "/v1/events", "events", Act::Events)
    },
    Call {
        summary: "The same of one room, also of one that is no more",
        query: EVENTS,
        answers: EVENT,
        ..call(Role::Read, "GET", "/v1/rooms/{room}/events", "roomEvents", Act::Events)
    },
];

#[cfg(test)]
mod tests {
    use super::CALLS;

    #[test]
    fn every_call_has_a_name_and_a_place_of_its_own() {
        for (at, call) in CALLS.iter().enumerate() {
            let others = &CALLS[..at];
            assert!(others.iter().all(|other| (other.method, other.path) != (call.method, call.path)), "{call:?}");
            assert!(others.iter().all(|other| other.id != call.id), "{call:?}");
            assert!(call.path.starts_with("/v1/") || call.method == "GET", "{call:?}");
            assert!(!call.path.starts_with("/v1/") || call.role.is_some(), "{call:?}");
            assert!(call.answers.iter().any(|answer| answer.status < 300) && !call.summary.is_empty(), "{call:?}");
        }
    }
}
