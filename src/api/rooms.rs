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
use crate::engine::ids::{RoomId, ShardId, shard_of};
use crate::limits::api::API_ANSWER_MS;
use crate::runtime::desk::{DeskQuestion, DeskTold};

/// Rooms in the order of their names. One that goes meanwhile is left out.
pub(super) async fn list(server: &Server, query: &Query) -> Result<RoomsAnswer, Problem> {
    let (after, limit) = (query.name("after").map(|name| name.id()), limit(query));
    let shards = (0..server.shards.count()).map(ShardId::new);
    // One more than is told says whether there are others.
    let names =
        shards.map(|shard| server.shards.ask(shard, DeskQuestion::Rooms { after: after.clone(), limit: limit + 1 }));
    let mut names: Vec<RoomId> = answers(names.collect())
        .await?
        .into_iter()
        .flat_map(|told| if let DeskTold::Rooms(names) = told { names } else { Vec::new() })
        .collect();
    names.sort_unstable();
    let more = names.len() > limit;
    names.truncate(limit);
    let next = names.last().filter(|_| more).map(|last| last.as_str().to_owned());
    let count = server.shards.count();
    let rooms = names.into_iter().map(|room| {
        let owner = shard_of(room.as_str(), count);
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
        DeskTold::Figures(_) | DeskTold::Rooms(_) | DeskTold::Disconnected(_) | DeskTold::UsesLayout(_) => None,
    });
    Ok(RoomsAnswer { rooms: rooms.collect(), next })
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
