//! Plans of halls: what the backend puts, reads and takes away.
//!
//! Invariants: a version never changes; putting the same plan again is answered again and changes nothing; while
//! layouts change no room is given one ([`Server::halls`]), so that none has a layout that has gone; a plan is read
//! beside the API's thread, since a big one takes a tenth of a second. Never here: what a plan means.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use futures_lite::stream::iter;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};

use super::Server;
use super::answers::DeletedAnswer;
use super::calls::{JSON, Shape};
use super::perform::{Asking, is_json, json, of};
use super::problem::{
    INVALID, LAYOUT_IN_USE, LAYOUTS_FULL, NOT_JSON, PERSISTENCE_UNAVAILABLE, Problem, UNKNOWN_LAYOUT,
};
use super::rooms::ask_all;
use crate::layout::Layout;
use crate::layout::catalog::Put;
use crate::limits::layout::{LAYOUTS_BUDGET_PARTS, LAYOUTS_BYTES_MAX};
use crate::node::errand::Asked;
use crate::persist::stores::shelf::Keeper;
use crate::runtime::desk::{DeskQuestion, DeskTold};
use crate::runtime::memory;

/// A plan: seats, and what is drawn around them.
pub(super) fn plan_shape() -> Shape {
    let plan = Object::builder().schema_type(SchemaType::Type(Type::Object)).description(Some(
        "A plan: `seats` (id, section, row, number, category, x, y, accessible?, companion_of?, gap_after?) in the \
        order of \
         their numbers; name?, size?, focal?, shapes?, rows? (the best first), categories?. With `?format=pretix`: a \
         seating \
         plan of pretix.",
    ));
    Shape { schema: Schema::Object(plan.build()).into(), parts: Vec::new() }
}

/// The latest version of a layout.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct LayoutAnswer {
    id: String,
    /// The hash of its content.
    version: String,
    /// How many there are.
    seats: usize,
    /// All versions that are kept, the latest last.
    versions: Vec<String>,
    /// The plan, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    plan: Option<Box<RawValue>>,
    durable: bool,
}

/// The latest versions of all layouts, in the order of their names.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct LayoutsAnswer {
    layouts: Vec<LayoutAnswer>,
}

fn answer(server: &Server, layout: &Layout, plan: Option<Box<RawValue>>) -> LayoutAnswer {
    let versions = server.board.layouts.versions(layout.id());
    LayoutAnswer {
        id: layout.id().to_string(),
        version: layout.version().to_string(),
        seats: layout.len(),
        versions: versions.iter().map(|layout| layout.version().to_string()).collect(),
        plan,
        durable: server.is_durable(),
    }
}

/// `PUT`
pub(super) async fn put(server: &Server, asking: &Asking) -> Result<Response, Problem> {
    let (id, body) = (asking.first().as_str().to_owned(), asking.body.clone());
    let is_pretix = asking.query.text("format") == Some("pretix");
    let turn = server.bodies.plan(body.len()).await;
    let read = tokio::task::spawn_blocking(move || {
        let layout = read(&id, &body, is_pretix);
        // What reading took stays with this thread otherwise, which may not allocate again for long; there may be
        // hundreds of such threads, so a little from each is much.
        drop(body);
        memory::give_back();
        drop(turn);
        layout
    });
    let layout = read.await.expect("a panic ends the process")?;
    refresh(server).await?;
    let alone = Arc::clone(&server.halls).write_owned().await;
    let bytes_max = (server.board.budget.all() / LAYOUTS_BUDGET_PARTS).min(LAYOUTS_BYTES_MAX);
    let status = match server.board.layouts.look(&layout, bytes_max) {
        Put::New | Put::NewVersion => StatusCode::CREATED,
        Put::Known => StatusCode::OK,
        Put::Full => return Err(Problem::new(&LAYOUTS_FULL, LAYOUTS_FULL.title)),
        Put::TooLarge => {
            let (takes, bytes) = (layout.bytes(), server.board.layouts.bytes());
            let why = format!("it takes {takes} bytes, all others {bytes}, and all together may take {bytes_max}");
            return Err(Problem::new(&LAYOUTS_FULL, format!("{why}: delete some that no room uses")));
        }
    };
    // First it is kept: no room may have what the next life has not.
    let (kept, catalog) = (Arc::clone(&layout), server.board.layouts.clone());
    let put = move |shelf: Option<&dyn Keeper>| {
        let _alone = alone;
        shelf.map_or(Ok(()), |shelf| shelf.put(kept.id(), kept.version(), kept.document().json()))?;
        catalog.put(kept);
        Ok(())
    };
    keep(server, put).await?;
    Ok(json(status, &answer(server, &layout, None)))
}

/// Does this with the store of layouts, if there is one, to its end: also when the one who asked has hung up.
async fn keep<F>(server: &Server, what: F) -> Result<(), Problem>
where
    F: FnOnce(Option<&dyn Keeper>) -> Result<(), String> + Send + 'static,
{
    let shelf = server.board.shelf.clone();
    let done = tokio::task::spawn_blocking(move || what(shelf.as_deref())).await.expect("a panic ends the process");
    done.map_err(|error| {
        tracing::error!(error, "the store of layouts does not answer");
        Problem::new(&PERSISTENCE_UNAVAILABLE, "the store of layouts does not answer: ask again")
    })
}

/// Takes in what was put on other nodes, before this one answers for layouts.
pub(super) async fn refresh(server: &Server) -> Result<(), Problem> {
    if !server.shards.has_others() {
        return Ok(());
    }
    keep(server, |shelf| shelf.map_or(Ok(()), Keeper::refresh)).await
}

fn read(id: &str, body: &[u8], is_pretix: bool) -> Result<Arc<Layout>, Problem> {
    let layout = if is_pretix { Layout::parse_pretix(id, body) } else { Layout::parse(id, body) };
    layout
        .map(Arc::new)
        .map_err(|wrong| Problem::new(if is_json(body) { &INVALID } else { &NOT_JSON }, wrong.to_string()))
}

/// `GET` of one, with its plan. The plan is not copied: it may be long, and many may ask and not read.
pub(super) async fn get(server: &Server, asking: &Asking) -> Result<Response, Problem> {
    refresh(server).await?;
    let layout = server.board.layouts.latest(asking.first().as_str());
    let layout = layout.ok_or_else(|| Problem::new(&UNKNOWN_LAYOUT, UNKNOWN_LAYOUT.title))?;
    let around = serde_json::to_string(&answer(server, &layout, Some(RawValue::NULL.to_owned())));
    let around = around.expect("answers are plain data");
    let (before, after) = around.split_once(NO_PLAN).expect("it has one field of this name, and texts are escaped");
    let parts = [
        Bytes::from(format!("{before}{PLAN}")),
        Bytes::from_owner(Arc::clone(layout.document().json())),
        Bytes::from(after.to_owned()),
    ];
    let length = parts.iter().map(Bytes::len).sum::<usize>();
    let mut response = of(StatusCode::OK, JSON, Body::from_stream(iter(parts.map(Ok::<_, Infallible>))));
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    Ok(response)
}

/// The plan's field, and the same without a plan.
const PLAN: &str = "\"plan\":";
const NO_PLAN: &str = "\"plan\":null";

/// `GET` of all.
pub(super) async fn list(server: &Server) -> Result<Response, Problem> {
    refresh(server).await?;
    let layouts = server.board.layouts.list();
    let layouts = layouts.iter().map(|layout| answer(server, layout, None)).collect();
    Ok(json(StatusCode::OK, &LayoutsAnswer { layouts }))
}

/// `DELETE`
pub(super) async fn delete(server: &Server, asking: &Asking) -> Result<Response, Problem> {
    let id = asking.first().as_str();
    refresh(server).await?;
    let alone = Arc::clone(&server.halls).write_owned().await;
    if server.board.layouts.latest(id).is_some() {
        let of_own = || DeskQuestion::UsesLayout(id.into());
        let told = ask_all(server, of_own, || Asked::UsesLayout { layout: id.into() }).await?;
        if told.iter().any(|told| matches!(told, DeskTold::UsesLayout(true))) {
            return Err(Problem::new(&LAYOUT_IN_USE, LAYOUT_IN_USE.title));
        }
    }
    if server.board.layouts.latest(id).is_none() {
        return Err(Problem::new(&UNKNOWN_LAYOUT, UNKNOWN_LAYOUT.title));
    }
    let (gone, catalog) = (id.to_owned(), server.board.layouts.clone());
    let delete = move |shelf: Option<&dyn Keeper>| {
        let _alone = alone;
        shelf.map_or(Ok(()), |shelf| shelf.delete(&gone))?;
        catalog.delete(&gone);
        Ok(())
    };
    keep(server, delete).await?;
    Ok(json(StatusCode::OK, &DeletedAnswer { deleted: true, durable: server.is_durable() }))
}
