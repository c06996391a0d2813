//! The list of all rooms: the names from all shards, and what each room is from its owner.
//!
//! Never here: a room.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::Server;
use super::answers::{RoomAnswer, RoomsAnswer, refused};
use super::perform::limit;
use super::problem::{OVERLOADED, PERSISTENCE_UNAVAILABLE, Problem};
use super::query::Query;
use super::shards::{self, Busy};
use crate::engine::command::{Reject, SaleAnswer, SaleRequest};
use crate::engine::ids::{RoomId, ShardId};
use crate::limits::api::API_OWNERS_AGAIN_MS;
use crate::node::errand::{Asked, Names};
use crate::runtime::desk::{DeskQuestion, DeskTold};

/// Why a call waits in vain while a part of the rooms has no owner.
pub(super) const NOBODY: &str = "nobody decides about the room at this moment";

/// Rooms in the order of their names. One that goes meanwhile is left out.
pub(super) async fn list(server: &Server, query: &Query) -> Result<RoomsAnswer, Problem> {
    let (after, limit) = (query.name("after").map(|name| name.id()), limit(query));
    let mut names = names(server, after.as_ref(), limit).await?;
    let more = names.len() > limit;
    names.truncate(limit);
    let next = names.last().filter(|_| more).map(|last| last.as_str().to_owned());
    let rooms = names.into_iter().map(|room| {
        let owner = server.shards.home(&room);
        server.shards.ask(owner, DeskQuestion::Sale { room, request: Box::new(SaleRequest::GetRoom) })
    });
    let durable = server.is_durable();
    let told = answers(server, rooms.collect()).await?;
    let rooms: Result<Vec<Option<RoomAnswer>>, Problem> = told.into_iter().map(|told| listed(told, durable)).collect();
    Ok(RoomsAnswer { rooms: rooms?.into_iter().flatten().collect(), next })
}

/// A room of the list; `None`: it has gone since its name was told.
///
/// # Errors
/// Nobody knows at this moment what it is: a list without it would say that there is none.
fn listed(told: DeskTold, durable: bool) -> Result<Option<RoomAnswer>, Problem> {
    let DeskTold::Sale(answer) = told else { return Ok(None) };
    if let SaleAnswer::Refused { reject, details } = &*answer
        && *reject != Reject::UnknownRoom
    {
        return Err(refused(*reject, details));
    }
    let SaleAnswer::Room { room, .. } = *answer else { return Ok(None) };
    Ok(Some(RoomAnswer::new(&room, durable)))
}

/// The first names behind `after`, in order: one more than `limit`, which says whether there are others. With several
/// nodes they are looked for anew while parts of the rooms change hands, so that none is left out.
async fn names(server: &Server, after: Option<&RoomId>, limit: usize) -> Result<Vec<RoomId>, Problem> {
    let found = async {
        loop {
            if let Some(names) = names_now(server, after, limit + 1).await? {
                return Ok(names);
            }
            sleep(Duration::from_millis(API_OWNERS_AGAIN_MS)).await;
        }
    };
    let none = |_| Err(Problem::new(&PERSISTENCE_UNAVAILABLE, NOBODY));
    timeout(server.shards.patience(), found).await.unwrap_or_else(none)
}

/// The same, unless the shards that were asked have not told of every part. They look through a part of their rooms at
/// a time, so that who holds seats never waits for who lists rooms.
async fn names_now(server: &Server, after: Option<&RoomId>, limit: usize) -> Result<Option<Vec<RoomId>>, Problem> {
    let own = (0..server.shards.count()).map(ShardId::new);
    let mut open: Vec<(ShardId, usize)> = own.chain(owners_abroad(server).await?).map(|shard| (shard, 0)).collect();
    let mut names: Vec<RoomId> = Vec::new();
    let (mut parts, mut is_first) = (vec![0; open.iter().map(|(shard, _)| shard.index() + 1).max().unwrap_or(0)], true);
    while !open.is_empty() {
        let own = |from| DeskQuestion::Rooms { after: after.cloned(), limit, from };
        let abroad = |from| Asked::Rooms { after: after.cloned(), limit, from };
        let asked = open.iter().map(|&(shard, from)| ask_at(server, shard, || own(from), || abroad(from))).collect();
        let told = answers(server, asked).await?;
        let mut further = Vec::new();
        for ((shard, _), told) in open.into_iter().zip(told) {
            let DeskTold::Rooms(Names { found, next, parts: told }) = told else { continue };
            if !is_first && parts[shard.index()] != told {
                return Ok(None);
            }
            parts[shard.index()] = told;
            names.extend(found);
            further.extend(next.map(|from| (shard, from)));
        }
        names.sort_unstable();
        // A room that took another place meanwhile is found twice.
        names.dedup();
        names.truncate(limit);
        (open, is_first) = (further, false);
    }
    let all: usize = parts.iter().sum();
    Ok((all == server.shards.parts()).then_some(names))
}

/// All answers, in the order of the questions.
pub(super) async fn answers(
    server: &Server,
    asked: Vec<Result<shards::Asked<'_>, Busy>>,
) -> Result<Vec<DeskTold>, Problem> {
    let asked: Result<Vec<shards::Asked<'_>>, Busy> = asked.into_iter().collect();
    let mut asked = asked.map_err(|_| Problem::new(&OVERLOADED, "too many calls wait for shards"))?;
    let all = async {
        let mut told = Vec::new();
        for asked in &mut asked {
            told.push(asked.told().await?);
        }
        Some(told)
    };
    let all = timeout(server.shards.patience(), all).await.ok().flatten();
    let all = all.ok_or_else(|| Problem::new(&PERSISTENCE_UNAVAILABLE, "a shard has not answered in time"))?;
    if all.iter().any(|told| matches!(told, DeskTold::Nobody)) {
        return Err(Problem::new(&PERSISTENCE_UNAVAILABLE, NOBODY));
    }
    Ok(all)
}

/// Asks all shards that own rooms, also those of other nodes. The answers are in any order.
pub(super) async fn ask_all(
    server: &Server,
    of_own: impl Fn() -> DeskQuestion,
    of_others: impl Fn() -> Asked,
) -> Result<Vec<DeskTold>, Problem> {
    let own = (0..server.shards.count()).map(ShardId::new);
    let all = own.chain(owners_abroad(server).await?);
    answers(server, all.map(|shard| ask_at(server, shard, &of_own, &of_others)).collect()).await
}

/// Asks a shard of this node, or of another one.
fn ask_at(
    server: &Server,
    shard: ShardId,
    of_own: impl Fn() -> DeskQuestion,
    of_others: impl Fn() -> Asked,
) -> Result<shards::Asked<'_>, Busy> {
    let count = server.shards.count();
    if shard.index() < count {
        return server.shards.ask(shard, of_own());
    }
    let by = ShardId::new(shard.index() % count);
    server.shards.ask(by, DeskQuestion::Abroad { to: shard, asked: Box::new(of_others()) })
}

/// The shards of other nodes that own rooms, once every part has an owner.
async fn owners_abroad(server: &Server) -> Result<Vec<ShardId>, Problem> {
    if !server.shards.has_others() {
        return Ok(Vec::new());
    }
    let owners = async {
        loop {
            let told = answers(server, vec![server.shards.ask(ShardId::new(0), DeskQuestion::Owners)]).await?;
            if let Some(DeskTold::Owners { shards, ownerless: 0 }) = told.into_iter().next() {
                return Ok(shards);
            }
            sleep(Duration::from_millis(API_OWNERS_AGAIN_MS)).await;
        }
    };
    let none = |_| Err(Problem::new(&PERSISTENCE_UNAVAILABLE, NOBODY));
    timeout(server.shards.patience(), owners).await.unwrap_or_else(none)
}
