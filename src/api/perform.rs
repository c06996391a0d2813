//! A call is done: pages and figures here, what is asked of rooms by their owners.
//!
//! Never here: who may ask.

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::time::timeout;

use super::Server;
use super::answers::{
    BlocksAnswer, CountsAnswer, DeletedAnswer, DisconnectAnswer, HoldAnswer, OrderAnswer, ReconcileAnswer,
    ReleaseAnswer, RoomAnswer, SeatsAnswer, refused,
};
use super::calls::{Act, Call, JSON};
use super::events;
use super::layouts;
use super::problem::{INVALID, NOT_JSON, OVERLOADED, PERSISTENCE_UNAVAILABLE, Problem};
use super::query::Query;
use super::requests::{
    BlockBody, BookBody, CancelBody, CheckoutBody, DisconnectBody, HoldBody, ReconcileBody, RefundBody, ReleaseBody,
    UnblockBody, owner_of_query,
};
use super::rooms;
use super::settings::{RoomBody, RoomPatchBody};
use super::words::Name;
use crate::engine::command::{OwnerName, SaleAnswer, SaleRequest, SeatStatus, SeatsQuery};
use crate::engine::ids::RoomId;
use crate::figures::text::CONTENT_TYPE as METRICS_TYPE;
use crate::limits::api::API_LIST;
use crate::node::errand::Asked;
use crate::runtime::desk::{DeskQuestion, DeskTold};

const HTML: &str = "text/html; charset=utf-8";

/// What a call is asked with.
#[derive(Debug)]
pub(super) struct Asking {
    /// What stands in the path, in order.
    pub(super) names: Vec<Name>,
    pub(super) query: Query,
    pub(super) body: Bytes,
    /// The log is to be told as it goes.
    pub(super) wants_stream: bool,
    /// The last event of a stream that goes on.
    pub(super) last_event: Option<String>,
}

impl Asking {
    /// What the path names first: the layout, or the room.
    pub(super) fn first(&self) -> &Name {
        self.names.first().expect("the path has a name")
    }

    fn room(&self) -> &Name {
        self.first()
    }

    fn order(&self) -> &Name {
        self.names.get(1).expect("the path names an order")
    }

    /// What the body says. None is as an empty object, where the call allows none.
    fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        serde_json::from_slice(body).map_err(|error| {
            // A field that is not known is met before what is broken behind it; and where a word should stand, serde
            // calls a number broken.
            Problem::new(if is_json(body) { &INVALID } else { &NOT_JSON }, error.to_string())
        })
    }
}

/// Whether this is JSON at all, whatever it means.
pub(super) fn is_json(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// Does a call.
pub(super) async fn perform(server: &Server, call: &Call, asking: &Asking) -> Result<Response, Problem> {
    let needs_body = call.sends.is_some_and(|sends| !sends.is_optional);
    if needs_body && asking.body.is_empty() {
        return Err(Problem::new(&NOT_JSON, "this call needs a body"));
    }
    match call.act {
        Act::Home => Ok(of(StatusCode::OK, HTML, server.home.clone())),
        Act::Docs => Ok(of(StatusCode::OK, HTML, server.docs.clone())),
        Act::OpenApi => Ok(of(StatusCode::OK, JSON, server.openapi.clone())),
        Act::Health => {
            let facts = server.sight().facts();
            let status = StatusCode::from_u16(facts.verdict().0).expect("a verdict is a status");
            Ok(of(status, JSON, facts.body()))
        }
        Act::Stats => {
            let mut gathered = server.gathering.gather(&server.shards, server.clock).await;
            let body = server.sight().stats(&mut gathered.shards, gathered.missing);
            Ok(of(StatusCode::OK, JSON, body))
        }
        Act::Metrics => {
            let gathered = server.gathering.gather(&server.shards, server.clock).await;
            Ok(of(StatusCode::OK, METRICS_TYPE, server.sight().metrics(gathered.shards)))
        }
        Act::Layouts => layouts::list(server).await,
        Act::PutLayout => layouts::put(server, asking).await,
        Act::GetLayout => layouts::get(server, asking).await,
        Act::DeleteLayout => layouts::delete(server, asking).await,
        Act::Rooms => rooms::list(server, &asking.query).await.map(|rooms| json(StatusCode::OK, &rooms)),
        Act::Disconnect => disconnect(server, asking).await,
        Act::Events => events::read(server, asking).await,
        Act::PutRoom
        | Act::PatchRoom
        | Act::GetRoom
        | Act::DeleteRoom
        | Act::Seats
        | Act::Counts
        | Act::Hold
        | Act::Release
        | Act::Checkout
        | Act::GetOrder
        | Act::Book
        | Act::Cancel
        | Act::Refund
        | Act::Block
        | Act::Unblock
        | Act::Reconcile => {
            let gives_layout = matches!(call.act, Act::PutRoom | Act::PatchRoom);
            let _halls = if gives_layout { Some(server.halls.read().await) } else { None };
            let mut wanted = request(server, call.act, asking);
            if gives_layout && wanted.as_ref().map_or(true, names_layout) {
                // Another node may know it, or a later version.
                layouts::refresh(server).await?;
                wanted = request(server, call.act, asking);
            }
            let request = wanted?;
            let answer = ask(server, &asking.room().id(), request).await?;
            told(asking.room().as_str(), answer, server.is_durable())
        }
    }
}

fn names_layout(request: &SaleRequest) -> bool {
    matches!(request, SaleRequest::PutRoom { plan: Some(_), .. } | SaleRequest::PatchRoom { plan: Some(_), .. })
}

/// What a call asks of its room.
fn request(server: &Server, act: Act, asking: &Asking) -> Result<SaleRequest, Problem> {
    let wrong = |wrong| Problem::new(&INVALID, wrong);
    let order = || asking.order();
    match act {
        Act::PutRoom => asking.read::<RoomBody>()?.request(&server.board.layouts).map_err(wrong),
        Act::PatchRoom => asking.read::<RoomPatchBody>()?.request(&server.board.layouts).map_err(wrong),
        Act::GetRoom => Ok(SaleRequest::GetRoom),
        Act::DeleteRoom => Ok(SaleRequest::DeleteRoom { force: asking.query.is_on("force") }),
        Act::Seats => Ok(SaleRequest::Seats { query: seats_query(&asking.query)? }),
        Act::Counts => Ok(SaleRequest::Counts),
        Act::Hold => asking.read::<HoldBody>()?.request().map_err(wrong),
        Act::Release => asking.read::<ReleaseBody>()?.request().map_err(wrong),
        Act::Checkout => asking.read::<CheckoutBody>()?.request(order()).map_err(wrong),
        Act::GetOrder => Ok(SaleRequest::GetOrder { order: order().id() }),
        Act::Book => Ok(asking.read::<BookBody>()?.request(order())),
        Act::Cancel => Ok(asking.read::<CancelBody>()?.request(order())),
        Act::Refund => asking.read::<RefundBody>()?.request(order()).map_err(wrong),
        Act::Block => asking.read::<BlockBody>()?.request().map_err(wrong),
        Act::Unblock => asking.read::<UnblockBody>()?.request().map_err(wrong),
        Act::Reconcile => asking.read::<ReconcileBody>()?.request().map_err(wrong),
        Act::Home
        | Act::Docs
        | Act::OpenApi
        | Act::Health
        | Act::Stats
        | Act::Metrics
        | Act::Layouts
        | Act::PutLayout
        | Act::GetLayout
        | Act::DeleteLayout
        | Act::Rooms
        | Act::Disconnect
        | Act::Events => {
            unreachable!("it asks nothing of one room")
        }
    }
}

fn seats_query(query: &Query) -> Result<SeatsQuery, Problem> {
    let owner = query.text("owner").map(owner_of_query).transpose();
    let state = |word: &str| SeatStatus::ALL.into_iter().find(|state| state.word() == word);
    Ok(SeatsQuery {
        state: query.text("state").map(|word| state(word).expect("the table has these words")),
        seat: query.name("seat").map(|name| name.id()),
        owner: owner.map_err(|wrong| Problem::new(&INVALID, format!("?owner: {wrong}")))?,
        order: query.name("order").map(|name| name.id()),
        after: query.name("after").map(|name| name.id()),
        limit: limit(query),
    })
}

/// How many a list has at most.
pub(super) fn limit(query: &Query) -> usize {
    usize::try_from(query.number("limit").unwrap_or(API_LIST)).expect("the table bounds it")
}

/// Asks the owner of a room, and waits for as long as that may take.
pub(super) async fn ask(server: &Server, room: &RoomId, request: SaleRequest) -> Result<SaleAnswer, Problem> {
    let owner = server.shards.home(room);
    let question = DeskQuestion::Sale { room: room.clone(), request: Box::new(request) };
    let busy = |_| Problem::new(&OVERLOADED, "too many calls wait for shards");
    let mut asked = server.shards.ask(owner, question).map_err(busy)?;
    match timeout(server.shards.patience(), asked.told()).await {
        Ok(Some(DeskTold::Sale(answer))) => Ok(*answer),
        Ok(Some(DeskTold::Nobody)) => Err(Problem::new(&PERSISTENCE_UNAVAILABLE, rooms::NOBODY)),
        Ok(_) | Err(_) => Err(Problem::new(&PERSISTENCE_UNAVAILABLE, "the room's owner has not answered in time")),
    }
}

/// Removes a client: first it may not come back, then its connections end.
async fn disconnect(server: &Server, asking: &Asking) -> Result<Response, Problem> {
    let (whom, ban_s) = asking.read::<DisconnectBody>()?.read().map_err(|wrong| Problem::new(&INVALID, wrong))?;
    let now_ms = server.clock.now().mono.0;
    server.board.bans.put(&whom, now_ms + ban_s * 1_000, now_ms);
    let ban_ms = ban_s * 1_000;
    let ask_of = |whom: OwnerName| move || Asked::Disconnect { whom: whom.clone(), ban_ms };
    let told = rooms::ask_all(server, || DeskQuestion::Disconnect(whom.clone()), ask_of(whom.clone())).await?;
    let closed = told.iter().map(|told| if let DeskTold::Disconnected(closed) = told { *closed } else { 0 }).sum();
    Ok(json(StatusCode::OK, &DisconnectAnswer { closed }))
}

/// The answer of a room as it is told.
fn told(room: &str, answer: SaleAnswer, durable: bool) -> Result<Response, Problem> {
    let ok = StatusCode::OK;
    let made = |is_new| if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(match answer {
        SaleAnswer::Held { seats, cart } => json(ok, &HoldAnswer::new(room, &seats, &cart, durable)),
        SaleAnswer::Released { seats } => json(ok, &ReleaseAnswer::new(room, &seats)),
        SaleAnswer::Order { order, is_new } => json(made(is_new), &OrderAnswer::new(room, &order, durable)),
        SaleAnswer::Blocks { changed, released } => json(ok, &BlocksAnswer::new(room, &changed, &released, durable)),
        SaleAnswer::Reconciled { booked, blocked, freed } => {
            json(ok, &ReconcileAnswer::new(room, [&booked, &blocked, &freed], durable))
        }
        SaleAnswer::Room { room, is_new } => json(made(is_new), &RoomAnswer::new(&room, durable)),
        SaleAnswer::Deleted => json(ok, &DeletedAnswer { deleted: true, durable }),
        SaleAnswer::Counts { total, sections, categories } => {
            json(ok, &CountsAnswer::new(room, &total, [&sections, &categories]))
        }
        SaleAnswer::Seats { seats, more } => json(ok, &SeatsAnswer::new(room, &seats, more)),
        SaleAnswer::Refused { reject, details } => return Err(refused(reject, &details)),
    })
}

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    of(status, JSON, serde_json::to_vec(body).expect("answers are plain data"))
}

pub(super) fn of(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    (status, [(CONTENT_TYPE, HeaderValue::from_static(content_type))], body.into()).into_response()
}
