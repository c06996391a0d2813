//! The figures of a node among several. The threads of the cluster and the shards fill them in; everybody else reads
//! them.
//!
//! Never here: what follows from a figure.

use serde_json::{Value, json};

use super::row::Kind::{Counter, Gauge};
use super::row::Unit::{Count, Flag, Millis};
use super::row::{Json, Kind, Row, Scope, Slot, Unit};

/// What a node knows of itself and the others at one moment.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct NodesFigures {
    /// Whether there can be others: with `CLUSTER=1`.
    pub is_used: bool,
    /// Nodes whose heartbeats are fresh, with this one.
    pub nodes: u64,
    /// Parts of the rooms that are this node's.
    pub parts_owned: u64,
    /// Parts that should be, as far as heartbeats say.
    pub parts_wanted: u64,
    /// Parts that are being taken in, or given away.
    pub parts_moving: u64,
    /// Parts that are nobody's, as far as this node knows.
    pub parts_ownerless: u64,
    /// Parts that this node has taken from the store.
    pub parts_taken: u64,
    /// Those among them that their owner has handed over.
    pub parts_handed_over: u64,
    /// Entries of letters to other nodes that Redis has not confirmed.
    pub mail_waiting: u64,
    /// Since when the oldest of them waits.
    pub mail_lag_ms: u64,
    /// Times mail of another node was lost.
    pub mail_holes: u64,
}

const fn one(
    name: &'static str,
    key: &'static str,
    kind: Kind,
    unit: Unit,
    help: &'static str,
    slot: for<'a> fn(&'a mut NodesFigures) -> Slot<'a>,
) -> Row<NodesFigures> {
    Row { name, json: Json::Key(key), kind, unit, help, scope: Scope::Server, labels: &[], slot }
}

/// Every figure of the nodes.
#[rustfmt::skip]
pub const ROWS: &[Row<NodesFigures>] = &[
    one("butaca_cluster_used", "used", Gauge, Flag, "1 with CLUSTER=1", |s| Slot::Flag(&mut s.is_used)),
    one("butaca_cluster_nodes", "nodes", Gauge, Count("nodes"),
        "Nodes whose heartbeats are fresh, with this one", |s| Slot::Number(&mut s.nodes)),
    one("butaca_cluster_parts_owned", "parts_owned", Gauge, Count("parts"),
        "Parts of the rooms that are this node's", |s| Slot::Number(&mut s.parts_owned)),
    one("butaca_cluster_parts_wanted", "parts_wanted", Gauge, Count("parts"),
        "Parts that should be this node's", |s| Slot::Number(&mut s.parts_wanted)),
    one("butaca_cluster_parts_moving", "parts_moving", Gauge, Count("parts"),
        "Parts that are being taken in or given away", |s| Slot::Number(&mut s.parts_moving)),
    one("butaca_cluster_parts_ownerless", "parts_ownerless", Gauge, Count("parts"),
        "Parts that are nobody's as far as this node knows", |s| Slot::Number(&mut s.parts_ownerless)),
    one("butaca_cluster_parts_taken_total", "parts_taken", Counter, Count("parts"),
        "Parts that this node has taken", |s| Slot::Number(&mut s.parts_taken)),
    one("butaca_cluster_parts_handed_over_total", "parts_handed_over", Counter, Count("parts"),
        "Those among them that their owner has handed over", |s| Slot::Number(&mut s.parts_handed_over)),
    one("butaca_cluster_mail_waiting", "mail_waiting", Gauge, Count("entries"),
        "Entries of letters to other nodes that Redis has not confirmed", |s| Slot::Number(&mut s.mail_waiting)),
    one("butaca_cluster_mail_lag_seconds", "mail_lag_ms", Gauge, Millis,
        "How long the oldest of them has waited", |s| Slot::Number(&mut s.mail_lag_ms)),
    one("butaca_cluster_mail_holes_total", "mail_holes", Counter, Count("holes"),
        "Times mail of another node was lost", |s| Slot::Number(&mut s.mail_holes)),
];

/// A node as another one sees it by its heartbeats.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeRow {
    /// Its name.
    pub node: String,
    /// Whether it is the one that tells.
    pub is_this: bool,
    /// Its shards.
    pub shards: u64,
    /// The parts that it says it has.
    pub parts: u64,
    /// Whether it takes parts: it is not about to end, and has not just started.
    pub is_ready: bool,
}

/// The same in `/stats`.
pub(super) fn row(row: &NodeRow) -> Value {
    let NodeRow { node, is_this, shards, parts, is_ready } = row;
    json!({ "node": node, "this": is_this, "shards": shards, "parts": parts, "ready": is_ready })
}
