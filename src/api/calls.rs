//! What a call is: a row of the table of all calls.
//!
//! Invariant: routes, checks, `/openapi.json` and `/docs` are all made from the rows, so they cannot disagree.
//! Never here: the rows; how a call is done.

use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr};

use super::keys::Role;
use crate::limits::ID_BYTES_MAX;
use crate::limits::api::API_BODY_BYTES_MAX;

/// What a call does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Act {
    Home,
    Docs,
    OpenApi,
    Health,
    Stats,
    Metrics,
    Layouts,
    PutLayout,
    GetLayout,
    DeleteLayout,
    Rooms,
    PutRoom,
    PatchRoom,
    GetRoom,
    DeleteRoom,
    Seats,
    Counts,
    Hold,
    Release,
    Checkout,
    GetOrder,
    Book,
    Cancel,
    Refund,
    Block,
    Unblock,
    Reconcile,
    Disconnect,
    Events,
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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ParamKind {
    /// A name, as rooms have.
    Id,
    /// An owner, as [`owner_of_query`](super::requests::owner_of_query) reads it.
    Owner,
    /// A cursor of the log.
    Cursor,
    /// A whole number.
    Number { min: u64, max: u64 },
    /// One of these words.
    Word(&'static [&'static str]),
    /// 1 or 0.
    Switch,
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
pub(super) fn any_object() -> Shape {
    let object = Object::with_type(SchemaType::Type(Type::Object));
    Shape { schema: Schema::Object(object).into(), parts: Vec::new() }
}

pub(super) const JSON: &str = "application/json";

impl Call {
    /// The names of the parameters in its path, in order.
    pub(super) fn path_params(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// The longest body that it takes. What a call does not ask for is read all the same, to be refused.
    pub(super) fn bytes_max(&self) -> usize {
        self.sends.map_or(API_BODY_BYTES_MAX, |sends| sends.bytes_max)
    }

    /// Whether it is about what shards own.
    pub(super) fn is_about_rooms(&self) -> bool {
        self.path.starts_with("/v1/")
    }
}

/// What a name looks like.
pub(super) fn id_schema() -> RefOr<Schema> {
    let text = Object::builder().schema_type(SchemaType::Type(Type::String));
    // Also not what changes the order of what is seen, and no more bytes than letters are allowed here.
    let seen = text.pattern(Some(r"^[^\u0000-\u001f\u007f-\u009f]+$"));
    Schema::Object(seen.min_length(Some(1)).max_length(Some(ID_BYTES_MAX)).build()).into()
}

/// What a whole number looks like.
#[allow(clippy::cast_precision_loss, reason = "bounds that are described are exact in it")]
pub(super) fn number_schema(min: u64, max: u64) -> RefOr<Schema> {
    let number = Object::builder().schema_type(SchemaType::Type(Type::Integer));
    Schema::Object(number.minimum(Some(min as f64)).maximum(Some(max as f64)).build()).into()
}
