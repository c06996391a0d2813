//! The table of all calls: path, method, role, what may be sent and what comes back.
//!
//! Invariant: routes, checks, `/openapi.json` and `/docs` are all made from these rows, so they cannot disagree.
//! Never here: how a call is done.

use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr};

use super::keys::Role;
use crate::limits::ID_BYTES_MAX;
use crate::limits::api::API_BODY_BYTES_MAX;

/// What a call does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Act {
    /// `GET /`
    Home,
    /// `GET /docs`
    Docs,
    /// `GET /openapi.json`
    OpenApi,
    /// `GET /health`, `GET /ready`
    Health,
    /// `GET /stats`
    Stats,
    /// `GET /metrics`
    Metrics,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// `GET`, `PUT`, `POST`, `PATCH` or `DELETE`.
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// Its name in generated clients.
    pub(super) id: &'static str,
    /// Who may do it; `None`: everybody.
    pub(super) role: Option<Role>,
    pub(super) summary: &'static str,
    pub(super) query: &'static [Param],
    pub(super) sends: Option<Sends>,
    pub(super) answers: &'static [Answer],
    pub(super) act: Act,
}

/// A parameter of the query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Param {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) kind: ParamKind,
}

/// What a parameter may be.
#[allow(dead_code, reason = "lists take parameters; the first calls list nothing")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ParamKind {
    /// A name, as rooms have.
    Id,
    /// A whole number.
    Number { min: u64, max: u64 },
    /// One of these words.
    Word(&'static [&'static str]),
    /// 1 or 0.
    Switch,
    /// A text that the server gave.
    Opaque,
}

/// What a call sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sends {
    pub(super) shape: fn() -> Shape,
    pub(super) bytes_max: usize,
    /// Without a body it is as `{}`.
    pub(super) is_optional: bool,
}

/// An answer that is no refusal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) what: &'static str,
    pub(super) media_type: &'static str,
    /// `None`: it is no JSON.
    pub(super) shape: Option<fn() -> Shape>,
}

/// A type as the documentation describes it: itself, and those it is made of, by name.
pub(super) struct Shape {
    pub(super) schema: RefOr<Schema>,
    pub(super) parts: Vec<(String, RefOr<Schema>)>,
}

/// The shape of a type that is described by its name.
pub(super) fn shape<T: ToSchema>() -> Shape {
    let mut parts = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut parts);
    Shape { schema: Ref::from_schema_name(T::name()).into(), parts }
}

/// Any object: what is told by rows of figures, or as another document says.
fn any_object() -> Shape {
    let object = Object::with_type(SchemaType::Type(Type::Object));
    Shape { schema: Schema::Object(object).into(), parts: Vec::new() }
}

pub(super) const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// A call that everybody may do and that sends nothing.
const fn page(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    answer: &'static [Answer],
    act: Act,
) -> Call {
    Call { method: "GET", path, id, role: None, summary, query: &[], sends: None, answers: answer, act }
}

const fn json(status: u16, what: &'static str, shape: fn() -> Shape) -> Answer {
    Answer { status, what, media_type: JSON, shape: Some(shape) }
}

const fn html(what: &'static str) -> Answer {
    Answer { status: 200, what, media_type: HTML, shape: None }
}

const HEALTH: &[Answer] = &[
    json(200, "It does what its mode promises, or sells on without its store (`degraded`)", any_object),
    json(503, "It starts, ends, or must not sell", any_object),
];
const METRICS: &[Answer] =
    &[Answer { status: 200, what: "Prometheus text", media_type: crate::figures::text::CONTENT_TYPE, shape: None }];

/// All calls, in the order of the documentation.
pub(super) static CALLS: &[Call] = &[
    page("/", "home", "Where to go from here", &[html("A page")], Act::Home),
    page("/docs", "docs", "This API for people", &[html("A page that needs nothing else")], Act::Docs),
    page("/openapi.json", "openapi", "This API for programs", &[json(200, "OpenAPI 3.1", any_object)], Act::OpenApi),
    page("/health", "health", "Whether the server does what its mode promises", HEALTH, Act::Health),
    page("/ready", "ready", "The same as /health", HEALTH, Act::Health),
    Call {
        role: Some(Role::Read),
        ..page("/stats", "stats", "Figures of all shards", &[json(200, "Figures", any_object)], Act::Stats)
    },
    Call { role: Some(Role::Read), ..page("/metrics", "metrics", "The same for Prometheus", METRICS, Act::Metrics) },
];

impl Call {
    /// The names of the parameters in its path, in order.
    pub(super) fn path_params(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// The longest body that it takes. What a call does not ask for is read all the same, to be refused.
    pub(super) fn bytes_max(&self) -> usize {
        self.sends.map_or(API_BODY_BYTES_MAX, |sends| sends.bytes_max)
    }
}

/// What a name looks like.
pub(super) fn id_schema() -> RefOr<Schema> {
    let text = Object::builder().schema_type(SchemaType::Type(Type::String));
    Schema::Object(text.min_length(Some(1)).max_length(Some(ID_BYTES_MAX)).build()).into()
}

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
            assert!(call.answers.iter().any(|answer| answer.status < 300), "{call:?}");
        }
    }
}
