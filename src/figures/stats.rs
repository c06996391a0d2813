//! What a shard says about itself, and the body of `/stats`, which puts all shards together.
//!
//! Invariant: a shard's figures are plain data, so they can travel between shards. Never here: asking for them.

use serde_json::{Value, json};

use super::json::object;
use super::nodes::{self, NodeRow, NodesFigures};
use super::server::{self, ServerFigures};
use super::shard::{self, ShardStats};
use super::store::{self, StoreFigures};
use crate::engine::ids::{ClientId, RoomId, ShardId};
use crate::limits::site::STATS_IDS_MAX;

/// What a shard tells of itself.
#[derive(Clone, Debug)]
pub struct ShardFigures {
    /// Which shard.
    pub shard: ShardId,
    /// What it counts.
    pub stats: ShardStats,
    /// The clients that it serves: one more than [`STATS_IDS_MAX`] at most, and none when they are not to be listed.
    pub clients: Vec<ClientId>,
    /// The rooms that it owns, likewise.
    pub rooms: Vec<RoomId>,
}

/// The body of `/stats`. `missing` shards have not told theirs in time.
pub fn body(
    mut server: ServerFigures,
    shards: &mut [ShardFigures],
    missing: usize,
    store: Option<StoreFigures>,
    cluster: Option<(NodesFigures, Vec<NodeRow>)>,
) -> String {
    let rows: Vec<Value> = shards.iter_mut().map(row).collect();
    let sum = |of: fn(&ShardStats) -> u64| shards.iter().map(|shard| of(&shard.stats)).sum::<u64>();
    let mut clients: Vec<&str> = shards.iter().flat_map(|shard| shard.clients.iter().map(ClientId::as_str)).collect();
    let mut rooms: Vec<&str> = shards.iter().flat_map(|shard| shard.rooms.iter().map(RoomId::as_str)).collect();
    let truncated = clients.len() > STATS_IDS_MAX || rooms.len() > STATS_IDS_MAX;
    clients.truncate(STATS_IDS_MAX);
    rooms.truncate(STATS_IDS_MAX);
    let mut body = json!({
        "active_connections": server.websockets,
        "active_rooms": sum(|stats| stats.rooms),
        "temporary_selections": sum(|stats| stats.holds),
        "clients": clients,
        "rooms": rooms,
        "truncated": truncated,
        "runtime": server.runtime(),
        "shards_missing": missing,
        "shards": rows,
    });
    object(server::ROWS, &mut server).into_iter().for_each(|(key, value)| body[key] = value);
    if let Some(mut store) = store {
        body["store"] = object(store::ROWS, &mut store).into();
    }
    if let Some((mut figures, rows)) = cluster {
        body["cluster"] = object(nodes::ROWS, &mut figures).into();
        body["nodes"] = rows.iter().map(nodes::row).collect();
    }
    body.to_string()
}

fn row(figures: &mut ShardFigures) -> Value {
    let mut row = object(shard::ROWS, &mut figures.stats);
    row.insert("shard".into(), figures.shard.index().into());
    row.into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{NodeRow, NodesFigures, ShardFigures, body};
    use crate::engine::ids::{ClientId, RoomId, ShardId};
    use crate::figures::server::ServerFigures;
    use crate::figures::shard::{Command, Refusal, ShardStats};
    use crate::figures::store::StoreFigures;
    use crate::limits::site::STATS_IDS_MAX;
    use crate::wire::code::Code;

    fn figures(shard: usize, ids: usize) -> ShardFigures {
        let mut stats = ShardStats { rooms: 2, holds: 3, mesh_received: 4, ..ShardStats::default() };
        stats.count(Command::Select, Err(Code::SeatTaken));
        stats.count(Command::Ping, Ok(()));
        stats.refuse(Refusal::Limit);
        stats.fan_out.record(700_000, 1);
        ShardFigures {
            shard: ShardId::new(shard),
            stats,
            clients: (0..ids).map(|id| ClientId::new(&format!("c{id}")).expect("an id")).collect(),
            rooms: vec![RoomId::new("r").expect("an id")],
        }
    }

    fn read(shards: &mut [ShardFigures], store: Option<StoreFigures>) -> Value {
        let server =
            ServerFigures { websockets: 7, log_lines_dropped: 8, runtimes: [0, 1], ..ServerFigures::default() };
        serde_json::from_str(&body(server, shards, 1, store, None)).expect("it is JSON")
    }

    #[test]
    fn shards_are_told_one_by_one_and_together() {
        let stats = read(&mut [figures(0, 1), figures(1, 1)], None);
        assert_eq!((&stats["active_connections"], &stats["active_rooms"]), (&json!(7), &json!(4)));
        assert_eq!((&stats["temporary_selections"], &stats["shards_missing"]), (&json!(6), &json!(1)));
        assert_eq!((&stats["log_lines_dropped"], &stats["runtime"]), (&json!(8), &json!("threads")));
        assert_eq!((&stats["clients"], &stats["rooms"]), (&json!(["c0", "c0"]), &json!(["r", "r"])));
        let row = &stats["shards"][1];
        assert_eq!((&row["shard"], &row["holds"], &row["mesh_received"]), (&json!(1), &json!(3), &json!(4)));
        assert_eq!((&row["commands"], &row["refused_connections"]), (&json!(2), &json!(1)));
        assert_eq!((&row["fan_out_p99_us"], &stats["store"]), (&json!(700), &Value::Null));
    }

    #[test]
    fn the_store_tells_quantiles_and_why_it_is_away() {
        let mut store = StoreFigures { error: Some("no route".into()), ..StoreFigures::default() };
        [10, 20, 30].into_iter().for_each(|us| store.commit_us.record(us, 1));
        let stats = read(&mut [], Some(store));
        assert_eq!(stats["store"]["commit_us"], json!({"p50": 20, "p99": 30, "max": 30}));
        assert_eq!((&stats["store"]["error"], &stats["store"]["connected"]), (&json!("no route"), &json!(false)));
    }

    #[test]
    fn every_node_has_a_row() {
        let row = |node: &str, is_this| NodeRow { node: node.into(), is_this, shards: 2, parts: 128, is_ready: true };
        let figures = NodesFigures { parts_owned: 128, ..NodesFigures::default() };
        let rows = vec![row("a", true), row("b", false)];
        let body = body(ServerFigures::default(), &mut [], 0, None, Some((figures, rows)));
        let stats: Value = serde_json::from_str(&body).expect("it is JSON");
        assert_eq!(stats["cluster"]["parts_owned"], 128);
        let other = json!({"node": "b", "this": false, "shards": 2, "parts": 128, "ready": true});
        assert_eq!((&stats["nodes"][0]["node"], &stats["nodes"][1]), (&json!("a"), &other));
    }

    #[test]
    fn lists_are_cut() {
        let stats = read(&mut [figures(0, STATS_IDS_MAX + 1)], None);
        assert_eq!(stats["clients"].as_array().map(Vec::len), Some(STATS_IDS_MAX));
        assert_eq!(stats["truncated"], true);
        assert_eq!(read(&mut [figures(0, STATS_IDS_MAX)], None)["truncated"], false);
    }
}
