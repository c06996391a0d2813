//! The list of all rooms: the names from all shards, and what each room is from its owner.
//!
//! Never here: a room.

use std::time::Duration;

use tokio::time::timeout;

use super::Server;
use super::answers::{RoomAnswer, RoomsAnswer};
use super::perform::limit;
use super::problem::{OVERLOADED, PERSISTENCE_UNAVAILABLE, Problem};
use super::query::Query;
use super::shards::{Asked, Busy};
use crate::engine::command::{SaleAnswer, SaleRequest};
use crate::engine::ids::{RoomId, ShardId};
use crate::limits::api::API_ANSWER_MS;
use crate::runtime::desk::{DeskQuestion, DeskTold};

/// Rooms in the order of their names. One that goes meanwhile is left out.
pub(super) async fn list(server: &Server, query: &Query) -> Result<RoomsAnswer, Problem> {
    let (after, limit) = (query.name("after").map(|name| name.id()), limit(query));
    let mut names = names(server, after.as_ref(), limit).await?;
    let more = names.len() > limit;
    names.truncate(limit);
    let next = names.last().filter(|_| more).map(|last| last.as_str().to_owned());
    let rooms = names.into_iter().map(|room| {
        let owner = server.board.spread.shard_of(room.as_str());
        server.shards.ask(owner, DeskQuestion::Sale { room, request: Box::new(SaleRequest::GetRoom) })
    });
    let durable = server.is_durable();
    let told = answers(rooms.collect()).await?;
    let rooms = told.into_iter().filter_map(|told| match told {
        DeskTold::Sale(answer) => {
            // It has gone since its name was told.
            let SaleAnswer::Room { room, .. } = *answer else { return None };
            Some(RoomAnswer::new(&room, durable))
        }
        DeskTold::Figures(_) | DeskTold::Rooms(..) | DeskTold::Disconnected(_) | DeskTold::UsesLayout(_) => None,
    });
    Ok(RoomsAnswer { rooms: rooms.collect(), next })
}

/// The first names behind `after`, in order: one more than `limit`, which says whether there are others. The shards
/// look through a part of their rooms at a time, so that who holds seats never waits for who lists rooms.
async fn names(server: &Server, after: Option<&RoomId>, limit: usize) -> Result<Vec<RoomId>, Problem> {
    let limit = limit + 1;
    let mut open: Vec<(ShardId, usize)> = (0..server.shards.count()).map(|shard| (ShardId::new(shard), 0)).collect();
    let mut names: Vec<RoomId> = Vec::new();
    while !open.is_empty() {
        let question = |from| DeskQuestion::Rooms { after: after.cloned(), limit, from };
        let asked = open.iter().map(|&(shard, from)| server.shards.ask(shard, question(from))).collect();
        let told = answers(asked).await?;
        let mut further = Vec::new();
        for ((shard, _), told) in open.into_iter().zip(told) {
            let DeskTold::Rooms(found, next) = told else { continue };
            names.extend(found);
            further.extend(next.map(|from| (shard, from)));
        }
        names.sort_unstable();
        // A room that took another place meanwhile is found twice.
        names.dedup();
        names.truncate(limit);
        open = further;
    }
    Ok(names)
}

/// All answers, in the order of the questions.
pub(super) async fn answers(asked: Vec<Result<Asked<'_>, Busy>>) -> Result<Vec<DeskTold>, Problem> {
    let asked: Result<Vec<Asked<'_>>, Busy> = asked.into_iter().collect();
    let mut asked = asked.map_err(|_| Problem::new(&OVERLOADED, "too many calls wait for shards"))?;
    let all = async {
        let mut told = Vec::new();
        for asked in &mut asked {
            told.push(asked.told().await?);
        }
        Some(told)
    };
    let all = timeout(Duration::from_millis(API_ANSWER_MS), all).await.ok().flatten();
    all.ok_or_else(|| Problem::new(&PERSISTENCE_UNAVAILABLE, "a shard has not answered in time"))
}
