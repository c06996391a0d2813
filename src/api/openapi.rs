//! `/openapi.json`: the table of calls and the types of the code as OpenAPI 3.1.
//!
//! Never here: a call that is not in the table.

use std::collections::BTreeMap;

use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem,
    PathsBuilder, RefOr, Required, ResponseBuilder,
};

use super::calls::{Call, JSON, Param, ParamKind, Shape, id_schema, number_schema, shape};
use super::events::CURSOR_PATTERN;
use super::keys::Role;
use super::problem::{KINDS, Kind, PROBLEM_JSON, ProblemBody};
use super::requests::OWNER_BYTES_MAX;
use super::table::CALLS;

/// The name of the key among the ways to be let in.
const KEY: &str = "key";

type Types = BTreeMap<String, RefOr<Schema>>;

/// The document.
pub(super) fn document() -> OpenApi {
    let mut types = Types::new();
    note(&mut types, shape::<ProblemBody<'_>>());
    let paths = CALLS.iter().fold(PathsBuilder::new(), |paths, call| {
        paths.path(call.path, PathItem::new(method(call), operation(call, &mut types)))
    });
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "A key of API_KEYS_FILE, which `butaca api-key NAME ROLE` makes. A server without keys serves its own machine and needs none.",
    ));
    let components = ComponentsBuilder::new()
        .schemas_from_iter(types)
        .security_scheme(KEY, SecurityScheme::Http(scheme.build()))
        .build();
    let info = InfoBuilder::new()
        .title("Butaca")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The API of the shop's backend: layouts, rooms, orders and the log of a seat-selection server.",
        ))
        .license(Some(LicenseBuilder::new().name("MIT").build()));
    OpenApiBuilder::new().info(info.build()).paths(paths.build()).components(Some(components)).build()
}

fn method(call: &Call) -> HttpMethod {
    match call.method {
        "GET" => HttpMethod::Get,
        "PUT" => HttpMethod::Put,
        "POST" => HttpMethod::Post,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        other => unreachable!("no call has the method {other}"),
    }
}

/// Notes the types of a shape under their names.
fn note(types: &mut Types, shape: Shape) -> RefOr<Schema> {
    types.extend(shape.parts);
    shape.schema
}

fn operation(call: &Call, types: &mut Types) -> Operation {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(call.id))
        .summary(Some(call.summary))
        .parameters(Some(call.path_params().map(path_param).chain(call.query.iter().map(query_param))))
        .request_body(request_body(call, types));
    if let Some(role) = call.role {
        let none: [&str; 0] = [];
        operation = operation
            .description(Some(format!("Needs the role `{}`.", role.word())))
            .security(SecurityRequirement::new(KEY, none))
            .security(SecurityRequirement::default());
    }
    for (status, kinds) in problems(call) {
        let codes: Vec<String> = kinds.iter().map(|kind| format!("`{}`: {}", kind.code, kind.title)).collect();
        let problem = Content::new(Some(shape::<ProblemBody<'_>>().schema));
        let mut response = ResponseBuilder::new().description(codes.join(". ")).content(PROBLEM_JSON, problem);
        // A status may be an answer and a refusal: `/health` says 503, and so does a server that ends.
        for answer in call.answers.iter().filter(|answer| answer.status == status) {
            let schema = answer.shape.map(|shape| note(types, shape()));
            response = response.description(answer.what).content(answer.media_type, Content::new(schema));
        }
        operation = operation.response(status.to_string(), response.build());
    }
    let is_new = |status: u16| !problems(call).contains_key(&status);
    let mut responses = BTreeMap::new();
    for answer in call.answers.iter().filter(|answer| is_new(answer.status)) {
        let schema = answer.shape.map_or_else(text_schema, |shape| note(types, shape()));
        let content = Content::new(Some(schema));
        // An answer may be told in several ways.
        let response: ResponseBuilder = responses.remove(&answer.status).unwrap_or_default();
        let response = response.description(answer.what).content(answer.media_type, content);
        responses.insert(answer.status, response);
    }
    for (status, response) in responses {
        operation = operation.response(status.to_string(), response.build());
    }
    operation.build()
}

fn cursor_schema() -> RefOr<Schema> {
    let text = Object::builder().schema_type(SchemaType::Type(Type::String));
    Schema::Object(text.pattern(Some(CURSOR_PATTERN)).build()).into()
}

fn text_schema() -> RefOr<Schema> {
    Schema::Object(Object::with_type(SchemaType::Type(Type::String))).into()
}

fn request_body(call: &Call, types: &mut Types) -> Option<RequestBody> {
    let sends = call.sends?;
    let required = if sends.is_optional { Required::False } else { Required::True };
    let content = Content::new(Some(note(types, (sends.shape)())));
    Some(RequestBodyBuilder::new().content(JSON, content).required(Some(required)).build())
}

fn path_param(name: &'static str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .description(Some(format!("Name of the {name}: 1 to 128 bytes, percent-encoded")))
        .required(Required::True)
        .schema(Some(id_schema()))
        .build()
}

fn query_param(param: &Param) -> Parameter {
    let schema = match param.kind {
        ParamKind::Id => id_schema(),
        ParamKind::Owner => {
            let text = Object::builder().schema_type(SchemaType::Type(Type::String));
            Schema::Object(text.min_length(Some(1)).max_length(Some(OWNER_BYTES_MAX)).build()).into()
        }
        ParamKind::Cursor => cursor_schema(),
        ParamKind::Number { min, max } => number_schema(min, max),
        ParamKind::Switch => number_schema(0, 1),
        ParamKind::Word(words) => {
            let text = Object::builder().schema_type(SchemaType::Type(Type::String));
            Schema::Object(text.enum_values(Some(words.iter().copied())).build()).into()
        }
    };
    ParameterBuilder::new()
        .name(param.name)
        .parameter_in(ParameterIn::Query)
        .description(Some(param.what))
        .required(Required::False)
        .schema(Some(schema))
        .build()
}

/// The refusals that a call knows, by status.
pub(super) fn problems(call: &Call) -> BTreeMap<u16, Vec<&'static Kind>> {
    let mut problems: BTreeMap<u16, Vec<&'static Kind>> = BTreeMap::new();
    for kind in KINDS {
        if call.may_be_refused_as(kind) {
            problems.entry(kind.status).or_default().push(kind);
        }
    }
    problems
}

impl Call {
    /// Whether this refusal may be the answer.
    fn may_be_refused_as(&self, kind: &Kind) -> bool {
        match kind.code {
            "bad_request" | "host_not_allowed" => true,
            "request_timeout" | "too_large" | "unsupported_media_type" | "invalid" => true,
            "unauthorized" => self.role.is_some(),
            "forbidden" => self.role.is_some_and(|role| role > Role::Read),
            "not_json" => self.sends.is_some(),
            "draining" | "starting" | "persistence_unavailable" | "overloaded" => self.is_about_rooms(),
            "not_found" | "method_not_allowed" => false,
            "unknown_layout" => self.path.contains("{layout}") && self.method != "PUT",
            "layout_in_use" => self.path.contains("{layout}") && self.method == "DELETE",
            "layouts_full" => self.path.contains("{layout}") && self.method == "PUT",
            "cursor_too_old" => self.path.ends_with("/events"),
            "unknown_room" if self.path.ends_with("/events") => false,
            "unknown_order" => self.path.contains("{order}"),
            "no_layout" if self.path.ends_with("/seats") => true,
            "unknown_room" => self.path.contains("{room}"),
            // What only a room can say against a request that is about it.
            _ => self.path.contains("{room}") && (self.sends.is_some() || self.method == "DELETE"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::document;
    use crate::api::table::CALLS;

    #[test]
    fn the_document_has_every_call_and_every_type_that_it_names() {
        let document = serde_json::to_value(document()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        for call in CALLS {
            let operation = &document["paths"][call.path][call.method.to_ascii_lowercase()];
            assert_eq!(operation["operationId"], call.id, "{call:?}");
            let answers = call.answers.iter().map(|answer| answer.status.to_string());
            answers.for_each(|status| assert!(operation["responses"].get(&status).is_some(), "{status} of {call:?}"));
        }
        let text = document.to_string();
        for name in text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().expect("the end")) {
            assert!(document["components"]["schemas"].get(name).is_some(), "{name} is described");
        }
    }
}
